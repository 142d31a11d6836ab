"""Leaderboards made anew from the figures that triggers keep: one statement a period, for every bot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ground.scope import Scope
from ground.sql import run
from ledger.rules.periods import period_begin
from ledger.rules.words import Period
from ledger.services.board_sql import board_statement
from ledger.services.settings_row import ledger_settings

EVERY = timedelta(seconds=50)  # beat comes each minute, and not always on time
_STATEMENTS = {period: board_statement(period) for period in Period}
_CLAIM = """
    INSERT INTO ledger_state AS s (id, boards_at) VALUES (1, %(now)s)
    ON CONFLICT (id) DO UPDATE SET boards_at = excluded.boards_at
     WHERE s.boards_at IS NULL OR s.boards_at <= %(now)s - %(every)s
"""
_LEAVE = "DELETE FROM leaderboard_entries e USING bots b WHERE b.id = e.bot_id AND b.retired_at IS NOT NULL"


def refresh_due_boards(*, scope: Scope, now: datetime) -> int | None:
    """Refresh every board unless somebody just did; how many lines changed, None when it was not due."""
    with scope.transaction():
        if not run(_CLAIM, {"now": now, "every": EVERY}):
            return None
    return refresh_boards(scope=scope, now=now)


def refresh_boards(*, scope: Scope, now: datetime) -> int:
    """Refresh every board, each in its own transaction; how many lines changed. Safe twice and at the same time."""
    with scope.transaction():
        ledger_settings()
        changed = run(_LEAVE)
    return changed + sum(refresh_board(scope=scope, period=period, now=now) for period in Period)


def refresh_board(*, scope: Scope, period: Period, now: datetime) -> int:
    """Refresh one board; how many lines changed."""
    since = period_begin(period, now=now)
    midnight = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first_day = since if since == midnight else midnight + timedelta(days=1)
    with scope.transaction():
        run("SET LOCAL jit = off")  # compiling costs more than it saves on statements of this size
        return run(_STATEMENTS[period], {"now": now, "since": since, "first_day": first_day})
