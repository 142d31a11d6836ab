"""How sure the returns on the boards are: bootstrap intervals, some at a time, the oldest first."""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import orjson

from ground.scope import Scope
from ground.sql import fetch_all, run
from ledger.rules.bootstrap import Interval, compounded_interval, is_distinguishable
from ledger.rules.periods import GRAINS, LENGTHS, period_begin
from ledger.rules.words import BucketSpan, Period

EVERY = timedelta(minutes=55)  # a line's interval is renewed after so long
MOST_AT_ONCE = 500
BUDGET_S = 20.0

_DUE = """
    SELECT e.bot_id, e.period FROM leaderboard_entries e
     WHERE e.return_pct IS NOT NULL AND (e.interval_at IS NULL OR e.interval_at <= %s)
     ORDER BY e.interval_at NULLS FIRST, e.bot_id, e.period LIMIT %s
"""
# The steps that Sharpe's ratio is made of: whole hours or days, and only between neighbours.
_STEPS = """
    SELECT x.bot_id, array_agg((x.value - x.previous) / nullif(x.previous, 0) ORDER BY x.start_at), min(x.previous)
      FROM (SELECT e.bot_id, e.start_at, e.last_value AS value, lag(e.last_value) OVER w AS previous,
                   e.start_at - lag(e.start_at) OVER w = %(length)s AS is_next
              FROM bot_equity_buckets e
             WHERE e.bot_id = ANY(%(bots)s) AND e.span = %(grain)s AND e.last_at >= %(since)s
               AND e.start_at > %(since)s - %(length)s AND e.start_at + %(length)s <= %(now)s
            WINDOW w AS (PARTITION BY e.bot_id ORDER BY e.start_at)) x
     WHERE x.is_next GROUP BY x.bot_id
"""
# Rows are locked in the order in which boards are refreshed, so that the two never wait for each other.
_STORE = """
    WITH locked AS (
        SELECT e.id, g.low, g.high, g.apart
          FROM leaderboard_entries e
          JOIN jsonb_to_recordset(%(rows)s::jsonb) AS g(bot_id uuid, low numeric, high numeric, apart boolean) USING (bot_id)
         WHERE e.period = %(period)s ORDER BY e.bot_id FOR UPDATE OF e
    )
    UPDATE leaderboard_entries e SET return_low_pct = l.low, return_high_pct = l.high, is_distinguishable = l.apart,
           interval_at = %(now)s
      FROM locked l WHERE e.id = l.id
"""
_FORGET = """
    WITH locked AS (
        SELECT id FROM leaderboard_entries WHERE return_pct IS NULL AND interval_at IS NOT NULL ORDER BY period, bot_id FOR UPDATE
    )
    UPDATE leaderboard_entries e SET return_low_pct = NULL, return_high_pct = NULL, is_distinguishable = NULL,
           interval_at = NULL
      FROM locked l WHERE e.id = l.id
"""
_MOST = Decimal("1e18")  # in percent; beyond that an interval says nothing


def refresh_intervals(
    *, scope: Scope, now: datetime, most: int = MOST_AT_ONCE, clock: Callable[[], float] = time.monotonic
) -> int:
    """Renew the oldest intervals; how many. The same equity gives the same interval, whoever computes it."""
    until, renewed = clock() + BUDGET_S, 0
    with scope.transaction():
        run(_FORGET)
    with scope.transaction():
        due: dict[Period, list[UUID]] = defaultdict(list)
        for bot_id, period in fetch_all(_DUE, [now - EVERY, most]):
            due[Period(period)].append(bot_id)
    for period, bots in due.items():
        for start in range(0, len(bots), 50):
            if clock() > until:
                return renewed
            some = bots[start : start + 50]
            returns = _returns(scope, period, some, now=now)
            _store(scope, period, {bot: _interval(bot, period, returns.get(bot, [])) for bot in some}, now=now)
            renewed += len(some)
    with scope.transaction():
        run(
            "INSERT INTO ledger_state (id, intervals_at) VALUES (1, %s) "
            "ON CONFLICT (id) DO UPDATE SET intervals_at = excluded.intervals_at",
            [now],
        )
    return renewed


def _returns(scope: Scope, period: Period, bots: list[UUID], *, now: datetime) -> dict[UUID, list[Decimal]]:
    grain: BucketSpan = GRAINS[period]
    params = {
        "bots": bots,
        "grain": str(grain),
        "length": LENGTHS[grain],
        "since": period_begin(period, now=now),
        "now": now,
    }
    with scope.transaction():
        rows: Iterable[tuple[UUID, list[Decimal], Decimal]] = fetch_all(_STEPS, params)
    return {bot: steps for bot, steps, least in rows if least > 0}


def _interval(bot: UUID, period: Period, returns: list[Decimal]) -> Interval | None:
    found = compounded_interval(returns, seed=zlib.crc32(f"{bot} {period}".encode()))
    return None if found is None or max(abs(found.low), abs(found.high)) * 100 > _MOST else found


def _store(scope: Scope, period: Period, found: dict[UUID, Interval | None], *, now: datetime) -> None:
    rows = [
        {
            "bot_id": str(bot),
            "low": None if interval is None else f"{interval.low * 100:f}",
            "high": None if interval is None else f"{interval.high * 100:f}",
            "apart": is_distinguishable(interval),
        }
        for bot, interval in sorted(found.items())
    ]
    with scope.transaction():
        run(_STORE, {"rows": orjson.dumps(rows).decode(), "period": str(period), "now": now})
