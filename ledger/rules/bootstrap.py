"""How sure a return is: a percentile interval from resampling, the same for the same returns and seed.

Neighbouring returns depend on each other, so stretches of them are drawn, not single ones; that also bounds the work.
Inside it computes with floats: an interval is an estimate, and no money is booked from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from random import Random

RESAMPLES = 500
MOST_STRETCHES = 48  # the returns are cut into at most so many
LEAST_STRETCHES = 8  # with fewer an interval would say nothing
CONFIDENCE = Decimal("0.95")
STEP = Decimal("1e-12")
WIDE = Context(prec=400)  # holds any float to that step


@dataclass(frozen=True, slots=True)
class Interval:
    """Ratios; ``low`` <= ``high``."""

    low: Decimal
    high: Decimal


def compounded_interval(
    returns: Sequence[Decimal], *, seed: int, confidence: Decimal = CONFIDENCE, resamples: int = RESAMPLES
) -> Interval | None:
    """Between what the returns, one after the other, would have come to with other luck; None with too few."""
    grown = [math.prod(1 + float(one) for one in stretch) for stretch in _stretches(returns)]
    if len(grown) < LEAST_STRETCHES:
        return None
    random = Random(seed)
    totals = sorted(math.prod(random.choices(grown, k=len(grown))) - 1 for _ in range(resamples))
    return _percentiles(totals, confidence=confidence)


def mean_interval(
    returns: Sequence[Decimal], *, seed: int, confidence: Decimal = CONFIDENCE, resamples: int = RESAMPLES
) -> Interval | None:
    """Between what their mean would have been with other luck; None with too few."""
    stretches = [(math.fsum(map(float, stretch)), len(stretch)) for stretch in _stretches(returns)]
    if len(stretches) < LEAST_STRETCHES:
        return None
    random = Random(seed)
    drawn = (random.choices(stretches, k=len(stretches)) for _ in range(resamples))
    means = sorted(math.fsum(s for s, _ in draw) / sum(n for _, n in draw) for draw in drawn)
    return _percentiles(means, confidence=confidence)


def is_distinguishable(interval: Interval | None, *, value: Decimal = Decimal(0)) -> bool | None:
    """Whether the interval leaves ``value`` out; None where there is no interval."""
    return None if interval is None else not interval.low <= value <= interval.high


def are_distinguishable(one: Interval | None, other: Interval | None) -> bool | None:
    """Whether two intervals lie apart, which is more than they need to; None where one of them is missing."""
    if one is None or other is None:
        return None
    return one.high < other.low or other.high < one.low


def _stretches(returns: Sequence[Decimal]) -> list[Sequence[Decimal]]:
    """Consecutive stretches whose lengths differ by one at most."""
    count = min(len(returns), MOST_STRETCHES)
    edges = [index * len(returns) // count for index in range(count + 1)] if count else []
    return [returns[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def _percentiles(ordered: Sequence[float], *, confidence: Decimal) -> Interval | None:
    if not all(map(math.isfinite, ordered)):
        return None
    tail = (1 - float(confidence)) / 2
    last = len(ordered) - 1
    low, high = ordered[round(tail * last)], ordered[round((1 - tail) * last)]
    return Interval(Decimal(repr(low)).quantize(STEP, context=WIDE), Decimal(repr(high)).quantize(STEP, context=WIDE))
