"""The plan for one deployment: the right next step, nothing once it is there, and one deploy call in its life."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.reconcile import LOOKUP_WAITS_S, Deployment, Step, Wish, lookup_wait, plan, retry_wait
from bots.rules.words import DeploymentStatus, DesiredStatus, RuntimeStatus, TemplateKind
from bots.types import Observation

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN, REST = Wish(DesiredStatus.RUNNING, NOW), Wish(DesiredStatus.STOPPED, NOW)


def row(status: DeploymentStatus, **facts: object) -> Deployment:
    return Deployment(status=status, **facts)  # type: ignore[arg-type]


def seen(status: RuntimeStatus, *, ago_s: float = 0, misses: int = 0) -> Observation:
    return Observation(status, "", NOW - timedelta(seconds=ago_s), misses)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


S, R = DeploymentStatus, RuntimeStatus
PREPARE = [Step.SYNC_CREDENTIALS, Step.SAVE_CONFIG, Step.DEPLOY]
TABLE: dict[str, tuple[Wish, Deployment, Observation | None, list[Step]]] = {
    "wanted": (RUN, row(S.WANTED), None, PREPARE),
    "wanted, then stopped before anything was sent": (REST, row(S.WANTED), None, [Step.END]),
    "whoever sent it is gone": (RUN, row(S.SENDING, sent_at=ago(100)), None, [Step.LOOK_UP]),
    "answer lost": (RUN, row(S.UNKNOWN_OUTCOME, sent_at=ago(1)), None, [Step.LOOK_UP]),
    "answer lost, and stopped": (REST, row(S.UNKNOWN_OUTCOME, sent_at=ago(1)), None, [Step.LOOK_UP]),
    "no trace three times": (RUN, row(S.UNKNOWN_OUTCOME, clean_lookups=3), None, [Step.LOOK_UP]),
    "no trace for a minute": (RUN, row(S.UNKNOWN_OUTCOME, clean_lookups=4), None, [Step.GIVE_UP]),
    "live, not seen yet": (RUN, row(S.LIVE), None, []),
    "live, starting": (RUN, row(S.LIVE), seen(R.STARTING), []),
    "live, seen running": (RUN, row(S.LIVE), seen(R.RUNNING), [Step.CONFIRM]),
    "confirmed": (RUN, row(S.LIVE, confirmed_at=ago(9)), seen(R.RUNNING), []),
    "exited by itself: its recovery decides": (RUN, row(S.LIVE, confirmed_at=ago(9)), seen(R.EXITED), []),
    "stopped by hand: its recovery decides": (RUN, row(S.LIVE, confirmed_at=ago(9)), seen(R.STOPPED), []),
    "to stop": (REST, row(S.LIVE, confirmed_at=ago(9)), seen(R.RUNNING), [Step.SEND_STOP]),
    "to stop, before it was seen": (REST, row(S.LIVE), None, [Step.SEND_STOP]),
    "to stop, and it has exited": (REST, row(S.LIVE), seen(R.EXITED), [Step.END]),
    "stop could not be sent": (REST, row(S.STOPPING), seen(R.RUNNING), [Step.SEND_STOP]),
    "stop sent, still running": (REST, row(S.STOPPING, stop_sent_at=ago(5)), seen(R.RUNNING), []),
    "stop sent, running on": (REST, row(S.STOPPING, stop_sent_at=ago(31)), seen(R.RUNNING), [Step.SEND_STOP]),
    "stop sent, silent": (REST, row(S.STOPPING, stop_sent_at=ago(31)), seen(R.IDLE), []),
    "stop in vain": (REST, row(S.STOPPING, stop_sent_at=ago(90)), seen(R.IDLE), [Step.SEND_ARCHIVE]),
    "stopped, but by a report that stopping cleared": (
        REST, row(S.STOPPING, stop_sent_at=ago(2)), seen(R.STOPPED), [],
    ),
    "stopped, seen before the stop": (REST, row(S.STOPPING, stop_sent_at=ago(20)), seen(R.STOPPED, ago_s=19), []),
    "stopped": (
        REST, row(S.STOPPING, stop_sent_at=ago(5)), seen(R.STOPPED), [Step.RETIRE, Step.SEND_ARCHIVE],
    ),
    "script, told to stop": (
        REST, row(S.STOPPING, kind=TemplateKind.SCRIPT, stop_sent_at=ago(14)), seen(R.UNKNOWN), [],
    ),
    "script, told to stop long enough ago": (
        REST, row(S.STOPPING, kind=TemplateKind.SCRIPT, stop_sent_at=ago(15)), seen(R.UNKNOWN),
        [Step.RETIRE, Step.SEND_ARCHIVE],
    ),
    "stopping, exited": (REST, row(S.STOPPING, stop_sent_at=ago(1)), seen(R.EXITED), [Step.END]),
    "retiring": (REST, row(S.RETIRING), seen(R.STOPPED), [Step.SEND_ARCHIVE]),
    "retiring, archive begun": (REST, row(S.RETIRING, archive_sent_at=ago(30)), seen(R.STOPPED), []),
    "retiring, archive seems lost": (
        REST, row(S.RETIRING, archive_sent_at=ago(120)), seen(R.STOPPED), [Step.SEND_ARCHIVE],
    ),
    "retiring, trades on": (
        REST, row(S.RETIRING, archive_sent_at=ago(120)), seen(R.RUNNING), [Step.SEND_STOP, Step.SEND_ARCHIVE],
    ),
    "retiring, exited: no archive call": (REST, row(S.RETIRING), seen(R.EXITED), [Step.END]),
    "retiring, gone": (RUN, row(S.RETIRING), seen(R.ABSENT), [Step.END]),
    "retiring, out of sight since": (
        REST, row(S.RETIRING, archive_sent_at=ago(60)), seen(R.STOPPED, misses=1), [Step.END],
    ),
    "ended": (RUN, row(S.ENDED), None, []),
    "failed: its recovery decides": (RUN, row(S.FAILED), None, []),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_plan(case: str) -> None:
    wish, deployment, observed, steps = TABLE[case]
    assert plan(wish=wish, deployment=deployment, observed=observed, now=NOW) == steps


def test_every_status_has_a_row() -> None:
    assert {deployment.status for _, deployment, *_ in TABLE.values()} == set(DeploymentStatus)


def test_at_least_three_look_ups_span_a_minute_before_it_is_given_up() -> None:
    assert sum(LOOKUP_WAITS_S) >= 60
    assert len(LOOKUP_WAITS_S) >= 3
    assert [lookup_wait(n).total_seconds() for n in (1, 2, 3, 9)] == [*LOOKUP_WAITS_S, LOOKUP_WAITS_S[-1]]


def test_waits_grow_to_five_minutes() -> None:
    waits = [retry_wait(n).total_seconds() for n in range(20)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2, 300)


class World:
    """A Hummingbot in miniature: what each step does to the row, and what is seen afterwards."""

    def __init__(self, deployment: Deployment, kind: TemplateKind) -> None:
        self.row = replace(deployment, kind=kind)
        self.now = NOW
        self.is_up = deployment.status in (S.LIVE, S.STOPPING, S.RETIRING)
        self.trades = deployment.status == S.LIVE
        self.deploys = 0

    def observed(self) -> Observation | None:
        if self.row.status not in (S.LIVE, S.STOPPING, S.RETIRING):
            return None
        status = R.RUNNING if self.is_up and self.trades else R.STOPPED if self.is_up else R.EXITED
        return Observation(status, "", self.now)

    def apply(self, step: Step, *, answer_is_lost: bool, arrives: bool) -> None:
        match step:
            case Step.DEPLOY:
                self.deploys += 1
                self.is_up = self.trades = arrives or not answer_is_lost
                status = S.UNKNOWN_OUTCOME if answer_is_lost else S.LIVE
                self.row = replace(self.row, status=status, sent_at=self.now)
            case Step.LOOK_UP if self.is_up:
                self.row = replace(self.row, status=S.LIVE)
            case Step.LOOK_UP:
                self.row = replace(self.row, status=S.UNKNOWN_OUTCOME, clean_lookups=self.row.clean_lookups + 1)
            case Step.GIVE_UP:
                self.row = replace(self.row, status=S.FAILED)
            case Step.CONFIRM:
                self.row = replace(self.row, confirmed_at=self.now)
            case Step.SEND_STOP:
                self.trades = False
                status = S.RETIRING if self.row.status == S.RETIRING else S.STOPPING
                self.row = replace(self.row, status=status, stop_sent_at=self.row.stop_sent_at or self.now)
            case Step.RETIRE:
                self.row = replace(self.row, status=S.RETIRING)
            case Step.SEND_ARCHIVE:
                self.is_up = self.trades = False
                self.row = replace(self.row, archive_sent_at=self.now)
            case Step.END:
                self.row = replace(self.row, status=S.ENDED)


@given(
    st.sampled_from(DeploymentStatus),
    st.sampled_from(TemplateKind),
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.booleans(),
    st.booleans(),
    st.integers(0, 6),
)
def test_from_anywhere_the_plan_gets_there_with_at_most_one_deploy_and_then_is_empty(
    status: DeploymentStatus, kind: TemplateKind, wishes: list[bool], is_lost: bool, arrives: bool, lookups: int
) -> None:
    looked = lookups if status == DeploymentStatus.UNKNOWN_OUTCOME else 0  # only a lost answer is looked up
    world = World(Deployment(status=status, clean_lookups=looked, sent_at=NOW), kind)
    for turn in range(60):
        wish = RUN if wishes[min(turn, len(wishes) - 1)] else REST
        steps = plan(wish=wish, deployment=world.row, observed=world.observed(), now=world.now)
        for step in steps:
            world.apply(step, answer_is_lost=is_lost, arrives=arrives)
        world.now += timedelta(seconds=10)
    assert plan(wish=wish, deployment=world.row, observed=world.observed(), now=world.now) == []
    assert world.deploys <= 1
    if wish is REST:
        assert not world.trades
        assert world.row.status in (S.ENDED, S.FAILED)
