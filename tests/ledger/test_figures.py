"""The triggers keep what a recomputation gives."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from bots.models import Bot, BotStats
from ledger.models import BotAccount, BotFee, BotStateSnapshot, BotTradeHour, EquityBucket, Trade

pytestmark = pytest.mark.usefixtures("database")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def account(bot_id: uuid.UUID) -> BotAccount:
    bot = Bot.objects.get(id=bot_id)
    return BotAccount.objects.create(
        bot=bot, client_id=bot.client_id, mode="paper", currency="USDT", allocated_capital=10000
    )


def trade(owner: BotAccount, **values: Any) -> Trade:
    given = {
        "id": uuid.uuid4(), "client_id": owner.client_id, "bot_id": owner.bot_id, "mode": "paper", "market_type": "swap",
        "symbol": "BTC/USDT", "currency": "USDT", "side": "sell", "trade_type": "exit", "action": "LONG", "price": "100",
        "quantity": "2", "closed_quantity": "2", "size": "200", "cause": "import", "executed_at": NOON, "fee": "0.1",
        "fee_currency": "USDT", "fee_quote": "0.1", "pnl": "5",
    } | values  # fmt: skip
    return Trade(**given)


def test_statistics_follow_trades_that_come_change_and_go(cast: Any) -> None:
    one = account(cast.acme_bot)
    rows = [
        trade(one), trade(one, pnl="-2", fee="0.01", fee_currency="BNB", fee_quote=None),
        trade(one, pnl="7", executed_at=NOON + timedelta(minutes=59)),
        trade(one, trade_type="entry", side="buy", pnl=None, closed_quantity=0, executed_at=NOON - timedelta(hours=3)),
    ]  # fmt: skip
    Trade.objects.bulk_create(rows)
    stats = BotStats.objects.get(bot_id=one.bot_id)
    assert (stats.trades, stats.closed_trades, stats.wins, stats.losses, stats.pnl) == (4, 3, 2, 1, Decimal(10))
    assert (stats.gross_profit, stats.gross_loss, stats.volume) == (Decimal(12), Decimal(2), Decimal(800))
    assert (stats.first_trade_at, stats.last_trade_at) == (NOON - timedelta(hours=3), NOON + timedelta(minutes=59))
    hour = BotTradeHour.objects.get(bot_id=one.bot_id, hour_at=NOON)
    assert (hour.trades, hour.pnl, hour.best_pnl, hour.worst_pnl) == (3, Decimal(10), Decimal(7), Decimal(-2))
    bnb = BotFee.objects.get(bot_id=one.bot_id, currency="BNB")
    assert (bnb.amount, bnb.unpriced) == (Decimal("0.01"), Decimal("0.01"))

    Trade.objects.filter(id=rows[2].id).update(pnl="1", executed_at=NOON + timedelta(hours=5))
    hour.refresh_from_db()
    assert (hour.trades, hour.pnl, hour.best_pnl) == (2, Decimal(3), Decimal(5))
    Trade.objects.filter(id__in=[row.id for row in rows[1:]]).delete()
    stats.refresh_from_db()
    assert (stats.trades, stats.pnl, stats.wins, stats.losses, stats.last_trade_at) == (1, Decimal(5), 1, 0, NOON)
    assert [h.trades for h in BotTradeHour.objects.filter(bot_id=one.bot_id)] == [1]


def test_equity_buckets_hold_the_same_for_snapshots_in_any_order(cast: Any) -> None:
    one, two = account(cast.acme_bot), account(cast.globex_bot)
    values = [100, 120, 90, 110, 60, 130, 65]
    rows = [(NOON + timedelta(minutes=25 * n), value) for n, value in enumerate(values)]
    for owner, order in ((one, rows), (two, rows[::-1])):
        for at, value in order:
            BotStateSnapshot.objects.create(
                client_id=owner.client_id, bot_id=owner.bot_id, taken_at=at, total_value=value
            )
    for owner in (one, two):
        day = EquityBucket.objects.get(bot_id=owner.bot_id, span="day")
        assert (day.first_value, day.last_value, day.high, day.low) == (100, 65, 130, 60)
        assert day.max_drawdown == Decimal("0.5")  # 120 to 60, and again 130 to 65
        hours = EquityBucket.objects.filter(bot_id=owner.bot_id, span="hour").order_by("start_at")
        assert [h.max_drawdown for h in hours] == [Decimal("0.25"), Decimal("0.454545454545454545"), Decimal("0.5")]


@pytest.mark.parametrize(
    "broken",
    [
        {"side": "buy"}, {"price": "0"}, {"closed_quantity": "3"}, {"currency": "EUR"}, {"cause": "whim"},
        {"trade_type": "entry", "side": "buy"}, {"bot_id": None}, {"position_id": uuid.uuid4()},
    ],
)  # fmt: skip
def test_the_database_refuses_a_trade_that_cannot_be(cast: Any, broken: dict[str, Any]) -> None:
    one = account(cast.acme_bot)
    with pytest.raises(IntegrityError), transaction.atomic():
        trade(one, **broken).save(force_insert=True)


def test_a_trade_is_of_its_bots_client(cast: Any) -> None:
    one = account(cast.acme_bot)
    with pytest.raises(IntegrityError), transaction.atomic():
        trade(one, client_id=cast.globex).save(force_insert=True)
    assert not Trade.objects.exists()


def test_the_balance_is_the_capital_and_what_flowed(cast: Any) -> None:
    one = account(cast.acme_bot)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bot_accounts SET cash_flow = -12.5 RETURNING balance")
        assert cursor.fetchone()[0] == Decimal("9987.5")
        cursor.execute("UPDATE bot_accounts SET allocated_capital = NULL RETURNING balance")
        assert cursor.fetchone()[0] is None
    assert one.currency == "USDT"
