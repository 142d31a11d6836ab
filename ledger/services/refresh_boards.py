"""Leaderboards kept from the figures that triggers keep: some statements a period, for all bots at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ground.scope import Scope
from ground.sql import fetch_all, run
from ledger.rules.periods import period_begin
from ledger.rules.words import Period
from ledger.services.board_sql import STALE, quick_statement, whole_statement
from ledger.services.settings_row import ledger_settings

EVERY = timedelta(seconds=50)  # beat comes each minute, and not always on time
SOME = 100  # of more stale lines than that, all are made anew

_WHOLE = {period: whole_statement(period) for period in Period}
_WHOLE_OF_SOME = {period: whole_statement(period, some=True) for period in Period}
_QUICK = {period: quick_statement(period) for period in Period}
_CLAIM = """
    INSERT INTO ledger_state AS s (id, boards_at) VALUES (1, %(now)s)
    ON CONFLICT (id) DO UPDATE SET boards_at = excluded.boards_at
     WHERE s.boards_at IS NULL OR s.boards_at <= %(now)s - %(every)s
"""
_LEAVE = "DELETE FROM leaderboard_entries e USING bots b WHERE b.id = e.bot_id AND b.retired_at IS NOT NULL"


def refresh_due_boards(*, scope: Scope, now: datetime) -> int | None:
    """Bring every board up to the present unless somebody just did; how many lines changed, None when it was not due."""
    with scope.transaction():
        if not run(_CLAIM, {"now": now, "every": EVERY}):
            return None
    return refresh_boards(scope=scope, now=now, whole=False)


def refresh_boards(*, scope: Scope, now: datetime, whole: bool = True) -> int:
    """Refresh every board, each in its own transaction; how many lines changed. Safe twice and at the same time."""
    with scope.transaction():
        changed = run(_LEAVE)
    return changed + sum(refresh_board(scope=scope, period=period, now=now, whole=whole) for period in Period)


def refresh_board(*, scope: Scope, period: Period, now: datetime, whole: bool = True) -> int:
    """Refresh one board; how many lines changed.

    ``whole`` looks at all rows of the period, late ones too. Else that is done at the first refresh after each full hour
    alone, and for lines that need it; others get the trades of the whole period, and the equity of the present hour.
    """
    params = _moments(period, now=now)
    with scope.transaction():
        ledger_settings()
        run("SET LOCAL jit = off")  # compiling costs more than it saves on statements of this size
        stale = [] if whole else [row[0] for row in fetch_all(STALE, params)]
        if whole or len(stale) > SOME:
            return run(_WHOLE[period], params)
        changed = run(_WHOLE_OF_SOME[period], params | {"bots": stale}) if stale else 0
        return changed + run(_QUICK[period], params)


def _moments(period: Period, *, now: datetime) -> dict[str, Any]:
    since = period_begin(period, now=now)
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = since.replace(hour=0)
    return {
        "period": str(period),
        "now": now,
        "since": since,
        "first_day": day if day == since else day + timedelta(days=1),
        "this_hour": this_hour,
        "today": this_hour.replace(hour=0),
    }
