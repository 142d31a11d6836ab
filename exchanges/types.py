"""The market's value objects: what every part of the house means by trade, ticker, balance and credentials."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """Which way the base currency went."""

    BUY = "buy"  # base came in, quote went out
    SELL = "sell"  # base went out, quote came in


class MarketType(StrEnum):
    """What is traded: the coin itself, or a perpetual contract on it."""

    SPOT = "spot"  # the coin itself changes hands
    SWAP = "swap"  # a perpetual contract


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution on our own account, as the exchange reported it."""

    exchange_trade_id: str
    order_id: str | None
    client_order_id: str | None
    symbol: str  # "BTC/USDT", also for a perpetual contract
    side: Side
    price: Decimal  # quote per base
    quantity: Decimal  # base, also where the exchange counts contracts
    notional: Decimal  # quote
    fee: Decimal | None  # positive was paid, negative was received
    fee_currency: str | None
    executed_at: datetime  # aware, UTC


@dataclass(frozen=True, slots=True)
class TradePage:
    """Own trades of one pair between two moments, and what of the time between was not read yet.

    Every own trade between the moments that were asked for is here, was given by an earlier page, or lies in ``rest``.
    """

    trades: tuple[Trade, ...]  # newest first
    rest: tuple[datetime, datetime] | None  # what to ask for next, from and until; None: everything was read
    note: str = ""  # one sentence, where a part can never be read: the exchange keeps no older trades


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """One of our orders that waits in the book."""

    order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    price: Decimal | None  # quote per base; None: it has none, such as a market order that waits for a trigger
    quantity: Decimal | None  # base, also where the exchange counts contracts; None: it cannot be told
    filled: Decimal | None  # base
    placed_at: datetime | None  # aware, UTC, by the exchange's clock; None: it does not say


@dataclass(frozen=True, slots=True)
class Ticker:
    """What a market shows at one moment. What the exchange does not say is None, never 0."""

    symbol: str
    last: Decimal
    bid: Decimal | None
    ask: Decimal | None
    change_24h_ratio: Decimal | None  # 0.01 is one percent up
    volume_24h: Decimal | None  # base
    quote_volume_24h: Decimal | None  # quote
    observed_at: datetime | None  # the exchange's own time, where it says one


@dataclass(frozen=True, slots=True)
class Candle:
    """The prices of one span of time in one market; quote per base."""

    start_at: datetime  # aware, UTC
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What an order in one market must keep. What the exchange does not state is None."""

    symbol: str
    price_tick: Decimal | None  # quote: prices are multiples of it
    quantity_step: Decimal | None  # base, also where the exchange counts contracts
    min_quantity: Decimal | None  # base
    min_notional: Decimal | None  # quote
    max_leverage: Decimal | None


@dataclass(frozen=True, slots=True)
class Balance:
    """How much of one currency an account holds."""

    currency: str
    free: Decimal
    used: Decimal  # held by open orders
    total: Decimal


@dataclass(frozen=True, slots=True)
class Credentials:
    """One key of one account at an exchange. Its text form shows nothing of it.

    ``memo`` is the third value that some exchanges ask for, whatever they call it: memo, passphrase, user id.
    """

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    memo: str = field(default="", repr=False)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell keys apart (for locks and caches) and give nothing of them away."""
        parts = f"bridge\0{self.api_key}\0{self.api_secret}\0{self.memo}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]
