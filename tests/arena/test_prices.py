"""Prices from the sandbox's exchange, what they are worth to what is held, and what closes by itself between turns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal as D
from itertools import pairwise
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connections

from arena.models import ArenaEvent, ArenaMarket, ArenaSettings, ArenaState, PriceBar
from arena.rules.bars import LENGTHS, start_of
from arena.rules.statuses import BarSpan
from arena.services.guard_positions import guard_positions
from arena.services.read_history import COUNT, MOST_AT_ONCE, read_history
from arena.services.refresh_prices import fresh_prices, refresh_prices
from ledger.models import Position, Trade
from ledger.rules.words import Action
from ledger.services.record_paper import PaperEntry, lock_accounts, record_fills
from tests.arena.stage import SCOPE, SYMBOLS, Stage


def hold(stage: Stage, bot_id: UUID, action: Action = Action.LONG, **guards: D) -> None:
    """A position of 10 DOGE... in units that are easy to follow: 1,000 at 1, leverage 5, no fee."""
    entry = PaperEntry(bot_id, "DOGE/USDT", action, D(1), D(1000), D(5), D(0), **guards)
    with SCOPE.transaction():
        record_fills([entry], accounts=lock_accounts([bot_id]), at=stage.now - timedelta(seconds=1), now=stage.now,
                     place=str(guards))  # fmt: skip


def test_one_call_reads_all_prices_with_their_rules_and_their_age(stage: Stage) -> None:
    stage.price("BTC/USDT", "61000.5")
    before = len(stage.sandbox.calls(system=stage_system()))
    assert stage.refresh() == 3
    assert refresh_prices(gateways=stage.gateways, now=stage.now) is None  # not due, whoever asks
    stage.price("BTC/USDT", "61010.5")
    calls = len(stage.sandbox.calls(system=stage_system()))
    stage.refresh()
    assert len(stage.sandbox.calls(system=stage_system())) == calls + 1 > before
    row = ArenaMarket.objects.get(symbol="BTC/USDT")
    assert (row.price, row.price_tick, row.quantity_step, row.is_traded) == (D("61010.5"), D("0.1"), D("0.00001"), True)
    assert row.observed_at is not None
    assert abs(row.observed_at - stage.now) < timedelta(seconds=30)
    bar = PriceBar.objects.filter(market=row, span="1h").latest("start_at")
    assert (bar.low, bar.high, bar.close) == (min(bar.open, D("61010.5")), D("61010.5"), D("61010.5"))


def stage_system() -> str:
    return "binance"


def test_the_exchanges_own_bars_stand_before_ours_and_are_read_once(stage: Stage) -> None:
    """An indicator of 14 hours would have to wait for 14 hours."""
    assert read_history(gateways=stage.gateways, now=stage.now) == 0  # no market is known yet
    stage.refresh()
    now = stage.now
    ours = {(one.market_id, one.span): one for one in PriceBar.objects.all()}
    stage.sandbox.fault("exchange:binance", "drop")
    assert read_history(gateways=stage.gateways, now=now) == 0
    assert ArenaMarket.objects.filter(history_at__isnull=False).count() == 1  # the others come before it is tried again
    stage.sandbox.clear_faults()
    later = now + timedelta(minutes=6)
    assert read_history(gateways=stage.gateways, now=later) == MOST_AT_ONCE * 2 * COUNT
    calls = len(stage.sandbox.calls(system=stage_system()))
    assert read_history(gateways=stage.gateways, now=later) == 0
    assert len(stage.sandbox.calls(system=stage_system())) == calls

    market = ArenaMarket.objects.get(symbol="BTC/USDT")
    for span in BarSpan:
        bars = list(PriceBar.objects.filter(market=market, span=span).order_by("start_at"))
        assert len(bars) in (COUNT, COUNT + 1)  # one may have begun meanwhile
        assert {later.start_at - earlier.start_at for earlier, later in pairwise(bars)} == {LENGTHS[span]}
        assert all(one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high for one in bars)
        own = next(one for one in bars if one.start_at == ours[market.pk, span].start_at)
        assert (own.close, own.prices) == (ours[market.pk, span].close, 1)

    # A hole of twenty minutes an hour ago is filled; nothing else is asked for.
    hole = start_of(later, BarSpan.FIVE_MINUTES) - timedelta(minutes=75)
    PriceBar.objects.filter(
        market=market, span="5m", start_at__gte=hole, start_at__lte=later - timedelta(minutes=45)
    ).delete()
    assert read_history(gateways=stage.gateways, now=later) == 0  # read a moment ago
    ArenaMarket.objects.update(history_at=later - timedelta(minutes=61))
    assert read_history(gateways=stage.gateways, now=later) == 2 * COUNT
    assert PriceBar.objects.filter(market=market, span="5m", start_at__gte=hole).count() >= 14


def test_a_failure_is_recorded_and_old_prices_are_worth_nothing(stage: Stage) -> None:
    bot_id = stage.add_bot()
    stage.price("DOGE/USDT", "1")
    stage.refresh()
    hold(stage, bot_id, stop_loss=D("0.9"))
    stage.price("DOGE/USDT", "0.5")
    for fault in ("html", "cut", "drop"):
        stage.sandbox.fault("exchange:binance", fault)
        assert stage.refresh() is None
        assert ArenaState.objects.get().prices_error != ""
        stage.sandbox.clear_faults()
    assert guard_positions(now=stage.now).closed == 0  # nothing fills at a price that nobody saw
    held_at = ArenaState.objects.get().enforced_at
    assert held_at == ArenaMarket.objects.latest("observed_at").observed_at
    ArenaMarket.objects.update(price=D("0.5"), observed_at=stage.now - timedelta(seconds=61))
    assert fresh_prices(SYMBOLS, now=stage.now) == {}
    assert guard_positions(now=stage.now).closed == 0  # nor at one that is too old
    assert ArenaState.objects.get().enforced_at == held_at, "nothing was held against these"


@pytest.mark.parametrize(
    ("action", "guards", "price", "cause", "pnl"),
    [
        (Action.LONG, {"stop_loss": D("0.9")}, "0.9", "stop_loss", D(-100)),
        (Action.LONG, {"stop_loss": D("0.9")}, "0.6", "stop_loss", D(-400)),  # a gap fills at the first price seen
        (Action.LONG, {"take_profit": D("1.1")}, "1.2", "take_profit", D(200)),
        (Action.LONG, {"liquidation_price": D("0.804"), "stop_loss": D("0.9")}, "0.8", "liquidation", D(-200)),
        (Action.SHORT, {"stop_loss": D("1.1")}, "1.15", "stop_loss", D(-150)),
        (Action.SHORT, {"take_profit": D("0.9")}, "0.85", "take_profit", D(150)),
        (Action.SHORT, {"liquidation_price": D("1.19")}, "1.25", "liquidation", D(-250)),
        (Action.LONG, {"stop_loss": D("0.9"), "take_profit": D("1.1")}, "1.05", "", D(0)),
    ],
)  # fmt: skip
def test_every_refresh_enforces_stops_profits_and_liquidations(
    stage: Stage, action: Action, guards: dict[str, D], price: str, cause: str, pnl: D
) -> None:
    """The old arena stored them and never looked again."""
    bot_id = stage.add_bot()
    ArenaSettings.objects.update(fee_rate=D("0.001"))
    stage.price("DOGE/USDT", "1")
    stage.refresh()
    hold(stage, bot_id, action, **guards)
    stage.price("DOGE/USDT", price)
    stage.refresh()
    assert guard_positions(now=stage.now).closed == bool(cause)
    row = Position.objects.get()
    assert (row.close_cause, row.status) == (cause, "closed" if cause else "open")
    if cause:
        trade = Trade.objects.get(trade_type="exit")
        assert (trade.price, trade.pnl, trade.fee) == (D(price), pnl - D(price), D(price))
        assert stage.balance(bot_id) == 10_000 + pnl - D(price)
        assert [event.payload["cause"] for event in ArenaEvent.objects.filter(kind="trade")] == [cause]
    call_command("verify_ledger")


def test_many_workers_close_a_position_once(stage: Stage) -> None:
    bots = [stage.add_bot(name=f"bot {number}") for number in range(3)]
    stage.price("DOGE/USDT", "1")
    stage.refresh()
    for bot_id in bots:
        hold(stage, bot_id, stop_loss=D("0.9"))
    stage.price("DOGE/USDT", "0.8")
    stage.refresh()

    def guard(_: int) -> int:
        try:
            return guard_positions(now=stage.now).closed
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(guard, range(4))) == 3
    assert Trade.objects.filter(trade_type="exit").count() == 3
    call_command("verify_ledger")


def test_funding_is_booked_once_for_each_of_its_moments(stage: Stage) -> None:
    bot_id = stage.add_bot()
    ArenaSettings.objects.update(funding_rate_8h=D("0.0001"))
    stage.price("DOGE/USDT", "1")
    stage.refresh()
    hold(stage, bot_id)
    Position.objects.update(opened_at=stage.now - timedelta(days=3), mark_price=D(1))
    ArenaState.objects.update(funded_at=stage.now - timedelta(days=1))
    before = stage.balance(bot_id)
    assert [guard_positions(now=stage.now).funded for _ in range(2)] == [1, 0]
    assert ArenaState.objects.get().enforced_at is not None
    assert stage.balance(bot_id) == before - D("0.3")  # three moments of 0.1
    call_command("verify_ledger")


def test_a_price_from_ahead_of_our_clock_is_not_believed_and_that_is_said(stage: Stage) -> None:
    stage.refresh()
    ArenaState.objects.update(prices_at=None)
    early = stage.now - timedelta(minutes=2)  # our clock is two minutes behind the exchange's
    assert refresh_prices(gateways=stage.gateways, now=early) == 0
    assert "clock" in ArenaState.objects.get().prices_error
    assert stage.refresh() == 3 and ArenaState.objects.get().prices_error == ""


def test_prices_and_marks_from_before_our_clock_was_set_back_do_not_stand_for_an_hour(stage: Stage) -> None:
    bot_id = stage.add_bot()
    stage.price("DOGE/USDT", "1")
    stage.refresh()
    hold(stage, bot_id)
    ArenaMarket.objects.update(observed_at=stage.now + timedelta(hours=1))  # an exchange that says no time
    Position.objects.update(marked_at=stage.now + timedelta(hours=1))
    stage.price("DOGE/USDT", "0.9")
    stage.refresh()
    assert fresh_prices({"DOGE/USDT"}, now=stage.now)["DOGE/USDT"].price == D("0.9")
    assert Position.objects.get().mark_price == D("0.9")


def test_a_symbol_that_no_exchange_lists_keeps_nobody_from_prices(stage: Stage) -> None:
    stage.add_bot(symbols=["NOSUCH/USDT"])
    ArenaSettings.objects.update(symbols=[], most_symbols=2)
    assert stage.refresh() == 2
    first = ArenaState.objects.get().markets_at
    assert stage.refresh() == 2
    assert ArenaState.objects.get().markets_at == first, "else the most traded would never be chosen anew"
