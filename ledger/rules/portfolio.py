"""Equity of one bot or of several together, as a line of equally distant values, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from ledger.rules import metrics
from ledger.rules.metrics import ONE, PRECISE, ZERO


@dataclass(frozen=True, slots=True)
class Interval:
    """What the bots whose equity is known at the end of one hour or day were worth together."""

    start_at: datetime
    value: Decimal
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
    """The equity of some bots together, in the intervals in which each of them is known, in order."""

    opening: Opening | None
    intervals: tuple[Interval, ...]
    last_at: datetime | None  # when one of them was last seen
    step: timedelta

    @property
    def total_return(self) -> Decimal | None:
        """Change of the equity as a ratio of where it began; None without two moments to compare."""
        if not self.opening or not self.intervals or self.last_at is None:
            return None
        if self.opening.at is not None and self.last_at <= self.opening.at:
            return None
        return metrics.total_return(first=self.opening.value, last=self.intervals[-1].value)

    def returns(self, *, now: datetime) -> list[Decimal] | None:
        """From the end of one full interval to that of the next; a gap is no return. None where a step began at nothing."""
        whole = [one for one in self.intervals if one.start_at + self.step <= now]
        found: list[Decimal] = []
        for earlier, later in zip(whole, whole[1:], strict=False):
            if later.start_at - earlier.start_at != self.step:
                continue
            step = metrics.interval_returns([earlier.value, later.value])
            if step is None:
                return None
            found += step
        return found

    @property
    def max_drawdown(self) -> Decimal | None:
        """Deepest fall of the values at the ends of the intervals, at most 1."""
        if not self.intervals:
            return None
        opening = [self.opening.value] if self.opening else []
        fall = metrics.max_drawdown([*opening, *(one.value for one in self.intervals)])
        return None if fall is None else min(fall, ONE)


def joined(intervals: Sequence[Interval], rested: Sequence[Rested], *, bots: int) -> tuple[Interval, ...]:
    """The intervals in which all of ``bots`` bots are known, in order."""
    waiting = sorted(rested, key=lambda one: one.start_at)
    still, count = ZERO, 0
    whole: list[Interval] = []
    with localcontext(PRECISE):
        for one in sorted(intervals, key=lambda one: one.start_at):
            while waiting and waiting[0].start_at < one.start_at:
                still, count = still + waiting.pop(0).value, count + 1
            if one.bots + count == bots:
                whole.append(Interval(one.start_at, one.value + still, bots))
    return tuple(whole)


def merged_drawdown(pieces: Sequence[Piece], *, opening: Decimal | None) -> Decimal | None:
    """The deepest fall from a running peak over stretches in order; None without a peak above 0."""
    peak, fall = opening or ZERO, ZERO
    for piece in pieces:
        if peak > 0:
            fall = max(fall, PRECISE.divide(PRECISE.subtract(peak, piece.low), peak))
        fall = max(fall, piece.max_drawdown)
        peak = max(peak, piece.high)
    return min(fall, ONE) if peak > 0 else None
