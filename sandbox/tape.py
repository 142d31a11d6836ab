"""What simulated bots did: every order and every trade, with exact amounts, and totals that never forget."""

from __future__ import annotations

import bisect
from collections import defaultdict, deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox import money


@dataclass
class Order:
    """``filled`` grows to ``quantity``; status open, closed or canceled. Times are epoch milliseconds."""

    id: str
    exchange: str
    pair: str
    api_key: str
    bot: str
    side: str
    price: Decimal
    quantity: Decimal
    created_ms: int
    filled: Decimal = Decimal(0)
    status: str = "open"
    updated_ms: int = 0


@dataclass(frozen=True)
class Trade:
    """One execution. ``fee`` is positive and paid in ``fee_currency``; ``realized_pnl`` is in quote, before the fee."""

    id: str
    order_id: str
    exchange: str
    pair: str
    api_key: str
    bot: str
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    fee_rate: Decimal
    realized_pnl: Decimal
    is_maker: bool
    at_ms: int

    @property
    def notional(self) -> Decimal:
        return self.price * self.quantity


def row(item: Order | Trade) -> dict[str, Any]:
    """As JSON: amounts are plain decimal strings."""
    return {name: money.text(value) if isinstance(value, Decimal) else value for name, value in vars(item).items()}


_DECIMALS = ("price", "quantity", "fee", "fee_rate", "realized_pnl", "filled")


def _numbers(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: Decimal(value) if name in _DECIMALS else value for name, value in fields.items()}


@dataclass
class Totals:
    """Of one bot on one pair, since the sandbox began (not only what the tape still holds)."""

    trades: int = 0
    bought: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    realized_pnl: Decimal = Decimal(0)
    first_ms: int = 0
    last_ms: int = 0

    def add(self, trade: Trade) -> None:
        self.trades += 1
        if trade.side == "buy":
            self.bought += trade.quantity
        else:
            self.sold += trade.quantity
        self.notional += trade.notional
        self.fees += trade.fee
        self.realized_pnl += trade.realized_pnl
        self.first_ms = min(self.first_ms or trade.at_ms, trade.at_ms)
        self.last_ms = max(self.last_ms, trade.at_ms)


class Tape:
    """The newest ``limit`` trades and orders in time order; totals of everything."""

    def __init__(self, *, limit: int = 20_000) -> None:
        self.limit = limit
        self.trades: deque[Trade] = deque()
        self.orders: deque[Order] = deque()
        self.totals: dict[tuple[str, str, str, str], Totals] = defaultdict(Totals)
        self._by_book: dict[tuple[str, str, str], list[Trade]] = defaultdict(list)
        self._open: dict[tuple[str, str, str], dict[str, Order]] = defaultdict(dict)

    def add_trade(self, trade: Trade) -> None:
        """A trade may be older than the last one (seeded history): readers always see time order."""
        self.trades.append(trade)
        bisect.insort(self._by_book[trade.exchange, trade.api_key, trade.pair], trade, key=lambda t: (t.at_ms, t.id))
        self.totals[trade.bot, trade.exchange, trade.pair, trade.api_key].add(trade)
        if len(self.trades) > self.limit:
            oldest = self.trades.popleft()
            self._by_book[oldest.exchange, oldest.api_key, oldest.pair].remove(oldest)

    def add_order(self, order: Order) -> None:
        self.orders.append(order)
        self._open[order.exchange, order.api_key, order.pair][order.id] = order
        if len(self.orders) > self.limit:
            self.orders.popleft()

    def close_order(self, order: Order, *, status: str, at_ms: int) -> None:
        order.status, order.updated_ms = status, at_ms
        self._open[order.exchange, order.api_key, order.pair].pop(order.id, None)

    def fills(self, exchange: str, api_key: str, pair: str | None) -> list[Trade]:
        """Trades of one key, oldest first; of every pair when ``pair`` is None."""
        if pair is not None:
            return list(self._by_book.get((exchange, api_key, pair), ()))
        books = [rows for (where, key, _), rows in self._by_book.items() if where == exchange and key == api_key]
        return sorted((trade for rows in books for trade in rows), key=lambda t: (t.at_ms, t.id))

    def open_orders(self, exchange: str, api_key: str, pair: str | None) -> list[Order]:
        books = [
            rows
            for (where, key, what), rows in self._open.items()
            if where == exchange and key == api_key and pair in (None, what)
        ]
        return sorted((order for rows in books for order in rows.values()), key=lambda order: order.created_ms)

    def forget(self, api_key: str) -> None:
        """Drop a key's trades, as an exchange does that lost them; totals stay."""
        self.trades = deque(trade for trade in self.trades if trade.api_key != api_key)
        for book in [book for book in self._by_book if book[1] == api_key]:
            del self._by_book[book]

    def to_json(self) -> dict[str, Any]:
        """For orjson, which reads dataclasses itself; only amounts are left to its ``default``."""
        return {
            "trades": list(self.trades),
            "orders": [order for rows in self._open.values() for order in rows.values()],
            "totals": [{"book": book, **vars(total)} for book, total in self.totals.items()],
        }

    def load(self, saved: dict[str, Any]) -> None:
        for fields in saved["trades"]:
            self.add_trade(Trade(**_numbers(fields)))
        for fields in saved["orders"]:
            self.add_order(Order(**_numbers(fields)))
        self.totals.clear()
        for fields in saved["totals"]:
            book = tuple(fields.pop("book"))
            typed: dict[str, Any] = {k: Decimal(v) if isinstance(v, str) else v for k, v in fields.items()}
            self.totals[book] = Totals(**typed)
