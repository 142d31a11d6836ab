"""Bots whose status stays other than wanted, found in what is stored: nothing is asked of Hummingbot."""

from __future__ import annotations

from datetime import datetime, timedelta

from bots.models import BotDrift
from bots.rules.drift import CONFIG_FIELD, STATUS_FIELD, DriftStatus, status_difference
from bots.rules.words import BotStatus, DesiredStatus, RuntimeStatus
from bots.selectors import JOINS, STATUS, base_params
from bots.services.drift_records import DRIFT, record_differences
from ground.sql import fetch_all

PUSH_SETTLES = timedelta(minutes=10)

# Those that may differ, and those that did.
_CANDIDATES = f"""
    SELECT b.id, b.desired_status, {STATUS}, r.status, greatest(b.desired_at, r.changed_at), b.retired_at IS NOT NULL
      FROM bots b {JOINS}
     WHERE b.runtime_kind = 'hummingbot'
       AND (b.retired_at IS NULL AND ({STATUS}) IN ('{BotStatus.ERROR}', '{BotStatus.STOPPING}')
            OR EXISTS (SELECT 1 FROM bot_drifts x WHERE x.bot_id = b.id AND x.status <> 'closed' AND x.field = 'status'))
"""  # noqa: S608 - made of constants
_AS_WANTED = (BotStatus.RUNNING, BotStatus.STOPPED, BotStatus.CREATED)
_NOT_COMPARED = """
    SELECT DISTINCT x.bot_id FROM bot_drifts x JOIN bots b ON b.id = x.bot_id
     WHERE x.status <> 'closed' AND (b.retired_at IS NOT NULL OR starts_with(x.field, 'config.') AND NOT EXISTS (
           SELECT 1 FROM bot_deployments d WHERE d.bot_id = b.id AND d.status = 'live' AND b.desired_status = 'running'))
"""


def sweep_status_drift(*, now: datetime) -> int:
    """Bring the list of statuses that differ up to date; returns how many bots differ. Safe to run twice."""
    with DRIFT.transaction(reason="status compared with the wish"):
        rows = fetch_all(_CANDIDATES, base_params(DRIFT))
        found, looked_at = {}, []
        for bot_id, desired, status, runtime, since, is_retired in rows:
            difference = status_difference(
                desired=DesiredStatus(desired),
                status=BotStatus(status),
                runtime=RuntimeStatus(runtime) if runtime else None,
                since=since,
                now=now,
            )
            if difference and not is_retired:
                found[bot_id] = [difference]
            if bot_id in found or is_retired or status in _AS_WANTED:
                looked_at.append(bot_id)  # what is on its way, and what cannot be told, closes nothing
        record_differences(found, looked_at=looked_at, prefix=STATUS_FIELD, now=now)
        _give_up_pushing(now=now)
        _close_what_runs_no_more(now=now)
    return len(found)


def _give_up_pushing(*, now: datetime) -> None:
    """A wish that was repeated and still is not so: somebody must choose again."""
    late = BotDrift.objects.filter(status=DriftStatus.PUSHING, field=STATUS_FIELD, chosen_at__lte=now - PUSH_SETTLES)
    late.update(status=DriftStatus.OPEN, message="It was told so again, and still does otherwise.")


def _close_what_runs_no_more(*, now: datetime) -> None:
    """The config of a bot that runs no more differs from nothing: the next start deploys ours."""
    gone = [row[0] for row in fetch_all(_NOT_COMPARED)]
    if gone:
        record_differences({}, looked_at=gone, prefix=CONFIG_FIELD, now=now, were_pushed=False)
