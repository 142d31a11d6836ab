"""Figures: worked by hand, and beside a well-kept library."""

from __future__ import annotations

import math
from decimal import Decimal as D

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger.rules import metrics
from ledger.rules.bootstrap import (
    Interval,
    are_distinguishable,
    compounded_interval,
    is_distinguishable,
    mean_interval,
)

YEARLY = D(365)


def decimals(*texts: str) -> list[D]:
    return [D(text) for text in texts]


def test_counts_closed_trades_with_a_known_result_only():
    # Winners 10 and 5, losers 4 and 2, one at nothing, two without a result: 15 won, 6 lost, 9 left of 5 trades.
    closed = metrics.closed_trades([D(10), None, D(5), D(-4), D(0), None, D(-2)])
    assert (closed.count, closed.wins, closed.losses, closed.pnl) == (5, 2, 2, 9)
    assert (closed.win_rate, closed.profit_factor, closed.expectancy) == (D("0.4"), D("2.5"), D("1.8"))
    assert (closed.average_win, closed.average_loss) == (D("7.5"), -3)


def test_says_nothing_where_nothing_can_be_computed():
    nothing = metrics.closed_trades([None, None])
    assert (nothing.count, nothing.pnl) == (0, 0)
    assert (nothing.win_rate, nothing.profit_factor, nothing.expectancy) == (None, None, None)
    assert (nothing.average_win, nothing.average_loss) == (None, None)
    assert metrics.closed_trades([D(1)]).profit_factor is None  # nothing was lost
    assert metrics.total_return(first=None, last=D(1)) is None
    assert metrics.total_return(first=D(0), last=D(1)) is None
    assert metrics.interval_returns(decimals("1", "0", "1")) is None
    assert metrics.max_drawdown([]) is None
    assert metrics.max_drawdown(decimals("-1", "-2")) is None
    assert metrics.mean([]) is None
    for ratio in (metrics.sharpe_ratio, metrics.sortino_ratio, metrics.volatility):
        assert ratio([], intervals_per_year=YEARLY) is None
        assert ratio(decimals("0.1"), intervals_per_year=YEARLY) is None
        assert ratio(decimals("0.1", "0.2"), intervals_per_year=YEARLY, minimum=3) is None
    assert metrics.sharpe_ratio(decimals("0.1", "0.1"), intervals_per_year=YEARLY) is None
    assert metrics.sortino_ratio(decimals("0.1", "0.2"), intervals_per_year=YEARLY) is None
    assert metrics.volatility(decimals("0.1", "0.1"), intervals_per_year=YEARLY) == 0


def test_falls_from_the_running_peak():
    # 100, 120 (peak), 90 is 30 of 120 below, 150 (peak), 75 is half of it, 150 again.
    values = decimals("100", "120", "90", "150", "75", "150")
    assert metrics.drawdowns(values) == decimals("0", "0", "0.25", "0", "0.5", "0")
    assert metrics.max_drawdown(values) == D("0.5")
    assert metrics.max_drawdown(decimals("1", "2", "3")) == 0


def test_annualises_with_what_it_is_told():
    # Returns 0.1 and -0.1: mean 0, sample deviation sqrt(0.02). Returns 0.3 and 0.1: mean 0.2, deviation sqrt(0.02).
    assert metrics.sharpe_ratio(decimals("0.1", "-0.1"), intervals_per_year=YEARLY) == 0
    once = metrics.sharpe_ratio(decimals("0.3", "0.1"), intervals_per_year=D(1))
    assert once == pytest.approx(D(2).sqrt())
    assert metrics.sharpe_ratio(decimals("0.3", "0.1"), intervals_per_year=D(400)) == pytest.approx(once * 20)
    # 0.4 and -0.2: mean 0.1, only -0.2 falls short: sqrt(0.04 / 2).
    assert metrics.sortino_ratio(decimals("0.4", "-0.2"), intervals_per_year=D(1)) == pytest.approx(D("0.5").sqrt())


def test_adds_up_volume_and_the_fees_of_each_currency():
    assert metrics.volume([(D("0.1"), D(3)), (D(2), D("0.5"))]) == D("1.3")
    paid = metrics.fees_by_currency([("BNB", D("0.1")), ("USDT", D(1)), ("BNB", D("0.2")), ("", None)])
    assert paid == {"BNB": D("0.3"), "USDT": D(1)}


@given(st.lists(st.integers(-9000, 9000), min_size=2, max_size=60))
def test_agrees_with_a_well_kept_library(steps):
    empyrical = pytest.importorskip("empyrical")
    pandas = pytest.importorskip("pandas")
    assume(len(set(steps)) > 1)
    returns = [D(step).scaleb(-5) for step in steps]
    series = pandas.Series([float(one) for one in returns])
    values = [D(100)]
    for one in returns:
        values.append(values[-1] * (1 + one))

    def equal(ours: D | None, theirs: float) -> None:
        if ours is None:
            assert math.isnan(theirs) or math.isinf(theirs)
        else:
            assert float(ours) == pytest.approx(theirs, rel=1e-9, abs=1e-12)

    equal(
        metrics.sharpe_ratio(returns, intervals_per_year=metrics.HOURS_PER_YEAR),
        empyrical.sharpe_ratio(series, annualization=8760),
    )
    equal(metrics.sortino_ratio(returns, intervals_per_year=YEARLY), empyrical.sortino_ratio(series, annualization=365))
    equal(
        metrics.volatility(returns, intervals_per_year=YEARLY), empyrical.annual_volatility(series, annualization=365)
    )
    equal(metrics.compounded(returns), empyrical.cum_returns_final(series))
    equal(metrics.total_return(first=values[0], last=values[-1]), empyrical.cum_returns_final(series))
    equal(metrics.max_drawdown(values), -empyrical.max_drawdown(series))


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=40))
def test_returns_compound_to_the_whole(cents):
    values = [D(cent) / 100 for cent in cents]
    returns = metrics.interval_returns(values)
    whole = metrics.total_return(first=values[0], last=values[-1])
    assert abs(metrics.compounded(returns) - whole) < D("1e-40") * (1 + abs(whole))


def test_says_when_luck_explains_a_return():
    # Up and down in turn, and a steady rise with the same noise: only the second cannot be chance.
    noise = [D("0.01"), D("-0.0099")] * 100
    rise = [one + D("0.005") for one in noise]
    drift, steady = compounded_interval(noise[:-1] + [D("0.0098")], seed=7), compounded_interval(rise, seed=7)
    assert steady.low > 0 and is_distinguishable(steady) is True
    assert drift.low <= metrics.compounded(noise) <= drift.high
    assert are_distinguishable(drift, steady) is True
    middle = mean_interval(rise, seed=7)
    assert middle.low <= metrics.mean(rise) <= middle.high and middle.low > 0
    jumps = [D("0.2") if number % 7 == 0 else D("-0.04") for number in range(70)]
    assert is_distinguishable(compounded_interval(jumps, seed=7)) is False


def test_gives_the_same_interval_for_the_same_seed_and_none_for_too_little():
    returns = [D(number % 11 - 5).scaleb(-3) for number in range(100)]
    assert compounded_interval(returns, seed=1) == compounded_interval(returns, seed=1)
    assert compounded_interval(returns, seed=1) != compounded_interval(returns, seed=2)
    assert compounded_interval(returns[:7], seed=1) is None
    assert mean_interval([], seed=1) is None
    assert is_distinguishable(None) is None
    one = Interval(D(0), D(1))
    assert are_distinguishable(one, None) is None
    assert are_distinguishable(one, Interval(D(1), D(2))) is False
    assert are_distinguishable(one, Interval(D("1.1"), D(2))) is True
