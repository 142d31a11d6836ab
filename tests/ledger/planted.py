"""A small healthy ledger, and ways to break it past its triggers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from bots.models import Bot
from ledger.models import (
    BotAccount,
    BotDecision,
    BotFee,
    BotStateSnapshot,
    BotTradeHour,
    BotTradeSpan,
    EquityBucket,
    Position,
    Trade,
)
from tests.fixtures import Cast

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MORNING = datetime(2026, 3, 2, 6, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def healthy(cast: Cast) -> dict[str, Any]:
    """Acme's rows, and the figures kept of them; globex has the same of its own."""
    for bot in (cast.acme_bot, cast.globex_bot):
        snapshots(bot, [10000, 10100, 10050, 9900, 10200, 10100, 10150, 10300])
    paper(cast.globex_bot)
    made = paper(cast.acme_bot)
    hours = BotTradeHour.objects.filter(bot_id=cast.acme_bot, symbol="BTC/USDT").order_by("hour_at")
    spans = BotTradeSpan.objects.filter(bot_id=cast.acme_bot, symbol="BTC/USDT")
    buckets = EquityBucket.objects.filter(bot_id=cast.acme_bot)
    return {
        **made, "acme": cast.acme_bot, "bought": hours[0].id, "sold": hours[1].id,
        "traded_day": spans.get(span="day").id, "traded_month": spans.get(span="month").id,
        "bnb": BotFee.objects.get(bot_id=cast.acme_bot, currency="BNB").id,
        "morning": buckets.filter(span="hour").order_by("start_at")[0].id, "day": buckets.get(span="day").id,
    }  # fmt: skip


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
