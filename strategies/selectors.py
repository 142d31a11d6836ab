"""Reads of strategies. The database builds their JSON; symbols are shown as they were written at the start."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from bots.selectors import JOINS, STATUS, base_params
from exchanges import symbols
from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one
from strategies.rules.markets import canonical_exchange

_ACTIVE = f"""
    SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.started_at, t.id), '[]')::text FROM (
        SELECT a.id, a.symbol_shown AS symbol, a.symbol AS pair, a.strategy_type AS mode, a.strategy_type, a.interval,
               a.exchange, c.account_identifier AS account, a.status, a.status = 'active' AS running, a.bot_id,
               {STATUS} AS bot_status, coalesce(h.status, 'unknown') AS health_status, a.config, a.version,
               bridge_iso(a.started_at) AS started_at, a.started_by, bridge_iso(a.last_active) AS last_active,
               nullif(a.message, '') AS message
          FROM active_strategies a JOIN bots b ON b.id = a.bot_id {JOINS}
         WHERE a.client_id = %(client)s AND (%(tenant)s::uuid IS NULL OR a.client_id = %(tenant)s)
           AND (%(symbol)s::text IS NULL OR a.symbol = %(symbol)s)
           AND (%(exchange)s::text IS NULL OR a.exchange = %(exchange)s)) t
"""  # noqa: S608 - made of constants
_HISTORY = """
    SELECT row_to_json(t)::text, t.id, x.stopped_at FROM strategy_history x CROSS JOIN LATERAL (
        SELECT x.id, x.symbol_shown AS symbol, x.strategy_type, x.strategy_type AS mode, x.interval, x.exchange,
               x.bot_id, bridge_iso(x.started_at) AS started_at, x.started_by, bridge_iso(x.stopped_at) AS stopped_at,
               x.stopped_by, x.reason, bridge_number(x.pnl) AS pnl, bridge_number(x.fees) AS fees, x.trades_count,
               nullif(x.currency, '') AS currency, x.config, x.version, x.performance) t
     WHERE x.client_id = %(client)s AND (%(tenant)s::uuid IS NULL OR x.client_id = %(tenant)s)
       AND (%(symbol)s::text IS NULL OR x.symbol = %(symbol)s)
       AND (%(exchange)s::text IS NULL OR x.exchange = %(exchange)s) {after}
     ORDER BY x.stopped_at DESC, x.id DESC LIMIT %(limit)s + 1 OFFSET %(offset)s
"""
_COUNT = """
    SELECT count(*) FROM strategy_history x WHERE x.client_id = %(client)s
       AND (%(tenant)s::uuid IS NULL OR x.client_id = %(tenant)s)
       AND (%(symbol)s::text IS NULL OR x.symbol = %(symbol)s)
       AND (%(exchange)s::text IS NULL OR x.exchange = %(exchange)s)
"""


def active_strategies(
    scope: Scope, *, client_id: UUID | None, symbol: str = "", exchange: str = ""
) -> list[dict[str, Any]]:
    """A client's strategies that run, should run or are being stopped, oldest first. Raises InvalidInput for a symbol
    that is none."""
    params = _narrowed(scope, client_id, symbol, exchange)
    with scope.transaction():
        row = fetch_one(_ACTIVE, params)
    found: list[dict[str, Any]] = json.loads(row[0]) if row else []
    return found


def strategy_history(
    scope: Scope, page: Page, *, client_id: UUID | None, symbol: str = "", exchange: str = ""
) -> dict[str, Any]:
    """``{rows: JSON text of a list, total, next}`` of a client's runs that are over, newest first; ``total`` where the
    page counts."""
    params = _narrowed(scope, client_id, symbol, exchange) | {"limit": page.limit, "offset": page.offset or 0}
    params |= page.after()
    after = "AND (x.stopped_at, x.id) < (%(after_at)s, %(after_id)s)" if page.cursor else ""
    with scope.transaction():
        rows = fetch_all(_HISTORY.format(after=after), params)
        counted = fetch_one(_COUNT, params) if page.offset is not None else None
    shown = rows[: page.limit]
    following = encode_cursor(shown[-1][2], shown[-1][1]) if len(rows) > page.limit else None
    total = int(counted[0]) if counted else None
    return {"rows": "[" + ",".join(row[0] for row in shown) + "]", "total": total, "next": following}


def _narrowed(scope: Scope, client_id: UUID | None, symbol: str, exchange: str) -> dict[str, Any]:
    return base_params(scope) | {
        "client": client_id,
        "symbol": symbols.normalize(symbol) if symbol else None,
        "exchange": canonical_exchange(exchange) if exchange else None,
    }
