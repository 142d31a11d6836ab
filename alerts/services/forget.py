"""Forgetting what is long over, as the alerts settings say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from alerts.models import AlertsSettings
from ground.scope import Scope
from ground.sql import fetch_all, run

BATCH = 5_000

# Messages about what is open say who was told of it, however old they are.
_DELIVERIES = """
    DELETE FROM alert_deliveries WHERE id IN (
        SELECT id FROM alert_deliveries WHERE created_at < %(before)s AND status NOT IN ('waiting', 'sending')
           AND (incident_id IS NULL OR EXISTS (SELECT FROM incidents i WHERE i.id = incident_id AND i.resolved_at < %(before)s))
         ORDER BY created_at LIMIT %(most)s)
"""
_OLD_INCIDENTS = """
    SELECT id FROM incidents WHERE resolved_at < %(before)s
     ORDER BY resolved_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
"""
_OF_INCIDENTS = ("alert_deliveries", "incident_bots", "incident_events")


def forget_alerts(*, scope: Scope, now: datetime) -> tuple[int, int]:
    """Remove messages that are done with and resolved incidents, with their history, that are older than the settings
    keep; what is open or still to be sent stays. Returns how many messages and incidents went. Safe to run twice."""
    with scope.transaction():
        settings = AlertsSettings.objects.filter(id=1).first() or AlertsSettings()
        run("DELETE FROM incident_snoozes WHERE until_at < %s", [now - timedelta(days=1)])
    messages = _in_batches(scope, _deliveries, now - timedelta(days=settings.keep_deliveries_days))
    incidents = _in_batches(scope, _incidents, now - timedelta(days=settings.keep_incidents_days))
    return messages, incidents


def _deliveries(before: datetime) -> int:
    return run(_DELIVERIES, {"before": before, "most": BATCH})


def _incidents(before: datetime) -> int:
    ids = [row[0] for row in fetch_all(_OLD_INCIDENTS, {"before": before, "most": BATCH})]
    if ids:
        for table in _OF_INCIDENTS:
            run(f"DELETE FROM {table} WHERE incident_id = ANY(%s::uuid[])", [ids])  # noqa: S608 - constants
        run("DELETE FROM incidents WHERE id = ANY(%s::uuid[])", [ids])
    return len(ids)


def _in_batches(scope: Scope, remove: Callable[[datetime], int], before: datetime) -> int:
    removed = 0
    while True:
        with scope.transaction(reason="alerts forgotten"):
            batch = remove(before)
        removed += batch
        if batch < BATCH:
            return removed
