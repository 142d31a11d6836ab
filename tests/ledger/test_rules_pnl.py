"""What an execution does to a position: tables worked by hand, and laws that hold for every sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal as D
from decimal import localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.types import Side
from ledger.rules.pnl import (
    AMOUNT_STEP,
    EXACT_STEP,
    WIDE,
    Applied,
    Execution,
    FeeTooLarge,
    Position,
    amount,
    apply,
    bound,
    equity,
    fee_parts,
    quantity_of,
    unrealized_pnl,
)
from ledger.rules.words import Action, TradeType

EXACT = {"basis_cost", "basis_entry_fees", "realized_exact", "exit_notional"}


def buy(quantity, price, **more) -> Execution:
    return Execution(Side.BUY, D(price), D(quantity), **{key: D(value) for key, value in more.items()})


def sell(quantity, price, **more) -> Execution:
    return Execution(Side.SELL, D(price), D(quantity), **{key: D(value) for key, value in more.items()})


@dataclass
class Book:
    """Executions in order, with everything they came to."""

    position: Position | None
    applied: list[Applied]
    closed: list[Position]

    @property
    def pnl(self) -> D:
        with localcontext(WIDE):
            return sum((one.pnl for one in self.applied if one.pnl is not None), D(0))


def run(executions: Sequence[Execution], *, is_spot: bool) -> Book:
    book = Book(None, [], [])
    for execution in executions:
        one = apply(book.position, execution, is_spot=is_spot)
        book.applied.append(one)
        if one.position is not None and not one.position.quantity:
            book.closed.append(one.position)
        held = one.opened or one.position
        if held is not None:
            book.position = held if held.quantity else None
    return book


def test_books_average_cost_and_both_fees_on_spot():
    book = run(
        [
            buy(1, 100, fee_quote="0.10"),  # holds 1, cost 100, fees 0.10
            buy(1, 110, fee_quote="0.11"),  # holds 2, cost 210, fees 0.21: 105 each
            sell(1, 120, fee_quote="0.12"),  # 120 - 105 = 15, less 0.105 of the entry fees and 0.12: 14.775
            sell(1, 90, fee_quote="0.09"),  # 90 - 105 = -15, less 0.105 and 0.09: -15.195
        ],
        is_spot=True,
    )
    assert [one.pnl for one in book.applied] == [None, None, D("14.775"), D("-15.195")]
    assert [one.size for one in book.applied] == [100, 110, 105, 105]
    assert [one.entry_price for one in book.applied] == [100, 110, 105, 105]
    assert book.pnl == D("-0.42")  # the gains cancel, so what is left are the four fees
    (closed,) = book.closed
    assert (closed.entry_price, closed.exit_price, closed.peak_size, closed.size) == (105, 105, 210, 0)
    assert book.position is None


def test_turns_a_contract_round_when_it_buys_more_than_it_was_short():
    short, crossing = run(
        [
            sell(2, 100, leverage=4, fee_quote="0.2"),  # short 2 at 100, margin 200 / 4 = 50
            buy(3, 90, leverage=3, fee_quote="0.3"),  # closes 2: 200 - 180 = 20, less 0.2 and 2/3 of 0.3
        ],
        is_spot=False,
    ).applied
    assert (short.trade_type, short.action, short.size) == (TradeType.ENTRY, Action.SHORT, 50)
    assert (crossing.trade_type, crossing.action, crossing.closed_quantity) == (TradeType.EXIT, Action.SHORT, 2)
    assert (crossing.pnl, crossing.size, crossing.leverage) == (D("19.6"), 50, 4)
    opened = crossing.opened  # long 1 at 90 with the remaining third of the fee, margin 90 / 3
    assert (opened.action, opened.quantity, opened.entry_price, opened.size) == (Action.LONG, 1, 90, 30)
    assert (opened.basis_fees, opened.leverage) == (D("0.1"), 3)


def test_holds_a_fee_in_coin_back_from_what_was_bought():
    bought = apply(None, buy(1, 100, fee_base="0.001"), is_spot=True)
    held = bought.position
    assert (held.quantity, held.open_cost, held.basis_fees) == (D("0.999"), D("99.9"), D("0.1"))
    assert bought.fee_quote == D("0.1")
    # Sold at the price it was bought for, what is left of the coin loses exactly the fee.
    assert apply(held, sell("0.999", 100), is_spot=True).pnl == D("-0.1")
    # Selling 0.5 with 0.001 coin as fee takes 0.501 out of the 0.999 held:
    # 0.501 x (120 - 100) = 10.02, less 0.501/0.999 of 0.1 = 0.05015015..., less the fee's worth 0.12.
    sold = apply(held, sell("0.5", 120, fee_base="0.001"), is_spot=True)
    assert (sold.position.quantity, sold.closed_quantity) == (D("0.498"), D("0.5"))
    assert sold.pnl == D("9.849849849849849850")
    # A contract is no coin: its fee is counted at the price and its quantity stays.
    contract = apply(None, buy(1, 100, fee_base="0.001"), is_spot=False).position
    assert (contract.quantity, contract.basis_fees) == (1, D("0.1"))
    with pytest.raises(FeeTooLarge):
        apply(None, buy(1, 100, fee_base=1), is_spot=True)


def test_realizes_nothing_on_coins_it_never_saw_bought():
    stranger = apply(None, sell(2, 10, fee_quote="0.02"), is_spot=True)
    assert (stranger.trade_type, stranger.action, stranger.closed_quantity) == (TradeType.EXIT, Action.LONG, 0)
    assert (stranger.pnl, stranger.position, stranger.entry_price, stranger.size) == (None, None, None, 20)
    # Of 3 sold only 1 is known: 12 - 10 = 2, less a third of the fee.
    partly = run([buy(1, 10), sell(3, 12, fee_quote="0.3")], is_spot=True)
    assert (partly.applied[1].closed_quantity, partly.applied[1].pnl, partly.position) == (1, D("1.9"), None)


def test_takes_thirds_out_without_losing_a_digit():
    book = run([buy(3, 10, fee_quote=1), *[sell(1, 10)] * 3], is_spot=True)
    third = D("0.333333333333333333")
    assert [one.pnl for one in book.applied[1:]] == [-third, -third - D("1e-18"), -third]
    assert book.pnl == -1


def test_values_what_is_open():
    long = apply(None, buy(2, 100, leverage=5, fee_quote=1), is_spot=False).position
    short = apply(None, sell(2, 100), is_spot=False).position
    assert (unrealized_pnl(long, mark_price=D(110)), unrealized_pnl(short, mark_price=D(110))) == (20, -20)
    assert (long.size, bound(long), quantity_of(size=D(40), leverage=D(5), price=D(100))) == (40, 41, 2)
    # 1,000 of capital: 41 left it, 40 of that is margin, 20 gained: the fee is what is missing.
    assert equity(balance=D(959), sizes=[long.size], unrealized_pnls=[D(20)]) == 1019
    assert equity(balance=D(959), sizes=[long.size], unrealized_pnls=[None]) is None
    assert equity(balance=None, sizes=[], unrealized_pnls=[]) is None


@pytest.mark.parametrize(
    ("fee", "currency", "parts"),
    [
        ("0.1", "USDT", (D("0.1"), None)),
        ("0.1", "BTC", (None, D("0.1"))),
        ("0.1", "BNB", (None, None)),
        ("0", "BNB", (D(0), None)),
        (None, "USDT", (None, None)),
        (None, None, (None, None)),
    ],
)
def test_prices_a_fee_where_its_currency_can_be_told(fee, currency, parts):
    assert fee_parts(fee=fee and D(fee), fee_currency=currency, base="BTC", quote="USDT") == parts


UNITS = st.integers(1, 10**7)


def scaled(places: int) -> st.SearchStrategy[D]:
    return UNITS.map(lambda number: D(number).scaleb(-places, WIDE))


@st.composite
def executions(draw, *, price: D | None = None) -> Execution:
    """With every digit that a column holds, and fees that can be cut into a thousand parts."""
    quantity = draw(scaled(draw(st.sampled_from([0, 3, 9])))) * 1000
    fee = draw(st.sampled_from(["none", "quote", "base"]))
    paid = draw(st.integers(-50, 1000)) * quantity.scaleb(-6, WIDE)
    return Execution(
        side=draw(st.sampled_from(Side)),
        price=price or draw(scaled(draw(st.sampled_from([0, 2, 12])))),
        quantity=quantity,
        fee_quote=paid if fee == "quote" else None,
        fee_base=paid if fee == "base" else None,
        leverage=D(draw(st.integers(1, 20))),
    )


def parts_of(execution: Execution, cuts: Sequence[int]) -> list[Execution]:
    edges = [0, *sorted(set(cuts)), 1000]
    weights = [D(end - start) / 1000 for start, end in zip(edges, edges[1:], strict=False)]

    def part(value: D | None, weight: D) -> D | None:
        return None if value is None else WIDE.multiply(value, weight)

    return [
        replace(
            execution,
            quantity=part(execution.quantity, weight),
            fee_quote=part(execution.fee_quote, weight),
            fee_base=part(execution.fee_base, weight),
        )
        for weight in weights
    ]


@given(st.lists(executions(), max_size=8), st.lists(st.integers(1, 999), max_size=4), st.booleans())
def test_an_execution_in_parts_changes_no_sum(sequence, cuts, is_spot):
    whole = run(sequence, is_spot=is_spot)
    split = run([part for execution in sequence for part in parts_of(execution, cuts)], is_spot=is_spot)
    assert split.position == whole.position
    assert split.closed == whole.closed
    assert split.pnl == whole.pnl
    assert sum(one.closed_quantity for one in split.applied) == sum(one.closed_quantity for one in whole.applied)


@given(st.lists(executions(), max_size=12), st.booleans())
def test_the_columns_hold_every_digit_and_the_bounds_of_the_tables(sequence, is_spot):
    book = run(sequence, is_spot=is_spot)
    for one in book.applied:
        assert one.closed_quantity >= 0 and one.size >= 0
        for position in filter(None, (one.position, one.opened)):
            for field in fields(Position)[2:]:
                step = EXACT_STEP if field.name in EXACT else AMOUNT_STEP
                value = getattr(position, field.name)
                assert value == value.quantize(step, context=WIDE), field.name
            assert 0 <= position.quantity <= position.basis_quantity
            assert position.entry_price > 0 and position.size <= position.peak_size
    with localcontext(WIDE):
        kept = [*book.closed, *filter(None, [book.position])]
        assert book.pnl == sum((position.realized_pnl for position in kept), D(0))


@given(st.lists(executions(), max_size=12), scaled(2))
def test_cash_margin_and_unrealised_profit_are_the_equity(sequence, mark):
    """A contract's account, kept independently: what was paid, what was received, and what is held at the mark."""
    book = run(sequence, is_spot=False)
    with localcontext(WIDE):
        worth, held = D(0), D(0)
        for execution in sequence:
            sign = 1 if execution.side == Side.BUY else -1
            held += sign * execution.quantity
            worth -= sign * execution.quantity * execution.price
            worth -= execution.fee_quote or (execution.fee_base or 0) * execution.price
        worth += held * mark
        exact = sum((one.realized_exact for one in book.closed), D(0))
        position = book.position
        if position:
            sign = 1 if position.action == Action.LONG else -1
            exact += position.realized_exact - position.open_fees
            exact += sign * (mark * position.quantity - position.open_cost)
        assert exact == worth
        cash = book.pnl - (bound(position) if position else 0)
        margin = position.size if position else D(0)
        gained = unrealized_pnl(position, mark_price=mark) if position else D(0)
        assert abs(equity(balance=cash, sizes=[margin], unrealized_pnls=[gained]) - worth) <= len(sequence) * D("1e-18")


@given(st.data(), scaled(2), st.booleans())
def test_a_round_trip_at_one_price_loses_exactly_the_fees(data, price, is_spot):
    entries = data.draw(st.lists(executions(price=price), min_size=1, max_size=5))
    entries = [replace(one, side=Side.BUY, leverage=D(1)) for one in entries]
    held = run(entries, is_spot=is_spot).position
    fees = data.draw(st.lists(st.integers(0, 10**6).map(lambda n: D(n).scaleb(-9)), min_size=1, max_size=4))
    with localcontext(WIDE):
        piece = (held.quantity / len(fees)).quantize(AMOUNT_STEP)
        pieces = [piece] * (len(fees) - 1) + [held.quantity - piece * (len(fees) - 1)]
        exits = [Execution(Side.SELL, price, *pair) for pair in zip(pieces, fees, strict=True) if pair[0] > 0]
        book = run([*entries, *exits], is_spot=is_spot)
        paid = sum((one.fee_quote or (one.fee_base or 0) * price for one in [*entries, *exits]), D(0))
        assert book.position is None
        assert book.pnl == -amount(paid)
