"""What a check reads ends in the ledger, and the day's figures are told only where the ledger knows the day."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connections
from django.utils import timezone

from bots.models import BotStats
from ledger.models import BotAccount, Position, Trade
from tests.fixtures import Cast
from tests.health.conftest import Monitor


def day_of(bot: UUID) -> tuple[int | None, int | None, Decimal | None]:
    stats = BotStats.objects.get(bot_id=bot)
    return stats.buys_24h, stats.sells_24h, stats.volume_24h


def test_records_each_trade_once_with_its_bot_profit_and_position(monitor: Monitor, cast: Cast) -> None:
    monitor.traded(30, side="buy", price="60000", quantity="0.5")
    monitor.traded(20, side="buy", price="62000", quantity="0.5")
    bot = monitor.running_bot()
    monitor.check(bot)
    monitor.traded(10, side="sell", price="63000", quantity="0.4")
    monitor.check(bot)
    monitor.check(bot)
    first, second, sold = Trade.objects.filter(bot_id=bot).order_by("executed_at")
    assert (first.trade_type, first.action, first.cause, first.mode) == ("entry", "LONG", "runtime", "live")
    assert (sold.trade_type, sold.closed_quantity, sold.entry_price) == ("exit", Decimal("0.4"), Decimal(61000))
    assert sold.client_id == cast.acme and sold.connector_id is not None and sold.exchange == "kucoin"
    fees = [trade.fee_quote for trade in (first, second, sold)]
    assert sold.pnl == Decimal(800) - (fees[0] + fees[1]) * Decimal("0.4") - fees[2]
    held = Position.objects.get(bot_id=bot)
    assert (held.status, held.quantity, held.entry_price) == ("open", Decimal("0.6"), Decimal(61000))
    assert (held.mark_price, held.unrealized_pnl) == (Decimal(63000), Decimal(1200))
    stats = BotStats.objects.get(bot_id=bot)
    assert (stats.trades, stats.pnl, stats.last_price) == (3, sold.pnl, Decimal(63000))


def test_two_workers_that_check_a_bot_at_once_record_once(monitor: Monitor) -> None:
    for n in range(20):
        monitor.traded(20 - n / 2, side="buy" if n % 3 else "sell", price="60000", quantity="0.5")
    bot = monitor.running_bot()

    def check() -> None:
        monitor.check(bot)
        connections.close_all()

    workers = [threading.Thread(target=check) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    monitor.check(bot)
    assert Trade.objects.filter(bot_id=bot).count() == 20 == BotStats.objects.get(bot_id=bot).trades


def test_tells_a_day_that_the_exchange_gave_whole(monitor: Monitor) -> None:
    for age, side in ((5, "buy"), (10, "sell"), (20, "buy"), (60 * 30, "buy")):
        monitor.traded(age, side=side, price="60000", quantity="0.5")
    bot = monitor.running_bot()
    monitor.check(bot)
    assert day_of(bot) == (2, 1, Decimal(90000))


def test_tells_a_day_without_trades(monitor: Monitor) -> None:
    bot = monitor.running_bot()
    monitor.check(bot)
    assert day_of(bot) == (0, 0, Decimal(0))


def test_tells_nothing_of_a_day_of_which_trades_may_be_missing(monitor: Monitor) -> None:
    monitor.traded(60 * 30)
    bot = monitor.running_bot()
    monitor.check(bot)
    assert day_of(bot) == (0, 0, Decimal(0))
    for n in range(130):
        monitor.traded(1 + n / 100)
    monitor.check(bot)
    assert day_of(bot) == (None, None, None)
    oldest = Trade.objects.filter(bot_id=bot, executed_at__gt=timezone.now() - timedelta(hours=1)).earliest(
        "executed_at"
    )
    assert BotAccount.objects.get(bot_id=bot).complete_since == oldest.executed_at


def test_tells_a_day_of_more_trades_than_one_page_when_each_look_joined_the_one_before(monitor: Monitor) -> None:
    bot = monitor.running_bot()
    for batch in range(3):
        for n in range(40):
            monitor.traded(10 - batch * 3 - n / 100, price="100", quantity="1")
        monitor.check(bot)
    assert Trade.objects.filter(bot_id=bot).count() == 120
    assert sum(day_of(bot)[:2]) == 120  # type: ignore[arg-type]


def test_keeps_a_trade_that_may_be_anothers_without_a_bot(monitor: Monitor, cast: Cast) -> None:
    monitor.traded(3, side="buy")
    one, other = monitor.running_bot(name="one"), monitor.running_bot(name="other")
    monitor.check(one, other)
    [kept] = Trade.objects.all()
    assert (kept.bot_id, kept.client_id, kept.pnl, kept.position_id) == (None, cast.acme, None, None)
    assert day_of(one) == day_of(other) == (None, None, None)
