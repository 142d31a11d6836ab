"""Everything the sandbox knows, in memory: markets, keys, the tape, external traders, Hummingbot, faults."""

from __future__ import annotations

import itertools
import random
import time
from collections import deque
from decimal import Decimal
from typing import Any

from sandbox.clock import Clock
from sandbox.faults import Faults
from sandbox.hummingbot.engine import Hummingbot
from sandbox.keys import Key, Keys
from sandbox.lives import Lives
from sandbox.market import Market, default_markets, family
from sandbox.model.models import Models
from sandbox.tape import Order, Tape, Trade
from sandbox.trader import Trader


class World:
    """One per process, touched only by its event loop. ``tick`` moves it; everything else answers questions."""

    def __init__(
        self, *, seed: int = 1, speed: float = 1.0, mean_interval_s: float = 60.0, tape_limit: int = 20_000
    ) -> None:
        self.clock = Clock(speed=speed)
        self.rng = random.Random(seed)
        self.mean_interval_s = mean_interval_s
        self.markets = {(market.exchange, market.pair): market for market in default_markets()}
        self.keys = Keys()
        self.tape = Tape(limit=tape_limit)
        self.faults = Faults()
        self.externals: dict[str, Trader] = {}
        self.lives = Lives()
        self.hummingbot = Hummingbot(self)
        self.models = Models(seed)
        self.calls: deque[dict[str, Any]] = deque(maxlen=5000)
        # Ids go on where an earlier sandbox without a state file cannot have been: a bridge's database may remember it.
        self._ids = itertools.count(int(time.time() * 1000))

    def next_id(self) -> int:
        return next(self._ids)

    def market(self, exchange: str, pair: str) -> Market | None:
        return self.markets.get((exchange, pair))

    def markets_of(self, exchange: str) -> list[Market]:
        return [market for market in self.markets.values() if market.exchange == exchange]

    def key(self, exchange: str, api_key: str) -> Key | None:
        return self.keys.get(family(exchange), api_key)

    def is_key_refused(self, key: Key) -> bool:
        return key.revoked or self.faults.find(f"key:{key.api_key}", "revoked") is not None

    def skew_ms(self, exchange: str) -> int:
        fault = self.faults.find(f"exchange:{exchange}", "clock_skew")
        return int(fault.number("skew_ms", 60_000)) if fault else 0

    def exchange_ms(self, exchange: str) -> int:
        """What this exchange's clock shows."""
        return self.clock.wall_ms() + self.skew_ms(exchange)

    def traders(self) -> list[Trader]:
        return [*self.externals.values(), *self.hummingbot.traders()]

    def place_order(self, trader: Trader, *, side: str, price: Decimal, quantity: Decimal) -> Order:
        now_ms = self.clock.wall_ms()
        market, key = trader.market, trader.key
        order = Order(
            id=str(self.next_id()),
            exchange=market.exchange,
            pair=market.pair,
            api_key=key.api_key,
            bot=trader.bot,
            side=side,
            price=price,
            quantity=quantity,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        self.tape.add_order(order)
        return order

    def fill(self, order: Order, *, trader: Trader, at_ms: int | None = None) -> Trade:
        """Execute the whole order at its price: tape, position, balances, and the market's volume."""
        market, now_ms = trader.market, at_ms or self.clock.wall_ms()
        fee = order.price * order.quantity * market.maker_fee_rate
        trade = Trade(
            id=str(self.next_id()),
            order_id=order.id,
            exchange=order.exchange,
            pair=order.pair,
            api_key=order.api_key,
            bot=trader.bot,
            side=order.side,
            price=order.price,
            quantity=order.quantity,
            fee=fee,
            fee_currency=market.quote,
            fee_rate=market.maker_fee_rate,
            realized_pnl=trader.book(order.side, order.price, order.quantity, fee),
            is_maker=True,
            at_ms=now_ms,
        )
        order.filled = order.quantity
        self.tape.close_order(order, status="closed", at_ms=now_ms)
        self.tape.add_trade(trade)
        self._settle(trade, trader)
        market.volume += trade.quantity
        return trade

    def _settle(self, trade: Trade, trader: Trader) -> None:
        key, market = trader.key, trader.market
        if market.is_swap:
            key.move(market.quote, trade.realized_pnl - trade.fee)
            return
        direction = 1 if trade.side == "buy" else -1
        key.move(market.base, trade.quantity * direction)
        key.move(market.quote, -trade.notional * direction - trade.fee)

    def tick(self) -> None:
        """Everything that is due by now happens."""
        self.lives.act(self)
        for trader in self.externals.values():
            if self._may_trade(trader):
                trader.act(self)
        self.hummingbot.tick(self._may_trade)

    def _may_trade(self, trader: Trader) -> bool:
        """A bot whose key is refused gets no order through, and one that stalls gives none."""
        return not self.is_key_refused(trader.key) and self.faults.find(f"bot:{trader.bot}", "stall") is None
