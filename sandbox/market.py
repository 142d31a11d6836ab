"""Markets and the seeded random walk of their prices."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox import money

# The exchanges that can be played, with what one trade costs its maker. binanceusdm shares binance's keys.
MAKER_FEE_RATES = {
    "kucoin": Decimal("0.001"),
    "binance": Decimal("0.00075"),
    "binanceusdm": Decimal("0.0002"),
    "gate": Decimal("0.002"),
    "okx": Decimal("0.0008"),
}
KEY_FAMILIES = {"binanceusdm": "binance", "gateio": "gate"}
SWAP_EXCHANGES = frozenset({"binanceusdm"})

_START_PRICES = {
    "BTC": ("61000", "0.1", "0.00001"),
    "ETH": ("3050", "0.01", "0.0001"),
    "SOL": ("148", "0.001", "0.001"),
    "XRP": ("0.62", "0.0001", "0.1"),
    "DOGE": ("0.14", "0.00001", "1"),
    "LTC": ("72.8", "0.01", "0.001"),
    "SHARP": ("0.042", "0.000001", "0.1"),
}


def family(exchange: str) -> str:
    """The exchange whose keys open this one."""
    return KEY_FAMILIES.get(exchange, exchange)


@dataclass
class Market:
    """One pair on one exchange. ``price`` is the middle of the book; ``tick`` and ``step`` its grid."""

    exchange: str
    base: str
    quote: str
    price: Decimal
    tick: Decimal
    step: Decimal
    volatility: float = 0.0004
    open_price: Decimal = field(default=Decimal(0))
    high: Decimal = field(default=Decimal(0))
    low: Decimal = field(default=Decimal(0))
    volume: Decimal = field(default=Decimal(0))

    def __post_init__(self) -> None:
        self.open_price = self.open_price or self.price
        self.high = self.high or self.price
        self.low = self.low or self.price

    @property
    def pair(self) -> str:
        return f"{self.base}/{self.quote}"

    @property
    def is_swap(self) -> bool:
        return self.exchange in SWAP_EXCHANGES

    @property
    def symbol(self) -> str:
        """ccxt's unified symbol."""
        return f"{self.pair}:{self.quote}" if self.is_swap else self.pair

    @property
    def maker_fee_rate(self) -> Decimal:
        return MAKER_FEE_RATES[self.exchange]

    def walk(self, rng: random.Random) -> Decimal:
        """Move the price by one seeded step, drawn back towards where it opened: plausible for days."""
        pull = 0.02 * float((self.open_price - self.price) / self.open_price)
        step = Decimal(str(round(rng.gauss(pull, self.volatility), 8)))
        self.price = max(self.tick, money.floor(self.price * (1 + step), self.tick))
        self.high, self.low = max(self.high, self.price), min(self.low, self.price)
        return self.price

    def past_price(self, place: int, length_ms: int) -> Decimal:
        """What it showed at the end of the bar with this number, before anybody watched: made up, the same each time."""
        chance = random.Random(f"{self.pair} {place * length_ms}")
        hours = place * length_ms / 3_600_000
        drift = 0.01 * math.sin(hours / 5) + chance.gauss(0, self.volatility * 2)
        return max(self.tick, money.floor(self.open_price * Decimal(str(round(1 + drift, 8))), self.tick))

    def bid(self) -> Decimal:
        return max(self.tick, self.price - self.tick)

    def ask(self) -> Decimal:
        return self.price + self.tick

    def book(self, depth: int) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """``depth`` bids and asks, best first, as (price, quantity)."""
        quantity = self.step * 1000
        bids = [(self.bid() - self.tick * i, quantity * (i + 1)) for i in range(depth)]
        asks = [(self.ask() + self.tick * i, quantity * (i + 1)) for i in range(depth)]
        return [row for row in bids if row[0] > 0], asks

    def to_json(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in ("exchange", "base", "quote", "volatility")}
        numbers = ("price", "tick", "step", "open_price", "high", "low", "volume")
        return row | {name: money.text(getattr(self, name)) for name in numbers}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Market:
        numbers = ("price", "tick", "step", "open_price", "high", "low", "volume")
        return cls(**row | {name: Decimal(row[name]) for name in numbers if name in row})


def default_markets() -> list[Market]:
    """Every default pair against USDT, on every exchange that is played."""
    return [
        Market(exchange, base, "USDT", Decimal(price), Decimal(tick), Decimal(step))
        for exchange in MAKER_FEE_RATES
        for base, (price, tick, step) in _START_PRICES.items()
    ]
