# ruff: noqa: S608 - these statements are made of constants
"""The statements that write what ``orders_sql`` worked out into the ledger, and decisions, snapshots and documents."""

from __future__ import annotations

from ledger.services.take_snapshots import record_states

_AT = "timestamptz 'epoch' + {} * interval '1 microsecond'"
_POSITION_COLUMNS = (
    "id, client_id, bot_id, mode, market_type, symbol, currency, position_type, status, entry_price, exit_price, size, "
    "leverage, opened_quantity, closed_quantity, quantity, basis_quantity, basis_cost, basis_entry_fees, basis_fees, "
    "realized_pnl, realized_exact, exit_notional, peak_size, unrealized_pnl, stop_loss, take_profit, liquidation_price, "
    "opened_at, closed_at, close_cause, source, source_id, source_rank, note, extra"
)
OPEN_POSITIONS = f"""
    INSERT INTO positions ({_POSITION_COLUMNS})
    SELECT o.id, b.client_id, b.bot_id, b.mode, 'swap', o.symbol, b.currency, o.action, 'open', o.entry_price, NULL, o.size,
           o.leverage, o.quantity, 0, o.quantity, o.quantity, o.entry_price * o.quantity, 0, 0, 0, 0, 0, o.size,
           o.unrealized_pnl, o.stop_loss, o.take_profit, o.liquidation_price, {_AT.format("o.since_us")}, NULL, '',
           %(source)s, o.source_id, o.index,
           CASE WHEN h.entry_id IS NULL THEN 'Its entry was not among the imported orders.' ELSE '' END, o.extra
      FROM arena_open o JOIN arena_bots b ON b.index = o.bot
      LEFT JOIN arena_held h ON h.bot = o.bot AND h.index = o.index
     WHERE o.stored_id IS NULL AND NOT b.is_left_alone
"""
OPEN_POSITIONS_AGAIN = """
    UPDATE positions p SET unrealized_pnl = o.unrealized_pnl, stop_loss = o.stop_loss, take_profit = o.take_profit,
           liquidation_price = o.liquidation_price, source_rank = o.index, extra = o.extra, updated_at = now()
      FROM arena_open o JOIN arena_bots b ON b.index = o.bot
     WHERE p.id = o.stored_id AND p.status = 'open' AND p.source = %(source)s AND NOT b.is_left_alone
       AND (p.unrealized_pnl, p.stop_loss, p.take_profit, p.liquidation_price, p.source_rank, p.extra)
           IS DISTINCT FROM (o.unrealized_pnl, o.stop_loss, o.take_profit, o.liquidation_price, o.index::bigint, o.extra)
"""
CLOSED_POSITIONS = f"""
    INSERT INTO positions ({_POSITION_COLUMNS})
    SELECT x.position_id, b.client_id, b.bot_id, b.mode, 'swap', e.symbol, b.currency, e.action, 'closed', e.price, q.price,
           e.size, e.leverage, e.quantity, e.quantity, 0, e.quantity, e.price * e.quantity, 0, 0,
           coalesce(q.pnl, 0), coalesce(q.pnl, 0), q.price * e.quantity, e.size, NULL, NULL, NULL, NULL,
           {_AT.format("e.at_us")}, {_AT.format("greatest(q.at_us, e.at_us)")}, 'import', %(source)s,
           '', NULL, '', NULL
      FROM arena_pairs x JOIN arena_pool e ON e.id = x.entry_id JOIN arena_pool q ON q.id = x.exit_id
      JOIN arena_bots b ON b.index = e.bot WHERE e.position_id IS NULL
"""
# Positions that were open at an earlier import: closed by an exit that is new, or no longer there.
GONE_CLOSED = f"""
    UPDATE positions p SET status = 'closed', closed_quantity = p.opened_quantity, quantity = 0, basis_fees = 0,
           exit_price = q.price, exit_notional = q.price * p.opened_quantity, realized_pnl = coalesce(q.pnl, 0),
           realized_exact = coalesce(q.pnl, 0), unrealized_pnl = NULL, close_cause = 'import',
           closed_at = greatest(p.opened_at, {_AT.format("q.at_us")}), updated_at = now()
      FROM arena_pairs x JOIN arena_pool q ON q.id = x.exit_id
     WHERE p.id = x.position_id AND p.status = 'open'
"""
GONE_AWAY = f"""
    UPDATE positions p SET status = 'closed', closed_quantity = p.opened_quantity, quantity = 0, basis_fees = 0,
           unrealized_pnl = NULL, close_cause = 'import', note = 'It was no longer in the state, without an exit.',
           closed_at = greatest(p.opened_at, {_AT.format("coalesce(b.newest_us, %(now_us)s)")}), updated_at = now()
      FROM arena_gone g JOIN arena_bots b ON b.index = g.bot WHERE p.id = g.id AND p.status = 'open'
"""
TRADES = f"""
    INSERT INTO trades (id, client_id, bot_id, position_id, mode, exchange, market_type, symbol, currency, side, trade_type,
                        action, price, quantity, closed_quantity, size, leverage, entry_price, exit_price, pnl, fee,
                        fee_currency, fee_quote, cause, executed_at, exchange_trade_id, exchange_order_id, source, source_id,
                        source_rank, note, extra)
    SELECT p.id, b.client_id, b.bot_id, coalesce(o.id, xe.position_id, xx.position_id), b.mode, '', 'swap', p.symbol,
           b.currency, CASE WHEN p.is_entry = (p.action = 'LONG') THEN 'buy' ELSE 'sell' END, p.trade_type, p.action, p.price,
           coalesce(e.quantity, p.quantity, least(greatest(round(p.size * p.leverage / p.price, 18), 1e-18), 1e19)),
           coalesce(e.quantity, 0), p.size, p.leverage, coalesce(p.entry_price, e.price),
           CASE WHEN NOT p.is_entry THEN p.price END, p.pnl, p.fee, CASE WHEN p.fee IS NULL THEN '' ELSE b.currency END,
           p.fee, 'import', {_AT.format("p.at_us")}, '', '', %(source)s, p.source_id, p.index + b.order_offset,
           CASE WHEN coalesce(o.id, xe.position_id, xx.position_id) IS NOT NULL THEN ''
                WHEN p.is_entry THEN 'Neither its exit nor an open position came with it.'
                ELSE 'Its entry did not come with it.' END, p.extra
      FROM arena_pool p JOIN arena_bots b ON b.index = p.bot
      LEFT JOIN arena_held h ON h.entry_id = p.id LEFT JOIN arena_open o ON o.bot = h.bot AND o.index = h.index
      LEFT JOIN arena_pairs xe ON xe.entry_id = p.id
      LEFT JOIN arena_pairs xx ON xx.exit_id = p.id LEFT JOIN arena_pool e ON e.id = xx.entry_id
     WHERE NOT p.is_stored
"""
# A stored order whose partner came later.
STORED_TRADES = """
    UPDATE trades t SET position_id = n.position_id, note = '', quantity = coalesce(n.quantity, t.quantity),
           closed_quantity = coalesce(n.quantity, 0), entry_price = coalesce(t.entry_price, n.price)
      FROM (SELECT h.entry_id AS id, o.id AS position_id, NULL::numeric AS quantity, NULL::numeric AS price
              FROM arena_held h JOIN arena_open o ON o.bot = h.bot AND o.index = h.index
            UNION ALL SELECT x.entry_id, x.position_id, NULL, NULL FROM arena_pairs x
            UNION ALL SELECT x.exit_id, x.position_id, e.quantity, e.price
                        FROM arena_pairs x JOIN arena_pool e ON e.id = x.entry_id) n
      JOIN arena_pool p ON p.id = n.id AND p.is_stored
     WHERE t.id = n.id AND t.position_id IS DISTINCT FROM n.position_id
"""

LOGS_TWICE = """
    WITH numbered AS (
        SELECT l.ctid AS place, l.bot, l.index, l.path, row_number() OVER w AS nth, first_value(l.index) OVER w AS first_index
          FROM arena_staging_logs l WINDOW w AS (PARTITION BY l.bot, l.source_id ORDER BY l.index)),
    removed AS (
        DELETE FROM arena_staging_logs l USING numbered n WHERE l.ctid = n.place AND n.nth > 1
        RETURNING n.bot, n.index, n.path, n.first_index)
    INSERT INTO arena_staging_refusals (bot, section, path, reason)
    SELECT bot, 'log', coalesce(path, 'bots[' || bot || '].botLogs[' || index || ']'),
           'It is the same as botLogs[' || first_index || '], or has its id.' FROM removed ORDER BY bot, index
"""
STORED_LOGS = """
    CREATE TEMP TABLE arena_stored_logs ON COMMIT DROP AS
    SELECT b.index AS bot, d.id, d.source, d.source_id, d.source_rank
      FROM arena_bots b JOIN bot_decisions d ON d.bot_id = b.bot_id WHERE b.has_facts
"""
LOGS_KNOWN = """
    CREATE TEMP TABLE arena_known_logs ON COMMIT DROP AS
    SELECT l.bot, l.index, l.path, k.source_rank,
           d.prompt_sent = l.prompt AND d.decisions_json = l.decisions AND d.notes_json = l.notes
               AND d.extra IS NOT DISTINCT FROM l.extra AS is_same
      FROM arena_staging_logs l
      JOIN arena_stored_logs k ON k.bot = l.bot AND k.source_id = l.source_id AND k.source = %(source)s
      JOIN bot_decisions d ON d.id = k.id
    UNION ALL
    SELECT l.bot, l.index, l.path, k.source_rank, true
      FROM arena_staging_logs l
      JOIN arena_stored_logs k ON k.bot = l.bot AND k.id::text = lower(l.source_id) AND k.source_id = ''
     WHERE length(l.source_id) = 36
"""
LOG_OFFSETS = """
    UPDATE arena_bots b SET
        log_offset = coalesce(
            (SELECT k.source_rank - k.index FROM arena_known_logs k WHERE k.bot = b.index AND k.source_rank IS NOT NULL
              ORDER BY k.index LIMIT 1),
            (SELECT min(d.source_rank) FROM bot_decisions d WHERE d.bot_id = b.bot_id AND d.source = %(source)s) - b.logs, 0)
     WHERE b.has_facts
"""
DECISIONS = f"""
    INSERT INTO bot_decisions (id, client_id, bot_id, decided_at, prompt_sent, decisions_json, notes_json, execution_success,
                               source, source_id, source_rank, extra)
    SELECT bridge_fact_id(l.at_us, concat_ws(E'\\x1f', 'decision', %(source)s, b.bot_id, l.source_id)), b.client_id, b.bot_id,
           {_AT.format("l.at_us")}, l.prompt, l.decisions, l.notes, l.execution_success, %(source)s, l.source_id,
           l.index + b.log_offset, l.extra
      FROM arena_staging_logs l JOIN arena_bots b ON b.index = l.bot
     WHERE NOT EXISTS (SELECT 1 FROM arena_known_logs k WHERE k.bot = l.bot AND k.index = l.index)
"""

SNAPSHOTS_REFUSED = """
    INSERT INTO arena_staging_refusals (bot, section, path, reason)
    SELECT NULL, 'snapshot', 'tables.bot_state_snapshots[' || s.index || ']',
           CASE WHEN count(b.index) = 0 THEN 'Its bot was not imported.' ELSE 'Several bots have the id of its bot.' END
      FROM arena_staging_snapshots s LEFT JOIN arena_bots b ON b.source_id = s.bot_id
     GROUP BY s.index HAVING count(b.index) <> 1 ORDER BY s.index
"""
SNAPSHOTS = f"""
    INSERT INTO bot_state_snapshots (client_id, bot_id, taken_at, balance, realized_pnl, total_value, trade_count,
                                     closed_trade_count, win_rate, fees, open_positions, source, extra)
    SELECT DISTINCT ON (b.bot_id, s.at_us) b.client_id, b.bot_id, {_AT.format("s.at_us")}, s.balance,
           coalesce(s.realized_pnl, 0), s.total_value, coalesce(s.trade_count, 0), 0, s.win_rate, 0, 0, %(source)s, s.extra
      FROM arena_staging_snapshots s JOIN arena_bots b ON b.source_id = s.bot_id
     WHERE (SELECT count(*) FROM arena_bots o WHERE o.source_id = s.bot_id) = 1
     ORDER BY b.bot_id, s.at_us, s.index
    ON CONFLICT (bot_id, taken_at) DO NOTHING
"""

# A state is itself one more moment of which everything is known: that of the newest thing in it.
STATES = record_states("""
    SELECT a.bot_id AS id, a.client_id, n.at, %(source)s AS source
      FROM arena_bots a CROSS JOIN LATERAL (
        SELECT greatest(
            (SELECT max(t.executed_at) FROM trades t WHERE t.bot_id = a.bot_id),
            (SELECT max(d.decided_at) FROM bot_decisions d WHERE d.bot_id = a.bot_id),
            (SELECT max(p.opened_at) FROM positions p WHERE p.bot_id = a.bot_id)) AS at) n
     WHERE NOT a.is_left_alone AND n.at <= now()
       AND NOT EXISTS (SELECT FROM bot_state_snapshots x WHERE x.bot_id = a.bot_id AND x.taken_at >= n.at)
""")

_UPSERT = """
    ON CONFLICT ON CONSTRAINT kept_documents_key DO UPDATE SET body = excluded.body, rank = excluded.rank
     WHERE (k.body, k.rank) IS DISTINCT FROM (excluded.body, excluded.rank)
"""
# Every key of a bot and of its portfolio, word for word; the rank of its ``place`` is the bot's in the state.
BOT_DOCUMENTS = f"""
    INSERT INTO kept_documents AS k (id, client_id, bot_id, source, kind, key, body, rank)
    SELECT gen_random_uuid(), b.client_id, b.bot_id, %(source)s,
           CASE f.section WHEN 'portfolio_field' THEN 'portfolio' WHEN 'bot' THEN 'place' ELSE 'bot' END, f.key, f.raw,
           CASE WHEN f.section = 'bot' THEN f.bot
                ELSE row_number() OVER (PARTITION BY f.bot, f.section ORDER BY f.seq) - 1 END
      FROM arena_staging_fields f JOIN arena_bots b ON b.index = f.bot
     WHERE f.section IN ('bot', 'bot_field', 'portfolio_field') AND NOT b.is_left_alone
    {_UPSERT}
"""
STATE_DOCUMENTS = f"""
    INSERT INTO kept_documents AS k (id, source, kind, key, body, rank)
    SELECT gen_random_uuid(), %(source)s, CASE f.section WHEN 'state_field' THEN 'state' ELSE 'wrapper' END, f.key, f.raw,
           row_number() OVER (PARTITION BY f.section ORDER BY f.seq) - 1
      FROM arena_staging_fields f WHERE f.section IN ('state_field', 'wrapper_field')
    {_UPSERT}
"""
TABLE_DOCUMENT = f"""
    INSERT INTO kept_documents AS k (id, client_id, bot_id, source, kind, key, body, secret, rank)
    VALUES (gen_random_uuid(), %(client)s, %(bot)s, %(source)s, %(kind)s, %(key)s, %(body)s, %(secret)s, %(rank)s)
    {
    _UPSERT.replace(
        "rank = excluded.rank", "rank = excluded.rank, secret = coalesce(excluded.secret, k.secret)"
    ).replace(
        "IS DISTINCT FROM (excluded.body, excluded.rank)",
        "IS DISTINCT FROM (excluded.body, excluded.rank) OR excluded.secret IS NOT NULL",
    )
}
"""

# The equation of an account. What the old system booked and no trade explains stands in the two adjustments; an account
# that is left alone only takes what came newly into its trades out of the first, so that its money stays the same.
ACCOUNTS = """
    UPDATE bot_accounts a SET allocated_capital = n.capital, realized_pnl_adjustment = n.realized_adjustment,
           balance_adjustment = n.balance_adjustment, cash_flow = n.cash_flow, opened_at = least(a.opened_at, n.since),
           updated_at = now()
      FROM (SELECT b.bot_id, h.capital, m.since,
                   coalesce(h.realized - m.pnl, 0) AS realized_adjustment,
                   coalesce(h.balance - h.capital - coalesce(h.realized, m.pnl) + m.bound, 0) AS balance_adjustment,
                   coalesce(h.balance - h.capital, coalesce(h.realized, m.pnl) - m.bound) AS cash_flow
              FROM arena_bots b JOIN arena_heads h ON h.index = b.index
              CROSS JOIN LATERAL (
                SELECT (SELECT coalesce(sum(t.pnl), 0) FROM trades t WHERE t.bot_id = b.bot_id) AS pnl,
                       (SELECT coalesce(sum(p.size + p.basis_fees), 0) FROM positions p
                         WHERE p.bot_id = b.bot_id AND p.status = 'open') AS bound,
                       (SELECT min(t.executed_at) FROM trades t WHERE t.bot_id = b.bot_id) AS since) m
             WHERE NOT b.is_left_alone) n
     WHERE a.bot_id = n.bot_id
       AND (a.allocated_capital, a.realized_pnl_adjustment, a.balance_adjustment, a.cash_flow)
           IS DISTINCT FROM (n.capital, n.realized_adjustment, n.balance_adjustment, n.cash_flow)
"""
ACCOUNTS_LEFT_ALONE = """
    UPDATE bot_accounts a SET realized_pnl_adjustment = a.realized_pnl_adjustment - n.pnl, updated_at = now()
      FROM (SELECT b.bot_id, sum(p.pnl) AS pnl FROM arena_pool p JOIN arena_bots b ON b.index = p.bot
             WHERE b.is_left_alone AND NOT p.is_stored GROUP BY b.bot_id) n
     WHERE a.bot_id = n.bot_id AND n.pnl <> 0
"""
HEADS = """
    CREATE TEMP TABLE arena_heads (index integer PRIMARY KEY, capital numeric(38,18), balance numeric(38,18),
                                   realized numeric(38,18)) ON COMMIT DROP
"""
