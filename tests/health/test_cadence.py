"""How long a bot may be silent: laws that hold whatever it did, and what it learns from traders of known kinds."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health.rules.cadence import (
    STALE_CAP,
    STALE_FLOOR,
    STOPPED_CAP,
    STOPPED_FLOOR,
    Cadence,
    away_during,
    learn,
    learned_limits,
    suspicion,
)
from health.rules.daytime import DAY_S, DayClock, clock_of
from health.rules.regimes import begin_of_present
from health.rules.tails import tail_of, without_deaths

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
START = MONDAY.timestamp()
HOUR = 3600.0

lengths = st.lists(st.floats(130, 3 * DAY_S), min_size=8, max_size=60)
histories = lengths.map(lambda gaps: list(accumulate(gaps, initial=START)))
clocks = st.lists(st.floats(0.02, 5), min_size=24, max_size=24).map(
    lambda speeds: DayClock(tuple(speed * 24 / sum(speeds) for speed in speeds))
)
instants = st.floats(START, START + 30 * DAY_S)
periods = st.floats(1, 3650)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def limits_of(cadence: Cadence, since: float, days: float = 30) -> tuple[float, float]:
    """(stale, stopped) in seconds."""
    found = learned_limits(cadence.profile, last_trade_at=at(since), now=at(since), days_between_false_alarms=days)
    assert found is not None
    return found.stale.total_seconds(), found.stopped.total_seconds()


def poisson(mean_s: float, days: float, *, seed: int = 1, start: float = START) -> list[float]:
    random, now, found = Random(seed), start, []
    while now < start + days * DAY_S:
        found.append(now)
        now += random.expovariate(1 / mean_s)
    return found


@given(histories, st.floats(0, 5 * DAY_S), st.floats(0, 5 * DAY_S))
def test_more_silence_never_lowers_suspicion(moments, one, other):
    cadence = learn(moments)
    if cadence.is_enough:
        short, long = (
            suspicion(cadence.profile, last_trade_at=at(moments[-1]), now=at(moments[-1] + silence))
            for silence in sorted((one, other))
        )
        assert long >= short >= 0


@given(histories, instants, st.floats(0, 5 * DAY_S), periods)
def test_a_later_trade_never_makes_a_silence_too_long_sooner(moments, since, later, days):
    cadence = learn(moments)
    if cadence.is_enough:
        first, second = limits_of(cadence, since, days), limits_of(cadence, since + later, days)
        for before, after in zip(first, second, strict=True):
            assert since + before <= since + later + after + 1e-3


@given(histories, instants, periods, periods)
def test_fewer_false_alarms_take_more_patience_and_stale_comes_before_stopped(moments, since, one, other):
    cadence = learn(moments)
    if cadence.is_enough:
        often, seldom = (limits_of(cadence, since, days) for days in sorted((one, other)))
        assert often[1] <= seldom[1] + 1e-3
        for stale, stopped in (often, seldom):
            assert STALE_FLOOR.total_seconds() <= stale <= STALE_CAP.total_seconds() and stale <= stopped
            assert STOPPED_FLOOR.total_seconds() <= stopped <= STOPPED_CAP.total_seconds()


@given(lengths.map(sorted), st.floats(0.01, 1000), st.floats(math.log(1e-6), -0.1))
@settings(max_examples=50)
def test_a_bot_twice_as_slow_is_given_twice_the_time(gaps, factor, log_beyond):
    (one, dead), (other, dead_too) = (
        without_deaths([gap * by for gap in gaps], most=2 if len(gaps) > 20 else 0) for by in (1, factor)
    )
    assert dead == dead_too
    assert other.length_at(log_beyond) == pytest.approx(one.length_at(log_beyond) * factor, rel=1e-6)


@given(histories)
def test_learns_the_same_from_the_same_trades_wherever_in_time_and_through_json(moments):
    cadence = learn(moments)
    assert learn(list(moments)) == cadence
    weeks_later = learn([moment + 7 * DAY_S for moment in moments])
    assert weeks_later.is_enough == cadence.is_enough
    if cadence.is_enough:
        kept = Cadence(True, cadence.note, profile=json.loads(json.dumps(cadence.profile)))
        assert limits_of(kept, moments[-1]) == limits_of(cadence, moments[-1])
        assert cadence.note and len(cadence.note) < 300
        assert limits_of(weeks_later, moments[-1]) == pytest.approx(limits_of(cadence, moments[-1]), rel=1e-3, abs=1)


@given(st.lists(st.floats(0.5, 1e6), max_size=80))
def test_finds_the_present_in_any_history(gaps):
    begins = begin_of_present(gaps)
    assert begins == 0 or 6 <= begins <= len(gaps) - 6


@given(clocks, instants, st.floats(0, 10 * DAY_S))
def test_the_clock_of_the_day_runs_forward_and_back_and_keeps_whole_days(clock, since, lasts):
    assert clock.elapsed(since, since + DAY_S) == pytest.approx(DAY_S)
    assert clock.elapsed(since, clock.when(since, lasts)) == pytest.approx(lasts, abs=1e-3)
    assert clock.when(since, lasts) >= since - 1e-3


@given(st.lists(st.tuples(st.floats(1, 5 * DAY_S), st.floats(0, DAY_S)), max_size=20))
def test_a_clock_has_24_speeds_above_zero_and_one_on_average(steps):
    now, gaps = START, []
    for length, pause in steps:
        gaps.append((now + pause, now + pause + length))
        now += pause + length
    shape = clock_of(gaps).shape
    assert len(shape) == 24 and min(shape) > 0 and sum(shape) == pytest.approx(24)


@pytest.mark.parametrize(
    ("mean_s", "days"), [(600, 7), (3600, 28), (4 * HOUR, 28), (10 * HOUR, 28)], ids=lambda value: str(value)
)
def test_gives_a_memoryless_trader_nearly_the_time_that_theory_gives_it(mean_s, days):
    ideal = mean_s * math.log(30 * DAY_S / mean_s)
    found = [limits_of(learn(poisson(mean_s, days, seed=seed)), START + 40 * DAY_S)[1] for seed in range(20)]
    assert 0.85 < sum(found) / len(found) / ideal < 1.35
    assert min(found) / ideal > 0.55 and max(found) / ideal < 2.2


def test_lets_the_night_pass_for_a_bot_that_trades_by_day():
    random = Random(3)
    moments = [
        moment for moment in poisson(300, 21, seed=3) if 8 <= (moment % DAY_S) / HOUR < 18 or random.random() < 0.01
    ]
    cadence = learn(moments)
    noon, evening = (limits_of(cadence, START + 30 * DAY_S + hour * HOUR)[1] / HOUR for hour in (11, 17.9))
    assert noon < 2.5 and 10 < evening < 17


def test_notices_a_fast_bot_within_minutes_and_leaves_a_quiet_one_in_peace():
    fast = learn(poisson(20, 2)[::8])
    quiet = learn(poisson(8 * HOUR, 28))
    assert limits_of(fast, START)[1] <= 900
    stale, stopped = limits_of(quiet, START)
    assert stale > 8 * HOUR and 30 * HOUR < stopped <= 72 * HOUR


def test_is_not_poisoned_by_deaths_in_its_history():
    moments = poisson(600, 14)
    dead = [(START + day * DAY_S, START + day * DAY_S + hours * HOUR) for day, hours in ((3, 20), (6, 9), (9, 30))]
    survived = [moment for moment in moments if not any(begin < moment < end for begin, end in dead)]
    clean, poisoned = learn(moments), learn(survived)
    assert poisoned.note.count("3 of them too long for a living bot and left out") == 1
    assert limits_of(poisoned, START)[1] == pytest.approx(limits_of(clean, START)[1], rel=0.15)
    assert poisoned.longest_gap_s < 3 * HOUR


def test_leaves_gaps_out_in_which_it_was_started_or_its_exchange_was_silent():
    moments = [START + n * HOUR for n in range(60)]
    hole = [moment for moment in moments if not 20.5 < (moment - START) / HOUR < 30]
    begin, end = START + 20 * HOUR, START + 30 * HOUR
    assert "1 of them too long for a living bot and left out" in learn(hole).note
    for told in ({"breaks": [end - 60]}, {"outages": [(begin + 600, end - 600)]}):
        assert learn(hole, **told).longest_gap_s == HOUR and "left out" not in learn(hole, **told).note


def test_adapts_to_a_new_interval_in_both_directions():
    fast, slow = 300.0, 2 * HOUR
    slower = poisson(fast, 10, seed=5) + poisson(slow, 3, seed=6, start=START + 10 * DAY_S)
    faster = poisson(slow, 20, seed=7) + poisson(fast, 2, seed=8, start=START + 20 * DAY_S)
    assert limits_of(learn(slower), START)[1] > 6 * HOUR
    assert limits_of(learn(faster), START)[1] < 2 * HOUR


def test_believes_two_long_gaps_of_late_before_it_can_tell_how_slow_a_bot_became():
    moments = poisson(300, 10, seed=5)
    moments += [moments[-1] + 3 * HOUR, moments[-1] + 6 * HOUR]
    assert limits_of(learn(moments), START)[1] >= 5.9 * HOUR


def test_forgives_a_bot_that_trades_like_clockwork_one_beat_left_out():
    moments = [START + n * HOUR for n in range(200)]
    stale, stopped = limits_of(learn(moments), START)
    assert stale > HOUR and 2 * HOUR < stopped < 4 * HOUR


@pytest.mark.parametrize("profile", [{}, {"version": 0, "hours": []}])
def test_tells_nothing_from_a_profile_that_says_nothing(profile):
    assert learned_limits(profile, last_trade_at=MONDAY, now=MONDAY, days_between_false_alarms=30) is None


def test_says_in_a_sentence_what_is_normal_and_does_not_count_an_outage():
    cadence = learn(poisson(HOUR, 20))
    away = timedelta(hours=5)
    plain, forgiving = (
        learned_limits(cadence.profile, last_trade_at=MONDAY, now=MONDAY, days_between_false_alarms=30, away=more)
        for more in (timedelta(0), away)
    )
    assert plain and forgiving and forgiving.stopped == plain.stopped + away and forgiving.stale == plain.stale + away
    assert plain.why.startswith("quiet is normal here: longest gap this week ")
    assert plain.why.endswith("is expected once in 30 days")


def test_counts_what_of_an_outage_lies_within_the_silence():
    hours = [MONDAY + timedelta(hours=n) for n in range(10)]
    spells = ((hours[0], hours[2]), (hours[3], hours[4]), (hours[8], hours[9]))
    assert away_during(spells, since=hours[1], now=hours[6]) == timedelta(hours=2)
    assert away_during(spells, since=None, now=hours[6]) == timedelta(0)


def test_keeps_a_table_that_rises():
    tail = tail_of(sorted(poisson_gap for poisson_gap in (b - a for a, b in pairwise(poisson(100, 1)))))
    assert all(a[0] > b[0] and a[1] < b[1] for a, b in pairwise(tail.rows)) and len(tail.rows) < 60
