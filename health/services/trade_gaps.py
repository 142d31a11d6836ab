"""Stretches of time of which the ledger may lack a bot's trades: noted, claimed, read on, closed. Each step is safe twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ground.http import exact_json
from ground.scope import system_scope
from ground.sql import fetch_all, run

GAPS = system_scope("ledger")
FIRST_LOOK_BACK = timedelta(days=7)  # how far back a bot's trades are read that is seen for the first time
LEASE = timedelta(minutes=2)
KEEP_CLOSED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Gap:
    """``is_first``: of the time before the first look at a bot; a bot has that once."""

    bot_id: UUID
    client_id: UUID
    from_at: datetime
    to_at: datetime
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A gap that is ours until the lease ends, and what of it is left to read."""

    id: int
    bot_id: UUID
    from_at: datetime
    to_at: datetime
    rest_from: datetime
    rest_to: datetime
    attempts: int
    lease_until: datetime


_NOTE = """
    INSERT INTO trade_gaps (bot_id, client_id, from_at, to_at, due_at, attempts, note, found)
    SELECT g.bot_id, g.client_id, g.from_at, g.to_at, %(now)s, 0, '', 0
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
           bot_id uuid, client_id uuid, from_at timestamptz, to_at timestamptz, is_first boolean)
     WHERE NOT g.is_first OR NOT EXISTS (SELECT 1 FROM trade_gaps t WHERE t.bot_id = g.bot_id)
     ORDER BY g.bot_id
    ON CONFLICT DO NOTHING
"""
_CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT id FROM trade_gaps
         WHERE closed_at IS NULL AND due_at <= %(now)s AND (lease_until IS NULL OR lease_until <= %(now)s)
         ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE trade_gaps g SET lease_until = %(until)s, attempts = g.attempts + 1 FROM due WHERE g.id = due.id
    RETURNING g.id, g.bot_id, g.from_at, g.to_at, coalesce(g.rest_from_at, g.from_at), coalesce(g.rest_to_at, g.to_at),
              g.attempts, g.lease_until
"""
# Only whoever still holds the lease tells what became of the gap.
_KEEP = """
    UPDATE trade_gaps SET lease_until = NULL, due_at = %(due_at)s, rest_from_at = %(rest_from)s, rest_to_at = %(rest_to)s,
           found = found + %(found)s, note = %(note)s, attempts = CASE WHEN %(has_read)s THEN 0 ELSE attempts END
     WHERE id = %(id)s AND lease_until = %(lease_until)s AND closed_at IS NULL
"""
_CLOSE = """
    UPDATE trade_gaps SET lease_until = NULL, closed_at = %(now)s, found = found + %(found)s, note = %(note)s
     WHERE id = %(id)s AND lease_until = %(lease_until)s AND closed_at IS NULL
"""


def note_gaps(*, gaps: Sequence[Gap], now: datetime) -> None:
    """Remember gaps; one that is known already stays as it is."""
    if gaps:
        with GAPS.transaction():
            run(_NOTE, {"rows": exact_json([asdict(gap) for gap in gaps]), "now": now})


def claim_gaps(*, now: datetime, limit: int) -> list[Claimed]:
    """Gaps that are due, ours for the length of a lease."""
    with GAPS.transaction():
        rows = fetch_all(_CLAIM, {"now": now, "until": now + LEASE, "limit": limit})
    return [Claimed(*row) for row in rows]


def keep_gap(
    gap: Claimed,
    *,
    due_at: datetime,
    rest: tuple[datetime, datetime] | None = None,
    found: int = 0,
    note: str = "",
) -> None:
    """Let go of a gap that is not read to its end; ``rest`` is what is left, None: as much as before."""
    rest_from, rest_to = rest or (gap.rest_from, gap.rest_to)
    with GAPS.transaction():
        run(
            _KEEP,
            {
                "id": gap.id, "lease_until": gap.lease_until, "due_at": due_at, "rest_from": rest_from, "rest_to": rest_to,
                "found": found, "note": note[:300], "has_read": rest is not None,
            },
        )  # fmt: skip


def close_gap(gap: Claimed, *, now: datetime, found: int = 0, note: str = "") -> None:
    """The gap was read, or is given up for the reason in ``note``."""
    with GAPS.transaction():
        params = {"id": gap.id, "lease_until": gap.lease_until, "now": now, "found": found, "note": note[:300]}
        run(_CLOSE, params)


def forget_closed_gaps(*, now: datetime) -> int:
    """Remove gaps that were closed long ago, but each bot's newest: it says that its past was read. How many went."""
    with GAPS.transaction():
        return run(
            "DELETE FROM trade_gaps g WHERE g.closed_at < %s AND EXISTS "
            "(SELECT 1 FROM trade_gaps n WHERE n.bot_id = g.bot_id AND n.id > g.id)",
            [now - KEEP_CLOSED],
        )
