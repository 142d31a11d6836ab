"""How much a bot trades at each hour of the day (UTC), and the clock that runs by it.

On that clock a quiet night passes slowly and a busy noon fast, by an hour's share of the day's trades; a whole day lasts
86,400 s on it as on any other. Gaps that are measured on it are alike by day and night (the time-rescaling theorem).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

HOUR_S, DAY_S = 3600.0, 86400.0
FLAT = (1.0,) * 24
LEAST = 0.02  # an hour without any trade still passes, fifty times as slowly
PRIOR = 3.0  # trades' worth of belief, at each hour, that all hours are alike
NEIGHBOURS = ((-2, 1 / 9), (-1, 2 / 9), (0, 3 / 9), (1, 2 / 9), (2, 1 / 9))


@dataclass(frozen=True, slots=True)
class DayClock:
    """``shape``: how fast the clock runs at each of the 24 hours, 1 on average. Instants are seconds since 1970, UTC."""

    shape: tuple[float, ...] = FLAT
    _until: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_until", (0.0, *accumulate(speed * HOUR_S for speed in self.shape)))

    def reading(self, at: float) -> float:
        """What the clock shows at an instant, in its seconds."""
        days, rest = divmod(at, DAY_S)
        hour = int(rest // HOUR_S)
        return days * DAY_S + self._until[hour] + self.shape[hour] * (rest - hour * HOUR_S)

    def elapsed(self, since: float, until: float) -> float:
        """The clock's seconds between two instants."""
        return self.reading(until) - self.reading(since)

    def when(self, since: float, lasts: float) -> float:
        """The instant at which ``lasts`` of the clock's seconds have passed since ``since``."""
        days, rest = divmod(self.reading(since) + lasts, DAY_S)
        hour = next((n for n in range(24) if rest < self._until[n + 1]), 23)
        return days * DAY_S + hour * HOUR_S + (rest - self._until[hour]) / self.shape[hour]


def clock_of(gaps: Sequence[tuple[float, float]]) -> DayClock:
    """The clock of a bot whose trades stand at the ends of these gaps, each (from, until).

    An hour's speed is its trades over the time that was looked at, smoothed over its neighbours and drawn towards the
    average as far as few trades, or trades that come in bursts, leave it open.
    """
    counts, looked = _by_hour(gaps)
    trades, time = sum(counts.values()), sum(looked.values())
    if not trades or time <= 0:
        return DayClock()
    of_day, seen = _folded(counts), _folded(looked)
    rate = trades / time
    rough = [_near(of_day, hour) / max(_near(seen, hour), 1.0) for hour in range(24)]
    belief = PRIOR * _burstiness(counts, looked, rough)
    speeds = [
        (_near(of_day, hour) + belief) / (_near(seen, hour) * rate + belief) if seen[hour] > 0 else 1.0
        for hour in range(24)
    ]
    return DayClock(_normal(speeds))


def _by_hour(gaps: Sequence[tuple[float, float]]) -> tuple[dict[int, int], dict[int, float]]:
    """Trades, and seconds looked at, of each hour since 1970."""
    counts: dict[int, int] = defaultdict(int)
    looked: dict[int, float] = defaultdict(float)
    for since, until in gaps:
        counts[int(until // HOUR_S)] += 1
        first, last = int(since // HOUR_S), int(until // HOUR_S)
        for hour in range(first, last + 1):
            looked[hour] += min(until, (hour + 1) * HOUR_S) - max(since, hour * HOUR_S)
    return counts, looked


def _folded(by_hour: dict[int, int] | dict[int, float]) -> list[float]:
    of_day = [0.0] * 24
    for hour, amount in by_hour.items():
        of_day[hour % 24] += amount
    return of_day


def _near(of_day: list[float], hour: int) -> float:
    return sum(weight * of_day[(hour + step) % 24] for step, weight in NEIGHBOURS)


def _burstiness(counts: dict[int, int], looked: dict[int, float], rates: list[float]) -> float:
    """Variance over mean of an hour's trades, at least 1: what bursts leave of each trade's weight."""
    squares = total = 0.0
    for hour, seconds in looked.items():
        expected = rates[hour % 24] * seconds
        squares += (counts.get(hour, 0) - expected) ** 2
        total += expected
    return max(1.0, squares / total) if total else 1.0


def _normal(speeds: list[float]) -> tuple[float, ...]:
    least = [max(speed, LEAST * max(speeds)) for speed in speeds]
    mean = sum(least) / 24
    return tuple(speed / mean for speed in least)
