"""Events that nobody can resume from any more go."""

from __future__ import annotations

from datetime import datetime, timedelta

from arena.services.settings_row import arena_settings
from ground.scope import system_scope
from ground.sql import run

SCOPE = system_scope("arena")
AT_ONCE = 10_000
_THIN = """
    DELETE FROM arena_events WHERE id = ANY (ARRAY(
        SELECT id FROM arena_events WHERE happened_at < %(before)s ORDER BY happened_at LIMIT %(most)s FOR UPDATE SKIP LOCKED))
"""


def thin_events(*, now: datetime) -> int:
    """Delete what is older than the arena's settings keep; how many. Safe twice and at once."""
    deleted = 0
    while True:
        with SCOPE.transaction(reason="old events thinned"):
            before = now - timedelta(hours=arena_settings().keep_events_hours)
            gone = run(_THIN, {"before": before, "most": AT_ONCE})
        deleted += gone
        if gone < AT_ONCE:
            return deleted
