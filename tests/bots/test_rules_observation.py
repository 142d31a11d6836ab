"""What one look at Hummingbot shows of a bot, over the gotchas that its recorded contract documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.observation import START_GRACE, Watched, is_broker_suspect, observe
from bots.rules.words import DeploymentStatus, RuntimeStatus, TemplateKind
from bots.types import ControllerReport, InstanceStatus, Observation, Performance, Sighting

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAME = "tb-00-1-20261121-113000"
FIGURES = Performance(realized_pnl=None, unrealized_pnl=None, global_pnl=None, volume=None)
REPORT = ControllerReport("c", "running", FIGURES, "digest")
EMPTY_REPORT = ControllerReport("c", "running", None, "empty")

LIVE = Watched(NAME, TemplateKind.CONTROLLER, DeploymentStatus.LIVE, NOW - timedelta(minutes=30), is_confirmed=True)
FRESH = replace(LIVE, sent_at=NOW - timedelta(seconds=5), is_confirmed=False)
OVERDUE = replace(FRESH, sent_at=NOW - START_GRACE)
STOPPING = replace(LIVE, deployment=DeploymentStatus.STOPPING)
RETIRING = replace(LIVE, deployment=DeploymentStatus.RETIRING)
SCRIPT = replace(LIVE, kind=TemplateKind.SCRIPT)


def said(word: str, *reports: ControllerReport, active: bool | None = True) -> InstanceStatus:
    return InstanceStatus(NAME, word, reports, recently_active=active)


def look(
    status: InstanceStatus | None, *, up: bool = True, exited: bool = False, docker: bool = True, others: int = 0
) -> Sighting:
    statuses = {NAME: status} if status else {}
    statuses |= {f"other-{n}": replace(said("idle", REPORT, active=False), name=f"other-{n}") for n in range(others)}
    return Sighting(
        statuses=statuses,
        active=frozenset({NAME} if up else ()) if docker else None,
        exited=frozenset({NAME} if exited else ()) if docker else None,
        at=NOW,
    )


RUNNING = said("running", REPORT)
OLD = Observation(RuntimeStatus.RUNNING, "", NOW - timedelta(seconds=10))

TABLE = {
    "reports": (LIVE, look(RUNNING), "running"),
    "reports although docker is down": (LIVE, look(RUNNING, docker=False), "running"),
    "says running after its strategy stopped": (LIVE, look(said("running", EMPTY_REPORT)), "stopped"),
    "silent for 30 s": (LIVE, look(said("idle", REPORT, active=False)), "idle"),
    "container exited": (LIVE, look(None, up=False, exited=True), "exited"),
    "container exited and not yet dropped from the list": (LIVE, look(RUNNING, up=False, exited=True), "exited"),
    "just deployed": (FRESH, look(said("stopped", active=False)), "starting"),
    "just deployed and not listed yet": (FRESH, look(None), "starting"),
    "up for long without a strategy": (OVERDUE, look(said("stopped", active=True)), "failed"),
    "stopping, and Hummingbot has just restarted": (STOPPING, look(said("stopped", active=None)), "unknown"),
    "stopping, and Hummingbot lists nothing yet": (STOPPING, look(None), "unknown"),
    "being archived by somebody": (LIVE, look(said("stopping", active=False)), "stopped"),
    "told to stop, report cleared": (STOPPING, look(said("stopped")), "stopped"),
    "told to stop, reports on": (STOPPING, look(RUNNING), "running"),
    "told to stop, empty report": (STOPPING, look(said("running", EMPTY_REPORT)), "stopped"),
    "being archived": (RETIRING, look(None), "stopped"),
    "archive failed and it trades": (RETIRING, look(RUNNING), "running"),
    "script heard of": (SCRIPT, look(said("stopped", active=True)), "running"),
    "script silent": (SCRIPT, look(said("stopped", active=False)), "idle"),
    "script just deployed": (
        replace(FRESH, kind=TemplateKind.SCRIPT), look(said("stopped", active=False)), "starting"
    ),
    "script told to stop": (replace(STOPPING, kind=TemplateKind.SCRIPT), look(said("stopped")), "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_one_look_shows(case: str) -> None:
    watched, sighting, expected = TABLE[case]
    observation = observe(watched=watched, sighting=sighting, previous=None)
    assert observation.status == expected
    assert observation.explanation.endswith(".")
    assert observation.observed_at == NOW


UNPLACED = {
    "absent everywhere": look(None, up=False),
    "absent, and docker down": look(None, docker=False),
    "up, but not listed (the API has restarted)": look(None),
    "report forgotten (the API has restarted)": look(said("stopped", active=True)),
    "the API failed on it": look(said("error", active=None)),
    "a word of a later version": look(said("hibernating", active=None)),
}


@pytest.mark.parametrize("case", UNPLACED)
def test_what_cannot_be_placed_keeps_its_last_word_with_its_age_for_two_looks(case: str) -> None:
    seen, previous = [], OLD
    for _ in range(3):
        previous = observe(watched=LIVE, sighting=UNPLACED[case], previous=previous)
        seen.append((previous.status, previous.observed_at))
    assert seen[:2] == [(RuntimeStatus.RUNNING, OLD.observed_at)] * 2
    third = RuntimeStatus.STOPPED if "report forgotten" in case else RuntimeStatus.UNKNOWN
    assert seen[2] == (third, NOW)


def test_absent_after_three_looks_is_what_was_asked_when_it_is_retired() -> None:
    previous: Observation | None = Observation(RuntimeStatus.STOPPED, "", OLD.observed_at)
    for _ in range(3):
        previous = observe(watched=RETIRING, sighting=look(None, up=False), previous=previous)
    assert previous is not None
    assert previous.status == RuntimeStatus.ABSENT


def test_absence_is_forgotten_by_the_first_look_that_finds_it() -> None:
    missed = observe(watched=LIVE, sighting=look(None, up=False), previous=OLD)
    found = observe(watched=LIVE, sighting=look(RUNNING), previous=missed)
    assert (missed.misses, found.misses) == (1, 0)


def test_lost_broker_never_reads_as_stopped() -> None:
    sighting = look(said("stopped", active=False), others=3)
    assert is_broker_suspect(sighting)
    previous = OLD
    for _ in range(6):
        previous = observe(watched=LIVE, sighting=sighting, previous=previous)
        assert previous.status in (RuntimeStatus.RUNNING, RuntimeStatus.UNKNOWN)
    idle = observe(watched=LIVE, sighting=look(said("idle", REPORT, active=False), others=3), previous=OLD)
    assert (idle.status, "broker" in idle.explanation) == (RuntimeStatus.IDLE, True)


statuses = st.none() | st.builds(
    said,
    st.sampled_from(["running", "idle", "stopped", "stopping", "error", "odd"]),
    active=st.sampled_from([True, False, None]),
)
sightings = st.builds(
    look, statuses, up=st.booleans(), exited=st.booleans(), docker=st.booleans(), others=st.integers(0, 3)
)
watched_ones = st.sampled_from([LIVE, FRESH, OVERDUE, STOPPING, RETIRING, SCRIPT])
previous_ones = st.none() | st.builds(
    Observation, st.sampled_from(RuntimeStatus), st.just(""), st.just(OLD.observed_at), st.integers(0, 5)
)


@given(watched_ones, sightings, previous_ones)
def test_running_is_never_made_of_a_look_without_a_report(
    watched: Watched, sighting: Sighting, previous: Observation | None
) -> None:
    observation = observe(watched=watched, sighting=sighting, previous=previous)
    if observation.status == RuntimeStatus.RUNNING and watched.kind == TemplateKind.CONTROLLER:
        assert previous is not None
        assert previous.status == RuntimeStatus.RUNNING
        assert observation.observed_at == previous.observed_at, "held, with its age"
        assert 0 < observation.misses < 3


@given(watched_ones, sightings, previous_ones)
def test_absence_alone_is_never_exited(watched: Watched, sighting: Sighting, previous: Observation | None) -> None:
    observation = observe(watched=watched, sighting=sighting, previous=previous)
    if observation.status == RuntimeStatus.EXITED and observation.misses == 0:
        assert NAME in (sighting.exited or ())
