# ruff: noqa: S608 - these statements are made of constants
"""The statements that turn staged orders and open positions into trades and positions, in the order in which they run.

They work on temporary tables that end with the transaction:

    arena_bots   where each bot of the state goes, and what the ledger has of it
    arena_known  staged orders that the ledger has already
    arena_pool   the orders that are new, under their ids to be, and the stored ones that may still find a partner
    arena_open   the staged open positions
    arena_gone   positions that are open in the ledger and no longer in the state
    arena_held   which entry opened which open position
    arena_pairs  which exit closed which entry

Parameters: ``source``.
"""

from __future__ import annotations

BOTS = """
    CREATE TEMP TABLE arena_bots (
        index integer PRIMARY KEY, bot_id uuid NOT NULL, client_id uuid NOT NULL, source_id text NOT NULL,
        mode text NOT NULL, currency text NOT NULL, is_left_alone boolean NOT NULL DEFAULT false,
        has_facts boolean NOT NULL DEFAULT false, order_offset bigint NOT NULL DEFAULT 0,
        log_offset bigint NOT NULL DEFAULT 0, newest_us bigint, orders bigint NOT NULL DEFAULT 0,
        logs bigint NOT NULL DEFAULT 0) ON COMMIT DROP
"""
FACTS = """
    UPDATE arena_bots b SET
        has_facts = EXISTS (SELECT 1 FROM trades t WHERE t.bot_id = b.bot_id)
                 OR EXISTS (SELECT 1 FROM positions p WHERE p.bot_id = b.bot_id)
                 OR EXISTS (SELECT 1 FROM bot_decisions d WHERE d.bot_id = b.bot_id),
        newest_us = n.newest_us, orders = n.orders, logs = n.logs
      FROM (SELECT bot, max(newest_us) AS newest_us, sum(orders) AS orders, sum(logs) AS logs FROM (
                SELECT bot, max(at_us) AS newest_us, max(index) + 1 AS orders, 0 AS logs
                  FROM arena_staging_orders GROUP BY bot
                UNION ALL
                SELECT bot, max(at_us), 0, max(index) + 1 FROM arena_staging_logs GROUP BY bot) s GROUP BY bot
            UNION ALL
            SELECT index, NULL, 0, 0 FROM arena_bots e
             WHERE NOT EXISTS (SELECT 1 FROM arena_staging_orders o WHERE o.bot = e.index)
               AND NOT EXISTS (SELECT 1 FROM arena_staging_logs l WHERE l.bot = e.index)) n
     WHERE n.bot = b.index
"""

# Copied, so that the planner knows how many they are: it must never look through a bot's trades once for each order.
STORED = """
    CREATE TEMP TABLE arena_stored ON COMMIT DROP AS
    SELECT b.index AS bot, t.id, t.source, t.source_id, t.source_rank, t.symbol, t.action, t.trade_type, t.price,
           t.entry_price, t.size, t.leverage, t.pnl, t.fee, t.executed_at, t.extra
      FROM arena_bots b JOIN trades t ON t.bot_id = b.bot_id WHERE b.has_facts
"""

# Orders with one id. One of each kind is kept: an entry and an exit of one id are two orders.
TWICE = """
    CREATE TEMP TABLE arena_twice ON COMMIT DROP AS
    SELECT o.bot, o.index, o.source_id, o.trade_type, o.path,
           first_value(o.index) OVER w AS first_index, row_number() OVER w AS nth,
           (o.symbol, o.action, o.price, o.entry_price, o.size, o.leverage, o.pnl, o.fee, o.at_us, o.extra)
               IS NOT DISTINCT FROM
           (first_value(o.symbol) OVER w, first_value(o.action) OVER w, first_value(o.price) OVER w,
            first_value(o.entry_price) OVER w, first_value(o.size) OVER w, first_value(o.leverage) OVER w,
            first_value(o.pnl) OVER w, first_value(o.fee) OVER w, first_value(o.at_us) OVER w,
            first_value(o.extra) OVER w) AS is_same
      FROM arena_staging_orders o
      JOIN (SELECT bot, source_id FROM arena_staging_orders GROUP BY 1, 2 HAVING count(*) > 1) d USING (bot, source_id)
    WINDOW w AS (PARTITION BY o.bot, o.source_id, o.trade_type ORDER BY o.index)
"""
TWICE_REFUSED = """
    INSERT INTO arena_staging_refusals (bot, section, path, reason)
    SELECT t.bot, 'order', coalesce(t.path, 'bots[' || t.bot || '].orders[' || t.index || ']'),
           CASE WHEN t.is_same THEN 'It is the same as orders[' || t.first_index || '].'
                ELSE 'Its id is that of orders[' || t.first_index || '], which says something else; that one was taken.' END
      FROM arena_twice t WHERE t.nth > 1 ORDER BY t.bot, t.index
"""
TWICE_REMOVED = """
    DELETE FROM arena_staging_orders o USING arena_twice t WHERE t.nth > 1 AND o.bot = t.bot AND o.index = t.index
"""
_SUFFIXED = """
    SET source_id = o.source_id || '#' || o.trade_type,
        extra = jsonb_set(coalesce(o.extra, '{}'), '{with}',
                          jsonb_build_object('id', o.source_id) || coalesce(o.extra -> 'with', '{}'))
"""
# Of an entry and an exit with one id the exit gets another one, unless it is the exit that the ledger has under it.
BOTH_KINDS = f"""
    UPDATE arena_staging_orders o {_SUFFIXED}
      FROM (SELECT bot, source_id FROM arena_twice WHERE nth = 1 GROUP BY 1, 2 HAVING count(*) > 1) d
      LEFT JOIN arena_stored t ON t.bot = d.bot AND t.source = %(source)s AND t.source_id = d.source_id
     WHERE o.bot = d.bot AND o.source_id = d.source_id
       AND o.trade_type = CASE WHEN t.trade_type = 'exit' THEN 'entry' ELSE 'exit' END
"""
OTHER_KIND_STORED = f"""
    UPDATE arena_staging_orders o {_SUFFIXED}
      FROM arena_stored t
     WHERE t.source = %(source)s AND t.bot = o.bot AND t.source_id = o.source_id AND t.trade_type <> o.trade_type
"""

_SAME_ORDER = """
    (t.symbol, t.action, t.trade_type, t.price, t.size, t.leverage, t.pnl, t.fee, t.executed_at, t.extra)
        IS NOT DISTINCT FROM
    (o.symbol, o.action, o.trade_type, o.price, o.size, o.leverage, o.pnl, o.fee,
     timestamptz 'epoch' + o.at_us * interval '1 microsecond', o.extra)
    AND (o.entry_price IS NULL OR t.entry_price = o.entry_price)
"""
KNOWN = f"""
    CREATE TEMP TABLE arena_known ON COMMIT DROP AS
    SELECT o.bot, o.index, o.path, t.id, t.source_rank, {_SAME_ORDER} AS is_same
      FROM arena_staging_orders o
      JOIN arena_stored t ON t.bot = o.bot AND t.source_id = o.source_id AND t.source = %(source)s
    UNION ALL
    SELECT o.bot, o.index, o.path, t.id, t.source_rank, true
      FROM arena_staging_orders o
      JOIN arena_stored t ON t.bot = o.bot AND t.id::text = lower(o.source_id) AND t.source_id = ''
     WHERE length(o.source_id) = 36
"""
KNOWN_INDEX = "CREATE INDEX arena_known_place ON arena_known (bot, index)"
# A bot is left alone where the bridge has traded with it, or where the ledger has later facts than this state.
LEFT_ALONE = """
    UPDATE arena_bots b SET is_left_alone = true
     WHERE b.has_facts AND (
        EXISTS (SELECT 1 FROM trades t WHERE t.bot_id = b.bot_id AND t.source <> %(source)s)
        OR EXISTS (SELECT 1 FROM positions p WHERE p.bot_id = b.bot_id AND p.source <> %(source)s)
        OR coalesce(timestamptz 'epoch' + b.newest_us * interval '1 microsecond', '-infinity') < greatest(
               (SELECT max(t.executed_at) FROM trades t WHERE t.bot_id = b.bot_id),
               (SELECT max(d.decided_at) FROM bot_decisions d WHERE d.bot_id = b.bot_id)))
"""
# New orders stand before those that are known already, as the arena put them; see KNOWN for which these are.
OFFSETS = """
    UPDATE arena_bots b SET
        order_offset = coalesce(
            (SELECT k.source_rank - k.index FROM arena_known k WHERE k.bot = b.index AND k.source_rank IS NOT NULL
              ORDER BY k.index LIMIT 1),
            (SELECT min(t.source_rank) FROM trades t WHERE t.bot_id = b.bot_id AND t.source = %(source)s) - b.orders, 0)
     WHERE b.has_facts
"""

_POOL_COLUMNS = (
    "id, bot, index, is_stored, is_entry, position_id, source_id, symbol, trade_type, action, price, entry_price, size, "
    "leverage, quantity, pnl, fee, at_us, position_ref, extra"
)
POOL = """
    CREATE TEMP TABLE arena_pool ON COMMIT DROP AS
    SELECT bridge_fact_id(o.at_us, concat_ws(E'\\x1f', 'trade', %(source)s, b.bot_id, o.source_id)) AS id,
           o.bot, o.index, false AS is_stored, o.trade_type = 'entry' AS is_entry, NULL::uuid AS position_id, o.source_id,
           o.symbol, o.trade_type, o.action, o.price, o.entry_price, o.size, o.leverage, o.quantity, o.pnl, o.fee, o.at_us,
           o.position_ref, o.extra
      FROM arena_staging_orders o JOIN arena_bots b ON b.index = o.bot
     WHERE NOT EXISTS (SELECT 1 FROM arena_known k WHERE k.bot = o.bot AND k.index = o.index)
"""
GONE = """
    CREATE TEMP TABLE arena_gone ON COMMIT DROP AS
    SELECT p.id, b.index AS bot FROM arena_bots b
      JOIN positions p ON p.bot_id = b.bot_id AND p.source = %(source)s AND p.status = 'open'
     WHERE b.has_facts AND NOT b.is_left_alone AND NOT EXISTS (SELECT 1 FROM arena_open o WHERE o.stored_id = p.id)
"""
POOL_STORED = f"""
    INSERT INTO arena_pool ({_POOL_COLUMNS})
    SELECT t.id, b.index, NULL, true, t.trade_type = 'entry', t.position_id, t.source_id, t.symbol, t.trade_type, t.action,
           t.price, t.entry_price, t.size, t.leverage, t.quantity, t.pnl, t.fee,
           (extract(epoch FROM t.executed_at) * 1000000)::bigint, t.extra -> 'with' ->> 'position_id', t.extra
      FROM arena_bots b JOIN trades t ON t.bot_id = b.bot_id AND t.source = %(source)s
     WHERE b.has_facts AND NOT b.is_left_alone
       AND (t.position_id IS NULL OR t.trade_type = 'entry' AND t.position_id IN (SELECT g.id FROM arena_gone g))
"""

POSITIONS_TWICE = """
    WITH numbered AS (
        SELECT p.bot, p.index, p.path, row_number() OVER (PARTITION BY p.bot, p.source_id ORDER BY p.index) AS nth,
               row_number() OVER (PARTITION BY p.bot, p.symbol ORDER BY p.index) AS nth_of_symbol, b.mode
          FROM arena_staging_positions p JOIN arena_bots b ON b.index = p.bot),
    removed AS (
        DELETE FROM arena_staging_positions p USING numbered n
         WHERE p.bot = n.bot AND p.index = n.index AND (n.nth > 1 OR n.mode = 'live' AND n.nth_of_symbol > 1)
        RETURNING p.bot, p.index, p.path, n.nth)
    INSERT INTO arena_staging_refusals (bot, section, path, reason)
    SELECT bot, 'position', coalesce(path, 'bots[' || bot || '].portfolio.positions[' || index || ']'),
           CASE WHEN nth > 1 THEN 'A position before it has the same id; that one was taken.'
                ELSE 'A live bot holds one position of a symbol; the one before it was taken.' END
      FROM removed ORDER BY bot, index
"""
OPEN = """
    CREATE TEMP TABLE arena_open ON COMMIT DROP AS
    SELECT p.*, b.bot_id, s.id AS stored_id, s.status AS stored_status, s.id AS id, p.opened_us AS since_us
      FROM arena_staging_positions p JOIN arena_bots b ON b.index = p.bot
      LEFT JOIN LATERAL (
        SELECT s.id, s.status FROM positions s
         WHERE b.has_facts AND s.bot_id = b.bot_id
           AND (s.source = %(source)s AND s.source_id = p.source_id
                OR s.source_id = '' AND length(p.source_id) = 36 AND s.id::text = lower(p.source_id))
         LIMIT 1) s ON true
"""
HELD = "CREATE TEMP TABLE arena_held (entry_id uuid PRIMARY KEY, bot integer, index integer) ON COMMIT DROP"
# An open position's entry is the latest order that fits, exactly if there is one, else by its price alone.
HOLD = """
    INSERT INTO arena_held (entry_id, bot, index)
    SELECT e.id, p.bot, p.index
      FROM (SELECT e.id, {keys}, row_number() OVER (PARTITION BY {keys} ORDER BY e.at_us DESC, e.index) AS nth
              FROM arena_pool e
             WHERE e.is_entry AND e.position_id IS NULL AND NOT EXISTS (SELECT 1 FROM arena_held h WHERE h.entry_id = e.id)
               AND EXISTS (SELECT 1 FROM arena_open o WHERE o.bot = e.bot AND o.symbol = e.symbol AND o.action = e.action)
           ) e
      JOIN (SELECT p.bot AS bot, p.index, {position_keys},
                   row_number() OVER (PARTITION BY {keys} ORDER BY p.index) AS nth
              FROM (SELECT o.*, o.source_id AS position_ref FROM arena_open o) p JOIN arena_bots b ON b.index = p.bot
             WHERE NOT b.is_left_alone AND p.stored_status IS DISTINCT FROM 'closed'
               AND NOT EXISTS (SELECT 1 FROM arena_held h WHERE h.bot = p.bot AND h.index = p.index)
               AND NOT EXISTS (SELECT 1 FROM trades t WHERE t.position_id = p.stored_id AND t.trade_type = 'entry')
           ) p USING ({keys}, nth)
"""
HOLD_KEYS = (
    ("bot", "position_ref"),
    ("bot", "symbol", "action", "size", "leverage", "entry_price"),
    ("bot", "symbol", "action", "entry_price"),
)
SINCE = """
    UPDATE arena_open o SET since_us = coalesce(n.at_us, o.since_us, n.newest_us, %(now_us)s)
      FROM (SELECT p.bot, p.index, e.at_us, b.newest_us FROM arena_open p JOIN arena_bots b ON b.index = p.bot
              LEFT JOIN arena_held h ON h.bot = p.bot AND h.index = p.index LEFT JOIN arena_pool e ON e.id = h.entry_id) n
     WHERE o.stored_id IS NULL AND n.bot = o.bot AND n.index = o.index
"""
NAMED = """
    UPDATE arena_open o SET id = bridge_fact_id(o.since_us, concat_ws(E'\\x1f', 'position', %(source)s, o.bot_id, o.source_id))
     WHERE o.stored_id IS NULL
"""

PAIRS = (
    "CREATE TEMP TABLE arena_pairs (entry_id uuid PRIMARY KEY, exit_id uuid NOT NULL, position_id uuid) ON COMMIT DROP"
)
PAIRS_BY_EXIT = "CREATE UNIQUE INDEX IF NOT EXISTS arena_pairs_exit ON arena_pairs (exit_id)"
# First in, first out. ``level`` counts entries up and exits down; an exit that takes it below every earlier level had
# nothing left to close, and every other one, in order, closes the entry of its number.
PAIR = """
    INSERT INTO arena_pairs (entry_id, exit_id, position_id)
    WITH event AS MATERIALIZED (
        SELECT p.id, p.is_entry, p.at_us, p.index, p.position_id, dense_rank() OVER (ORDER BY {keys}) AS book
          FROM arena_pool p
         WHERE CASE WHEN p.is_entry THEN {entries} ELSE {exits} END
           AND NOT EXISTS (SELECT 1 FROM arena_held h WHERE h.entry_id = p.id)
           AND NOT EXISTS (SELECT 1 FROM arena_pairs x WHERE x.entry_id = p.id)
           AND NOT EXISTS (SELECT 1 FROM arena_pairs x WHERE x.exit_id = p.id)),
    counted AS (
        SELECT *, sum(CASE WHEN is_entry THEN 1 ELSE -1 END) OVER {window} AS level FROM event),
    bounded AS (
        SELECT *, NOT is_entry AND level >= least(0, coalesce(min(level) OVER {before}, 0)) AS is_matched FROM counted),
    numbered AS (
        SELECT id, is_entry, is_matched, at_us, position_id, book,
               count(*) FILTER (WHERE is_entry) OVER {window} AS entry_no,
               count(*) FILTER (WHERE is_matched) OVER {window} AS exit_no FROM bounded)
    SELECT e.id, x.id, coalesce(e.position_id, bridge_fact_id(e.at_us, concat_ws(E'\\x1f', 'position', %(source)s, e.id)))
      FROM numbered e JOIN numbered x ON x.book = e.book AND x.exit_no = e.entry_no
     WHERE e.is_entry AND x.is_matched
"""
# (keys, which entries, which exits): the same first, then what is left. An exit that says at which price was entered only
# fits an entry at that price.
PAIR_PASSES = (
    ("bot, position_ref", "p.position_ref IS NOT NULL", "p.position_ref IS NOT NULL"),
    ("bot, symbol, action, entry_price, size, leverage", "true", "p.entry_price IS NOT NULL"),
    ("bot, symbol, action, entry_price", "true", "p.entry_price IS NOT NULL"),
    ("bot, symbol, action, size, leverage", "true", "p.entry_price IS NULL"),
    ("bot, symbol, action", "true", "p.entry_price IS NULL"),
)


def pair(keys: str, entries: str, exits: str) -> str:
    """One pass of pairing."""
    order = "PARTITION BY book ORDER BY at_us, is_entry DESC, index DESC NULLS LAST, id ROWS"
    window, before = f"({order} UNBOUNDED PRECEDING)", f"({order} BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    return PAIR.format(keys=keys, entries=entries, exits=exits, window=window, before=before)


def hold(keys: tuple[str, ...]) -> str:
    """One pass of finding the entries of open positions."""
    names = ", ".join(keys)
    of_position = ", ".join(f"p.{key}" for key in keys if key != "bot")
    return HOLD.format(keys=names, position_keys=of_position)
