"""What the newest own trades tell of the last 24 hours; what they cannot tell stays None."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from exchanges.types import Side
from health.rules.attribution import Attributed

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class DayFigures:
    last_price: Decimal | None = None  # quote per base
    buys: int | None = None
    sells: int | None = None
    volume: Decimal | None = None  # quote


def day_figures(attributed: Attributed, *, was_page_full: bool, now: datetime) -> DayFigures:
    """``was_page_full``: the exchange gave as many trades as were asked for, so there may be older ones."""
    own, since = attributed.own, now - DAY
    last_price = own[0].price if own else None
    times = [trade.executed_at for trade in (*own, *attributed.shared)]
    reaches_back = not was_page_full or (bool(times) and min(times) <= since)
    is_told_apart = not any(trade.executed_at > since for trade in attributed.shared) and not attributed.future_at
    if not reaches_back or not is_told_apart:
        return DayFigures(last_price)
    today = [trade for trade in own if trade.executed_at > since]
    buys = sum(trade.side == Side.BUY for trade in today)
    volume = sum((trade.notional for trade in today), Decimal(0))
    return DayFigures(last_price, buys, len(today) - buys, volume)
