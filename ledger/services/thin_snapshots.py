"""Forgetting snapshots that say nothing more: all for a week, then one an hour for a month, then one a day for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ground.scope import Scope
from ground.sql import fetch_all, fetch_one, run
from ledger.services.settings_row import ledger_settings

BOTS_AT_ONCE = 50
ROWS_AT_ONCE = 10_000
BUDGET_S = 45.0
EVERY = timedelta(hours=23)  # a pass looks at all; what an import brought waits so long at most
KEEP_HOUR_BUCKETS = timedelta(days=60)  # boards look back 30 days; days are kept for ever

# A row goes because a later one of the same hour or day stays behind, whoever else thins or writes at the same time: so
# the last one of an hour, of a day and of a bot is never touched. Nor is the very first, where buying and holding begins.
_THIN = """
    DELETE FROM bot_state_snapshots d USING (
        SELECT x.id FROM (
            SELECT s.id, s.taken_at,
                   lag(s.taken_at) OVER w AS previous_at, lead(s.taken_at) OVER w AS next_at
              FROM bot_state_snapshots s WHERE s.bot_id = ANY(%(bots)s) AND s.taken_at < %(full_from)s
            WINDOW w AS (PARTITION BY s.bot_id ORDER BY s.taken_at)
        ) x
         WHERE x.previous_at IS NOT NULL
           AND (date_trunc('hour', x.next_at, 'UTC') = date_trunc('hour', x.taken_at, 'UTC')
                OR (x.taken_at < %(hourly_from)s
                    AND date_trunc('day', x.next_at, 'UTC') = date_trunc('day', x.taken_at, 'UTC')))
         LIMIT %(limit)s
    ) gone WHERE d.id = gone.id
"""
_NEXT_BOTS = """
    SELECT b.id FROM bots b WHERE (%(after)s::uuid IS NULL OR b.id > %(after)s)
       AND EXISTS (SELECT FROM bot_state_snapshots s WHERE s.bot_id = b.id AND s.taken_at < %(full_from)s)
     ORDER BY b.id LIMIT %(limit)s
"""
_OLD_BUCKETS = """
    DELETE FROM bot_equity_buckets WHERE id IN (
        SELECT id FROM bot_equity_buckets WHERE span = 'hour' AND start_at < %(before)s LIMIT %(limit)s)
"""


@dataclass(frozen=True, slots=True)
class Thinned:
    """What went, and whether the pass came to its end within its time."""

    snapshots: int
    hours: int
    is_whole: bool


def thin_snapshots(
    *, scope: Scope, now: datetime, clock: Callable[[], float] = time.monotonic, force: bool = False
) -> Thinned | None:
    """Make one pass over all bots; None when the last whole one was less than a day ago.

    In batches of their own transactions. A pass that runs out of time ends without a mark, and the next goes on.
    """
    until = clock() + BUDGET_S
    with scope.transaction():
        last = fetch_one("SELECT thinned_at FROM ledger_state WHERE id = 1")
    if last and last[0] and last[0] > now - EVERY and not force:
        return None
    snapshots, is_whole = _thin_all(scope, _edges(scope, now=now), lambda: clock() < until)
    hours = _forget_hours(scope, now=now, is_time=lambda: clock() < until)
    if is_whole:
        with scope.transaction():
            run(
                "INSERT INTO ledger_state (id, thinned_at) VALUES (1, %s) "
                "ON CONFLICT (id) DO UPDATE SET thinned_at = excluded.thinned_at",
                [now],
            )
    return Thinned(snapshots, hours, is_whole)


def _edges(scope: Scope, *, now: datetime) -> dict[str, datetime]:
    """From when on everything stays, and from when on one an hour: at a full hour and at a full day."""
    with scope.transaction():
        settings = ledger_settings()
    full_from = (now.astimezone(UTC) - timedelta(days=settings.keep_full_days)).replace(
        minute=0, second=0, microsecond=0
    )
    hourly_from = (now.astimezone(UTC) - timedelta(days=settings.keep_hourly_days)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return {"full_from": full_from, "hourly_from": min(hourly_from, full_from)}


def hours_from(now: datetime) -> datetime:
    """Since when no bucket of an hour has been forgotten, with a day to spare."""
    return now - KEEP_HOUR_BUCKETS + timedelta(days=1)


def _thin_all(scope: Scope, edges: dict[str, datetime], is_time: Callable[[], bool]) -> tuple[int, bool]:
    removed, after = 0, None
    while is_time():
        with scope.transaction():
            bots: list[UUID] = [
                row[0] for row in fetch_all(_NEXT_BOTS, edges | {"after": after, "limit": BOTS_AT_ONCE})
            ]
        if not bots:
            return removed, True
        batch = ROWS_AT_ONCE
        while batch == ROWS_AT_ONCE and is_time():
            with scope.transaction():
                batch = run(_THIN, edges | {"bots": bots, "limit": ROWS_AT_ONCE})
            removed += batch
        after = bots[-1]
    return removed, False


def _forget_hours(scope: Scope, *, now: datetime, is_time: Callable[[], bool]) -> int:
    removed, batch = 0, ROWS_AT_ONCE
    while batch == ROWS_AT_ONCE and is_time():
        with scope.transaction():
            batch = run(_OLD_BUCKETS, {"before": now - KEEP_HOUR_BUCKETS, "limit": ROWS_AT_ONCE})
        removed += batch
    return removed
