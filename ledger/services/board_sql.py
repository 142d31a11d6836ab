"""The statements that fill one board, put together by period. ``docs/leaderboard.md`` says what each figure is.

Equity comes from buckets, which merge exactly: the hours of the first, partial day, then days, then today's hours. What
lies before ``cut``, the begin of the present hour (of today, over all time), does not move until the next, and is carried
in the line: so in between a line costs one bucket. The ratios are made of whole hours or days, and move no more often.

Parameters: ``now``; ``since`` (a full hour), ``first_day`` (the first full day from there on), ``today``, ``cut``; ``bots``
(those to make, where only some are).
"""

from __future__ import annotations

from ledger.rules.periods import GRAINS, INTERVALS_PER_YEAR, LEAST_RETURNS
from ledger.rules.words import BucketSpan, Period

_STEPS = {BucketSpan.HOUR: "interval '1 hour'", BucketSpan.DAY: "interval '24 hours'"}
# Where the present begins. A period that moves on each hour is made whole each hour, all time each day.
CUTS = {period: BucketSpan.DAY if period is Period.ALL_TIME else BucketSpan.HOUR for period in Period}
_MOST = "1e19"  # what no column can hold is not known

_RATIOS = ("sharpe_ratio", "sortino_ratio", "volatility")
_CARRIED = ("carried_to", "carried_peak", "carried_fall")
_FIGURES = (
    "client_id", "mode", "currency", "is_ranked", "unranked_reason", "since_at", "start_value", "equity_at", "equity",
    "total_pnl", "return_pct", "total_trades", "closed_trades", "win_rate", "profit_factor", "max_drawdown", "fees", "volume",
    "baseline_return_pct",
)  # fmt: skip

# A capital that was changed moves equity as no trade does; what was before is not compared with what came after.
_BOARDED = """
    SELECT a.bot_id, a.client_id, a.mode, a.currency, a.allocated_capital AS capital, a.capital_changed_at AS changed_at,
           a.realized_pnl_adjustment AS adjustment, s.since, date_bin('24 hours', s.since - interval '1 microsecond',
           '1970-01-01 00:00Z') + interval '24 hours' AS first_day
      FROM bot_accounts a JOIN bots b ON b.id = a.bot_id
     CROSS JOIN LATERAL (SELECT greatest(%(since)s::timestamptz, date_bin('1 hour', a.capital_changed_at
           - interval '1 microsecond', '1970-01-01 00:00Z') + interval '1 hour') AS since) s
     WHERE b.retired_at IS NULL
"""
_TRADED_ALL_TIME = """
    SELECT s.bot_id, s.trades, s.closed_trades AS closed, s.wins, s.gross_profit, s.gross_loss, s.fees, s.volume
      FROM bot_stats s WHERE s.trades > 0
"""
# Hours of the first, partial day, then days: a month is some dozen rows of each bot and symbol.
_SUMS = "{0}.bot_id, {0}.trades, {0}.closed, {0}.wins, {0}.gross_profit, {0}.gross_loss, {0}.fees, {0}.volume"
_TRADED = f"""
    SELECT x.bot_id, sum(x.trades) AS trades, sum(x.closed) AS closed, sum(x.wins) AS wins,
           sum(x.gross_profit) AS gross_profit, sum(x.gross_loss) AS gross_loss, sum(x.fees) AS fees, sum(x.volume) AS volume
      FROM (SELECT {_SUMS.format("h")} FROM bot_trade_hours h
             WHERE h.hour_at >= %(since)s AND h.hour_at < %(first_day)s {{of_hours}}
            UNION ALL
            SELECT {_SUMS.format("d")} FROM bot_trade_spans d
             WHERE d.span = 'day' AND d.start_at >= %(first_day)s AND d.start_at <= %(now)s {{of_days}}) x
     GROUP BY x.bot_id
"""  # noqa: S608 - made of constants
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
        ) x WHERE a.changed_at IS NULL OR x.at >= a.changed_at ORDER BY x.at DESC LIMIT 1
    ) before ON a.capital IS NOT NULL
"""
_PIECE = (
    "p.bot_id, p.start_at, p.first_at, p.first_value, p.last_at, p.last_value, p.low, p.high, p.max_drawdown "
    "FROM bot_equity_buckets p"
)
_PIECES = f"""
    SELECT 'first' AS part, {_PIECE} WHERE p.span = 'hour' AND p.start_at >= %(since)s AND p.start_at < %(first_day)s
       AND p.start_at < %(today)s {{of_bots}}
    UNION ALL
    SELECT 'days', {_PIECE} WHERE p.span = 'day' AND p.start_at >= %(first_day)s AND p.start_at < %(today)s {{of_bots}}
    UNION ALL
    SELECT 'today', {_PIECE} WHERE p.span = 'hour' AND p.start_at >= greatest(%(since)s, %(today)s)
       AND p.start_at <= %(now)s {{of_bots}}
    UNION ALL
    SELECT 'moved', x.* FROM boarded m CROSS JOIN LATERAL (
        SELECT {_PIECE} WHERE p.bot_id = m.bot_id AND p.span = 'hour' AND p.start_at >= m.since
           AND p.start_at < m.first_day AND p.start_at < %(today)s OFFSET 0) x
     WHERE m.since > %(since)s
"""  # noqa: S608 - made of constants
_EQUITY = """
    SELECT w.bot_id, min(w.first_at) AS first_at, (array_agg(w.first_value ORDER BY w.start_at))[1] AS first_value,
           max(w.last_at) AS last_at, (array_agg(w.last_value ORDER BY w.start_at DESC))[1] AS last_value,
           greatest(max(w.high), max(w.opening_value)) AS peak, max(w.fall) AS fall,
           greatest(max(w.high) FILTER (WHERE w.start_at < %(cut)s), max(w.opening_value)) AS carried_peak,
           max(w.fall) FILTER (WHERE w.start_at < %(cut)s) AS carried_fall
      FROM (SELECT w.*, greatest(w.max_drawdown, CASE WHEN w.peak > 0 THEN 1 - w.low / w.peak END) AS fall FROM walked w) w
     GROUP BY w.bot_id
"""
# What the bot's pair cost at the two moments between which its return was made.
_HELD = """
      LEFT JOIN LATERAL (
        SELECT (later.price / nullif(earlier.price, 0) - 1) * 100 AS change
          FROM (SELECT coalesce(
                    (SELECT coalesce(s.benchmark_price, 0) FROM bot_state_snapshots s
                      WHERE s.bot_id = a.bot_id AND s.taken_at <= a.start_at ORDER BY s.taken_at DESC LIMIT 1),
                    (SELECT s.benchmark_price FROM bot_state_snapshots s
                      WHERE s.bot_id = a.bot_id AND s.taken_at >= a.start_at ORDER BY s.taken_at LIMIT 1)) AS price) earlier,
               (SELECT s.benchmark_price AS price FROM bot_state_snapshots s
                 WHERE s.bot_id = a.bot_id AND s.taken_at <= a.last_at ORDER BY s.taken_at DESC LIMIT 1) later
      ) held ON a.mode = 'live' AND a.last_at > a.start_at
"""


def whole_statement(period: Period, *, some: bool = False) -> str:
    """Makes every figure of a board's lines anew: of every bot with an account, or of those in ``bots``."""
    of_bots = "AND {0}.bot_id = ANY(%(bots)s)" if some else ""
    opening = "NULL::timestamptz AS opening_at, a.capital AS opening_value FROM boarded a"
    if period is not Period.ALL_TIME:
        opening = f"before.at AS opening_at, before.value AS opening_value FROM boarded a {_BEFORE}"
    return f"""
WITH boarded AS MATERIALIZED ({_BOARDED} {of_bots.format("a")}
), opening AS MATERIALIZED (SELECT a.*, {opening}
), pieces AS ({_PIECES.format(of_bots=of_bots.format("p"))}
), walked AS (
    SELECT p.*, a.opening_value,
           greatest(a.opening_value, max(p.high) OVER (PARTITION BY p.bot_id ORDER BY p.start_at
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS peak
      FROM pieces p JOIN opening a ON a.bot_id = p.bot_id AND a.capital IS NOT NULL
       AND (a.since = %(since)s OR p.part = 'moved' OR (p.part = 'days' AND p.start_at >= a.first_day)
            OR (p.part = 'today' AND p.start_at >= a.since))
), equity AS ({_EQUITY}
), {_ratios(GRAINS[period], of_bots.format("e"))}
, span AS (
    SELECT a.*, e.last_at, e.last_value, coalesce(e.peak, a.opening_value) AS peak, e.fall, %(cut)s AS carried_to,
           coalesce(e.carried_peak, a.opening_value) AS carried_peak, e.carried_fall,
           coalesce(a.opening_at, e.first_at) AS start_at, coalesce(a.opening_value, e.first_value) AS start_value,
           r.sharpe AS sharpe_ratio, r.sortino AS sortino_ratio, r.deviation AS volatility
      FROM opening a LEFT JOIN equity e ON e.bot_id = a.bot_id LEFT JOIN ratios r ON r.bot_id = a.bot_id
       AND a.capital IS NOT NULL
), {_figures(period, of_bots)}
{_store(period, (*_FIGURES, *_RATIOS, *_CARRIED))}
"""  # noqa: S608 - made of constants


def quick_statement(period: Period) -> str:
    """Brings lines that were made whole since ``cut`` up to the present."""
    return f"""
WITH boarded AS MATERIALIZED ({_BOARDED}
), span AS (
    SELECT a.*, coalesce(p.last_at, c.equity_at) AS last_at, coalesce(p.last_value, c.equity) AS last_value,
           greatest(c.carried_peak, p.high) AS peak,
           greatest(c.carried_fall, p.max_drawdown,
                    CASE WHEN c.carried_peak > 0 THEN 1 - p.low / c.carried_peak END) AS fall,
           coalesce(c.since_at, p.first_at) AS start_at, coalesce(c.start_value, p.first_value) AS start_value
      FROM leaderboard_entries c
      JOIN boarded a ON a.bot_id = c.bot_id
      LEFT JOIN bot_equity_buckets p ON p.bot_id = a.bot_id AND p.span = '{CUTS[period]}' AND p.start_at = %(cut)s
       AND p.start_at >= a.since AND a.capital IS NOT NULL
     WHERE c.period = '{period}' AND c.carried_to = %(cut)s
       AND (a.changed_at IS NULL OR a.changed_at < c.carried_to)
), {_figures(period, "")}
{_store(period, _FIGURES)}
"""  # noqa: S608 - made of constants


STALE = """
    SELECT a.bot_id FROM bot_accounts a JOIN bots b ON b.id = a.bot_id
      LEFT JOIN leaderboard_entries c ON c.bot_id = a.bot_id AND c.period = %(period)s
     WHERE b.retired_at IS NULL AND (c.carried_to IS DISTINCT FROM %(cut)s OR a.capital_changed_at >= c.carried_to)
     ORDER BY a.bot_id
"""


def _ratios(grain: BucketSpan, of_bots: str) -> str:
    """Mean, sample deviation and downside of the returns between the last values of whole, neighbouring buckets."""
    yearly = f"sqrt({INTERVALS_PER_YEAR[grain]}::numeric)"
    return f"""stepped AS (
    SELECT e.bot_id, e.last_value AS value, lag(e.last_value) OVER w AS previous,
           e.start_at - lag(e.start_at) OVER w = {_STEPS[grain]} AS is_next
      FROM bot_equity_buckets e JOIN boarded b ON b.bot_id = e.bot_id AND e.last_at >= b.since
     WHERE e.span = '{grain}' AND e.start_at >= date_trunc('{grain}', %(since)s::timestamptz, 'UTC')
       AND e.start_at <= %(now)s::timestamptz - {_STEPS[grain]} {of_bots}
    WINDOW w AS (PARTITION BY e.bot_id ORDER BY e.start_at)
), ratios AS (
    SELECT d.bot_id, d.mean / nullif(d.deviation, 0) * {yearly} AS sharpe, d.mean / nullif(d.downside, 0) * {yearly} AS sortino,
           d.deviation * {yearly} AS deviation
      FROM (SELECT r.bot_id, avg(r.step) AS mean, stddev_samp(r.step) AS deviation,
                   sqrt(sum(r.step * r.step) FILTER (WHERE r.step < 0) / count(*)) AS downside
              FROM (SELECT bot_id, previous, (value - previous) / nullif(previous, 0) AS step FROM stepped WHERE is_next) r
             GROUP BY r.bot_id HAVING count(*) >= {LEAST_RETURNS} AND min(r.previous) > 0) d
)"""  # noqa: S608 - made of constants


def _figures(period: Period, of_bots: str) -> str:
    """From ``span`` (what equity did) and the trades to a line with its reason for not being ranked."""
    all_time = period is Period.ALL_TIME
    # Over all time a bot began with its capital, so one value is enough; else two moments are compared.
    moved = "a.last_at IS NOT NULL" if all_time else "a.last_at > a.start_at"
    traded = _TRADED.format(of_hours=of_bots.format("h"), of_days=of_bots.format("d"))
    return f"""traded AS ({_TRADED_ALL_TIME if all_time else traded}
), figures AS (
    SELECT a.*, coalesce(t.trades, 0) AS trades, coalesce(t.closed, 0) AS closed, t.wins,
           coalesce(t.gross_profit - t.gross_loss, 0){" + a.adjustment" if all_time else ""} AS pnl, t.gross_profit,
           t.gross_loss, t.fees, t.volume, held.change AS baseline,
           CASE WHEN a.start_value > 0 AND {moved} THEN (a.last_value - a.start_value) * 100 / a.start_value END AS change
      FROM span a LEFT JOIN traded t ON t.bot_id = a.bot_id {_HELD}
), board AS (
    SELECT f.*, CASE
               WHEN f.capital IS NULL THEN 'No capital is allocated to it, so its return cannot be told.'
               WHEN f.start_value <= 0 AND {moved.replace("a.", "f.")}
                    THEN 'It began with nothing, so its return cannot be told.'
               WHEN f.change IS NULL THEN 'Too little of its equity is known in this period.'
               WHEN abs(f.change) >= {_MOST} THEN 'Its return is out of all bounds.'
               WHEN f.closed < n.least THEN 'Fewer than ' || n.least || ' closed trades in this period.'
               ELSE '' END AS reason
      FROM figures f CROSS JOIN (SELECT minimum_closed_trades AS least FROM ledger_settings) n
)"""  # noqa: S608 - made of constants


def _store(period: Period, columns: tuple[str, ...]) -> str:
    """Writes the lines that changed; the others cost no write."""
    values = {
        "is_ranked": "b.reason = ''", "unranked_reason": "b.reason", "since_at": "b.start_at", "equity_at": "b.last_at",
        "equity": "b.last_value", "total_pnl": "b.pnl", "total_trades": "b.trades", "closed_trades": "b.closed",
        "return_pct": _bounded("b.change"), "win_rate": "round(b.wins / nullif(b.closed, 0)::numeric, 18)",
        "profit_factor": _bounded("b.gross_profit / nullif(b.gross_loss, 0)"), "fees": "coalesce(b.fees, 0)",
        "max_drawdown": "CASE WHEN b.peak > 0 AND b.fall IS NOT NULL THEN round(least(b.fall, 1), 18) END",
        "volume": f"round(least(coalesce(b.volume, 0), {_MOST}), 18)", "baseline_return_pct": _bounded("b.baseline"),
        **{name: _bounded(f"b.{name}") for name in _RATIOS},
        "carried_fall": "CASE WHEN b.carried_fall IS NOT NULL THEN round(least(b.carried_fall, 1), 18) END",
    }  # fmt: skip
    return f"""
INSERT INTO leaderboard_entries AS e (bot_id, period, updated_at, {", ".join(columns)})
SELECT b.bot_id, '{period}', %(now)s, {", ".join(values.get(name, f"b.{name}") for name in columns)}
  FROM board b ORDER BY b.bot_id
ON CONFLICT (bot_id, period) DO UPDATE SET updated_at = excluded.updated_at,
       {", ".join(f"{name} = excluded.{name}" for name in columns)}
 WHERE ({", ".join(f"e.{name}" for name in columns)}) IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in columns)})
"""  # noqa: S608 - made of constants


def _bounded(expression: str) -> str:
    return f"CASE WHEN abs({expression}) < {_MOST} THEN round({expression}, 18) END"
