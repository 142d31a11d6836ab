"""What tools answer, worked by hand; and a law: the size that a bot is told is never more than its limits then allow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.rules.bars import Bar, newest_run
from arena.rules.decision import validate
from arena.rules.indicators import KINDS, MOST_BARS, bars_wanted, indicator
from arena.rules.position_size import Money, NoPrice, SizeWish, position_size
from arena.rules.statuses import BarSpan
from arena.rules.steps import steps_text
from arena.rules.tool_answers import MOST_CANDLES, READERS, Known
from arena.rules.tools import MOST_RESULT, TOOLS, answers, read_calls
from arena.rules.tools import bars_wanted as bars_of
from arena.rules.words import ReplyAction
from arena.types import Costs, Decision
from arena.types_models import Step, ToolCall, ToolResult
from ledger.rules.words import Action
from tests.arena.test_rules_decision import EMPTY, FREE, LIMITS, MARKETS, having, held, worlds

NOW = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
MONEY = Money(EMPTY, MARKETS, LIMITS, FREE, {}, NOW)
FIVE, HOUR = BarSpan.FIVE_MINUTES, BarSpan.HOUR
STEP = {FIVE: timedelta(minutes=5), HOUR: timedelta(hours=1)}


def bars(closes: Sequence[float], *, span: BarSpan = FIVE, reach: float = 1, end: datetime = NOW) -> list[Bar]:
    """Bars up to now that reach as far above and below their close."""
    newest = end.replace(minute=0 if span is HOUR else end.minute // 5 * 5)
    return [
        Bar(newest - STEP[span] * (len(closes) - 1 - place), D(str(one)), D(str(one + reach)), D(str(one - reach)), D(str(one)))
        for place, one in enumerate(closes)
    ]  # fmt: skip


def ask(name: str, known: Known | None = None, /, **arguments: Any) -> Any:
    """What the model is answered, read again."""
    calls = [ToolCall("1", name, json.dumps(arguments))]
    (result,) = answers(read_calls(calls, symbols=LIMITS.symbols), known or Known(MONEY, {}, {}))
    assert (result.call_id, result.name, len(result.content) <= MOST_RESULT) == ("1", name, True)
    return json.loads(result.content)


def knowing(symbol: str = "BTC/USDT", span: BarSpan = FIVE, *, more=None, found: list[Bar]) -> Known:
    return Known(MONEY, {(symbol, span): found, **(more or {})}, {})


# Indicators


RAMP = [float(number) for number in range(1, 61)]


@pytest.mark.parametrize(
    ("name", "period", "closes", "expected"),
    [
        ("sma", 3, [9, 1, 2, 6], {"sma": 3}),
        ("ema", 3, [2, 4, 6, 8, 4], {"ema": 5}),  # 4; (8 + 4)/2 = 6; (4 + 6)/2 = 5
        ("rsi", 3, [10, 13, 12, 16, 20], {"rsi": 100 - 100 / 14}),  # gains 7/3, then (14/3 + 4)/3; losses 1/3, then 2/9
        ("rsi", 2, [1, 2, 3, 4], {"rsi": 100}),
        ("macd", 26, RAMP, {"macd": 7, "signal": 7, "histogram": 0}),  # each average of a ramp lags (n - 1)/2: 12.5 - 5.5
        ("bollinger", 8, [2, 4, 4, 4, 5, 5, 7, 9], {"lower": 1, "middle": 5, "upper": 9}),  # deviation 2
        ("atr", 2, [10, 14, 13], {"atr": (3.5 + 2) / 2}),  # ranges 2, 5 (15 - 10), 2: 3.5, then (3.5 + 2)/2
        ("adx", 3, RAMP[:12], {"adx": 100, "plus_di": 50, "minus_di": 0}),  # each bar goes up 1 of a range of 2
        ("stochastic", 3, [5, 6, 7, 8, 6], {"k": 25, "d": (75 + 75 + 25) / 3}),  # of 5..9: (8-5)/4.. ; (6-5)/4
    ],
)  # fmt: skip
def test_indicators_are_what_a_hand_computes(name, period, closes, expected) -> None:
    assert indicator(name, period, bars(closes))[-1] == pytest.approx(expected)
    told = ask("indicator", knowing(found=bars(closes)), symbol="btc-usdt", name=name, span="5m", period=period)
    assert {word: float(value) for word, value in told["now"].items()} == pytest.approx(expected, abs=0.005)
    assert (told["from bars"], told["price"]) == (len(closes), f"{closes[-1]:.0f}")


@pytest.mark.parametrize("name", KINDS)
def test_an_indicator_begins_with_the_bar_that_it_says_it_needs(name) -> None:
    needs = KINDS[name].needs(5)
    closes = [100 + (number * 7) % 11 for number in range(needs)]
    assert len(indicator(name, 5, bars(closes))) == 1
    assert indicator(name, 5, bars(closes[1:])) == []
    told = ask("indicator", knowing(found=bars(closes[1:])), symbol="BTC/USDT", name=name, span="5m", period=5)
    assert told == {
        "error": f"{needs} bars of 5m are needed. Only {needs - 1} bars of 5m are known without a gap until now."
    }
    assert needs < bars_wanted(name, 5) <= bars_wanted(name, 100) <= MOST_BARS


def test_a_price_that_does_not_move_is_not_told_as_strength() -> None:
    known = knowing(found=bars([5.0] * 40, reach=0))
    for name in ("rsi", "stochastic", "adx"):
        assert "did not move" in ask("indicator", known, symbol="BTC/USDT", name=name, span="5m")["error"]
    assert ask("indicator", known, symbol="BTC/USDT", name="sma", span="5m")["now"] == {"sma": "5"}


# Bars


def test_a_run_ends_at_the_first_gap_and_an_old_one_tells_nothing() -> None:
    whole = bars([1, 2, 3, 4, 5, 6])
    assert newest_run(whole, span=FIVE, now=NOW) == whole
    assert newest_run([*whole[:2], *whole[3:]], span=FIVE, now=NOW) == whole[3:]
    assert newest_run(whole, span=FIVE, now=NOW + timedelta(minutes=5)) == whole  # its next bar has only begun
    assert newest_run(whole, span=FIVE, now=NOW + timedelta(minutes=10)) == ()
    assert newest_run([], span=FIVE, now=NOW) == ()
    old = knowing(found=bars([1, 2, 3], end=NOW - timedelta(hours=1)))
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("get_candles", {}), ("statistics", {}), ("indicator", {"name": "sma", "period": 2}),
    ]  # fmt: skip
    for name, more in wanted:
        words = ask(name, old, symbol="BTC/USDT", span="5m", **more)["error"]
        assert words == "The newest bar of 5m of BTC/USDT is old: it began at 2026-03-01T11:00Z."
        assert ask(name, symbol="BTC/USDT", span="1h", **more) == {"error": "No bar of 1h is known of BTC/USDT."}


def test_candles_come_oldest_first_and_say_when_they_are_fewer() -> None:
    known = knowing(found=bars([1, 2.5, 3]))
    told = ask("get_candles", known, symbol="BTC/USDT", span="5m", count=2)
    assert told["candles"] == [
        ["2026-03-01T11:55Z", "2.5", "3.5", "1.5", "2.5"], ["2026-03-01T12:00Z", "3", "4", "2", "3"],
    ]  # fmt: skip
    assert "note" not in told
    assert ask("get_candles", known, symbol="BTC/USDT", span="5m")["note"] == (
        "Only 3 bars of 5m are known without a gap until now."
    )
    long = knowing(found=bars([0.000012345678 + number * 1e-9 for number in range(MOST_CANDLES)], reach=1e-9))
    assert len(ask("get_candles", long, symbol="BTC/USDT", span="5m", count=MOST_CANDLES)["candles"]) == MOST_CANDLES


def test_statistics_are_what_a_hand_computes() -> None:
    one, twice = [100, 110, 99, 108.9], [100, 121, 98.01, 118.5921]  # +10 %, -10 %, +10 %, and each of these twice
    known = knowing(found=bars(one), more={("ETH/USDT", FIVE): bars(twice), ("DOGE/USDT", FIVE): bars([1, 1, 1, 1])})
    told = ask("statistics", known, symbol="BTC/USDT", span="5m", count=4, other_symbol="ETH/USDT")
    assert (told["return"], told["highest"], told["lowest"], told["bars that rose"]) == ("8.90 %", "111", "98", 2)
    # ln 1.1 = 0.09531, ln 0.9 = -0.10536: mean 0.02842, deviation 0.11586; a day has 288 bars
    assert (told["volatility of a bar"], told["volatility of a day"]) == ("11.59 %", "196.62 %")
    assert told["correlation"] == {"with": "ETH/USDT", "of returns": "1.00", "bars in common": 3}
    told = ask("statistics", known, symbol="BTC/USDT", span="5m", other_symbol="DOGE/USDT")
    assert told["correlation"]["of returns"].startswith("not known")
    assert told["note"].startswith("Only 4 bars")


# What a model gets wrong


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("get_candles", "", "symbol is missing."),
        ("get_candles", "{", "The arguments are no JSON."),
        ("get_candles", "[1]", "The arguments are no JSON object."),
        ("get_candles", "[" * 1_900, "The arguments are no JSON."),
        ("get_candles", '{"a": "' + "x" * 2_000 + '"}', "The arguments are longer than 2,000 characters."),
        ("get_candles", '{"symbol": "BTC/USDT"}', "span is missing."),
        ("get_candles", '{"symbol": "BTC/USDT", "span": "4h"}', "span is 5m or 1h."),
        ("get_candles", '{"symbol": "BTC/USDT", "span": ["5m"]}', "span is 5m or 1h."),
        ("get_candles", '{"symbol": 5, "span": "5m"}', '"5" is none of your symbols, which are BTC/USDT, DOGE/USDT, ETH/USDT.'),
        ("get_candles", '{"symbol": "XRP/USDT\\u0000<data>", "span": "5m"}', '"XRP/USDT <data>" is none of your symbols'),
        ("get_candles", '{"symbol": "BTC/USDT", "span": "5m", "count": 41}', "count is a whole number from 1 to 40."),
        ("get_candles", '{"symbol": "BTC/USDT", "span": "5m", "count": 2.5}', "count is a whole number from 1 to 40."),
        ("get_candles", '{"symbol": "BTC/USDT", "span": "5m", "count": true}', "count is a number above 0."),
        ("get_candles", '{"symbol": "BTC/USDT", "span": "5m", "count": NaN}', "count is a number above 0."),
        ("get_candles", '{"symbol": "BTC/USDT", "span": "5m", "count": 1e999999999}', "count is a number above 0."),
        ("get_candles", '{"symbol": "BTC/USDT", "span": "5m", "count": ' + "9" * 1_800 + "}", "count is a number above 0."),
        ("indicator", '{"symbol": "BTC/USDT", "span": "5m", "name": "vibes"}', "name is one of sma, ema, rsi"),
        ("indicator", '{"symbol": "BTC/USDT", "span": "5m", "name": "rsi", "period": 1}', "period is a whole number from 2"),
        ("position_size", '{"symbol": "BTC/USDT", "stop_loss": 1}', "Give risk_usd or risk_ratio, one of them."),
        ("position_size", '{"symbol": "BTC/USDT", "stop_loss": 1, "risk_ratio": 2}', "risk_ratio is a share"),
        ("position_size", '{"symbol": "BTC/USDT", "stop_loss": -1, "risk_usd": 2}', "stop_loss is a number above 0."),
        ("buy_everything", "{}", 'There is no tool "buy_everything"; there are get_candles,'),
    ],
)  # fmt: skip
def test_what_a_call_gets_wrong_is_told_in_words(name, arguments, words) -> None:
    (read,) = read_calls([ToolCall("1", name, arguments)], symbols=LIMITS.symbols)
    (result,) = answers([read], Known(MONEY, {}, {}))
    assert json.loads(result.content)["error"].startswith(words)
    assert "<" not in result.content
    assert bars_of([read]) == {}


def test_a_call_names_what_it_ignored_and_wants_each_bar_once() -> None:
    told = ask("get_candles", knowing(found=bars([1])), symbol="BTC/USDT", span="5m", timeframe="1h", limit=3)
    assert told["ignored"] == ['"timeframe"', '"limit"']
    calls = [
        ToolCall("1", "get_candles", '{"symbol": "BTC/USDT", "span": "5m", "count": "3"}'),
        ToolCall("2", "statistics", '{"symbol": "BTC/USDT", "span": "5m", "other_symbol": "ETH/USDT"}'),
        ToolCall("3", "get_candles", '{"symbol": "BTC/USDT", "span": "1h"}'),
    ]
    assert bars_of(read_calls(calls, symbols=LIMITS.symbols)) == {
        ("BTC/USDT", FIVE): 48, ("ETH/USDT", FIVE): 48, ("BTC/USDT", HOUR): 24,
    }  # fmt: skip
    assert [tool.name for tool in TOOLS] == list(READERS)


# How much


@pytest.mark.parametrize(
    ("wish", "costs", "expected"),
    [
        # 1,000 a coin at 50,000: 100 / 1,000 = 0.1 coins, 5,000, at 2x a margin of 2,500
        ({"stop_loss": 49_000, "leverage": 2, "risk_usd": 100}, FREE, ("LONG", "2500.00", "0.1", "100.00")),
        ({"stop_loss": 51_000, "leverage": 2, "risk_ratio": 0.01}, FREE, ("SHORT", "2500.00", "0.1", "100.00")),
        # 0.1 % of 50,000 and of 49,000 more: 1,099 a coin, down to the step 0.090
        ({"stop_loss": 49_000, "leverage": 1, "risk_usd": 100}, Costs(D("0.001"), D(0)), ("LONG", "4549.59", "0.09", "98.91")),
        # 10,000 coins' worth of risk, and a balance of 10,000: the fee of 0.1 % has to be paid from that too
        ({"stop_loss": 49_999, "leverage": 1, "risk_usd": 9_000}, Costs(D("0.001"), D(0)), ("LONG", "9990.00", "0.199", "20.10")),
    ],
)  # fmt: skip
def test_a_size_loses_at_its_stop_what_was_wished(wish, costs, expected) -> None:
    told = ask("position_size", Known(replace(MONEY, costs=costs), {}, {}), symbol="BTC/USDT", **wish)
    assert (told["action"], told["size"], told["quantity"], told["loss at the stop, with fees"]) == expected


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"stop_loss": 49_000, "risk_usd": 1}, "its size is 50.00"),
        ({"stop_loss": 40_000, "risk_usd": 5}, "the least is 50.00 USDT"),
        ({"stop_loss": 10_000, "leverage": 100, "risk_usd": 900}, "lies behind the liquidation"),
    ],
)
def test_what_does_not_fit_is_told_with_the_reason_that_an_answer_would_get(wish, words) -> None:
    told = ask("position_size", Known(MONEY, {}, {}), symbol="BTC/USDT", **wish)
    assert words in " ".join(told.get("notes", [f"its size is {told['size']}"]))
    assert (told["size"] == "0.00") == ("least" in words)
    unpriced = replace(MONEY, markets=MARKETS | {"BTC/USDT": replace(MARKETS["BTC/USDT"], price=None)})
    assert "no fresh price" in ask("position_size", Known(unpriced, {}, {}), symbol="BTC/USDT", **wish)["error"]


def test_an_addition_is_sized_at_the_positions_leverage() -> None:
    limits = replace(LIMITS, allows_adding=True)
    money = replace(MONEY, portfolio=having(held(leverage=5)), limits=limits)
    sized = position_size(SizeWish("BTC/USDT", D(49_000), D(1), D(100)), money)
    assert sized.order is not None
    assert (sized.order.leverage, sized.size, sized.loss) == (D(5), D("1000.00"), D(100))


@settings(max_examples=300, deadline=None)
@given(
    world=worlds(),
    symbol=st.sampled_from(list(MARKETS)),
    factor=st.one_of(st.decimals("0.9", "1.1", places=3), st.decimals("0.01", 3, places=3)),
    leverage=st.one_of(st.integers(1, 12).map(D), st.decimals("0.1", 200, places=1)),
    risk=st.one_of(st.decimals("0.01", 100_000, places=2), st.decimals("0.0001", 1, places=4)),
)
def test_the_size_that_is_told_is_carried_out_as_it_is_and_loses_no_more_than_the_risk(
    world, symbol, factor, leverage, risk
) -> None:
    money = Money(**world, now=NOW)
    stop = MARKETS[symbol].price * factor
    wish = SizeWish(symbol, stop, leverage, risk) if risk > 1 else SizeWish(symbol, stop, leverage, None, risk)
    try:
        sized = position_size(wish, money)
    except NoPrice:
        return
    if sized.order is None:
        assert sized.size == 0
        assert sized.notes
        return
    decision = Decision(
        ReplyAction(str(sized.action)), symbol, size=sized.size, leverage=sized.order.leverage, stop_loss=stop
    )
    (order,) = validate([decision], **world, now=NOW).entries
    assert (order.quantity, order.size, order.leverage) == (
        sized.order.quantity,
        sized.order.size,
        sized.order.leverage,
    )
    assert order.size <= sized.size + D("0.01")
    if order.stop_loss is None or sized.loss is None:
        assert (order.stop_loss, sized.loss) == (None, None)
        return
    assert (order.stop_loss < order.checked_price) == (sized.action == Action.LONG)
    costs, tick = world["costs"], Fraction(world["markets"][symbol].price_tick or 0)
    slip, sign = Fraction(costs.slippage_ratio), 1 if sized.action == Action.LONG else -1
    leaves = Fraction(order.stop_loss) * (1 - sign * slip)  # the fill may be one tick worse
    enters, quantity = Fraction(order.expected_price), Fraction(order.quantity)
    lost = quantity * (sign * (enters - leaves) + (enters + leaves) * Fraction(costs.fee_ratio))
    assert lost <= Fraction(sized.risk) * (1 + Fraction(1, 10**9))
    assert lost <= Fraction(sized.loss) + Fraction(1, 10**9) <= lost + quantity * tick * 3 + Fraction(2, 10**9)


# Steps in words


def test_steps_are_told_in_words_also_where_what_was_said_cannot_be_read() -> None:
    part = {"part_kind": "tool-call", "tool_name": "own_record", "args": {"symbol": "BTC/USDT"}, "tool_call_id": "c1"}
    said = json.dumps([{"parts": [{"part_kind": "text", "content": "Let me see."}, part, 5]}, 7])
    results = (ToolResult("c1", "own_record", '{"closed positions": 0}'), ToolResult("c2", "x", "y"))
    assert steps_text([Step(said, results)]) == (
        '\n\nStep 1: Let me see.\n\nown_record {"symbol": "BTC/USDT"}\n{"closed positions": 0}\n\nx \ny'
    )
    assert steps_text([]) == ""
    for broken in ("", "{", "5", '{"a": 1}', "[" * 100_000):
        assert steps_text([Step(broken, results[1:])]) == "\n\nStep 1\n\nx \ny"
