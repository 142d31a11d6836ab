"""Books as rows: reading their executions and positions, one statement for any number of books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from exchanges.symbols import base_quote
from exchanges.types import MarketType, Side
from ground.sql import fetch_all, fetch_one
from ledger.rules.books import Booked, Fact, Held, Stored
from ledger.rules.pnl import ZERO, Execution, Position, bound, fee_parts, unrealized_pnl
from ledger.rules.words import Action, Cause, PositionStatus

# What belongs to a book: executions of an exchange, and the positions that follow from them (imported ones do not).
OWN_TRADES = "t.mode = 'live' AND t.exchange_trade_id <> ''"
OWN_POSITIONS = "p.mode = 'live' AND p.source = ''"
_BOOKS = "jsonb_to_recordset(%(books)s::jsonb) AS b(bot_id uuid, market_type text, symbol text, since timestamptz)"

# Nothing comes after it: so no beginning of a day is kept of a position of which it is not known what it did that day.
UNKNOWN = datetime.max.replace(tzinfo=UTC)

_TRADE_COLUMNS = """
           t.id, t.exchange_trade_id, t.executed_at, t.connector_id, t.cause, t.side, t.price, t.quantity, t.leverage, t.fee,
           t.fee_currency, t.trade_type, t.action, t.closed_quantity, t.size, t.entry_price, t.exit_price, t.pnl,
           t.fee_quote, t.position_id
"""
TRADES_SINCE = f"""
    SELECT b.bot_id, b.market_type, b.symbol, {_TRADE_COLUMNS}
      FROM {_BOOKS}
     CROSS JOIN LATERAL (
        SELECT * FROM trades t WHERE t.bot_id = b.bot_id AND t.executed_at >= coalesce(b.since, '-infinity')
           AND t.market_type = b.market_type AND t.symbol = b.symbol AND {OWN_TRADES}
     ) t
"""  # noqa: S608 - made of constants
_POSITION = """
           p.id, p.connector_id, p.opened_at, p.closed_at, p.close_cause, p.position_type, p.leverage, p.opened_quantity,
           p.closed_quantity, p.basis_quantity, p.basis_cost, p.basis_entry_fees, p.realized_exact, p.exit_notional,
           p.peak_size, p.mark_price, p.marked_at, p.status, p.entry_price, p.exit_price, p.size, p.basis_fees,
           p.realized_pnl, p.unrealized_pnl, p.traded_at, p.source
"""
OPEN_POSITIONS = f"""
    SELECT b.bot_id, b.market_type, b.symbol, {_POSITION} FROM {_BOOKS}
      JOIN positions p ON p.bot_id = b.bot_id AND p.market_type = b.market_type AND p.symbol = b.symbol
       AND p.mode = 'live' AND p.status = 'open'
"""  # noqa: S608 - made of constants
POSITIONS_SINCE = f"""
    SELECT b.bot_id, b.market_type, b.symbol, {_POSITION} FROM {_BOOKS}
      JOIN positions p ON p.bot_id = b.bot_id AND p.market_type = b.market_type AND p.symbol = b.symbol
       AND {OWN_POSITIONS} AND (p.closed_at IS NULL OR p.closed_at >= coalesce(b.since, '-infinity'))
"""  # noqa: S608 - made of constants
# A page ends with all that happened at one moment, so that an order within it is never cut.
TRADES_PAGE = f"""
    SELECT {_TRADE_COLUMNS} FROM trades t
     WHERE t.bot_id = %(bot)s AND t.market_type = %(market)s AND t.symbol = %(symbol)s AND {OWN_TRADES}
       AND t.executed_at > coalesce(%(after)s::timestamptz, '-infinity')
       AND t.executed_at <= coalesce(%(until)s::timestamptz, 'infinity')
"""  # noqa: S608 - made of constants
PAGE_END = f"""
    SELECT t.executed_at FROM trades t
     WHERE t.bot_id = %(bot)s AND t.market_type = %(market)s AND t.symbol = %(symbol)s AND {OWN_TRADES}
       AND t.executed_at > coalesce(%(after)s::timestamptz, '-infinity') ORDER BY t.executed_at OFFSET %(size)s LIMIT 1
"""  # noqa: S608 - made of constants
POSITIONS_PAGE = f"""
    SELECT {_POSITION} FROM positions p
     WHERE p.bot_id = %(bot)s AND p.market_type = %(market)s AND p.symbol = %(symbol)s AND {OWN_POSITIONS}
       AND p.opened_at > coalesce(%(after)s::timestamptz, '-infinity')
       AND p.opened_at <= coalesce(%(until)s::timestamptz, 'infinity')
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True, order=True)
class BookKey:
    """One bot in one market."""

    bot_id: UUID
    market_type: str
    symbol: str

    @property
    def is_spot(self) -> bool:
        return self.market_type == MarketType.SPOT


@dataclass(frozen=True, slots=True)
class Derived:
    """The columns of a trade that follow from the book."""

    trade_type: str
    action: str
    closed_quantity: Decimal
    size: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    pnl: Decimal | None
    fee_quote: Decimal | None
    position_id: UUID | None

    @property
    def columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Derived.__slots__}


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A stored execution with what was derived of it."""

    fact: Fact
    derived: Derived

    @property
    def stored(self) -> Stored:
        return Stored(self.fact, self.derived.position_id, self.derived.closed_quantity)


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A stored position, and every column of it that follows from the trades."""

    held: Held
    columns: dict[str, Any]
    is_imported: bool

    @property
    def bound(self) -> Decimal:
        """What it has taken out of its account."""
        if self.columns["status"] == PositionStatus.CLOSED:
            return ZERO
        taken: Decimal = self.columns["size"] + self.columns["basis_fees"]
        return taken


def execution_of(
    *, symbol: str, side: str, price: Decimal, quantity: Decimal, leverage: Decimal, fee: Decimal | None, currency: str
) -> Execution:
    """The execution as the rules see it: its fee told apart by currency."""
    base, quote = base_quote(symbol)
    fee_quote, fee_base = fee_parts(fee=fee, fee_currency=currency, base=base, quote=quote)
    return Execution(Side(side), price, quantity, fee_quote, fee_base, leverage)


def derived_of(booked: Booked) -> Derived:
    applied = booked.applied
    return Derived(
        str(applied.trade_type),
        str(applied.action),
        applied.closed_quantity,
        applied.size,
        applied.entry_price,
        applied.exit_price,
        applied.pnl,
        applied.fee_quote,
        booked.position_id,
    )


def position_columns(held: Held) -> dict[str, Any]:
    """The columns of a position that follow from its executions and its mark."""
    position = held.position
    is_open = held.closed_at is None
    return {
        "status": str(PositionStatus.OPEN if is_open else PositionStatus.CLOSED),
        "position_type": str(position.action),
        "entry_price": position.entry_price,
        "exit_price": position.exit_price,
        "size": position.size if is_open else position.peak_size,
        "leverage": position.leverage,
        "opened_quantity": position.opened_quantity,
        "closed_quantity": position.closed_quantity,
        "quantity": position.quantity,
        "basis_quantity": position.basis_quantity,
        "basis_cost": position.basis_cost,
        "basis_entry_fees": position.basis_entry_fees,
        "basis_fees": position.basis_fees,
        "realized_pnl": position.realized_pnl,
        "realized_exact": position.realized_exact,
        "exit_notional": position.exit_notional,
        "peak_size": position.peak_size,
        "opened_at": held.opened_at,
        "closed_at": held.closed_at,
        "close_cause": str(held.close_cause or ""),
    }


def marked(held: Held) -> dict[str, Any]:
    """The columns that follow from the last execution and the last price."""
    gained = unrealized_pnl(held.position, mark_price=held.mark_price) if held.closed_at is None else ZERO
    return {
        "traded_at": held.traded_at,
        "mark_price": held.mark_price,
        "marked_at": held.marked_at,
        "unrealized_pnl": gained,
    }


def bound_by(held: Held) -> Decimal:
    """What a position has taken out of its account."""
    return bound(held.position) if held.closed_at is None else ZERO


def load_trades(since: Mapping[BookKey, datetime | None]) -> dict[BookKey, list[TradeRow]]:
    """The executions of books since a moment each (None: all), in order."""
    found: dict[BookKey, list[TradeRow]] = {key: [] for key in since}
    for row in _of_books(TRADES_SINCE, since):
        key = BookKey(*row[:3])
        found[key].append(_trade_row(key, row[3:]))
    for rows in found.values():
        rows.sort(key=lambda one: one.fact.order)
    return found


def load_positions(
    since: Mapping[BookKey, datetime | None], *, statement: str = POSITIONS_SINCE
) -> dict[BookKey, dict[UUID, PositionRow]]:
    """The positions of books that were open or closed since a moment each (None: all)."""
    found: dict[BookKey, dict[UUID, PositionRow]] = {key: {} for key in since}
    for row in _of_books(statement, since):
        one = _position_row(row[3:])
        found[BookKey(*row[:3])][one.held.id] = one
    return found


def load_open_positions(keys: Iterable[BookKey]) -> dict[BookKey, dict[UUID, PositionRow]]:
    """The open positions of books, imported ones too."""
    return load_positions(dict.fromkeys(keys), statement=OPEN_POSITIONS)


@dataclass(frozen=True, slots=True)
class Page:
    """A book's executions, in order, and the positions opened, after one moment and up to another (None: the end)."""

    trades: list[TradeRow]
    positions: dict[UUID, PositionRow]
    until: datetime | None


def load_page(key: BookKey, *, after: datetime | None, size: int) -> Page:
    """About ``size`` executions of a book from ``after`` on (None: from its beginning)."""
    where = {"bot": key.bot_id, "market": key.market_type, "symbol": key.symbol, "after": after, "size": size}
    end = fetch_one(PAGE_END, where)
    until: datetime | None = end[0] if end else None
    trades = [_trade_row(key, row) for row in fetch_all(TRADES_PAGE, where | {"until": until})]
    positions = [_position_row(row) for row in fetch_all(POSITIONS_PAGE, where | {"until": until})]
    trades.sort(key=lambda one: one.fact.order)
    return Page(trades, {one.held.id: one for one in positions}, until)


DAY_STATE = (
    "opened_quantity", "closed_quantity", "basis_quantity", "basis_cost", "basis_entry_fees", "realized_exact",
    "exit_notional", "peak_size",
)  # fmt: skip
_DAY_STATE = ", ".join(f"d.{name}" for name in DAY_STATE)
_LAST_DAYS = f"""
    SELECT DISTINCT ON (d.position_id) d.position_id, d.day_at, {_DAY_STATE}
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(position_id uuid, until timestamptz)
      JOIN position_days d ON d.position_id = x.position_id AND d.day_at <= x.until
     ORDER BY d.position_id, d.day_at DESC
"""  # noqa: S608 - made of constants
_DAYS_PAGE = f"""
    SELECT d.position_id, d.day_at, {_DAY_STATE} FROM position_days d JOIN positions p ON p.id = d.position_id
     WHERE p.bot_id = %(bot)s AND p.market_type = %(market)s AND p.symbol = %(symbol)s AND {OWN_POSITIONS}
       AND d.day_at > coalesce(%(after)s::timestamptz, '-infinity')
       AND d.day_at <= coalesce(%(until)s::timestamptz, 'infinity')
"""  # noqa: S608 - made of constants
DayKey = tuple[UUID, datetime]  # position, day


def day_columns(state: Position) -> dict[str, Decimal]:
    """The columns that say how a position stood."""
    return {name: getattr(state, name) for name in DAY_STATE}


def load_last_days(until: Mapping[UUID, datetime]) -> dict[UUID, tuple[datetime, dict[str, Any]]]:
    """Of each position the last beginning of a day that is kept up to a moment: when, and how it stood."""
    rows = [{"position_id": id_, "until": at} for id_, at in until.items()]
    found = fetch_all(_LAST_DAYS, {"rows": as_json(rows)}) if rows else []
    return {row[0]: (row[1], dict(zip(DAY_STATE, row[2:], strict=True))) for row in found}


def load_days(key: BookKey, *, after: datetime | None, until: datetime | None) -> dict[DayKey, dict[str, Decimal]]:
    """The beginnings of days that are kept of a book, after one moment and up to another (None: without a bound)."""
    where = {"bot": key.bot_id, "market": key.market_type, "symbol": key.symbol, "after": after, "until": until}
    return {row[:2]: dict(zip(DAY_STATE, row[2:], strict=True)) for row in fetch_all(_DAYS_PAGE, where)}


def _of_books(statement: str, since: Mapping[BookKey, datetime | None]) -> list[tuple[Any, ...]]:
    if not since:
        return []
    books = [
        {"bot_id": key.bot_id, "market_type": key.market_type, "symbol": key.symbol, "since": at}
        for key, at in since.items()
    ]
    return fetch_all(statement, {"books": as_json(books)})


def _trade_row(key: BookKey, row: Sequence[Any]) -> TradeRow:
    id_, exchange_id, at, connector_id, cause, side, price, quantity, leverage, fee, currency, *derived = row
    execution = execution_of(
        symbol=key.symbol, side=side, price=price, quantity=quantity, leverage=leverage, fee=fee, currency=currency
    )
    return TradeRow(Fact(id_, exchange_id, at, connector_id, Cause(cause), execution), Derived(*derived))


def _position_row(row: Sequence[Any]) -> PositionRow:
    id_, connector_id, opened_at, closed_at, close_cause, action, leverage = row[:7]
    position = Position(Action(action), leverage, *row[7:15])
    mark_price, marked_at, status, entry_price, exit_price, size, basis_fees, realized, unrealized, *rest = row[15:]
    traded_at, source = rest
    held = Held(
        id_, connector_id, opened_at, position, mark_price, marked_at, traded_at or UNKNOWN, closed_at,
        Cause(close_cause) if close_cause else None,
    )  # fmt: skip
    columns = position_columns(held) if position.basis_quantity else {}
    columns |= {
        "status": status,
        "entry_price": entry_price,
        "exit_price": exit_price,
        "size": size,
        "basis_fees": basis_fees,
        "realized_pnl": realized,
        "unrealized_pnl": unrealized,
        "traded_at": traded_at,
    }
    return PositionRow(held, columns, bool(source))


def as_json(rows: object) -> str:
    """For ``jsonb_to_recordset``: numbers as text, so that none loses a digit."""
    return orjson.dumps(rows, default=str).decode()
