"""Booking stored executions again, one after the other, and naming what is stored otherwise.

Sums over a position cannot see that its average cost was taken in a wrong order; this can. It streams, so that a position
of a million executions takes no more memory than one of ten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from ground.sql import fetch_all, run
from ledger.rules.books import Booked, DayStart, Fact, Held, Stored, book, days_of, position_id, start_of
from ledger.rules.pnl import WIDE, FeeTooLarge
from ledger.rules.words import Cause
from ledger.services.book_rows import (
    DAY_STATE,
    OWN_POSITIONS,
    OWN_TRADES,
    BookKey,
    Derived,
    day_columns,
    derived_of,
    execution_of,
    position_columns,
)
from ledger.services.recomputed import OF_BOT

AT_ONCE = 2000
LAST = (datetime.max.replace(tzinfo=UTC), (), UUID(int=2**128 - 1))
POSITION_COLUMNS = (
    "status", "position_type", "entry_price", "exit_price", "size", "leverage", "opened_quantity", "closed_quantity",
    "quantity", "basis_quantity", "basis_cost", "basis_entry_fees", "basis_fees", "realized_pnl", "realized_exact",
    "exit_notional", "peak_size", "opened_at", "traded_at", "closed_at", "close_cause",
)  # fmt: skip

# In an order that is another each day, until the executions to replay are spent: so each position has its turn. All of a
# bot with an open incident are looked at, else it would count as mended when nobody looked.
_CHOOSE = f"""
    CREATE TEMP TABLE replayed_positions ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY x.id) AS n, x.* FROM (
        SELECT p.id, b.client_id, p.bot_id, p.market_type, p.symbol, {", ".join(f"p.{c}" for c in POSITION_COLUMNS)},
               i.bot_id IS NOT NULL AS is_told,
               sum(g.trades) OVER (ORDER BY md5(p.id::text || (%(now)s::timestamptz)::date)) - g.trades AS before
          FROM positions p JOIN bots b ON b.id = p.bot_id
          JOIN (SELECT position_id, sum(trades) AS trades FROM recomputed_positions GROUP BY position_id) g
            ON g.position_id = p.id
          LEFT JOIN (SELECT DISTINCT bot_id FROM incidents WHERE kind = 'ledger_books' AND resolved_at IS NULL) i
            ON i.bot_id = p.bot_id
         WHERE {OWN_POSITIONS} AND {OF_BOT.format("p")}
           AND (%(since)s::timestamptz IS NULL OR p.updated_at > %(since)s OR i.bot_id IS NOT NULL)
    ) x WHERE %(most)s::bigint IS NULL OR x.before < %(most)s OR x.is_told
"""  # noqa: S608 - made of constants
_EXECUTION = """t.id, t.exchange_trade_id, t.executed_at, t.connector_id, t.cause, t.side, t.price, t.quantity, t.leverage,
       t.fee, t.fee_currency"""
_COLUMNS = ", ".join(POSITION_COLUMNS)
_DERIVED_NAMES = tuple(field.name for field in fields(Derived))
_DERIVED = ", ".join(f"t.{name}" for name in _DERIVED_NAMES)
_STREAMS = (
    f"""
    DECLARE replayed NO SCROLL CURSOR FOR SELECT n, id, client_id, bot_id, market_type, symbol, {_COLUMNS}
      FROM replayed_positions ORDER BY n
    """,  # noqa: S608 - made of constants
    f"""
    DECLARE executions NO SCROLL CURSOR FOR SELECT c.n, {_EXECUTION}, {_DERIVED}
      FROM replayed_positions c JOIN trades t ON t.position_id = c.id WHERE {OWN_TRADES} ORDER BY c.n, t.executed_at
    """,  # noqa: S608 - made of constants
)
# What opened a position that has no entry: the execution that closed the one before and had something left.
_TURNS = f"""
    SELECT {_EXECUTION}, t.position_id, t.closed_quantity FROM trades t
     WHERE t.bot_id = %s AND t.executed_at = %s AND t.market_type = %s AND t.symbol = %s AND {OWN_TRADES}
       AND t.closed_quantity > 0
"""  # noqa: S608 - made of constants


_DAYS = f"SELECT day_at, {', '.join(DAY_STATE)} FROM position_days WHERE position_id = %s"  # noqa: S608


class Deviation(NamedTuple):
    """A column that booking again gives otherwise: a line as every other rule yields it."""

    client_id: UUID
    bot_id: UUID
    place: str
    row_id: str
    field: str
    expected: str | None
    found: str | None


class Replay:
    """Books positions again that changed since a moment (None: all), as many executions as are allowed (None: all).

    Runs within a snapshot in which ``recomputed_positions`` was made. ``executions`` and ``positions`` count.
    """

    def __init__(self, *, now: datetime, since: datetime | None, most: int | None, bot_id: UUID | None) -> None:
        self._params = {"now": now, "since": since, "most": most, "bot": bot_id}
        self.executions = self.positions = 0

    def deviations(self) -> Iterator[Deviation]:
        """Every column that is stored otherwise, position by position."""
        run(_CHOOSE, self._params)
        for statement in _STREAMS:
            run(statement)
        groups = groupby(_fetched("executions"), key=lambda row: row[0])
        number, rows = next(groups, (None, iter(())))
        for n, *position in _fetched("replayed"):
            self.positions += 1
            if n != number:
                yield _Replayed(position).deviation("positions", position[0], "executions", "at least one", "none")
                continue
            yield from self._book(_Replayed(position), (row[1:] for row in rows))
            number, rows = next(groups, (None, iter(())))

    def _book(self, replayed: _Replayed, rows: Iterator[Any]) -> Iterator[Deviation]:
        for some in _in_order(rows, replayed.key):
            self.executions += len(some)
            yield from replayed.book(some)
        yield from replayed.end()


class _Replayed:
    """One position on its way through its executions."""

    def __init__(self, row: list[Any]) -> None:
        self.id, self.client_id, bot_id, market_type, symbol = row[:5]
        self.key = BookKey(bot_id, market_type, symbol)
        self.stored = dict(zip(POSITION_COLUMNS, row[5:], strict=True))
        self.held: Held | None = None  # what the book holds now
        self.latest: Held | None = None  # the position as it was last seen
        self.days: dict[datetime, dict[str, Any]] | None = None  # as stored; read when there is one to compare

    def deviation(self, place: str, row_id: Any, field: str, expected: Any, found: Any) -> Deviation:
        return Deviation(self.client_id, self.key.bot_id, place, str(row_id), field, _text(expected), _text(found))

    def book(self, rows: list[tuple[Fact, Derived]]) -> Iterator[Deviation]:
        if self.latest is None and position_id(rows[0][0]) != self.id:
            self.held = self.latest = self._turned()
        facts = [fact for fact, _ in rows]
        try:
            booked, touched = book(facts, held=self.held, is_spot=self.key.is_spot)
        except FeeTooLarge as error:
            yield self.deviation("positions", self.id, "executions", "fees below what was traded", str(error))
            return
        for one, (_, derived) in zip(booked, rows, strict=True):
            yield from self._compared(one, derived)
        for day in days_of(booked, held=self.held):
            yield from self._day(day)
        if touched:
            last = list(touched.values())[-1]
            self.held = None if last.closed_at else last
            self.latest = touched.get(self.id, self.latest)

    def end(self) -> Iterator[Deviation]:
        if self.latest is None:
            yield self.deviation("positions", self.id, "opened by", "an execution of its book", "none")
            return
        for name, value in position_columns(self.latest).items():
            if name in self.stored and self.stored[name] != value:
                yield self.deviation("positions", self.id, name, value, self.stored[name])

    def _compared(self, booked: Booked, stored: Derived) -> Iterator[Deviation]:
        again = derived_of(booked)
        if again == stored:
            return
        for name in _DERIVED_NAMES:
            if getattr(again, name) != getattr(stored, name):
                yield self.deviation("trades", booked.fact.trade_id, name, getattr(again, name), getattr(stored, name))

    def _day(self, day: DayStart) -> Iterator[Deviation]:
        """Of a position that is older than days are kept none may be stored; then nothing is booked again from it."""
        if self.days is None:
            self.days = {at: dict(zip(DAY_STATE, state, strict=True)) for at, *state in fetch_all(_DAYS, [self.id])}
        stored = self.days.get(day.day_at) if day.position_id == self.id else None
        for name, value in day_columns(day.position).items():
            if stored and stored[name] != value:
                row_id = f"{self.id} {_text(day.day_at)}"
                yield self.deviation("position_days", row_id, name, value, stored[name])

    def _turned(self) -> Held | None:
        key = self.key
        for *row, touched, closed in fetch_all(
            _TURNS, [key.bot_id, self.stored["opened_at"], key.market_type, key.symbol]
        ):
            fact = _fact(row, key)
            if position_id(fact) == self.id:
                start = start_of([Stored(fact, touched, closed)], positions=[self.id], first=LAST, is_spot=key.is_spot)
                return start.held if start else None
        return None


def _in_order(rows: Iterator[Any], key: BookKey) -> Iterator[list[tuple[Fact, Derived]]]:
    """Executions in the order of their book, some at a time; those of one moment are never parted."""
    some: list[tuple[Fact, Derived]] = []
    for row in rows:
        one = _fact(row[:11], key), Derived(*row[11:])
        if len(some) >= AT_ONCE and some[-1][0].executed_at != one[0].executed_at:
            yield sorted(some, key=lambda pair: pair[0].order)
            some = []
        some.append(one)
    if some:
        yield sorted(some, key=lambda pair: pair[0].order)


def _fact(row: Any, key: BookKey) -> Fact:
    id_, exchange_id, at, connector_id, cause, side, price, quantity, leverage, fee, currency = row
    execution = execution_of(
        symbol=key.symbol, side=side, price=price, quantity=quantity, leverage=leverage, fee=fee, currency=currency
    )
    return Fact(id_, exchange_id, at, connector_id, Cause(cause), execution)


def _fetched(cursor: str) -> Iterator[Any]:
    while rows := fetch_all(f"FETCH {AT_ONCE} FROM {cursor}"):
        yield from rows


def _text(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return f"{value.normalize(WIDE):f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None if value is None else str(value)
