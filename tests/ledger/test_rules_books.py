"""Books: the order of executions, and beginning again no earlier than needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.types import Side
from ledger.rules.books import Fact, Held, Start, Stored, book, days_of, natural, position_id, start_of
from ledger.rules.pnl import Execution
from ledger.rules.words import Action, Cause

START = datetime(2026, 11, 1, tzinfo=UTC)
CONNECTOR = UUID(int=1)


def fact(number: int, side: str, quantity: int, price: int = 100, *, minute: int | None = None) -> Fact:
    at = START + timedelta(minutes=number if minute is None else minute)
    execution = Execution(Side(side), D(price), D(quantity), fee_quote=D(quantity) / 1000)
    return Fact(UUID(int=number + 1), f"t{number}", at, CONNECTOR, Cause.RUNTIME, execution)


def in_order(facts: Sequence[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda one: one.order)


@pytest.mark.parametrize(
    "ordered", [["9", "10"], ["t-9", "t-10"], ["a2b3", "a2b20", "a10b1"], ["07", "7", "7x"], ["", "1", "a"], ["٣", "٤"]]
)
def test_orders_ids_as_people_do(ordered):
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural) == ordered


def test_names_the_position_by_what_opened_it_and_turns_into_a_second_one():
    facts = [fact(1, "buy", 2), fact(2, "sell", 3), fact(3, "buy", 1)]
    booked, touched = book(facts, held=None, is_spot=False)
    long, short = touched.values()
    assert [one.position_id for one in booked] == [long.id, long.id, short.id]
    assert (long.id, short.id) == (position_id(facts[0]), position_id(facts[1]))
    assert (long.position.action, short.position.action) == (Action.LONG, Action.SHORT)
    assert (long.closed_at, long.close_cause) == (facts[1].executed_at, Cause.RUNTIME)
    assert (short.opened_at, short.closed_at) == (facts[1].executed_at, facts[2].executed_at)


def test_begins_again_where_the_touched_position_began():
    facts = [fact(0, "buy", 1), fact(1, "sell", 1), fact(4, "buy", 2), fact(5, "sell", 1), fact(9, "sell", 1)]
    start, _ = begin(facts, late=fact(7, "buy", 1), is_spot=True)
    assert (start.index, start.held, start.positions) == (0, None, {position_id(facts[2])})  # of those since 4
    # In a gap nothing before it is touched, and what comes after begins anew.
    start, _ = begin(facts, late=fact(2, "buy", 1), is_spot=True)
    assert start.positions == {position_id(facts[2])}


def begin(facts: Sequence[Fact], *, late: Fact, is_spot: bool) -> tuple[Start | None, list[Stored]]:
    """What is asked of a database: the positions open then or closed since, and the executions since these opened."""
    booked, touched = book(facts, held=None, is_spot=is_spot)
    kept = [held for held in touched.values() if held.closed_at is None or held.closed_at >= late.executed_at]
    since = min([late.executed_at, *(held.opened_at for held in kept)])
    stored = [Stored(b.fact, b.position_id, b.applied.closed_quantity) for b in booked if b.fact.executed_at >= since]
    return start_of(stored, positions=[held.id for held in kept], first=late.order, is_spot=is_spot), stored


FACTS = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 3), st.integers(90, 110), st.integers(0, 12)),
    min_size=1,
    max_size=16,
)


@given(FACTS, st.integers(0, 15), st.booleans())
def test_booking_again_from_there_is_booking_all(steps, which, is_spot):
    facts = [
        fact(number, side, quantity, price, minute=minute)
        for number, (side, quantity, price, minute) in enumerate(steps)
    ]
    late = facts.pop(which % len(facts))
    before, positions = book(in_order(facts), held=None, is_spot=is_spot)
    start, stored = begin(in_order(facts), late=late, is_spot=is_spot)

    tail = in_order([*(one.fact for one in stored[start.index :]), late])
    again, made = book(tail, held=start.held, is_spot=is_spot)
    whole, expected = book(in_order([*facts, late]), held=None, is_spot=is_spot)

    untouched = len(whole) - len(again)
    assert [*before[:untouched], *again] == whole
    left: dict[UUID, Held] = {id_: held for id_, held in positions.items() if id_ not in start.positions}
    # A turn's remainder is the same position as before, with what it cost worked out again.
    assert left | made == expected


@given(FACTS, st.booleans())
def test_booking_again_from_the_beginning_of_a_day_is_booking_all(steps, is_spot):
    facts = in_order(
        [
            fact(number, side, quantity, price, minute=minute * 500)  # four days
            for number, (side, quantity, price, minute) in enumerate(steps)
        ]
    )
    whole, positions = book(facts, held=None, is_spot=is_spot)
    days = days_of(whole, held=None)
    assert all(one.day_at.hour == 0 and one.position.quantity for one in days)
    for one in days:
        held = replace(
            positions[one.position_id], position=one.position, traded_at=one.day_at - timedelta(seconds=1),
            closed_at=None, close_cause=None,
        )  # fmt: skip
        tail = [fact for fact in facts if fact.executed_at >= one.day_at]
        again, made = book(tail, held=held, is_spot=is_spot)
        assert again == whole[len(whole) - len(tail) :]
        assert made.items() <= positions.items()
        assert days_of(again, held=held) == [day for day in days if day.day_at >= one.day_at]


def test_books_everything_again_where_an_opening_is_not_found():
    booked, touched = book([fact(1, "buy", 1)], held=None, is_spot=True)
    stored = [Stored(one.fact, one.position_id, one.applied.closed_quantity) for one in booked]
    strange = [*touched, UUID(int=99)]
    assert start_of(stored, positions=strange, first=fact(2, "sell", 1).order, is_spot=True) is None
