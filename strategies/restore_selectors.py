"""Reads of restore runs: each with its plan, its steps and what came of them. Clients see the steps of their own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one

_OWN = """
    s.run_id = n.id AND (%(tenant)s::uuid IS NULL OR s.client_id = %(tenant)s)
    AND (%(client)s::uuid IS NULL OR s.client_id = %(client)s)
"""
_COUNTS = f"""
    FROM strategy_restores n CROSS JOIN LATERAL (
        SELECT count(*) AS strategies,
               json_build_object(
                   'strategies', count(*), 'deploy', count(*) FILTER (WHERE s.action = 'deploy'),
                   'watch', count(*) FILTER (WHERE s.action = 'watch'), 'adopt', count(*) FILTER (WHERE s.action = 'adopt'),
                   'skip', count(*) FILTER (WHERE s.action = 'skip')) AS plan,
               json_build_object(
                   'restored', count(*) FILTER (WHERE s.outcome = 'restored'),
                   'quarantined', count(*) FILTER (WHERE s.outcome = 'quarantined'),
                   'stopped', count(*) FILTER (WHERE s.outcome = 'stopped'),
                   'unfinished', count(*) FILTER (WHERE s.outcome = 'unfinished'),
                   'open', count(*) FILTER (WHERE s.outcome IN ('pending', 'released'))) AS outcome,
               coalesce(json_agg(json_build_object(
                   'position', s.position, 'symbol', s.symbol_shown, 'strategy_type', s.strategy_type,
                   'exchange', s.exchange, 'bot_id', s.bot_id, 'action', s.action, 'outcome', s.outcome,
                   'attempts', s.attempts, 'due_at', bridge_iso(s.due_at), 'carried', s.carried,
                   'settled_at', bridge_iso(s.settled_at), 'message', nullif(s.message, '')) ORDER BY s.position),
                   '[]') AS steps
          FROM strategy_restore_steps s WHERE {_OWN}) p
     WHERE (coalesce(%(client)s, %(tenant)s)::uuid IS NULL OR p.strategies > 0)
"""  # noqa: S608 - made of constants
_SHOWN = """
    json_build_object(
        'id', n.id, 'reason', n.reason, 'requested_by', CASE WHEN %(tenant)s::uuid IS NULL THEN n.requested_by END,
        'is_dry_run', n.is_dry_run, 'status', n.status, 'spacing_s', n.spacing_s::float, 'message', nullif(n.message, ''),
        'created_at', bridge_iso(n.created_at), 'started_at', bridge_iso(n.started_at),
        'finished_at', bridge_iso(n.finished_at), 'plan', p.plan, 'outcome', p.outcome, 'steps', p.steps)::text
"""
_PAGE = f"""
    SELECT {_SHOWN}, n.id, n.created_at {_COUNTS} {{after}}
     ORDER BY n.created_at DESC, n.id DESC LIMIT %(limit)s + 1 OFFSET %(offset)s
"""
_COUNT = f"SELECT count(*) {_COUNTS}"


def restores_page(scope: Scope, page: Page, *, client_id: UUID | None = None) -> dict[str, Any]:
    """``{rows: JSON text of a list, total, next}`` of restore runs, newest first; ``total`` where the page counts.

    ``client_id`` narrows to one client's steps, and to runs that have any.
    """
    params: dict[str, Any] = {"tenant": scope.client_id, "client": client_id}
    params |= {"limit": page.limit, "offset": page.offset or 0} | page.after()
    after = "AND (n.created_at, n.id) < (%(after_at)s, %(after_id)s)" if page.cursor else ""
    with scope.transaction():
        rows = fetch_all(_PAGE.format(after=after), params)
        counted = fetch_one(_COUNT, params) if page.offset is not None else None
    shown = rows[: page.limit]
    following = encode_cursor(shown[-1][2], shown[-1][1]) if len(rows) > page.limit else None
    total = int(counted[0]) if counted else None
    return {"rows": "[" + ",".join(row[0] for row in shown) + "]", "total": total, "next": following}
