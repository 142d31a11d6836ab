"""What must always hold in the ledger, each as statements that yield what breaks it.

``%(bot)s`` NULL means every bot, ``%(now)s`` is the moment of looking, ``%(hours_from)s`` as in ``recomputed``. A
statement yields ``bot_id, place (a table), row_id, field, expected, found``, one line a break. Statistics have
their own statements in ``recomputed``.
"""

from __future__ import annotations

from dataclasses import dataclass

from alerts.rules.words import Severity
from ledger.services import recomputed
from ledger.services.recomputed import OF_BOT

# What the trades say of each position, by everything in which the two must agree. It lives as long as the transaction.
# On spot a fee in the coin itself makes an entry bring less and an exit take more.
_FEE_IN_KIND = (
    "CASE WHEN t.market_type = 'spot' AND t.fee_currency <> t.currency AND t.fee_currency = split_part(t.symbol, '/', 1) "
    "THEN t.fee END"
)
ADD_UP_POSITIONS = f"""
    CREATE TEMP TABLE recomputed_positions ON COMMIT DROP AS
    SELECT t.position_id, t.bot_id, t.symbol, t.market_type, t.action, t.mode, count(*) AS trades,
           sum(t.quantity - coalesce({_FEE_IN_KIND}, 0)) FILTER (WHERE t.trade_type = 'entry') AS entered,
           sum(CASE WHEN {_FEE_IN_KIND} IS NULL THEN t.closed_quantity
                    ELSE t.closed_quantity * (t.quantity + {_FEE_IN_KIND}) / t.quantity END)
               FILTER (WHERE t.trade_type = 'exit') AS closed,
           sum(t.quantity - t.closed_quantity) FILTER (WHERE t.trade_type = 'exit' AND t.market_type <> 'spot') AS turned,
           sum(t.pnl) AS pnl
      FROM trades t WHERE t.position_id IS NOT NULL AND {OF_BOT.format("t")}
     GROUP BY t.position_id, t.bot_id, t.symbol, t.market_type, t.action, t.mode
"""  # noqa: S608 - made of constants
PREPARE = (*recomputed.PREPARE, ADD_UP_POSITIONS, "ANALYZE recomputed_positions")

_BALANCE = f"""
    SELECT a.bot_id, 'bot_accounts' AS place, a.bot_id::text AS row_id, 'cash_flow' AS field,
           bridge_number(x.expected) AS expected, bridge_number(a.cash_flow) AS found
      FROM bot_accounts a
      LEFT JOIN (SELECT bot_id, sum(pnl) AS pnl FROM recomputed_owners GROUP BY bot_id) t ON t.bot_id = a.bot_id
      LEFT JOIN (SELECT p.bot_id, sum(p.size + p.basis_fees) AS bound FROM positions p
                  WHERE p.status = 'open' AND {OF_BOT.format("p")} GROUP BY p.bot_id) p ON p.bot_id = a.bot_id
     CROSS JOIN LATERAL (SELECT round(a.balance_adjustment + a.realized_pnl_adjustment + coalesce(t.pnl, 0)
                                      - coalesce(p.bound, 0), 18) AS expected) x
     WHERE {OF_BOT.format("a")} AND a.cash_flow <> x.expected
"""  # noqa: S608 - made of constants

# Each position against its own trades. A quotient's last digits depend on how many were kept on the way. An imported one
# that the old system named is as it was told there: its orders may say another size, or have not come.
_POSITIONS = f"""
    SELECT p.bot_id, 'positions' AS place, p.id::text AS row_id, v.field, bridge_number(v.expected) AS expected,
           bridge_number(v.found) AS found
      FROM positions p
      LEFT JOIN (SELECT position_id, sum(entered) AS entered, sum(closed) AS closed, sum(pnl) AS pnl
                   FROM recomputed_positions GROUP BY position_id) t ON t.position_id = p.id
     CROSS JOIN LATERAL (VALUES
           ('realized_pnl', coalesce(t.pnl, 0), p.realized_pnl, 0),
           ('closed_quantity', CASE WHEN p.source_id = '' THEN coalesce(t.closed, 0) END, p.closed_quantity, 1e-15),
           ('opened_quantity', CASE WHEN p.source_id = '' AND (p.mode = 'paper' OR p.source <> '') THEN t.entered END,
            p.opened_quantity, 1e-15)
           ) v (field, expected, found, slack)
     WHERE {OF_BOT.format("p")} AND abs(v.expected - v.found) > v.slack
"""  # noqa: S608 - made of constants
# A contract that turns opens a position without an entry of its own, so what was entered adds up over a book.
_BOOKS = f"""
    SELECT b.bot_id, 'positions' AS place, b.newest::text AS row_id,
           'opened_quantity of all of ' || b.market_type || ' ' || b.symbol AS field, bridge_number(b.expected) AS expected,
           bridge_number(b.opened) AS found
      FROM (SELECT p.bot_id, p.market_type, p.symbol,
                   coalesce(sum(p.opened_quantity) FILTER (WHERE p.source = ''), 0) AS opened,
                   coalesce(sum(t.entered) FILTER (WHERE p.source = ''), 0) + coalesce(sum(t.turned), 0) AS expected,
                   (array_agg(p.id ORDER BY p.opened_at DESC, p.id DESC))[1] AS newest
              FROM positions p
              LEFT JOIN (SELECT position_id, sum(entered) AS entered, sum(turned) AS turned
                           FROM recomputed_positions GROUP BY position_id) t ON t.position_id = p.id
             WHERE p.mode = 'live' AND {OF_BOT.format("p")} GROUP BY p.bot_id, p.market_type, p.symbol) b
     WHERE abs(b.opened - b.expected) > 1e-15
"""  # noqa: S608 - made of constants
# A live book holds one position at a time.
_OVERLAPS = f"""
    SELECT x.bot_id, 'positions' AS place, x.id::text AS row_id, 'opened_at' AS field,
           'not before ' || coalesce(bridge_iso(x.until), 'the close of the one before') AS expected,
           bridge_iso(x.opened_at) AS found
      FROM (SELECT p.*, lag(p.closed_at) OVER w AS until, lag(p.id) OVER w IS NOT NULL AS is_next
              FROM positions p WHERE p.mode = 'live' AND p.source = '' AND {OF_BOT.format("p")}
            WINDOW w AS (PARTITION BY p.bot_id, p.market_type, p.symbol ORDER BY p.opened_at, p.closed_at)) x
     WHERE x.is_next AND (x.until IS NULL OR x.until > x.opened_at)
"""  # noqa: S608 - made of constants

# A trade and its position are of one bot, symbol, market, direction and mode; foreign keys see the bot alone.
_TRADES_OF_POSITIONS = """
    WITH wrong AS MATERIALIZED (
        SELECT g.*, p.id AS is_there, p.bot_id AS its_bot, p.symbol AS its_symbol, p.market_type AS its_market,
               p.position_type AS its_type, p.mode AS its_mode
          FROM recomputed_positions g LEFT JOIN positions p ON p.id = g.position_id
         WHERE ROW(p.bot_id, p.symbol, p.market_type, p.position_type, p.mode)
               IS DISTINCT FROM ROW(g.bot_id, g.symbol, g.market_type, g.action, g.mode)
    )
    SELECT g.bot_id, 'trades' AS place, t.id::text AS row_id, v.field, v.expected, v.found
      FROM wrong g
     CROSS JOIN LATERAL (
        SELECT x.id FROM trades x WHERE x.position_id = g.position_id AND x.symbol = g.symbol AND x.action = g.action
           AND x.market_type = g.market_type AND x.mode = g.mode AND x.bot_id = g.bot_id LIMIT 100) t
     CROSS JOIN LATERAL (VALUES
           ('position_id', CASE WHEN g.is_there IS NULL THEN 'a position' ELSE g.position_id::text END, g.position_id::text),
           ('bot_id', coalesce(g.its_bot, g.bot_id)::text, g.bot_id::text),
           ('symbol', coalesce(g.its_symbol, g.symbol), g.symbol),
           ('market_type', coalesce(g.its_market, g.market_type), g.market_type),
           ('action', coalesce(g.its_type, g.action), g.action), ('mode', coalesce(g.its_mode, g.mode), g.mode)
           ) v (field, expected, found)
     WHERE v.expected <> v.found
"""
# Keys forbid these; a restore or a repair with the triggers off does not.
_TRADES_OF_DECISIONS = f"""
    SELECT t.bot_id, 'trades' AS place, t.id::text AS row_id, 'decision_id' AS field,
           'a decision of its bot' AS expected, t.decision_id::text AS found
      FROM trades t LEFT JOIN bot_decisions d ON d.id = t.decision_id AND d.bot_id = t.bot_id
     WHERE t.decision_id IS NOT NULL AND d.id IS NULL AND {OF_BOT.format("t")}
"""  # noqa: S608 - made of constants
_TRADES_OF_ACCOUNTS = """
    SELECT g.bot_id, 'trades' AS place, t.id::text AS row_id, v.field, v.expected, v.found
      FROM recomputed_owners g
      LEFT JOIN bot_accounts a ON a.bot_id = g.bot_id
      LEFT JOIN bots b ON b.id = g.bot_id
      JOIN LATERAL (SELECT x.id FROM trades x WHERE x.bot_id = g.bot_id AND x.client_id = g.client_id
                       AND x.currency = g.currency AND x.fee_currency = g.fee_currency
                       AND x.executed_at BETWEEN g.first_at AND g.last_at
                     ORDER BY x.executed_at LIMIT 100) t ON true
     CROSS JOIN LATERAL (VALUES
           ('bot_id', CASE WHEN b.id IS NULL THEN 'a bot' WHEN a.bot_id IS NULL THEN 'a bot with an account' END,
            g.bot_id::text),
           ('client_id', b.client_id::text, g.client_id::text), ('currency', a.currency, g.currency)
           ) v (field, expected, found)
     WHERE (a.bot_id IS NULL OR ROW(a.client_id, a.currency) IS DISTINCT FROM ROW(g.client_id, g.currency)
            OR b.client_id IS DISTINCT FROM g.client_id) AND v.expected <> v.found
"""


def _of_its_client(table: str) -> str:
    return f"""
        SELECT x.bot_id, '{table}' AS place, x.id::text AS row_id, 'client_id' AS field,
               coalesce(b.client_id::text, 'the client of a bot') AS expected, x.client_id::text AS found
          FROM {table} x LEFT JOIN bots b ON b.id = x.bot_id
         WHERE b.client_id IS DISTINCT FROM x.client_id AND {OF_BOT.format("x")}
    """  # noqa: S608 - made of constants


_POSITIONS_OF_ACCOUNTS = f"""
    SELECT p.bot_id, 'positions' AS place, p.id::text AS row_id, 'currency' AS field,
           coalesce(a.currency, 'that of an account') AS expected, p.currency AS found
      FROM positions p LEFT JOIN bot_accounts a ON a.bot_id = p.bot_id
     WHERE a.currency IS DISTINCT FROM p.currency AND {OF_BOT.format("p")}
"""  # noqa: S608 - made of constants
# Each tick is one statement for every active bot: where others have a state, a bot that was wanted running has one too.
# So an outage of the bridge is no gap. A gap cannot be mended; what a person has resolved is not told again.
_GAPS = f"""
    WITH recent AS MATERIALIZED (
        SELECT s.bot_id, s.taken_at, dense_rank() OVER (ORDER BY s.taken_at) AS n FROM bot_state_snapshots s
         WHERE s.source = '' AND s.taken_at > %(now)s + interval '1 hour'
               - make_interval(days => coalesce((SELECT keep_full_days FROM ledger_settings WHERE id = 1), 7))
    ), walked AS (
        SELECT r.bot_id, lag(r.taken_at) OVER w AS since, r.taken_at AS until, r.n - lag(r.n) OVER w - 1 AS missed
          FROM recent r WINDOW w AS (PARTITION BY r.bot_id ORDER BY r.n)
    ), newest AS (
        SELECT bot_id, max(taken_at) AS at FROM recent GROUP BY bot_id
    ), gaps AS (
        SELECT * FROM walked WHERE missed >= 2
        UNION ALL
        SELECT a.bot_id, greatest(a.opened_at, l.at), NULL, count(*)
          FROM bot_accounts a LEFT JOIN newest l ON l.bot_id = a.bot_id
          JOIN (SELECT DISTINCT taken_at FROM recent) t ON t.taken_at > greatest(a.opened_at, l.at)
         GROUP BY a.bot_id, greatest(a.opened_at, l.at) HAVING count(*) >= 2
    )
    SELECT b.id AS bot_id, 'bot_state_snapshots' AS place, b.id || ' ' || bridge_iso(g.since) AS row_id,
           'the next one' AS field, 'at the tick after it, as other bots have' AS expected,
           coalesce(bridge_iso(g.until), 'none so far') || ', ' || g.missed || ' ticks missed' AS found
      FROM gaps g JOIN bots b ON b.id = g.bot_id
      LEFT JOIN LATERAL (
        SELECT l.at, l.before ->> 'desired_status' AS was FROM audit_log l
         WHERE l.table_name = 'bots' AND l.row_id = b.id::text AND l.action = 'UPDATE' AND l.at > g.since
           AND l.before ? 'desired_status' ORDER BY l.at LIMIT 1
      ) change ON true
     WHERE {OF_BOT.format("g")} AND b.retired_at IS NULL
       AND CASE WHEN change.at IS NULL THEN b.desired_status = 'running' AND b.desired_at <= g.since
                ELSE change.was = 'running' AND change.at > g.until END
       AND coalesce(g.until, %(now)s) > coalesce((
            SELECT max(i.resolved_at) FROM incidents i WHERE i.kind = 'ledger_snapshots' AND i.key = b.id::text
               AND i.resolved_by NOT LIKE 'system:%%'), '-infinity')
"""  # noqa: S608 - made of constants

# Boards are made anew each minute. A line keeps its time while its figures stay, so what is old is told by the figures.
_BOARDS = f"""
    WITH made AS (SELECT coalesce(boards_at, '-infinity') - interval '2 minutes' AS at, snapshot_at FROM ledger_state)
    SELECT NULL::uuid AS bot_id, 'ledger_state' AS place, '1' AS row_id, 'boards_at' AS field,
           'not before ' || bridge_iso(made.snapshot_at) AS expected, bridge_iso(s.boards_at) AS found
      FROM made JOIN ledger_state s ON s.id = 1
     WHERE (s.boards_at IS NULL OR s.boards_at < made.snapshot_at - interval '2 minutes')
       AND made.snapshot_at < %(now)s - interval '2 minutes'
    UNION ALL
    SELECT a.bot_id, 'leaderboard_entries', p.period || ' of ' || a.bot_id, 'updated_at', 'a line', NULL
      FROM bot_accounts a JOIN bots b ON b.id = a.bot_id AND b.retired_at IS NULL
      JOIN made ON greatest(a.opened_at, a.updated_at) < made.at
     CROSS JOIN (VALUES ('daily'), ('weekly'), ('monthly'), ('all_time')) p (period)
     WHERE {OF_BOT.format("a")} AND NOT EXISTS (
        SELECT FROM leaderboard_entries e WHERE e.bot_id = a.bot_id AND e.period = p.period)
    UNION ALL
    SELECT e.bot_id, 'leaderboard_entries', e.id::text, v.field, bridge_number(v.expected), bridge_number(v.found)
      FROM leaderboard_entries e
      JOIN bots b ON b.id = e.bot_id AND b.retired_at IS NULL
      JOIN bot_accounts a ON a.bot_id = e.bot_id
      JOIN bot_stats s ON s.bot_id = e.bot_id
      JOIN made ON greatest(s.updated_at, a.updated_at) < made.at
     CROSS JOIN LATERAL (VALUES ('total_trades', s.trades::numeric, e.total_trades::numeric),
                                ('total_pnl', coalesce(s.pnl, 0) + a.realized_pnl_adjustment, e.total_pnl)
                        ) v (field, expected, found)
     WHERE e.period = 'all_time' AND {OF_BOT.format("e")} AND v.expected <> v.found
"""  # noqa: S608 - made of constants


def _count(table: str) -> str:
    return f"(SELECT count(*) FROM {table} x WHERE {OF_BOT.format('x')})"  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. ``counts`` yields how many rows it was held against; an incident of it is of kind ``ledger_<name>``."""

    name: str
    says: str
    statements: tuple[str, ...]
    counts: str
    severity: Severity = Severity.CRITICAL

    @property
    def kind(self) -> str:
        return f"ledger_{self.name}"


CHECKS = (
    Check(
        "balance",
        "an account's cash flow is what its trades realised, less what its open positions bind",
        (_BALANCE,),
        f"SELECT {_count('bot_accounts')}",
    ),
    Check(
        "positions",
        "a position holds what its trades entered and closed, and earned what they realised",
        (_POSITIONS, _BOOKS, _OVERLAPS),
        f"SELECT {_count('positions')}",
    ),
    Check(
        "orphan",
        "every row is of the bot, account, position and decision that it names",
        (
            _TRADES_OF_POSITIONS,
            _TRADES_OF_DECISIONS,
            _TRADES_OF_ACCOUNTS,
            _POSITIONS_OF_ACCOUNTS,
            *(_of_its_client(table) for table in ("positions", "bot_decisions", "bot_state_snapshots")),
            _of_its_client("bot_accounts").replace("x.id::text", "x.bot_id::text"),
        ),
        "SELECT coalesce(sum(trades), 0) FROM recomputed_owners",
    ),
    Check(
        "statistics",
        "the kept figures are those of the rows",
        tuple(recomputed.COMPARE.values()),
        f"SELECT {' + '.join(_count(table) for table in recomputed.REPAIR)}",
        Severity.WARNING,
    ),
    Check(
        "snapshots",
        "a bot that is wanted running has its state recorded at every tick",
        (_GAPS,),
        f"SELECT {_count('bot_state_snapshots')}",
        Severity.WARNING,
    ),
    Check(
        "boards",
        "every bot has its line on every board, with the figures of at most two refreshes ago",
        (_BOARDS,),
        f"SELECT {_count('leaderboard_entries')}",
        Severity.WARNING,
    ),
)
# Held in Python, by booking again.
BOOKS = Check(
    "books",
    "a live position is what booking its executions again gives, to the last digit",
    (),
    "",
)
