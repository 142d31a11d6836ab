"""Reads behind the analytics: sums over maintained rows (hours of trades, buckets of equity), never over trades.

A ``Lens`` says what is looked at: the caller's bots of one mode and one currency, since a full hour. Paper and live, and
amounts in different currencies, are never added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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

    @property
    def since(self) -> datetime:
        return period_begin(self.period, now=self.now)

    @property
    def grain(self) -> BucketSpan:
        return GRAINS[self.period]

    def params(self, **more: Any) -> dict[str, Any]:
        step = LENGTHS[self.grain]
        return {
            "tenant": self.scope.client_id, "account": self.account, "bot": self.bot_id, "mode": self.mode,
            "currency": self.currency, "since": self.since, "now": self.now, "grain": str(self.grain), "step": step,
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


_OF_SCOPE = f"""
    bot_accounts a JOIN bots b ON b.id = a.bot_id JOIN clients c ON c.id = b.client_id
     WHERE {IN_SCOPE} AND (%(account)s = '' OR (c.account_identifier = %(account)s AND c.retired_at IS NULL))
       AND (%(bot)s::uuid IS NULL OR b.id = %(bot)s)
"""
_GROUPS = f"""
    SELECT a.mode, a.currency, count(*), CASE WHEN count(*) = count(a.allocated_capital) THEN sum(a.allocated_capital) END,
           sum(a.realized_pnl_adjustment), coalesce(sum((SELECT s.closed_trades FROM bot_stats s WHERE s.bot_id = a.bot_id)), 0)
      FROM {_OF_SCOPE} GROUP BY a.mode, a.currency ORDER BY 6 DESC, a.currency
"""  # noqa: S608 - made of constants
CHOSEN = f"""
    chosen AS MATERIALIZED (
        SELECT a.bot_id, a.allocated_capital AS capital, b.desired_status <> 'running' AS is_at_rest, b.name
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
    return Lens(scope, period, now, mode, shown[1], lens.currencies, account, bot_id, shown[2], shown[3], shown[4])


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


_SUMS = "coalesce(sum({0}.{1}), 0)"
_TRADED = f"""
    WITH {CHOSEN}
    SELECT {
    ", ".join(
        _SUMS.format("h", name)
        for name in ("trades", "closed", "wins", "losses", "gross_profit", "gross_loss", "fees", "volume")
    )
},
           max(h.best_pnl), min(h.worst_pnl)
      FROM bot_trade_hours h JOIN chosen x ON x.bot_id = h.bot_id WHERE h.hour_at >= %(since)s AND h.hour_at <= %(now)s
"""  # noqa: S608 - made of constants
_TRADED_EVER = f"""
    WITH {CHOSEN}
    SELECT {
    ", ".join(
        _SUMS.format("s", name)
        for name in ("trades", "closed_trades", "wins", "losses", "gross_profit", "gross_loss", "fees", "volume")
    )
},
           NULL, NULL
      FROM bot_stats s JOIN chosen x ON x.bot_id = s.bot_id
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
    SELECT h.symbol, {
    ", ".join(
        _SUMS.format("h", name)
        for name in ("trades", "closed", "wins", "losses", "gross_profit", "gross_loss", "fees", "volume")
    )
},
           max(h.best_pnl), min(h.worst_pnl)
      FROM bot_trade_hours h JOIN chosen x ON x.bot_id = h.bot_id WHERE h.hour_at >= %(since)s AND h.hour_at <= %(now)s
     GROUP BY h.symbol ORDER BY sum(h.pnl) DESC, h.symbol
"""  # noqa: S608 - made of constants


def by_symbol(lens: Lens) -> list[tuple[str, Traded]]:
    """What the bots traded in the range, by symbol, the most profitable first."""
    with lens.scope.transaction():
        rows = fetch_all(_BY_SYMBOL, lens.params())
    return [(row[0], _traded(row[1:])) for row in rows]


# The best n trades are among the n rows of hours whose best trade is best.
_EXTREMES = """
    WITH {chosen}, hours AS (
        SELECT h.bot_id, h.symbol, h.hour_at, x.name FROM bot_trade_hours h JOIN chosen x ON x.bot_id = h.bot_id
         WHERE h.hour_at >= %(since)s AND h.hour_at <= %(now)s AND h.{column} IS NOT NULL
         ORDER BY h.{column} {way}, h.hour_at DESC, h.bot_id, h.symbol LIMIT %(limit)s
    )
    SELECT t.id, t.bot_id, h.name AS bot_name, t.position_id, t.symbol, t.action, t.side, t.entry_price, t.exit_price,
           t.size, t.quantity, t.leverage, t.pnl, t.fee_quote AS fee, t.cause, t.executed_at
      FROM hours h CROSS JOIN LATERAL (
        SELECT t.* FROM trades t WHERE t.bot_id = h.bot_id AND t.symbol = h.symbol AND t.pnl IS NOT NULL
           AND t.executed_at >= h.hour_at AND t.executed_at < h.hour_at + interval '1 hour'
         ORDER BY t.pnl {way}, t.executed_at DESC, t.id DESC LIMIT %(limit)s) t
     ORDER BY t.pnl {way}, t.executed_at DESC, t.id DESC LIMIT %(limit)s
"""
TRADE_FIELDS = (
    "id", "bot_id", "bot_name", "position_id", "symbol", "action", "side", "entry_price", "exit_price", "size",
    "quantity", "leverage", "pnl", "fee", "cause", "executed_at",
)  # fmt: skip


def extreme_trades(lens: Lens, *, limit: int, is_best: bool) -> list[dict[str, Any]]:
    """The closed trades with the most profit, or the least; of equals the latest."""
    column, way = ("best_pnl", "DESC") if is_best else ("worst_pnl", "ASC")
    with lens.scope.transaction():
        rows = fetch_all(_EXTREMES.format(chosen=CHOSEN, column=column, way=way), lens.params(limit=limit))
    return [dict(zip(TRADE_FIELDS, row, strict=True)) for row in rows]


# The bots that have equity in the range, and with what each went into it: the newest value at or before its begin, over
# all time the capital, so that what was made before the first snapshot counts too.
_PART = f"""
    WITH {CHOSEN}, part AS MATERIALIZED (
        SELECT x.*, seen.start_at, seen.last_value FROM chosen x CROSS JOIN LATERAL (
            SELECT e.start_at, e.last_value FROM bot_equity_buckets e
             WHERE e.bot_id = x.bot_id AND e.span = %(grain)s AND e.last_at >= %(since)s AND e.start_at <= %(now)s
               AND e.start_at >= date_trunc(%(grain)s, %(since)s::timestamptz, 'UTC')
             ORDER BY e.start_at DESC LIMIT 1) seen
         WHERE x.capital IS NOT NULL)
"""  # noqa: S608 - made of constants
_PARTICIPANTS = f"""
    {_PART}
    SELECT p.bot_id, p.start_at, p.last_value, {{opening}},
           p.is_at_rest AND NOT EXISTS (SELECT FROM positions o WHERE o.bot_id = p.bot_id AND o.status = 'open')
      FROM part p {{before}}
"""  # noqa: S608 - made of constants
_BEFORE = """
    LEFT JOIN LATERAL (
        SELECT y.at, y.value FROM (
            (SELECT e.first_at AS at, e.first_value AS value FROM bot_equity_buckets e
              WHERE e.bot_id = p.bot_id AND e.span = 'hour' AND e.start_at = %(since)s AND e.first_at = %(since)s)
            UNION ALL
            (SELECT e.last_at, e.last_value FROM bot_equity_buckets e
              WHERE e.bot_id = p.bot_id AND e.span = 'hour' AND e.start_at < %(since)s ORDER BY e.start_at DESC LIMIT 1)
            UNION ALL
            (SELECT e.last_at, e.last_value FROM bot_equity_buckets e
              WHERE e.bot_id = p.bot_id AND e.span = 'day'
                AND e.start_at < date_trunc('day', %(since)s::timestamptz, 'UTC') ORDER BY e.start_at DESC LIMIT 1)
        ) y ORDER BY y.at DESC LIMIT 1
    ) before ON true
"""
_INTERVALS = """
    SELECT e.start_at, min(e.first_at), sum(e.first_value), max(e.last_at), sum(e.last_value), count(*) FROM bot_equity_buckets e
     WHERE e.bot_id = ANY(%(bots)s::uuid[]) AND e.span = %(grain)s AND e.last_at >= %(since)s AND e.start_at <= %(now)s
       AND e.start_at >= date_trunc(%(grain)s, %(since)s::timestamptz, 'UTC')
     GROUP BY e.start_at ORDER BY e.start_at
"""
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
        sql = _PARTICIPANTS.format(opening="p.capital, NULL::timestamptz", before="")
    else:
        sql = _PARTICIPANTS.format(opening="before.value, before.at", before=_BEFORE)
    with lens.scope.transaction():
        bots = fetch_all(sql, lens.params())
        intervals = fetch_all(_INTERVALS, lens.params(bots=[row[0] for row in bots])) if bots else []
        opening = _opening(bots)
        rested = [Rested(row[1], row[2]) for row in bots if row[5]]
        whole = [Interval(*row) for row in intervals]
        curve = joined(whole, rested, bots=len(bots), opening=opening, step=LENGTHS[lens.grain])
        fall = _drawdown_of_one(lens, bots[0][0], opening) if len(bots) == 1 else curve.max_drawdown
    return Equity(len(bots), curve, fall)


def _opening(bots: Sequence[Sequence[Any]]) -> Opening | None:
    values = [row[3] for row in bots]
    if not values or None in values:
        return None
    with localcontext(PRECISE):
        return Opening(sum(values, Decimal(0)), max((row[4] for row in bots if row[4]), default=None))


def _drawdown_of_one(lens: Lens, bot_id: UUID, opening: Opening | None) -> Decimal | None:
    rows = fetch_all(_PIECES, lens.params(bot=bot_id, first_day=first_day(lens.since)))
    return merged_drawdown([Piece(*row) for row in rows], opening=opening.value if opening else None)


def first_day(since: datetime) -> datetime:
    """The first full day from there on."""
    day = since.replace(hour=0)
    return day if day == since else day + LENGTHS[BucketSpan.DAY]
