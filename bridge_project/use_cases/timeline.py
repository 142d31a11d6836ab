"""Everything that happened to a bot, newest first: changes of its definition and wish, deployments, verdicts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ground.errors import NotFound
from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one

_EVENTS = """
    SELECT a.at, 'audit:' || a.id AS key, json_build_object(
             'at', bridge_iso(a.at), 'kind', 'change', 'actor', a.actor, 'reason', a.reason, 'action', lower(a.action),
             'before', a.before, 'after', a.after) AS event
      FROM audit_log a WHERE a.table_name = 'bots' AND a.row_id = %(id)s::text
    UNION ALL
    SELECT l.checked_at, 'health:' || lpad(l.id::text, 20, '0'), json_build_object(
             'at', bridge_iso(l.checked_at), 'kind', 'health', 'actor', l.actor, 'reason', l.reason,
             'previous_status', l.previous_status, 'new_status', l.new_status)
      FROM bot_health_logs l WHERE l.bot_id = %(id)s AND l.previous_status IS DISTINCT FROM l.new_status
    UNION ALL
    SELECT coalesce(d.ended_at, d.stop_sent_at, d.confirmed_at, d.sent_at, d.created_at), 'deployment:' || d.id,
           json_build_object(
             'at', bridge_iso(coalesce(d.ended_at, d.stop_sent_at, d.confirmed_at, d.sent_at, d.created_at)),
             'kind', 'deployment', 'actor', d.requested_by, 'reason', d.message, 'status', d.status,
             'instance_name', coalesce(nullif(d.instance_name, ''), d.requested_name), 'was_adopted', d.was_adopted,
             'requested_at', bridge_iso(d.created_at), 'confirmed_at', bridge_iso(d.confirmed_at),
             'ended_at', bridge_iso(d.ended_at))
      FROM bot_deployments d WHERE d.bot_id = %(id)s
"""
_PAGE = f"""
    SELECT at, key, event::text FROM ({_EVENTS}) e
     WHERE %(before_at)s::timestamptz IS NULL OR (at, key) < (%(before_at)s::timestamptz, %(before_key)s)
     ORDER BY at DESC, key DESC LIMIT %(limit)s + 1
"""  # noqa: S608 - made of constants


def bot_timeline(*, scope: Scope, bot_id: UUID, page: Page) -> dict[str, Any]:
    """``{rows: JSON text of a list, next}``. Raises NotFound, InvalidInput for a cursor that is not ours."""
    params = {"id": bot_id, "limit": page.limit, "before_at": None, "before_key": None}
    if page.cursor:
        params |= {"before_at": page.instant(), "before_key": page.cursor[1]}
    with scope.transaction():
        if not fetch_one("SELECT 1 FROM bots WHERE id = %s AND retired_at IS NULL", [bot_id]):
            raise NotFound("There is no such bot.")
        found = fetch_all(_PAGE, params)
    shown = found[: page.limit]
    more = len(found) > page.limit
    return {
        "rows": "[" + ",".join(row[2] for row in shown) + "]",
        "next": encode_cursor(shown[-1][0].isoformat(), shown[-1][1]) if more else None,
    }
