"""One simulated strategy: quotes a bid and an ask around the price and, at its own cadence, one of them is taken."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.keys import Key
from sandbox.market import Market
from sandbox.tape import Order, Trade

if TYPE_CHECKING:
    from sandbox.world import World


_MOST_STEPS = 3  # amounts that a trader of one direction holds at most


@dataclass
class Trader:
    """``pace`` stretches the mean interval: 1 as configured, 10 ten times slower. Money in quote, exact.

    ``direction`` is both, long (never holds less than nothing) or short (never more).
    """

    bot: str
    market: Market
    key: Key
    mean_interval_s: float
    amount: Decimal
    bid_spread: Decimal = Decimal("0.001")
    ask_spread: Decimal = Decimal("0.001")
    controller: str = ""
    direction: str = "both"
    running: bool = True
    pace: float = 1.0
    due_s: float = 0.0
    position: Decimal = Decimal(0)
    entry_cost: Decimal = Decimal(0)
    realized_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    volume: Decimal = Decimal(0)
    trades: int = 0
    quotes: list[Order] = field(default_factory=list)

    def schedule(self, rng: random.Random, now_s: float) -> None:
        """Exponential gaps between a third and three times the mean: lively, yet a short window always sees a trade."""
        mean = self.mean_interval_s * self.pace
        self.due_s = now_s + min(max(rng.expovariate(1 / mean), mean / 3), mean * 3)

    def act(self, world: World) -> Trade | None:
        """One of the quotes is taken when it is time; fresh quotes replace both."""
        if not self.running or world.clock.world() < self.due_s:
            return None
        self.market.walk(world.rng)
        trade = self.trade(world, side=self._side(world.rng))
        self.requote(world)
        self.schedule(world.rng, world.clock.world())
        return trade

    def _side(self, rng: random.Random) -> str:
        sides = self._sides()
        if len(sides) == 1:
            return sides[0]
        lean = float(self.position / (self.amount * 10)) if self.amount else 0.0
        return "buy" if rng.random() > 0.5 + max(-0.4, min(0.4, lean)) else "sell"

    def _sides(self) -> tuple[str, ...]:
        """What it may do next: one of a single direction opens first, and closes no more than it holds."""
        opens, closes, held = (
            ("sell", "buy", -self.position) if self.direction == "short" else ("buy", "sell", self.position)
        )
        if self.direction == "both" or self.amount <= held < self.amount * _MOST_STEPS:
            return ("buy", "sell")
        return (opens,) if held < self.amount else (closes,)

    def price_of(self, side: str) -> Decimal:
        offset = 1 - self.bid_spread if side == "buy" else 1 + self.ask_spread
        return max(self.market.tick, money.floor(self.market.price * offset, self.market.tick))

    def requote(self, world: World) -> None:
        """Cancel what is open and place a bid and an ask, or the one of them that it may."""
        self.cancel(world)
        for side in self._sides():
            self.quotes.append(world.place_order(self, side=side, price=self.price_of(side), quantity=self.amount))

    def cancel(self, world: World) -> None:
        for order in self.quotes:
            if order.status == "open":
                world.tape.close_order(order, status="canceled", at_ms=world.clock.wall_ms())
        self.quotes = []

    def trade(self, world: World, *, side: str) -> Trade:
        """The quote of ``side`` is filled whole, at its price."""
        order = next((quote for quote in self.quotes if quote.side == side and quote.status == "open"), None)
        order = order or world.place_order(self, side=side, price=self.price_of(side), quantity=self.amount)
        return world.fill(order, trader=self)

    def book(self, side: str, price: Decimal, quantity: Decimal, fee: Decimal) -> Decimal:
        """Enter a fill at average cost. Returns what it realised, in quote, before the fee."""
        signed = quantity if side == "buy" else -quantity
        closing = min(abs(signed), abs(self.position)) if self.position * signed < 0 else Decimal(0)
        realized = Decimal(0)
        if closing:
            average = self.entry_cost / self.position
            direction = 1 if self.position > 0 else -1
            realized = (price - average) * closing * direction
            self.entry_cost -= average * closing * direction
        opening = abs(signed) - closing
        self.entry_cost += price * opening * (1 if signed > 0 else -1)
        self.position += signed
        self.realized_pnl += realized
        self.fees += fee
        self.volume += price * quantity
        self.trades += 1
        return realized

    def unrealized_pnl(self) -> Decimal:
        return self.market.price * self.position - self.entry_cost

    def to_json(self) -> dict[str, Any]:
        numbers = ("amount", "bid_spread", "ask_spread", "position", "entry_cost", "realized_pnl", "fees", "volume")
        plain = ("bot", "mean_interval_s", "controller", "direction", "running", "pace", "due_s", "trades")
        return (
            {name: getattr(self, name) for name in plain}
            | {name: str(getattr(self, name)) for name in numbers}
            | {"exchange": self.market.exchange, "pair": self.market.pair, "api_key": self.key.api_key}
            | {"key_exchange": self.key.exchange, "quotes": [order.id for order in self.quotes]}
        )
