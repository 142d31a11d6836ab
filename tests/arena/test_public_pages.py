"""The public pages: what anybody sees, what nobody does, and that a thousand watchers cost what one does."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from arena.models import (
    ArenaMarket,
    ArenaSettings,
    ArenaTurn,
    Halt,
    LlmCall,
    LlmProvider,
    LlmSpend,
    Participant,
    PriceBar,
    PromptVersion,
)  # fmt: skip
from arena.rules.sparkline import spark_points
from arena.rules.statuses import BarSpan
from arena.services.thin_bars import thin_bars
from bots.models import Bot
from bots.rules.words import RuntimeKind
from clients.models import Client
from ground.scope import system_scope
from ledger.models import BotAccount, BotDecision, BotStateSnapshot, LeaderboardEntry, Position
from ledger.rules.words import Action, Cause
from ledger.services.allocate_capital import allocate_capital
from ledger.services.record_paper import (
    NewDecision,
    PaperEntry,
    PaperExit,
    held_on_paper,
    lock_accounts,
    record_decision,
    record_fills,
)  # fmt: skip
from ledger.services.refresh_boards import refresh_boards
from tests.admin.conftest import desk  # noqa: F401 - a fixture
from tests.fixtures import Caller, Cast, make_bot

SCOPE = system_scope("tests")
PROMPT = "PLANTED-PROMPT: you are Astrologer and trade by the stars."
KEY = "sk-PLANTED-KEY-0123456789"
NEVER = (
    "PLANTED", "client_acme", "acme", "Acme", "the firm's own account", "models.internal", "operator:", "987654", "876543",
    "prompt_sent", "client_id", "halt says secret",
)  # fmt: skip
"""What no public answer may hold: prompts, keys, names and ids of clients and providers, addresses, budgets, people."""


@pytest.fixture
def watcher(cast: Cast) -> Caller:
    cache.clear()
    ArenaSettings.objects.update_or_create(pk=1, defaults={"exchange": "binance", "is_public": True})
    return cast.nobody


def provider(client_id: UUID) -> LlmProvider:
    return LlmProvider.objects.create(
        client_id=client_id, name="the firm's own account", kind="compatible", base_url="https://models.internal/v1",
        model="gpt-sandbox", api_key=KEY,
    )  # fmt: skip


def participant(account: str = "client_acme", name: str = "Astrologer", **options: Any) -> UUID:
    bot_id = make_bot(account, runtime_kind=RuntimeKind.ARENA, pair="BTC/USDT", name=name)
    allocate_capital(scope=SCOPE, bot_id=bot_id, capital=D(10_000))
    Bot.objects.filter(pk=bot_id).update(desired_status="running", desired_at=timezone.now())
    bot = Bot.objects.get(pk=bot_id)
    prompt = PromptVersion.objects.create(
        bot=bot, client_id=bot.client_id, number=3, text=PROMPT, made_by="operator:eve"
    )
    given = {"provider": None, "daily_budget": D("987654"), "monthly_budget": D("876543"), **options}
    Participant.objects.create(bot=bot, client_id=bot.client_id, prompt=prompt, turns=7, **given)
    return bot_id


def market(symbol: str, price: str, *, bars: int = 30) -> None:
    now = timezone.now()
    base, quote = symbol.split("/")
    row, _ = ArenaMarket.objects.update_or_create(
        exchange="binance", symbol=symbol,
        defaults={"base": base, "quote": quote, "price": D(price), "observed_at": now, "fetched_at": now},
    )  # fmt: skip
    begin = now.replace(second=0, microsecond=0) - timedelta(minutes=now.minute % 5)
    PriceBar.objects.bulk_create(
        PriceBar(market=row, span=BarSpan.FIVE_MINUTES, start_at=begin - timedelta(minutes=5 * age), open=D(price),
                 high=D(price) + 5, low=D(price) - 5, close=D(price) + 1, prices=9) for age in range(bars)
    )  # fmt: skip


def decide(bot_id: UUID, *, reasoning: str = "The stars align.", age_s: int = 5, number: int = 7) -> UUID:
    """A turn with its decision, which enters BTC."""
    client_id, now = Bot.objects.get(pk=bot_id).client_id, timezone.now()
    at, decision_id = now - timedelta(seconds=age_s), uuid4()
    said = [{"action": "LONG", "symbol": "BTC/USDT", "size": D("100.5"), "leverage": 5, "reasoning": reasoning,
             "prompt_sent": "PLANTED in a field that nobody shows"}]  # fmt: skip
    with SCOPE.transaction():
        accounts = lock_accounts([bot_id])
        record_decision(NewDecision(decision_id, client_id, bot_id, at, PROMPT, said, ["Opened LONG BTC/USDT."], True))
        fill = PaperEntry(bot_id, "BTC/USDT", Action.LONG, D(50_000), D("0.01"), D(5), D("0.25"), stop_loss=D(49_000))
        record_fills([fill], accounts=accounts, at=at, now=now, decision_id=decision_id)
    ArenaTurn.objects.create(
        bot_id=bot_id, client_id=client_id, number=number, created_at=at, finished_at=now, status="done",
        prompt=PromptVersion.objects.get(bot_id=bot_id), decision_id=decision_id, message="PLANTED message",
        briefing={"balance": "PLANTED"},
    )  # fmt: skip
    return decision_id


def close(bot_id: UUID, price: str) -> None:
    now = timezone.now()
    with SCOPE.transaction():
        accounts, held = lock_accounts([bot_id]), held_on_paper([bot_id])
        fills = [PaperExit(bot_id, one, D(price), D("0.25"), Cause.TAKE_PROFIT) for one in held]
        record_fills(fills, accounts=accounts, at=now, now=now)


def pages_of(bot_id: UUID) -> list[str]:
    one = f"/arena/{bot_id}"
    return [
        f"{one}/", f"{one}/data", f"{one}/data?symbol=BTC/USDT&period=daily", f"{one}/equity?period=weekly",
        f"{one}/candles?symbol=BTC/USDT&period=daily",
    ]  # fmt: skip


BOARD = [
    "/arena/",
    "/arena/?period=daily",
    "/arena/data?period=weekly",
    "/arena/curves",
    "/arena/curves?period=monthly",
]


def test_nobody_sees_anything_until_an_operator_allows_it(cast: Cast) -> None:
    cache.clear()
    ArenaSettings.objects.update_or_create(pk=1, defaults={"exchange": "binance"})
    bot_id = participant()
    market("BTC/USDT", "50000")
    decide(bot_id)
    assert ArenaSettings().is_public is False
    asked = [cast.nobody.get(path) for path in [*BOARD, *pages_of(bot_id), f"/arena/{uuid4()}/", "/arena/nonsense/"]]
    assert {answer.status for answer in asked} == {404}
    assert len({answer.body for answer in asked}) == 1
    assert "Astrologer" not in asked[0].body and "/arena/" not in cast.nobody.get("/").body


def test_a_bot_is_there_only_while_it_is_public_on_paper_and_not_archived(watcher: Caller) -> None:
    bot_id = participant()
    market("BTC/USDT", "50000")
    gone = watcher.get(f"/arena/{uuid4()}/").body

    def shown() -> bool:
        cache.clear()
        found = [watcher.get(path) for path in pages_of(bot_id)]
        assert len({answer.status for answer in found}) == 1
        if found[0].status == 404:
            assert {answer.body for answer in found} == {gone}
            assert "Astrologer" not in str([watcher.get(path).body for path in BOARD])
        return found[0].status == 200

    assert shown()
    for model, change, back in (
        (Participant.objects.filter(bot_id=bot_id), {"is_public": False}, {"is_public": True}),
        (BotAccount.objects.filter(bot_id=bot_id), {"mode": "live"}, {"mode": "paper"}),
        (ArenaSettings.objects.all(), {"is_public": False}, {"is_public": True}),
        (Bot.objects.filter(pk=bot_id), {"retired_at": timezone.now()}, {"retired_at": None}),
    ):
        model.update(**change)
        assert not shown(), change
        model.update(**back)
    assert shown()


def test_no_public_answer_holds_prompts_keys_addresses_budgets_or_names_of_clients(watcher: Caller, cast: Cast) -> None:
    Client.objects.filter(pk=cast.acme).update(name="Acme Holding PLANTED")
    asked_of = provider(cast.acme)
    bot_id = participant(provider=asked_of)
    market("BTC/USDT", "50000")
    for number in range(1, 26):
        decide(bot_id, age_s=100 - number, number=number)
    LlmCall.objects.create(
        client_id=cast.acme, bot_id=bot_id, provider=asked_of, model="gpt-sandbox", purpose="turn", status="failed",
        input_tokens=1000, output_tokens=50, error="PLANTED error of models.internal", asked_at=timezone.now(),
        messages=[{"role": "system", "text": "PLANTED"}],
    )  # fmt: skip
    LlmSpend.objects.create(
        client_id=cast.acme, bot_id=bot_id, span="month", start_on=datetime.now(UTC).date(), spent=D("1.5")
    )
    Halt.objects.create(
        scope="bot", bot_id=bot_id, client_id=cast.acme, kind="switch", reason="halt says secret", halted_by="operator:eve",
        halted_at=timezone.now(),
    )  # fmt: skip
    refresh_boards(scope=SCOPE, now=timezone.now())
    first = watcher.get(f"/arena/{bot_id}/")
    older = first.body.split('href="?cursor=')[1].split('"')[0]
    paths = [*BOARD, *pages_of(bot_id), f"/arena/{bot_id}/?cursor={older}", f"/arena/{uuid4()}/"]
    for path in paths:
        answer = watcher.get(path)
        text = str(answer.body) if isinstance(answer.body, str) else json.dumps(answer.body)
        for word in (*NEVER, str(cast.acme), str(asked_of.pk)):
            assert word not in text, (path, word)
    for word in ("Astrologer", "gpt-sandbox", "OpenAI-compatible", "The stars align.", "Opened LONG", "prompt 3", "1,000",
                 "1.50", "halted", "49,000"):  # fmt: skip
        assert word in first.body, word


def test_the_board_ranks_public_bots_by_their_return_at_the_newest_prices(watcher: Caller) -> None:
    good, poor, secret = (
        participant(name="Good"),
        participant("client_globex", "Poor"),
        participant(name="Secret", is_public=False),
    )
    for bot_id, mark in ((good, 51_000), (poor, 49_500), (secret, 60_000)):
        decide(bot_id)
        Position.objects.filter(bot_id=bot_id).update(mark_price=D(mark), unrealized_pnl=(D(mark) - 50_000) / 100)
    BotAccount.objects.update(opened_at=timezone.now() - timedelta(hours=1), capital_changed_at=None)
    refresh_boards(scope=SCOPE, now=timezone.now())
    LeaderboardEntry.objects.update(
        is_ranked=True, win_rate=D("0.625"), sharpe_ratio=D("1.234"), max_drawdown=D("0.05")
    )
    page = watcher.get("/arena/").body
    assert page.index(">Good<") < page.index(">Poor<") and "Secret" not in page
    row = page.split(f'data-key="{good}"')[1].split("</tr>")[0]
    assert '<td class="rank">1</td>' in row
    for word in ("10,009.75", "+0.10 %", "+9.75", "62.5 %", "5.0 %", "1.23", "<polyline", "no model yet"):
        assert word in row, word
    assert '<td class="rank">2</td>' in page.split(f'data-key="{poor}"')[1]
    curves = watcher.get("/arena/curves?period=daily").body["bots"]
    assert [one["name"] for one in curves] == ["Good", "Poor"]
    assert curves[0]["curve"][1] == pytest.approx([0, 0.0975], abs=0.001)


def test_a_bots_page_shows_what_it_holds_traded_and_decided_and_a_poll_brings_what_is_new(watcher: Caller) -> None:
    bot_id = participant()
    assert "No trades yet. Its next turn is due now." in watcher.get(f"/arena/{bot_id}/").body
    assert "No market is followed yet" in watcher.get(f"/arena/{bot_id}/").body
    cache.clear()
    market("BTC/USDT", "50000")
    decide(bot_id)
    before = watcher.get(f"/arena/{bot_id}/data?symbol=BTC/USDT&period=daily").body
    assert len(before["bars"]) == 3 and "take-profit" not in before["parts"]["trades"]
    assert "49,000" in before["parts"]["holdings"]
    close(bot_id, "50500")
    cache.clear()
    after = watcher.get(f"/arena/{bot_id}/data?symbol=BTC/USDT&period=daily").body
    assert after["trades"] not in ("", before["trades"])
    assert "take-profit" in after["parts"]["trades"] and "+4.50" in after["parts"]["trades"]
    assert "It holds nothing." in after["parts"]["holdings"]
    candles = watcher.get(f"/arena/{bot_id}/candles?symbol=BTC/USDT&period=daily").body
    assert len(candles["bars"]) == 30 and candles["bars"][-1][1:] == [50000, 50005, 49995, 50001]
    assert [(one["direction"], one["kind"], one["pnl"]) for one in candles["marks"]] == [
        ("LONG", "entry", None), ("LONG", "exit", "+4.50"),
    ]  # fmt: skip
    assert all(one["time"] % 300 == 0 for one in candles["marks"]) and candles["levels"] == []
    assert watcher.get(f"/arena/{bot_id}/candles?symbol=NO/USDT").status == 404


def test_what_models_and_clients_write_is_text_and_a_record_may_hold_anything(watcher: Caller) -> None:
    evil = "</p><script src=//evil.example></script><img src=x onerror=alert(1)>"
    bot_id = participant(name=f"Bot {evil}")
    market("BTC/USDT", "50000")
    decide(bot_id, reasoning=evil)
    client_id, now = Bot.objects.get(pk=bot_id).client_id, timezone.now()
    odd: list[tuple[Any, Any]] = [
        ({"action": {"a": 1}, "size": "NaN", "leverage": [1], "symbol": None}, {"text": evil}),
        ([evil, 7, None, {"action": evil, "size": "1e999999", "reasoning": {"x": evil}}], ["", None, 3]),
        ("HOLD", 7),
    ]
    for said, notes in odd:
        BotDecision.objects.create(
            client_id=client_id, bot_id=bot_id, decided_at=now, prompt_sent="", decisions_json=said, notes_json=notes,
            execution_success=False,
        )  # fmt: skip
    assert (
        watcher.get("/arena/curves").headers["Content-Type"] == "application/json"
    )  # whose names the page adds as text
    for path in [*BOARD, *pages_of(bot_id)]:
        answer = watcher.get(path)
        assert answer.status == 200, path
        if path.startswith("/arena/curves"):
            continue
        shown = str(answer.body)
        assert "<script src=//evil" not in shown and "<img src=x" not in shown, path
    assert "&lt;img src=x onerror=alert(1)&gt;" in watcher.get(f"/arena/{bot_id}/").body


def test_older_decisions_come_by_cursor_each_once(watcher: Caller) -> None:
    bot_id = participant()
    made = [str(decide(bot_id, age_s=300 - number, number=number)) for number in range(1, 46)]
    seen, path = [], f"/arena/{bot_id}/"
    while path:
        page = watcher.get(path).body
        seen += [piece.split('"')[0] for piece in page.split('<li data-key="')[1:]]
        path = f"/arena/{bot_id}/?cursor={page.split('?cursor=')[1].split(chr(34))[0]}" if "?cursor=" in page else ""
    assert seen == made[::-1]
    assert watcher.get(f"/arena/{bot_id}/?cursor=nonsense").status == 404


def test_everybody_gets_one_answer_that_was_made_once(watcher: Caller) -> None:
    participant()
    first = watcher.get("/arena/data")
    assert first.headers["Cache-Control"] == "public, max-age=5"
    assert "Cookie" not in first.headers.get("Vary", "") and not first.headers.get("Set-Cookie")
    with CaptureQueriesContext(connections["operator"]) as asked:
        for _ in range(20):
            assert watcher.get("/arena/data").body == first.body
        same = watcher.get("/arena/data", **{"If-None-Match": first.headers["ETag"]})
        packed = watcher.http.get("/arena/data", headers={"Accept-Encoding": "gzip"})
    assert (same.status, same.body, len(asked)) == (304, "", 0)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.content)) == first.body


def test_what_is_public_no_more_is_given_to_nobody_after_some_seconds(watcher: Caller) -> None:
    bot_id = participant()
    page = f"/arena/{bot_id}/"
    assert watcher.get(page).status == 200
    Participant.objects.update(is_public=False)
    assert watcher.get(page).status == 200  # as it was made for whoever came last
    with time_machine.travel(timezone.now() + timedelta(seconds=6), tick=False):
        assert watcher.get(page).status == 404
    assert watcher.get(page).status == 404  # not even to those who come while another asks anew


def test_what_is_read_for_everybody_can_write_nothing(watcher: Caller) -> None:
    from django.db import InternalError

    from arena.selectors import public

    participant()
    with pytest.raises(InternalError, match="read-only"), public._reading():
        Participant.objects.update(is_paused=True)
    assert watcher("POST", "/arena/", {}).status == 405


def test_the_landing_page_leads_there_when_it_is_public(watcher: Caller) -> None:
    assert 'href="/arena/"' in watcher.get("/").body
    page = watcher.http.get("/arena/")
    assert "unsafe-eval" not in page.headers["Content-Security-Policy"]
    assert page.content.decode().count("<script") == page.content.decode().count("<script src=")


def test_the_admin_leads_to_a_bots_public_page_while_there_is_one(watcher: Caller, desk: HttpClient) -> None:  # noqa: F811
    bot_id = participant()
    page, way = (
        f"/admin/arena/participant/{bot_id}/change/",
        reverse("admin:arena_participant_public_page", args=[bot_id]),
    )
    assert way in desk.get(page).content.decode()
    assert desk.get(way).headers["Location"] == f"/arena/{bot_id}/"
    Participant.objects.update(is_public=False)
    assert way not in desk.get(page).content.decode()


def test_vendored_files_are_whole_and_name_no_map(cast: Cast) -> None:
    folder = Path(settings.BASE_DIR) / "static" / "vendor"
    scripts = sorted(folder.glob("*/*.js"))
    assert len(scripts) == 2
    for script in scripts:
        assert b"sourceMappingURL" not in script.read_bytes()
        assert gzip.decompress(script.with_name(script.name + ".gz").read_bytes()) == script.read_bytes()
        assert (script.parent / "LICENSE").is_file()
    answer = cast.nobody.http.get("/static/vendor/uplot/uPlot.iife.min.js", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"


def test_bars_of_five_minutes_are_thinned_and_those_of_hours_stay(cast: Cast) -> None:
    now = timezone.now()
    ArenaSettings.objects.update_or_create(pk=1, defaults={"keep_bars_days": 30})
    row = ArenaMarket.objects.create(exchange="binance", symbol="BTC/USDT", base="BTC", quote="USDT")
    rest = {"market": row, "open": 1, "high": 1, "low": 1, "close": 1, "prices": 1}
    for days in (29, 31, 400):
        for span in BarSpan:
            PriceBar.objects.create(span=span, start_at=now - timedelta(days=days), **rest)
    assert thin_bars(now=now) == 2
    assert thin_bars(now=now) == 0
    kept = sorted((bar.span, (now - bar.start_at).days) for bar in PriceBar.objects.all())
    assert kept == [("1h", 29), ("1h", 31), ("1h", 400), ("5m", 29)]


@pytest.mark.parametrize(
    ("values", "points"),
    [([], ""), ([(0, 5)], ""), ([(0, 5), (0, 6)], ""), ([(0, 5), (10, 5)], "4,28 188,28"),
     ([(0, 1), (5, 3), (10, 2)], "4,52 96,4 188,28")],
)  # fmt: skip
def test_a_sparkline_fills_its_box(values: list[tuple[int, int]], points: str) -> None:
    assert spark_points([(at, D(value)) for at, value in values]) == points


def test_snapshots_are_drawn_between_begin_and_now(watcher: Caller) -> None:
    bot_id, now = participant(), timezone.now()
    client_id = Bot.objects.get(pk=bot_id).client_id
    BotAccount.objects.filter(bot_id=bot_id).update(opened_at=now - timedelta(hours=5), capital_changed_at=None)
    for age in range(1, 5):
        at = now - timedelta(hours=age)
        BotStateSnapshot.objects.create(client_id=client_id, bot_id=bot_id, taken_at=at, total_value=D(10_000 + age))
    curve = watcher.get(f"/arena/{bot_id}/equity?period=all_time").body["curve"]
    assert curve[1] == [10_000, 10_004, 10_003, 10_002, 10_001, 10_000]  # its capital before, its equity now behind
    assert curve[0] == sorted(curve[0])
    assert BotDecision.objects.count() == 0
