"""Statements of the public pages. Each reads ``PUBLIC`` alone, or one bot that was found in it: what an operator did not
make public is not there, whoever asks."""

from __future__ import annotations

# The one gate. An arena that is public, a bot marked as public, of the arena, on paper, not archived.
PUBLIC = """
    SELECT b.id, b.name, b.created_at, p.client_id, p.prompt_id, p.provider_id, p.model, p.is_advanced, p.is_paused,
           p.symbols, p.turn_interval_s, p.min_size, p.max_leverage, p.max_open_positions, p.max_exposure_ratio,
           p.max_drawdown_ratio, p.cooldown_minutes, p.next_turn_at, p.turns, p.began_at, b.desired_status
      FROM arena_participants p
      JOIN bots b ON b.id = p.bot_id AND b.client_id = p.client_id
     WHERE p.is_public AND b.runtime_kind = 'arena' AND b.retired_at IS NULL AND b.deletion_requested_at IS NULL
       AND EXISTS (SELECT FROM arena_settings s WHERE s.is_public)
       AND NOT EXISTS (SELECT FROM bot_accounts x WHERE x.bot_id = b.id AND x.mode <> 'paper')
"""
_ONE = f"SELECT o.* FROM ({PUBLIC}) o WHERE o.id = %(bot)s::uuid"  # noqa: S608 - made of constants

IS_PUBLIC = "SELECT EXISTS (SELECT FROM arena_settings s WHERE s.is_public)"

_STATE = """
    CASE WHEN b.desired_status <> 'running' THEN 'stopped'
         WHEN EXISTS (SELECT FROM arena_halts h WHERE h.lifted_at IS NULL AND (h.scope = 'all' OR h.bot_id = b.id
                         OR (h.scope = 'client' AND h.client_id = b.client_id))) THEN 'halted'
         WHEN b.is_paused THEN 'paused' ELSE 'plays' END
"""
# A gain that is not known makes the whole unknown.
_WORTH = """
    LEFT JOIN bot_accounts a ON a.bot_id = b.id
    LEFT JOIN bot_stats t ON t.bot_id = b.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(x.size), 0) AS size,
               CASE WHEN bool_or(x.unrealized_pnl IS NULL) THEN NULL ELSE coalesce(sum(x.unrealized_pnl), 0) END AS gain
          FROM positions x WHERE x.bot_id = b.id AND x.status = 'open') h
"""
# With what equity the period began: the board's word, and until it has one, the capital, unless that was changed since.
_BEGIN = """
    coalesce(e.start_value, CASE WHEN coalesce(a.capital_changed_at, a.opened_at) <= a.opened_at + interval '1 minute'
                                 THEN a.allocated_capital END)
"""

# Those with a rank first, then the others, each by its return at the newest prices.
BOARD = f"""
    WITH lines AS (
        SELECT b.*, {_STATE} AS state, a.currency, a.balance + h.size + h.gain AS equity, {_BEGIN} AS start_value,
               CASE WHEN %(period)s = 'all_time' THEN coalesce(t.trades, 0) ELSE e.total_trades END AS total_trades,
               e.win_rate, e.max_drawdown, e.sharpe_ratio, a.opened_at,
               coalesce(e.is_ranked, false) AS is_ranked
          FROM ({PUBLIC}) b {_WORTH}
          LEFT JOIN leaderboard_entries e ON e.bot_id = b.id AND e.period = %(period)s
    ), gains AS (
        SELECT l.*, l.equity - l.start_value AS profit, (l.equity / nullif(l.start_value, 0) - 1) * 100 AS return_pct
          FROM lines l
    ), ranked AS (
        SELECT g.*, g.is_ranked AND g.return_pct IS NOT NULL AS has_rank FROM gains g
    )
    SELECT r.id, r.name, coalesce(nullif(r.model, ''), l.model, ''), coalesce(l.kind, ''), r.state, r.currency,
           r.equity, r.start_value, r.profit, r.return_pct, r.total_trades, r.win_rate, r.max_drawdown,
           r.sharpe_ratio, r.opened_at, count(*) OVER () AS total,
           CASE WHEN r.has_rank THEN rank() OVER (ORDER BY r.has_rank DESC, r.return_pct DESC NULLS LAST) END AS rank
      FROM ranked r LEFT JOIN llm_providers l ON l.id = r.provider_id
     ORDER BY r.has_rank DESC, r.return_pct DESC NULLS LAST, r.name, r.id
     LIMIT %(most)s OFFSET %(skip)s
"""  # noqa: S608 - made of constants

# Of each stretch the last value, oldest first. Only for ids that BOARD gave out in the same transaction.
_STEP = "date_bin(%(step)s::interval, {0}, %(since)s::timestamptz)"
CURVES_OF_SNAPSHOTS = f"""
    SELECT s.bot_id, extract(epoch FROM {_STEP.format("s.taken_at")})::bigint,
           (array_agg(s.total_value ORDER BY s.taken_at DESC))[1]
      FROM bot_state_snapshots s
     WHERE s.bot_id = ANY(%(bots)s) AND s.taken_at >= %(since)s AND s.total_value IS NOT NULL
     GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - made of constants
CURVES_OF_BUCKETS = f"""
    SELECT s.bot_id, extract(epoch FROM {_STEP.format("s.last_at")})::bigint,
           (array_agg(s.last_value ORDER BY s.last_at DESC))[1]
      FROM bot_equity_buckets s
     WHERE s.bot_id = ANY(%(bots)s) AND s.span = %(span)s AND s.start_at >= %(since)s - interval '1 day'
       AND s.last_at >= %(since)s
     GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - made of constants

_DECIDED = """
    d.id, d.decided_at, d.decisions_json, d.notes_json, d.execution_success, u.number AS turn, u.status AS turn_status,
    q.number AS prompt
"""
# The newest turns of all, of which those of public bots are taken: they stand in an index by time, decisions only by bot.
NEWS = f"""
    SELECT b.id, b.name, {_DECIDED}
      FROM (SELECT y.id FROM arena_turns y ORDER BY y.created_at DESC, y.id DESC LIMIT %(looked_at)s) n
      JOIN arena_turns u ON u.id = n.id AND u.decision_id IS NOT NULL
      JOIN ({PUBLIC}) b ON b.id = u.bot_id
      JOIN bot_decisions d ON d.bot_id = u.bot_id AND d.id = u.decision_id
      LEFT JOIN arena_prompts q ON q.id = u.prompt_id
     ORDER BY d.decided_at DESC, d.id DESC LIMIT %(most)s
"""  # noqa: S608 - made of constants

BOT = f"""
    SELECT b.id, b.name, coalesce(nullif(b.model, ''), l.model, ''), coalesce(l.kind, ''), {_STATE} AS state, a.currency,
           a.balance, a.balance + h.size + h.gain AS equity, h.gain, a.allocated_capital, a.opened_at,
           ARRAY(SELECT jsonb_array_elements_text(b.symbols)), coalesce(b.turn_interval_s, s.turn_interval_s), b.min_size,
           b.max_leverage, b.max_open_positions, b.max_exposure_ratio, b.max_drawdown_ratio, b.cooldown_minutes,
           b.is_advanced, b.next_turn_at, b.turns, b.began_at, q.number, coalesce(t.trades, 0), t.fees, s.exchange
      FROM ({_ONE}) b
     CROSS JOIN arena_settings s
      LEFT JOIN llm_providers l ON l.id = b.provider_id
      LEFT JOIN arena_prompts q ON q.id = b.prompt_id {_WORTH}
"""  # noqa: S608 - made of constants

# What follows is asked of a bot that BOT just found, in the same transaction.
PERIODS = """
    SELECT e.period, e.start_value, e.total_trades, e.win_rate, e.max_drawdown, e.sharpe_ratio, e.fees
      FROM leaderboard_entries e WHERE e.bot_id = %(bot)s
"""
POSITIONS = """
    SELECT x.id, x.symbol, x.position_type, x.size, x.leverage, x.quantity, x.entry_price, x.mark_price, x.unrealized_pnl,
           x.stop_loss, x.take_profit, x.liquidation_price, x.opened_at, x.currency
      FROM positions x WHERE x.bot_id = %(bot)s AND x.status = 'open' ORDER BY x.opened_at DESC, x.id LIMIT 100
"""
TRADES = """
    SELECT y.id, y.executed_at, y.symbol, y.action, y.trade_type, y.price, y.quantity, y.size, y.leverage, y.pnl, y.fee_quote,
           y.cause, y.currency
      FROM trades y WHERE y.bot_id = %(bot)s ORDER BY y.executed_at DESC, y.id DESC LIMIT %(most)s
"""
DECISIONS = f"""
    SELECT d.bot_id, '', {_DECIDED}
      FROM bot_decisions d
      LEFT JOIN arena_turns u ON u.decision_id = d.id AND u.bot_id = d.bot_id
      LEFT JOIN arena_prompts q ON q.id = u.prompt_id
     WHERE d.bot_id = %(bot)s
       AND (%(after_id)s::uuid IS NULL OR (d.decided_at, d.id) < (%(after_at)s::timestamptz, %(after_id)s::uuid))
     ORDER BY d.decided_at DESC, d.id DESC LIMIT %(most)s
"""  # noqa: S608 - made of constants
SPENT = """
    SELECT coalesce(sum(m.spent) FILTER (WHERE m.span = 'month'), 0),
           coalesce(sum(m.spent) FILTER (WHERE m.span = 'day' AND m.start_on = %(today)s), 0),
           coalesce(sum(m.calls) FILTER (WHERE m.span = 'month'), 0)
      FROM llm_spend m WHERE m.bot_id = %(bot)s AND m.client_id = (SELECT b.client_id FROM bots b WHERE b.id = %(bot)s)
"""
TOKENS = """
    SELECT coalesce(sum(c.input_tokens), 0), coalesce(sum(c.output_tokens), 0), count(*)
      FROM llm_calls c WHERE c.bot_id = %(bot)s AND c.asked_at > %(now)s::timestamptz - interval '24 hours'
"""
# The markets that it may trade, those that it holds or traded lately first.
SYMBOLS = """
    SELECT m.symbol FROM arena_markets m
      LEFT JOIN LATERAL (SELECT max(x.opened_at) AS at, bool_or(x.status = 'open') AS held
                           FROM (SELECT y.opened_at, y.status, y.symbol FROM positions y WHERE y.bot_id = %(bot)s
                                  ORDER BY y.opened_at DESC, y.id DESC LIMIT 200) x WHERE x.symbol = m.symbol) w ON true
     WHERE m.exchange = %(exchange)s AND m.price IS NOT NULL
       AND (w.at IS NOT NULL OR m.symbol = ANY(%(symbols)s::text[]) OR (cardinality(%(symbols)s::text[]) = 0 AND m.is_traded))
     ORDER BY coalesce(w.held, false) DESC, w.at DESC NULLS LAST, m.quote_volume_24h DESC NULLS LAST, m.symbol LIMIT 40
"""
BARS = """
    SELECT extract(epoch FROM r.start_at)::bigint, r.open, r.high, r.low, r.close
      FROM arena_price_bars r JOIN arena_markets m ON m.id = r.market_id
     WHERE m.exchange = (SELECT s.exchange FROM arena_settings s) AND m.symbol = %(symbol)s AND r.span = %(span)s
       AND r.start_at >= %(since)s
     ORDER BY r.start_at DESC LIMIT %(most)s
"""
MARKS = """
    SELECT extract(epoch FROM date_bin(%(step)s::interval, y.executed_at, '1970-01-01 00:00Z'))::bigint, y.action, y.trade_type,
           y.price, y.pnl, y.cause
      FROM trades y
     WHERE y.bot_id = %(bot)s AND y.symbol = %(symbol)s AND y.executed_at >= %(since)s
     ORDER BY y.executed_at DESC, y.id DESC LIMIT %(most)s
"""
LEVELS = """
    SELECT x.entry_price, x.stop_loss, x.take_profit, x.liquidation_price
      FROM positions x WHERE x.bot_id = %(bot)s AND x.symbol = %(symbol)s AND x.status = 'open' ORDER BY x.opened_at LIMIT 5
"""
