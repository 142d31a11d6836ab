"""No messages after a start until everything was looked at once: a redeploy raises no alarms."""

from __future__ import annotations

from datetime import datetime

from ground.scope import Scope
from ground.sql import fetch_one, run

_HOLD = """
    INSERT INTO alerts_state AS s (id, booted_at, held_until, awaits_cycle) VALUES (1, %(now)s, %(until)s, true)
    ON CONFLICT (id) DO UPDATE SET booted_at = %(now)s, held_until = greatest(s.held_until, %(until)s), awaits_cycle = true
"""


def hold_alerts(*, scope: Scope, now: datetime, until: datetime) -> None:
    """Send nothing before ``until``, nor until ``release_alerts``. Incidents open as ever and their messages wait.

    Called at each boot, and when the schedule finds that it was away.
    """
    with scope.transaction(reason="alerts held after a start"):
        run(_HOLD, {"now": now, "until": until})


def release_alerts(*, scope: Scope, now: datetime) -> bool:
    """Every bot was looked at once since the boot. What is still wrong is told once ``held_until`` is past as well.

    True when this call ended the waiting.
    """
    with scope.transaction(reason="every bot was looked at since the start"):
        return bool(run("UPDATE alerts_state SET awaits_cycle = false WHERE id = 1 AND awaits_cycle"))


def booted_at(*, scope: Scope) -> datetime | None:
    """Since when alerts await a full cycle; None when they do not."""
    with scope.transaction():
        row = fetch_one("SELECT booted_at FROM alerts_state WHERE id = 1 AND awaits_cycle")
    return row[0] if row else None
