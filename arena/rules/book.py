"""An account on paper that nobody trades on: cash and positions, with the ledger's own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from arena.rules import execution
from arena.rules.execution import Guards, due_exit, entry_side, exit_side, funding
from arena.types_shadow import Played
from ledger.rules import pnl
from ledger.rules.metrics import max_drawdown
from ledger.rules.pnl import WIDE, Execution, Position
from ledger.rules.words import Cause

ZERO = Decimal(0)


@dataclass(slots=True)
class Held:
    """A position, and what closes it by itself."""

    id: UUID
    symbol: str
    watched_since: datetime  # from here on prices are held against its guards; when it was opened, as a rule
    guards: Guards
    follows: UUID | None = None  # the real position with the same guards: what closes that closes this
    position: Position = field(init=False)

    def gain_at(self, price: Decimal | None) -> Decimal | None:
        """Before fees; None: no price."""
        return None if price is None else pnl.unrealized_pnl(self.position, mark_price=price)

    def due(self, price: Decimal) -> Cause | None:
        """Why it is closed at a price that was seen."""
        return due_exit(self.guards, price)


class Book:
    """Cash and what is held. Equity is always cash, margins and unrealised gains."""

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.held: dict[UUID, Held] = {}
        self.fees = ZERO
        self.trades = self.closed = 0
        self.values: list[Decimal | None] = []

    def hold(self, held: Held, quantity: Decimal, *, price: Decimal, leverage: Decimal, fee: Decimal = ZERO) -> None:
        """Something that is held; the cash is as it is."""
        side = entry_side(held.guards.action)
        made = Execution(side, price, quantity, fee_quote=fee, leverage=leverage)
        position = pnl.enter(None, made, action=held.guards.action, is_spot=False).position
        if position is None:
            raise AssertionError("An entry always makes a position.")
        held.position = position
        self.held[held.id] = held

    def enter(self, held: Held, quantity: Decimal, *, price: Decimal, leverage: Decimal, fee: Decimal) -> None:
        """Open a position at what it fills at."""
        self.hold(held, quantity, price=price, leverage=leverage, fee=fee)
        self.cash = WIDE.subtract(self.cash, pnl.bound(held.position))
        self._count(fee)

    def leave(self, held_id: UUID, *, price: Decimal, fee: Decimal) -> Decimal | None:
        """Close a position, all of it; its profit after fees. None: it is not held."""
        held = self.held.pop(held_id, None)
        if held is None:
            return None
        position = held.position
        made = Execution(
            exit_side(position.action), price, position.quantity, fee_quote=fee, leverage=position.leverage
        )
        gained = pnl.leave(position, made, is_spot=False).pnl or ZERO
        self.cash = WIDE.add(self.cash, WIDE.add(pnl.bound(position), gained))
        self.closed += 1
        self._count(fee)
        return gained

    def pay_funding(self, prices: Mapping[str, Decimal], *, rate: Decimal, at: datetime) -> None:
        """One moment of funding, of what is held since before it."""
        for held in self.held.values():
            price, before = prices.get(held.symbol), held.position
            if price is None or held.watched_since >= at:
                continue
            paid = funding(action=before.action, quantity=before.quantity, mark_price=price, rate=rate)
            held.position = replace(before, basis_entry_fees=WIDE.add(before.basis_entry_fees, paid))
            self.cash = WIDE.subtract(self.cash, WIDE.subtract(held.position.basis_fees, before.basis_fees))
            self.fees = WIDE.add(self.fees, paid)

    def covers(self, quantity: Decimal, *, price: Decimal, leverage: Decimal, fee_ratio: Decimal) -> bool:
        """Whether the cash is enough for its margin and fee."""
        notional = WIDE.multiply(price, quantity)
        margin = pnl.amount(WIDE.divide(notional, leverage))
        return WIDE.add(margin, execution.fee(notional=notional, fee_ratio=fee_ratio)) <= self.cash

    def equity(self, prices: Mapping[str, Decimal]) -> Decimal | None:
        """None: something held has no price."""
        held = self.held.values()
        return pnl.equity(
            balance=self.cash, sizes=[one.position.size for one in held],
            unrealized_pnls=[one.gain_at(prices.get(one.symbol)) for one in held],
        )  # fmt: skip

    def value(self, prices: Mapping[str, Decimal]) -> Decimal | None:
        """The equity, which counts for the drawdown."""
        self.values.append(self.equity(prices))
        return self.values[-1]

    @property
    def played(self) -> Played:
        """What it came to, from the first valuing to the last."""
        return Played(
            self.values[0], self.values[-1], max_drawdown([one for one in self.values if one is not None]), self.trades,
            self.closed, self.fees,
        )  # fmt: skip

    def _count(self, fee: Decimal) -> None:
        self.trades += 1
        self.fees = WIDE.add(self.fees, fee)
