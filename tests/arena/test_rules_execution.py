"""Execution on paper: the arithmetic in tables, and what holds on every path of prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.rules.execution import (
    Guards,
    due_exit,
    entry_side,
    exit_side,
    fee,
    fill_price,
    funding,
    funding_moments,
    liquidation_price,
)
from exchanges.types import Side
from ledger.rules.pnl import WIDE, Execution, Position, bound, enter, equity, leave, unrealized_pnl
from ledger.rules.words import Action, Cause

LONG, SHORT = Action.LONG, Action.SHORT
FEE_RATIO = D("0.0005")


@pytest.mark.parametrize(
    ("side", "price", "slippage", "tick", "expected"),
    [
        (Side.BUY, "100", "0.0002", "0.01", "100.02"),
        (Side.SELL, "100", "0.0002", "0.01", "99.98"),
        (Side.BUY, "100.003", "0", "0.01", "100.01"),  # to the grid, against the buyer
        (Side.SELL, "100.003", "0", "0.01", "100"),
        (Side.BUY, "0.000012345", "0.001", None, "0.000012357345"),
        (Side.SELL, "0.01", "0.5", "0.01", "0.01"),  # never 0
    ],
)  # fmt: skip
def test_a_fill_is_worse_than_the_price_and_on_the_grid(
    side: Side, price: str, slippage: str, tick: str | None, expected: str
) -> None:
    got = fill_price(side=side, price=D(price), slippage_ratio=D(slippage), tick=D(tick) if tick else None)
    assert got == D(expected)


@pytest.mark.parametrize(
    ("action", "entry", "leverage", "maintenance", "expected"),
    [
        (LONG, "100", "10", "0", "90"),  # all of the margin
        (LONG, "100", "10", "0.005", "90.452261306532663317"),  # 90 / 0.995
        (LONG, "100", "1", "0.005", None),  # a long without leverage loses everything at 0 only
        (SHORT, "100", "10", "0", "110"),
        (SHORT, "100", "10", "0.005", "109.452736318407960199"),  # 110 / 1.005
        (SHORT, "100", "1", "0.005", "199.004975124378109453"),
        (LONG, "100", "125", "0.01", "100"),  # the margin never covered it: at once
    ],
)
def test_liquidation_stands_where_the_margin_no_longer_covers_maintenance(
    action: Action, entry: str, leverage: str, maintenance: str, expected: str | None
) -> None:
    got = liquidation_price(action=action, entry_price=D(entry), leverage=D(leverage), maintenance_ratio=D(maintenance))
    assert got == (D(expected) if expected else None)


@pytest.mark.parametrize(
    ("guards", "price", "expected"),
    [
        (Guards(LONG, D(95), D(110), D(91)), "100", None),
        (Guards(LONG, D(95), D(110), D(91)), "95", Cause.STOP_LOSS),
        (Guards(LONG, D(95), D(110), D(91)), "94.99", Cause.STOP_LOSS),
        (Guards(LONG, D(95), D(110), D(91)), "110", Cause.TAKE_PROFIT),
        (Guards(LONG, D(95), D(110), D(91)), "80", Cause.LIQUIDATION),  # a gap over both
        (Guards(LONG, None, None, None), "0.01", None),
        (Guards(SHORT, D(105), D(90), D(109)), "100", None),
        (Guards(SHORT, D(105), D(90), D(109)), "105", Cause.STOP_LOSS),
        (Guards(SHORT, D(105), D(90), D(109)), "89", Cause.TAKE_PROFIT),
        (Guards(SHORT, D(105), D(90), D(109)), "120", Cause.LIQUIDATION),
    ],
)
def test_a_position_is_closed_at_the_first_price_behind_its_guard(
    guards: Guards, price: str, expected: Cause | None
) -> None:
    assert due_exit(guards, D(price)) == expected


def test_longs_pay_shorts_at_a_positive_rate() -> None:
    paid = {a: funding(action=a, quantity=D(2), mark_price=D(100), rate=D("0.0001")) for a in (LONG, SHORT)}
    assert paid == {LONG: D("0.02"), SHORT: D("-0.02")}


def test_funding_is_due_three_times_a_day() -> None:
    day = datetime(2026, 11, 21, tzinfo=UTC)
    found = funding_moments(since=day, until=day.replace(hour=23))
    assert [moment.hour for moment in found] == [8, 16]
    assert funding_moments(since=day.replace(hour=1), until=day.replace(hour=7)) == []


prices = st.decimals(min_value="0.01", max_value="100000", places=4)
steps = st.one_of(
    st.tuples(st.just("price"), prices),
    st.tuples(
        st.just("open"), st.sampled_from([LONG, SHORT]), st.decimals("0.001", "50", places=3), st.integers(1, 50)
    ),
    st.tuples(st.just("close"), st.integers(0, 5)),
    st.tuples(st.just("funding"), st.decimals("-0.01", "0.01", places=4)),
)


@settings(max_examples=200, deadline=None)
@given(start=prices, path=st.lists(steps, max_size=30))
def test_no_path_of_prices_leaves_equity_other_than_cash_and_margin_and_unrealised(
    start: D, path: list[tuple[object, ...]]
) -> None:
    """Counted twice: by the account (cash, margins, unrealised gains) and from what was gained, paid and received."""
    price, cash, gained, paid = start, D(10_000), D(0), D(0)
    held: list[Position] = []
    for step in path:
        if step[0] == "price":
            price = step[1]  # type: ignore[assignment]
        elif step[0] == "open":
            action, quantity, leverage = step[1], step[2], step[3]
            fill = fill_price(side=entry_side(action), price=price, slippage_ratio=D("0.0002"), tick=D("0.0001"))  # type: ignore[arg-type]
            cost = fee(notional=fill * quantity, fee_ratio=FEE_RATIO)  # type: ignore[operator]
            entry = Execution(entry_side(action), fill, quantity, fee_quote=cost, leverage=D(leverage))  # type: ignore[arg-type]
            position = enter(None, entry, action=action, is_spot=False).position  # type: ignore[arg-type]
            assert position
            held.append(position)
            cash, paid = cash - bound(position), paid + cost
        elif step[0] == "close" and held:
            position = held.pop(step[1] % len(held))  # type: ignore[operator]
            fill = fill_price(
                side=exit_side(position.action), price=price, slippage_ratio=D("0.0002"), tick=D("0.0001")
            )
            cost = fee(notional=fill * position.quantity, fee_ratio=FEE_RATIO)
            execution = Execution(exit_side(position.action), fill, position.quantity, fee_quote=cost)
            applied = leave(position, execution, is_spot=False)
            assert applied.pnl is not None
            cash, paid = cash + bound(position) + applied.pnl, paid + cost
            gained += unrealized_pnl(position, mark_price=fill)
        elif step[0] == "funding" and held:
            position = held[0]
            cost = funding(action=position.action, quantity=position.quantity, mark_price=price, rate=step[1])  # type: ignore[arg-type]
            after = Position(**{name: getattr(position, name) for name in position.__slots__})
            object.__setattr__(after, "basis_entry_fees", WIDE.add(position.basis_entry_fees, cost))
            cash, paid, held[0] = cash + bound(position) - bound(after), paid + cost, after
        open_gain = [unrealized_pnl(one, mark_price=price) for one in held]
        by_account = equity(balance=cash, sizes=[one.size for one in held], unrealized_pnls=open_gain)
        assert by_account is not None
        # Each position's margin and each result is rounded to 18 decimals once, so the two may differ by that much a step.
        assert abs(by_account - (10_000 + gained + sum(open_gain, D(0)) - paid)) <= D("1e-17") * (len(path) + 1)
