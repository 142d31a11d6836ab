"""What became of the strategies' bots, brought into the strategies' rows. Set-based, safe twice and at once."""

from __future__ import annotations

from datetime import datetime

from structlog import get_logger

from bots.selectors import JOINS, STATUS, base_params
from ground.sql import fetch_all, run
from strategies.rules.words import MOVES
from strategies.services.close_strategies import KEEPER, close_ended

log = get_logger(__name__)

# Each statement locks only what it changes, and leaves out what a start or a stop holds: the next look finds it.
_LOCKED = "ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED"

# Somebody stopped the bot itself: that is a wish for the strategy too.
_STOPPED_AS_BOTS = f"""
    WITH due AS MATERIALIZED (
        SELECT s.id FROM active_strategies s JOIN bots b ON b.id = s.bot_id
         WHERE s.status <> 'stopping' AND b.desired_status = 'stopped' {_LOCKED})
    UPDATE active_strategies s
       SET status = 'stopping', status_at = %(now)s, message = '', stop_requested_at = coalesce(b.desired_at, %(now)s),
           stop_requested_by = b.desired_by, stop_reason = coalesce(nullif(b.desired_reason, ''), 'user_stopped')
      FROM due, bots b WHERE s.id = due.id AND b.id = s.bot_id AND b.desired_status = 'stopped'
"""  # noqa: S608 - made of constants
# Evidence is a trade, or figures of its controller that changed; nothing that only says it is there. The first figures of
# a deployment come with its start, and show nothing yet.
_LAST_ACTIVE = f"""
    WITH x AS MATERIALIZED (
        SELECT a.id, greatest(h.last_trade_at, r.performance_at) AS at FROM active_strategies a
          LEFT JOIN bot_health h ON h.bot_id = a.bot_id
          LEFT JOIN bot_deployments d ON d.bot_id = a.bot_id AND d.status = 'live'
          LEFT JOIN bot_runtime r ON r.bot_id = a.bot_id AND r.instance_name = d.instance_name
                                 AND r.performance_at > d.confirmed_at),
    due AS MATERIALIZED (
        SELECT s.id, x.at FROM active_strategies s JOIN x ON x.id = s.id
         WHERE x.at >= s.started_at AND (s.last_active IS NULL OR x.at > s.last_active) {_LOCKED})
    UPDATE active_strategies s SET last_active = due.at FROM due WHERE s.id = due.id
"""  # noqa: S608 - made of constants
# Whether a restore run says of a strategy that is seen running again that it was restored: said already, or to be said.
_SAID_BY_A_RUN = """
    EXISTS (SELECT 1 FROM strategy_restores n LEFT JOIN strategy_restore_steps t ON t.run_id = n.id AND t.bot_id = s.bot_id
             WHERE NOT n.is_dry_run AND (n.finished_at IS NULL OR n.finished_at >= s.status_at)
               AND (n.status = 'planned' OR n.status = 'running' AND t.outcome IN ('pending', 'released')
                    OR t.outcome = 'restored' AND t.settled_at >= s.status_at))
"""
_ALLOWED = ", ".join(f"('{before}', '{after}')" for before, afters in MOVES.items() for after in sorted(afters))
_STATUSES = f"""
    WITH x AS MATERIALIZED (
        SELECT a.id, CASE WHEN q.quarantined_at IS NOT NULL THEN 'quarantined'
                          WHEN k.status = 'running' THEN 'active'
                          WHEN k.status = 'error' OR (a.status = 'quarantined' AND k.is_wanted) THEN 'restoring'
                          ELSE a.status END AS wanted,
               left(CASE WHEN q.quarantined_at IS NOT NULL THEN q.reason WHEN k.status = 'error'
                         THEN coalesce(nullif(k.message, ''), 'It should run and does not.') ELSE '' END, 500) AS message
          FROM active_strategies a
          LEFT JOIN bot_recovery q ON q.bot_id = a.bot_id
          JOIN LATERAL (SELECT {STATUS} AS status, b.desired_status = 'running' AS is_wanted,
                               coalesce(nullif(d.message, ''), r.explanation) AS message
                          FROM bots b {JOINS} WHERE b.id = a.bot_id) k ON true
         WHERE a.status <> 'stopping'),
    due AS MATERIALIZED (
        SELECT s.id, x.wanted, x.message, x.wanted = 'active' AND NOT {_SAID_BY_A_RUN} AS is_news
          FROM active_strategies s JOIN x ON x.id = s.id
         WHERE (s.status, x.wanted) IN ({_ALLOWED}) {_LOCKED})
    UPDATE active_strategies s SET status = due.wanted, status_at = %(now)s, message = due.message
      FROM due WHERE s.id = due.id
    RETURNING s.bot_id, s.symbol_shown, s.strategy_type, due.is_news
"""  # noqa: S608 - made of constants


def follow_bots(*, now: datetime) -> int:
    """Statuses, last activity and ends of all strategies as their bots have them; returns how many rows changed."""
    with KEEPER.transaction(reason="as its bot does"):
        params = base_params(KEEPER) | {"now": now}
        stopped = run(_STOPPED_AS_BOTS, params)
        moved = fetch_all(_STATUSES, params)
        changed = stopped + len(moved) + run(_LAST_ACTIVE, params)
    for bot_id, symbol_shown, strategy_type, is_news in moved:
        if is_news:
            log.info(f"Restored strategy: {symbol_shown} ({strategy_type})", bot=str(bot_id))
    return changed + close_ended(now=now)
