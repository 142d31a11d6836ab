"""What of a reply is carried out. Limits decide, never the reply: it can only ask for less than they allow.

Closes come first, so that what they free can be used. Then entries in the reply's order, each against the books as the
orders before would leave them. What is asked for and not done, or done otherwise, has a note that says so with numbers.
An order keeps each limit at the price it was checked at, with the fee and the slippage of filling there.

A size is the margin asked for, and that must reach the minimum: rounding the quantity down to the market's step may bind a
little less. Only fees and the exposure limit make a size smaller; one that the balance does not cover is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from arena.rules.entry import Entry, Refusal, plan_entry
from arena.rules.figures import amount_text, price_text
from arena.rules.risk import Books, Holding, books_of
from arena.rules.words import ALL_SYMBOLS, NoteKind, ReplyAction
from arena.types import (
    CloseOrder,
    Costs,
    Decision,
    EntryOrder,
    Limits,
    MarketRule,
    Note,
    OpenPosition,
    Portfolio,
    Validated,
)
from ledger.rules.words import Action


def validate(
    decisions: Sequence[Decision],
    *,
    portfolio: Portfolio,
    markets: Mapping[str, MarketRule],
    limits: Limits,
    costs: Costs,
    cooldowns: Mapping[str, datetime],
    now: datetime,
) -> Validated:
    """The orders that a reply comes to, and a note for every difference from what it asked.

    ``markets`` has the bot's symbols and those it holds; ``cooldowns`` until when a symbol is not opened again.
    """
    checked = _Checked(portfolio, markets, limits, costs, cooldowns, now)
    for index, decision in enumerate(decisions):
        if decision.action == ReplyAction.CLOSE:
            checked.close(index, decision)
    for index, decision in enumerate(decisions):
        if decision.action in (ReplyAction.LONG, ReplyAction.SHORT):
            checked.open(index, decision)
        elif decision.action == ReplyAction.HOLD:
            checked.hold(index, decision)
    notes = sorted(checked.notes, key=lambda note: -1 if note.index is None else note.index)
    return Validated(tuple(checked.closes), tuple(checked.entries), checked.holds, tuple(notes))


class _Checked:
    """The orders so far, the books that they would leave, and the notes."""

    def __init__(
        self,
        portfolio: Portfolio,
        markets: Mapping[str, MarketRule],
        limits: Limits,
        costs: Costs,
        cooldowns: Mapping[str, datetime],
        now: datetime,
    ) -> None:
        self.portfolio = portfolio
        self.markets = markets
        self.limits = limits
        self.costs = costs
        self.cooldowns = dict(cooldowns)
        self.now = now
        self.books: Books = books_of(portfolio, markets)
        self.closes: list[CloseOrder] = []
        self.entries: list[EntryOrder] = []
        self.holds = 0
        self.notes: list[Note] = []

    def close(self, index: int, decision: Decision) -> None:
        """All that is held of the symbol; parts are not closed."""
        symbol = decision.symbol
        if symbol is None:
            self._note(index, decision, NoteKind.REFUSED, "CLOSE was refused: it names no symbol.")
            return
        held = [h for h in self.books.holdings if symbol in (h.symbol, ALL_SYMBOLS)]
        if not held:
            self._note(index, decision, NoteKind.REFUSED, f"CLOSE {self._nothing_to_close(symbol)}")
        for holding in held:
            self._close_one(index, decision, holding)

    def open(self, index: int, decision: Decision) -> None:
        entry = Entry(
            index=index,
            decision=decision,
            action=Action(str(decision.action)),
            books=self.books,
            market=self.markets.get(decision.symbol or ""),
            limits=self.limits,
            costs=self.costs,
            currency=self.portfolio.currency,
            cooling_until=self.cooldowns.get(decision.symbol or ""),
            now=self.now,
        )
        try:
            order, notes = plan_entry(entry)
        except Refusal as refusal:
            self._note(index, decision, NoteKind.REFUSED, refusal.sentence)
            return
        self.entries.append(order)
        for kind, text in notes:
            self._note(index, decision, kind, text)
        holding = Holding(
            order.symbol, order.action, order.quantity, order.expected_price, order.size, order.leverage, position_id=None
        )  # fmt: skip
        self.books = self.books.opened(holding, order.expected_fee)

    def hold(self, index: int, decision: Decision) -> None:
        """Leaves everything as it is, also stops: other ones that a HOLD names are not set."""
        self.holds += 1
        for position in self.portfolio.positions:
            if position.symbol == decision.symbol:
                for name, level in _other_levels(decision, position):
                    text = f"HOLD {position.symbol} changes nothing: its {name} was not set to {price_text(level)}."
                    self._note(index, decision, NoteKind.DROPPED, text)

    def _close_one(self, index: int, decision: Decision, holding: Holding) -> None:
        market = self.markets.get(holding.symbol)
        price = self.books.prices.get(holding.symbol)
        about = replace(decision, symbol=holding.symbol)
        if market is None or price is None or holding.position_id is None:
            text = f"CLOSE {holding.symbol} was refused: there is no price of it that is fresh."
            self._note(index, about, NoteKind.REFUSED, text)
            return
        if _is_a_part(decision, holding):
            text = f"CLOSE {holding.symbol} closes all of it, a margin of {amount_text(holding.size)}: parts are not closed."
            self._note(index, about, NoteKind.CORRECTED, text)
        self.closes.append(CloseOrder(index, holding.position_id, holding.symbol, price, decision.reasoning))
        self.books = self.books.closed(holding, market, self.costs)
        until = self.now + self.limits.cooldown
        self.cooldowns[holding.symbol] = max(until, self.cooldowns.get(holding.symbol, until))

    def _nothing_to_close(self, symbol: str) -> str:
        if symbol == ALL_SYMBOLS:
            return "was refused: nothing is held."
        if any(close.symbol == symbol for close in self.closes):
            return f"{symbol} was refused: an earlier decision of the same reply closes it."
        return f"{symbol} was refused: nothing of it is held."

    def _note(self, index: int, decision: Decision, kind: NoteKind, text: str) -> None:
        self.notes.append(Note(kind, text, index, decision.symbol))


def _is_a_part(decision: Decision, holding: Holding) -> bool:
    """Whether it asks to close less than is held."""
    less_margin = decision.size is not None and decision.size < holding.size
    return less_margin or (decision.quantity is not None and decision.quantity < holding.quantity)


def _other_levels(decision: Decision, position: OpenPosition) -> Iterator[tuple[str, Decimal]]:
    if decision.stop_loss is not None and decision.stop_loss != position.stop_loss:
        yield "stop-loss", decision.stop_loss
    if decision.take_profit is not None and decision.take_profit != position.take_profit:
        yield "take-profit", decision.take_profit
