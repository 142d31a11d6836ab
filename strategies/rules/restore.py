"""Which strategies a restore run brings back, in which order and how far apart. Pure: the same facts, the same plan.

What was stopped on purpose is no candidate. What runs already, or is on its way, is only watched: nothing is sent for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

HOLD = timedelta(minutes=2)
"""How long a bot that waits for its turn is kept from being deployed by itself. Renewed at each look: when nobody looks
any more, because every worker is gone, it ends and each bot recovers by itself."""

GIVES_UP_AFTER = timedelta(hours=1)
"""After the last turn: what has not come back by then is left to its own recovery, so that another run can begin."""

LETS_GO_AHEAD = timedelta(seconds=10)  # several beats: a busy worker misses no turn between two looks


class RestoreReason(StrEnum):
    BOOT = "boot"  # the bridge was started
    HUMMINGBOT_RETURNED = "hummingbot_returned"  # it answers again
    SEVERAL_DOWN = "several_down"  # several were found down at once, though Hummingbot never fell silent
    OPERATOR = "operator"  # somebody asked for it


class RunStatus(StrEnum):
    PLANNED = "planned"  # waits for Hummingbot to say what runs there, or is a dry run that waits for a worker
    RUNNING = "running"
    DONE = "done"  # each of its steps has its outcome
    STOPPED = "stopped"  # a person ended it; each bot recovers by itself


OPEN_RUNS = (RunStatus.PLANNED, RunStatus.RUNNING)

RUN_MOVES: dict[RunStatus, tuple[RunStatus, ...]] = {
    RunStatus.PLANNED: (RunStatus.RUNNING, RunStatus.DONE, RunStatus.STOPPED),
    RunStatus.RUNNING: (RunStatus.DONE, RunStatus.STOPPED),
    RunStatus.DONE: (),
    RunStatus.STOPPED: (),
}


class Found(StrEnum):
    """What there is of a strategy that is wanted running."""

    RUNNING = "running"  # its deployment was seen running
    UNDER_WAY = "under_way"  # one was sent or may live: a second one could double it
    DOWN = "down"  # it has no living deployment
    QUARANTINED = "quarantined"  # it failed too often, or was refused; a person's start lets it go on


class RestoreAction(StrEnum):
    DEPLOY = "deploy"  # a new deployment, at its turn
    WATCH = "watch"  # what is under way is awaited
    ADOPT = "adopt"  # it runs: nothing is sent
    SKIP = "skip"  # quarantined: not tried again by itself


class RestoreOutcome(StrEnum):
    PENDING = "pending"  # its turn has not come
    RELEASED = "released"  # told to go, not yet seen running
    RESTORED = "restored"
    QUARANTINED = "quarantined"
    STOPPED = "stopped"  # somebody stopped it meanwhile
    UNFINISHED = "unfinished"  # the run ended before it came back; its own recovery goes on


UNSETTLED = (RestoreOutcome.PENDING, RestoreOutcome.RELEASED)

_ACTION = {
    Found.RUNNING: RestoreAction.ADOPT,
    Found.UNDER_WAY: RestoreAction.WATCH,
    Found.DOWN: RestoreAction.DEPLOY,
    Found.QUARANTINED: RestoreAction.SKIP,
}
_ORDER = {RestoreAction.ADOPT: 0, RestoreAction.WATCH: 1, RestoreAction.DEPLOY: 2, RestoreAction.SKIP: 3}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A strategy that is wanted running."""

    bot_id: UUID
    found: Found
    started_at: datetime
    open_positions: int = 0


@dataclass(frozen=True, slots=True)
class PlannedStep:
    bot_id: UUID
    position: int  # from 1
    action: RestoreAction
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A step of an open run beside what is seen now. ``found`` None: nobody wants the strategy any more."""

    bot_id: UUID
    action: RestoreAction
    outcome: RestoreOutcome
    due_at: datetime
    found: Found | None


@dataclass(frozen=True, slots=True)
class StepChange:
    """What a step becomes."""

    bot_id: UUID
    action: RestoreAction
    outcome: RestoreOutcome
    due_at: datetime


def plan_restore(candidates: Iterable[Candidate], *, spacing: timedelta, at: datetime) -> list[PlannedStep]:
    """One step for each candidate. New deployments come one ``spacing`` apart: first those with open positions, which
    nobody minds now, then those that ran longest."""
    ordered = sorted(
        candidates,
        key=lambda c: (_ORDER[_ACTION[c.found]], c.open_positions == 0, c.started_at, str(c.bot_id)),
    )
    steps: list[PlannedStep] = []
    turns = 0
    for position, candidate in enumerate(ordered, start=1):
        action = _ACTION[candidate.found]
        due_at = at
        if action == RestoreAction.DEPLOY:
            due_at, turns = at + spacing * turns, turns + 1
        steps.append(PlannedStep(candidate.bot_id, position, action, due_at))
    return steps


def advance(
    steps: Sequence[Standing], *, ready: frozenset[UUID], spacing: timedelta, now: datetime
) -> list[StepChange]:
    """What has come of the unsettled steps, and who is let go with which turn; [] when there is nothing to note.

    ``ready`` are those whose open orders and positions were looked at: nothing trades again before. Turns never come
    closer than ``spacing``: a look that comes late moves what is left on, and catches nothing up.
    """
    changes = [change for step in steps if (change := _noted(step)) is not None]
    horizon = now + LETS_GO_AHEAD
    given = [s.due_at for s in steps if s.action == RestoreAction.DEPLOY and s.outcome != RestoreOutcome.PENDING]
    given = [due_at for due_at in given if due_at <= horizon]  # one stopped before its turn has used none
    free_at = max(given) + spacing if given else now
    for step in next_turns(steps, within=LETS_GO_AHEAD, now=now):
        turn = max(step.due_at, free_at, now)
        if turn > horizon:
            break
        if step.bot_id in ready:
            changes.append(StepChange(step.bot_id, RestoreAction.DEPLOY, RestoreOutcome.RELEASED, turn))
            free_at = turn + spacing
    return changes


def next_turns(steps: Sequence[Standing], *, within: timedelta, now: datetime) -> list[Standing]:
    """Steps that wait for their turn and are to have it within that time, in its order."""
    waiting = [s for s in steps if s.outcome == RestoreOutcome.PENDING and s.found == Found.DOWN]
    return sorted((s for s in waiting if s.due_at <= now + within), key=lambda s: s.due_at)


def turns_again(steps: Sequence[Standing], *, spacing: timedelta, now: datetime) -> list[StepChange]:
    """New turns for everything that is down: Hummingbot was away in the middle of a run."""
    down = sorted((s for s in steps if s.outcome in UNSETTLED and s.found == Found.DOWN), key=lambda s: s.due_at)
    return [
        StepChange(s.bot_id, RestoreAction.DEPLOY, RestoreOutcome.PENDING, now + spacing * turn)
        for turn, s in enumerate(down)
    ]


def is_over(steps: Sequence[Standing], *, now: datetime) -> bool:
    """Whether the run has nothing left to wait for, or has waited long enough."""
    unsettled = [s for s in steps if s.outcome in UNSETTLED]
    return not unsettled or now - max(s.due_at for s in steps) >= GIVES_UP_AFTER


def _noted(step: Standing) -> StepChange | None:
    """What is settled now, or has turned out to be down while it was only watched."""
    if step.outcome not in UNSETTLED:
        return None
    settled = {
        None: RestoreOutcome.STOPPED,
        Found.RUNNING: RestoreOutcome.RESTORED,
        Found.QUARANTINED: RestoreOutcome.QUARANTINED,
    }
    if step.found is None or step.found in settled:
        return StepChange(step.bot_id, step.action, settled[step.found], step.due_at)
    return None
