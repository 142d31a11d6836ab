"""Forgetting checks that told nothing new."""

from __future__ import annotations

from datetime import datetime, timedelta

from ground.scope import Scope
from ground.sql import run
from health import selectors
from health.services.ask_check import forget_requests

BATCH = 10_000


def thin_checks(*, scope: Scope, now: datetime) -> int:
    """Remove checks without a change of verdict that are older than the setting; changes stay. Says how many went."""
    forget_requests(scope=scope, now=now)
    removed = 0
    while True:
        with scope.transaction(reason="checks thinned"):
            before = now - timedelta(days=selectors.keep_checks_days())
            batch = run(
                "DELETE FROM bot_health_logs WHERE id IN (SELECT id FROM bot_health_logs WHERE checked_at < %s "
                "AND previous_status IS NOT DISTINCT FROM new_status LIMIT %s)",
                [before, BATCH],
            )
        removed += batch
        if batch < BATCH:
            return removed
