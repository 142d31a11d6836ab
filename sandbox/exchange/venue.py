"""What the exchange modules share: finding the key, choosing trades, refusing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.http import Call, Reply, Routes
from sandbox.keys import Key
from sandbox.market import Market
from sandbox.tape import Order, Trade

if TYPE_CHECKING:
    from sandbox.world import World


class Refused(Exception):
    """Carries the exchange's own error answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("refused")
        self.reply = reply


@dataclass(frozen=True)
class Venue:
    """One exchange at one host. ``identify`` finds the key that a call names; ``too_many`` is its 429."""

    exchange: str
    routes: Routes
    identify: Callable[[Call], str]
    too_many: Callable[[], Reply]


@dataclass(frozen=True)
class Desk:
    """What a route gets: the world seen from one exchange."""

    world: World
    exchange: str

    def now_ms(self) -> int:
        return self.world.exchange_ms(self.exchange)

    def markets(self) -> list[Market]:
        return self.world.markets_of(self.exchange)

    def key(self, api_key: str) -> Key | None:
        return self.world.key(self.exchange, api_key)

    def fills(self, key: Key, market: Market | None) -> list[Trade]:
        """Oldest first, with the times that this exchange's clock shows."""
        found = self.world.tape.fills(self.exchange, key.api_key, market.pair if market else None)
        skew_ms = self.world.skew_ms(self.exchange)
        return [replace(trade, at_ms=trade.at_ms + skew_ms) for trade in found] if skew_ms else found

    def open_orders(self, key: Key, market: Market | None) -> list[Order]:
        found = self.world.tape.open_orders(self.exchange, key.api_key, market.pair if market else None)
        skew_ms = self.world.skew_ms(self.exchange)
        return [replace(order, created_ms=order.created_ms + skew_ms) for order in found] if skew_ms else found


def sha256_hex(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def sha256_base64(secret: str, payload: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()).decode()


def sha512_hex(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha512).hexdigest()


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def number(text: str | None, default: int | None = None) -> int | None:
    """A parameter as an integer; what cannot be read counts as not given."""
    return int(text) if text and text.lstrip("-").isdigit() else default


def between(trades: list[Trade], start_ms: int | None, end_ms: int | None) -> list[Trade]:
    return [
        trade
        for trade in trades
        if (start_ms is None or trade.at_ms >= start_ms) and (end_ms is None or trade.at_ms <= end_ms)
    ]


def fixed(value: Any, digits: int = 8) -> str:
    """Trailing zeros as binance writes them."""
    return f"{value:.{digits}f}"
