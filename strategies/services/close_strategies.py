"""From a run that is over to its row in the history, once, with the ledger's figures."""

from __future__ import annotations

from datetime import datetime, timedelta

from bots.rules.words import DesiredStatus
from ground.scope import Scope, system_scope
from ground.sql import fetch_all, run
from strategies.models import ActiveStrategy
from strategies.rules.words import StrategyStatus

KEEPER = system_scope("strategies")
LATE_TRADES = timedelta(days=1)  # so long after a stop its figures are corrected

# The trades of a run are its bot's since the start, also those between the wish to stop and the stop; the next run's are not.
# What is not known is null: all of it until trades of the run were read at all (an imported run's were made elsewhere),
# unless nothing of it was ever sent; and its fees where the worth of one of them cannot be told.
_FIGURES = """
    SELECT CASE WHEN k.is_read THEN u.pnl END AS pnl, CASE WHEN k.is_read AND u.unpriced = 0 THEN u.fees END AS fees,
           CASE WHEN k.is_read THEN u.trades_count END AS trades_count,
           coalesce(u.currency, split_part({run}.symbol, '/', 2)) AS currency
      FROM (SELECT coalesce(sum(t.pnl), 0) AS pnl, coalesce(sum(t.fee_quote), 0) AS fees, count(*) AS trades_count,
                   min(t.currency) AS currency, count(*) FILTER (WHERE t.fee_quote IS NULL) AS unpriced
              FROM trades t
             WHERE t.bot_id = {run}.bot_id AND t.mode = 'live' AND t.executed_at >= {run}.started_at {until}) u
     CROSS JOIN LATERAL (SELECT u.trades_count > 0 OR ({run}.source = '' AND (EXISTS (
            SELECT 1 FROM bot_health h WHERE h.bot_id = {run}.bot_id AND h.checked_at >= {run}.started_at
               AND h.evidence @> '[{{"probe": "trades", "outcome": "read"}}]')
         OR NOT EXISTS (
            SELECT 1 FROM bot_deployments d WHERE d.bot_id = {run}.bot_id AND d.sent_at IS NOT NULL
               AND (d.ended_at IS NULL OR d.ended_at >= {run}.started_at)))) AS is_read) k
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
           f.pnl, f.fees, f.trades_count, f.currency, r.performance, %(now)s, g.source, ''
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
        return _begin_again(now) + len(fetch_all(_CLOSE_ENDED, {"now": now, "actor": KEEPER.actor}))


def _begin_again(now: datetime) -> int:
    """Somebody started the bot of a strategy that was being stopped: that run is over, and another has begun."""
    started_again = ActiveStrategy.objects.filter(
        status=StrategyStatus.STOPPING, bot__desired_status=DesiredStatus.RUNNING, bot__retired_at=None
    )
    rows = list(started_again.select_related("bot").select_for_update(of=("self",), skip_locked=True).order_by("id"))
    for row in rows:
        close_strategy(scope=KEEPER, strategy=row, reason="started again", now=now)
        ActiveStrategy.objects.create(
            client_id=row.client_id, bot_id=row.bot_id, exchange=row.exchange, symbol=row.symbol,
            symbol_shown=row.symbol_shown, strategy_type=row.strategy_type, interval=row.interval, config=row.config,
            version=row.version, status=StrategyStatus.RESTORING, status_at=now,
            started_at=row.bot.desired_at or now, started_by=row.bot.desired_by,
        )  # fmt: skip
    return len(rows)


def close_strategy(*, scope: Scope, strategy: ActiveStrategy, reason: str, now: datetime) -> None:
    """This run goes to the history now, whatever its bot does next. Inside the caller's transaction, which holds its row."""
    run(_CLOSE_ONE, {"id": strategy.id, "now": now, "actor": scope.actor, "reason": reason})


def settle_history(*, now: datetime) -> int:
    """Bring the figures of runs that ended within a day up to the ledger; returns how many were not."""
    with KEEPER.transaction(reason="trades came late"):
        return run(_SETTLE, {"now": now, "since": now - LATE_TRADES})
