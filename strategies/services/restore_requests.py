"""Asking for a restore run, and ending one. The run itself is worked on by workers: services/restore_runs.py."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from ground.errors import Conflict, Forbidden, NotFound
from ground.scope import Scope, system_scope
from ground.sql import fetch_one, run
from strategies.rules.restore import OPEN_RUNS, RestoreReason

RESTORER = system_scope("restore")

_REQUEST = """
    INSERT INTO strategy_restores (id, reason, requested_by, is_dry_run, spacing_s, status, message, created_at)
    VALUES (%(id)s, %(reason)s, %(by)s, %(is_dry_run)s, %(spacing_s)s, 'planned', '', %(now)s)
    ON CONFLICT (is_dry_run) WHERE NOT is_dry_run AND status IN ('planned', 'running') DO NOTHING RETURNING id
"""
_OPEN = "SELECT id FROM strategy_restores WHERE NOT is_dry_run AND status = ANY(%(open)s)"
_STOP = """
    UPDATE strategy_restores SET status = 'stopped', finished_at = %(now)s, message = %(message)s
     WHERE id = %(id)s AND status = ANY(%(open)s)
"""
_LEAVE_REST = """
    UPDATE strategy_restore_steps SET outcome = 'unfinished', settled_at = %(now)s, message = %(message)s
     WHERE run_id = %(id)s AND outcome IN ('pending', 'released')
"""


def request_restore(
    *, scope: Scope, reason: RestoreReason, spacing_s: Decimal, now: datetime, is_dry_run: bool = False
) -> UUID:
    """The run that workers take up: a new one, or the one that is open. However many ask at once, one is made.

    A dry run never restores anything and stands in nobody's way. Raises Forbidden for clients.
    """
    if not scope.is_operator or not scope.can_manage:
        raise Forbidden("Only an operator may restore strategies.")
    params = {
        "id": uuid4(), "reason": str(reason), "by": scope.actor[:200], "is_dry_run": is_dry_run,
        "spacing_s": spacing_s, "now": now, "open": _open_words(),
    }  # fmt: skip
    with scope.transaction(reason=f"restore: {reason}"):
        # The open one may end between the two statements: then there is room for a new one.
        for _ in range(3):
            row = fetch_one(_REQUEST, params) or fetch_one(_OPEN, params)
            if row is not None:
                return UUID(str(row[0]))
    raise Conflict("Restore runs begin and end at this very moment; ask again.", code="restore_busy")


def stop_restore(*, scope: Scope, run_id: UUID, now: datetime) -> None:
    """End a run: nobody waits for a turn any more, and each bot that should run recovers by itself.

    To keep one strategy from coming back, stop that strategy. Raises Forbidden, NotFound, Conflict when it is over.
    """
    if not scope.is_operator or not scope.can_manage:
        raise Forbidden("Only an operator may end a restore.")
    params = {"id": run_id, "now": now, "open": _open_words(), "message": f"Ended by {scope.actor}."[:500]}
    with scope.transaction(reason="restore ended"):
        if fetch_one("SELECT 1 FROM strategy_restores WHERE id = %(id)s FOR UPDATE", params) is None:
            raise NotFound("There is no such restore.")
        if not run(_STOP, params):
            raise Conflict("This restore is over.", code="restore_over")
        run(_LEAVE_REST, params)


def _open_words() -> list[str]:
    return [str(status) for status in OPEN_RUNS]
