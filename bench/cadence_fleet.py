"""A fleet whose truth is known: when each bot trades, dies and is started again, and when its exchange does not answer."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BEGIN = 1_767_225_600.0  # 2026-01-01, a Thursday
DEAD_FOR = 4 * DAY
OUTAGE_EVERY, DEATH_EVERY = 12 * DAY, 25 * DAY

Gaps = Callable[[Random, float, float], Iterator[float]]  # (random, begin, end): trades of a bot that never dies


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    trades: Gaps
    is_steady: bool = True  # it goes on as it was: what a learned limit promises holds of these


@dataclass(frozen=True, slots=True)
class Death:
    at: float
    until: float
    is_told: bool  # whether somebody started it through the bridge afterwards


@dataclass(frozen=True, slots=True)
class Life:
    """One bot. Instants are seconds since 1970; ``skew`` is how far its exchange's clock is ahead."""

    kind: Kind
    trades: list[float]
    deaths: list[Death]
    outages: list[tuple[float, float]]
    skew: float
    watched_from: float
    until: float


def live(kind: Kind, number: int, *, seed: int, history_days: float, watched_days: float) -> Life:
    """The life of bot ``number`` of a kind: the same for the same seed."""
    random = Random(f"{seed} {kind.name} {number}")
    watched_from = BEGIN + history_days * DAY
    until = watched_from + watched_days * DAY
    exchange = Random(f"{seed} exchange {number % 4}")
    skew = exchange.choice((0.0, 45.0, -90.0, 2.0))
    outages = list(_spells(exchange, BEGIN, until, every=OUTAGE_EVERY, lasts=lambda: exchange.uniform(1200, 3 * HOUR)))
    early = _spells(random, BEGIN, watched_from - DAY, every=14 * DAY, lasts=lambda: random.uniform(HOUR, 12 * HOUR))
    late = _spells(random, watched_from + DAY, until - DEAD_FOR, every=DEATH_EVERY, lasts=lambda: DEAD_FOR)
    deaths = [Death(at, end, random.random() < 0.5) for spells in (early, late) for at, end in spells]
    gone = sorted([(death.at, death.until) for death in deaths] + outages)
    trades = [at for at in kind.trades(random, BEGIN, until) if not _is_within(at, gone)]
    return Life(kind, trades, deaths, outages, skew, watched_from, until)


def _spells(
    random: Random, begin: float, end: float, *, every: float, lasts: Callable[[], float]
) -> Iterator[tuple[float, float]]:
    at = begin + random.expovariate(1 / every)
    while at < end:
        until = at + lasts()
        yield at, until
        at = until + random.expovariate(1 / every)


def _is_within(at: float, spells: list[tuple[float, float]]) -> bool:
    place = bisect_left(spells, (at, math.inf))
    return any(begin <= at < end for begin, end in spells[max(0, place - 3) : place])


def poisson(low: float, high: float) -> Gaps:
    """Trades without memory; each bot's mean gap lies between ``low`` and ``high`` seconds."""

    def trades(random: Random, begin: float, end: float) -> Iterator[float]:
        mean, at = _between(random, low, high), begin
        while (at := at + random.expovariate(1 / mean)) < end:
            yield at

    return trades


def bursts(random: Random, begin: float, end: float) -> Iterator[float]:
    """Some twenty trades within minutes, then nothing for one to three hours on average."""
    pause, size, at = _between(random, 1 * HOUR, 3 * HOUR), random.uniform(5, 30), begin
    while at < end:
        at += random.expovariate(1 / pause)
        while at < end:
            yield at
            if random.random() < 1 / size:
                break
            at += random.expovariate(1 / 20)


def by_day(low: float, high: float, *, night: float) -> Gaps:
    """Busy in its own ten hours of the day, ``night`` times as busy in the others."""

    def trades(random: Random, begin: float, end: float) -> Iterator[float]:
        mean, opens, at = _between(random, low, high), random.uniform(0, 24), begin
        while (at := at + random.expovariate(1 / mean)) < end:
            is_open = ((at / HOUR) - opens) % 24 < 10
            if is_open or random.random() < night:
                yield at

    return trades


def irregular(random: Random, begin: float, end: float) -> Iterator[float]:
    """Gaps with a log-normal distribution: most are minutes, some are hours."""
    median, at = _between(random, 8 * MINUTE, 20 * MINUTE), begin
    while (at := at + median * random.lognormvariate(0, 1.2)) < end:
        yield at


def regular(random: Random, begin: float, end: float) -> Iterator[float]:
    """One trade an hour or so, like clockwork; one in thirty is left out."""
    every, at = _between(random, 30 * MINUTE, 2 * HOUR), begin
    while (at := at + every) < end:
        if random.random() > 1 / 30:
            yield at + random.gauss(0, every / 30)


def weekly(random: Random, begin: float, end: float) -> Iterator[float]:
    """Five times as quiet on Saturdays and Sundays, which the profile of the day cannot know."""
    mean, at = _between(random, 10 * MINUTE, 30 * MINUTE), begin
    while (at := at + random.expovariate(1 / mean)) < end:
        is_weekend = int(at // DAY + 4) % 7 in (0, 6)
        if not is_weekend or random.random() < 0.2:
            yield at


def changed(random: Random, begin: float, end: float) -> Iterator[float]:
    """From one trade in some minutes to one in an hour or so, and back."""
    fast, slow, at = _between(random, 2 * MINUTE, 10 * MINUTE), _between(random, 40 * MINUTE, 2 * HOUR), begin
    first = begin + (end - begin) * random.uniform(0.4, 0.6)
    second = first + (end - first) * random.uniform(0.4, 0.6)
    while (at := at + random.expovariate(1 / (slow if first < at < second else fast))) < end:
        yield at


def _between(random: Random, low: float, high: float) -> float:
    return math.exp(random.uniform(math.log(low), math.log(high)))


KINDS = (
    Kind("fast", poisson(40, 120)),
    Kind("steady", poisson(5 * MINUTE, 30 * MINUTE)),
    Kind("slow pair", poisson(1 * HOUR, 5 * HOUR)),
    Kind("quiet pair", poisson(6 * HOUR, 16 * HOUR)),
    Kind("bursts", bursts),
    Kind("by day", by_day(3 * MINUTE, 12 * MINUTE, night=0.03)),
    Kind("day only", by_day(15 * MINUTE, 60 * MINUTE, night=0.0)),
    Kind("irregular", irregular),
    Kind("regular", regular),
    Kind("weekdays", weekly, is_steady=False),
    Kind("changed", changed, is_steady=False),
)
