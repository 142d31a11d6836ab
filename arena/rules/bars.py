"""Bars of prices and what they tell. Only prices that were seen count: a run of bars ends at the first gap, and one that
does not reach to now is old and tells nothing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from arena.rules.statuses import BarSpan

LENGTHS: Mapping[BarSpan, timedelta] = {BarSpan.FIVE_MINUTES: timedelta(minutes=5), BarSpan.HOUR: timedelta(hours=1)}
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bar:
    """The prices of one span of time; the newest one is not over yet."""

    start_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class Moves:
    """What a run of bars did. Floats: they inform and book nothing."""

    gain_ratio: float  # of the last close over the first
    volatility_ratio: float  # the deviation of one bar's return
    daily_volatility_ratio: float
    rises: int
    falls: int


def newest_run(bars: Sequence[Bar], *, span: BarSpan, now: datetime) -> Sequence[Bar]:
    """Of bars, oldest first, those that follow each other without a gap up to now; none where the newest is too old."""
    length = LENGTHS[span]
    if not bars or bars[-1].start_at < start_of(now, span) - length:
        return ()
    first = len(bars) - 1
    while first and bars[first].start_at - bars[first - 1].start_at == length:
        first -= 1
    return bars[first:]


def start_of(moment: datetime, span: BarSpan) -> datetime:
    """When the bar began that a moment lies in."""
    return moment - (moment - _EPOCH) % LENGTHS[span]


def returns_of(bars: Sequence[Bar]) -> dict[datetime, float]:
    """The logarithm of each close over the one before, by the bar's start; one less than there are bars."""
    closes = [float(bar.close) for bar in bars]
    moves = zip(bars[1:], closes[1:], closes, strict=False)
    return {bar.start_at: math.log(close / before) for bar, close, before in moves}


def moves_of(bars: Sequence[Bar], *, span: BarSpan) -> Moves:
    """Of at least three bars."""
    returns = list(returns_of(bars).values())
    deviation = statistics.stdev(returns)
    return Moves(
        gain_ratio=float(bars[-1].close / bars[0].close) - 1,
        volatility_ratio=deviation,
        daily_volatility_ratio=deviation * math.sqrt(DAY / LENGTHS[span]),
        rises=sum(one > 0 for one in returns),
        falls=sum(one < 0 for one in returns),
    )


def correlation_of(bars: Sequence[Bar], others: Sequence[Bar]) -> tuple[float | None, int]:
    """Of the returns of the bars that both have, and how many these are; None: too few, or one of them did not move."""
    one, other = returns_of(bars), returns_of(others)
    both = sorted(one.keys() & other.keys())
    if len(both) < 3:
        return None, len(both)
    try:
        return statistics.correlation([one[at] for at in both], [other[at] for at in both]), len(both)
    except statistics.StatisticsError:
        return None, len(both)
