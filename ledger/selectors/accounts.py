"""Reads of a bot's money and of its figures of all time: one row each, whatever it has done."""

from __future__ import annotations

from uuid import UUID

from bots.selectors import IN_SCOPE, JOINS, base_params
from ground.errors import NotFound
from ground.scope import Scope
from ground.sql import fetch_hot

# What the open positions bind and have gained; a gain that is not known makes equity unknown.
HELD = """
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(p.size), 0) AS size, coalesce(sum(p.unrealized_pnl), 0) AS gain,
               count(*) FILTER (WHERE p.unrealized_pnl IS NULL) AS unknown
          FROM positions p WHERE p.bot_id = a.bot_id AND p.status = 'open'
    ) held ON true
"""
EQUITY = "bridge_number(CASE WHEN held.unknown = 0 THEN a.balance + held.size + held.gain END)"
UNREALIZED = "bridge_number(CASE WHEN held.unknown = 0 THEN held.gain END)"
ACCOUNT = f"""
    CASE WHEN a.bot_id IS NOT NULL THEN json_build_object(
        'currency', a.currency, 'mode', a.mode, 'allocated_capital', bridge_number(a.allocated_capital),
        'balance', bridge_number(a.balance), 'in_positions', bridge_number(held.size), 'unrealized_pnl', {UNREALIZED},
        'equity', {EQUITY}, 'realized_pnl', bridge_number(coalesce(s.pnl, 0)), 'cash_flow', bridge_number(a.cash_flow),
        'realized_pnl_adjustment', bridge_number(a.realized_pnl_adjustment),
        'balance_adjustment', bridge_number(a.balance_adjustment), 'complete_since', bridge_iso(a.complete_since),
        'opened_at', bridge_iso(a.opened_at), 'updated_at', bridge_iso(a.updated_at)) END
"""
_BESIDE_BOT = f"""
    SELECT json_build_object(
        'totalTrades', coalesce(s.trades, 0), 'totalPositions', coalesce(s.positions_open + s.positions_closed, 0),
        'openPositions', coalesce(s.positions_open, 0), 'closedPositions', coalesce(s.positions_closed, 0),
        'totalDecisions', coalesce(s.decisions, 0), 'successfulDecisions', coalesce(s.decisions_successful, 0))::text,
        coalesce(({ACCOUNT})::text, 'null')
      FROM (SELECT %(bot)s::uuid AS id) b
      LEFT JOIN bot_stats s ON s.bot_id = b.id
      LEFT JOIN bot_accounts a ON a.bot_id = b.id {HELD}
"""  # noqa: S608 - made of constants
_STATS = f"""
    SELECT row_to_json(r)::text FROM (
        SELECT b.id AS bot_id,
               json_build_object('buys', s.buys_24h, 'sells', s.sells_24h) AS trades_24h,
               bridge_number(s.volume_24h) AS volume_24h, bridge_number(s.pnl) AS pnl,
               bridge_number(s.last_price) AS last_price, a.currency, a.mode, coalesce(s.trades, 0) AS trades,
               coalesce(s.closed_trades, 0) AS closed_trades, coalesce(s.wins, 0) AS wins,
               coalesce(s.losses, 0) AS losses, trim_scale(round(s.wins::numeric / nullif(s.closed_trades, 0), 18)) AS win_rate,
               bridge_number(coalesce(s.volume, 0)) AS volume, bridge_number(coalesce(s.gross_profit, 0)) AS gross_profit,
               bridge_number(coalesce(s.gross_loss, 0)) AS gross_loss,
               trim_scale(round(s.gross_profit / nullif(s.gross_loss, 0), 18)) AS profit_factor,
               bridge_number(round(s.pnl / nullif(s.closed_trades, 0), 18)) AS expectancy,
               bridge_number(coalesce(s.fees, 0)) AS fees,
               (SELECT coalesce(json_agg(json_build_object('currency', f.currency, 'amount', bridge_number(f.amount),
                        'unpriced', bridge_number(f.unpriced)) ORDER BY f.currency), '[]')
                  FROM bot_fees f WHERE f.bot_id = b.id) AS fees_by_currency,
               bridge_number(a.realized_pnl_adjustment) AS realized_pnl_adjustment, {UNREALIZED} AS unrealized_pnl,
               bridge_number(a.balance) AS balance, {EQUITY} AS equity,
               coalesce(s.positions_open, 0) AS positions_open, coalesce(s.positions_closed, 0) AS positions_closed,
               bridge_iso(s.first_trade_at) AS first_trade_at, bridge_iso(s.last_trade_at) AS last_trade_at,
               bridge_iso(s.updated_at) AS updated_at
          FROM bots b {JOINS} LEFT JOIN bot_accounts a ON a.bot_id = b.id {HELD}
         WHERE {IN_SCOPE} AND b.id = %(id)s
    ) r
"""  # noqa: S608 - made of constants


def statistics_and_account(scope: Scope, bot_id: UUID) -> tuple[str, str]:
    """JSON texts of a bot's counters and of its money; the latter ``null`` while it has no account."""
    with scope.transaction():
        statistics, account = fetch_hot(_BESIDE_BOT, {"bot": bot_id}) or ("{}", "null")
    return str(statistics), str(account)


def bot_figures(scope: Scope, bot_id: UUID) -> str:
    """A bot's figures of the last 24 hours and of all time as JSON text; null where they cannot be told. Raises NotFound."""
    with scope.transaction():
        row = fetch_hot(_STATS, base_params(scope) | {"id": bot_id})
    if row is None:
        raise NotFound("There is no such bot.")
    return str(row[0])
