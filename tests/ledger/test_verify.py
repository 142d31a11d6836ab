"""What breaks a rule of the ledger is named with its row; a healthy ledger, also a busy one, is named by nobody."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from alerts.models import Incident
from bots.models import Bot
from ground.scope import system_scope
from ledger.models import (
    BotAccount,
    BotDecision,
    BotFee,
    BotStateSnapshot,
    BotTradeHour,
    EquityBucket,
    Position,
    Trade,
)
from ledger.services.verify_ledger import Broken, verify_ledger
from tests.fixtures import Cast

LEDGER = system_scope("ledger")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MORNING = datetime(2026, 3, 2, 6, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def paper(bot_id: uuid.UUID, *, symbol: str = "BTC/USDT") -> dict[str, uuid.UUID]:
    """A bot on paper that bought at 100, sold for a profit of 9.7, and holds 1 ETH: its rows by name."""
    bot = Bot.objects.get(id=bot_id)
    owner = {"client_id": bot.client_id, "bot_id": bot.id, "mode": "paper"}
    BotAccount.objects.create(
        bot_id=bot.id, client_id=bot.client_id, mode="paper", currency="USDT", allocated_capital=10000,
        cash_flow="-140.4", balance_adjustment="-0.1",
    )  # fmt: skip
    common = owner | {"market_type": "swap", "currency": "USDT"}
    closed = Position.objects.create(
        **common, symbol=symbol, position_type="LONG", status="closed", entry_price=100, exit_price=110, size=50, leverage=2,
        opened_quantity=1, closed_quantity=1, quantity=0, basis_quantity=1, basis_cost=100, realized_pnl="9.7",
        opened_at=MORNING, closed_at=MORNING + HOUR, close_cause="model",
    )  # fmt: skip
    held = Position.objects.create(
        **common, symbol="ETH/USDT", position_type="SHORT", entry_price=150, size=150, opened_quantity=1, quantity=1,
        basis_quantity=1, basis_cost=150, opened_at=MORNING + HOUR,
    )  # fmt: skip
    decision = BotDecision.objects.create(
        client_id=bot.client_id, bot_id=bot.id, decided_at=MORNING, prompt_sent="?", execution_success=True
    )
    spare = BotDecision.objects.create(
        client_id=bot.client_id, bot_id=bot.id, decided_at=MORNING, prompt_sent="?", execution_success=False
    )
    fact = common | {"quantity": 1, "fee_currency": "USDT", "cause": "model", "decision_id": decision.id}
    trades = [
        Trade(**fact, symbol=symbol, position=closed, side="buy", trade_type="entry", action="LONG", price=100, size=50,
              leverage=2, fee="0.1", fee_quote="0.1", executed_at=MORNING),
        Trade(**fact, symbol=symbol, position=closed, side="sell", trade_type="exit", action="LONG", price=110, size=50,
              leverage=2, closed_quantity=1, fee="0.2", fee_quote="0.2", pnl="9.7", executed_at=MORNING + HOUR),
        Trade(**fact, symbol="ETH/USDT", position=held, side="sell", trade_type="entry", action="SHORT", price=150,
              size=150, fee="0.001", fee_quote=None, executed_at=MORNING + HOUR) ,
    ]  # fmt: skip
    trades[2].fee_currency = "BNB"
    Trade.objects.bulk_create(trades)
    return {"closed": closed.id, "held": held.id, "decision": decision.id, "spare": spare.id,
            **dict(zip(("buy", "sell", "short"), (trade.id for trade in trades), strict=True))}  # fmt: skip


def snapshots(bot_id: uuid.UUID, values: list[int | None], *, start: datetime = MORNING) -> None:
    bot = Bot.objects.get(id=bot_id)
    for number, value in enumerate(values):
        if value is not None:
            BotStateSnapshot.objects.create(
                client_id=bot.client_id, bot_id=bot.id, taken_at=start + 10 * number * MINUTE, total_value=value
            )


@contextmanager
def without(table: str, *keys: str) -> Iterator[None]:
    """A table whose triggers are off and that lacks these foreign keys, as after a bad restore. It is empty afterwards."""
    made = {}
    with connection.cursor() as cursor:
        for key in keys:
            cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [key])
            made[key] = cursor.fetchone()[0]
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        try:
            yield
        finally:
            cursor.execute(f"TRUNCATE {table} CASCADE")
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            for key, definition in made.items():
                cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {key} {definition}")


def plant(statement: str, *values: Any) -> None:
    """Change one row past the triggers, and leave the table as it was."""
    table = statement.split()[2 if statement.startswith("DELETE") else 1]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, values)
        assert cursor.rowcount == 1, statement
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def broken(**options: Any) -> dict[str, list[Broken]]:
    """By the name of the rule."""
    found = verify_ledger(scope=LEDGER, now=NOW, **options)
    return {checked.check.name: list(checked.broken) for checked in found if checked.broken}


def lines(found: dict[str, list[Broken]]) -> set[str]:
    return {f"{name} {line}" for name, parts in found.items() for part in parts for line in part.breaks}


@pytest.fixture
def rows(cast: Cast) -> dict[str, Any]:
    """Acme's rows, and the figures kept of them; globex has the same of its own."""
    for bot in (cast.acme_bot, cast.globex_bot):
        snapshots(bot, [10000, 10100, 10050, 9900, 10200, 10100, 10150, 10300])
    paper(cast.globex_bot)
    made = paper(cast.acme_bot)
    hours = BotTradeHour.objects.filter(bot_id=cast.acme_bot, symbol="BTC/USDT").order_by("hour_at")
    buckets = EquityBucket.objects.filter(bot_id=cast.acme_bot)
    return {
        **made, "acme": cast.acme_bot, "bought": hours[0].id, "sold": hours[1].id,
        "bnb": BotFee.objects.get(bot_id=cast.acme_bot, currency="BNB").id,
        "morning": buckets.filter(span="hour").order_by("start_at")[0].id, "day": buckets.get(span="day").id,
    }  # fmt: skip


def test_nothing_is_named_in_a_healthy_ledger(rows: dict[str, Any]) -> None:
    found = verify_ledger(scope=LEDGER, now=NOW)
    assert lines({c.check.name: list(c.broken) for c in found}) == set()
    assert {c.check.name: c.rows for c in found} == {
        "balance": 2, "positions": 4, "orphan": 6, "statistics": 18, "snapshots": 16, "boards": 0,
    }  # fmt: skip
    assert not Incident.objects.exists()


ACME = "bot_id = '{acme}'"
# What is done to acme's rows, and every line that must then be said.
PLANTED = {
    f"UPDATE bot_accounts SET cash_flow = -140.41 WHERE {ACME}": [
        "balance bot_accounts {acme}: cash_flow is -140.41, expected -140.4"
    ],
    "UPDATE positions SET basis_fees = 0.3 WHERE id = '{held}'": [
        "balance bot_accounts {acme}: cash_flow is -140.4, expected -140.7"
    ],
    "UPDATE positions SET realized_pnl = 9.8 WHERE id = '{closed}'": [
        "positions positions {closed}: realized_pnl is 9.8, expected 9.7"
    ],
    "UPDATE positions SET opened_quantity = 2, closed_quantity = 2 WHERE id = '{closed}'": [
        "positions positions {closed}: opened_quantity is 2, expected 1",
        "positions positions {closed}: closed_quantity is 2, expected 1",
    ],
    "UPDATE positions SET symbol = 'XRP/USDT' WHERE id = '{closed}'": [
        "orphan trades {buy}: symbol is BTC/USDT, expected XRP/USDT",
        "orphan trades {sell}: symbol is BTC/USDT, expected XRP/USDT",
    ],
    "UPDATE positions SET position_type = 'LONG', mode = 'live' WHERE id = '{held}'": [
        "orphan trades {short}: action is SHORT, expected LONG",
        "orphan trades {short}: mode is paper, expected live",
    ],
    "UPDATE trades SET pnl = 9.6 WHERE id = '{sell}'": [
        "balance bot_accounts {acme}: cash_flow is -140.4, expected -140.5",
        "positions positions {closed}: realized_pnl is 9.7, expected 9.6",
        *(f"statistics bot_stats {{acme}}: {field} is 9.7, expected 9.6" for field in ("pnl", "gross_profit")),
        *(
            f"statistics bot_trade_hours {{sold}}: {field} is 9.7, expected 9.6"
            for field in ("pnl", "gross_profit", "best_pnl", "worst_pnl")
        ),
    ],
    "DELETE FROM bot_decisions WHERE id = '{spare}'": [
        "statistics bot_stats {acme}: decisions is 2, expected 1"
    ],
    f"UPDATE bot_stats SET trades = 4, last_trade_at = NULL WHERE {ACME}": [
        "statistics bot_stats {acme}: trades is 4, expected 3",
        "statistics bot_stats {acme}: last_trade_at is empty, expected 2026-03-02T07:00:00Z",
    ],
    f"DELETE FROM bot_stats WHERE {ACME}": [
        f"statistics bot_stats {{acme}}: {line}"
        for line in (
            "trades is 0, expected 3", "closed_trades is 0, expected 1", "wins is 0, expected 1",
            "pnl is empty, expected 9.7", "gross_profit is 0, expected 9.7", "fees is 0, expected 0.3",
            "volume is 0, expected 360", "first_trade_at is empty, expected 2026-03-02T06:00:00Z",
            "last_trade_at is empty, expected 2026-03-02T07:00:00Z", "positions_open is 0, expected 1",
            "positions_closed is 0, expected 1", "decisions is 0, expected 2", "decisions_successful is 0, expected 1",
        )
    ],
    "UPDATE bot_trade_hours SET hour_at = hour_at + interval '1 day' WHERE id = {bought}": [
        f"statistics bot_trade_hours {row}: {field} is {found}, expected {expected}"
        for row, is_kept in (("BTC/USDT 2026-03-02T06:00:00Z", False), ("{bought}", True))
        for field, value in (("trades", 1), ("buys", 1), ("fees", "0.1"), ("volume", 100))
        for found, expected in [(value, 0) if is_kept else (0, value)]
    ],
    f"UPDATE bot_fees SET unpriced = 0 WHERE {ACME} AND currency = 'BNB'": [
        "statistics bot_fees {bnb}: unpriced is 0, expected 0.001"
    ],
    f"UPDATE bot_equity_buckets SET high = 10199 WHERE {ACME} AND span = 'hour' AND high = 10200": [
        "statistics bot_equity_buckets {morning}: high is 10199, expected 10200"
    ],
    f"UPDATE bot_equity_buckets SET last_value = 1 WHERE {ACME} AND span = 'day'": [
        "statistics bot_equity_buckets {day}: last_value is 1, expected 10300"
    ],
    f"DELETE FROM bot_equity_buckets WHERE {ACME} AND span = 'day'": [
        f"statistics bot_equity_buckets day 2026-03-02T00:00:00Z: {field} is empty, expected {value}"
        for field, value in (
            ("first_at", "2026-03-02T06:00:00Z"), ("first_value", 10000), ("last_at", "2026-03-02T07:10:00Z"),
            ("last_value", 10300), ("high", 10300), ("low", 9900), ("max_drawdown", "0.01980198019802"),
            ("snapshots", 8),
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize("statement", PLANTED)
def test_a_row_changed_past_the_triggers_is_named(rows: dict[str, Any], cast: Cast, statement: str) -> None:
    plant(statement.format(**rows))
    assert lines(broken()) == {line.format(**rows) for line in PLANTED[statement]}
    assert all(incident.bot_id == cast.acme_bot for incident in Incident.objects.all())
