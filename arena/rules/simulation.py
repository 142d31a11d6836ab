"""What a bot's account would have come to: with other decisions, or with the same ones under other rules. Pure and exact.

A simulation begins as the real bot stood at the first turn, and goes on its own from there. It trades at the prices that
turns were shown, with the fee and slippage of that time. Between turns:

- What the real bot held too, with the same stops, is closed when and at the price at which the real one was stopped: every
  price was looked at for it. So the same rules lead to the same equity, to the last digit where no funding was paid.
- All else is held against bars of five minutes, once each is over. Where a bar opens behind a stop it fills at that price, the
  first one seen; within a bar at the stop itself; and where one bar holds both stop and profit, the stop comes first. Of the
  bar in which it was opened only the last price counts. Without bars, the prices of the next turn decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from uuid import UUID, uuid5

from arena.rules.book import Book, Held
from arena.rules.decision import validate
from arena.rules.execution import Guards, exit_side, fee, fill_price, funding_moments, liquidation_price, on_grid
from arena.rules.figures import amount_text, leverage_text, price_text
from arena.rules.risk import affordable_quantity, floor_to
from arena.types import CloseOrder, Costs, Decision, EntryOrder, OpenPosition, Portfolio
from arena.types_shadow import Bar, HeldThen, OtherRules, RealFill, Record, Simulated, StoredTurn, TurnOutcome
from exchanges.types import Side
from ledger.rules.pnl import AMOUNT_STEP, WIDE
from ledger.rules.words import Action, Cause

ONE, ZERO = Decimal(1), Decimal(0)
BY_DECISION = (Cause.MODEL, Cause.OPERATOR)
SPACE = UUID("5c1f1d1e-8a4e-4d0a-9f52-6f1f0c6f7a11")
_WORDS = {Cause.STOP_LOSS: "stop-loss", Cause.TAKE_PROFIT: "take-profit", Cause.LIQUIDATION: "liquidation",
          Cause.OPERATOR: "a person", Cause.MODEL: "the bot"}  # fmt: skip


def replay_decisions(record: Record, answers: Mapping[UUID, Sequence[Decision]]) -> Simulated:
    """What the answers (by turn) would have made, each held against the limits and prices of its turn, and against what the
    simulation itself has: closing what only the real bot holds is refused with a note."""
    return _Replay(record, answers=answers, rules=OtherRules()).play()


def replay_fills(record: Record, rules: OtherRules) -> Simulated:
    """What the bot's own entries and closes, in the same quantities, would have made under other rules. What was open at the
    first turn keeps its stops; the rules hold for what is opened from there on."""
    return _Replay(record, answers=None, rules=rules).play()


def unslipped(*, side: Side, fill: Decimal, slippage_ratio: Decimal) -> Decimal:
    """The market's price behind a fill, within a tick; with the same slippage it fills at the same price again."""
    if side == Side.BUY:
        return WIDE.divide(fill, ONE + slippage_ratio).quantize(AMOUNT_STEP, ROUND_FLOOR, WIDE)
    return (
        WIDE.divide(fill, ONE - slippage_ratio).quantize(AMOUNT_STEP, ROUND_CEILING, WIDE)
        if slippage_ratio < 1
        else fill
    )


@dataclass(frozen=True, slots=True)
class _Event:
    at: datetime
    order: int  # of events at the same moment
    act: Callable[[], None]


class _Replay:
    def __init__(self, record: Record, *, answers: Mapping[UUID, Sequence[Decision]] | None, rules: OtherRules) -> None:
        self.record, self.answers, self.rules = record, answers, rules
        first = record.turns[0]
        self.turn = first  # the newest that was reached: its costs hold until the next
        self.book, self.real = Book(first.balance), Book(first.balance)
        for one in first.positions:
            self._hold(one, first)
        self.prices: dict[str, Decimal] = dict(first.prices)  # the newest seen of each
        self.cooldowns = dict(first.cooldowns)
        self.peak = first.starting_balance if first.peak_equity is None else first.peak_equity
        self.notes: list[str] = []
        self.outcomes: list[TurnOutcome] = []

    def play(self) -> Simulated:
        self.book.value(self.prices)
        self.real.value(self.prices)
        for event in sorted(self._events(), key=lambda one: (one.at, one.order)):
            event.act()
        return Simulated(self.book.played, self.real.played, tuple(self.outcomes))

    @property
    def costs(self) -> Costs:
        now, other = self.turn.costs, self.rules
        return replace(
            now,
            fee_ratio=now.fee_ratio if other.fee_ratio is None else other.fee_ratio,
            slippage_ratio=now.slippage_ratio if other.slippage_ratio is None else other.slippage_ratio,
        )

    def _events(self) -> list[_Event]:
        turns = self.record.turns
        begin, end = turns[0].shown_at, turns[-1].decided_at
        found = [
            _Event(bar.end_at, 0, partial(self._pass, bar))
            for bar in self.record.bars if begin < bar.end_at <= end
        ]  # fmt: skip
        found += [_Event(at, 1, partial(self._pay, at)) for at in funding_moments(since=begin, until=end)]
        for fill in self.record.fills:
            if begin < fill.at <= end:
                order = 4 if fill.cause in BY_DECISION else 2
                found.append(_Event(fill.at, order, partial(self._fill, fill)))
        for turn in turns:
            found.append(_Event(turn.shown_at, 3, partial(self._look, turn)))
            if turn.is_replayed:
                found.append(_Event(turn.decided_at, 5, partial(self._end, turn)))
        return found

    def _hold(self, one: HeldThen, first: StoredTurn) -> None:
        """What is held at the beginning; its money has left the account already."""
        guards = Guards(one.action, one.stop_loss, one.take_profit, one.liquidation_price)
        for book in (self.book, self.real):
            book.hold(
                Held(one.position_id, one.symbol, first.shown_at, guards, follows=one.position_id), one.quantity,
                price=one.entry_price, leverage=one.leverage,
            )  # fmt: skip

    def _look(self, turn: StoredTurn) -> None:
        """A turn's prices are seen."""
        self.turn = turn
        self.prices |= turn.prices
        for held in list(self.book.held.values()):
            if held.follows is None and held.symbol in turn.prices:
                self._guard(held, turn.prices[held.symbol], turn.shown_at)
        # Money that came or went by other hands (funding, capital) is in what the turn was told.
        if {one.position_id for one in turn.positions} == self.real.held.keys():
            self.real.cash = turn.balance

    def _pass(self, bar: Bar) -> None:
        """A bar is over."""
        self.prices[bar.symbol] = bar.close
        for held in list(self.book.held.values()):
            if held.symbol != bar.symbol or held.follows is not None or held.watched_since >= bar.end_at:
                continue
            if held.watched_since > bar.start_at:
                self._guard(held, bar.close, bar.end_at)
            elif not self._guard(held, bar.open, bar.end_at):
                self._within(held, bar)

    def _within(self, held: Held, bar: Bar) -> None:
        guards, is_long = held.guards, held.guards.action == Action.LONG
        levels = [(guards.stop_loss, Cause.STOP_LOSS), (guards.liquidation_price, Cause.LIQUIDATION)]
        worst = bar.low if is_long else bar.high
        hit = [(level, cause) for level, cause in levels if level is not None and _is_past(worst, level, down=is_long)]
        best = bar.high if is_long else bar.low
        if not hit and guards.take_profit is not None and _is_past(best, guards.take_profit, down=not is_long):
            hit = [(guards.take_profit, Cause.TAKE_PROFIT)]
        if hit:
            level, cause = max(hit, key=lambda one: one[0] if is_long else -one[0])
            self._leave(held, level, cause, bar.end_at)

    def _guard(self, held: Held, price: Decimal, at: datetime) -> bool:
        """Whether it had to be closed at a price that was seen."""
        cause = held.due(price)
        if cause is not None:
            self._leave(held, price, cause, at)
        return cause is not None

    def _pay(self, at: datetime) -> None:
        rate = self.turn.funding_rate_8h
        if rate:
            self.book.pay_funding(self.prices, rate=rate, at=at)
            self.real.pay_funding(self.prices, rate=rate, at=at)

    def _fill(self, fill: RealFill) -> None:
        """Something of the real ledger: the real book has it as it was, the simulation as far as it concerns it."""
        side = exit_side(fill.action) if not fill.is_entry else _entry_side(fill.action)
        market = unslipped(side=side, fill=fill.price, slippage_ratio=self.turn.costs.slippage_ratio)
        if fill.is_entry:
            guards = Guards(fill.action, fill.stop_loss, fill.take_profit, fill.liquidation_price)
            held = Held(fill.position_id, fill.symbol, fill.at, guards, follows=fill.position_id)
            self.real.enter(held, fill.quantity, price=fill.price, leverage=fill.leverage, fee=fill.fee)
            if self.answers is None:
                self._enter_too(fill, market)
            return
        self.real.leave(fill.position_id, price=fill.price, fee=fill.fee)
        follower = next((one for one in self.book.held.values() if one.follows == fill.position_id), None)
        if fill.cause not in BY_DECISION:
            if follower is not None:
                self._leave(follower, market, fill.cause, fill.at)
        elif self.answers is None:
            self._leave_too(fill, market)
        elif follower is not None:
            follower.follows, follower.watched_since = None, fill.at  # nobody watches it any more but the simulation

    def _enter_too(self, fill: RealFill, market: Decimal) -> None:
        """The bot opened something: so does the simulation, in the same quantity, if it can."""
        if any(held.symbol == fill.symbol for held in self.book.held.values()):
            self.notes.append(f"{fill.action} {fill.symbol} was left out: a position in it is still open here.")
            return
        costs, rule = self.costs, self.record.markets.get(fill.symbol)
        price = fill_price(
            side=_entry_side(fill.action), price=market, slippage_ratio=costs.slippage_ratio,
            tick=rule.price_tick if rule else None,
        )  # fmt: skip
        quantity = self._affordable(fill, price, costs)
        if quantity <= 0:
            self.notes.append(f"{fill.action} {fill.symbol} was left out: the balance does not cover its margin.")
            return
        if quantity < fill.quantity:
            self.notes.append(f"{fill.action} {fill.symbol} became smaller: the balance covers no more.")
        guards = self._guards(fill, price, costs)
        real = Guards(fill.action, fill.stop_loss, fill.take_profit, fill.liquidation_price)
        held = Held(
            fill.position_id, fill.symbol, fill.at, guards, follows=fill.position_id if _same(guards, real) else None
        )
        self._enter(held, quantity, price=price, leverage=fill.leverage)

    def _affordable(self, fill: RealFill, price: Decimal, costs: Costs) -> Decimal:
        """The real quantity, or the most that the balance covers; 0: less than a bot may open."""
        if self.book.covers(fill.quantity, price=price, leverage=fill.leverage, fee_ratio=costs.fee_ratio):
            return fill.quantity
        rule = self.record.markets.get(fill.symbol)
        most = affordable_quantity(self.book.cash, leverage=fill.leverage, fill=price, costs=costs)
        quantity = floor_to((rule.quantity_step if rule else None) or AMOUNT_STEP, most)
        is_enough = quantity * price / fill.leverage >= self.turn.limits.min_size
        is_covered = self.book.covers(quantity, price=price, leverage=fill.leverage, fee_ratio=costs.fee_ratio)
        return quantity if is_enough and is_covered else ZERO

    def _guards(self, fill: RealFill, price: Decimal, costs: Costs) -> Guards:
        rule = self.record.markets.get(fill.symbol)
        tick = rule.price_tick if rule else None
        is_long = fill.action == Action.LONG

        def level(ratio: Decimal | None, was: Decimal | None, *, below: bool) -> Decimal | None:
            if ratio is None:
                return was
            made = on_grid(price * (ONE - ratio if below else ONE + ratio), tick, up=not below)
            return made if ratio and made > 0 else None

        return Guards(
            fill.action,
            level(self.rules.stop_loss_ratio, fill.stop_loss, below=is_long),
            level(self.rules.take_profit_ratio, fill.take_profit, below=not is_long),
            liquidation_price(
                action=fill.action, entry_price=price, leverage=fill.leverage, maintenance_ratio=costs.maintenance_ratio
            ),
        )

    def _leave_too(self, fill: RealFill, market: Decimal) -> None:
        held = [one for one in self.book.held.values() if one.symbol == fill.symbol]
        if not held:
            self.notes.append(f"CLOSE {fill.symbol} was left out: nothing of it is held here.")
        for one in held:
            self._leave(one, market, fill.cause, fill.at)

    def _end(self, turn: StoredTurn) -> None:
        """A turn's answer is carried out, and both books are valued."""
        if self.answers is not None:
            self._decide(turn, self.answers.get(turn.id, ()))
        equity, real = self.book.value(turn.prices), self.real.value(turn.prices)
        if equity is not None:
            self.peak = max(self.peak, equity)
        self.outcomes.append(TurnOutcome(turn.id, equity, real, tuple(self.notes)))
        self.notes = []

    def _decide(self, turn: StoredTurn, decisions: Sequence[Decision]) -> None:
        markets = {
            name: replace(rule, price=turn.prices.get(name), priced_at=turn.shown_at)
            for name, rule in self.record.markets.items()
        }
        checked = validate(
            decisions, portfolio=self._portfolio(turn), markets=markets, limits=turn.limits, costs=turn.costs,
            cooldowns=self.cooldowns, now=turn.decided_at,
        )  # fmt: skip
        self.notes += [note.text for note in checked.notes]
        for order in checked.orders:
            if isinstance(order, CloseOrder):
                self._leave(self.book.held[order.position_id], order.checked_price, Cause.MODEL, turn.decided_at)
            else:
                self._open(order, turn)

    def _open(self, order: EntryOrder, turn: StoredTurn) -> None:
        guards = Guards(order.action, order.stop_loss, order.take_profit, order.liquidation_price)
        made = uuid5(SPACE, f"{turn.id} {order.index}")
        self._enter(
            Held(made, order.symbol, turn.decided_at, guards), order.quantity, price=order.expected_price,
            leverage=order.leverage,
        )  # fmt: skip

    def _portfolio(self, turn: StoredTurn) -> Portfolio:
        book = self.book
        return Portfolio(
            balance=book.cash, equity=book.equity(turn.prices), peak_equity=self.peak,
            starting_balance=turn.starting_balance,
            positions=tuple(_open_position(one, turn.prices) for one in book.held.values()),
        )  # fmt: skip

    def _enter(self, held: Held, quantity: Decimal, *, price: Decimal, leverage: Decimal) -> None:
        charged = fee(notional=price * quantity, fee_ratio=self.costs.fee_ratio)
        self.book.enter(held, quantity, price=price, leverage=leverage, fee=charged)
        self.notes.append(
            f"Opened {held.guards.action} {held.symbol}: {price_text(quantity)} at {price_text(price)}, "
            f"{leverage_text(leverage)}, fee {amount_text(charged)}."
        )

    def _leave(self, held: Held, market: Decimal, cause: Cause, at: datetime) -> None:
        rule, costs = self.record.markets.get(held.symbol), self.costs
        price = fill_price(
            side=exit_side(held.guards.action), price=market, slippage_ratio=costs.slippage_ratio,
            tick=rule.price_tick if rule else None,
        )  # fmt: skip
        charged = fee(notional=price * held.position.quantity, fee_ratio=costs.fee_ratio)
        pnl = self.book.leave(held.id, price=price, fee=charged)
        self.cooldowns[held.symbol] = at + (self.turn.limits.cooldown or timedelta(0))
        self.notes.append(
            f"Closed {held.guards.action} {held.symbol} at {price_text(price)} ({_WORDS.get(cause, str(cause))}): "
            f"{amount_text(pnl or ZERO)}."
        )


def _open_position(held: Held, prices: Mapping[str, Decimal]) -> OpenPosition:
    price, position = prices.get(held.symbol), held.position
    return OpenPosition(
        position_id=held.id, symbol=held.symbol, action=position.action, quantity=position.quantity,
        entry_price=position.entry_price, size=position.size, leverage=position.leverage, opened_at=held.watched_since,
        mark_price=price, unrealized_pnl=held.gain_at(price), stop_loss=held.guards.stop_loss,
        take_profit=held.guards.take_profit, liquidation_price=held.guards.liquidation_price,
    )  # fmt: skip


def _same(mine: Guards, real: Guards) -> bool:
    """Whether what closed the real position closes this one. A liquidation lies behind the stop, so where there is one, a
    little difference of that changes nothing that was not a gap."""
    is_near = mine.liquidation_price == real.liquidation_price or mine.stop_loss is not None
    return (mine.stop_loss, mine.take_profit) == (real.stop_loss, real.take_profit) and is_near


def _is_past(price: Decimal, level: Decimal, *, down: bool) -> bool:
    return price <= level if down else price >= level


def _entry_side(action: Action) -> Side:
    return Side.BUY if action == Action.LONG else Side.SELL
