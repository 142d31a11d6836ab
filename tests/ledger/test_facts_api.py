"""Trades, positions, decisions, figures and money of a bot over HTTP."""

from __future__ import annotations

import base64
import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from clients.models import AuditEntry
from ledger.models import BotAccount, BotDecision, Position, Trade
from tests.fixtures import Caller, Cast, make_bot
from tests.ledger.rows import a_trade, put_account, put_decision, put_position, put_trades

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def walk(caller: Caller, path: str, name: str) -> list[dict[str, Any]]:
    """Every row of a list, page after page."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        body = caller.get(f"{path}{'&' if '?' in path else '?'}cursor={cursor}").body
        assert body["pagination"]["hasMore"] is (body["next"] is not None)
        rows += body[name]
        if not body["next"]:
            return rows
        cursor = body["next"]


@pytest.fixture
def busy(cast: Cast) -> BotAccount:
    """Acme's bot with 60 trades of three symbols, many at one instant, beside globex' bot with the same of its own."""
    chance = random.Random(7)
    for bot in (cast.globex_bot, cast.acme_bot):
        owner = put_account(bot)
        put_trades(
            *(
                a_trade(
                    owner,
                    chance.choice(["buy", "sell", "short", "cover"]),
                    NOON + timedelta(minutes=20 * chance.randrange(24)),
                    symbol=chance.choice(["BTC/USDT", "ETH/USDT", "SOL/USDT"]),
                    market_type="swap",
                )
                for _ in range(60)
            )
        )
    return owner


def newest_first(**filters: Any) -> list[str]:
    found = Trade.objects.filter(**filters).order_by("-executed_at", "-id")
    return [str(trade.id) for trade in found]


def test_trades_come_newest_first_page_by_page(busy: BotAccount, cast: Cast) -> None:
    path = f"/api/v2/bots/{busy.bot_id}/trades?limit=7"
    assert [row["id"] for row in walk(cast.acme_reads, path, "trades")] == newest_first(bot=busy.bot_id)
    body = cast.acme_reads.get(path + "&offset=56").body
    assert body["pagination"] == {"total": 60, "limit": 7, "offset": 56, "hasMore": False}
    assert [row["id"] for row in body["trades"]] == newest_first(bot=busy.bot_id)[56:]


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("symbol=ethusdt", {"symbol": "ETH/USDT"}),
        ("action=SHORT", {"action": "SHORT"}),
        ("symbol=BTC-USDT&action=long", {"symbol": "BTC/USDT", "action": "LONG"}),
        ("startDate=2026-03-01T13:20:00Z", {"executed_at__gte": NOON + HOUR + timedelta(minutes=20)}),
        ("endDate=2026-03-01T15:20:00Z", {"executed_at__lte": NOON + 3 * HOUR + timedelta(minutes=20)}),
        ("startDate=2026-03-01T12:00:00Z&endDate=2026-03-01T14:00", {"executed_at__lte": NOON + 2 * HOUR}),
        ("startDate=2026-03-01T12:20Z&endDate=2026-03-01T12:40Z",
         {"executed_at__range": (NOON + timedelta(minutes=20), NOON + timedelta(minutes=40))}),
        ("startDate=2026-03-01T12:50Z&endDate=2026-03-01T13:30Z&symbol=SOLUSDT",
         {"executed_at__range": (NOON + timedelta(minutes=50), NOON + timedelta(minutes=90)), "symbol": "SOL/USDT"}),
        ("startDate=2026-03-01T14:00:00+01:00&symbol=ETH_USDT", {"executed_at__gte": NOON + HOUR, "symbol": "ETH/USDT"}),
        ("startDate=2026-03-01&endDate=2026-03-01", {}),
        ("startDate=2026-03-02", {"executed_at__gte": NOON + 12 * HOUR}),
        ("endDate=2026-02-28", {"executed_at__lt": NOON - 12 * HOUR}),
    ],
)  # fmt: skip
def test_trades_are_filtered_and_counted_exactly(
    busy: BotAccount, cast: Cast, query: str, filters: dict[str, Any]
) -> None:
    path = f"/api/v2/bots/{busy.bot_id}/trades?limit=5&{query}"
    expected = newest_first(bot=busy.bot_id, **filters)
    assert [row["id"] for row in walk(cast.acme_reads, path, "trades")] == expected
    counted = cast.acme_reads.get(path + "&offset=1").body
    assert counted["pagination"]["total"] == len(expected)
    assert [row["id"] for row in counted["trades"]] == expected[1:6]


def test_a_trade_says_what_it_was_in_exact_decimals(cast: Cast) -> None:
    owner = put_account(cast.acme_bot)
    position = put_position(owner, NOON - HOUR)
    trade = a_trade(
        owner, "sell", NOON, price="0.000000000000000001", quantity="12345678901234567890.5", position_id=position.id,
        pnl="-3.140000000000000001", fee="0.01", fee_currency="BNB", fee_quote=None, leverage="2.5", source="arena",
        source_id="order_1", exchange_trade_id="77", entry_price="100.50", closed_quantity=1, connector_id=None,
    )  # fmt: skip
    put_trades(trade)
    body = cast.acme_reads.get(f"/api/v2/bots/{cast.acme_bot}/trades?symbol=btcusdt").body
    (row,) = body["trades"]
    assert row | {
        "id": str(trade.id), "client_id": str(cast.acme), "bot_id": str(cast.acme_bot), "symbol": "btcusdt",
        "position_id": str(position.id), "trade_type": "exit", "action": "LONG", "side": "sell",
        "price": "0.000000000000000001", "quantity": "12345678901234567890.5", "pnl": "-3.140000000000000001",
        "entry_price": "100.5", "exit_price": None, "size": "200", "leverage": 2.5, "fee": "0.01", "fee_currency": "BNB",
        "fee_quote": None, "currency": "USDT", "cause": "runtime", "mode": "live", "source_id": "order_1",
        "exchange_trade_id": "77", "executed_at": "2026-03-01T12:00:00Z", "decision_id": None,
    } == row  # fmt: skip
    assert body["filters"] == {"symbol": "btcusdt", "action": None, "startDate": None, "endDate": None}
    assert body["pagination"] == {"total": 1, "limit": 100, "offset": 0, "hasMore": False}
    old = cast.acme_reads.get(f"/bots/{cast.acme_bot}/trades").body
    assert old["trades"][0]["notional"] == "12.3456789012345678905" and old["trades"][0]["symbol"] == "BTC/USDT"
    assert (old["bot_id"], old["next"], old["checked_at"]) == (str(cast.acme_bot), None, None)


@pytest.mark.parametrize(
    "query",
    [
        "trades?symbol=?", "trades?action=HOLD", "trades?startDate=yesterday", "trades?endDate=2026-02-30",
        "trades?startDate=0001-01-01T00:00:00%2B14:00", "trades?endDate=9999-12-31", "trades?startDate=1730912107000",
        "trades?startDate=2026-03-02&endDate=2026-03-01", "trades?limit=0", "trades?offset=-1", "trades?cursor=x",
        "positions?status=half", "positions?cursor=WyJ4IiwieSJd", "decisions?success_only=maybe", "decisions?include=all",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(busy: BotAccount, cast: Cast, query: str) -> None:
    answer = cast.acme_reads.get(f"/api/v2/bots/{busy.bot_id}/{query}")
    assert answer.status == 400 and answer.body["detail"]


def test_positions_are_told_apart_by_their_status(cast: Cast) -> None:
    owner = put_account(cast.acme_bot)
    for n in range(5):
        put_position(owner, NOON + n * HOUR, NOON + (n + 1) * HOUR)
    held = put_position(owner, NOON, mark_price=90, unrealized_pnl="-20")
    path = f"/api/v2/bots/{cast.acme_bot}/positions"
    everything = [str(p.id) for p in Position.objects.order_by("-opened_at", "-id")]
    assert [row["id"] for row in walk(cast.acme_reads, path + "?limit=2", "positions")] == everything
    closed = cast.acme_reads.get(path + "?status=closed").body
    assert [row["id"] for row in closed["positions"]] == [one for one in everything if one != str(held.id)]
    assert closed["pagination"]["total"] == 5 and closed["filters"] == {"status": "closed"}
    (row,) = cast.acme_reads.get(path + "?status=open").body["positions"]
    assert (row["id"], row["unrealized_pnl"], row["exit_price"], row["closed_at"]) == (str(held.id), "-20", None, None)
    assert (row["opened_at"], row["quantity"], row["entry_price"]) == ("2026-03-01T12:00:00Z", "2", "100")


def test_decisions_leave_their_prompts_out_of_lists(cast: Cast) -> None:
    owner = put_account(cast.acme_bot)
    put_decision(owner, NOON + 3 * HOUR, execution_success=False)
    decision = put_decision(owner, NOON, prompt_sent="x" * 5000, source="arena", source_id="log_1",
                            decisions_json=[{"size": Decimal("0.10")}])  # fmt: skip
    trade = a_trade(owner, "buy", NOON + timedelta(seconds=3), decision_id=decision.id, cause="model")
    put_trades(trade, a_trade(owner, "buy", NOON + HOUR))
    path = f"/api/v2/bots/{cast.acme_bot}/decisions"
    rows = walk(cast.acme_reads, path + "?limit=1", "decisions")
    assert [row["id"] for row in rows] == [str(d.id) for d in BotDecision.objects.order_by("-decided_at")]
    assert rows[1] == {
        "id": str(decision.id), "client_id": str(cast.acme), "bot_id": str(cast.acme_bot), "decisions_json": [{"size": 0.1}],
        "notes_json": ["opened"], "execution_success": True, "timestamp": "2026-03-01T12:00:00Z", "source": "arena",
        "source_id": "log_1",
    }  # fmt: skip
    good = cast.acme_reads.get(path + "?success_only=true&include=prompt").body
    assert [row["prompt_sent"] for row in good["decisions"]] == ["x" * 5000]
    assert good["pagination"]["total"] == 1 and good["filters"] == {"success_only": True}
    for name in (decision.id, "log_1"):
        whole = cast.acme_reads.get(f"{path}/{name}").body
        assert whole["prompt_sent"] == "x" * 5000 and [t["id"] for t in whole["trades"]] == [str(trade.id)]
    for name in (uuid.uuid4(), "log_2", "%00"):
        assert cast.acme_reads.get(f"{path}/{name}").status == 404


def test_a_bot_comes_with_its_counters_and_its_money(cast: Cast) -> None:
    path = f"/api/v2/bots/{cast.acme_bot}"
    body = cast.acme_reads.get(path).body
    assert body["money"] is None and set(body["statistics"].values()) == {0}
    assert body.items() >= cast.acme_reads.get(f"/bots/{cast.acme_bot}").body.items()
    owner = put_account(cast.acme_bot, cash_flow="-195.1")
    put_trades(a_trade(owner, "buy", NOON), a_trade(owner, "sell", NOON + HOUR))
    put_position(owner, NOON, NOON + HOUR)
    held = put_position(owner, NOON)
    put_decision(owner, NOON)
    put_decision(owner, NOON, execution_success=False)
    body = cast.acme_reads.get(path).body
    assert body["statistics"] == {
        "totalTrades": 2, "totalPositions": 2, "openPositions": 1, "closedPositions": 1, "totalDecisions": 2,
        "successfulDecisions": 1,
    }  # fmt: skip
    assert (body["money"]["balance"], body["money"]["in_positions"], body["money"]["equity"]) == ("9804.9", "200", None)
    Position.objects.filter(id=held.id).update(unrealized_pnl="7.5")
    money = cast.acme_reads.get(path).body["money"]
    assert (money["currency"], money["equity"], money["unrealized_pnl"]) == ("USDT", "10012.4", "7.5")
    assert (money["allocated_capital"], money["realized_pnl"]) == ("10000", "5")


def test_figures_of_all_time_are_what_the_trades_add_up_to(cast: Cast) -> None:
    path = f"/bots/{cast.acme_bot}/stats"
    empty = cast.acme_reads.get(path).body
    assert (empty["trades"], empty["win_rate"], empty["pnl"], empty["expectancy"], empty["profit_factor"]) == (
        0, None, None, None, None,
    )  # fmt: skip
    owner = put_account(cast.acme_bot, realized_pnl_adjustment="1.5")
    put_trades(
        a_trade(owner, "buy", NOON, fee="0.02", fee_currency="BNB", fee_quote=None),
        a_trade(owner, "sell", NOON + HOUR, pnl="6"),
        a_trade(owner, "sell", NOON + HOUR, pnl="-2.5"),
        a_trade(owner, "sell", NOON + HOUR, pnl="0"),
        a_trade(owner, "sell", NOON + 2 * HOUR, pnl=None, closed_quantity=0),
    )
    body = cast.acme_reads.get(path).body
    assert body | {
        "bot_id": str(cast.acme_bot), "trades": 5, "closed_trades": 3, "wins": 1, "losses": 1, "pnl": "3.5",
        "win_rate": 0.333333333333333333, "gross_profit": "6", "gross_loss": "2.5", "profit_factor": 2.4,
        "expectancy": "1.166666666666666667", "volume": "1000", "fees": "0.4", "realized_pnl_adjustment": "1.5",
        "fees_by_currency": [{"currency": "BNB", "amount": "0.02", "unpriced": "0.02"},
                             {"currency": "USDT", "amount": "0.4", "unpriced": "0"}],
        "unrealized_pnl": "0", "balance": "10000", "equity": "10000", "first_trade_at": "2026-03-01T12:00:00Z",
        "trades_24h": {"buys": None, "sells": None}, "volume_24h": None, "last_price": None,
    } == body  # fmt: skip


def test_allocated_capital_is_a_wish_with_a_name_in_the_audit(cast: Cast) -> None:
    path = f"/api/v2/bots/{cast.acme_bot}/account"
    answer = cast.acme_manages.put(path, {"allocated_capital": "2500.50"})
    assert answer.status == 200
    assert (answer.body["allocated_capital"], answer.body["equity"], answer.body["currency"]) == (
        "2500.5",
        "2500.5",
        "USDT",
    )
    BotAccount.objects.update(cash_flow="-0.5")
    assert cast.operator.put(path, {"allocated_capital": 3000}).body["balance"] == "2999.5"
    assert cast.operator.put(path, {"allocated_capital": None}).body["balance"] is None
    changes = AuditEntry.objects.filter(table_name="bot_accounts").order_by("id")
    assert [row.reason for row in changes] == ["capital allocated"] * 3
    assert {row.row_id for row in changes} == {str(cast.acme_bot)}


def test_capital_is_allocated_only_by_whoever_may(cast: Cast) -> None:
    path = f"/api/v2/bots/{cast.acme_bot}/account"
    good = {"allocated_capital": "1"}
    statuses = [
        caller.put(path, good).status
        for caller in (cast.nobody, cast.acme_reads, cast.acme_bot_pings, cast.globex_manages)
    ]
    assert statuses == [401, 403, 403, 404] and not BotAccount.objects.exists()
    for bad in ({}, {"allocated_capital": "-1"}, {"allocated_capital": "NaN"}, {"allocated_capital": "1e30"},
                {"allocated_capital": [1]}, {"allocated_capital": "0.0000000000000000001"}):  # fmt: skip
        assert cast.acme_manages.put(path, bad).status == 400
    cast.operator.delete(f"/bots/{cast.acme_bot}")
    assert cast.acme_manages.put(path, good).status == 404


def test_a_paper_bot_counts_in_its_pairs_quote_on_paper(cast: Cast) -> None:
    bot = make_bot("client_acme", runtime_kind="arena", pair="ETH/EUR")
    body = cast.acme_manages.put(f"/api/v2/bots/{bot}/account", {"allocated_capital": "10"}).body
    assert (body["mode"], body["currency"]) == ("paper", "EUR")


PATHS = ("", "/trades", "/positions", "/decisions", "/decisions/{decision}")


@pytest.mark.parametrize("part", PATHS)
def test_a_bot_of_somebody_else_is_not_there(busy: BotAccount, cast: Cast, part: str) -> None:
    decision = put_decision(busy, NOON)
    path = f"/api/v2/bots/{cast.acme_bot}{part.format(decision=decision.id)}"
    assert [c.get(path).status for c in (cast.operator, cast.acme_reads)] == [200, 200]
    statuses = [c.get(path).status for c in (cast.nobody, cast.globex_manages, cast.acme_bot_pings)]
    assert statuses == [401, 404, 403]
    other = f"/api/v2/bots/{cast.globex_bot}/decisions/{decision.id}"
    assert [c.get(other).status for c in (cast.operator, cast.globex_manages)] == [404, 404]


def test_rows_of_one_tenant_move_nothing_of_another(busy: BotAccount, cast: Cast) -> None:
    paths = [f"/api/v2/bots/{cast.globex_bot}{part}" for part in PATHS[:4]] + [f"/bots/{cast.globex_bot}/stats"]
    before = [cast.globex_manages.get(path).body for path in paths]
    put_trades(a_trade(busy, "sell", NOON + HOUR, pnl="1000"))
    put_position(busy, NOON)
    put_decision(busy, NOON)
    assert [cast.globex_manages.get(path).body for path in paths] == before


@pytest.mark.parametrize(
    "values",
    [
        ("2026-03-01T00:00:00+23:59", str(uuid.UUID(int=1))), ("0001-01-01T00:00:00+14:00", str(uuid.UUID(int=1))),
        ("9999-12-31T23:59:59-14:00", "1" * 40), ("2026-03-01", "half of a pair: \ud800"),
    ],
)  # fmt: skip
def test_a_cursor_of_somebody_elses_making_breaks_nothing(
    busy: BotAccount, cast: Cast, values: tuple[str, str]
) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
    paths = [f"/api/v2/bots/{busy.bot_id}/{part}" for part in ("trades", "positions", "decisions")]
    for path in (*paths, f"/bots/{busy.bot_id}/timeline", f"/bots/{busy.bot_id}/health/history"):
        assert cast.acme_reads.get(f"{path}?cursor={cursor}").status in (200, 400)
