"""Forgetting single heartbeats; what they said of a bot stands in its row, and changes of verdicts are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from ground.scope import Scope
from ground.sql import run
from health.models import HealthSettings

BATCH = 10_000


def forget_heartbeats(*, scope: Scope, now: datetime) -> int:
    """Remove heartbeats that are older than the setting, in batches. Says how many went."""
    removed = 0
    while True:
        with scope.transaction(reason="heartbeats forgotten"):
            days = (HealthSettings.objects.first() or HealthSettings()).keep_heartbeats_days
            batch = run(
                "DELETE FROM bot_heartbeats WHERE id IN ("
                "SELECT id FROM bot_heartbeats WHERE received_at < %s LIMIT %s FOR UPDATE SKIP LOCKED)",
                [now - timedelta(days=days), BATCH],
            )
        removed += batch
        if batch < BATCH:
            return removed
