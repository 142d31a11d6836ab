"""Days and months of trades hold what their hours hold, whatever comes, changes and goes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from ledger.models import BotTradeSpan, Trade
from tests.fixtures import Cast, make_bot
from tests.ledger.rows import a_trade, put_account, put_trades

BEGIN = datetime(2026, 1, 30, 20, tzinfo=UTC)
AGAIN = """
    SELECT bot_id, client_id, symbol, span, date_trunc(span, executed_at, 'UTC') AS start_at, count(*) AS trades,
           count(*) FILTER (WHERE side = 'buy') AS buys, count(pnl) AS closed, count(*) FILTER (WHERE pnl > 0) AS wins,
           count(*) FILTER (WHERE pnl < 0) AS losses, coalesce(sum(pnl), 0) AS pnl,
           coalesce(sum(pnl) FILTER (WHERE pnl > 0), 0) AS gross_profit,
           coalesce(-sum(pnl) FILTER (WHERE pnl < 0), 0) AS gross_loss, coalesce(sum(fee_quote), 0) AS fees,
           sum(price * quantity) AS volume, max(pnl) AS best_pnl, min(pnl) AS worst_pnl
      FROM trades CROSS JOIN (VALUES ('day'), ('month')) v (span) GROUP BY 1, 2, 3, 4, 5
"""
FIELDS = ("bot_id", "client_id", "symbol", "span", "start_at", "trades", "buys", "closed", "wins", "losses", "pnl",
          "gross_profit", "gross_loss", "fees", "volume", "best_pnl", "worst_pnl")  # fmt: skip


def agree() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(AGAIN)
        expected = {row[:5]: row for row in cursor.fetchall()}
    kept = {row[:5]: row for row in BotTradeSpan.objects.values_list(*FIELDS)}
    return kept == expected


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_spans_follow_trades_through_every_change(cast: Cast, zone: str) -> None:
    chance = random.Random(3)
    owners = [put_account(cast.acme_bot), put_account(cast.globex_bot), put_account(make_bot("client_acme"))]
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('TimeZone', %s, false)", [zone])

    def some(count: int) -> list[Trade]:
        return [
            a_trade(chance.choice(owners), chance.choice(["buy", "sell"]), when(), **result())
            for _ in range(count)
        ]  # fmt: skip

    def when() -> datetime:
        return BEGIN + timedelta(minutes=chance.randrange(60 * 30))

    def result() -> dict[str, Any]:
        return {"symbol": chance.choice(["BTC/USDT", "ETH/USDT"]), "price": chance.randint(1, 9)}

    try:
        put_trades(*some(60))
        assert agree()
        for _ in range(12):
            put_trades(*some(chance.randint(1, 5)))
            exits = list(Trade.objects.filter(trade_type="exit").order_by("?"))
            for trade in exits[:3]:
                Trade.objects.filter(id=trade.id).update(pnl=chance.choice([None, Decimal(chance.randint(-9, 9))]))
            Trade.objects.filter(id=exits[3].id).update(executed_at=when(), symbol="SOL/USDT")
            Trade.objects.filter(id__in=[trade.id for trade in exits[4:7]]).delete()
            assert agree()
        Trade.objects.all().delete()
        assert not BotTradeSpan.objects.exists()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('TimeZone', 'UTC', false)")
