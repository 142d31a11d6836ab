"""When a bot that should run and does not is deployed again: each case, and the laws of failures and waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.recovery import (
    MOST_FAILURES,
    RAN_WELL,
    Down,
    Move,
    Past,
    Situation,
    decide,
    spread_of,
    wait_after,
    what_is_down,
)
from bots.rules.words import DeploymentStatus, RuntimeStatus

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
S, R = DeploymentStatus, RuntimeStatus
MINUTE = timedelta(minutes=1)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def situation(status: DeploymentStatus | None, runtime: RuntimeStatus | None = None, **facts: object) -> Situation:
    return Situation(
        **{"deployment": status, "sequence": 3, "runtime": runtime, "runtime_since": ago(90), "looked_at": NOW, **facts}  # type: ignore[arg-type]
    )


DOWN: dict[str, tuple[Situation, Down | None]] = {
    "never deployed": (situation(None), Down.NOT_DEPLOYED),
    "failed": (situation(S.FAILED), Down.FAILED),
    "ended": (situation(S.ENDED), Down.ENDED),
    "on its way": (situation(S.WANTED), None),
    "its answer is looked up": (situation(S.UNKNOWN_OUTCOME), None),
    "being taken down": (situation(S.STOPPING, R.EXITED), None),
    "runs": (situation(S.LIVE, R.RUNNING), None),
    "starts": (situation(S.LIVE, R.STARTING), None),
    "silent: it may well trade": (situation(S.LIVE, R.IDLE), None),
    "its container has ended": (situation(S.LIVE, R.EXITED), Down.EXITED),
    "never reported": (situation(S.LIVE, R.FAILED), Down.NEVER_RAN),
    "its strategy has stopped": (situation(S.LIVE, R.STOPPED), Down.STOPPED),
    "its strategy has stopped only just": (situation(S.LIVE, R.STOPPED, runtime_since=ago(59)), None),
    "cannot be placed": (situation(S.LIVE, R.UNKNOWN), None),
    "nowhere for a minute": (situation(S.LIVE, R.UNKNOWN, nowhere_since=ago(60)), Down.NOWHERE),
    "nowhere only just": (situation(S.LIVE, R.UNKNOWN, nowhere_since=ago(59)), None),
    "nowhere, and it says that it lives": (
        situation(S.LIVE, R.UNKNOWN, nowhere_since=ago(90), last_heartbeat_at=ago(30)), None,
    ),
    "nowhere since its last heartbeat": (
        situation(S.LIVE, R.UNKNOWN, nowhere_since=ago(90), last_heartbeat_at=ago(91)), Down.NOWHERE,
    ),
    "Hummingbot is away": (situation(S.LIVE, R.EXITED, looked_at=None), None),
    "Hummingbot was last seen too long ago": (situation(S.FAILED, looked_at=ago(61)), None),
}  # fmt: skip


@pytest.mark.parametrize("case", DOWN)
def test_what_is_down(case: str) -> None:
    given_, down = DOWN[case]
    assert what_is_down(given_, NOW) == down


def counted(**facts: object) -> Past:
    return Past(**{"failures": 1, "counted_sequence": 3, "next_at": ago(1), **facts})  # type: ignore[arg-type]


MOVES: dict[str, tuple[Situation, Past | None, Move]] = {
    "a failure is counted before anything else": (situation(S.LIVE, R.EXITED), None, Move.NOTE),
    "and waited for": (situation(S.LIVE, R.EXITED), counted(next_at=NOW + MINUTE), Move.REST),
    "its container has ended": (situation(S.LIVE, R.EXITED), counted(), Move.REPLACE),
    "failed": (situation(S.FAILED), counted(), Move.DEPLOY),
    "never deployed": (situation(None, sequence=0), counted(counted_sequence=0), Move.DEPLOY),
    "it may live: stopped first": (situation(S.LIVE, R.STOPPED), counted(), Move.TAKE_DOWN),
    "nowhere: stopped first": (situation(S.LIVE, R.UNKNOWN, nowhere_since=ago(99)), counted(), Move.TAKE_DOWN),
    "a former container of it is still there": (situation(S.FAILED, is_leaving=True), counted(), Move.REST),
    "quarantined": (situation(S.FAILED), counted(quarantined_at=ago(9)), Move.REST),
    "refused at the first": (situation(S.FAILED, is_refused=True), None, Move.QUARANTINE),
    "one failure too many": (
        situation(S.FAILED), Past(failures=MOST_FAILURES - 1, counted_sequence=2), Move.QUARANTINE,
    ),
    "not one too many when it ran well": (
        situation(S.LIVE, R.EXITED, confirmed_at=NOW - RAN_WELL - timedelta(seconds=90)),
        Past(failures=MOST_FAILURES - 1, counted_sequence=2), Move.NOTE,
    ),
    "runs, but not for long": (situation(S.LIVE, R.RUNNING, confirmed_at=ago(60)), counted(), Move.REST),
    "runs well": (situation(S.LIVE, R.RUNNING, confirmed_at=ago(300)), counted(), Move.FORGET),
    "runs well, and nothing ever failed": (situation(S.LIVE, R.RUNNING, confirmed_at=ago(300)), None, Move.REST),
}  # fmt: skip


@pytest.mark.parametrize("case", MOVES)
def test_move(case: str) -> None:
    given_, past, move = MOVES[case]
    assert decide(situation=given_, past=past, now=NOW, spread=0).move is move


def test_time_that_a_restore_run_has_set_is_kept_and_any_other_is_a_wait_from_now() -> None:
    soon = NOW + timedelta(seconds=3)
    planned = decide(situation=situation(S.LIVE, R.EXITED), past=Past(next_at=soon, is_planned=True), now=NOW, spread=0)
    alone = decide(situation=situation(S.LIVE, R.EXITED), past=Past(next_at=soon), now=NOW, spread=0)
    assert (planned.next_at, alone.next_at) == (soon, NOW + timedelta(seconds=10))


def test_quarantine_says_what_was_refused_and_how_often_it_failed() -> None:
    refused = situation(S.FAILED, is_refused=True, message="Hummingbot refused: leverage must be at least 1.")
    assert decide(situation=refused, past=None, now=NOW, spread=0).reason == refused.message
    again = situation(S.LIVE, R.EXITED, explanation="Its container has ended.")
    past = Past(failures=4, counted_sequence=2)
    assert decide(situation=again, past=past, now=NOW, spread=0).reason == (
        "It failed 5 times in a row, and is left for a person: Its container has ended."
    )


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_waits_grow_from_ten_seconds_to_ten_minutes(failures: int, spread: float) -> None:
    wait, next_wait = wait_after(failures, spread=spread), wait_after(failures + 1, spread=0)
    assert timedelta() <= wait <= timedelta(minutes=10)
    assert wait < next_wait or next_wait == timedelta(minutes=10)
    assert failures == 0 or wait >= timedelta(seconds=10)


@given(st.lists(st.uuids(), min_size=100, max_size=100, unique=True), st.integers(0, 9))
def test_spread_is_the_same_for_the_same_and_scattered_over_many(bots: list[UUID], failures: int) -> None:
    spreads = [spread_of(bot, failures) for bot in bots]
    assert spreads == [spread_of(bot, failures) for bot in bots]
    assert all(0 <= spread <= 1 for spread in spreads)


def test_hundred_bots_that_fail_together_do_not_come_back_together() -> None:
    assert len({round(spread_of(uuid4(), 1), 1) for _ in range(100)}) >= 8


SITUATIONS = st.builds(
    Situation,
    deployment=st.sampled_from([None, *DeploymentStatus]),
    sequence=st.integers(0, 4),
    is_refused=st.booleans(),
    confirmed_at=st.sampled_from([None, ago(400), ago(20)]),
    runtime=st.sampled_from([None, *RuntimeStatus]),
    runtime_since=st.sampled_from([None, ago(90), ago(5)]),
    nowhere_since=st.sampled_from([None, ago(90), ago(5)]),
    is_leaving=st.booleans(),
    looked_at=st.sampled_from([None, NOW, ago(90)]),
)
PASTS = st.builds(
    Past,
    failures=st.integers(0, 6),
    counted_sequence=st.sampled_from([None, 0, 1, 2, 3, 4]),
    next_at=st.sampled_from([None, ago(5), NOW + MINUTE]),
    is_planned=st.booleans(),
    quarantined_at=st.sampled_from([None, ago(5)]),
)


@given(SITUATIONS, st.none() | PASTS)
def test_nothing_is_deployed_while_it_may_live_or_must_wait(given_: Situation, past: Past | None) -> None:
    decision = decide(situation=given_, past=past, now=NOW, spread=0.5)
    if decision.move in (Move.DEPLOY, Move.REPLACE, Move.TAKE_DOWN):
        assert past is not None and past.quarantined_at is None
        assert past.counted_sequence == given_.sequence, "each deployment's failure is counted once"
        assert past.next_at is None or past.next_at <= NOW
        assert not given_.is_leaving and given_.looked_at == NOW
    if decision.move is Move.DEPLOY:
        assert given_.deployment in (None, S.FAILED, S.ENDED)
    if decision.move is Move.REPLACE:
        assert given_.runtime in (R.EXITED, R.ABSENT)


@given(SITUATIONS, st.none() | PASTS)
def test_noting_a_failure_twice_counts_it_once(given_: Situation, past: Past | None) -> None:
    first = decide(situation=given_, past=past, now=NOW, spread=0.5)
    if first.move not in (Move.NOTE, Move.QUARANTINE):
        return
    noted = Past(
        failures=first.failures,
        counted_sequence=given_.sequence,
        next_at=first.next_at,
        quarantined_at=NOW if first.move is Move.QUARANTINE else None,
    )
    second = decide(situation=replace(given_), past=noted, now=NOW, spread=0.5)
    assert second.move not in (Move.NOTE, Move.QUARANTINE)
