"""Replays as pure rules: what two answers have in common, what another prompt is told, and what a simulated account comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.rules import prompt, tools
from arena.rules.book import Book, Held
from arena.rules.execution import Guards, fee, fill_price, liquidation_price
from arena.rules.shadow import agrees, decision_of, looked_up, read_rules, with_prompt, without_tools
from arena.rules.simulation import replay_decisions, replay_fills, unslipped
from arena.rules.words import ReplyAction
from arena.services.execute_turn import decision_json
from arena.types import Costs, Decision, Limits, MarketRule, OpenPosition, Portfolio
from arena.types_models import Step, ToolResult
from arena.types_shadow import Bar, OtherRules, RealFill, Record, Simulated, StoredTurn
from exchanges.types import Side
from ledger.rules.words import Action, Cause

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
BTC, ETH = "BTC/USDT", "ETH/USDT"
MARKETS = {name: MarketRule(name, None, D("0.01"), D("0.001"), max_leverage=D(50)) for name in (BTC, ETH)}
LIMITS = Limits(symbols=frozenset(MARKETS), max_leverage=D(50), cooldown=timedelta(0))
COSTS = Costs(fee_ratio=D("0.001"), slippage_ratio=D(0))
LONG, SHORT, CLOSE, HOLD = ReplyAction.LONG, ReplyAction.SHORT, ReplyAction.CLOSE, ReplyAction.HOLD


def asks(*pairs: tuple[str, str | None]) -> list[dict[str, Any]]:
    return [{"action": action, "symbol": symbol, "size": 50 + place} for place, (action, symbol) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("mine", "real", "held", "expected"),
    [
        ([("LONG", BTC)], [("LONG", BTC)], [], True),  # whatever the sizes
        ([("LONG", BTC)], [("SHORT", BTC)], [], False),
        ([("LONG", BTC)], [("LONG", ETH)], [], False),
        ([("LONG", BTC), ("HOLD", ETH)], [("LONG", BTC)], [], True),  # a HOLD changes nothing
        ([], [("HOLD", None)], [], True),
        ([("HOLD", BTC)], [("CLOSE", BTC)], [BTC], False),
        ([("LONG", BTC), ("CLOSE", ETH)], [("CLOSE", ETH), ("LONG", BTC)], [ETH], True),  # in whatever order
        ([("CLOSE", "*")], [("CLOSE", BTC), ("CLOSE", ETH)], [BTC, ETH], True),
        ([("CLOSE", "*")], [("CLOSE", BTC)], [BTC, ETH], False),
        ([("LONG", BTC), ("LONG", ETH)], [("LONG", BTC)], [], False),
    ],
)
def test_answers_agree_where_they_ask_the_same_of_the_same_symbols(
    mine: Any, real: Any, held: list[str], expected: bool
) -> None:
    assert agrees(asks(*mine), asks(*real), held=held) is expected
    assert agrees(asks(*real), asks(*mine), held=held) is expected


def test_another_prompt_is_told_the_figures_of_that_very_briefing() -> None:
    held = OpenPosition(uuid4(), BTC, Action.LONG, D("0.5"), D(61_000), D(100), D(3), NOW, D(62_000), D(500))
    portfolio = Portfolio(D("9900.5"), D("10500.25"), None, D(10_000), (held,))
    markets = {BTC: replace(MARKETS[BTC], price=D(62_000)), "A</data>/USDT": replace(MARKETS[ETH], price=D(5))}
    briefing = prompt.briefing(
        portfolio=portfolio, markets=markets, decisions=[], summary="It is 2026-11-22T10:00:00Z.\n\nYour money:",
        cooldowns={}, now=NOW,
    )  # fmt: skip
    values = prompt.values_of(portfolio=portfolio, markets=markets, now=NOW)
    every = " ".join("{{" + name + "}}" for name in prompt.PLACEHOLDERS)
    # A prompt that looks like a briefing itself is no reason to cut in the wrong place.
    sly = 'Old.\n\nIt is 2020-01-01T00:00:00Z.\n\nYour money:\n<data name="portfolio">\n{}\n</data>'
    for old in ("Old prompt.", sly, every):
        told = f"{prompt.render(old, values)}\n\n{briefing}"
        assert with_prompt(told, f"New: {every}") == f"New: {prompt.render(every, values)}\n\n{briefing}"
    assert with_prompt("Old prompt, and no briefing.", "New prompt.") is None


def test_a_bot_that_thought_in_steps_is_replayed_with_what_it_had_looked_up_and_without_tools() -> None:
    told = prompt.instructions(LIMITS, COSTS)
    assert without_tools(told + tools.instructions(6)) == without_tools(told) == told
    step = Step("opaque words of another provider", (ToolResult("1", "candles", '{"close": "61000"}'),))
    assert "candles" in looked_up([step]) and "61000" in looked_up([step]) and "opaque" not in looked_up([step])
    assert looked_up([]) == ""


def test_a_stored_decision_comes_back_as_it_was() -> None:
    whole = Decision(LONG, BTC, D(100), D("0.1"), D(3), D("58000.5"), D(70_000), D("0.6"), "stars")
    for one in (whole, Decision(HOLD)):
        assert decision_of(decision_json(one)) == one


@pytest.mark.parametrize("rules", [{"leverage": 1}, {"fee_rate": -1}, {"fee_rate": 2}, {"slippage_bps": "NaN"},
                                   {"stop_loss_ratio": True}, {"take_profit_ratio": []}])  # fmt: skip
def test_a_rule_is_a_number_within_its_bounds(rules: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"number from|a rule is one of"):
        read_rules(rules)


@settings(max_examples=300, deadline=None)
@given(
    price=st.decimals("0.0001", "100000", places=6), slippage=st.decimals("0", "0.1", places=5),
    side=st.sampled_from(list(Side)), tick=st.sampled_from([None, D("0.01"), D("0.0005"), D("0.1")]),
)  # fmt: skip
def test_the_market_behind_a_fill_fills_at_the_same_price_again(
    price: D, slippage: D, side: Side, tick: D | None
) -> None:
    fill = fill_price(side=side, price=price, slippage_ratio=slippage, tick=tick)
    market = unslipped(side=side, fill=fill, slippage_ratio=slippage)
    again = fill_price(side=side, price=market, slippage_ratio=slippage, tick=tick)
    assert abs(again - fill) <= (D(0) if tick and fill > tick else D("1e-17"))


def turn(number: int, prices: dict[str, Any], **more: Any) -> StoredTurn:
    at = NOW + timedelta(minutes=10 * number)
    shown = {name: D(str(price)) for name, price in prices.items()}
    return StoredTurn(
        UUID(int=number), number, at, at + timedelta(seconds=3), shown, balance=D(10_000), positions=(), cooldowns={},
        limits=LIMITS, costs=COSTS, starting_balance=D(10_000), **more,
    )  # fmt: skip


def bar(symbol: str, minute: int, *figures: Any) -> Bar:
    """Open, high, low, close of five minutes."""
    at = NOW + timedelta(minutes=minute)
    return Bar(symbol, at, at + timedelta(minutes=5), *(D(str(figure)) for figure in figures))


def simulate(
    turns: Sequence[StoredTurn], answers: dict[int, list[Decision]], bars: Sequence[Bar] = ()
) -> Simulated:  # fmt: skip
    record = Record(tuple(turns), (), tuple(bars), MARKETS)
    return replay_decisions(record, {UUID(int=number): said for number, said in answers.items()})


BUY = Decision(LONG, BTC, size=D(1_000), leverage=D(2), stop_loss=D(95), take_profit=D(110))  # 20 at 100
SELL = Decision(SHORT, BTC, size=D(1_000), leverage=D(2), stop_loss=D(105), take_profit=D(90))


@pytest.mark.parametrize(
    ("decision", "bars", "closes_at"),
    [
        (BUY, [bar(BTC, 15, 99, 101, 96, 98)], None),  # nothing is reached
        (BUY, [bar(BTC, 15, 99, 101, 94, 98)], 95),  # within a bar at the stop
        (BUY, [bar(BTC, 15, 93, 97, 92, 96)], 93),  # a gap: at the first price seen
        (BUY, [bar(BTC, 15, 99, 111, 94, 98)], 95),  # both in one bar: the stop comes first
        (BUY, [bar(BTC, 15, 99, 111, 96, 98)], 110),
        (BUY, [bar(BTC, 15, 115, 116, 112, 113)], 115),
        (BUY, [bar(BTC, 5, 99, 120, 80, 98)], None),  # a bar from before it was opened
        (BUY, [bar(BTC, 8, 99, 120, 80, 98)], None),  # it was opened within the bar: only its last price counts
        (BUY, [bar(BTC, 8, 99, 120, 80, 94)], 94),
        (BUY, [bar(ETH, 15, 50, 50, 50, 50)], None),
        (
            replace(BUY, stop_loss=None, leverage=D(10), size=D(200)),
            [bar(BTC, 15, 95, 96, 80, 90)],
            "90.45",
        ),  # margin ends
        (SELL, [bar(BTC, 15, 101, 106, 96, 98)], 105),
        (SELL, [bar(BTC, 15, 107, 108, 104, 105)], 107),
        (SELL, [bar(BTC, 15, 101, 106, 89, 98)], 105),
        (SELL, [bar(BTC, 15, 101, 103, 89, 98)], 90),
    ],
)
def test_stops_fill_by_bars_at_prices_that_were_seen_and_the_worse_one_first(
    decision: Decision, bars: list[Bar], closes_at: Any
) -> None:
    turns = [turn(1, {BTC: 100, ETH: 50}), turn(2, {BTC: 98, ETH: 50})]
    found = simulate(turns, {1: [decision]}, bars)
    price = D(98) if closes_at is None else D(str(closes_at))
    gain = (price - 100) * 20 * (1 if decision.action == LONG else -1)
    fees = (20 * D(100) + (20 * price if closes_at else 0)) * D("0.001")
    assert (found.simulated.closed, found.simulated.trades) == ((0, 1) if closes_at is None else (1, 2))
    assert found.simulated.equity == 10_000 + gain - fees
    assert found.real.equity == 10_000 and found.real.trades == 0
    assert found.simulated.fees == fees


def test_without_bars_the_next_turns_prices_decide() -> None:
    found = simulate([turn(1, {BTC: 100}), turn(2, {BTC: 70}), turn(3, {BTC: 130})], {1: [BUY]})
    assert found.simulated.equity == 10_000 - 20 * 30 - 20 * (100 + 70) * D("0.001")
    assert found.turns[1].equity == found.simulated.equity  # closed when it was seen, not a turn later


def test_what_only_the_real_bot_holds_is_not_closed_and_what_the_simulation_holds_is_not_opened_again() -> None:
    turns = [turn(number, {BTC: 100}) for number in (1, 2, 3)]
    found = simulate(turns, {1: [Decision(CLOSE, BTC)], 2: [BUY], 3: [BUY]})
    notes = [" ".join(one.notes) for one in found.turns]
    assert "nothing of it is held" in notes[0]
    assert "Opened LONG BTC/USDT: 20 at 100, 2x" in notes[1]
    assert "is open already" in notes[2]
    assert found.simulated.trades == 1


def test_a_position_without_a_price_has_no_known_worth_and_no_zero() -> None:
    found = simulate([turn(1, {BTC: 100}), turn(2, {ETH: 50})], {1: [BUY]})
    assert (found.turns[1].equity, found.simulated.equity, found.simulated.profit) == (None, None, None)
    assert found.turns[1].real_equity == 10_000


def real_fill(minute: float, price: Any, *, is_entry: bool, cause: Cause = Cause.MODEL, **more: Any) -> RealFill:
    level = liquidation_price(
        action=Action.LONG, entry_price=D(100), leverage=D(2), maintenance_ratio=COSTS.maintenance_ratio
    )
    charged = fee(notional=D(str(price)) * 20, fee_ratio=COSTS.fee_ratio)
    guards = {"stop_loss": D(95), "take_profit": D(110), "liquidation_price": level} if is_entry else {}
    return RealFill(
        NOW + timedelta(minutes=minute), UUID(int=77), BTC, Action.LONG, is_entry, D(str(price)), D(20), D(2), charged, cause,
        **(guards | more),
    )  # fmt: skip


TURNS = (turn(1, {BTC: 100}), turn(2, {BTC: 102}), turn(3, {BTC: 108}))
ENTRY = real_fill(10.05, 100, is_entry=True)


@pytest.mark.parametrize(
    ("rules", "profit"),
    [
        (OtherRules(), "135.86"),  # 20 x 7, less 2 and 2.14
        (OtherRules(fee_ratio=D(0)), "140"),
        (OtherRules(stop_loss_ratio=D("0.01")), "-23.98"),  # 99, in the bar
        (OtherRules(take_profit_ratio=D("0.02")), "35.96"),  # 102, at the turn
        (
            OtherRules(stop_loss_ratio=D(0), take_profit_ratio=D(0)),
            "135.86",
        ),  # no stops at all: the bot's close closes it
    ],
)
def test_the_same_entries_under_other_rules(rules: OtherRules, profit: str) -> None:
    leaves = real_fill(25, 107, is_entry=False)
    low = bar(BTC, 12, 100, "101.5", "98.5", 101)
    turns = (*TURNS[:2], replace(TURNS[2], balance=D("10135.86")))  # as its bot was told
    found = replay_fills(Record(turns, (ENTRY, leaves), (low,), MARKETS), rules)
    assert found.simulated.profit == D(profit)
    assert found.real.profit == D("135.86")


def test_a_real_stop_closes_what_has_the_same_stop_at_the_price_that_was_seen_then() -> None:
    """Bars know less: this one saw 94.5 first, and the next one 80."""
    stopped = real_fill(14, "94.5", is_entry=False, cause=Cause.STOP_LOSS)
    turns = (TURNS[0], *(replace(one, balance=D("9886.11")) for one in TURNS[1:]))
    record = Record(turns, (ENTRY, stopped), (bar(BTC, 11, 99, 99, 80, 90),), MARKETS)
    found = replay_fills(record, OtherRules())
    assert found.simulated == found.real
    assert found.simulated.equity == 10_000 - 20 * D("5.5") - 20 * (100 + D("94.5")) * D("0.001")
    wider = replay_fills(record, OtherRules(stop_loss_ratio=D("0.3")))
    assert wider.simulated.closed == 0 and wider.simulated.profit == 20 * 8 - 2


def test_what_the_balance_does_not_cover_becomes_smaller_or_is_left_out() -> None:
    poor = replace(TURNS[0], balance=D("1002.5"))
    dear = OtherRules(fee_ratio=D("0.02"))
    found = replay_fills(Record((poor, *TURNS[1:]), (ENTRY,), (), MARKETS), dear)
    assert any("became smaller" in note for note in found.turns[0].notes)
    assert found.simulated.trades == 1 and found.simulated.equity is not None
    none = replay_fills(Record((replace(poor, balance=D(40)), *TURNS[1:]), (ENTRY,), (), MARKETS), dear)
    assert any("left out" in note for note in none.turns[0].notes)
    assert none.simulated.equity == 40


figures = st.decimals("50", "150", places=2)
said = st.builds(
    Decision, action=st.sampled_from(list(ReplyAction)), symbol=st.sampled_from([BTC, ETH]),
    size=st.decimals("40", "4000", places=2), leverage=st.integers(1, 60).map(D),
    stop_loss=st.none() | figures, take_profit=st.none() | figures,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(path=st.lists(st.tuples(figures, figures, st.lists(said, max_size=3)), min_size=1, max_size=12),
       bars=st.lists(st.tuples(st.integers(0, 120), figures, figures, figures, figures), max_size=10),
       fee_ratio=st.decimals("0", "0.01", places=4), slippage=st.decimals("0", "0.01", places=4),
       rate=st.decimals("-0.01", "0.01", places=3))  # fmt: skip
def test_no_path_of_prices_leaves_equity_other_than_what_came_in_and_went_out(
    path: list[Any], bars: list[Any], fee_ratio: D, slippage: D, rate: D
) -> None:
    """Counted again from nothing but entries, exits, fees and funding, as the books were told of them."""
    costs = Costs(fee_ratio=fee_ratio, slippage_ratio=slippage)
    turns = [
        turn(number, {BTC: one, ETH: two}, funding_rate_8h=rate) for number, (one, two, _) in enumerate(path, start=1)
    ]
    turns = [replace(one, costs=costs) for one in turns]
    answers = {UUID(int=number): answer for number, (_, _, answer) in enumerate(path, start=1)}
    spans = [bar(BTC, 5 * (m // 5), o, max(o, h, low, c), min(o, h, low, c), c) for m, o, h, low, c in bars]
    told: list[tuple[str, Held, D, D]] = []

    class Told(Book):
        def enter(self, held: Held, quantity: D, *, price: D, leverage: D, fee: D) -> None:
            super().enter(held, quantity, price=price, leverage=leverage, fee=fee)
            told.append(("enter", held, price, fee))

        def leave(self, held_id: UUID, *, price: D, fee: D) -> D | None:
            told.append(("leave", self.held[held_id], price, fee))
            return super().leave(held_id, price=price, fee=fee)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("arena.rules.simulation.Book", Told)
        found = replay_decisions(Record(tuple(turns), (), tuple(spans), MARKETS), answers)
    gained, at = D(0), {BTC: path[-1][0], ETH: path[-1][1]}
    open_: dict[UUID, tuple[Held, D]] = {}
    for what, held, price, _ in told:
        if what == "enter":
            open_[held.id] = (held, price)
        else:
            entry = open_.pop(held.id)[1]
            gained += _gain(held.guards.action, held.position.quantity, entry, price)
    gained += sum((_gain(h.guards.action, h.position.quantity, e, at[h.symbol]) for h, e in open_.values()), D(0))
    assert found.simulated.equity is not None
    assert abs(found.simulated.equity - (10_000 + gained - found.simulated.fees)) <= D("1e-15")
    assert found.simulated.trades == len(told)
    worst = found.simulated.max_drawdown_ratio
    assert worst is not None and worst >= 0


def _gain(action: Action, quantity: D, entry: D, leave: D) -> D:
    return (leave - entry) * quantity * (1 if action == Action.LONG else -1)


def test_guards_of_a_held_position_are_those_of_execution() -> None:
    held = Held(uuid4(), BTC, NOW, Guards(Action.LONG, D(95), D(110), D(51)))
    assert [held.due(D(price)) for price in (100, 95, 110, 50)] == [
        None, Cause.STOP_LOSS, Cause.TAKE_PROFIT, Cause.LIQUIDATION,
    ]  # fmt: skip
