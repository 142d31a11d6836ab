"""``bin/bench cadence``: learned limits beside the fixed ones, on a fleet whose truth is known.

The product's own ``judge``, ``learn`` and ``learned_limits`` in simulated time: no database, no clock, no exchange. A check
every five minutes, cadences learned anew each day and whenever a bot that was called stopped traded on.
"""

from __future__ import annotations

import math
import statistics
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.api import say
from bench.cadence_fleet import DAY, KINDS, Kind, Life, live
from bots.rules.words import DesiredStatus, HealthStatus, RuntimeKind
from health.rules.cadence import away_during, learn, learned_limits
from health.rules.limits import limits_of_bot
from health.rules.verdict import judge
from health.types import Evidence, Limits, Run, TradesOutcome, TradesSeen

CHECK_EVERY = 300.0
HISTORY_DAYS = 28.0
MOMENTS, APART = 2000, 120.0  # as health/services/learn_cadence.py reads them
LEARN_EVERY = DAY
FIXED = Limits(timedelta(minutes=30), timedelta(minutes=120), timedelta(minutes=15))
RUN = Run(RuntimeKind.EXTERNAL, DesiredStatus.RUNNING)
PROMISE_DAYS = 30.0
SHORTEST = 240.0  # a silence that is shorter, clocks being two minutes apart at most, alarms nobody under either rule
RULES = ("fixed", "learned")


@dataclass
class Tally:
    """What one rule did to some bots."""

    alive_days: float = 0.0
    deaths: int = 0
    missed: int = 0
    unheard: int = 0  # deaths of bots that had been called stopped wrongly, and so told nobody anything
    false_alarms: int = 0
    minutes: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.alive_days += other.alive_days
        self.deaths += other.deaths
        self.missed += other.missed
        self.unheard += other.unheard
        self.false_alarms += other.false_alarms
        self.minutes += other.minutes

    def figures(self) -> dict[str, Any]:
        months = self.alive_days / 30
        low, high = poisson_interval(self.false_alarms)
        return {
            "deaths": self.deaths, "missed": self.missed, "unheard": self.unheard,
            "false_alarms": self.false_alarms, "bot_months": round(months, 1),
            "false_alarms_a_month": round(self.false_alarms / months, 3),
            "interval_95": [round(low / months, 3), round(high / months, 3)],
            "median_minutes": _rounded(self.minutes, 0.5), "p90_minutes": _rounded(self.minutes, 0.9),
        }  # fmt: skip


class Watch:
    """One bot under one rule."""

    def __init__(self, life: Life, *, learns: bool) -> None:
        self.life, self.learns = life, learns
        self.seen = [at + life.skew for at in life.trades]
        self.profile: dict[str, Any] = {}
        self.learned_at = -math.inf
        self.tally = Tally()
        self.breaks: list[float] = []
        self.away = [(self._check_after(begin), self._check_after(end)) for begin, end in life.outages]

    def go(self) -> Tally:
        life = self.life
        first = bisect_left(life.trades, life.watched_from)
        deaths = sorted((death for death in life.deaths if death.at >= life.watched_from), key=lambda death: death.at)
        for place in range(max(first, 1), len(life.trades) + 1):
            since = life.trades[place - 1]
            until = life.trades[place] if place < len(life.trades) else life.until
            if until - since < SHORTEST:
                continue
            self._silence(place, since, until, [death for death in deaths if since <= death.at < until])
        dead = sum(death.until - death.at for death in deaths)
        self.tally.alive_days = (life.until - life.watched_from - dead) / DAY
        return self.tally

    def _silence(self, place: int, since: float, until: float, deaths: Sequence[Any]) -> None:
        if self.learns and since - self.learned_at >= LEARN_EVERY:
            self._learn(place, since)
        called = self._first_stopped(place, since, until)
        if not deaths:
            if called is not None:
                self.tally.false_alarms += 1
                if self.learns and place < len(self.life.trades):
                    self._learn(place + 1, until)
            return
        death = deaths[0]
        self.tally.deaths += 1
        if called is None or called >= death.until:
            self.tally.missed += 1
        elif called < death.at:
            self.tally.false_alarms += 1
            self.tally.unheard += 1
        else:
            self.tally.minutes.append((called - death.at) / 60)
        if death.is_told:
            self.breaks.append(death.until)

    def _learn(self, count: int, now: float) -> None:
        moments = newest_moments(self.seen, count)
        outages = [(begin, end) for begin, end in self.life.outages if end <= now]
        self.profile = learn(moments, breaks=self.breaks, outages=outages).profile
        self.learned_at = now

    def _first_stopped(self, place: int, since: float, until: float) -> float | None:
        """The first check of this silence that calls the bot stopped. More silence never takes that back."""
        first = math.ceil((since - self.life.watched_from) / CHECK_EVERY)
        ticks = range(first, math.ceil((until - self.life.watched_from) / CHECK_EVERY))
        checks = [at for tick in ticks if not self._is_out(at := self.life.watched_from + tick * CHECK_EVERY)]
        if not checks or not self._is_stopped(place, checks[-1]):
            return None
        return checks[bisect_left(checks, True, key=lambda at: self._is_stopped(place, at))]

    def _check_after(self, at: float) -> datetime:
        """The first check from this moment on: the one that finds out."""
        number = math.ceil((at - self.life.watched_from) / CHECK_EVERY)
        return datetime.fromtimestamp(self.life.watched_from + number * CHECK_EVERY, UTC)

    def _is_out(self, at: float) -> bool:
        outages = self.life.outages
        place = bisect_right(outages, (at, math.inf)) - 1
        return place >= 0 and at < outages[place][1]

    def _is_stopped(self, place: int, at: float) -> bool:
        now = datetime.fromtimestamp(at, UTC)
        newest = min(datetime.fromtimestamp(self.seen[place - 1], UTC), now)
        learned = (
            learned_limits(
                self.profile,
                last_trade_at=newest,
                now=now,
                days_between_false_alarms=PROMISE_DAYS,
                away=away_during(self.away, since=newest, now=now),
            )
            if self.learns
            else None
        )
        limits = limits_of_bot(FIXED, stale_minutes=None, stopped_minutes=None, learned=learned)
        evidence = Evidence(run=RUN, trades=TradesSeen(TradesOutcome.READ, newest_at=newest, count=1, asked_at=now))
        return judge(evidence=evidence, limits=limits, now=now).status == HealthStatus.STOPPED


def newest_moments(trades: Sequence[float], count: int) -> list[float]:
    """Of the first ``count`` trades the newest moments, as the service takes them from the ledger."""
    if not count:
        return []
    moments = [trades[count - 1]]
    oldest = moments[0] - HISTORY_DAYS * DAY
    while len(moments) < MOMENTS:
        place = bisect_right(trades, moments[-1] - APART, 0, count)
        if not place or trades[place - 1] < oldest:
            break
        moments.append(trades[place - 1])
    return moments[::-1]


def run(*, quick: bool, only: str = "", seed: int = 1, **_: Any) -> dict[str, Any]:
    """The whole simulation; the answer is what its last line holds. ``only``: a part of a kind's name."""
    bots, days = (4, 45.0) if quick else (24, 120.0)
    began = time.monotonic()
    kinds = [kind for kind in KINDS if only in kind.name]
    found = {}
    say(f"{bots} bots of each kind, watched for {days:.0f} days; promised: one false alarm in {PROMISE_DAYS:.0f} days")
    say(HEAD)
    for kind in kinds:
        found[kind.name] = _measured(kind, bots=bots, days=days, seed=seed)
        tell(kind.name, found[kind.name])
    whole = {rule: _sum(found[kind.name][rule] for kind in kinds) for rule in RULES}
    steady = {rule: _sum(found[kind.name][rule] for kind in kinds if kind.is_steady) for rule in RULES}
    tell("all", whole)
    tell("all but the last two" if not only else "steady", steady)
    say(f"took {time.monotonic() - began:.0f} s")
    return {
        "bench": "cadence", "seed": seed, "bots_of_each_kind": bots, "days": days, "promised_a_month": 30 / PROMISE_DAYS,
        "kinds": {name: {rule: tallies[rule].figures() for rule in RULES} for name, tallies in found.items()},
        "all": {rule: whole[rule].figures() for rule in RULES},
        "steady": {rule: steady[rule].figures() for rule in RULES},
    }  # fmt: skip


def _measured(kind: Kind, *, bots: int, days: float, seed: int) -> dict[str, Tally]:
    tallies = {rule: Tally() for rule in RULES}
    for number in range(bots):
        life = live(kind, number, seed=seed, history_days=HISTORY_DAYS, watched_days=days)
        for rule in RULES:
            tallies[rule].add(Watch(life, learns=rule == "learned").go())
    return tallies


def _sum(tallies: Iterable[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        whole.add(tally)
    return whole


HEAD = (
    f"{'':20} {'':7} {'deaths':>6} {'missed':>6} {'unheard':>7} {'false alarms a bot-month':>25}"
    f" {'minutes to notice: median':>26} {'p90':>5}"
)


def tell(name: str, tallies: dict[str, Tally]) -> None:
    """For people: both rules, one above the other."""
    for rule in RULES:
        found = tallies[rule].figures()
        low, high = found["interval_95"]
        alarms = f"{found['false_alarms_a_month']:.2f} ({low:.2f} to {high:.2f})"
        median, p90 = (
            "-" if found[name] is None else f"{found[name]:.0f}" for name in ("median_minutes", "p90_minutes")
        )
        say(f"{name if rule == 'fixed' else '':20} {rule:7} {found['deaths']:>6} {found['missed']:>6} {found['unheard']:>7} "
            f"{alarms:>25} {median:>26} {p90:>5}")  # fmt: skip


def poisson_interval(count: int) -> tuple[float, float]:
    """The 95 % interval of the mean of a Poisson variable that was ``count`` (Wilson and Hilferty's approximation)."""
    low = count * (1 - 1 / (9 * count) - 1.96 / (3 * math.sqrt(count))) ** 3 if count else 0.0
    more = count + 1
    return low, more * (1 - 1 / (9 * more) + 1.96 / (3 * math.sqrt(more))) ** 3


def _rounded(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    if share == 0.5:
        return round(statistics.median(values), 1)
    return round(sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)], 1)
