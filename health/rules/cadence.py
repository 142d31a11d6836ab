"""How often a bot trades, learned from its own trades, and how long it may be silent before it is doubted.

An accrual failure detector in the spirit of Hayashibara and others (2004): the suspicion of a silence is how rarely a
living bot is silent for longer. ``learn`` makes a profile of the gaps between trades, ``learned_limits`` turns it into
limits at which a bot that lives is called stopped once in so many days. ``docs/health.md`` has the formulae.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from health.rules.daytime import DAY_S, DayClock, clock_of
from health.rules.regimes import begin_of_present
from health.rules.tails import Tail, without_deaths
from health.rules.words import span
from health.types import LearnedLimits

FEWEST_GAPS = 8
SHORTEST_HISTORY = timedelta(days=1)
STALE_FLOOR, STOPPED_FLOOR = timedelta(minutes=5), timedelta(minutes=10)
STALE_CAP, STOPPED_CAP = timedelta(days=2), timedelta(days=3)
STALE_SHARE = 1 / 20  # of the gaps of a bot that lives, at most so many are called stale, and at most one a day
MISSED_BEATS = 2.2  # a silence of fewer usual gaps than this is never called stopped: one may have been left out
MOST_DEATHS = 5
VERSION = 1


@dataclass(frozen=True, slots=True)
class Cadence:
    """What was learned. ``profile`` is what ``learned_limits`` reads, empty where ``is_enough`` is not."""

    is_enough: bool
    note: str
    gaps: int = 0
    since_at: float | None = None  # the first trade that was used, seconds since 1970
    longest_gap_s: float | None = None  # of the seven days before the newest trade
    profile: dict[str, Any] = field(default_factory=dict)


def learn(
    moments: Sequence[float], *, breaks: Sequence[float] = (), outages: Sequence[tuple[float, float]] = ()
) -> Cadence:
    """The cadence of a bot that traded at these moments (seconds since 1970, ascending).

    ``breaks``: when somebody started or stopped it; a gap with one inside tells nothing. ``outages``: when its exchange
    did not answer; a gap that is half of that or more tells nothing either.
    """
    gaps = _telling(moments, breaks, outages)
    gaps = gaps[begin_of_present([until - since for since, until in gaps]) :]
    missing = _missing(gaps)
    if missing:
        return Cadence(False, missing, len(gaps), gaps[0][0] if gaps else None)
    clock, lengths, tail, deaths = _fitted(gaps)
    living = _shortest(gaps, len(gaps) - deaths, lengths)
    days = sum(clock.elapsed(*gap) for gap in living) / DAY_S
    rate = len(living) / days
    usual = sorted(lengths)[len(lengths) // 2]
    rows = _stretched(tail.rows, lengths, rate=rate)
    longest = _longest_of_week(living)
    profile = {
        "version": VERSION, "per_day": float(f"{rate:.6g}"), "usual_s": float(f"{usual:.6g}"), "longest_s": round(longest),
        "hours": [round(speed, 4) for speed in clock.shape],
        "tail": [[round(log_beyond, 4), float(f"{length:.6g}")] for log_beyond, length in rows],
    }  # fmt: skip
    return Cadence(True, _note(living, deaths, longest), len(living), gaps[0][0], longest, profile)


def learned_limits(
    profile: Mapping[str, Any],
    *,
    last_trade_at: datetime | None,
    now: datetime,
    days_between_false_alarms: float,
    away: timedelta = timedelta(0),
) -> LearnedLimits | None:
    """How long the silence since ``last_trade_at`` may last; None where the profile tells nothing.

    ``last_trade_at``: the newest own trade, or the start where that is later; unknown: ``now``. The later it is, the
    later the silence is too long. ``away``: how much of this silence its exchange did not answer; it does not count.
    """
    if not profile or profile.get("version") != VERSION:
        return None
    clock, tail = DayClock(tuple(profile["hours"])), Tail(tuple((row[0], row[1]) for row in profile["tail"]))
    since = (last_trade_at or now).timestamp()
    stale_s, stopped_s = _lengths(profile, tail, days=days_between_false_alarms)
    stopped = _bounded(_wall(clock, since, stopped_s), STOPPED_FLOOR, STOPPED_CAP) + away
    stale = min(_bounded(_wall(clock, since, stale_s), STALE_FLOOR, STALE_CAP) + away, stopped)
    longest = span(timedelta(seconds=profile["longest_s"]))
    why = (
        f"quiet is normal here: longest gap this week {longest}; a silence of more than {span(stopped)} is expected "
        f"once in {days_between_false_alarms:g} days"
    )
    return LearnedLimits(stale=stale, stopped=stopped, why=why)


def away_during(spells: Sequence[tuple[datetime, datetime]], *, since: datetime | None, now: datetime) -> timedelta:
    """How much of the silence since then its exchange did not answer, by these spells (none overlaps another)."""
    if since is None:
        return timedelta(0)
    overlaps = (min(until, now) - max(begin, since) for begin, until in spells)
    return sum((length for length in overlaps if length > timedelta(0)), timedelta(0))


def suspicion(profile: Mapping[str, Any], *, last_trade_at: datetime, now: datetime) -> float:
    """How unlikely so long a silence is for this bot if it lives: 1 for one gap in ten, 2 for one in a hundred."""
    clock, tail = DayClock(tuple(profile["hours"])), Tail(tuple((row[0], row[1]) for row in profile["tail"]))
    silence = clock.elapsed(last_trade_at.timestamp(), max(now, last_trade_at).timestamp())
    return -tail.log_beyond(silence) / math.log(10)


def _lengths(profile: Mapping[str, Any], tail: Tail, *, days: float) -> tuple[float, float]:
    """(stale, stopped) in seconds of the bot's own clock."""
    per_day, usual = profile["per_day"], profile["usual_s"]
    stopped = max(tail.length_at(_log_share(1 / (per_day * days))), MISSED_BEATS * usual)
    stale = tail.length_at(_log_share(min(STALE_SHARE, 1 / (per_day * max(1.0, days / 30)))))
    return min(stale, stopped), stopped


def _log_share(share: float) -> float:
    return math.log(min(share, 1.0))


def _wall(clock: DayClock, since: float, lasts: float) -> timedelta:
    """How long ``lasts`` of the bot's clock are for everybody else; beyond the longest cap it does not matter."""
    return timedelta(seconds=clock.when(since, min(lasts, 30 * DAY_S)) - since)


def _bounded(length: timedelta, least: timedelta, most: timedelta) -> timedelta:
    return max(least, min(most, length))


def _telling(
    moments: Sequence[float], breaks: Sequence[float], outages: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    return [
        (since, until)
        for since, until in pairwise(moments)
        if until > since
        and not any(since < at <= until for at in breaks)
        and 2 * sum(max(0.0, min(until, end) - max(since, begin)) for begin, end in outages) < until - since
    ]


def _missing(gaps: Sequence[tuple[float, float]]) -> str:
    """What is missing to learn from these gaps, as a sentence; empty: nothing."""
    if len(gaps) < FEWEST_GAPS:
        counted = f"{len(gaps)} gap{'' if len(gaps) == 1 else 's'}"
        return f"Not enough history: {counted} between trades, {FEWEST_GAPS} are needed. The fixed limits hold."
    known = timedelta(seconds=gaps[-1][1] - gaps[0][0])
    if known < SHORTEST_HISTORY:
        return f"Not enough history: it reaches back {span(known)}, a day is needed. The fixed limits hold."
    return ""


def _fitted(gaps: Sequence[tuple[float, float]]) -> tuple[DayClock, list[float], Tail, int]:
    """The clock, the gaps' lengths on it in their order, the tail, and how many of the longest were deaths.

    Twice: the deaths that the first look finds are left out of the second look's clock.
    """
    most = min(MOST_DEATHS, len(gaps) // 10)
    clock = clock_of(gaps)
    lengths = [clock.elapsed(*gap) for gap in gaps]
    tail, deaths = without_deaths(sorted(lengths), most=most)
    if deaths:
        clock = clock_of(_shortest(gaps, len(gaps) - deaths, lengths))
        lengths = [clock.elapsed(*gap) for gap in gaps]
        tail, deaths = without_deaths(sorted(lengths), most=most)
    return clock, lengths, tail, deaths


def _shortest(gaps: Sequence[tuple[float, float]], count: int, lengths: Sequence[float]) -> list[tuple[float, float]]:
    """The ``count`` shortest gaps, in the order of time."""
    if count == len(gaps):
        return list(gaps)
    places = sorted(range(len(gaps)), key=lambda place: lengths[place])[:count]
    return [gaps[place] for place in sorted(places)]


def _stretched(
    rows: Sequence[tuple[float, float]], lengths: Sequence[float], *, rate: float
) -> list[tuple[float, float]]:
    """The tail, made longer where two of the last four gaps would have been taken for deaths: those are no accidents,
    the bot has become slower."""
    last = sorted(lengths[-4:])
    limit = Tail(tuple(rows)).length_at(_log_share(1 / (rate * 30)))
    factor = 2 * last[-1] / limit if last[-2] > limit else 1.0
    return [(log_beyond, length * factor) for log_beyond, length in rows]


def _longest_of_week(gaps: Sequence[tuple[float, float]]) -> float:
    week = gaps[-1][1] - 7 * DAY_S
    return max(until - since for since, until in gaps if until > week)


def _note(gaps: Sequence[tuple[float, float]], deaths: int, longest: float) -> str:
    known = span(timedelta(seconds=gaps[-1][1] - gaps[0][0]))
    left_out = f", {deaths} of them too long for a living bot and left out" if deaths else ""
    return (
        f"Learned from {len(gaps) + deaths} gaps between trades over {known}{left_out}; "
        f"the longest of its last seven days was {span(timedelta(seconds=longest))}."
    )
