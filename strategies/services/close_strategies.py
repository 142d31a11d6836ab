"""From a run that is over to its row in the history, once, with the ledger's figures."""

from __future__ import annotations

from datetime import datetime, timedelta

from ground.scope import Scope, system_scope
from ground.sql import fetch_all, run
from strategies.models import ActiveStrategy

KEEPER = system_scope("strategies")
LATE_TRADES = timedelta(days=1)  # so long after a stop its figures are corrected

# The trades of a run are its bot's since the start, also those between the wish to stop and the stop; the next run's are not.
_FIGURES = """
    SELECT coalesce(sum(t.pnl), 0) AS pnl, coalesce(sum(t.fee_quote), 0) AS fees, count(*) AS trades_count,
           coalesce(min(t.currency), split_part({run}.symbol, '/', 2)) AS currency
      FROM trades t
     WHERE t.bot_id = {run}.bot_id AND t.mode = 'live' AND t.executed_at >= {run}.started_at {until}
"""
_INSERT = f"""
    INSERT INTO strategy_history (id, client_id, bot_id, exchange, symbol, symbol_shown, strategy_type, interval, config,
                                  version, started_at, started_by, stopped_at, stopped_by, reason, pnl, fees,
                                  trades_count, currency, performance, settled_at, source, source_id)
    SELECT gen_random_uuid(), g.client_id, g.bot_id, g.exchange, g.symbol, g.symbol_shown, g.strategy_type, g.interval,
           g.config, g.version, g.started_at, g.started_by,
           greatest(g.started_at, coalesce(g.stop_requested_at, e.stopped_at, %(now)s)),
           coalesce(nullif(g.stop_requested_by, ''), nullif(e.stopped_by, ''), %(actor)s),
           coalesce(nullif(g.stop_reason, ''), nullif(e.reason, ''), 'user_stopped'),
           f.pnl, f.fees, f.trades_count, f.currency, r.performance, %(now)s, '', ''
      FROM gone g JOIN ended e ON e.id = g.id
      LEFT JOIN bot_runtime r ON r.bot_id = g.bot_id
      CROSS JOIN LATERAL ({_FIGURES.format(run="g", until="")}) f
    ON CONFLICT DO NOTHING
    RETURNING id
"""  # noqa: S608 - made of constants
_CLOSE_ENDED = f"""
    WITH ended AS (
        SELECT s.id, CASE WHEN b.retired_at IS NOT NULL THEN b.retired_at ELSE b.desired_at END AS stopped_at,
               b.desired_by AS stopped_by,
               CASE WHEN b.retired_at IS NOT NULL THEN 'its bot was deleted' ELSE b.desired_reason END AS reason
          FROM active_strategies s JOIN bots b ON b.id = s.bot_id
         WHERE (b.desired_status = 'stopped' OR b.retired_at IS NOT NULL
                OR (s.status = 'stopping' AND b.desired_status = 'created'))
           AND NOT EXISTS (SELECT 1 FROM bot_deployments d WHERE d.bot_id = s.bot_id
                            AND d.status IN ('wanted', 'sending', 'unknown_outcome', 'live', 'stopping'))
         ORDER BY s.id FOR UPDATE OF s SKIP LOCKED),
    gone AS (DELETE FROM active_strategies s USING ended e WHERE s.id = e.id RETURNING s.*)
    {_INSERT}
"""  # noqa: S608 - made of constants
_CLOSE_ONE = f"""
    WITH ended AS (SELECT %(id)s::uuid AS id, %(now)s::timestamptz AS stopped_at, %(actor)s AS stopped_by,
                          %(reason)s AS reason),
    gone AS (DELETE FROM active_strategies s USING ended e WHERE s.id = e.id RETURNING s.*)
    {_INSERT}
"""  # noqa: S608 - made of constants
_SETTLE = f"""
    UPDATE strategy_history h SET pnl = f.pnl, fees = f.fees, trades_count = f.trades_count, currency = f.currency,
           settled_at = %(now)s
      FROM strategy_history x
      LEFT JOIN LATERAL (SELECT min(n.started_at) AS at FROM (
            SELECT started_at FROM strategy_history WHERE bot_id = x.bot_id AND started_at > x.started_at
            UNION ALL SELECT started_at FROM active_strategies WHERE bot_id = x.bot_id) n) AS next ON true
      CROSS JOIN LATERAL (
        {_FIGURES.format(run="x", until="AND (next.at IS NULL OR t.executed_at < next.at)")}) f
     WHERE h.id = x.id AND x.stopped_at > %(since)s AND x.bot_id IS NOT NULL AND x.source_id = ''
       AND (h.pnl, h.fees, h.trades_count) IS DISTINCT FROM (f.pnl, f.fees, f.trades_count)
"""  # noqa: S608 - made of constants


def close_ended(*, now: datetime) -> int:
    """Every strategy whose bot was wanted stopped and is at rest goes to the history; returns how many. Safe at once."""
    with KEEPER.transaction(reason="strategy ended"):
        return len(fetch_all(_CLOSE_ENDED, {"now": now, "actor": KEEPER.actor}))


def close_strategy(*, scope: Scope, strategy: ActiveStrategy, reason: str, now: datetime) -> None:
    """This run goes to the history now, whatever its bot does next. Inside the caller's transaction, which holds its row."""
    run(_CLOSE_ONE, {"id": strategy.id, "now": now, "actor": scope.actor, "reason": reason})


def settle_history(*, now: datetime) -> int:
    """Bring the figures of runs that ended within a day up to the ledger; returns how many were not."""
    with KEEPER.transaction(reason="trades came late"):
        return run(_SETTLE, {"now": now, "since": now - LATE_TRADES})
