"""The boards beside a naive computation from every trade and snapshot: how long a tick of upkeep takes, and how far apart
the two are."""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta
from typing import Any

import psycopg

FIGURES = ("return_pct", "max_drawdown", "total_pnl", "total_trades", "closed_trades", "win_rate", "fees", "volume",
           "profit_factor", "sharpe_ratio", "volatility")  # fmt: skip
# No bucket, no statistic: windows over all rows of the period.
_NAIVE = """
WITH account AS (SELECT bot_id, allocated_capital FROM bot_accounts),
opening AS (
    SELECT a.bot_id, CASE WHEN %(all)s THEN a.allocated_capital ELSE (
               SELECT s.total_value FROM bot_state_snapshots s WHERE s.bot_id = a.bot_id AND s.taken_at <= %(since)s
                  AND s.total_value IS NOT NULL ORDER BY s.taken_at DESC LIMIT 1) END AS value
      FROM account a WHERE a.allocated_capital IS NOT NULL
), path AS (
    SELECT bot_id, %(since)s::timestamptz - interval '1 s' AS at, value FROM opening WHERE value IS NOT NULL
    UNION ALL
    SELECT s.bot_id, s.taken_at, s.total_value FROM bot_state_snapshots s JOIN opening USING (bot_id)
     WHERE s.taken_at >= %(since)s AND s.taken_at <= %(now)s AND s.total_value IS NOT NULL
), peaked AS (
    SELECT *, max(value) OVER w AS peak, first_value(value) OVER w AS first,
           row_number() OVER (PARTITION BY bot_id ORDER BY at DESC) AS n
      FROM path WINDOW w AS (PARTITION BY bot_id ORDER BY at)
), equity AS (
    SELECT bot_id, max(1 - value / peak) AS fall,
           max((value - first) * 100 / first) FILTER (WHERE n = 1) AS change FROM peaked GROUP BY bot_id
), closes AS (
    SELECT DISTINCT ON (s.bot_id, x.start) s.bot_id, x.start, s.total_value AS value
      FROM bot_state_snapshots s JOIN opening USING (bot_id),
           LATERAL (SELECT date_trunc(%(grain)s, s.taken_at, 'UTC') AS start) x
     WHERE s.taken_at >= date_trunc(%(grain)s, %(since)s::timestamptz, 'UTC') AND s.total_value IS NOT NULL
       AND x.start + %(step)s <= %(now)s
     ORDER BY s.bot_id, x.start, s.taken_at DESC
), steps AS (
    SELECT bot_id, start, value / lag(value) OVER w - 1 AS step, start - lag(start) OVER w = %(step)s AS is_next
      FROM closes WINDOW w AS (PARTITION BY bot_id ORDER BY start)
), ratios AS (
    SELECT bot_id, avg(step) / nullif(stddev_samp(step), 0) * sqrt(%(per_year)s::numeric) AS sharpe,
           stddev_samp(step) * sqrt(%(per_year)s::numeric) AS volatility
      FROM steps WHERE is_next GROUP BY bot_id HAVING count(*) >= %(least)s
), traded AS (
    SELECT bot_id, count(*) AS trades, count(pnl) AS closed, sum(pnl) AS pnl,
           count(*) FILTER (WHERE pnl > 0) / nullif(count(pnl), 0)::numeric AS win_rate, sum(fee_quote) AS fees,
           sum(price * quantity) AS volume,
           coalesce(sum(pnl) FILTER (WHERE pnl > 0), 0) / nullif(-sum(pnl) FILTER (WHERE pnl < 0), 0) AS factor
      FROM trades WHERE bot_id IS NOT NULL AND executed_at >= %(since)s GROUP BY bot_id
)
SELECT a.bot_id::text, e.change, e.fall, coalesce(t.pnl, 0), coalesce(t.trades, 0), coalesce(t.closed, 0), t.win_rate,
       coalesce(t.fees, 0), coalesce(t.volume, 0), t.factor, r.sharpe, r.volatility
  FROM account a LEFT JOIN equity e USING (bot_id) LEFT JOIN traded t USING (bot_id) LEFT JOIN ratios r USING (bot_id)
"""
_KEPT = f"SELECT bot_id::text, {', '.join(FIGURES)} FROM leaderboard_entries WHERE period = %s"


def measure_boards(conninfo: str, *, now: datetime, ticks: int) -> dict[str, Any]:
    """Per period: ms of a refresh as the worker makes it (the first, which is of everything, as after each full hour, and the
    median of those after it), and the largest relative difference of any figure of any bot from the naive computation."""
    from ground.scope import system_scope
    from ledger.rules.periods import GRAINS, INTERVALS_PER_YEAR, LEAST_RETURNS, LENGTHS, period_begin
    from ledger.rules.words import Period
    from ledger.services.refresh_boards import refresh_board

    scope, found = system_scope("bench"), {}
    for period in Period:
        took = []
        for tick in range(ticks + 1):
            began = time.perf_counter()
            refresh_board(scope=scope, period=period, now=now - timedelta(minutes=ticks - tick), whole=False)
            took.append((time.perf_counter() - began) * 1000)
        grain = GRAINS[period]
        params = {
            "all": period is Period.ALL_TIME, "since": period_begin(period, now=now), "now": now, "grain": str(grain),
            "step": LENGTHS[grain], "per_year": INTERVALS_PER_YEAR[grain], "least": LEAST_RETURNS,
        }  # fmt: skip
        with psycopg.connect(conninfo, cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute("SET work_mem = '512MB'")
            began = time.perf_counter()
            naive = {row[0]: row[1:] for row in connection.execute(_NAIVE.encode(), params)}
            naive_ms = (time.perf_counter() - began) * 1000
            kept = {row[0]: row[1:] for row in connection.execute(_KEPT.encode(), [str(period)])}
        found[str(period)] = {
            "first_ms": round(took[0], 1), "upkeep_ms": round(statistics.median(took[1:]), 1), "naive_ms": round(naive_ms),
            "bots": len(kept), "difference": difference(kept, naive),
        }  # fmt: skip
    return found


def difference(kept: dict[str, tuple[Any, ...]], naive: dict[str, tuple[Any, ...]]) -> float:
    """The largest relative difference; a figure that only one of the two has counts as 1."""
    if kept.keys() != naive.keys():
        raise SystemExit(f"The boards have {len(kept)} bots, the naive computation {len(naive)}.")
    largest, where = 0.0, ""
    for bot, values in kept.items():
        for name, one, other in zip(FIGURES, values, naive[bot], strict=True):
            if one is None and other is None:
                continue
            apart = 1.0 if one is None or other is None else float(abs(one - other) / max(1, abs(one), abs(other)))
            if apart > largest:
                largest, where = apart, f"{name} of {bot}: {one} kept, {other} naive"
    if largest > 1e-12:
        raise SystemExit(f"A board differs from the naive computation: {where}")
    return largest
