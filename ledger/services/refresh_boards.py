"""Leaderboards kept from the figures that triggers keep: some statements a period, for all bots at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ground.scope import Scope
from ground.sql import fetch_all, fetch_one, run
from ledger.rules.periods import period_begin
from ledger.rules.words import BucketSpan, Period
from ledger.services.board_sql import CUTS, STALE, quick_statement, whole_statement
from ledger.services.settings_row import ledger_settings

EVERY = timedelta(seconds=50)  # beat comes each minute, and not always on time
SOME = 100  # of more stale lines than that, all are made anew

_WHOLE = {period: whole_statement(period) for period in Period}
_WHOLE_OF_SOME = {period: whole_statement(period, some=True) for period in Period}
_QUICK = {period: quick_statement(period) for period in Period}
_LEAVE = """
    DELETE FROM leaderboard_entries WHERE id IN (
        SELECT e.id FROM leaderboard_entries e JOIN bots b ON b.id = e.bot_id WHERE b.retired_at IS NOT NULL
         ORDER BY e.period, e.bot_id FOR UPDATE OF e)
"""


def refresh_due_boards(*, scope: Scope, now: datetime) -> int | None:
    """Bring the boards up to the present unless somebody just did; how many lines changed, None when it was not due."""
    with scope.transaction():
        run("INSERT INTO ledger_state (id) VALUES (1) ON CONFLICT DO NOTHING")
        row = fetch_one("SELECT boards_at FROM ledger_state WHERE id = 1 FOR UPDATE")
        if row and row[0] and row[0] > now - EVERY:
            return None
        run("UPDATE ledger_state SET boards_at = %s WHERE id = 1", [now])
    return _refresh(scope, now=now, whole=False)


def refresh_boards(*, scope: Scope, now: datetime) -> int:
    """Make every board anew from all rows, also late ones; how many lines changed. Safe twice and at the same time."""
    return _refresh(scope, now=now, whole=True)


def refresh_board(*, scope: Scope, period: Period, now: datetime, whole: bool = True) -> int:
    """Refresh one board; how many lines changed.

    ``whole`` looks at all rows of the period. Else that is done once an hour (over all time, once a day), and for lines
    with a late snapshot or a changed capital; others get the trades of the whole period and the equity since then.
    """
    params = _moments(period, now=now)
    with scope.transaction():
        ledger_settings()
        # Compiling costs more than it saves here; and nothing is joined row by row but what says so (LATERAL), whatever
        # the planner believes of a board that was just filled.
        run("SET LOCAL jit = off; SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '32MB'")
        stale = [] if whole else [row[0] for row in fetch_all(STALE, params)]
        if whole or len(stale) > SOME:
            return run(_WHOLE[period], params)
        changed = run(_WHOLE_OF_SOME[period], params | {"bots": stale}) if stale else 0
        return changed + run(_QUICK[period], params)


def _refresh(scope: Scope, *, now: datetime, whole: bool) -> int:
    """Each board in its own transaction."""
    with scope.transaction():
        changed = run(_LEAVE)
    return changed + sum(refresh_board(scope=scope, period=period, now=now, whole=whole) for period in Period)


def _moments(period: Period, *, now: datetime) -> dict[str, Any]:
    since = period_begin(period, now=now)
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = since.replace(hour=0)
    return {
        "period": str(period),
        "now": now,
        "since": since,
        "first_day": day if day == since else day + timedelta(days=1),
        "today": this_hour.replace(hour=0),
        "cut": this_hour if CUTS[period] is BucketSpan.HOUR else this_hour.replace(hour=0),
    }
