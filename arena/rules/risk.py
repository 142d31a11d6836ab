"""What a bot may still risk: its money and exposure as a reply's orders would leave them, and how much more fits.

Everything is worth what the market shows now. What has no price is worth nothing that is known, and then nothing is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal, localcontext
from uuid import UUID

from arena.rules.execution import exit_side, fee, fill_price
from arena.types import Costs, Limits, MarketRule, OpenPosition, Portfolio
from ledger.rules.pnl import WIDE, amount
from ledger.rules.words import Action

ONE = Decimal(1)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held of one symbol, or will be once an order before is carried out."""

    symbol: str
    action: Action
    quantity: Decimal  # base
    entry_price: Decimal
    size: Decimal  # quote, margin
    leverage: Decimal
    position_id: UUID | None  # None: an order of the same reply opens it

    @classmethod
    def of(cls, position: OpenPosition) -> Holding:
        return cls(
            position.symbol,
            position.action,
            position.quantity,
            position.entry_price,
            position.size,
            position.leverage,
            position.position_id,
        )

    def gain_at(self, price: Decimal) -> Decimal:
        """What it has gained at a price, before fees; quote."""
        gain = WIDE.multiply(WIDE.subtract(price, self.entry_price), self.quantity)
        return gain if self.action == Action.LONG else -gain


@dataclass(frozen=True, slots=True)
class Books:
    """A bot's money as the orders so far would leave it."""

    balance: Decimal
    holdings: tuple[Holding, ...]
    peak_equity: Decimal
    prices: Mapping[str, Decimal]

    @property
    def equity(self) -> Decimal | None:
        """At the prices of now; None: something held has none."""
        if self.unpriced:
            return None
        with localcontext(WIDE):
            return self.balance + sum((h.size + h.gain_at(self.prices[h.symbol]) for h in self.holdings), ZERO)

    @property
    def exposure(self) -> Decimal | None:
        """The notional of all that is held, quote; None: something held has no price."""
        if self.unpriced:
            return None
        with localcontext(WIDE):
            return sum((h.quantity * self.prices[h.symbol] for h in self.holdings), ZERO)

    @property
    def unpriced(self) -> list[str]:
        """Symbols held without a price."""
        return sorted({h.symbol for h in self.holdings if h.symbol not in self.prices})

    @property
    def drawdown_ratio(self) -> Decimal | None:
        """How far the equity is below its peak."""
        equity = self.equity
        if equity is None or self.peak_equity <= 0:
            return None
        return WIDE.divide(max(self.peak_equity - equity, ZERO), self.peak_equity)

    def closed(self, holding: Holding, market: MarketRule, costs: Costs) -> Books:
        """After closing it at the market: its margin comes back, with what it gained and without the fee."""
        price = fill_price(
            side=exit_side(holding.action),
            price=self.prices[holding.symbol],
            slippage_ratio=costs.slippage_ratio,
            tick=market.price_tick,
        )
        with localcontext(WIDE):
            charged = fee(notional=price * holding.quantity, fee_ratio=costs.fee_ratio)
            back = holding.size + holding.gain_at(price) - charged
            return replace(
                self, balance=self.balance + back, holdings=tuple(h for h in self.holdings if h is not holding)
            )

    def opened(self, holding: Holding, charged: Decimal) -> Books:
        """After opening it: its margin is bound and the fee is gone."""
        with localcontext(WIDE):
            return replace(self, balance=self.balance - holding.size - charged, holdings=(*self.holdings, holding))


def books_of(portfolio: Portfolio, markets: Mapping[str, MarketRule]) -> Books:
    """A bot's money at the prices of now. Where no peak was kept, it is what it began with."""
    peak = portfolio.starting_balance if portfolio.peak_equity is None else portfolio.peak_equity
    holdings = tuple(map(Holding.of, portfolio.positions))
    return Books(
        portfolio.balance, holdings, peak, {name: m.price for name, m in markets.items() if m.price and m.price > 0}
    )


def peak_since(
    peak: Decimal | None, *, capital_then: Decimal | None, capital: Decimal | None, equity: Decimal | None
) -> Decimal | None:
    """The peak to measure a fall from now, where capital was given or taken since it was kept: as far above the equity as
    before that. Neither is a gain or a loss."""
    if peak is None or equity is None or capital is None or capital_then is None or capital == capital_then:
        return peak
    before = WIDE.subtract(equity, WIDE.subtract(capital, capital_then))
    if equity <= 0:
        return peak
    return amount(WIDE.divide(WIDE.multiply(peak, equity), before)) if before > 0 else equity


def leverage_limit(limits: Limits, market: MarketRule) -> Decimal:
    """The most leverage of a position there, in whole numbers and at least 1; the narrowest of all limits counts."""
    known = [limits.max_leverage, limits.max_leverage_by_symbol.get(market.symbol), market.max_leverage]
    return max(min(limit for limit in known if limit is not None).to_integral_value(ROUND_FLOOR), ONE)


def affordable_quantity(balance: Decimal, *, leverage: Decimal, fill: Decimal, costs: Costs) -> Decimal:
    """The most whose margin and entry fee the balance covers; base."""
    with localcontext(WIDE):
        return max(balance, ZERO) / (fill * (ONE / leverage + costs.fee_ratio))


def exposable_quantity(books: Books, limits: Limits, *, price: Decimal, fill: Decimal, costs: Costs) -> Decimal:
    """The most that keeps exposure / equity within its limit, counting what entering costs; base. 0 where either is not
    known."""
    equity, exposure = books.equity, books.exposure
    if equity is None or exposure is None:
        return ZERO
    with localcontext(WIDE):
        cost = fill * costs.fee_ratio + abs(fill - price)  # quote of equity lost with each coin bought
        free = limits.max_exposure_ratio * equity - exposure
        return max(free, ZERO) / (price + limits.max_exposure_ratio * cost)


def floor_to(step: Decimal, quantity: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above."""
    return WIDE.multiply(WIDE.divide(quantity, step).to_integral_value(ROUND_FLOOR), step)


def margin_of(quantity: Decimal, *, price: Decimal, leverage: Decimal) -> Decimal:
    """What a quantity binds; quote."""
    return amount(WIDE.divide(WIDE.multiply(quantity, price), leverage))
