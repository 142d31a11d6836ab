"""The simulation behind the figures in docs/health.md, on a very small fleet."""

from __future__ import annotations

from bench.cadence import Tally, Watch, newest_moments
from bench.cadence_fleet import KINDS, live


def watched(kind: str, *, learns: bool, seed: int = 3) -> Tally:
    [found] = [one for one in KINDS if one.name == kind]
    tally = Tally()
    for number in range(3):
        tally.add(Watch(live(found, number, seed=seed, history_days=28, watched_days=40), learns=learns).go())
    return tally


def test_gives_the_same_figures_for_the_same_seed() -> None:
    assert watched("bursts", learns=True) == watched("bursts", learns=True) != watched("bursts", learns=True, seed=4)


def test_learned_limits_cry_wolf_far_less_on_quiet_pairs_and_miss_nothing() -> None:
    fixed, learned = watched("slow pair", learns=False), watched("slow pair", learns=True)
    assert fixed.false_alarms > 50 * max(1, learned.false_alarms)
    assert learned.deaths == fixed.deaths > 0 == learned.missed


def test_learned_limits_notice_the_death_of_a_fast_bot_in_minutes() -> None:
    fixed, learned = watched("fast", learns=False), watched("fast", learns=True)
    assert min(fixed.minutes) >= 115 and max(learned.minutes) < 40 and learned.false_alarms <= fixed.false_alarms


def test_takes_moments_as_the_service_does() -> None:
    trades = [0.0, 100.0, 130.0, 260.0, 300.0, 600.0]
    assert newest_moments(trades, 6) == [0.0, 130.0, 300.0, 600.0]
    assert newest_moments(trades, 3) == [0.0, 130.0] and newest_moments(trades, 0) == []
