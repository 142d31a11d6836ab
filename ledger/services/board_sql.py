"""The statement that fills one board, put together by period. ``docs/leaderboard.md`` says what each figure is.

Parameters: ``now``, ``since`` (a full hour), ``first_day`` (the first full day from there on), ``period``. Equity comes
from buckets: the hours of the first, partial day, then days, which merge exactly into return and drawdown; the ratios
come from the last values of equally long buckets.
"""

from __future__ import annotations

from ledger.rules.periods import GRAINS, INTERVALS_PER_YEAR, LEAST_RETURNS
from ledger.rules.words import BucketSpan, Period

_STEPS = {BucketSpan.HOUR: "interval '1 hour'", BucketSpan.DAY: "interval '24 hours'"}
_MOST = "1e19"  # what no column can hold is not known

# Figures are kept while nothing about them changes, so that a board costs writes only where something happened.
FIGURES = (
    "client_id", "mode", "currency", "is_ranked", "unranked_reason", "since_at", "equity", "total_pnl", "return_pct",
    "total_trades", "closed_trades", "win_rate", "profit_factor", "sharpe_ratio", "sortino_ratio", "max_drawdown",
    "volatility", "fees", "volume", "baseline_return_pct",
)  # fmt: skip

_TRADED_ALL_TIME = """
    SELECT s.bot_id, s.trades, s.closed_trades AS closed, s.wins, coalesce(s.pnl, 0) AS pnl, s.gross_profit, s.gross_loss,
           s.fees, s.volume
      FROM bot_stats s WHERE s.trades > 0
"""
_TRADED = """
    SELECT h.bot_id, sum(h.trades) AS trades, sum(h.closed) AS closed, sum(h.wins) AS wins, sum(h.pnl) AS pnl,
           sum(h.gross_profit) AS gross_profit, sum(h.gross_loss) AS gross_loss, sum(h.fees) AS fees,
           sum(h.volume) AS volume
      FROM bot_trade_hours h WHERE h.hour_at >= %(since)s AND h.hour_at <= %(now)s GROUP BY h.bot_id
"""
# The newest value at or before the begin: hours are kept for longer than any period but all time, days for ever.
_BEFORE = """
    LEFT JOIN LATERAL (
        SELECT x.at, x.value FROM (
            (SELECT e.first_at AS at, e.first_value AS value FROM bot_equity_buckets e
              WHERE e.bot_id = a.bot_id AND e.span = 'hour' AND e.start_at = a.since AND e.first_at = a.since)
            UNION ALL
            (SELECT e.last_at, e.last_value FROM bot_equity_buckets e
              WHERE e.bot_id = a.bot_id AND e.span = 'hour' AND e.start_at < a.since ORDER BY e.start_at DESC LIMIT 1)
            UNION ALL
            (SELECT e.last_at, e.last_value FROM bot_equity_buckets e
              WHERE e.bot_id = a.bot_id AND e.span = 'day' AND e.start_at < date_trunc('day', a.since, 'UTC')
              ORDER BY e.start_at DESC LIMIT 1)
        ) x ORDER BY x.at DESC LIMIT 1
    ) before ON a.capital IS NOT NULL
"""


def _bounded(expression: str) -> str:
    return f"CASE WHEN abs({expression}) < {_MOST} THEN round({expression}, 18) END"


def board_statement(period: Period) -> str:
    """Fills the board of a period for every bot with an account that is not retired."""
    grain = GRAINS[period]
    return f"""
WITH boarded AS MATERIALIZED (
    SELECT a.bot_id, a.client_id, a.mode, a.currency, a.allocated_capital AS capital, %(since)s::timestamptz AS since,
           a.realized_pnl_adjustment AS adjustment
      FROM bot_accounts a JOIN bots b ON b.id = a.bot_id WHERE b.retired_at IS NULL
), traded AS ({_TRADED_ALL_TIME if period is Period.ALL_TIME else _TRADED}
), opening AS MATERIALIZED (
    SELECT a.*, {_opening(period)}
), pieces AS (
    SELECT p.bot_id, p.start_at, p.first_at, p.first_value, p.last_at, p.last_value, p.low, p.high, p.max_drawdown
      FROM bot_equity_buckets p
     WHERE p.span = 'hour' AND p.start_at >= %(since)s AND p.start_at < %(first_day)s AND p.start_at <= %(now)s
    UNION ALL
    SELECT p.bot_id, p.start_at, p.first_at, p.first_value, p.last_at, p.last_value, p.low, p.high, p.max_drawdown
      FROM bot_equity_buckets p WHERE p.span = 'day' AND p.start_at >= %(first_day)s AND p.start_at <= %(now)s
), walked AS (
    SELECT p.*, a.opening_value,
           greatest(a.opening_value, max(p.high) OVER (PARTITION BY p.bot_id ORDER BY p.start_at
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS peak
      FROM pieces p JOIN opening a ON a.bot_id = p.bot_id AND a.capital IS NOT NULL
), equity AS (
    SELECT w.bot_id, min(w.first_at) AS first_at, (array_agg(w.first_value ORDER BY w.start_at))[1] AS first_value,
           max(w.last_at) AS last_at, (array_agg(w.last_value ORDER BY w.start_at DESC))[1] AS last_value,
           greatest(max(w.high), max(w.opening_value)) AS peak,
           max(greatest(w.max_drawdown, CASE WHEN w.peak > 0 THEN 1 - w.low / w.peak ELSE 0 END)) AS fall
      FROM walked w GROUP BY w.bot_id
), stepped AS (
    SELECT e.bot_id, e.last_value AS value, lag(e.last_value) OVER w AS previous,
           e.start_at - lag(e.start_at) OVER w = {_STEPS[grain]} AS is_next
      FROM bot_equity_buckets e
     WHERE e.span = '{grain}' AND e.start_at >= date_trunc('{grain}', %(since)s::timestamptz, 'UTC')
       AND e.last_at >= %(since)s AND e.start_at + {_STEPS[grain]} <= %(now)s
    WINDOW w AS (PARTITION BY e.bot_id ORDER BY e.start_at)
), ratios AS (
    SELECT r.bot_id, avg(r.step) AS mean, CASE WHEN min(r.step) = max(r.step) THEN 0 ELSE stddev_samp(r.step) END AS deviation,
           sqrt(avg(CASE WHEN r.step < 0 THEN r.step * r.step ELSE 0 END)) AS downside
      FROM (SELECT bot_id, previous, (value - previous) / nullif(previous, 0) AS step FROM stepped WHERE is_next) r
     GROUP BY r.bot_id HAVING count(*) >= {LEAST_RETURNS} AND min(r.previous) > 0
), span AS (
    SELECT a.*, e.last_at, e.last_value, e.peak, e.fall, e.bot_id IS NOT NULL AS has_equity,
           coalesce(a.opening_at, e.first_at) AS start_at, coalesce(a.opening_value, e.first_value) AS start_value
      FROM opening a LEFT JOIN equity e ON e.bot_id = a.bot_id
), figures AS (
    SELECT a.*, coalesce(t.trades, 0) AS trades, coalesce(t.closed, 0) AS closed, t.wins, t.pnl, t.gross_profit, t.gross_loss,
           t.fees, t.volume, r.mean, r.deviation, r.downside, held.change AS baseline,
           CASE WHEN a.start_value > 0 AND {_moved(period)}
                THEN (a.last_value - a.start_value) * 100 / a.start_value END AS change
      FROM span a
      LEFT JOIN traded t ON t.bot_id = a.bot_id
      LEFT JOIN ratios r ON r.bot_id = a.bot_id AND a.capital IS NOT NULL
      {_HELD}
), board AS (
    SELECT f.*, CASE
               WHEN f.capital IS NULL THEN 'No capital is allocated to it, so its return cannot be told.'
               WHEN f.has_equity AND f.start_value <= 0 THEN 'It began with nothing, so its return cannot be told.'
               WHEN f.change IS NULL THEN 'Too little of its equity is known in this period.'
               WHEN abs(f.change) >= {_MOST} THEN 'Its return is out of all bounds.'
               WHEN f.closed < n.least THEN 'Fewer than ' || n.least || ' closed trades in this period.'
               ELSE '' END AS reason
      FROM figures f
     CROSS JOIN (SELECT coalesce((SELECT minimum_closed_trades FROM ledger_settings), 5) AS least) n
)
INSERT INTO leaderboard_entries AS e (bot_id, period, updated_at, {", ".join(FIGURES)})
SELECT b.bot_id, '{period}', %(now)s, b.client_id, b.mode, b.currency, b.reason = '', b.reason, b.start_at,
       b.last_value, coalesce(b.pnl, 0){" + b.adjustment" if period is Period.ALL_TIME else ""},
       {_bounded("b.change")}, b.trades, b.closed, round(b.wins / nullif(b.closed, 0)::numeric, 18),
       {_bounded("b.gross_profit / nullif(b.gross_loss, 0)")},
       {_bounded(f"b.mean / nullif(b.deviation, 0) * sqrt({INTERVALS_PER_YEAR[grain]}::numeric)")},
       {_bounded(f"b.mean / nullif(b.downside, 0) * sqrt({INTERVALS_PER_YEAR[grain]}::numeric)")},
       CASE WHEN b.peak > 0 THEN round(least(greatest(b.fall, 0), 1), 18) END,
       {_bounded(f"b.deviation * sqrt({INTERVALS_PER_YEAR[grain]}::numeric)")},
       coalesce(b.fees, 0), round(least(coalesce(b.volume, 0), {_MOST}), 18), {_bounded("b.baseline")}
  FROM board b ORDER BY b.bot_id
ON CONFLICT (bot_id, period) DO UPDATE SET updated_at = excluded.updated_at,
       {", ".join(f"{name} = excluded.{name}" for name in FIGURES)}
 WHERE ({", ".join(f"e.{name}" for name in FIGURES)}) IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in FIGURES)})
"""  # noqa: S608 - made of constants


def _opening(period: Period) -> str:
    """With what a bot went into the period: over all time its capital, so that what it made before it was first seen
    counts too; else its equity at the begin."""
    if period is Period.ALL_TIME:
        return "NULL::timestamptz AS opening_at, a.capital AS opening_value FROM boarded a"
    return f"before.at AS opening_at, before.value AS opening_value FROM boarded a {_BEFORE}"


def _moved(period: Period) -> str:
    """Whether there are two moments to compare."""
    return "a.has_equity" if period is Period.ALL_TIME else "a.last_at > a.start_at"


# What the bot's pair cost at the two moments between which its return was made.
_HELD = """
      LEFT JOIN LATERAL (
        SELECT (later.price - earlier.price) * 100 / nullif(earlier.price, 0) AS change
          FROM (SELECT coalesce(
                    (SELECT coalesce(s.benchmark_price, 0) FROM bot_state_snapshots s
                      WHERE s.bot_id = a.bot_id AND s.taken_at <= a.start_at ORDER BY s.taken_at DESC LIMIT 1),
                    (SELECT s.benchmark_price FROM bot_state_snapshots s
                      WHERE s.bot_id = a.bot_id AND s.taken_at >= a.start_at ORDER BY s.taken_at LIMIT 1)) AS price) earlier,
               (SELECT s.benchmark_price AS price FROM bot_state_snapshots s
                 WHERE s.bot_id = a.bot_id AND s.taken_at <= a.last_at ORDER BY s.taken_at DESC LIMIT 1) later
      ) held ON a.mode = 'live' AND a.last_at > a.start_at
"""
