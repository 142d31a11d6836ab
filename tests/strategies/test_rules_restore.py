"""Plans of restore runs: who comes back, in which order, how far apart, and what is never touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from strategies.rules.restore import (
    GIVES_UP_AFTER,
    LETS_GO_AHEAD,
    UNSETTLED,
    Candidate,
    Found,
    PlannedStep,
    RestoreAction,
    RestoreOutcome,
    Standing,
    advance,
    is_over,
    plan_restore,
    turns_again,
)

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SPACING = timedelta(seconds=2)

candidates = st.lists(
    st.builds(
        Candidate,
        bot_id=st.integers(0, 10**6).map(lambda number: UUID(int=number)),
        found=st.sampled_from(Found),
        started_at=st.integers(0, 1000).map(lambda hours: NOW - timedelta(hours=hours)),
        open_positions=st.integers(0, 2),
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.bot_id,
)


def candidate(number: int, found: Found = Found.DOWN, *, hours: int = 1, positions: int = 0) -> Candidate:
    return Candidate(UUID(int=number), found, NOW - timedelta(hours=hours), positions)


def order(steps: list[PlannedStep]) -> list[int]:
    return [step.bot_id.int for step in steps]


def standing(step: PlannedStep, found: Found | None, outcome: RestoreOutcome = RestoreOutcome.PENDING) -> Standing:
    return Standing(step.bot_id, step.action, outcome, step.due_at, found)


def test_those_with_open_positions_come_first_and_then_those_that_ran_longest() -> None:
    steps = plan_restore(
        [candidate(1, hours=9), candidate(2, hours=1, positions=1), candidate(3, hours=5), candidate(4, positions=2)],
        spacing=SPACING,
        at=NOW,
    )
    assert order(steps) == [2, 4, 1, 3]
    assert [step.due_at for step in steps] == [NOW, NOW + SPACING, NOW + 2 * SPACING, NOW + 3 * SPACING]


def test_what_runs_is_adopted_what_is_under_way_is_awaited_and_what_is_quarantined_is_left() -> None:
    steps = plan_restore(
        [
            candidate(1, Found.QUARANTINED),
            candidate(2, Found.DOWN),
            candidate(3, Found.UNDER_WAY),
            candidate(4, Found.RUNNING),
        ],
        spacing=SPACING,
        at=NOW,
    )
    assert [(step.bot_id.int, str(step.action)) for step in steps] == [
        (4, "adopt"), (3, "watch"), (2, "deploy"), (1, "skip")
    ]  # fmt: skip
    assert {step.due_at for step in steps} == {NOW}, "only new deployments take turns"


@given(candidates, st.randoms())
def test_plan_is_the_same_whichever_order_the_facts_come_in(found: list[Candidate], luck: object) -> None:
    shuffled = list(found)
    luck.shuffle(shuffled)  # type: ignore[attr-defined]
    first = plan_restore(found, spacing=SPACING, at=NOW)
    assert first == plan_restore(shuffled, spacing=SPACING, at=NOW)
    assert sorted(order(first)) == sorted(c.bot_id.int for c in found), "each once"
    turns = [step.due_at for step in first if step.action == RestoreAction.DEPLOY]
    assert all(later - earlier >= SPACING for earlier, later in zip(turns, turns[1:], strict=False))


def test_nothing_is_let_go_before_its_positions_and_orders_were_looked_at() -> None:
    first, second = (
        standing(step, Found.DOWN) for step in plan_restore([candidate(1), candidate(2)], spacing=SPACING, at=NOW)
    )
    assert advance([first, second], ready=frozenset(), spacing=SPACING, now=NOW) == []
    (change,) = advance([first, second], ready=frozenset([second.bot_id]), spacing=SPACING, now=NOW + SPACING)
    assert (change.bot_id, change.outcome) == (second.bot_id, RestoreOutcome.RELEASED)


def test_stopped_meanwhile_is_never_let_go_and_keeps_nobody_waiting() -> None:
    steps = plan_restore([candidate(1), candidate(2, hours=0)], spacing=timedelta(minutes=10), at=NOW)
    rows = [standing(steps[0], Found.DOWN), standing(steps[1], None)]
    changes = {c.bot_id.int: c.outcome for c in advance(rows, ready=_all(rows), spacing=SPACING, now=NOW)}
    assert changes == {1: RestoreOutcome.RELEASED, 2: RestoreOutcome.STOPPED}
    late = replace(rows[1], outcome=RestoreOutcome.STOPPED)
    third = standing(PlannedStep(UUID(int=3), 3, RestoreAction.DEPLOY, NOW), Found.DOWN)
    (change,) = advance([late, third], ready=_all([third]), spacing=SPACING, now=NOW)
    assert change.due_at == NOW, "a turn that was not used takes no time"


def test_what_was_awaited_and_is_found_down_takes_a_turn() -> None:
    (step,) = plan_restore([candidate(1, Found.UNDER_WAY)], spacing=SPACING, at=NOW)
    row = standing(step, Found.UNDER_WAY)
    assert advance([row], ready=_all([row]), spacing=SPACING, now=NOW) == []
    row = replace(row, found=Found.DOWN)
    (change,) = advance([row], ready=_all([row]), spacing=SPACING, now=NOW)
    assert (change.action, change.outcome) == (RestoreAction.DEPLOY, RestoreOutcome.RELEASED)


@given(candidates, st.data())
def test_turns_keep_their_distance_however_late_the_looks_come(found: list[Candidate], data: st.DataObject) -> None:
    plan = plan_restore(found, spacing=SPACING, at=NOW)
    by_bot = {c.bot_id: c.found for c in found}
    rows = {step.bot_id: standing(step, by_bot[step.bot_id]) for step in plan}
    turns: list[datetime] = []
    now = NOW
    for _ in range(12):
        now += timedelta(seconds=data.draw(st.sampled_from([0, 1, 2, 7, 90])))
        for bot_id, row in rows.items():
            seen = data.draw(st.sampled_from([row.found, row.found, Found.DOWN, Found.RUNNING, None]))
            rows[bot_id] = replace(row, found=seen)
        ready = frozenset(bot_id for bot_id in rows if data.draw(st.booleans()))
        for change in advance(list(rows.values()), ready=ready, spacing=SPACING, now=now):
            before = rows[change.bot_id]
            assert before.outcome in UNSETTLED, "an outcome stands"
            if change.outcome == RestoreOutcome.RELEASED:
                assert before.outcome == RestoreOutcome.PENDING, "let go once"
                assert before.found == Found.DOWN and change.bot_id in ready
                assert now <= change.due_at <= now + LETS_GO_AHEAD
                turns.append(change.due_at)
            rows[change.bot_id] = replace(before, action=change.action, outcome=change.outcome, due_at=change.due_at)
        again = advance(list(rows.values()), ready=ready, spacing=SPACING, now=now)
        assert again == [], "a second run is empty"
    turns.sort()
    assert all(later - earlier >= SPACING for earlier, later in zip(turns, turns[1:], strict=False))


def test_hummingbot_that_goes_away_in_the_middle_gives_everybody_down_a_new_turn() -> None:
    steps = plan_restore([candidate(1), candidate(2, hours=0), candidate(3, Found.RUNNING)], spacing=SPACING, at=NOW)
    rows = [
        standing(steps[1], Found.DOWN, RestoreOutcome.RELEASED),
        standing(steps[2], Found.DOWN),
        standing(steps[0], Found.RUNNING, RestoreOutcome.RESTORED),
    ]
    later = NOW + timedelta(minutes=5)
    again = turns_again(rows, spacing=SPACING, now=later)
    assert [(c.bot_id.int, c.due_at, c.outcome) for c in again] == [
        (1, later, RestoreOutcome.PENDING), (2, later + SPACING, RestoreOutcome.PENDING)
    ]  # fmt: skip


def test_run_is_over_when_all_is_settled_or_when_it_has_waited_long_enough() -> None:
    (step,) = plan_restore([candidate(1)], spacing=SPACING, at=NOW)
    released = standing(step, Found.DOWN, RestoreOutcome.RELEASED)
    assert not is_over([released], now=NOW + GIVES_UP_AFTER - SPACING)
    assert is_over([released], now=NOW + GIVES_UP_AFTER)
    assert is_over([replace(released, outcome=RestoreOutcome.QUARANTINED)], now=NOW)
    assert is_over([], now=NOW)


def _all(rows: list[Standing]) -> frozenset[UUID]:
    return frozenset(row.bot_id for row in rows)
