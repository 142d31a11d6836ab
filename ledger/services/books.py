"""Booking executions on the books of any number of bots: what follows of them, as changes to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any, NamedTuple
from uuid import UUID

from ledger.rules.books import Booked, Fact, Held, Order, book, days_of, start_of
from ledger.rules.pnl import WIDE, ZERO
from ledger.services.book_rows import (
    BookKey,
    PositionRow,
    TradeRow,
    bound_by,
    day_columns,
    derived_of,
    load_last_days,
    load_positions,
    load_trades,
    marked,
    position_columns,
)
from ledger.services.write_books import Changes

BEGINNING = datetime.min.replace(tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pending:
    """An execution that is new to its book, or changed in it."""

    fact: Fact
    first: Order  # the earliest place it has or had
    columns: dict[str, Any]  # of a new trade all that do not follow, of a stored one those that change
    is_stored: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose book it is."""

    client_id: UUID
    currency: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a book that is booked, beside what is stored of it."""

    key: BookKey
    owner: Owner
    pending: Mapping[UUID, Pending]
    trades: Sequence[TradeRow]  # stored, in order, from where booking begins
    positions: Mapping[UUID, PositionRow]  # stored, those that can change
    held: Held | None  # when it begins
    again_since: datetime | None = None  # what is kept of their days from then on goes


def changes_of(
    pending: Mapping[BookKey, Sequence[Pending]],
    *,
    owners: Mapping[UUID, Owner],
    open_positions: Mapping[BookKey, Mapping[UUID, PositionRow]],
) -> Changes:
    """What new and changed executions come to. An execution after all others costs no look at them; a late or changed
    one has its book booked again from the last point before which nothing changes. The accounts are locked."""
    changes = Changes()
    first = {key: min(one.first for one in given) for key, given in pending.items()}
    later = load_trades({key: order[0] for key, order in first.items()})
    late: dict[BookKey, Order] = {}
    turns: dict[BookKey, _Turn] = {}
    for key, given in pending.items():
        if any(row.fact.order >= first[key] for row in later[key]) or any(one.is_stored for one in given):
            late[key] = first[key]
        else:
            held = next((row.held for row in open_positions[key].values()), None)
            turns[key] = _Turn((), open_positions[key], held, None)
    with localcontext(WIDE):
        for key, turn in (turns | _turns_of(late)).items():
            given_by_id = {one.fact.trade_id: one for one in pending[key]}
            _book_stretch(Stretch(key, owners[key.bot_id], given_by_id, *turn), changes)
    return changes


def changes_of_page(stretch: Stretch, *, is_last: bool) -> tuple[Changes, Held | None]:
    """What booking one stretch again changes, and the position that stays open for the next one to go on with."""
    changes = Changes()
    with localcontext(WIDE):
        held = _book_stretch(stretch, changes, is_last=is_last)
    return changes, held


class _Turn(NamedTuple):
    """From where a book is booked again: the stored executions from there on, the positions that are made anew, what it
    held, and when that was (None: nothing is made anew)."""

    trades: Sequence[TradeRow]
    positions: Mapping[UUID, PositionRow]
    held: Held | None
    since: datetime | None


def _turns_of(late: Mapping[BookKey, Order]) -> dict[BookKey, _Turn]:
    """Where to begin in each book of which something at a place is new or changed, as late as can be: when the day
    began, if its position is older; else when the position was opened; and if that is not found, at its beginning."""
    positions = load_positions({key: order[0] for key, order in late.items()})
    turns = _turns_in_a_day(late, positions)
    turns |= _turns_at_an_opening({key: order for key, order in late.items() if key not in turns}, positions)
    lost: dict[BookKey, datetime | None] = dict.fromkeys(late.keys() - turns.keys())
    trades, every = load_trades(lost), load_positions(lost)
    return turns | {key: _Turn(trades[key], every[key], None, BEGINNING) for key in lost}


def _turns_in_a_day(
    late: Mapping[BookKey, Order], positions: Mapping[BookKey, Mapping[UUID, PositionRow]]
) -> dict[BookKey, _Turn]:
    held = {key: _held_before(order[0], positions[key]) for key, order in late.items()}
    days = load_last_days({row.held.id: late[key][0] for key, row in held.items() if row})
    since: dict[BookKey, datetime | None] = {
        key: days[row.held.id][0] for key, row in held.items() if row and row.held.id in days
    }
    trades = load_trades(since)
    turns: dict[BookKey, _Turn] = {}
    for key, row in held.items():
        if row and key in since:
            day_at, state = days[row.held.id]
            stood = replace(
                row.held, position=replace(row.held.position, **state), traded_at=day_at - INSTANT,
                closed_at=None, close_cause=None,
            )  # fmt: skip
            anew = {id_: one for id_, one in positions[key].items() if one is row or one.held.opened_at >= day_at}
            turns[key] = _Turn(trades[key], anew, stood, day_at)
    return turns


def _held_before(at: datetime, positions: Mapping[UUID, PositionRow]) -> PositionRow | None:
    """Of the positions that were open or closed since a moment the last that was opened before it."""
    earlier = [row for row in positions.values() if row.held.opened_at < at]
    return max(earlier, key=lambda row: row.held.opened_at, default=None)


def _turns_at_an_opening(
    late: Mapping[BookKey, Order], positions: Mapping[BookKey, Mapping[UUID, PositionRow]]
) -> dict[BookKey, _Turn]:
    since: dict[BookKey, datetime | None] = {
        key: min([order[0], *(row.held.opened_at for row in positions[key].values())]) for key, order in late.items()
    }
    trades = load_trades(since)
    turns: dict[BookKey, _Turn] = {}
    for key, order in late.items():
        stored = [row.stored for row in trades[key]]
        start = start_of(stored, positions=positions[key], first=order, is_spot=key.is_spot)
        if start:
            anew = {id_: row for id_, row in positions[key].items() if id_ in start.positions}
            turns[key] = _Turn(trades[key][start.index :], anew, start.held, since[key])
    return turns


def _book_stretch(stretch: Stretch, changes: Changes, *, is_last: bool = True) -> Held | None:
    """Book it, and add what differs from what is stored; what is open at its end only where nothing follows."""
    stored = {row.fact.trade_id: row for row in stretch.trades}
    facts = {id_: row.fact for id_, row in stored.items()} | {id_: one.fact for id_, one in stretch.pending.items()}
    in_order = sorted(facts.values(), key=lambda fact: fact.order)
    booked, touched = book(in_order, held=stretch.held, is_spot=stretch.key.is_spot)
    going_on = next((held for held in reversed(touched.values()) if held.closed_at is None and not is_last), None)
    moved = ZERO
    for one in booked:
        moved += _add_trade(one, stretch, stored.get(one.fact.trade_id), changes)
    moved += _add_positions(touched, stretch, changes, without=going_on)
    changes.move_cash(stretch.key.bot_id, moved)
    _add_days(booked, stretch, changes)
    return going_on


def _add_trade(booked: Booked, stretch: Stretch, row: TradeRow | None, changes: Changes) -> Decimal:
    """What it adds to realised profit."""
    derived, given = derived_of(booked), stretch.pending.get(booked.fact.trade_id)
    before = (row.derived.pnl if row else None) or ZERO
    if given is not None and not given.is_stored:
        changes.new_trades.append(given.columns | derived.columns)
    elif given is not None or (row and row.derived != derived):
        changed = {"id": booked.fact.trade_id} | (given.columns if given else {})
        changes.changed_trades.append(changed | derived.columns)
    return (derived.pnl or ZERO) - before


def _add_positions(
    touched: Mapping[UUID, Held], stretch: Stretch, changes: Changes, *, without: Held | None
) -> Decimal:
    """What the positions give back to the account."""
    compared = [held for held in touched.values() if held is not without]
    before = sum((row.bound for id_, row in stretch.positions.items() if not without or id_ != without.id), ZERO)
    changes.gone_positions += [id_ for id_ in stretch.positions if id_ not in touched]
    after = ZERO
    traded = {(one.fact.executed_at, one.fact.execution.price) for one in stretch.trades}
    for held in compared:
        row = stretch.positions.get(held.id)
        latest = _with_later_mark(held, row, traded)
        after += bound_by(latest)
        columns = position_columns(latest) | marked(latest)
        if row is None or any(row.columns.get(name) != value for name, value in columns.items()):
            changes.positions.append(_identity(latest, stretch) | columns)
    return before - after


def _add_days(booked: Sequence[Booked], stretch: Stretch, changes: Changes) -> None:
    if stretch.again_since:
        changes.gone_days += [{"position_id": id_, "since": stretch.again_since} for id_ in stretch.positions]
    owner = {"client_id": stretch.owner.client_id, "bot_id": stretch.key.bot_id}
    for one in days_of(booked, held=stretch.held):
        key = {"position_id": one.position_id, "day_at": one.day_at}
        changes.days.append(key | owner | day_columns(one.position))


def _with_later_mark(held: Held, row: PositionRow | None, traded: set[tuple[datetime, Decimal]]) -> Held:
    """A price seen since the last execution still stands, if it is not that of an execution as it was known before."""
    if row is None or row.held.marked_at is None or row.held.marked_at <= held.marked_at or held.closed_at:
        return held
    if (row.held.marked_at, row.held.mark_price) in traded:
        return held
    return replace(held, mark_price=row.held.mark_price, marked_at=row.held.marked_at)


def _identity(held: Held, stretch: Stretch) -> dict[str, Any]:
    return {
        "id": held.id,
        "client_id": stretch.owner.client_id,
        "bot_id": stretch.key.bot_id,
        "connector_id": held.connector_id,
        "market_type": stretch.key.market_type,
        "symbol": stretch.key.symbol,
        "currency": stretch.owner.currency,
    }
