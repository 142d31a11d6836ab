"""Books: the executions of one bot in one market, in order, and the positions that follow from them.

A book nets: it holds one position at a time. Where an execution arrives late or is corrected, the book is booked again
from the last point at which nothing before it can have changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from exchanges.types import Side
from ledger.rules.ids import fact_id
from ledger.rules.pnl import Applied, Execution, Position, apply, leave
from ledger.rules.words import Action, Cause

Order = tuple[datetime, tuple[tuple[int, str], ...], UUID]
_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class Fact:
    """One execution, with what places it and names it."""

    trade_id: UUID
    exchange_trade_id: str
    executed_at: datetime
    connector_id: UUID
    cause: Cause
    execution: Execution
    order: Order = field(init=False, compare=False)

    def __post_init__(self) -> None:
        order = (self.executed_at, natural(self.exchange_trade_id), self.trade_id)
        object.__setattr__(self, "order", order)


@dataclass(frozen=True, slots=True)
class Held:
    """A position of a book: when it was opened, last traded and closed, and the last price that was seen."""

    id: UUID
    connector_id: UUID
    opened_at: datetime
    position: Position
    mark_price: Decimal
    marked_at: datetime
    traded_at: datetime
    closed_at: datetime | None = None
    close_cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """An execution with what it was and the position it touched."""

    fact: Fact
    applied: Applied
    position_id: UUID | None


@dataclass(frozen=True, slots=True)
class DayStart:
    """A position as it stood when a day began on which it traded, other than the one on which it was opened.

    What happened since then is all that is needed to book it again.
    """

    position_id: UUID
    day_at: datetime
    position: Position


@dataclass(frozen=True, slots=True)
class Stored:
    """An execution as it was booked before."""

    fact: Fact
    position_id: UUID | None  # the position it touched
    closed_quantity: Decimal


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin booking again: at which of the executions, holding what, and which positions that makes anew."""

    index: int
    held: Held | None
    positions: frozenset[UUID]


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Orders ids as people do: 9 before 10, ``t-9`` before ``t-10``; equal numbers by their digits."""
    parts = _DIGITS.split(text)
    return tuple((int(part) if index % 2 else -1, part) for index, part in enumerate(parts))


def position_id(opening: Fact) -> UUID:
    """The id of the position that an execution opened: always the same."""
    return fact_id(opening.executed_at, "position", opening.trade_id)


def book(facts: Iterable[Fact], *, held: Held | None, is_spot: bool) -> tuple[list[Booked], dict[UUID, Held]]:
    """Book executions, in their order, on a book that holds ``held``: each with its result, and every position that
    was held or touched as it is afterwards, in order of opening, so that only the last can be open. Raises FeeTooLarge.
    """
    booked: list[Booked] = []
    touched = {held.id: held} if held else {}
    for fact in facts:
        applied = apply(held.position if held else None, fact.execution, is_spot=is_spot)
        if applied.position is None:
            booked.append(Booked(fact, applied, None))
            continue
        now = _moved(held, applied.position, fact) if held else _opened(applied.position, fact)
        touched[now.id] = now
        booked.append(Booked(fact, applied, now.id))
        held = now if applied.position.quantity else None
        if applied.opened:
            held = _opened(applied.opened, fact)
            touched[held.id] = held
    return booked, touched


def days_of(booked: Iterable[Booked], *, held: Held | None) -> list[DayStart]:
    """The beginnings of days in a stretch that began with ``held``, in order."""
    found: list[DayStart] = []
    current = (held.id, held.position, held.traded_at) if held else None
    for one in booked:
        at = day_of(one.fact.executed_at)
        if current and current[2] < at:
            found.append(DayStart(current[0], at, current[1]))
        if one.applied.opened:
            current = position_id(one.fact), one.applied.opened, one.fact.executed_at
        elif one.applied.position and one.applied.position.quantity and one.position_id:
            current = one.position_id, one.applied.position, one.fact.executed_at
        else:
            current = None
    return found


def day_of(moment: datetime) -> datetime:
    """When its day of UTC began."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def start_of(stored: Sequence[Stored], *, positions: Iterable[UUID], first: Order, is_spot: bool) -> Start | None:
    """Where to book ``stored`` (in order) again when something at ``first`` is new or changed.

    ``positions`` are all that were open or closed not before ``first``; the executions that opened them are among
    ``stored``. None where one of them is not, and the whole book must be booked again.
    """
    opened_by = {position_id(one.fact): index for index, one in enumerate(stored)}
    openings = {id_: opened_by.get(id_) for id_ in positions}
    known = {id_: index for id_, index in openings.items() if index is not None}
    if len(known) < len(openings):
        return None
    index = max((index for index in known.values() if stored[index].fact.order < first), default=None)
    if index is None:  # flat until then
        index = next((place for place, one in enumerate(stored) if one.fact.order >= first), len(stored))
    anew = frozenset(id_ for id_, opening in known.items() if opening >= index)
    opening = stored[index] if index < len(stored) else None
    if opening is None or opening.fact.order >= first or opening.position_id == position_id(opening.fact):
        return Start(index, None, anew)
    return Start(index + 1, _rest_of(opening, is_spot=is_spot), anew)


def _rest_of(crossing: Stored, *, is_spot: bool) -> Held | None:
    """What an execution opened beyond what it closed; that does not depend on what the closed part had cost."""
    execution, closed = crossing.fact.execution, crossing.closed_quantity
    action = Action.SHORT if execution.side == Side.BUY else Action.LONG
    before = Position(action, Decimal(1), opened_quantity=closed, basis_quantity=closed)
    opened = leave(before, execution, is_spot=is_spot).opened
    return _opened(opened, crossing.fact) if opened else None


def _opened(position: Position, fact: Fact) -> Held:
    at = fact.executed_at
    return Held(position_id(fact), fact.connector_id, at, position, fact.execution.price, at, at)


def _moved(held: Held, position: Position, fact: Fact) -> Held:
    is_closed = not position.quantity
    return replace(
        held,
        position=position,
        mark_price=fact.execution.price,
        marked_at=fact.executed_at,
        traded_at=fact.executed_at,
        closed_at=fact.executed_at if is_closed else None,
        close_cause=fact.cause if is_closed else None,
    )
