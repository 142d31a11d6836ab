"""How large a position may be, so that its stop-loss costs no more than a bot is ready to lose: by the very rules that its
answer is held against afterwards, so what is told here is never more than they allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal, localcontext

from arena.rules.decision import validate
from arena.rules.execution import entry_side, exit_side, fee, fill_price, on_grid
from arena.rules.risk import ONE, affordable_quantity, books_of, exposable_quantity, leverage_limit
from arena.rules.words import ReplyAction
from arena.types import Costs, Decision, EntryOrder, Limits, MarketRule, Portfolio
from ledger.rules.pnl import WIDE, amount
from ledger.rules.words import Action

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Money:
    """What a bot has and may do at one moment, as validation takes it."""

    portfolio: Portfolio
    markets: Mapping[str, MarketRule]
    limits: Limits
    costs: Costs
    cooldowns: Mapping[str, datetime]
    now: datetime


@dataclass(frozen=True, slots=True)
class SizeWish:
    """``risk``: what may be lost at the stop, quote; ``risk_ratio``: the same as a share of the equity. One of them."""

    symbol: str
    stop_loss: Decimal
    leverage: Decimal
    risk: Decimal | None = None
    risk_ratio: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Sized:
    """What fits. ``order`` None: nothing does, and the notes say why."""

    action: Action
    size: Decimal  # quote, margin, to the cent
    loss: Decimal | None  # quote, at the stop with both fees; None: the stop would be left out
    risk: Decimal  # quote, what was wished
    order: EntryOrder | None
    notes: tuple[str, ...]


class NoPrice(Exception):
    """The market or the bot's equity has no fresh price."""


def position_size(wish: SizeWish, money: Money) -> Sized:
    """The largest size whose stop costs no more than the risk, within every limit. Which way it goes follows from where the
    stop lies. Raises NoPrice."""
    market = money.markets.get(wish.symbol)
    books = books_of(money.portfolio, money.markets)
    if market is None or market.price is None or books.equity is None:
        raise NoPrice
    risk = wish.risk if wish.risk is not None else WIDE.multiply(books.equity, wish.risk_ratio or Decimal(0))
    stop_loss = on_grid(wish.stop_loss, market.price_tick, up=False)
    action = Action.LONG if stop_loss < market.price else Action.SHORT
    leverage = _leverage(wish, money, market)
    fill = fill_price(
        side=entry_side(action), price=market.price, slippage_ratio=money.costs.slippage_ratio, tick=market.price_tick
    )
    loss_each = _loss_each(action, stop_loss, fill, market, money.costs)
    with localcontext(WIDE):
        most = min(
            max(risk, Decimal(0)) / loss_each,
            affordable_quantity(books.balance, leverage=leverage, fill=fill, costs=money.costs),
            exposable_quantity(books, money.limits, price=market.price, fill=fill, costs=money.costs),
        )
        size = (most * fill / leverage).quantize(_CENT, rounding=ROUND_FLOOR, context=WIDE)
    order, notes = _checked(wish, action, size, leverage, money)
    loss = amount(WIDE.multiply(order.quantity, loss_each)) if order and order.stop_loss is not None else None
    return Sized(action, size if order else Decimal(0), loss, risk, order, notes)


def _leverage(wish: SizeWish, money: Money, market: MarketRule) -> Decimal:
    """Of what is added to, the position's; else what was wished, as far as it is allowed."""
    held = [one.leverage for one in money.portfolio.positions if one.symbol == wish.symbol]
    if held and money.limits.allows_adding:
        return held[0]
    return min(max(wish.leverage.to_integral_value(ROUND_FLOOR), ONE), leverage_limit(money.limits, market))


def _loss_each(action: Action, stop_loss: Decimal, fill: Decimal, market: MarketRule, costs: Costs) -> Decimal:
    """What one coin loses between entering now and leaving at the stop, both fees included; always above 0."""
    left = fill_price(
        side=exit_side(action), price=stop_loss, slippage_ratio=costs.slippage_ratio, tick=market.price_tick
    )
    with localcontext(WIDE):
        gone = fill - left if action == Action.LONG else left - fill
        fees = fee(notional=fill, fee_ratio=costs.fee_ratio) + fee(notional=left, fee_ratio=costs.fee_ratio)
        return max(gone + fees, market.price_tick or Decimal(0), fill * Decimal("1e-9"))


def _checked(
    wish: SizeWish, action: Action, size: Decimal, leverage: Decimal, money: Money
) -> tuple[EntryOrder | None, tuple[str, ...]]:
    """What validation makes of just this decision."""
    decision = Decision(ReplyAction(str(action)), wish.symbol, size=size, leverage=leverage, stop_loss=wish.stop_loss)
    checked = validate(
        [decision], portfolio=money.portfolio, markets=money.markets, limits=money.limits, costs=money.costs,
        cooldowns=money.cooldowns, now=money.now,
    )  # fmt: skip
    return (checked.entries[0] if checked.entries else None), tuple(note.text for note in checked.notes)
