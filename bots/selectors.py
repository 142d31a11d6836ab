"""Reads of bots. The database builds their JSON; what Hummingbot runs is read from what the poller stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings

from bots.models import BotsSettings
from bots.rules.words import RuntimeKind
from clients.selectors import as_uuid, the_one
from ground.errors import InvalidInput, NotFound
from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_hot, fetch_one

SILENT_POLLS = 3  # after so many polls without a readable answer, what was observed is only the last known
IN_SCOPE = "b.retired_at IS NULL AND (%(tenant)s::uuid IS NULL OR b.client_id = %(tenant)s)"
_IS_CURRENT = (
    "coalesce(r.observed_at > now() - make_interval(secs => 10 + %(silent_polls)s * "
    "coalesce((SELECT hummingbot_poll_seconds FROM bots_settings), %(poll_s)s)), false)"
)

# The same table as bots/rules/status.py, for lists of thousands; a test holds the two against each other.
STATUS = f"""
    CASE
    WHEN b.desired_status = 'created' THEN 'created'
    WHEN b.runtime_kind <> 'hummingbot' THEN CASE
        WHEN b.reported_status = 'error' THEN CASE WHEN b.desired_status = 'running' THEN 'error' ELSE 'stopped' END
        WHEN b.desired_status = 'running' THEN CASE WHEN b.reported_status = 'stopped' THEN 'stopped' ELSE 'running' END
        WHEN b.reported_status = 'running' THEN 'stopping' ELSE 'stopped' END
    WHEN b.desired_status = 'stopped' THEN CASE
        WHEN d.status IS NULL OR d.status IN ('ended', 'failed') THEN 'stopped'
        WHEN d.status = 'retiring' THEN CASE WHEN r.status = 'running' THEN 'stopping' ELSE 'stopped' END
        WHEN d.status IN ('wanted', 'sending', 'unknown_outcome') THEN 'stopping'
        WHEN r.status IN ('stopped', 'exited', 'absent') THEN 'stopped' ELSE 'stopping' END
    WHEN d.status IN ('ended', 'failed') THEN 'error'
    WHEN d.status IS NULL OR d.status IN ('wanted', 'sending', 'unknown_outcome', 'stopping', 'retiring') THEN 'starting'
    WHEN r.status IN ('exited', 'absent', 'failed') THEN 'error'
    WHEN r.status = 'stopped' AND d.confirmed_at IS NOT NULL THEN 'error'
    WHEN r.status = 'running' AND {_IS_CURRENT} THEN 'running'
    WHEN d.confirmed_at IS NOT NULL THEN 'unknown' ELSE 'starting' END
"""

JOINS = """
      JOIN clients c ON c.id = b.client_id
      LEFT JOIN bot_health h ON h.bot_id = b.id
      LEFT JOIN bot_runtime r ON r.bot_id = b.id AND b.runtime_kind = 'hummingbot'
      LEFT JOIN bot_stats s ON s.bot_id = b.id
      LEFT JOIN LATERAL (
        SELECT x.status, x.confirmed_at, x.instance_name, x.requested_name, x.message FROM bot_deployments x
         WHERE x.bot_id = b.id ORDER BY x.sequence DESC LIMIT 1
      ) d ON b.runtime_kind = 'hummingbot'
"""

# A bot as the API shows it.
COLUMNS = f"""
    b.id, b.client_id, c.account_identifier AS account,
    coalesce(nullif(d.instance_name, ''), d.requested_name) AS instance_name, b.name, b.connector_name AS connector,
    b.connector_id, coalesce(%(pair_shown)s, b.pair) AS pair, b.strategy, b.config, b.runtime_kind, {STATUS} AS status,
    b.desired_status, b.reported_status,
    CASE WHEN r.bot_id IS NULL THEN NULL ELSE json_build_object(
        'status', r.status, 'source', CASE WHEN {_IS_CURRENT} THEN 'hummingbot' ELSE 'last_known' END,
        'observed_at', bridge_iso(r.observed_at), 'age_s', round(extract(epoch FROM now() - r.observed_at), 1),
        'explanation', r.explanation) END AS runtime,
    nullif(d.message, '') AS deployment_message,
    coalesce(h.status, 'unknown') AS health_status, coalesce(h.message, 'Not checked yet.') AS health_message,
    CASE WHEN h.status = 'unknown' AND h.last_known_status IS NOT NULL THEN json_build_object(
        'health_status', h.last_known_status, 'at', bridge_iso(h.last_known_at)) END AS last_known,
    bridge_iso(h.last_trade_at) AS last_trade_time, bridge_iso(h.last_heartbeat_at) AS last_heartbeat,
    trim_scale(b.stale_minutes) AS stale_minutes, trim_scale(b.stopped_minutes) AS stopped_minutes,
    bridge_iso(h.status_updated_at) AS status_updated_at,
    json_build_object(
        'trades_24h', json_build_object('buys', s.buys_24h, 'sells', s.sells_24h),
        'volume_24h', bridge_number(s.volume_24h), 'pnl', bridge_number(s.pnl),
        'last_price', bridge_number(s.last_price)) AS stats,
    bridge_iso(b.created_at) AS created_at, bridge_iso(b.updated_at) AS updated_at
"""

_ONE = f"""
    SELECT row_to_json(t)::text FROM (SELECT {COLUMNS} FROM bots b {JOINS} WHERE {IN_SCOPE} AND b.id = %(id)s) t
"""  # noqa: S608


def poll_seconds() -> int:
    """How often Hummingbot is asked: what an operator set, else the environment's default."""
    chosen = BotsSettings.objects.values_list("hummingbot_poll_seconds", flat=True).first()
    return chosen or int(settings.HUMMINGBOT_POLL_SECONDS)


def base_params(scope: Scope) -> dict[str, Any]:
    """The parameters that every statement made of these parts needs."""
    return {"tenant": scope.client_id, **_shown_params()}


def _shown_params() -> dict[str, Any]:
    return {"pair_shown": None, "silent_polls": SILENT_POLLS, "poll_s": settings.HUMMINGBOT_POLL_SECONDS}


def bot_json(scope: Scope, bot_id: UUID, *, pair_shown: str | None = None) -> str:
    """One bot as JSON text; ``pair_shown`` echoes a symbol as its caller wrote it. Raises NotFound."""
    with scope.transaction():
        row = fetch_hot(_ONE, base_params(scope) | {"id": bot_id, "pair_shown": pair_shown})
    if row is None:
        raise NotFound("There is no such bot.")
    return str(row[0])


def bot_status(scope: Scope, bot_id: UUID) -> str:
    """The derived status word of one bot. Raises NotFound."""
    with scope.transaction():
        row = fetch_one(
            f"SELECT {STATUS} FROM bots b {JOINS} WHERE {IN_SCOPE} AND b.id = %(id)s",  # noqa: S608
            base_params(scope) | {"id": bot_id},
        )
    if row is None:
        raise NotFound("There is no such bot.")
    return str(row[0])


def resolve_bot(scope: Scope, given: str) -> UUID:
    """The id of the bot named by our id or by its old system's. Raises NotFound, or Conflict with the candidates."""
    with scope.transaction():
        rows = fetch_all(
            f"SELECT b.id FROM bots b WHERE {IN_SCOPE} AND (%(only)s::uuid IS NULL OR b.id = %(only)s) "  # noqa: S608
            "AND (b.id = %(uuid)s OR (b.source_id = %(text)s AND b.source_id <> '')) LIMIT 20",
            {
                "tenant": scope.client_id,
                "only": scope.bot_id,
                "uuid": as_uuid(given),
                "text": given[:200].replace("\x00", ""),
            },
        )
    return the_one([row[0] for row in rows], "bot")


def bots_page(scope: Scope, page: Page, **filters: str) -> dict[str, Any]:
    """``{rows: JSON text of a list, total, next}`` of the bots in scope, oldest first; arena bots only when asked for.

    Filters: account, status, health, search, kind.
    """
    sql, params, matching = _page_query(page, **filters)
    params["tenant"] = scope.client_id
    with scope.transaction():
        rows, fetched, last_at, last_id = fetch_hot(sql, params) or ("[]", 0, None, None)
        is_whole = page.cursor is None and not page.offset and fetched <= page.limit
        total = fetched if is_whole else _count(matching, params)
    more = fetched > page.limit
    return {"rows": rows, "total": total, "next": encode_cursor(last_at, last_id) if more else None}


def whole_list_query(page: Page, **filters: str) -> tuple[str, dict[str, Any]]:
    """The statement of a first page and its parameters but the tenant, for a read along with the key's look-up."""
    sql, params, _ = _page_query(page, **filters)
    return sql, params


def whole_list(row: tuple[Any, ...], page: Page) -> dict[str, Any] | None:
    """What ``bots_page`` answers, from the row of ``whole_list_query``; None when there are more bots than the page holds."""
    rows, fetched = row[:2]
    return {"rows": rows, "total": fetched, "next": None} if fetched <= page.limit else None


def _page_query(page: Page, **filters: str) -> tuple[str, dict[str, Any], str]:
    where, params = _filters(**filters)
    params |= _shown_params() | {"limit": page.limit}
    matching = " AND ".join(where)
    if page.cursor:
        where.append("(b.created_at, b.id) > (%(after_at)s, %(after_id)s)")
        params |= page.after()
    # Only where it is asked for: an offset that is a parameter has PostgreSQL plan each request anew.
    offset = "OFFSET %(offset)s" if page.offset else ""
    return page_statement(" AND ".join(where), offset=offset), params | {"offset": page.offset}, matching


def page_statement(where: str, *, offset: str = "") -> str:
    """One row: the page as JSON text, how many rows were found (one more than shown when there are more), and the last
    shown row's key. The innermost query puts the rows in order and nothing above it changes that; sorting the finished
    texts once more would cost a tenth."""
    return f"""
        SELECT '[' || coalesce(string_agg(j, ',') FILTER (WHERE n <= %(limit)s), '') || ']' AS rows,
               count(*) AS count, max(at) FILTER (WHERE n = %(limit)s) AS last_at,
               max(id::text) FILTER (WHERE n = %(limit)s) AS last_id
          FROM (
            SELECT row_to_json(t)::text AS j, t.id, t.created_at AS at, row_number() OVER () AS n FROM (
                SELECT {COLUMNS} FROM bots b {JOINS} WHERE {where}
                 ORDER BY b.created_at, b.id LIMIT %(limit)s + 1 {offset}
            ) t
          ) u
    """  # noqa: S608 - made of constants


def _count(where: str, params: dict[str, Any]) -> int:
    row = fetch_one(f"SELECT count(*) FROM bots b {JOINS} WHERE {where}", params)  # noqa: S608
    return int(row[0]) if row else 0


def _filters(
    *, account: str = "", status: str = "", health: str = "", search: str = "", kind: str = ""
) -> tuple[list[str], dict[str, Any]]:
    where, params = [IN_SCOPE], {}
    if account:
        where.append("c.account_identifier = %(account)s AND c.retired_at IS NULL")
        params["account"] = account
    if status:
        where.append(f"({STATUS}) = %(status)s")
        params["status"] = status
    if health:
        where.append("coalesce(h.status, 'unknown') = %(health)s")
        params["health"] = health
    if search:
        where.append(
            "(b.name ILIKE %(like)s OR b.pair ILIKE %(like)s OR b.strategy ILIKE %(like)s "
            "OR b.connector_name ILIKE %(like)s OR c.account_identifier ILIKE %(like)s OR c.name ILIKE %(like)s)"
        )
        params["like"] = like(search)
    if kind and kind not in [str(word) for word in RuntimeKind]:
        raise InvalidInput("kind must be hummingbot, external or arena.", fields={"kind": ["unknown"]})
    where.append("b.runtime_kind = %(kind)s" if kind else "b.runtime_kind <> 'arena'")
    if kind:
        params["kind"] = kind
    return where, params


def like(search: str) -> str:
    """A pattern that matches the text anywhere, with no wild cards of its own."""
    return "%" + search.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
