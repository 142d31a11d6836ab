"""Forgetting checks that told nothing new."""

from __future__ import annotations

from datetime import datetime, timedelta

from ground.scope import Scope
from ground.sql import run
from health import selectors
from health.services.ask_check import forget_requests

BATCH = 10_000
KEEP_ROUNDS = timedelta(days=7)
KEEP_UNUSED_CIRCUITS = timedelta(days=90)


def thin_checks(*, scope: Scope, now: datetime) -> int:
    """Remove checks without a change of verdict that are older than the setting; changes stay. Says how many went.

    Rounds are forgotten after a week, and circuits of keys that nobody used for three months.
    """
    forget_requests(scope=scope, now=now)
    _forget_rounds(scope=scope, now=now)
    removed = 0
    while True:
        with scope.transaction(reason="checks thinned"):
            before = now - timedelta(days=selectors.keep_checks_days())
            batch = run(
                "DELETE FROM bot_health_logs WHERE id IN (SELECT id FROM bot_health_logs WHERE checked_at < %s "
                "AND previous_status = new_status LIMIT %s)",
                [before, BATCH],
            )
        removed += batch
        if batch < BATCH:
            return removed


def _forget_rounds(*, scope: Scope, now: datetime) -> None:
    with scope.transaction(reason="rounds thinned"):
        run("DELETE FROM health_rounds WHERE finished_at < %s", [now - KEEP_ROUNDS])
        run(
            "DELETE FROM exchange_circuits WHERE fingerprint <> '' AND updated_at < %s",
            [now - KEEP_UNUSED_CIRCUITS],
        )
