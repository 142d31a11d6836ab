"""Reads of what a bot did: its trades, positions and decisions, newest first. The database builds their JSON.

Pages follow an index from the last row shown, so a deep page costs what the first does, and nothing is counted that a
trigger has not counted already. Callers have resolved the bot within their scope.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from clients.selectors import as_uuid, the_one
from ground.errors import NotFound
from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_hot, fetch_one

# A trade as the API shows it: the names of the old system's columns, then ours.
TRADE = """
    t.id, t.client_id, t.bot_id, t.position_id, t.decision_id, coalesce(%(shown)s, t.symbol) AS symbol, t.trade_type,
    t.action, t.side, bridge_number(t.entry_price) AS entry_price, bridge_number(t.exit_price) AS exit_price,
    bridge_number(t.price) AS price, bridge_number(t.quantity) AS quantity,
    bridge_number(t.closed_quantity) AS closed_quantity, bridge_number(t.size) AS size,
    trim_scale(t.leverage) AS leverage, bridge_number(t.pnl) AS pnl, t.currency, bridge_number(t.fee) AS fee,
    nullif(t.fee_currency, '') AS fee_currency, bridge_number(t.fee_quote) AS fee_quote, t.cause, t.mode, t.market_type,
    t.connector_id, nullif(t.exchange, '') AS exchange, nullif(t.exchange_trade_id, '') AS exchange_trade_id,
    nullif(t.exchange_order_id, '') AS exchange_order_id, nullif(t.source, '') AS source,
    nullif(t.source_id, '') AS source_id, nullif(t.note, '') AS note, bridge_iso(t.executed_at) AS executed_at,
    bridge_iso(t.recorded_at) AS recorded_at
"""
# An execution as `GET /bots/{id}/trades` has always shown it, and what the ledger knows beyond.
EXECUTION = """
    t.id, nullif(t.exchange_trade_id, '') AS exchange_trade_id, nullif(t.exchange_order_id, '') AS order_id,
    NULL AS client_order_id, t.symbol, t.side, bridge_number(t.price) AS price, bridge_number(t.quantity) AS quantity,
    bridge_number(t.price * t.quantity) AS notional, bridge_number(t.fee) AS fee,
    nullif(t.fee_currency, '') AS fee_currency, bridge_iso(t.executed_at) AS executed_at, t.trade_type, t.action,
    bridge_number(t.pnl) AS pnl, t.currency, t.cause
"""
POSITION = """
    p.id, p.client_id, p.bot_id, p.symbol, p.position_type, p.status, bridge_number(p.entry_price) AS entry_price,
    bridge_number(p.exit_price) AS exit_price, bridge_number(p.size) AS size, trim_scale(p.leverage) AS leverage,
    bridge_number(p.stop_loss) AS stop_loss, bridge_number(p.take_profit) AS take_profit,
    bridge_number(p.liquidation_price) AS liquidation_price, bridge_number(p.unrealized_pnl) AS unrealized_pnl,
    bridge_number(p.realized_pnl) AS realized_pnl, p.currency, bridge_number(p.quantity) AS quantity,
    bridge_number(p.opened_quantity) AS opened_quantity, bridge_number(p.closed_quantity) AS closed_quantity,
    bridge_number(p.basis_fees) AS entry_fees, bridge_number(p.peak_size) AS peak_size,
    bridge_number(p.mark_price) AS mark_price, bridge_iso(p.marked_at) AS marked_at, p.mode, p.market_type,
    p.connector_id, nullif(p.close_cause, '') AS close_cause, nullif(p.source, '') AS source,
    nullif(p.source_id, '') AS source_id, nullif(p.note, '') AS note, bridge_iso(p.opened_at) AS opened_at,
    bridge_iso(p.closed_at) AS closed_at
"""
DECISION = """
    d.id, d.client_id, d.bot_id, {prompt} d.decisions_json, d.notes_json, d.execution_success,
    bridge_iso(d.decided_at) AS "timestamp", nullif(d.source, '') AS source, nullif(d.source_id, '') AS source_id
"""
PROMPT = "d.prompt_sent,"


@dataclass(frozen=True, slots=True)
class TradeFilters:
    """Which trades are asked for; None: all. ``end_at`` is the first moment that is no longer wanted."""

    symbol: str | None = None
    symbol_shown: str | None = None  # as the caller wrote it
    action: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None

    @property
    def is_narrow(self) -> bool:
        return any(value is not None for value in (self.symbol, self.action, self.start_at, self.end_at))


def trades_page(
    scope: Scope, bot_id: UUID, page: Page, filters: TradeFilters, *, columns: str = TRADE
) -> dict[str, Any]:
    """``{rows: JSON text of a list, total, next}``. ``total`` is null where it would take counting and no offset is given."""
    params: dict[str, Any] = {
        "bot": bot_id, "shown": filters.symbol_shown, "symbol": filters.symbol, "start_at": filters.start_at,
        "end_at": filters.end_at,
    }  # fmt: skip
    where = _trade_conditions(filters)
    if page.cursor:
        where.append("(t.executed_at, t.id) < (%(after_at)s, %(after_id)s)")
    source, order = "trades t", "t.executed_at DESC, t.id DESC"
    if filters.symbol is not None:
        source, where, order = _within_hours(filters, where, page), ["true"], f"t.hour_at DESC, {order}"
    total = "(SELECT s.trades FROM bot_stats s WHERE s.bot_id = %(bot)s)" if not filters.is_narrow else "NULL::bigint"
    statement = _page_statement(columns, source, where, key="t.executed_at", order=order, total=total, page=page)
    with scope.transaction():
        found = _page(statement, params, page, is_hot=not filters.is_narrow)
        if filters.is_narrow:
            found["total"] = _count_trades(filters, params, is_asked_for=page.offset is not None)
    return found


def positions_page(scope: Scope, bot_id: UUID, page: Page, *, status: str = "all") -> dict[str, Any]:
    """``{rows: JSON text of a list, total, next}`` of the positions, the last opened first; status all, open or closed."""
    where = ["p.bot_id = %(bot)s"]
    if status != "all":
        where.append(f"p.status = '{'open' if status == 'open' else 'closed'}'")
    if page.cursor:
        where.append("(p.opened_at, p.id) < (%(after_at)s, %(after_id)s)")
    counted = {"open": "s.positions_open", "closed": "s.positions_closed"}.get(
        status, "s.positions_open + s.positions_closed"
    )
    statement = _page_statement(
        POSITION,
        "positions p",
        where,
        key="p.opened_at",
        order="p.opened_at DESC, p.id DESC",
        total=f"(SELECT {counted} FROM bot_stats s WHERE s.bot_id = %(bot)s)",  # noqa: S608 - one of three constants
        page=page,
    )
    with scope.transaction():
        return _page(statement, {"bot": bot_id}, page)


def decisions_page(
    scope: Scope, bot_id: UUID, page: Page, *, success_only: bool = False, has_prompt: bool = False
) -> dict[str, Any]:
    """``{rows: JSON text of a list, total, next}``; prompts, most of a decision's bytes, only where they are asked for."""
    where = ["d.bot_id = %(bot)s"]
    if success_only:
        where.append("d.execution_success")
    if page.cursor:
        where.append("(d.decided_at, d.id) < (%(after_at)s, %(after_id)s)")
    counted = "s.decisions_successful" if success_only else "s.decisions"
    statement = _page_statement(
        DECISION.format(prompt=PROMPT if has_prompt else ""),
        "bot_decisions d",
        where,
        key="d.decided_at",
        order="d.decided_at DESC, d.id DESC",
        total=f"(SELECT {counted} FROM bot_stats s WHERE s.bot_id = %(bot)s)",  # noqa: S608 - one of two constants
        page=page,
    )
    with scope.transaction():
        return _page(statement, {"bot": bot_id}, page)


def decision_json(scope: Scope, bot_id: UUID, given: str) -> str:
    """One decision with its whole prompt and the trades it led to, by our id or the old one. Raises NotFound, Conflict."""
    with scope.transaction():
        found = fetch_all(
            "SELECT d.id FROM bot_decisions d WHERE d.bot_id = %(bot)s AND (d.id = %(id)s "
            "OR (d.source_id = %(old)s AND d.source_id <> '' AND d.source <> '')) LIMIT 20",
            {"bot": bot_id, "id": as_uuid(given), "old": given[:200].replace("\x00", "")},
        )
        decision_id = the_one([row[0] for row in found], "decision")
        row = fetch_one(_ONE_DECISION, {"bot": bot_id, "id": decision_id, "shown": None})
    if row is None:
        raise NotFound("There is no such decision.")
    return str(row[0])


# A decision leads to few trades, all after it: they are looked for among the bot's next ones.
_ONE_DECISION = f"""
    SELECT row_to_json(r)::text FROM (
        SELECT {DECISION.format(prompt=PROMPT)},
               (SELECT coalesce(json_agg(x), '[]') FROM (
                    SELECT {TRADE} FROM trades t WHERE t.bot_id = d.bot_id AND t.decision_id = d.id
                       AND t.executed_at BETWEEN d.decided_at - interval '1 hour' AND d.decided_at + interval '1 day'
                     ORDER BY t.executed_at, t.id) x) AS trades
          FROM bot_decisions d WHERE d.bot_id = %(bot)s AND d.id = %(id)s
    ) r
"""  # noqa: S608 - made of constants


def _trade_conditions(filters: TradeFilters) -> list[str]:
    where = ["t.bot_id = %(bot)s"]
    if filters.symbol is not None:
        where.append("t.symbol = %(symbol)s")
    if filters.action is not None:
        where.append(
            f"t.action = '{'SHORT' if filters.action == 'SHORT' else 'LONG'}'"
        )  # plain, for SHORT has an index
    if filters.start_at is not None:
        where.append("t.executed_at >= %(start_at)s")
    if filters.end_at is not None:
        where.append("t.executed_at < %(end_at)s")
    return where


def _within_hours(filters: TradeFilters, where: list[str], page: Page) -> str:
    """Only the hours in which the bot traded the symbol: one that it seldom trades is found without reading all the rest."""
    hours = ["h.bot_id = %(bot)s", "h.symbol = %(symbol)s"]
    if filters.start_at is not None:
        hours.append("h.hour_at > %(start_at)s::timestamptz - interval '1 hour'")
    if filters.end_at is not None:
        hours.append("h.hour_at < %(end_at)s")
    if page.cursor:
        hours.append("h.hour_at <= %(after_at)s")
    return f"""
        (SELECT h.hour_at, x.* FROM bot_trade_hours h CROSS JOIN LATERAL (
            SELECT t.* FROM trades t
             WHERE {" AND ".join(where)} AND t.executed_at >= h.hour_at AND t.executed_at < h.hour_at + interval '1 hour'
             ORDER BY t.executed_at DESC, t.id DESC LIMIT %(limit)s + 1 + %(offset)s) x
          WHERE {" AND ".join(hours)}) t
    """  # noqa: S608 - made of constants


def _count_trades(filters: TradeFilters, params: dict[str, Any], *, is_asked_for: bool) -> int | None:
    """Exactly how many trades match. Whole hours are counted already; a direction is not, so that takes an offset to ask.
    Those that went SHORT have an index of their own; the others went LONG."""
    if filters.action is not None and not is_asked_for:
        return None
    short = 0
    if filters.action is not None:
        row = fetch_one(
            f"SELECT count(*) FROM trades t WHERE {' AND '.join(_trade_conditions(replace(filters, action='SHORT')))}",  # noqa: S608
            params,
        )
        short = int(row[0]) if row else 0
    if filters.action == "SHORT":
        return short
    row = fetch_one(_COUNT_BY_HOURS, params)
    return int(row[0]) - short if row else 0


# [start, end) is the whole hours within it and a part of an hour at each end; where it holds no whole hour, `upto` is
# `since` and the part at the front is all of it.
_COUNT_BY_HOURS = """
    WITH ends AS (
        SELECT coalesce(%(start_at)s::timestamptz, '-infinity') AS start_at,
               coalesce(%(end_at)s::timestamptz, 'infinity') AS end_at
    ), bounds AS (
        SELECT e.*, CASE WHEN date_trunc('hour', e.start_at, 'UTC') = e.start_at THEN e.start_at
                         ELSE date_trunc('hour', e.start_at, 'UTC') + interval '1 hour' END AS since,
               date_trunc('hour', e.end_at, 'UTC') AS upto FROM ends e
    ), parts AS (
        SELECT b.start_at, least(b.since, b.end_at) AS front_end, b.since, greatest(b.upto, b.since) AS upto, b.end_at
          FROM bounds b
    )
    SELECT (SELECT coalesce(sum(h.trades), 0) FROM bot_trade_hours h WHERE h.bot_id = %(bot)s
               AND (%(symbol)s::text IS NULL OR h.symbol = %(symbol)s) AND h.hour_at >= p.since AND h.hour_at < p.upto)
         + (SELECT count(*) FROM trades t WHERE t.bot_id = %(bot)s AND (%(symbol)s::text IS NULL OR t.symbol = %(symbol)s)
               AND t.executed_at >= p.start_at AND t.executed_at < p.front_end)
         + (SELECT count(*) FROM trades t WHERE t.bot_id = %(bot)s AND (%(symbol)s::text IS NULL OR t.symbol = %(symbol)s)
               AND t.executed_at >= p.upto AND t.executed_at < p.end_at AND p.end_at < 'infinity')
      FROM parts p
"""


def _page_statement(
    columns: str, source: str, where: list[str], *, key: str, order: str, total: str, page: Page
) -> str:
    """One row: the page as JSON text, how many rows were found (one more than shown when there are more), the last shown
    row's key, and the total. The innermost query puts the rows in order and nothing above it changes that."""
    name = key.partition(".")[0]  # under which the columns know the table
    offset = "OFFSET %(offset)s" if page.offset else ""
    return f"""
        SELECT '[' || coalesce(string_agg(j, ',') FILTER (WHERE n <= %(limit)s), '') || ']', count(*),
               max(key_at) FILTER (WHERE n = %(limit)s), max(key_id) FILTER (WHERE n = %(limit)s), {total}
          FROM (
            SELECT row_to_json(r)::text AS j, {key} AS key_at, {name}.id::text AS key_id, row_number() OVER () AS n
              FROM (SELECT {name}.* FROM {source} WHERE {" AND ".join(where)}
                     ORDER BY {order} LIMIT %(limit)s + 1 {offset}) {name}
             CROSS JOIN LATERAL (SELECT {columns}) r
          ) u
    """  # noqa: S608 - made of constants


def _page(statement: str, params: dict[str, Any], page: Page, *, is_hot: bool = True) -> dict[str, Any]:
    """Filtered statements are planned for the values at hand; the others keep their plan."""
    fetch = fetch_hot if is_hot else fetch_one
    params |= {"limit": page.limit, "offset": page.offset or 0, **page.after()}
    rows, fetched, last_at, last_id, total = fetch(statement, params) or ("[]", 0, None, None, None)
    more = fetched > page.limit
    return {"rows": rows, "total": total or 0, "next": encode_cursor(last_at, last_id) if more else None}


def checked_at(scope: Scope, bot_id: UUID) -> datetime | None:
    """When a bot's exchange was last asked for its trades."""
    with scope.transaction():
        row = fetch_one("SELECT checked_at FROM bot_health WHERE bot_id = %s", [bot_id])
    return row[0] if row else None
