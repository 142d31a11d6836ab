"""Execution on paper: at what price an order fills, what it costs, and when what is held must be closed. Exact, and
always to the bot's disadvantage where something is rounded or not known.

Margin is isolated: a position binds ``size``, and is liquidated where what is left of that no longer covers the
maintenance margin. Nothing fills at a price that was not seen: a stop that a gap jumps over fills at the first price
behind it, so a loss can be larger than the margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from exchanges.types import Side
from ledger.rules.pnl import WIDE, amount
from ledger.rules.words import Action, Cause

ONE = Decimal(1)
FUNDING_INTERVAL = timedelta(hours=8)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Guards:
    """The prices at which a position is closed by itself; None: it has no such."""

    action: Action
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    liquidation_price: Decimal | None = None


def entry_side(action: Action) -> Side:
    """Which way the base goes when a position is opened."""
    return Side.BUY if action == Action.LONG else Side.SELL


def exit_side(action: Action) -> Side:
    """Which way it goes when it is closed."""
    return Side.SELL if action == Action.LONG else Side.BUY


def fill_price(*, side: Side, price: Decimal, slippage_ratio: Decimal, tick: Decimal | None) -> Decimal:
    """What an order at the market fills at: worse than ``price`` by the slippage, on the market's grid, and above 0."""
    if side == Side.BUY:
        return amount(on_grid(WIDE.multiply(price, ONE + slippage_ratio), tick, up=True))
    worse = on_grid(WIDE.multiply(price, ONE - slippage_ratio), tick, up=False)
    return amount(worse) if worse > 0 else (tick or price)


def on_grid(value: Decimal, step: Decimal | None, *, up: bool) -> Decimal:
    """``value`` brought to a multiple of ``step``; unchanged where there is none."""
    if not step:
        return value
    steps = WIDE.divide(value, step).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return WIDE.multiply(steps, step)


def fee(*, notional: Decimal, fee_ratio: Decimal) -> Decimal:
    """What an execution of ``notional`` costs, in the quote."""
    return amount(WIDE.multiply(notional, fee_ratio))


def liquidation_price(
    *, action: Action, entry_price: Decimal, leverage: Decimal, maintenance_ratio: Decimal
) -> Decimal | None:
    """Where the margin that is left equals ``maintenance_ratio`` of the notional; None: at no price above 0.

    A long of E at leverage L has E/L + P - E per coin left at P, and needs m x P: P = E (1 - 1/L) / (1 - m). A short has
    E/L + E - P: P = E (1 + 1/L) / (1 + m).
    """
    part = WIDE.divide(ONE, leverage)
    if action == Action.LONG:
        if maintenance_ratio >= 1:
            return amount(entry_price)
        price = WIDE.divide(WIDE.multiply(entry_price, ONE - part), ONE - maintenance_ratio)
        return min(amount(price), entry_price) if price > 0 else None
    price = WIDE.divide(WIDE.multiply(entry_price, ONE + part), ONE + maintenance_ratio)
    return max(amount(price), entry_price)


def due_exit(guards: Guards, price: Decimal) -> Cause | None:
    """Why a position is closed at a price that was seen; None: it is not. Liquidation before the stop, since a price
    beyond both was seen only once; the stop before the profit."""
    is_long = guards.action == Action.LONG

    def is_behind(level: Decimal | None, *, below: bool) -> bool:
        return level is not None and (price <= level if below else price >= level)

    if is_behind(guards.liquidation_price, below=is_long):
        return Cause.LIQUIDATION
    if is_behind(guards.stop_loss, below=is_long):
        return Cause.STOP_LOSS
    if is_behind(guards.take_profit, below=not is_long):
        return Cause.TAKE_PROFIT
    return None


def funding(*, action: Action, quantity: Decimal, mark_price: Decimal, rate: Decimal) -> Decimal:
    """What a position pays at one moment of funding, in the quote; negative is received. Longs pay where ``rate`` > 0."""
    paid = amount(WIDE.multiply(WIDE.multiply(quantity, mark_price), rate))
    return paid if action == Action.LONG else -paid


def funding_moments(*, since: datetime, until: datetime) -> list[datetime]:
    """The moments of funding after ``since`` and not after ``until``: 00:00, 08:00 and 16:00 UTC."""
    first = since - (since - _EPOCH) % FUNDING_INTERVAL + FUNDING_INTERVAL
    count = (until - first) // FUNDING_INTERVAL + 1 if until >= first else 0
    return [first + FUNDING_INTERVAL * place for place in range(count)]
