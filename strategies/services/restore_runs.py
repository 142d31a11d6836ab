"""Working on restore runs: plan, read what is open, give turns, note outcomes. Any number of workers, safe twice.

A run deploys nothing itself. It gives each bot the time at which bots' own recovery may deploy it again, and reads from
the deployments what came of it; so there is one path to Hummingbot, and a run that nobody works on any more holds nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import Q
from django.utils import timezone

from bots.models import HummingbotState
from bots.services.deployments import nudge_workers
from bots.services.keep_running import plan_recovery
from strategies.models import RestoreRun, RestoreStep
from strategies.rules.carried import sentence_of
from strategies.rules.restore import (
    LETS_GO_AHEAD,
    OPEN_RUNS,
    UNSETTLED,
    Found,
    RestoreAction,
    RestoreOutcome,
    RunStatus,
    Standing,
    StepChange,
    advance,
    is_over,
    next_turns,
    plan_restore,
)
from strategies.services.read_carried import Gateways, read_carried
from strategies.services.restore_facts import (
    CandidateRow,
    StepRow,
    candidates,
    count_attempts,
    step_rows,
    store_changes,
)
from strategies.services.restore_requests import RESTORER

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
READS_AHEAD = timedelta(seconds=30)  # open orders are read this long before a turn, so that nobody waits for them
AT_ONCE = 40  # bots whose open orders are read in one look
HOLDS = timedelta(seconds=45)  # beyond its expected turn, a bot waits for us; then it comes back by itself
RENEWS = timedelta(seconds=15)
KEEPS = timedelta(days=90)
_EVER = timedelta(days=36500)

Clock = Callable[[], datetime]


def work_on_restores(*, gateways: Gateways, clock: Clock = timezone.now, only: UUID | None = None) -> int:
    """One look at every open run that nobody else is at, or at ``only`` one; returns at how many."""
    worked = 0
    for run_id in [only] if only else _open_runs(clock()):
        if not _claim(run_id, clock()):
            continue
        try:
            _work(run_id, gateways, clock)
            worked += 1
        finally:
            _release(run_id)
    return worked


def _work(run_id: UUID, gateways: Gateways, clock: Clock) -> None:
    if not _is_planned(run_id, clock()):
        return
    wanted = _held_back(run_id, clock())
    if wanted:
        carried = read_carried(scope=RESTORER, bot_ids=wanted, gateways=gateways, now=clock())
        _note_carried(run_id, carried, clock())
    _go_on(run_id, clock())


# Planning


def _is_planned(run_id: UUID, now: datetime) -> bool:
    """Whether the run has its plan; makes it as soon as Hummingbot has said what runs there."""
    with RESTORER.transaction(reason="restore planned"):
        run = _locked(run_id)
        if run is None or run.status != RunStatus.PLANNED:
            return run is not None
        found = candidates(now=now)
        is_ready = run.is_dry_run or _has_been_looked_at(run)
        if is_ready:
            _store_plan(run, found, now)
        else:
            _say(run, "Waits for Hummingbot to say what runs there.")
    if not is_ready:
        plan_recovery(_holds(_in_order(found), now=now, spacing=_spacing(run)))
        return False
    if found and not run.is_dry_run:
        log.info(f"Restoring {len(found)} strategies", run=str(run_id), reason=run.reason)
    return True


def _has_been_looked_at(run: RestoreRun) -> bool:
    """Whether Hummingbot gave a readable answer since the run was asked for, and none was lost after that."""
    return HummingbotState.objects.filter(id=1, failures=0, last_ok_at__gte=run.created_at).exists()


def _store_plan(run: RestoreRun, found: Sequence[CandidateRow], now: datetime) -> None:
    rows = {row.bot_id: row for row in found}
    plan = plan_restore([row.candidate for row in found], spacing=_spacing(run), at=now)
    RestoreStep.objects.bulk_create(
        RestoreStep(
            run=run,
            bot_id=step.bot_id,
            client_id=rows[step.bot_id].client_id,
            position=step.position,
            exchange=rows[step.bot_id].exchange,
            symbol=rows[step.bot_id].symbol,
            symbol_shown=rows[step.bot_id].symbol_shown,
            strategy_type=rows[step.bot_id].strategy_type,
            action=step.action,
            due_at=step.due_at,
            message=rows[step.bot_id].reason if step.action == RestoreAction.SKIP else "",
        )
        for step in plan
    )
    run.status, run.started_at, run.message = RunStatus.RUNNING, now, "" if plan else "Nothing was to be restored."
    run.save(update_fields=["status", "started_at", "message"])


# What is open


def _held_back(run_id: UUID, now: datetime) -> list[UUID]:
    """Everybody who waits for a turn is kept back; returns those whose open orders are to be read next."""
    with RESTORER.transaction(reason="turns of a restore"):
        run = _locked(run_id)
        if run is None:
            return []
        rows = step_rows(run_id=run_id, now=now)
        if run.is_dry_run:
            return [r.standing.bot_id for r in rows if r.carried_at is None]
        by_bot = {r.standing.bot_id: r for r in rows}
        steps = [r.standing for r in rows]
        waiting = [by_bot[s.bot_id] for s in next_turns(steps, within=_EVER, now=now)]
        # The first turns wait for nobody's orders but their own.
        has_begun = any(s.outcome != RestoreOutcome.PENDING for s in steps)
        soon = next_turns(steps, within=READS_AHEAD if has_begun else LETS_GO_AHEAD, now=now)
    plan_recovery(_holds(waiting, now=now, spacing=_spacing(run)))
    return [s.bot_id for s in soon if by_bot[s.bot_id].carried_at is None][:AT_ONCE]


def _holds(rows: Sequence[StepRow | CandidateRow], *, now: datetime, spacing: timedelta) -> dict[UUID, datetime]:
    """Until when those who wait are kept back. Renewed only where that would soon be over: each write is audited."""
    holds: dict[UUID, datetime] = {}
    for turn, row in enumerate(rows):
        expected = now + spacing * turn
        until = row.planned_at if isinstance(row, StepRow) else None
        if until is None or until < expected + RENEWS:
            holds[_bot_of(row)] = expected + HOLDS
    return holds


def _bot_of(row: StepRow | CandidateRow) -> UUID:
    return row.standing.bot_id if isinstance(row, StepRow) else row.bot_id


def _in_order(found: Sequence[CandidateRow]) -> list[CandidateRow]:
    return [row for row in found if row.found == Found.DOWN and not row.is_planned]


def _note_carried(run_id: UUID, carried: dict[UUID, dict[str, object]], now: datetime) -> None:
    with RESTORER.transaction():
        for bot_id, what in carried.items():
            RestoreStep.objects.filter(run_id=run_id, bot_id=bot_id, carried_at=None).update(
                carried=what, carried_at=now, message=sentence_of(what)[:500]
            )


# Turns and outcomes


def _go_on(run_id: UUID, now: datetime) -> None:
    with RESTORER.transaction(reason="turns of a restore"):
        run = _locked(run_id)
        if run is None:
            return
        if run.is_dry_run:
            _finish(run, now, "A dry run: nothing was restored.")
            return
        rows = {row.standing.bot_id: row for row in step_rows(run_id=run_id, now=now)}
        ready = frozenset(bot_id for bot_id, row in rows.items() if row.carried_at is not None)
        steps = [row.standing for row in rows.values()]
        changes = advance(steps, ready=ready, spacing=_spacing(run), now=now)
        _store(run_id, changes, rows, now)
        if is_over(_after(steps, changes), now=now):
            _finish(run, now, run.message)
    # Should this worker die before it says so: until their holds end they wait, and then come back all the same.
    turns = _turns(changes, rows)
    if plan_recovery(turns) and min(turns.values()) <= now:
        nudge_workers()
    for change in changes:
        if change.outcome == RestoreOutcome.RESTORED:
            log.info(f"Restored strategy: {rows[change.bot_id].label}", bot=str(change.bot_id))
        elif change.outcome == RestoreOutcome.QUARANTINED:
            log.warning(f"Quarantined strategy: {rows[change.bot_id].label}", reason=rows[change.bot_id].reason)


def _turns(changes: Sequence[StepChange], rows: dict[UUID, StepRow]) -> dict[UUID, datetime]:
    return {c.bot_id: rows[c.bot_id].earliest(c.due_at) for c in changes if c.outcome == RestoreOutcome.RELEASED}


def _store(run_id: UUID, changes: Sequence[StepChange], rows: dict[UUID, StepRow], now: datetime) -> None:
    count_attempts(run_id=run_id)
    if changes:
        messages = {c.bot_id: _message(c, rows[c.bot_id]) for c in changes}
        store_changes(run_id=run_id, changes=changes, messages=messages, now=now)


def _message(change: StepChange, row: StepRow) -> str:
    match change.outcome:
        case RestoreOutcome.RELEASED:
            return "Its turn has come."
        case RestoreOutcome.RESTORED:
            return "It was seen running."
        case RestoreOutcome.QUARANTINED:
            return row.reason
        case RestoreOutcome.STOPPED:
            return f"Stopped meanwhile by {row.desired_by}."
        case _:
            return ""


def _after(steps: Sequence[Standing], changes: Sequence[StepChange]) -> list[Standing]:
    now_so = {change.bot_id: change for change in changes}
    return [
        Standing(s.bot_id, c.action, c.outcome, c.due_at, s.found) if (c := now_so.get(s.bot_id)) else s for s in steps
    ]


def _finish(run: RestoreRun, now: datetime, message: str) -> None:
    run.status, run.finished_at, run.message = RunStatus.DONE, now, message
    run.save(update_fields=["status", "finished_at", "message"])
    RestoreRun.objects.filter(finished_at__lt=now - KEEPS).delete()
    if not run.is_dry_run:
        RestoreStep.objects.filter(run=run, outcome__in=UNSETTLED).update(
            outcome=RestoreOutcome.UNFINISHED,
            settled_at=now,
            message="It has not come back yet; its own recovery goes on.",
        )


# The run's row


def _open_runs(now: datetime) -> list[UUID]:
    with RESTORER.transaction():
        free = RestoreRun.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), status__in=OPEN_RUNS)
        return list(free.order_by("created_at").values_list("id", flat=True)[:10])


def _claim(run_id: UUID, now: datetime) -> bool:
    """Whether this look is ours. To lose the lease is safe: each part holds the run's row and reads anew."""
    with RESTORER.transaction():
        free = RestoreRun.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), id=run_id)
        return bool(free.filter(status__in=OPEN_RUNS).update(lease_until=now + LEASE))


def _release(run_id: UUID) -> None:
    with RESTORER.transaction():
        RestoreRun.objects.filter(id=run_id).update(lease_until=None)


def _locked(run_id: UUID) -> RestoreRun | None:
    return RestoreRun.objects.select_for_update().filter(id=run_id, status__in=OPEN_RUNS).first()


def _spacing(run: RestoreRun) -> timedelta:
    return timedelta(seconds=float(run.spacing_s))


def _say(run: RestoreRun, message: str) -> None:
    if run.message != message:
        RestoreRun.objects.filter(id=run.id).update(message=message)
