"""Reads behind the analytics: sums over maintained rows (hours of trades, buckets of equity), never over trades.

A ``Lens`` says what is looked at: the caller's bots of one mode and one currency, since a full hour. Paper and live, and
amounts in different currencies, are never added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

from bots.selectors import IN_SCOPE
from clients.selectors import as_uuid
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one
from ledger.rules.metrics import PRECISE, Closed
from ledger.rules.periods import GRAINS, LENGTHS, period_begin
from ledger.rules.portfolio import Curve, Interval, Opening, Piece, Rested, joined, merged_drawdown
from ledger.rules.words import BucketSpan, Mode, Period


@dataclass(frozen=True, slots=True)
class Lens:
    """Which bots are looked at, and since when."""

    scope: Scope
    period: Period
    now: datetime
    mode: str
    currency: str | None  # None: no bot in scope has an account of that mode
    currencies: tuple[str, ...] = ()  # in which bots of that mode count, the one with most closed trades first
    account: str = ""
    bot_id: UUID | None = None
    bots: int = 0
    capital: Decimal | None = None  # of all of them together; None: of one it is not known
    adjustment: Decimal = Decimal(0)  # profit that imports found booked but in no trade
    capital_changed_at: datetime | None = None  # when that of one of them was last changed

    @property
    def since(self) -> datetime:
        return period_begin(self.period, now=self.now)

    @property
    def equity_since(self) -> datetime:
        """A capital that was changed moves equity as no trade does: what was before is not compared with what came after."""
        changed = self.capital_changed_at
        if changed is None or changed <= self.since:
            return self.since
        hour = changed.replace(minute=0, second=0, microsecond=0)
        return hour if hour == changed else hour + LENGTHS[BucketSpan.HOUR]

    @property
    def opening_pnl(self) -> Decimal:
        """What of the profit stands in no trade: all of it came before what the ledger has, so it counts over all time."""
        return self.adjustment if self.period is Period.ALL_TIME else Decimal(0)

    @property
    def grain(self) -> BucketSpan:
        return GRAINS[self.period]

    def params(self, **more: Any) -> dict[str, Any]:
        return {
            "tenant": self.scope.client_id, "account": self.account, "bot": self.bot_id, "mode": self.mode,
            "currency": self.currency, "since": self.since, "now": self.now, "grain": str(self.grain),
            "first_day": first_day(self.since), "first_month": first_month(self.since),
        } | more  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traded:
    """What bots traded, added up; ``closed.count`` and what follows from it is of exits with a known result alone."""

    trades: int = 0
    closed: Closed = Closed()
    fees: Decimal = Decimal(0)
    volume: Decimal = Decimal(0)
    best: Decimal | None = None
    worst: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Equity:
    """How the bots' equity went. ``bots`` of those looked at have any in the range."""

    bots: int
    curve: Curve
    max_drawdown: Decimal | None

    @property
    def since(self) -> datetime | None:
        """From when on the equity of all of them is known; None: never, or ever since they began."""
        return self.curve.opening.at if self.curve.opening else None


_OF_SCOPE = f"""
    bot_accounts a JOIN bots b ON b.id = a.bot_id JOIN clients c ON c.id = b.client_id
     WHERE {IN_SCOPE} AND (%(account)s = '' OR (c.account_identifier = %(account)s AND c.retired_at IS NULL))
       AND (%(bot)s::uuid IS NULL OR b.id = %(bot)s)
"""
_GROUPS = f"""
    SELECT a.mode, a.currency, count(*), CASE WHEN count(*) = count(a.allocated_capital) THEN sum(a.allocated_capital) END,
           sum(a.realized_pnl_adjustment), max(a.capital_changed_at) FILTER (WHERE a.allocated_capital IS NOT NULL),
           coalesce(sum((SELECT s.closed_trades FROM bot_stats s WHERE s.bot_id = a.bot_id)), 0)
      FROM {_OF_SCOPE} GROUP BY a.mode, a.currency ORDER BY 7 DESC, a.currency
"""  # noqa: S608 - made of constants
CHOSEN = f"""
    chosen AS MATERIALIZED (
        SELECT a.bot_id, a.allocated_capital AS capital, a.capital_changed_at AS changed_at, b.name,
               b.desired_status <> 'running' AS is_at_rest
          FROM {_OF_SCOPE} AND a.mode = %(mode)s AND a.currency = %(currency)s)
"""  # noqa: S608 - made of constants


def look(
    scope: Scope, *, period: Period, now: datetime, mode: str = "", currency: str = "", account: str = "",
    bot_id: UUID | None = None,
) -> Lens:  # fmt: skip
    """What is looked at. Without a mode live, where the scope has a live account at all; without a currency the one with
    most closed trades of all time."""
    whom = {"tenant": scope.client_id, "account": account, "bot": bot_id}
    with scope.transaction():
        groups = fetch_all(_GROUPS, whom)
    modes = {group[0] for group in groups}
    mode = mode or (Mode.LIVE if Mode.LIVE in modes or not modes else Mode.PAPER)
    of_mode = [group for group in groups if group[0] == mode]
    shown = next((group for group in of_mode if not currency or group[1] == currency), None)
    lens = Lens(scope, period, now, mode, currency or None, tuple(group[1] for group in of_mode), account, bot_id)
    if shown is None:
        return lens
    return Lens(scope, period, now, mode, shown[1], lens.currencies, account, bot_id, *shown[2:6])


def named_bots(scope: Scope, names: Sequence[str]) -> list[tuple[UUID, str]]:
    """``(id, name)`` of those of these bots, by our ids or the old ones, that the caller may see, in the order given."""
    with scope.transaction():
        rows = fetch_all(
            f"SELECT b.id, b.name, b.source_id FROM bots b WHERE {IN_SCOPE} AND (b.id = ANY(%(ids)s::uuid[]) "  # noqa: S608
            "OR (b.source_id <> '' AND b.source_id = ANY(%(names)s::text[])))",
            {"tenant": scope.client_id, "ids": [as_uuid(n) for n in names if as_uuid(n)], "names": list(names)},
        )
    place = {str(as_uuid(name) or name): n for n, name in reversed(list(enumerate(names)))}
    found = [(min(place.get(str(r[0]), len(place)), place.get(r[2], len(place))), str(r[0]), r) for r in rows]
    return [(row[0], row[1]) for _, _, row in sorted(found)]


_SUMS = ("trades", "closed", "wins", "losses", "gross_profit", "gross_loss", "fees", "volume")
_ADDED = ", ".join(f"coalesce(sum(h.{name}), 0)" for name in _SUMS)
# A range is the hours of its first, partial day, the days of its first, partial month, and months from there on.
_PIECES_OF_RANGE = """
    SELECT {columns} FROM bot_trade_hours h JOIN chosen x ON x.bot_id = h.bot_id
     WHERE h.hour_at >= %(since)s AND h.hour_at < %(first_day)s AND h.hour_at <= %(now)s {where}
    UNION ALL
    SELECT {span_columns} FROM bot_trade_spans h JOIN chosen x ON x.bot_id = h.bot_id
     WHERE h.span = 'day' AND h.start_at >= %(first_day)s AND h.start_at < %(first_month)s AND h.start_at <= %(now)s {where}
    UNION ALL
    SELECT {span_columns} FROM bot_trade_spans h JOIN chosen x ON x.bot_id = h.bot_id
     WHERE h.span = 'month' AND h.start_at >= %(first_month)s AND h.start_at <= %(now)s {where}
"""


def _pieces(columns: str, span_columns: str = "", where: str = "") -> str:
    return _PIECES_OF_RANGE.format(columns=columns, span_columns=span_columns or columns, where=where)


_SUM_COLUMNS = ", ".join(f"h.{name}" for name in (*_SUMS, "best_pnl", "worst_pnl"))
_TRADED = f"""
    WITH {CHOSEN} SELECT {_ADDED}, max(h.best_pnl), min(h.worst_pnl) FROM ({_pieces(_SUM_COLUMNS)}) h
"""  # noqa: S608 - made of constants
_TRADED_EVER = f"""
    WITH {CHOSEN} SELECT {_ADDED.replace("h.closed", "h.closed_trades")}, NULL, NULL
      FROM bot_stats h JOIN chosen x ON x.bot_id = h.bot_id
"""  # noqa: S608 - made of constants


def traded(lens: Lens) -> Traded:
    """What the bots traded in the range."""
    with lens.scope.transaction():
        row = fetch_one(_TRADED_EVER if lens.period is Period.ALL_TIME else _TRADED, lens.params())
    return _traded(row) if row else Traded()


def _traded(row: Sequence[Any]) -> Traded:
    trades, closed, wins, losses, profit, loss, fees, volume, best, worst = row
    return Traded(int(trades), Closed(int(closed), int(wins), int(losses), profit, loss), fees, volume, best, worst)


_BY_SYMBOL = f"""
    WITH {CHOSEN}
    SELECT h.symbol, {_ADDED}, max(h.best_pnl), min(h.worst_pnl) FROM ({_pieces("h.symbol, " + _SUM_COLUMNS)}) h
     GROUP BY h.symbol ORDER BY sum(h.gross_profit) - sum(h.gross_loss) DESC, h.symbol
"""  # noqa: S608 - made of constants


def by_symbol(lens: Lens) -> list[tuple[str, Traded]]:
    """What the bots traded in the range, by symbol, the most profitable first."""
    with lens.scope.transaction():
        rows = fetch_all(_BY_SYMBOL, lens.params())
    return [(row[0], _traded(row[1:])) for row in rows]


# The best n trades are among the n months whose best trade is best, among the n best days of these, the n best hours.
_KEY = "h.bot_id, h.symbol, x.name, h.{column} AS pnl"
_EXTREMES = f"""
    WITH {CHOSEN}, pieces AS (
        SELECT * FROM ({{pieces}}) p ORDER BY {{order}} LIMIT %(limit)s
    ), days AS (
        SELECT * FROM (
            SELECT * FROM pieces WHERE span <> 'month'
            UNION ALL
            SELECT p.bot_id, p.symbol, p.name, d.pnl, d.start_at, 'day' FROM pieces p CROSS JOIN LATERAL (
                SELECT h.{{column}} AS pnl, h.start_at FROM bot_trade_spans h
                 WHERE h.bot_id = p.bot_id AND h.symbol = p.symbol AND h.span = 'day' AND h.{{column}} IS NOT NULL
                   AND h.start_at >= p.start_at
                   AND h.start_at < (p.start_at AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
                 ORDER BY h.{{column}} {{way}}, h.start_at DESC LIMIT %(limit)s) d
             WHERE p.span = 'month'
        ) p ORDER BY {{order}} LIMIT %(limit)s
    ), hours AS (
        SELECT * FROM (
            SELECT * FROM days WHERE span = 'hour'
            UNION ALL
            SELECT p.bot_id, p.symbol, p.name, d.pnl, d.hour_at, 'hour' FROM days p CROSS JOIN LATERAL (
                SELECT h.{{column}} AS pnl, h.hour_at FROM bot_trade_hours h
                 WHERE h.bot_id = p.bot_id AND h.symbol = p.symbol AND h.{{column}} IS NOT NULL
                   AND h.hour_at >= p.start_at AND h.hour_at < p.start_at + interval '24 hours'
                 ORDER BY h.{{column}} {{way}}, h.hour_at DESC LIMIT %(limit)s) d
             WHERE p.span = 'day'
        ) p ORDER BY {{order}} LIMIT %(limit)s
    )
    SELECT t.id, t.bot_id, h.name AS bot_name, t.position_id, t.symbol, t.action, t.side, t.entry_price, t.exit_price,
           t.size, t.quantity, t.leverage, t.pnl, t.fee_quote AS fee, t.cause, t.executed_at
      FROM hours h CROSS JOIN LATERAL (
        SELECT t.* FROM trades t WHERE t.bot_id = h.bot_id AND t.symbol = h.symbol AND t.pnl IS NOT NULL
           AND t.executed_at >= h.start_at AND t.executed_at < h.start_at + interval '1 hour'
         ORDER BY t.pnl {{way}}, t.executed_at DESC, t.id DESC LIMIT %(limit)s) t
     ORDER BY t.pnl {{way}}, t.executed_at DESC, t.id DESC LIMIT %(limit)s
"""  # noqa: S608 - made of constants


def _extremes(column: str, way: str) -> str:
    key = _KEY.format(column=column)
    pieces = _pieces(
        f"{key}, h.hour_at AS start_at, 'hour' AS span", f"{key}, h.start_at, h.span", f"AND h.{column} IS NOT NULL"
    )
    return _EXTREMES.format(
        pieces=pieces, column=column, way=way, order=f"p.pnl {way}, p.start_at DESC, p.bot_id, p.symbol"
    )


_BEST, _WORST = _extremes("best_pnl", "DESC"), _extremes("worst_pnl", "ASC")
TRADE_FIELDS = (
    "id", "bot_id", "bot_name", "position_id", "symbol", "action", "side", "entry_price", "exit_price", "size",
    "quantity", "leverage", "pnl", "fee", "cause", "executed_at",
)  # fmt: skip


def extreme_trades(lens: Lens, *, limit: int, is_best: bool) -> list[dict[str, Any]]:
    """The closed trades with the most profit, or the least; of equals the latest."""
    with lens.scope.transaction():
        rows = fetch_all(_BEST if is_best else _WORST, lens.params(limit=limit))
    return [dict(zip(TRADE_FIELDS, row, strict=True)) for row in rows]


# The bots that have equity in the range, with their last, and with what each went into it: the newest value at or before
# its begin, over all time the capital, so that what was made before the first snapshot counts too. Most bots have both
# in the same two intervals, which stand together; the others are looked up one by one.
_PARTICIPANTS = f"""
    WITH {CHOSEN}, newest AS MATERIALIZED (
        SELECT e.bot_id, e.start_at, e.last_at, e.last_value FROM bot_equity_buckets e
         WHERE e.span = %(grain)s AND e.start_at = date_trunc(%(grain)s, %(now)s::timestamptz, 'UTC')
           AND e.last_at >= %(since)s
    ), first_hour AS MATERIALIZED (
        SELECT e.bot_id, e.first_at AS at, e.first_value AS value FROM bot_equity_buckets e
         WHERE e.span = 'hour' AND e.start_at = %(since)s AND e.first_at = %(since)s
    )
    SELECT x.bot_id, coalesce(n.start_at, seen.start_at), coalesce(n.last_at, seen.last_at),
           coalesce(n.last_value, seen.last_value), {{opening}},
           x.is_at_rest AND NOT EXISTS (SELECT FROM positions o WHERE o.bot_id = x.bot_id AND o.status = 'open')
      FROM chosen x
      LEFT JOIN newest n ON n.bot_id = x.bot_id
      LEFT JOIN LATERAL (
        SELECT e.start_at, e.last_at, e.last_value FROM bot_equity_buckets e
         WHERE n.bot_id IS NULL AND e.bot_id = x.bot_id AND e.span = %(grain)s AND e.last_at >= %(since)s
           AND e.start_at <= %(now)s AND e.start_at >= date_trunc(%(grain)s, %(since)s::timestamptz, 'UTC')
         ORDER BY e.start_at DESC LIMIT 1
      ) seen ON true
      {{before}}
     WHERE x.capital IS NOT NULL AND (n.bot_id IS NOT NULL OR seen.start_at IS NOT NULL)
"""  # noqa: S608 - made of constants
_BEFORE = """
    LEFT JOIN first_hour f ON f.bot_id = x.bot_id
    LEFT JOIN LATERAL (
        SELECT y.at, y.value FROM (
            (SELECT e.last_at AS at, e.last_value AS value FROM bot_equity_buckets e
              WHERE f.bot_id IS NULL AND e.bot_id = x.bot_id AND e.span = 'hour' AND e.start_at < %(since)s
              ORDER BY e.start_at DESC LIMIT 1)
            UNION ALL
            (SELECT e.last_at, e.last_value FROM bot_equity_buckets e
              WHERE f.bot_id IS NULL AND e.bot_id = x.bot_id AND e.span = 'day'
                AND e.start_at < date_trunc('day', %(since)s::timestamptz, 'UTC') ORDER BY e.start_at DESC LIMIT 1)
        ) y WHERE x.changed_at IS NULL OR y.at >= x.changed_at ORDER BY y.at DESC LIMIT 1
    ) before ON true
"""
_OPENING = "coalesce(f.value, before.value), coalesce(f.at, before.at)"
_OF_INTERVALS = """
    FROM bot_equity_buckets e
     WHERE e.bot_id = ANY(%(bots)s::uuid[]) AND e.span = %(grain)s AND e.start_at <= %(now)s
       AND e.start_at >= date_trunc(%(grain)s, %(since)s::timestamptz, 'UTC')
       AND (e.start_at >= %(since)s OR e.last_at >= %(since)s)
"""
_INTERVALS = f"SELECT e.start_at, sum(e.last_value), count(*) {_OF_INTERVALS} GROUP BY e.start_at ORDER BY e.start_at"
_FIRST_VALUES = f"SELECT e.first_at, e.first_value {_OF_INTERVALS} AND e.start_at = %(start_at)s"
_PIECES = """
    SELECT e.high, e.low, e.max_drawdown FROM bot_equity_buckets e
     WHERE e.bot_id = %(bot)s AND e.start_at <= %(now)s AND (
        (e.span = 'hour' AND e.start_at >= %(since)s AND e.start_at < %(first_day)s)
        OR (e.span = 'day' AND e.start_at >= %(first_day)s))
     ORDER BY e.start_at
"""


def equity(lens: Lens) -> Equity:
    """The equity of the bots together, in the intervals in which all that have any in the range are known.

    One bot's drawdown is that of all its snapshots; of several together it is that of the intervals' ends.
    """
    if lens.period is Period.ALL_TIME:
        sql = _PARTICIPANTS.format(opening="x.capital, NULL::timestamptz", before="")
    else:
        sql = _PARTICIPANTS.format(opening=_OPENING, before=_BEFORE)
    since = lens.equity_since
    params = lens.params(since=since, first_day=first_day(since))
    with lens.scope.transaction():
        bots = [_Part(*row) for row in fetch_all(sql, params)]
        params["bots"] = [bot.bot_id for bot in bots]
        intervals = [Interval(*row) for row in fetch_all(_INTERVALS, params)] if bots else []
        rested = [Rested(bot.start_at, bot.last_value) for bot in bots if bot.is_at_rest]
        whole = joined(intervals, rested, bots=len(bots))
        opening = _opening(bots) or _first_of(bots, whole, params)
        last_at = max((bot.last_at for bot in bots), default=None)
        curve = Curve(opening, whole, last_at, LENGTHS[lens.grain])
        fall = _drawdown_of_one(params | {"bot": bots[0].bot_id}, opening) if len(bots) == 1 else curve.max_drawdown
    return Equity(len(bots), curve, fall)


@dataclass(frozen=True, slots=True)
class _Part:
    """A bot with equity in the range: its last, and its opening where that is known."""

    bot_id: UUID
    start_at: datetime
    last_at: datetime
    last_value: Decimal
    opening_value: Decimal | None
    opening_at: datetime | None
    is_at_rest: bool


def _opening(bots: Sequence[_Part]) -> Opening | None:
    """With what the bots went into the range; None where it is not known of one of them."""
    values = [bot.opening_value for bot in bots if bot.opening_value is not None]
    if not bots or len(values) < len(bots):
        return None
    with localcontext(PRECISE):
        return Opening(sum(values, Decimal(0)), max((b.opening_at for b in bots if b.opening_at), default=None))


def _first_of(bots: Sequence[_Part], whole: Sequence[Interval], params: dict[str, Any]) -> Opening | None:
    """Else what they were worth at first in the first interval in which all are known."""
    if not whole:
        return None
    rows = fetch_all(_FIRST_VALUES, params | {"start_at": whole[0].start_at})
    rested = [bot.last_value for bot in bots if bot.is_at_rest and bot.start_at < whole[0].start_at]
    with localcontext(PRECISE):
        value = sum((row[1] for row in rows), Decimal(0)) + sum(rested, Decimal(0))
    return Opening(value, min(row[0] for row in rows))


def _drawdown_of_one(params: dict[str, Any], opening: Opening | None) -> Decimal | None:
    rows = fetch_all(_PIECES, params)
    return merged_drawdown([Piece(*row) for row in rows], opening=opening.value if opening else None)


def first_day(since: datetime) -> datetime:
    """The first full day from there on."""
    day = since.replace(hour=0)
    return day if day == since else day + LENGTHS[BucketSpan.DAY]


def first_month(since: datetime) -> datetime:
    """The first full month from there on."""
    month = since.replace(day=1, hour=0)
    return month if month == since else (month + timedelta(days=32)).replace(day=1)
