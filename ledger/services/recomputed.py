"""The statistics once more, from the rows: SQL that adds them up, compares, and repairs.

Figures that triggers keep are held against what one pass over the facts gives. ``%(bot)s`` NULL means every bot,
``%(hours_from)s`` is since when thinning has taken no hours away. Each comparison yields ``bot_id, place (a table),
row_id, field, expected, found``, one line a difference.
"""

from __future__ import annotations

OF_BOT = "(%(bot)s::uuid IS NULL OR {0}.bot_id = %(bot)s)"

# All trades, by hour and by owner and currency: two passes. They live as long as the transaction. An hour of one bot and
# symbol is often one trade, so what can be told by owner is not summed up by hour.
ADD_UP_HOURS = f"""
    CREATE TEMP TABLE recomputed_hours ON COMMIT DROP AS
    SELECT t.bot_id, t.symbol, date_trunc('hour', t.executed_at, 'UTC') AS hour_at, count(*) AS trades,
           count(*) FILTER (WHERE t.side = 'buy') AS buys, count(t.pnl) AS closed, count(*) FILTER (WHERE t.pnl > 0) AS wins,
           count(*) FILTER (WHERE t.pnl < 0) AS losses, coalesce(sum(t.pnl), 0) AS pnl,
           coalesce(sum(t.pnl) FILTER (WHERE t.pnl > 0), 0) AS gross_profit,
           coalesce(-sum(t.pnl) FILTER (WHERE t.pnl < 0), 0) AS gross_loss, coalesce(sum(t.fee_quote), 0) AS fees,
           sum(t.price * t.quantity) AS volume, max(t.pnl) AS best_pnl, min(t.pnl) AS worst_pnl
      FROM trades t WHERE t.bot_id IS NOT NULL AND {OF_BOT.format("t")} GROUP BY t.bot_id, t.symbol, hour_at
"""  # noqa: S608 - made of constants
ADD_UP_OWNERS = f"""
    CREATE TEMP TABLE recomputed_owners ON COMMIT DROP AS
    SELECT t.client_id, t.bot_id, t.currency, t.fee_currency, count(*) AS trades, sum(t.pnl) AS pnl, sum(t.fee) AS fee,
           sum(t.fee) FILTER (WHERE t.fee_quote IS NULL) AS unpriced, min(t.executed_at) AS first_at,
           max(t.executed_at) AS last_at
      FROM trades t WHERE t.bot_id IS NOT NULL AND {OF_BOT.format("t")}
     GROUP BY t.client_id, t.bot_id, t.currency, t.fee_currency
"""  # noqa: S608 - made of constants
# Exact sums are large while they are added up: sorted, one group of them is held at a time and not a million.
SETTINGS = ("SET LOCAL work_mem = '64MB'", "SET LOCAL enable_hashagg = off")
PREPARE = (*SETTINGS, ADD_UP_HOURS, "ANALYZE recomputed_hours", ADD_UP_OWNERS, "ANALYZE recomputed_owners")

_HOURS = "SELECT * FROM recomputed_hours"
_HOUR_FIELDS = ("trades", "buys", "closed", "wins", "losses", "pnl", "gross_profit", "gross_loss", "fees", "volume",
                "best_pnl", "worst_pnl")  # fmt: skip
_ADDED_UP = ", ".join(
    f"{'max' if field == 'best_pnl' else 'min' if field == 'worst_pnl' else 'sum'}({field}) AS {field}"
    for field in _HOUR_FIELDS
)
_SPANS = f"""
    WITH days AS MATERIALIZED (
        SELECT bot_id, symbol, date_trunc('day', hour_at, 'UTC') AS start_at, {_ADDED_UP}
          FROM recomputed_hours GROUP BY bot_id, symbol, date_trunc('day', hour_at, 'UTC'))
    SELECT bot_id, symbol, 'day' AS span, start_at, {", ".join(_HOUR_FIELDS)} FROM days
    UNION ALL
    SELECT bot_id, symbol, 'month', date_trunc('month', start_at, 'UTC'), {_ADDED_UP}
      FROM days GROUP BY bot_id, symbol, date_trunc('month', start_at, 'UTC')
"""  # noqa: S608 - made of constants
_FEES = """
    SELECT bot_id, fee_currency AS currency, sum(fee) AS amount, coalesce(sum(unpriced), 0) AS unpriced
      FROM recomputed_owners WHERE fee_currency <> '' AND fee IS NOT NULL GROUP BY bot_id, fee_currency
"""
_FEE_FIELDS = ("amount", "unpriced")
_STATS = f"""
    SELECT b.id AS bot_id, coalesce(t.trades, 0) AS trades, coalesce(t.closed, 0) AS closed_trades,
           coalesce(t.wins, 0) AS wins, coalesce(t.losses, 0) AS losses, o.pnl, coalesce(t.gross_profit, 0) AS gross_profit,
           coalesce(t.gross_loss, 0) AS gross_loss, coalesce(t.fees, 0) AS fees, coalesce(t.volume, 0) AS volume,
           o.first_at AS first_trade_at, o.last_at AS last_trade_at, coalesce(p.opened, 0) AS positions_open,
           coalesce(p.closed, 0) AS positions_closed, coalesce(d.decisions, 0) AS decisions,
           coalesce(d.successful, 0) AS decisions_successful
      FROM bots b
      LEFT JOIN (SELECT bot_id, sum(trades) AS trades, sum(closed) AS closed, sum(wins) AS wins, sum(losses) AS losses,
                        sum(gross_profit) AS gross_profit, sum(gross_loss) AS gross_loss, sum(fees) AS fees,
                        sum(volume) AS volume FROM recomputed_hours GROUP BY bot_id) t ON t.bot_id = b.id
      LEFT JOIN (SELECT bot_id, sum(pnl) AS pnl, min(first_at) AS first_at, max(last_at) AS last_at
                   FROM recomputed_owners GROUP BY bot_id) o ON o.bot_id = b.id
      LEFT JOIN (SELECT bot_id, count(*) FILTER (WHERE status = 'open') AS opened,
                        count(*) FILTER (WHERE status = 'closed') AS closed
                   FROM positions x WHERE {OF_BOT.format("x")} GROUP BY bot_id) p ON p.bot_id = b.id
      LEFT JOIN (SELECT bot_id, count(*) AS decisions, count(*) FILTER (WHERE execution_success) AS successful
                   FROM bot_decisions x WHERE {OF_BOT.format("x")} GROUP BY bot_id) d ON d.bot_id = b.id
     WHERE %(bot)s::uuid IS NULL OR b.id = %(bot)s
"""  # noqa: S608 - made of constants
_STAT_FIELDS = ("trades", "closed_trades", "wins", "losses", "pnl", "gross_profit", "gross_loss", "fees", "volume",
                "first_trade_at", "last_trade_at", "positions_open", "positions_closed", "decisions",
                "decisions_successful")  # fmt: skip
_NULLABLE = {
    "bot_trade_hours": ("best_pnl", "worst_pnl"),
    "bot_trade_spans": ("best_pnl", "worst_pnl"),
    "bot_fees": (),
    "bot_stats": ("pnl", "first_trade_at", "last_trade_at"),
}
_MOMENTS = ("first_trade_at", "last_trade_at", "first_at", "last_at")

# An hour of equity from its snapshots. Where thinning took some away, the bucket still knows more than is left.
_EQUITY_HOURS = f"""
    SELECT x.bot_id, 'hour' AS span, x.start_at, min(x.taken_at) AS first_at,
           (array_agg(x.total_value ORDER BY x.taken_at))[1] AS first_value, max(x.taken_at) AS last_at,
           (array_agg(x.total_value ORDER BY x.taken_at DESC))[1] AS last_value, max(x.total_value) AS high,
           min(x.total_value) AS low, max(CASE WHEN x.peak > 0 THEN 1 - x.total_value / x.peak ELSE 0 END) AS max_drawdown,
           count(*) AS snapshots
      FROM (SELECT s.bot_id, date_trunc('hour', s.taken_at, 'UTC') AS start_at, s.taken_at, s.total_value,
                   max(s.total_value) OVER (PARTITION BY s.bot_id, date_trunc('hour', s.taken_at, 'UTC')
                                            ORDER BY s.taken_at) AS peak
              FROM bot_state_snapshots s WHERE s.total_value IS NOT NULL AND {OF_BOT.format("s")}) x
     GROUP BY x.bot_id, x.start_at
"""  # noqa: S608 - made of constants
_EQUITY_DAYS = f"""
    SELECT x.bot_id, 'day' AS span, x.day_at AS start_at, min(x.first_at) AS first_at,
           (array_agg(x.first_value ORDER BY x.start_at))[1] AS first_value, max(x.last_at) AS last_at,
           (array_agg(x.last_value ORDER BY x.start_at DESC))[1] AS last_value, max(x.high) AS high, min(x.low) AS low,
           max(greatest(x.max_drawdown, CASE WHEN x.peak > 0 THEN 1 - x.low / x.peak ELSE 0 END)) AS max_drawdown,
           sum(x.snapshots) AS snapshots
      FROM (SELECT b.*, date_trunc('day', b.start_at, 'UTC') AS day_at,
                   max(b.high) OVER (PARTITION BY b.bot_id, date_trunc('day', b.start_at, 'UTC') ORDER BY b.start_at
                                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS peak
              FROM bot_equity_buckets b WHERE b.span = 'hour' AND {OF_BOT.format("b")}) x
     GROUP BY x.bot_id, x.day_at
"""  # noqa: S608 - made of constants
_EQUITY_FIELDS = ("first_at", "first_value", "last_at", "last_value", "high", "low", "max_drawdown", "snapshots")
# A quotient's last digit depends on how many of them were kept on the way.
_SAME_EQUITY = (
    "ROW(r.first_at, r.first_value, r.last_at, r.last_value, r.high, r.low) "
    "IS NOT DISTINCT FROM ROW(e.first_at, e.first_value, e.last_at, e.last_value, e.high, e.low) "
    "AND r.snapshots = e.snapshots AND abs(r.max_drawdown - e.max_drawdown) < 1e-15"
)
_WITHIN_EQUITY = (  # of what thinning has left
    "r.snapshots < e.snapshots AND r.first_at >= e.first_at AND r.last_at <= e.last_at "
    "AND r.high <= e.high AND r.low >= e.low"
)


def _shown(value: str, field: str) -> str:
    return f"bridge_iso({value})" if field in _MOMENTS else f"bridge_number({value}::numeric)"


def _differences(again: str, table: str, alias: str, *, on: str, row: str, fields: tuple[str, ...]) -> str:
    """Every field in which a kept row differs from the one added up again; a row that is all 0 may as well be missing."""

    def told(side: str, field: str) -> str:
        return f"{side}.{field}" if field in _NULLABLE[table] else f"coalesce({side}.{field}, 0)"

    again_row, kept_row = (", ".join(told(side, field) for field in fields) for side in ("r", alias))
    values = ", ".join(f"('{f}', {_shown(told('r', f), f)}, {_shown(told(alias, f), f)})" for f in fields)
    return f"""
        SELECT coalesce(r.bot_id, {alias}.bot_id) AS bot_id,
               '{table}' AS place, {row} AS row_id, v.field, v.expected, v.found
          FROM ({again}) r
          FULL JOIN (SELECT * FROM {table} x WHERE {OF_BOT.format("x")}) {alias} ON {on}
         CROSS JOIN LATERAL (VALUES {values}) v (field, expected, found)
         WHERE ROW({again_row}) IS DISTINCT FROM ROW({kept_row}) AND v.expected IS DISTINCT FROM v.found
    """  # noqa: S608 - made of constants


def _equity_differences(again: str, span: str, *, is_due: str) -> str:
    """``is_due`` says whether a bucket, or what it is made of, must be there: thinning takes both away in the end."""

    def told(side: str, field: str) -> str:
        return _shown(f"round({side}.{field}, 15)" if field == "max_drawdown" else f"{side}.{field}", field)

    values = ", ".join(f"('{f}', {told('r', f)}, {told('e', f)})" for f in _EQUITY_FIELDS)
    return f"""
        SELECT coalesce(r.bot_id, e.bot_id) AS bot_id,
               'bot_equity_buckets' AS place, coalesce(e.id::text, '{span} ' || bridge_iso(r.start_at)) AS row_id,
               v.field, v.expected, v.found
          FROM ({again}) r
          FULL JOIN (SELECT * FROM bot_equity_buckets x WHERE x.span = '{span}' AND {OF_BOT.format("x")}) e
                 ON e.bot_id = r.bot_id AND e.start_at = r.start_at
         CROSS JOIN LATERAL (VALUES {values}) v (field, expected, found)
         WHERE ({_SAME_EQUITY}) IS NOT TRUE AND ({_WITHIN_EQUITY}) IS NOT TRUE
           AND (r.bot_id IS NOT NULL AND e.bot_id IS NOT NULL OR {is_due}) AND v.expected IS DISTINCT FROM v.found
    """  # noqa: S608 - made of constants


COMPARE = {
    "bot_trade_hours": _differences(
        _HOURS,
        "bot_trade_hours",
        "h",
        on="h.bot_id = r.bot_id AND h.hour_at = r.hour_at AND h.symbol = r.symbol",
        row="coalesce(h.id::text, r.symbol || ' ' || bridge_iso(r.hour_at))",
        fields=_HOUR_FIELDS,
    ),
    "bot_trade_spans": _differences(
        _SPANS,
        "bot_trade_spans",
        "s",
        on="s.bot_id = r.bot_id AND s.span = r.span AND s.start_at = r.start_at AND s.symbol = r.symbol",
        row="coalesce(s.id::text, r.span || ' ' || r.symbol || ' ' || bridge_iso(r.start_at))",
        fields=_HOUR_FIELDS,
    ),
    "bot_fees": _differences(
        _FEES,
        "bot_fees",
        "f",
        on="f.bot_id = r.bot_id AND f.currency = r.currency",
        row="coalesce(f.id::text, r.currency)",
        fields=_FEE_FIELDS,
    ),
    "bot_stats": _differences(
        _STATS,
        "bot_stats",
        "s",
        on="s.bot_id = r.bot_id",
        row="coalesce(r.bot_id, s.bot_id)::text",
        fields=_STAT_FIELDS,
    ),
    "hours of equity": _equity_differences(_EQUITY_HOURS, "hour", is_due="r.start_at >= %(hours_from)s"),
    "days of equity": _equity_differences(
        _EQUITY_DAYS, "day", is_due="coalesce(r.start_at, e.start_at) >= %(hours_from)s"
    ),
}


def _put(table: str, again: str, *, key: tuple[str, ...], fields: tuple[str, ...]) -> str:
    names = ", ".join((*key, *fields))
    kept = ", ".join(f"{name} = excluded.{name}" for name in fields)
    return (
        f"INSERT INTO {table} (client_id, {names}) SELECT (SELECT b.client_id FROM bots b WHERE b.id = r.bot_id), {names} "  # noqa: S608
        f"FROM ({again}) r ON CONFLICT ({', '.join(key)}) DO UPDATE SET {kept}"
    )


def _put_equity(again: str) -> str:
    """A bucket whose snapshots are all there is made anew; one that knows more than is left is only widened."""
    names = ", ".join(("bot_id", "span", "start_at", *_EQUITY_FIELDS))
    kept = {
        "first_value": ("excluded.first_at <= e.first_at", "excluded.first_value", "e.first_value"),
        "last_value": ("excluded.last_at >= e.last_at", "excluded.last_value", "e.last_value"),
    }
    widened = {
        "first_at": "least",
        "last_at": "greatest",
        "high": "greatest",
        "low": "least",
        "max_drawdown": "greatest",
        "snapshots": "greatest",
    }
    sets = [
        f"{f} = CASE WHEN excluded.snapshots >= e.snapshots THEN excluded.{f} WHEN {w} THEN {new} ELSE {old} END"
        for f, (w, new, old) in kept.items()
    ] + [
        f"{f} = CASE WHEN excluded.snapshots >= e.snapshots THEN excluded.{f} ELSE {how}(e.{f}, excluded.{f}) END"
        for f, how in widened.items()
    ]
    return (
        f"INSERT INTO bot_equity_buckets AS e (client_id, {names}) "  # noqa: S608 - made of constants
        f"SELECT (SELECT b.client_id FROM bots b WHERE b.id = r.bot_id), {names} FROM ({again}) r "
        f"ON CONFLICT (bot_id, span, start_at) DO UPDATE SET {', '.join(sets)}"
    )


# For one bot, while nobody else writes for it. Rows that stand for nothing go, the others are made right.
REPAIR = {
    "bot_trade_hours": (
        "DELETE FROM bot_trade_hours h WHERE h.bot_id = %(bot)s AND NOT EXISTS (SELECT 1 FROM recomputed_hours r "
        "WHERE r.bot_id = h.bot_id AND r.hour_at = h.hour_at AND r.symbol = h.symbol)",
        _put("bot_trade_hours", _HOURS, key=("bot_id", "hour_at", "symbol"), fields=_HOUR_FIELDS),
    ),
    "bot_trade_spans": (  # whose trigger stands on the hours: so after them
        "DELETE FROM bot_trade_spans s WHERE s.bot_id = %(bot)s",
        _put("bot_trade_spans", _SPANS, key=("bot_id", "span", "start_at", "symbol"), fields=_HOUR_FIELDS),
    ),
    "bot_fees": (
        "DELETE FROM bot_fees f WHERE f.bot_id = %(bot)s AND NOT EXISTS (SELECT 1 FROM recomputed_owners r "
        "WHERE r.bot_id = f.bot_id AND r.fee_currency = f.currency AND r.fee IS NOT NULL)",
        _put("bot_fees", _FEES, key=("bot_id", "currency"), fields=_FEE_FIELDS),
    ),
    "bot_stats": (_put("bot_stats", _STATS, key=("bot_id",), fields=_STAT_FIELDS),),
    "bot_equity_buckets": (
        _put_equity(_EQUITY_HOURS),
        "DELETE FROM bot_equity_buckets d WHERE d.bot_id = %(bot)s AND d.span = 'day'",
        _put_equity(_EQUITY_DAYS),
    ),
}
