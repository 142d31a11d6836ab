"""Everything that happened to a bot, newest first: changes of its definition, wish and capital, deployments, verdicts,
positions opened and closed, decisions, and its trades, an hour of one symbol in one line.

Each part is read by its own index and no further than a page, so the whole is fast whatever a bot has done.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ground.errors import NotFound
from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one


def _part(source: str, *, at: str, key: str, where: str, event: str) -> str:
    """At most a page and one of the events that come after the cursor."""
    return f"""
        (SELECT {at} AS at, ({key}) COLLATE "C" AS key, json_build_object('at', bridge_iso({at}), {event}) AS event
           FROM {source}
          WHERE {where} AND {at} <= coalesce(%(before_at)s::timestamptz, 'infinity')
            AND (%(before_at)s::timestamptz IS NULL OR ({at}, ({key}) COLLATE "C") < (%(before_at)s, %(before_key)s))
          ORDER BY 1 DESC, 2 DESC LIMIT %(limit)s + 1)
    """  # noqa: S608 - made of constants


def _audited(table: str, kind: str) -> str:
    return _part(
        "audit_log a",
        at="a.at",
        key="'audit:' || lpad(a.id::text, 20, '0')",
        where=f"a.table_name = '{table}' AND a.row_id = %(id)s::text",
        event=f"'kind', '{kind}', 'actor', a.actor, 'reason', a.reason, 'action', lower(a.action), 'before', a.before, "
        "'after', a.after",
    )


_MOVED = "coalesce(d.ended_at, d.stop_sent_at, d.confirmed_at, d.sent_at, d.created_at)"
_POSITION = """
    'position_id', p.id, 'symbol', p.symbol, 'position_type', p.position_type, 'mode', p.mode,
    'entry_price', bridge_number(p.entry_price), 'size', bridge_number(p.size), 'leverage', trim_scale(p.leverage),
    'currency', p.currency
"""
_EVENTS = " UNION ALL ".join(
    [
        _audited("bots", "change"),
        _audited("bot_accounts", "capital"),
        _part(
            "bot_health_logs l",
            at="l.checked_at",
            key="'health:' || lpad(l.id::text, 20, '0')",
            where="l.bot_id = %(id)s AND l.previous_status IS DISTINCT FROM l.new_status",
            event="'kind', 'health', 'actor', l.actor, 'reason', l.reason, 'previous_status', l.previous_status, "
            "'new_status', l.new_status",
        ),
        _part(
            "bot_deployments d",
            at=_MOVED,
            key="'deployment:' || d.id",
            where="d.bot_id = %(id)s",
            event="'kind', 'deployment', 'actor', d.requested_by, 'reason', d.message, 'status', d.status, "
            "'instance_name', coalesce(nullif(d.instance_name, ''), d.requested_name), 'was_adopted', d.was_adopted, "
            "'requested_at', bridge_iso(d.created_at), 'confirmed_at', bridge_iso(d.confirmed_at), "
            "'ended_at', bridge_iso(d.ended_at)",
        ),
        _part(
            "positions p",
            at="p.opened_at",
            key="'opened:' || p.id",
            where="p.bot_id = %(id)s",
            event=f"'kind', 'position_opened', 'actor', 'bot', 'reason', p.note, {_POSITION}",
        ),
        _part(
            "positions p",
            at="p.closed_at",
            key="'closed:' || p.id",
            where="p.bot_id = %(id)s AND p.status = 'closed'",
            event=f"'kind', 'position_closed', 'actor', 'bot', 'reason', p.close_cause, {_POSITION}, "
            "'exit_price', bridge_number(p.exit_price), 'realized_pnl', bridge_number(p.realized_pnl)",
        ),
        _part(
            "bot_decisions b",
            at="b.decided_at",
            key="'decision:' || b.id",
            where="b.bot_id = %(id)s",
            event="'kind', 'decision', 'actor', 'bot', 'reason', left(b.notes_json ->> 0, 300), 'decision_id', b.id, "
            "'execution_success', b.execution_success",
        ),
        _part(
            "bot_trade_hours h",
            at="h.hour_at",
            key="'trades:' || h.symbol",
            where="h.bot_id = %(id)s",
            event="'kind', 'trades', 'actor', 'bot', 'reason', '', 'until', bridge_iso(h.hour_at + interval '1 hour'), "
            "'symbol', h.symbol, 'trades', h.trades, 'buys', h.buys, 'sells', h.trades - h.buys, 'closed_trades', h.closed, "
            "'pnl', CASE WHEN h.closed > 0 THEN bridge_number(h.pnl) END, 'fees', bridge_number(h.fees), "
            "'volume', bridge_number(h.volume)",
        ),
    ]
)
_PAGE = f"SELECT at, key, event::text FROM ({_EVENTS}) e ORDER BY at DESC, key DESC LIMIT %(limit)s + 1"  # noqa: S608


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
