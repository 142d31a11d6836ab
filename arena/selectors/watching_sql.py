"""Statements of those who watch: text alone, for the web's processes and for the stream, which runs without Django's apps.

All read for one tenant (``%(tenant)s``) or, where that is null, for all.
"""

from __future__ import annotations

MOST_LOGS = 50
MOST_ORDERS = 100
MOST_VALUES = 144  # a day, in snapshots of ten minutes
PROMPT_SHOWN = 1000  # characters

_MS = "trunc(extract(epoch FROM {0}) * 1000)::bigint"
_SYMBOL = "replace({0}, '/', '')"

# Every transaction before `xmin` has ended: what they wrote is seen by whatever is read after this.
STAND = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, trunc(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
           coalesce((SELECT trunc(extract(epoch FROM max(m.fetched_at)) * 1000000)::bigint FROM arena_markets m), 0),
           coalesce((SELECT s.keep_events_hours FROM arena_settings s), 24)
"""

# In order, each once. `below` is a STAND's xmin.
NEWS = """
    SELECT e.xid, e.id, e.client_id, e.bot_id, e.kind, e.payload::text, trunc(extract(epoch FROM e.happened_at) * 1000)::bigint
      FROM arena_events e
     WHERE (e.xid, e.id) > (%(xid)s::bigint, %(id)s::bigint) AND e.xid < %(below)s::bigint
       AND (%(tenant)s::uuid IS NULL OR e.client_id = %(tenant)s::uuid)
     ORDER BY e.xid, e.id LIMIT %(most)s::integer
"""

# Of bots of which something was told, or which went since (a minute earlier: clocks differ, and commits come late).
CHANGED = """
    SELECT DISTINCT e.bot_id FROM arena_events e
     WHERE (e.xid, e.id) > (%(xid)s::bigint, %(id)s::bigint)
       AND (%(tenant)s::uuid IS NULL OR e.client_id = %(tenant)s::uuid)
     UNION
    SELECT b.id FROM bots b
     WHERE b.runtime_kind = 'arena' AND (%(tenant)s::uuid IS NULL OR b.client_id = %(tenant)s::uuid)
       AND b.retired_at > to_timestamp(%(at_ms)s::bigint / 1000.0) - interval '1 minute'
"""

LOADING = """
    SELECT coalesce(json_agg(t.bot_id), '[]')::text FROM arena_turns t
     WHERE t.status IN ('claimed', 'asked', 'answered') AND (%(tenant)s::uuid IS NULL OR t.client_id = %(tenant)s::uuid)
"""

MARKETS = f"""
    SELECT coalesce(json_agg(json_build_object(
        'symbol', {_SYMBOL.format("m.symbol")}, 'price', trim_scale(m.price),
        'price24hChange', trim_scale(m.change_24h_ratio * 100), 'pair', m.symbol,
        'timestamp', {_MS.format("m.observed_at")}) ORDER BY m.symbol), '[]')::text
      FROM arena_markets m
     WHERE m.price IS NOT NULL AND m.exchange = coalesce((SELECT s.exchange FROM arena_settings s), 'binance')
"""  # noqa: S608 - made of constants

_POSITION = f"""
    json_strip_nulls(json_build_object(
        'id', x.id, 'symbol', {_SYMBOL.format("x.symbol")}, 'type', x.position_type, 'entryPrice', trim_scale(x.entry_price),
        'size', trim_scale(x.size), 'leverage', trim_scale(x.leverage), 'quantity', trim_scale(x.quantity),
        'markPrice', trim_scale(x.mark_price), 'pnl', trim_scale(x.unrealized_pnl), 'stopLoss', trim_scale(x.stop_loss),
        'takeProfit', trim_scale(x.take_profit), 'liquidationPrice', trim_scale(x.liquidation_price),
        'openedAt', {_MS.format("x.opened_at")}))
"""
# A gain that is not known makes the whole unknown.
_HELD = f"""
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(x.size), 0) AS size,
               CASE WHEN bool_or(x.unrealized_pnl IS NULL) THEN NULL ELSE coalesce(sum(x.unrealized_pnl), 0) END AS pnl,
               coalesce(json_agg({_POSITION} ORDER BY x.opened_at, x.id), '[]') AS positions
          FROM positions x WHERE x.bot_id = b.id AND x.status = 'open') held
"""  # noqa: S608 - made of constants
_PORTFOLIO = """
    json_build_object('balance', trim_scale(a.balance), 'pnl', trim_scale(held.pnl),
                      'totalValue', trim_scale(a.balance + held.size + held.pnl), 'positions', held.positions)
"""
_ORDERS = f"""
    SELECT json_agg(json_strip_nulls(json_build_object(
        'id', t.id, 'symbol', {_SYMBOL.format("t.symbol")}, 'action', t.action, 'side', t.trade_type,
        'price', trim_scale(t.price), 'entryPrice', trim_scale(t.entry_price), 'size', trim_scale(t.size),
        'quantity', trim_scale(t.quantity), 'leverage', trim_scale(t.leverage), 'pnl', trim_scale(t.pnl),
        'fee', trim_scale(t.fee), 'cause', t.cause, 'positionId', t.position_id, 'timestamp', {_MS.format("t.executed_at")})))
      FROM (SELECT y.* FROM trades y WHERE y.bot_id = b.id ORDER BY y.executed_at DESC, y.id DESC LIMIT {MOST_ORDERS}) t
"""  # noqa: S608 - made of constants
_LOGS = f"""
    SELECT json_agg(json_build_object(
        'id', d.id, 'timestamp', {_MS.format("d.decided_at")}, 'prompt', left(d.prompt_sent, {PROMPT_SHOWN}),
        'decisions', d.decisions_json, 'notes', d.notes_json, 'success', d.execution_success))
      FROM (SELECT y.* FROM bot_decisions y WHERE y.bot_id = b.id ORDER BY y.decided_at DESC, y.id DESC LIMIT {MOST_LOGS}) d
"""  # noqa: S608 - made of constants
_VALUES = f"""
    SELECT json_agg(json_build_object('timestamp', {_MS.format("v.taken_at")}, 'value', trim_scale(v.total_value))
                    ORDER BY v.taken_at)
      FROM (SELECT y.taken_at, y.total_value FROM bot_state_snapshots y WHERE y.bot_id = b.id
             ORDER BY y.taken_at DESC LIMIT {MOST_VALUES}) v
"""  # noqa: S608 - made of constants
_COOLDOWNS = f"""
    SELECT json_object_agg({_SYMBOL.format("z.symbol")}, {_MS.format("z.closed_at + make_interval(mins => p.cooldown_minutes)")})
      FROM (SELECT y.symbol, max(y.closed_at) AS closed_at FROM positions y
             WHERE y.bot_id = b.id AND y.status = 'closed' AND y.mode = 'paper'
               AND y.closed_at > %(now)s::timestamptz - make_interval(mins => p.cooldown_minutes)
             GROUP BY y.symbol) z
"""  # noqa: S608 - made of constants
_HALT = """
    SELECT h.reason FROM arena_halts h
     WHERE h.lifted_at IS NULL AND (h.scope = 'all' OR h.bot_id = b.id OR (h.scope = 'client' AND h.client_id = b.client_id))
     ORDER BY h.scope LIMIT 1
"""

# One row a bot: its id, when it was made, its JSON.
BOTS = f"""
    WITH chosen AS (
        SELECT c.id, c.client_id, c.name, c.created_at FROM bots c
         WHERE c.retired_at IS NULL AND c.runtime_kind = 'arena'
           AND (%(tenant)s::uuid IS NULL OR c.client_id = %(tenant)s::uuid)
           AND (%(only)s::uuid[] IS NULL OR c.id = ANY(%(only)s::uuid[]))
           AND (%(after_id)s::uuid IS NULL OR (c.created_at, c.id) > (%(after_at)s::timestamptz, %(after_id)s::uuid))
         ORDER BY c.created_at, c.id LIMIT %(most)s::integer
    )
    SELECT b.id, b.created_at, json_build_object(
        'id', b.id, 'userId', b.client_id, 'name', b.name, 'prompt', q.text, 'provider', l.name, 'tradingMode', a.mode,
        'initialBalance', trim_scale(a.allocated_capital), 'orders', coalesce(({_ORDERS}), '[]'),
        'botLogs', coalesce(({_LOGS}), '[]'), 'portfolio', {_PORTFOLIO},
        'realizedPnl', trim_scale(coalesce(s.pnl, 0) + coalesce(a.realized_pnl_adjustment, 0)),
        'tradeCount', coalesce(s.trades, 0), 'winRate', trim_scale(round(s.wins::numeric / nullif(s.closed_trades, 0), 6)),
        'valueHistory', coalesce(({_VALUES}), '[]'), 'symbolCooldowns', coalesce(({_COOLDOWNS}), json_build_object()),
        'isLoading', EXISTS (SELECT FROM arena_turns u WHERE u.bot_id = b.id AND u.status IN ('claimed', 'asked', 'answered')),
        'isPaused', coalesce(p.is_paused, false), 'haltReason', ({_HALT}))::text
      FROM chosen b
      LEFT JOIN arena_participants p ON p.bot_id = b.id
      LEFT JOIN arena_prompts q ON q.bot_id = b.id AND q.id = p.prompt_id
      LEFT JOIN llm_providers l ON l.id = p.provider_id
      LEFT JOIN bot_accounts a ON a.bot_id = b.id
      LEFT JOIN bot_stats s ON s.bot_id = b.id {_HELD}
     ORDER BY b.created_at, b.id
"""  # noqa: S608 - made of constants

# What bots that hold something are worth at the newest prices.
PORTFOLIOS = f"""
    SELECT b.id, json_build_object('id', b.id, 'portfolio', {_PORTFOLIO})::text
      FROM (SELECT DISTINCT y.bot_id AS id FROM positions y
             WHERE y.status = 'open' AND y.mode = 'paper' AND (%(tenant)s::uuid IS NULL OR y.client_id = %(tenant)s::uuid)) k
      JOIN bots b ON b.id = k.id AND b.retired_at IS NULL AND b.runtime_kind = 'arena'
      LEFT JOIN bot_accounts a ON a.bot_id = b.id {_HELD}
     ORDER BY b.created_at, b.id LIMIT %(most)s::integer
"""  # noqa: S608 - made of constants
