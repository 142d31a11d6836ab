"""Reads of leaderboards, from the lines that a worker keeps. The database builds their JSON; ranks are given within what
the caller may see, so that nobody's rank tells of another's rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ground.scope import Scope
from ground.sql import fetch_hot, fetch_one
from ledger.rules.words import Mode, Period

MOST_POINTS = 1000

_LINES = (
    "leaderboard_entries e JOIN bots b ON b.id = e.bot_id AND b.retired_at IS NULL "
    "WHERE (%(tenant)s::uuid IS NULL OR e.client_id = %(tenant)s::uuid)"
)
# Live, where the caller has a live bot on a board at all.
_MODE = f"""
    SELECT coalesce(%(mode)s::text, CASE WHEN EXISTS (
        SELECT FROM {_LINES} AND e.period = 'all_time' AND e.mode = 'live'
    ) THEN 'live' ELSE 'paper' END) AS mode
"""  # noqa: S608 - made of constants
_NUMBERS = (
    "equity", "total_pnl", "return_pct", "win_rate", "profit_factor", "sharpe_ratio", "sortino_ratio", "max_drawdown",
    "volatility", "fees", "volume", "baseline_return_pct", "return_low_pct", "return_high_pct",
)  # fmt: skip
_CERTAINTY = """
    CASE WHEN r.is_distinguishable THEN 'Distinguishable from no return at all.'
         WHEN NOT r.is_distinguishable THEN 'Not distinguishable from no return at all.'
         WHEN r.return_pct IS NULL THEN 'Its return cannot be told.'
         ELSE 'Not distinguishable from no return at all: too little is known for an interval.' END
    || CASE WHEN r.is_apart IS NULL THEN ''
            WHEN r.is_apart THEN ' Distinguishable from the next in rank.'
            ELSE ' Not distinguishable from the next in rank.' END
"""
_BOARD = f"""
WITH chosen AS MATERIALIZED ({_MODE}), lines AS MATERIALIZED (
    SELECT e.id, e.bot_id, e.is_ranked, e.return_pct, e.return_low_pct AS low,
           CASE WHEN e.is_ranked THEN e.return_high_pct END AS high, b.name, b.pair
      FROM {_LINES} AND e.period = %(period)s::text AND e.mode = (SELECT mode FROM chosen)
), ranked AS (
    SELECT l.id, l.name, l.pair, row_number() OVER w AS place,
           CASE WHEN l.is_ranked THEN rank() OVER (ORDER BY l.is_ranked DESC, l.return_pct DESC NULLS LAST) END AS rank,
           CASE WHEN l.is_ranked THEN l.low > lead(l.high) OVER w END AS is_apart
      FROM lines l WINDOW w AS (ORDER BY l.is_ranked DESC, l.return_pct DESC NULLS LAST, l.bot_id)
     ORDER BY l.is_ranked DESC, l.return_pct DESC NULLS LAST, l.bot_id LIMIT %(limit)s::int
), shown AS MATERIALIZED (
    SELECT e.*, r.name, r.pair, r.place, r.rank, r.is_apart FROM ranked r JOIN leaderboard_entries e ON e.id = r.id
)
SELECT json_build_object('period', %(period)s::text, 'mode', (SELECT mode FROM chosen),
         'count', (SELECT count(*) FROM shown), 'total', (SELECT count(*) FROM lines),
         'refreshed_at', (SELECT bridge_iso(boards_at) FROM ledger_state),
         'minimum_closed_trades', coalesce((SELECT minimum_closed_trades FROM ledger_settings), 5),
         'leaderboard', coalesce((SELECT json_agg(json_build_object('rank', r.rank, 'bot_id', r.bot_id,
             'bot_name', r.name, 'client_id', r.client_id, 'mode', r.mode, 'currency', r.currency, 'pair', r.pair,
             {", ".join(f"'{name}', trim_scale(r.{name})" for name in _NUMBERS)},
             'total_trades', r.total_trades, 'closed_trades', r.closed_trades, 'is_ranked', r.is_ranked,
             'unranked_reason', nullif(r.unranked_reason, ''), 'is_distinguishable', r.is_distinguishable,
             'is_distinguishable_from_next', r.is_apart, 'certainty', {_CERTAINTY},
             'since_at', bridge_iso(r.since_at), 'interval_at', bridge_iso(r.interval_at),
             'updated_at', bridge_iso(r.updated_at))
             ORDER BY r.place) FROM shown r), '[]'))::text
"""  # noqa: S608 - made of constants
# Bots of one mode and currency. Several are never added up.
_STATS = f"""
WITH chosen AS MATERIALIZED ({_MODE}), grouped AS (
    SELECT e.mode, e.currency, count(*) AS total_bots, count(DISTINCT e.client_id) AS total_users,
           sum(e.total_trades)::bigint AS total_trades, trim_scale(sum(e.total_pnl)) AS total_pnl,
           trim_scale(round(avg(e.win_rate), 18)) AS avg_win_rate
      FROM {_LINES} AND e.period = 'all_time'
     GROUP BY e.mode, e.currency
), main AS (
    SELECT g.* FROM grouped g, chosen c WHERE g.mode = c.mode ORDER BY g.total_bots DESC, g.currency LIMIT 1
)
SELECT json_build_object('mode', c.mode, 'currency', m.currency, 'total_bots', coalesce(m.total_bots, 0),
         'total_users', coalesce(m.total_users, 0), 'total_trades', coalesce(m.total_trades, 0),
         'total_pnl', m.total_pnl, 'avg_win_rate', m.avg_win_rate,
         'others', coalesce((SELECT json_agg(g ORDER BY g.mode, g.total_bots DESC, g.currency) FROM grouped g
                              WHERE (g.mode, g.currency) IS DISTINCT FROM (m.mode, m.currency)), '[]'))::text
  FROM chosen c LEFT JOIN main m ON true
"""  # noqa: S608 - made of constants
# Of each stretch of the span the last snapshot, so that a page gets a curve and not a table of years.
_HISTORY = """
SELECT json_build_object('botId', %(bot)s::uuid, 'days', %(days)s::int, 'count', count(*),
         'currency', (SELECT a.currency FROM bot_accounts a WHERE a.bot_id = %(bot)s::uuid),
         'history', coalesce(json_agg(json_build_object('timestamp', bridge_iso(h.taken_at),
             'balance', trim_scale(h.balance), 'realized_pnl', trim_scale(h.realized_pnl),
             'unrealized_pnl', trim_scale(h.unrealized_pnl), 'total_value', trim_scale(h.total_value),
             'trade_count', h.trade_count, 'closed_trade_count', h.closed_trade_count, 'win_rate', trim_scale(h.win_rate),
             'fees', trim_scale(h.fees), 'open_positions', h.open_positions,
             'benchmark_price', trim_scale(h.benchmark_price)) ORDER BY h.taken_at), '[]'))::text
  FROM (SELECT DISTINCT ON (date_bin(%(step)s::interval, s.taken_at, %(since)s::timestamptz)) s.*
          FROM bot_state_snapshots s
         WHERE s.bot_id = %(bot)s::uuid AND s.taken_at > %(since)s::timestamptz AND s.taken_at <= %(now)s::timestamptz
         ORDER BY date_bin(%(step)s::interval, s.taken_at, %(since)s::timestamptz), s.taken_at DESC) h
"""


def board(scope: Scope, *, period: Period, mode: Mode | None, limit: int) -> str:
    """``{period, mode, count, total, leaderboard}`` as JSON text: best return first, ties share a rank, and after them
    those without a rank, with the reason."""
    with scope.transaction():
        row = fetch_hot(
            _BOARD,
            {"tenant": scope.client_id, "period": str(period), "mode": mode and str(mode), "limit": limit},
        )
    return _text(row)


def board_stats(scope: Scope, *, mode: Mode | None) -> str:
    """Sums over the caller's bots in their main currency as JSON text; those of other currencies, and of the other mode,
    stand in ``others``."""
    with scope.transaction():
        return _text(fetch_one(_STATS, {"tenant": scope.client_id, "mode": mode and str(mode)}))


def history(bot_id: UUID, *, days: int, now: datetime) -> str:
    """``{botId, days, count, history}`` as JSON text, oldest first, at most some 1,000 points. Call within a scope's
    transaction, with a bot that was resolved in it."""
    span = timedelta(days=days)
    params = {"bot": bot_id, "days": days, "now": now, "since": now - span, "step": span / MOST_POINTS}
    return _text(fetch_one(_HISTORY, params))


def _text(row: tuple[Any, ...] | None) -> str:
    return str(row[0]) if row else "{}"
