"""When strategies are to be restored without anybody asking: at a boot, when Hummingbot is back, when several are down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Max

from bots.models import HummingbotState
from ground.scope import Scope
from strategies.models import RestoreRun, RestoreWatch
from strategies.rules.restore import OPEN_RUNS, Found, RestoreReason, RunStatus, turns_again
from strategies.services.restore_facts import CandidateRow, candidates, step_rows, store_changes
from strategies.services.restore_requests import RESTORER, request_restore

SEVERAL = 2  # fewer come back by themselves, without a plan
_AS_USUAL = (Found.RUNNING, Found.QUARANTINED)


def restore_at_boot(*, scope: Scope, spacing_s: Decimal, now: datetime) -> UUID | None:
    """Ask for a run if any strategy is wanted running; None when none is. Bridges started at once ask for one run."""
    with RESTORER.transaction():
        if not candidates(now=now):
            return None
    return request_restore(scope=scope, reason=RestoreReason.BOOT, spacing_s=spacing_s, now=now)


def watch_hummingbot(*, spacing_s: Decimal, now: datetime) -> UUID | None:
    """Notices that Hummingbot is back, or that several strategies went down at once; the run that was asked for, if any."""
    with RESTORER.transaction(reason="hummingbot watched"):
        has_returned = _has_returned(now)
        if has_returned is None:
            return None
        run = RestoreRun.objects.filter(is_dry_run=False, status__in=OPEN_RUNS).first()
        if run is not None:
            if has_returned and run.status == RunStatus.RUNNING:
                _give_new_turns(run, now)
            return None
        reason = _reason(has_returned, candidates(now=now))
    return request_restore(scope=RESTORER, reason=reason, spacing_s=spacing_s, now=now) if reason else None


def _reason(has_returned: bool, found: Sequence[CandidateRow]) -> RestoreReason | None:
    if has_returned and any(row.found not in _AS_USUAL for row in found):
        return RestoreReason.HUMMINGBOT_RETURNED
    # One that fails again and again waits longer and longer by itself: it begins no run.
    over_at = RestoreRun.objects.filter(is_dry_run=False).aggregate(at=Max("finished_at"))["at"]
    fresh = [row for row in found if row.found == Found.DOWN and _went_down_since(row, over_at)]
    return RestoreReason.SEVERAL_DOWN if len(fresh) >= SEVERAL else None


def _went_down_since(row: CandidateRow, over_at: datetime | None) -> bool:
    """Whether no run has had it: what a run left, or somebody ended a run over, is left to its own recovery."""
    if row.failures > 1 or row.is_planned:
        return False
    return over_at is None or row.last_failure_at is None or row.last_failure_at > over_at


def _has_returned(now: datetime) -> bool | None:
    """Whether it answers again, told to one worker once; None while it does not answer, or was never asked."""
    state = HummingbotState.objects.filter(id=1).first()
    if state is None or state.last_ok_at is None:
        return None
    if state.failures:
        RestoreWatch.objects.bulk_create([RestoreWatch(id=1, looked_at=now)], ignore_conflicts=True)
        RestoreWatch.objects.filter(id=1, away_since=None).update(away_since=state.last_ok_at, looked_at=now)
        return None
    return bool(RestoreWatch.objects.filter(id=1, away_since__isnull=False).update(away_since=None, looked_at=now))


def _give_new_turns(run: RestoreRun, now: datetime) -> None:
    """It was away in the middle of a run: what is down comes back in turn, not all at once."""
    if RestoreRun.objects.select_for_update().filter(id=run.id, status=RunStatus.RUNNING).first() is None:
        return
    steps = [row.standing for row in step_rows(run_id=run.id, now=now)]
    spacing = timedelta(seconds=float(run.spacing_s))
    changes = turns_again(steps, spacing=spacing, now=now)
    store_changes(run_id=run.id, changes=changes, messages={}, now=now)
