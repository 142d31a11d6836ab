"""The ledger's pages: each opens with rows in it, asks few questions, says amounts plainly, and changes nothing."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connections
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.models import Bot
from clients.models import AuditEntry, Connector
from ledger.models import (
    ArenaImport,
    BotAccount,
    BotDecision,
    BotFee,
    BotStateSnapshot,
    BotTradeHour,
    BotTradeSpan,
    EquityBucket,
    KeptDocument,
    LeaderboardEntry,
    LedgerSettings,
    LedgerState,
    Position,
    PositionDay,
    Trade,
)
from ledger.rules.ids import fact_id
from tests.fixtures import Cast

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLES = (
    Trade, Position, BotDecision, BotStateSnapshot, BotAccount, BotTradeHour, BotFee, EquityBucket, LeaderboardEntry,
    PositionDay, BotTradeSpan, ArenaImport, KeptDocument, LedgerSettings, LedgerState,
)  # fmt: skip
MOST_QUERIES = 12


@pytest.fixture
def ledger(desk: HttpClient, cast: Cast) -> HttpClient:
    """The desk with a row in every table of the ledger: an account, a decision, a position with entry and exit, and what
    the triggers and workers made of them."""
    bot = Bot.objects.get(id=cast.acme_bot)
    mine: dict[str, Any] = {"bot_id": bot.id, "client_id": cast.acme}
    BotAccount.objects.create(**mine, mode="paper", currency="USDT", allocated_capital=10000, cash_flow="-12.5")
    decision = BotDecision.objects.create(
        id=fact_id(NOON, "decision"), **mine, decided_at=NOON, prompt_sent="You are <b>bold</b>.\nBuy low.",
        decisions_json=[{"action": "LONG", "symbol": "BTCUSDT", "size": 100}], notes_json=["opened at 65432.1"],
        execution_success=True, source="arena", source_id="log_1",
    )  # fmt: skip
    position = Position.objects.create(
        id=fact_id(NOON, "position"), **mine, mode="paper", market_type="swap", symbol="BTC/USDT", currency="USDT",
        position_type="LONG", entry_price="65432.1", size="100", opened_quantity="0.01", quantity="0.01",
        basis_quantity="0.01", basis_cost="654.321", opened_at=NOON, source="arena", source_id="pos_1",
    )  # fmt: skip
    PositionDay.objects.create(
        position=position, **mine, day_at=NOON, opened_quantity="0.01", closed_quantity=0, basis_quantity="0.01",
        basis_cost="654.321", basis_entry_fees=0, realized_exact=0, exit_notional=0, peak_size="100",
    )  # fmt: skip
    steps: list[dict[str, Any]] = [
        {"side": "buy", "trade_type": "entry", "decision_id": decision.id, "source_id": "order_1"},
        {"side": "sell", "trade_type": "exit", "pnl": "-5.25", "closed_quantity": "0.01", "source_id": "order_2"},
    ]
    for minute, values in enumerate(steps, start=1):
        at = NOON + timedelta(minutes=minute)
        Trade.objects.create(
            id=fact_id(at, "trade"), **mine, position_id=position.id, mode="paper", market_type="swap", symbol="BTC/USDT",
            currency="USDT", action="LONG", price="65432.10", quantity="0.01", size="100", fee="0.5", fee_currency="USDT",
            fee_quote="0.5", cause="model", executed_at=at, source="arena", **values,
        )  # fmt: skip
    connector = Connector.objects.get(client_id=cast.acme)
    Trade.objects.create(
        id=fact_id(NOON, "stranger"), client_id=cast.acme, connector=connector, mode="live", exchange="kucoin",
        market_type="spot", symbol="DOGE/EUR", currency="EUR", side="buy", trade_type="entry", action="LONG",
        price="0.000000123456", quantity="7000", size="0.000864192", cause="runtime", executed_at=NOON,
        exchange_trade_id="t-77", note="quoted in EUR",
    )  # fmt: skip
    for hour, value in enumerate((10000, 10200, 9900)):
        taken = NOON + timedelta(hours=hour)
        BotStateSnapshot.objects.create(**mine, taken_at=taken, total_value=value, balance=value, win_rate="0.625")
    LeaderboardEntry.objects.create(**mine, period="daily", mode="paper", currency="USDT", updated_at=NOON,
                                    return_pct="-1.25", win_rate="0.5", unranked_reason="too few trades")  # fmt: skip
    report = {"trades": {"read": 2, "refused": 1}, "refused": [{"path": "$.bots[0].orders[3]", "reason": "<NaN>"}]}
    ArenaImport.objects.create(source="arena", origin="state.json", status="done", report=report, finished_at=NOON)
    KeptDocument.objects.create(
        client_id=cast.acme, source="arena", kind="provider", key="gemini", body='{"model": "g-1.50", "temperature": 0.10}',
        secret="planted-provider-key",
    )  # fmt: skip
    LedgerSettings.objects.get_or_create(id=1)
    LedgerState.objects.update_or_create(id=1, defaults={"snapshot_at": NOON})
    return desk


def test_every_page_opens_with_rows_and_few_queries(ledger: HttpClient) -> None:
    assert {m for m in admin.site._registry if m._meta.app_label == "ledger"} == set(TABLES)
    for model in TABLES:
        row = model._default_manager.first()
        assert row is not None, model
        for address in (f"{_list(model)}", f"{_list(model)}?q={row.pk}", _page(model, row.pk)):
            with CaptureQueriesContext(connections["operator"]) as asked:
                page = _body(ledger, address)
            assert len(asked) <= MOST_QUERIES, (address, [q["sql"][:90] for q in asked])
            assert "planted-provider-key" not in page and "gAAAAA" not in page


def test_lists_of_a_page_full_ask_no_more_than_lists_of_one(ledger: HttpClient, cast: Cast) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connections["operator"]) as queries:
            _body(ledger, _list(Trade))
        return len(queries)

    before = asked()
    row = Trade.objects.get(source_id="order_2")
    for n in range(60):
        row.pk, row.source_id = uuid.uuid4(), f"more_{n}"
        row.save(force_insert=True)
    assert asked() == before


def test_nothing_of_the_ledger_can_be_changed(ledger: HttpClient) -> None:
    for model in TABLES:
        if model is LedgerSettings:
            continue
        row: Any = model._default_manager.first()
        before = _rows(model)
        assert ledger.get(f"{_list(model)}add/").status_code == 403, model
        assert ledger.post(_page(model, row.pk), {"note": "x", "status": "closed"}).status_code in (302, 403), model
        assert ledger.post(_page(model, row.pk, "delete"), {"post": "yes"}).status_code == 403, model
        assert _rows(model) == before
        assert 'name="_save"' not in _body(ledger, _page(model, row.pk)), model


def test_settings_are_saved_within_their_bounds(ledger: HttpClient) -> None:
    form = {"snapshot_minutes": "15", "keep_full_days": "8", "keep_hourly_days": "31", "minimum_closed_trades": "3"}
    for wrong, says in (({"snapshot_minutes": "7"}, "divisor of 60"), ({"keep_hourly_days": "5"}, "at least 8")):
        answer = ledger.post(_page(LedgerSettings, 1), form | wrong)
        assert answer.status_code == 200 and says in answer.content.decode()
    assert ledger.post(_page(LedgerSettings, 1), form).status_code == 302
    assert LedgerSettings.objects.get().snapshot_minutes == 15


def test_trades_are_found_by_every_id_they_have(ledger: HttpClient, cast: Cast) -> None:
    trade = Trade.objects.get(source_id="order_1")
    for term, found in (
        (str(trade.pk), 1), (str(trade.position_id), 2), ("order_2", 1), ("t-77", 1), ("order", 0), (str(uuid.uuid4()), 0),
        ("'; --", 0),
    ):  # fmt: skip
        assert _count(ledger, f"{_list(Trade)}?q={term}") == found, term


def test_lists_are_narrowed_by_bot_client_day_and_word(ledger: HttpClient, cast: Cast) -> None:
    bot = f"bot__id__exact={cast.acme_bot}"
    for query, found in (
        ("", 3), (bot, 2), (f"bot__id__exact={cast.globex_bot}", 0), (f"client__id__exact={cast.acme}", 2),
        (f"client__id__exact={cast.globex}", 0), (f"{bot}&client__id__exact={cast.globex}", 0), ("attributed=no", 1),
        ("executed_at_from=2026-03-01&executed_at_to=2026-03-01", 3), ("executed_at_from=2026-03-02", 0),
        (f"{bot}&executed_at_to=2026-02-28", 0), (f"{bot}&symbol=BTC/USDT", 2), (f"{bot}&trade_type=exit", 1),
        (f"{bot}&cause=liquidation", 0), ("executed_at_from=nonsense", 3),
    ):  # fmt: skip
        assert _count(ledger, f"{_list(Trade)}?{query}") == found, query
    for model, query in (
        (Position, f"client__id__exact={cast.acme}"), (Position, "status=open"), (Position, f"{bot}&opened_at_from=2026-03-01"),
        (BotDecision, f"client__id__exact={cast.acme}"), (BotDecision, f"{bot}&executed=yes"), (BotDecision, "q=log_1"),
        (LeaderboardEntry, "period=daily&mode=paper"), (KeptDocument, "q=gemini"), (BotAccount, "q=acme"),
    ):  # fmt: skip
        assert _count(ledger, f"{_list(model)}?{query}") == 1, (model, query)
    assert _count(ledger, f"{_list(BotStateSnapshot)}?client__id__exact={cast.acme}") == 3
    assert _count(ledger, f"{_list(EquityBucket)}?{bot}&span=hour") == 3
    assert ledger.get(f"{_list(Trade)}?bot__id__exact=nobody", follow=True).status_code == 200


def test_amounts_are_shown_without_their_zeros(ledger: HttpClient) -> None:
    page = _body(ledger, _list(Trade))
    assert ">65,432.1<" in page and ">0.000000123456<" in page and 'title="0.000000123456"' in page
    assert 'class="bridge-figure bridge-loss" title="-5.25">-5.25<' in page
    assert not re.search(r"\d\.\d*0000000", page)


def test_decision_is_readable_and_none_of_it_is_markup(ledger: HttpClient) -> None:
    decision = BotDecision.objects.get()
    page = _body(ledger, _page(BotDecision, decision.pk))
    assert "You are &lt;b&gt;bold&lt;/b&gt;.\nBuy low." in page and "opened at 65432.1" in page
    trade = Trade.objects.get(decision=decision)
    assert f'href="{_page(Trade, trade.pk)}"' in page
    page = _body(ledger, _page(ArenaImport, ArenaImport.objects.get().pk))
    assert "<td>$.bots[0].orders[3]</td><td>&lt;NaN&gt;</td>" in page
    page = _body(ledger, _page(KeptDocument, KeptDocument.objects.get().pk))
    assert "&quot;temperature&quot;: 0.10" in page


def test_bots_page_shows_its_ledger_in_few_queries(ledger: HttpClient, cast: Cast) -> None:
    address = f"/admin/bots/bot/{cast.acme_bot}/change/"
    with CaptureQueriesContext(connections["operator"]) as asked:
        page = _body(ledger, address)
    assert len(asked) <= 24, [q["sql"][:90] for q in asked]
    assert "Open positions" in page and "Latest in the ledger" in page and "<polyline" in page
    assert 'title="9,987.5">9,987.5<' in page and ">-5.25<" in page
    assert f'href="{_list(Trade)}?bot__id__exact={cast.acme_bot}"' in page
    assert "It has no account yet" in _body(ledger, f"/admin/bots/bot/{cast.globex_bot}/change/")


def test_operator_allocates_capital_and_the_audit_names_them(ledger: HttpClient, cast: Cast) -> None:
    for page, bot in (("bots/bot", cast.globex_bot), ("ledger/botaccount", cast.acme_bot)):
        address = f"/admin/{page}/{bot}/allocate/"
        assert ledger.get(address).status_code == 200
        ledger.post(address, {"_form_submitted": "on", "capital": "2500.5"})
        account = BotAccount.objects.get(bot_id=bot)
        assert account.allocated_capital == Decimal("2500.5")
        entry = AuditEntry.objects.filter(table_name="bot_accounts", row_id=str(bot)).first()
        assert entry is not None and entry.actor == "operator:alice"
    ledger.post(f"/admin/ledger/botaccount/{cast.acme_bot}/allocate/", {"_form_submitted": "on", "capital": ""})
    assert BotAccount.objects.get(bot_id=cast.acme_bot).balance is None
    ledger.post(f"/admin/ledger/botaccount/{cast.acme_bot}/allocate/", {"_form_submitted": "on", "capital": "-1"})
    assert BotAccount.objects.get(bot_id=cast.acme_bot).allocated_capital is None


def _rows(model: Any) -> str:
    return str(list(model._default_manager.values().order_by("pk")))


def _list(model: Any) -> str:
    return reverse(f"admin:ledger_{model._meta.model_name}_changelist")


def _page(model: Any, pk: Any, name: str = "change") -> str:
    return reverse(f"admin:ledger_{model._meta.model_name}_{name}", args=[pk])


def _count(http: HttpClient, address: str) -> int:
    answer = http.get(address)
    assert answer.status_code == 200, address
    return int(answer.context["cl"].result_count)


def _body(http: HttpClient, address: str) -> str:
    answer = http.get(address, follow=True)
    assert answer.status_code == 200, address
    return str(answer.content.decode())
