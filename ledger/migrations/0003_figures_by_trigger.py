"""Statement triggers that keep the statistics as rows come, also late and corrected ones.

Each adds up what a statement changed and applies the sums in order of bot, so that two workers cannot deadlock. Bulk
writes pay some percent for it, and a bot's statistics are one row to read.
"""

from __future__ import annotations

from django.db import migrations

# What a statement did to a table, as rows that count +1 or -1.
CHANGES = {
    "INSERT": "SELECT 1 AS sign, n.* FROM new_rows n",
    "DELETE": "SELECT -1 AS sign, o.* FROM old_rows o",
    "UPDATE": "SELECT 1 AS sign, n.* FROM new_rows n UNION ALL SELECT -1, o.* FROM old_rows o",
}
REFERENCING = {
    "INSERT": "NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
}

HOURS = """
    INSERT INTO bot_trade_hours AS h (bot_id, client_id, symbol, hour_at, trades, buys, closed, wins, losses, pnl,
                                      gross_profit, gross_loss, fees, volume, best_pnl, worst_pnl)
    SELECT c.bot_id, c.client_id, c.symbol, date_trunc('hour', c.executed_at, 'UTC') AS hour, sum(c.sign),
           coalesce(sum(c.sign) FILTER (WHERE c.side = 'buy'), 0), coalesce(sum(c.sign) FILTER (WHERE c.pnl IS NOT NULL), 0),
           coalesce(sum(c.sign) FILTER (WHERE c.pnl > 0), 0), coalesce(sum(c.sign) FILTER (WHERE c.pnl < 0), 0),
           coalesce(sum(c.sign * c.pnl), 0), coalesce(sum(c.sign * c.pnl) FILTER (WHERE c.pnl > 0), 0),
           coalesce(sum(-c.sign * c.pnl) FILTER (WHERE c.pnl < 0), 0), coalesce(sum(c.sign * c.fee_quote), 0),
           sum(c.sign * c.price * c.quantity), max(c.pnl) FILTER (WHERE c.sign > 0), min(c.pnl) FILTER (WHERE c.sign > 0)
      FROM ({changes}) c WHERE c.bot_id IS NOT NULL GROUP BY c.bot_id, c.client_id, c.symbol, hour
     ORDER BY c.bot_id, hour, c.symbol
    ON CONFLICT (bot_id, hour_at, symbol) DO UPDATE SET
        trades = h.trades + excluded.trades, buys = h.buys + excluded.buys, closed = h.closed + excluded.closed,
        wins = h.wins + excluded.wins, losses = h.losses + excluded.losses, pnl = h.pnl + excluded.pnl,
        gross_profit = h.gross_profit + excluded.gross_profit, gross_loss = h.gross_loss + excluded.gross_loss,
        fees = h.fees + excluded.fees, volume = h.volume + excluded.volume,
        best_pnl = greatest(h.best_pnl, excluded.best_pnl), worst_pnl = least(h.worst_pnl, excluded.worst_pnl);
"""
# Sums can be taken back, a best and a worst cannot: where something left, they are looked up again.
HOURS_AGAIN = """
    UPDATE bot_trade_hours h SET best_pnl = t.best, worst_pnl = t.worst
      FROM (SELECT DISTINCT o.bot_id, o.symbol, date_trunc('hour', o.executed_at, 'UTC') AS hour FROM old_rows o
             WHERE o.pnl IS NOT NULL AND o.bot_id IS NOT NULL) c,
           LATERAL (SELECT max(t.pnl) AS best, min(t.pnl) AS worst FROM trades t
                     WHERE t.bot_id = c.bot_id AND t.symbol = c.symbol AND t.executed_at >= c.hour
                       AND t.executed_at < c.hour + interval '1 hour') t
     WHERE h.bot_id = c.bot_id AND h.symbol = c.symbol AND h.hour_at = c.hour;
    DELETE FROM bot_trade_hours h USING (
        SELECT e.id FROM (SELECT DISTINCT o.bot_id, date_trunc('hour', o.executed_at, 'UTC') AS hour FROM old_rows o
                           WHERE o.bot_id IS NOT NULL) c,
               LATERAL (SELECT e.id FROM bot_trade_hours e WHERE e.bot_id = c.bot_id AND e.hour_at = c.hour
                           AND e.trades = 0 OFFSET 0) e  -- else one empty hour is expected, and all are tried with each
    ) gone WHERE h.id = gone.id;
"""
FEES = """
    INSERT INTO bot_fees AS f (bot_id, client_id, currency, amount, unpriced)
    SELECT c.bot_id, c.client_id, c.fee_currency, sum(c.sign * c.fee),
           coalesce(sum(c.sign * c.fee) FILTER (WHERE c.fee_quote IS NULL), 0)
      FROM ({changes}) c WHERE c.bot_id IS NOT NULL AND c.fee <> 0 AND c.fee_currency <> ''
     GROUP BY c.bot_id, c.client_id, c.fee_currency ORDER BY c.bot_id, c.fee_currency
    ON CONFLICT (bot_id, currency) DO UPDATE SET amount = f.amount + excluded.amount,
        unpriced = f.unpriced + excluded.unpriced;
"""
STATS = """
    INSERT INTO bot_stats AS s (bot_id, client_id, trades, closed_trades, wins, losses, pnl, gross_profit, gross_loss, fees,
                                volume, first_trade_at, last_trade_at, updated_at)
    SELECT c.bot_id, c.client_id, sum(c.sign), coalesce(sum(c.sign) FILTER (WHERE c.pnl IS NOT NULL), 0),
           coalesce(sum(c.sign) FILTER (WHERE c.pnl > 0), 0), coalesce(sum(c.sign) FILTER (WHERE c.pnl < 0), 0),
           sum(c.sign * c.pnl), coalesce(sum(c.sign * c.pnl) FILTER (WHERE c.pnl > 0), 0),
           coalesce(sum(-c.sign * c.pnl) FILTER (WHERE c.pnl < 0), 0), coalesce(sum(c.sign * c.fee_quote), 0),
           sum(c.sign * c.price * c.quantity), min(c.executed_at) FILTER (WHERE c.sign > 0),
           max(c.executed_at) FILTER (WHERE c.sign > 0), now()
      FROM ({changes}) c WHERE c.bot_id IS NOT NULL GROUP BY c.bot_id, c.client_id ORDER BY c.bot_id
    ON CONFLICT (bot_id) DO UPDATE SET
        trades = s.trades + excluded.trades, closed_trades = s.closed_trades + excluded.closed_trades,
        wins = s.wins + excluded.wins, losses = s.losses + excluded.losses,
        pnl = CASE WHEN s.closed_trades + excluded.closed_trades > 0 THEN coalesce(s.pnl, 0) + coalesce(excluded.pnl, 0) END,
        gross_profit = s.gross_profit + excluded.gross_profit, gross_loss = s.gross_loss + excluded.gross_loss,
        fees = s.fees + excluded.fees, volume = s.volume + excluded.volume,
        first_trade_at = least(s.first_trade_at, excluded.first_trade_at),
        last_trade_at = greatest(s.last_trade_at, excluded.last_trade_at), updated_at = now();
"""
STATS_AGAIN = """
    UPDATE bot_stats s SET
        first_trade_at = (SELECT t.executed_at FROM trades t WHERE t.bot_id = s.bot_id
                           ORDER BY t.executed_at, t.id LIMIT 1),
        last_trade_at = (SELECT t.executed_at FROM trades t WHERE t.bot_id = s.bot_id
                          ORDER BY t.executed_at DESC, t.id DESC LIMIT 1)
      FROM (SELECT DISTINCT o.bot_id FROM old_rows o WHERE o.bot_id IS NOT NULL) c WHERE s.bot_id = c.bot_id;
"""
POSITIONS = """
    INSERT INTO bot_stats AS s (bot_id, client_id, positions_open, positions_closed, updated_at)
    SELECT c.bot_id, c.client_id, coalesce(sum(c.sign) FILTER (WHERE c.status = 'open'), 0) AS opened,
           coalesce(sum(c.sign) FILTER (WHERE c.status = 'closed'), 0) AS closed, now()
      FROM ({changes}) c GROUP BY c.bot_id, c.client_id
    HAVING coalesce(sum(c.sign) FILTER (WHERE c.status = 'open'), 0) <> 0
        OR coalesce(sum(c.sign) FILTER (WHERE c.status = 'closed'), 0) <> 0
     ORDER BY c.bot_id
    ON CONFLICT (bot_id) DO UPDATE SET positions_open = s.positions_open + excluded.positions_open,
        positions_closed = s.positions_closed + excluded.positions_closed, updated_at = now();
"""
DECISIONS = """
    INSERT INTO bot_stats AS s (bot_id, client_id, decisions, decisions_successful, updated_at)
    SELECT c.bot_id, c.client_id, sum(c.sign), coalesce(sum(c.sign) FILTER (WHERE c.execution_success), 0), now()
      FROM ({changes}) c GROUP BY c.bot_id, c.client_id ORDER BY c.bot_id
    ON CONFLICT (bot_id) DO UPDATE SET decisions = s.decisions + excluded.decisions,
        decisions_successful = s.decisions_successful + excluded.decisions_successful, updated_at = now();
"""

# An hour is read from its snapshots and a day from its hours. Snapshots are never changed, and one more can only raise a
# high and deepen a fall; so what thinning took away later is not lost from a bucket that a late snapshot touches.
KEEP = """
    ON CONFLICT (bot_id, span, start_at) DO UPDATE SET
        first_value = CASE WHEN excluded.first_at <= e.first_at THEN excluded.first_value ELSE e.first_value END,
        first_at = least(e.first_at, excluded.first_at),
        last_value = CASE WHEN excluded.last_at >= e.last_at THEN excluded.last_value ELSE e.last_value END,
        last_at = greatest(e.last_at, excluded.last_at), high = greatest(e.high, excluded.high),
        low = least(e.low, excluded.low), max_drawdown = greatest(e.max_drawdown, excluded.max_drawdown),
        snapshots = greatest(e.snapshots, excluded.snapshots);
"""
COLUMNS = "(bot_id, client_id, span, start_at, first_at, first_value, last_at, last_value, high, low, max_drawdown, snapshots)"
EQUITY = f"""
    INSERT INTO bot_equity_buckets AS e {COLUMNS}
    SELECT x.bot_id, x.client_id, 'hour', x.start_at, min(x.taken_at), (array_agg(x.total_value ORDER BY x.taken_at))[1],
           max(x.taken_at), (array_agg(x.total_value ORDER BY x.taken_at DESC))[1], max(x.total_value), min(x.total_value),
           max(CASE WHEN x.peak > 0 THEN 1 - x.total_value / x.peak ELSE 0 END), count(*)
      FROM (
        SELECT s.bot_id, s.client_id, t.start_at, s.taken_at, s.total_value,
               max(s.total_value) OVER (PARTITION BY s.bot_id, t.start_at ORDER BY s.taken_at) AS peak
          FROM (SELECT DISTINCT n.bot_id, date_trunc('hour', n.taken_at, 'UTC') AS start_at FROM new_rows n
                 WHERE n.total_value IS NOT NULL) t
          JOIN bot_state_snapshots s ON s.bot_id = t.bot_id AND s.taken_at >= t.start_at
           AND s.taken_at < t.start_at + interval '1 hour' AND s.total_value IS NOT NULL
      ) x GROUP BY x.bot_id, x.client_id, x.start_at ORDER BY x.bot_id, x.start_at
    {KEEP}
    INSERT INTO bot_equity_buckets AS e {COLUMNS}
    SELECT x.bot_id, x.client_id, 'day', x.day_at, min(x.first_at), (array_agg(x.first_value ORDER BY x.start_at))[1],
           max(x.last_at), (array_agg(x.last_value ORDER BY x.start_at DESC))[1], max(x.high), min(x.low),
           max(greatest(x.max_drawdown, CASE WHEN x.peak > 0 THEN 1 - x.low / x.peak ELSE 0 END)), sum(x.snapshots)
      FROM (
        SELECT b.*, t.start_at AS day_at, max(b.high) OVER (PARTITION BY b.bot_id, t.start_at ORDER BY b.start_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS peak
          FROM (SELECT DISTINCT n.bot_id, date_trunc('day', n.taken_at, 'UTC') AS start_at FROM new_rows n
                 WHERE n.total_value IS NOT NULL) t
          JOIN bot_equity_buckets b ON b.bot_id = t.bot_id AND b.span = 'hour' AND b.start_at >= t.start_at
           AND b.start_at < t.start_at + interval '24 hours'
      ) x GROUP BY x.bot_id, x.client_id, x.day_at ORDER BY x.bot_id, x.day_at
    {KEEP}
"""  # noqa: S608 - made of constants


def counting(table: str, bodies: dict[str, str]) -> list[str]:
    """SQL of the triggers that run ``bodies`` (by operation) after each statement on ``table``."""
    made = []
    for operation, body in bodies.items():
        name = f"ledger_{table}_{operation.lower()}"
        made.append(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"{body.replace('{changes}', CHANGES[operation])} RETURN NULL; END $$"
        )
        made.append(
            f"CREATE TRIGGER figures_{operation.lower()} AFTER {operation} ON {table} "
            f"REFERENCING {REFERENCING[operation]} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
    return made


EVERY = ("INSERT", "UPDATE", "DELETE")
TRADES = HOURS + FEES + STATS


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_tenancy_and_audit")]

    operations = [
        migrations.RunSQL(
            [
                *counting("trades", {"INSERT": TRADES, "UPDATE": TRADES + HOURS_AGAIN + STATS_AGAIN,
                                     "DELETE": TRADES + HOURS_AGAIN + STATS_AGAIN}),
                *counting("positions", dict.fromkeys(EVERY, POSITIONS)),
                *counting("bot_decisions", dict.fromkeys(EVERY, DECISIONS)),
                *counting("bot_state_snapshots", {"INSERT": EQUITY}),
            ],
            migrations.RunSQL.noop,
        )
    ]  # fmt: skip
