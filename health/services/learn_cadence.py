"""Learning how often each bot trades, from the trades that the ledger keeps of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import orjson

from ground.scope import Scope
from ground.sql import fetch_all, fetch_one, run
from health.away import NO_ANSWER
from health.rules.cadence import VERSION, Cadence, learn

HISTORY = timedelta(days=28)  # before a bot's newest trade
MOMENTS = 2000  # of it, the newest
APART = timedelta(minutes=2)  # trades closer than this to the next count as one moment
LEARNED_FOR = timedelta(hours=6)
BATCH = 20
BUDGET_S = 45.0

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('bridge learn_cadence'))"

# Bots that run and whose cadence is old, was learned by other rules, or was proven wrong by a bot that was called
# stopped and traded on.
_DUE = """
    SELECT b.id
      FROM bots b LEFT JOIN bot_cadences c ON c.bot_id = b.id
     WHERE b.retired_at IS NULL AND b.runtime_kind <> 'arena' AND b.desired_status = 'running'
       AND (c.bot_id IS NULL OR c.learned_at < %(before)s OR (c.profile ->> 'version')::int <> %(version)s
            OR EXISTS (SELECT FROM bot_health_transitions t
                        WHERE t.bot_id = b.id AND t.at > c.learned_at AND t.at <= %(now)s
                          AND t.from_status = 'stopped' AND t.to_status = 'healthy'))
     ORDER BY c.learned_at NULLS FIRST, b.id LIMIT %(batch)s
"""

# From the newest trade back, one look into the index for each moment, however many trades lie between two of them.
_MOMENTS = """
    WITH RECURSIVE moments (bot_id, at, until, number) AS (
        SELECT b.id, newest.at, newest.at - %(history)s, 1
          FROM unnest(%(ids)s::uuid[]) AS b (id) CROSS JOIN LATERAL (
              SELECT t.executed_at AS at FROM trades t
               WHERE t.bot_id = b.id AND t.executed_at <= %(now)s ORDER BY t.executed_at DESC LIMIT 1) newest
        UNION ALL
        SELECT m.bot_id, earlier.at, m.until, m.number + 1
          FROM moments m CROSS JOIN LATERAL (
              SELECT t.executed_at AS at FROM trades t
               WHERE t.bot_id = m.bot_id AND t.executed_at <= m.at - %(apart)s AND t.executed_at >= m.until
               ORDER BY t.executed_at DESC LIMIT 1) earlier
         WHERE m.number < %(moments)s)
    SELECT bot_id, array_agg(extract(epoch FROM at)::float8 ORDER BY at) FROM moments GROUP BY bot_id
"""

# A start after a crash and a stop are breaks; no answer of the exchange is an outage, until the verdict changes again.
_INTERRUPTIONS = f"""
    SELECT bot_id, is_break, since, until FROM (
        SELECT t.bot_id, extract(epoch FROM t.at)::float8 AS since,
               extract(epoch FROM lead(t.at, 1, %(now)s) OVER (PARTITION BY t.bot_id ORDER BY t.at, t.id))::float8 AS until,
               t.actor <> 'system:health' AND (t.to_status = 'stopped' OR t.from_status IN ('stopped', 'error')) AS is_break,
               {NO_ANSWER} AS is_outage
          FROM bot_health_transitions t
         WHERE t.bot_id = ANY(%(ids)s::uuid[]) AND t.at > %(now)s - 2 * %(history)s) x
     WHERE is_break OR is_outage
"""  # noqa: S608 - made of constants

_WRITE = """
    INSERT INTO bot_cadences (bot_id, client_id, learned_at, since_at, trades, is_enough, note, longest_gap_s, profile)
    SELECT b.id, b.client_id, %(now)s, x.since_at, x.trades, x.is_enough, x.note, x.longest_gap_s, x.profile
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x (bot_id uuid, since_at timestamptz, trades int, is_enough boolean,
                                                     note text, longest_gap_s int, profile jsonb)
      JOIN bots b ON b.id = x.bot_id
     ORDER BY b.id
    ON CONFLICT (bot_id) DO UPDATE SET
        client_id = excluded.client_id, learned_at = excluded.learned_at, since_at = excluded.since_at,
        trades = excluded.trades, is_enough = excluded.is_enough, note = excluded.note,
        longest_gap_s = excluded.longest_gap_s, profile = excluded.profile
     WHERE bot_cadences.learned_at <= excluded.learned_at
"""


def learn_due_cadences(*, scope: Scope, now: datetime, budget_s: float = BUDGET_S) -> int:
    """Learn the cadence of every bot for which that is due, for as long as the budget lasts; says of how many.

    While somebody else does it, nothing is done.
    """
    begun, learned = monotonic(), 0
    while monotonic() - begun < budget_s:
        with scope.transaction(reason="cadence learned"):
            bot_ids = _claimed(now)
            learn_cadences(scope=scope, bot_ids=bot_ids, now=now)
        learned += len(bot_ids)
        if len(bot_ids) < BATCH:
            break
    return learned


def learn_cadences(*, scope: Scope, bot_ids: Sequence[UUID], now: datetime) -> None:
    """Learn the cadence of these bots from the trades up to ``now``. Safe to run twice; a later one is kept."""
    if not bot_ids:
        return
    with scope.transaction(reason="cadence learned"):
        params = {"ids": list(bot_ids), "now": now, "history": HISTORY, "apart": APART, "moments": MOMENTS}
        moments: dict[UUID, list[float]] = dict(fetch_all(_MOMENTS, params))
        breaks, outages = _interruptions(params)
        found = {
            bot_id: learn(moments.get(bot_id, ()), breaks=breaks[bot_id], outages=outages[bot_id]) for bot_id in bot_ids
        }
        rows = [_row(bot_id, cadence) for bot_id, cadence in found.items()]
        run(_WRITE, {"rows": orjson.dumps(rows).decode(), "now": now})


def _claimed(now: datetime) -> list[UUID]:
    row = fetch_one(_LOCK)
    if not row or not row[0]:
        return []
    params = {"now": now, "before": now - LEARNED_FOR, "version": VERSION, "batch": BATCH}
    return [bot_id for (bot_id,) in fetch_all(_DUE, params)]


def _interruptions(
    params: dict[str, object],
) -> tuple[defaultdict[UUID, list[float]], defaultdict[UUID, list[tuple[float, float]]]]:
    breaks: defaultdict[UUID, list[float]] = defaultdict(list)
    outages: defaultdict[UUID, list[tuple[float, float]]] = defaultdict(list)
    for bot_id, is_break, since, until in fetch_all(_INTERRUPTIONS, params):
        if is_break:
            breaks[bot_id].append(since)
        else:
            outages[bot_id].append((since, until))
    return breaks, outages


def _row(bot_id: UUID, cadence: Cadence) -> dict[str, object]:
    since = cadence.since_at
    longest = cadence.longest_gap_s
    return {
        "bot_id": bot_id,
        "since_at": datetime.fromtimestamp(since, UTC) if since else None,
        "trades": cadence.gaps + 1 if cadence.gaps else 0,
        "is_enough": cadence.is_enough,
        "note": cadence.note,
        "longest_gap_s": round(longest) if longest is not None else None,
        "profile": cadence.profile,
    }
