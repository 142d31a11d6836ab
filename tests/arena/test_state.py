"""GET /api/state: everything that the arena's page shows, from the tables; with since, what changed."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from arena.models import ArenaEvent, ArenaMarket, ArenaSettings, ArenaTurn, Participant, PromptVersion
from arena.rules.cursor import Cursor, read_cursor
from arena.rules.statuses import EventKind
from arena.services.events import NewEvent, tell
from arena.services.thin_events import thin_events
from bots.models import Bot
from bots.rules.words import RuntimeKind
from ground.scope import system_scope
from ledger.models import BotDecision, BotStateSnapshot, Position
from ledger.rules.words import Action
from ledger.services.allocate_capital import allocate_capital
from ledger.services.record_paper import NewDecision, PaperEntry, lock_accounts, record_decision, record_fills
from tests.fixtures import Caller, Cast, make_bot

SCOPE = system_scope("tests")


def participant(account: str, name: str) -> UUID:
    bot_id = make_bot(account, runtime_kind=RuntimeKind.ARENA, pair="BTC/USDT", name=name)
    allocate_capital(scope=SCOPE, bot_id=bot_id, capital=D(10_000))
    bot = Bot.objects.get(pk=bot_id)
    prompt = PromptVersion.objects.create(
        bot=bot, client_id=bot.client_id, number=1, text=f"You are {name}, a mystic.", made_by="tests"
    )
    Participant.objects.create(bot=bot, client_id=bot.client_id, prompt=prompt)
    return bot_id


def say(bot_id: UUID, kind: EventKind = EventKind.STATE, **payload: Any) -> None:
    client_id = Bot.objects.get(pk=bot_id).client_id
    with SCOPE.transaction():
        tell([NewEvent(client_id, bot_id, kind, payload)], now=timezone.now())


def decide(bot_id: UUID, *, prompt: str = "What now?", count: int = 1) -> None:
    """Decisions on record, the last with a position of BTC entered by it."""
    now, client_id = timezone.now(), Bot.objects.get(pk=bot_id).client_id
    with SCOPE.transaction():
        accounts = lock_accounts([bot_id])
        for age in range(count, 0, -1):
            decision_id, at = uuid4(), now - timedelta(seconds=age)
            said = [{"action": "LONG", "symbol": "BTC/USDT", "size": D("100.5"), "reasoning": "The stars align."}]
            record_decision(NewDecision(decision_id, client_id, bot_id, at, prompt, said, ["Opened."], True))
        fill = PaperEntry(bot_id, "BTC/USDT", Action.LONG, D(50_000), D("0.01"), D(5), D("0.25"), stop_loss=D(49_000))
        record_fills([fill], accounts=accounts, at=now, now=now, decision_id=decision_id)


def market(symbol: str, price: str) -> None:
    now = timezone.now()
    base, quote = symbol.split("/")
    ArenaMarket.objects.update_or_create(
        exchange="binance", symbol=symbol,
        defaults={"base": base, "quote": quote, "price": D(price), "change_24h_ratio": D("0.023"), "observed_at": now,
                  "fetched_at": now},
    )  # fmt: skip


def state(caller: Caller, **query: str) -> Any:
    answer = caller.get("/api/state?" + "&".join(f"{name}={value}" for name, value in query.items()))
    assert answer.status == 200, answer.body
    return answer.body


def test_the_state_is_what_the_tables_hold_in_the_shape_the_page_knows(cast: Cast) -> None:
    ArenaSettings.objects.get_or_create(pk=1)
    bot_id = participant("client_acme", "Astrologer")
    market("BTC/USDT", "51000")
    decide(bot_id, prompt="x" * 3000, count=52)
    Position.objects.filter(bot_id=bot_id).update(mark_price=D(51_000), unrealized_pnl=D(10))
    Position.objects.create(
        client_id=cast.acme, bot_id=bot_id, mode="paper", market_type="swap", symbol="ETH/USDT", currency="USDT",
        position_type="SHORT", status="closed", entry_price=3000, exit_price=2900, size=100, opened_quantity=1,
        closed_quantity=1, quantity=0, basis_quantity=1, basis_cost=3000, opened_at=timezone.now() - timedelta(hours=1),
        closed_at=timezone.now() - timedelta(minutes=10),
    )  # fmt: skip
    for age in range(150):
        at = timezone.now() - timedelta(minutes=10 * age)
        BotStateSnapshot.objects.create(client_id=cast.acme, bot_id=bot_id, taken_at=at, total_value=D(10_000 - age))
    ArenaTurn.objects.create(bot_id=bot_id, client_id=cast.acme, number=1, created_at=timezone.now())
    Participant.objects.filter(bot_id=bot_id).update(is_paused=True)

    found = state(cast.acme_reads)
    assert found["isFull"] is True
    assert found["next"] is None
    (bot,) = found["bots"]
    assert {key: bot[key] for key in ("id", "userId", "name", "prompt", "tradingMode", "initialBalance", "tradeCount")} == {
        "id": str(bot_id), "userId": str(cast.acme), "name": "Astrologer", "prompt": "You are Astrologer, a mystic.",
        "tradingMode": "paper", "initialBalance": 10000, "tradeCount": 1,
    }  # fmt: skip
    assert bot["portfolio"]["balance"] == 9899.75  # margin and entry fee have left it
    assert bot["portfolio"]["totalValue"] == 10009.75
    (held,) = bot["portfolio"]["positions"]
    assert (held["symbol"], held["type"], held["stopLoss"], held["pnl"]) == ("BTCUSDT", "LONG", 49000, 10)
    (order,) = bot["orders"]
    assert (order["symbol"], order["side"], order["action"], order["price"]) == ("BTCUSDT", "entry", "LONG", 50000)
    newest = BotDecision.objects.filter(bot_id=bot_id).first()
    assert newest is not None
    assert len(bot["botLogs"]) == 50
    assert bot["botLogs"][0]["id"] == str(newest.id)
    assert bot["botLogs"][0]["decisions"][0]["size"] == 100.5
    assert len(bot["botLogs"][0]["prompt"]) == 1000
    values = bot["valueHistory"]
    assert len(values) == 144
    assert (values[0]["value"], values[-1]["value"]) == (9857, 10000)
    until = bot["symbolCooldowns"]["ETHUSDT"] / 1000 - timezone.now().timestamp()
    assert 1150 < until < 1250  # 30 minutes after a close 10 minutes ago
    assert (bot["isLoading"], bot["isPaused"], bot["winRate"]) == (True, True, None)
    assert found["marketData"] == [
        {"symbol": "BTCUSDT", "price": 51000, "price24hChange": 2.3, "pair": "BTC/USDT",
         "timestamp": found["marketData"][0]["timestamp"]}
    ]  # fmt: skip


def test_everybody_sees_own_bots_and_operators_all_page_by_page(cast: Cast) -> None:
    mine = [participant("client_acme", f"Own {number}") for number in range(3)]
    theirs = participant("client_globex", "Theirs")
    assert [bot["id"] for bot in state(cast.acme_reads)["bots"]] == [str(one) for one in mine]
    assert [bot["id"] for bot in state(cast.globex_manages)["bots"]] == [str(theirs)]
    seen, after = [], ""
    while True:
        page = state(cast.operator, limit="2", **({"after": after} if after else {}))
        seen += [bot["id"] for bot in page["bots"]]
        after = page["next"]
        if not after:
            break
    assert seen == [str(one) for one in (*mine, theirs)]
    assert cast.nobody.get("/api/state").status == 401
    assert cast.acme_bot_pings.get("/api/state").status == 403
    for query in ("since=nonsense", "since=1.2", "after=x", "limit=0"):
        assert cast.operator.get(f"/api/state?{query}").status == 400, query


def caught_up(caller: Caller, cursor: str) -> Any:
    """The page that holds nothing new. Transactions of other databases of this server hold the cursor back as well, and
    until they end the same is told again."""
    give_up_at = time.monotonic() + 30
    while True:
        page = state(caller, since=cursor)
        if not page["bots"] or time.monotonic() > give_up_at:
            assert page["bots"] == []
            return page
        cursor = page["cursor"]
        time.sleep(0.1)


def test_a_poll_tells_only_what_changed_and_its_reads_do_not_grow_with_the_bots(cast: Cast) -> None:
    bots = [participant("client_acme", f"Bot {number}") for number in range(4)]
    theirs = participant("client_globex", "Theirs")
    market("BTC/USDT", "50000")
    cursor = state(cast.acme_reads)["cursor"]
    quiet = caught_up(cast.acme_reads, cursor)
    cursor = quiet["cursor"]
    assert (quiet["bots"], quiet["isFull"], quiet["removed"], quiet["loading"]) == ([], False, [], [])
    assert "marketData" not in quiet

    say(theirs)
    assert state(cast.acme_reads, since=cursor)["bots"] == []
    say(bots[1], isPaused=True)
    ArenaTurn.objects.create(bot_id=bots[2], client_id=cast.acme, number=1, created_at=timezone.now())
    found = state(cast.acme_reads, since=cursor)
    assert [bot["id"] for bot in found["bots"]] == [str(bots[1])]
    assert found["loading"] == [str(bots[2])]
    found = caught_up(cast.acme_reads, found["cursor"])

    decide(bots[3])
    market("BTC/USDT", "52000")
    found = state(cast.acme_reads, since=found["cursor"])
    assert [one["price"] for one in found["marketData"]] == [52000]
    assert [one["id"] for one in found["portfolios"]] == [str(bots[3])]
    Bot.objects.filter(pk=bots[0]).update(retired_at=timezone.now())
    assert str(bots[0]) in state(cast.acme_reads, since=found["cursor"])["removed"]

    def queries(caller: Caller) -> int:
        with CaptureQueriesContext(connections["client"]) as few:
            state(caller)
        return len(few)

    assert queries(cast.acme_reads) == queries(cast.globex_manages)


def test_an_event_that_commits_late_is_told_all_the_same(cast: Cast) -> None:
    """Its number is lower than that of one which everybody has read already."""
    early, late = participant("client_acme", "Early"), participant("client_acme", "Late")
    cursor = state(cast.acme_reads)["cursor"]
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with SCOPE.transaction():
            tell([NewEvent(cast.acme, late, EventKind.STATE)], now=timezone.now())
            written.set()
            may_commit.wait(20)
        connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        assert written.wait(20)
        say(early)
        found = state(cast.acme_reads, since=cursor)
        assert [bot["id"] for bot in found["bots"]] == [str(early)]
    finally:
        may_commit.set()
        thread.join()
    first, second = ArenaEvent.objects.order_by("id").values_list("bot_id", flat=True)
    assert (first, second) == (late, early)
    assert str(late) in [bot["id"] for bot in state(cast.acme_reads, since=found["cursor"])["bots"]]


def test_a_cursor_from_before_what_is_kept_gets_everything(cast: Cast) -> None:
    ArenaSettings.objects.update_or_create(pk=1, defaults={"keep_events_hours": 2})
    bot_id = participant("client_acme", "Astrologer")
    old, new = timezone.now() - timedelta(hours=3), timezone.now() - timedelta(hours=1)
    for at in (old, new):
        with SCOPE.transaction():
            tell([NewEvent(cast.acme, bot_id, EventKind.STATE)], now=at)
    assert thin_events(now=timezone.now()) == 1
    assert thin_events(now=timezone.now()) == 0
    assert ArenaEvent.objects.get().happened_at == new
    known = read_cursor(state(cast.acme_reads)["cursor"])
    assert known is not None
    assert state(cast.acme_reads, since=str(known))["isFull"] is False
    for gone in (
        Cursor(known.xid, 0, int(old.timestamp() * 1000)),
        Cursor(known.xid + 10**6, 0, known.at_ms),  # of a database that lived longer than this one
    ):
        found = state(cast.acme_reads, since=str(gone))
        assert (found["isFull"], len(found["bots"])) == (True, 1)


@pytest.mark.parametrize("text", ["", "1.2", "1.2.x", "-1.2.3", "1.2.3.4.5", "9" * 19 + ".1.1", "1.2.3 OR 1=1"])
def test_what_is_no_cursor_is_none(text: str) -> None:
    assert read_cursor(text) is None


def test_a_cursor_reads_as_it_was_written() -> None:
    for cursor in (Cursor(7, 0, 1_700_000_000_000), Cursor(7, 9, 1_700_000_000_000, 1_700_000_000_000_123)):
        assert read_cursor(str(cursor)) == cursor
