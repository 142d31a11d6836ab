"""Equity of one bot or of several together, as a line of equally distant values, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from ledger.rules import metrics
from ledger.rules.metrics import PRECISE, ZERO


@dataclass(frozen=True, slots=True)
class Interval:
    """What the bots whose equity is known in one hour or day were worth together."""

    start_at: datetime
    first_at: datetime
    first_value: Decimal
    last_at: datetime
    last_value: Decimal
    bots: int


@dataclass(frozen=True, slots=True)
class Rested:
    """A bot that stands still and holds nothing: it is worth its last value ever since."""

    start_at: datetime  # of the last interval in which it was seen
    value: Decimal


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one bot's equity; neighbours merge exactly."""

    high: Decimal
    low: Decimal
    max_drawdown: Decimal  # within it, a ratio


@dataclass(frozen=True, slots=True)
class Opening:
    """What bots were worth together when the range began."""

    value: Decimal
    at: datetime | None  # None: before anything was seen of them


@dataclass(frozen=True, slots=True)
class Curve:
    """The equity of all ``bots`` together, in the intervals in which each of them is known, in order."""

    opening: Opening | None  # with what they went into the range; None: of one it is not known
    intervals: tuple[Interval, ...]
    step: timedelta

    @property
    def start_value(self) -> Decimal | None:
        if self.opening is not None:
            return self.opening.value
        return self.intervals[0].first_value if self.intervals else None

    @property
    def start_at(self) -> datetime | None:
        """None: before anything was seen, or nothing was."""
        if self.opening is not None:
            return self.opening.at
        return self.intervals[0].first_at if self.intervals else None

    @property
    def last_value(self) -> Decimal | None:
        return self.intervals[-1].last_value if self.intervals else None

    @property
    def total_return(self) -> Decimal | None:
        """Change of the equity as a ratio of where it began; None without two moments to compare."""
        if not self.intervals or (self.start_at is not None and self.intervals[-1].last_at <= self.start_at):
            return None
        return metrics.total_return(first=self.start_value, last=self.last_value)

    def returns(self, *, now: datetime) -> list[Decimal] | None:
        """From one full interval to the next; a gap is no return. None where a step began at nothing or less."""
        whole = [one for one in self.intervals if one.start_at + self.step <= now]
        found: list[Decimal] = []
        for earlier, later in zip(whole, whole[1:], strict=False):
            if later.start_at - earlier.start_at != self.step:
                continue
            step = metrics.interval_returns([earlier.last_value, later.last_value])
            if step is None:
                return None
            found += step
        return found

    @property
    def max_drawdown(self) -> Decimal | None:
        """Deepest fall of the values at the ends of the intervals."""
        values = [self.start_value, *(one.last_value for one in self.intervals)]
        fall = metrics.max_drawdown([value for value in values if value is not None]) if self.intervals else None
        return None if fall is None else min(fall, Decimal(1))


def joined(
    intervals: Sequence[Interval], rested: Sequence[Rested], *, bots: int, opening: Opening | None, step: timedelta
) -> Curve:
    """The curve of ``bots`` bots: only intervals in which all of them are known."""
    waiting = sorted(rested, key=lambda one: one.start_at)
    still, count = ZERO, 0
    whole: list[Interval] = []
    with localcontext(PRECISE):
        for one in sorted(intervals, key=lambda one: one.start_at):
            while waiting and waiting[0].start_at < one.start_at:
                still, count = still + waiting.pop(0).value, count + 1
            if one.bots + count == bots:
                whole.append(
                    replace(one, first_value=one.first_value + still, last_value=one.last_value + still, bots=bots)
                )
    return Curve(opening, tuple(whole), step)


def merged_drawdown(pieces: Sequence[Piece], *, opening: Decimal | None) -> Decimal | None:
    """The deepest fall from a running peak over stretches in order; None without a peak above 0."""
    peak, fall = opening or ZERO, ZERO
    for piece in pieces:
        if peak > 0:
            fall = max(fall, PRECISE.divide(PRECISE.subtract(peak, piece.low), peak))
        fall = max(fall, piece.max_drawdown)
        peak = max(peak, piece.high)
    return min(fall, Decimal(1)) if peak > 0 else None
