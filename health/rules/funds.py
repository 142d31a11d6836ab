"""Whether an account has what a bot's next orders need. Pure.

A spot buy needs quote, a spot sell base, a contract margin in its quote. What rests in open orders counts as had: a
bot whose money is all on the book is not out of it. Which sides a bot trades is told by its config or its trades; of one
of which neither tells, only that is said which holds whatever it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from exchanges.symbols import base_quote
from exchanges.types import Balance, MarketType, Side, Trade
from health.types import Shortage

ZERO = Decimal(0)
MOST_DIGITS = 30
MOST = Decimal(10) ** 18  # no order is larger, and no figure of a person's smaller than its inverse


@dataclass(frozen=True, slots=True)
class Need:
    """What a bot's next order takes: its size in quote, where it is known, and the sides that it trades (empty: not known)."""

    notional: Decimal | None = None
    price: Decimal | None = None  # quote per base
    sides: frozenset[Side] = frozenset()
    leverage: Decimal = Decimal(1)


def need_of(config: Mapping[str, Any], trades: Sequence[Trade]) -> Need:
    """What its config says, else what its latest ``trades`` show: an order is at least as large as what it filled.

    ``order_amount`` is what a bot's orders use together, in quote, so a buy and a sell have half of it each.
    """
    newest = trades[:20]
    sides = _sides(config.get("side")) or frozenset(trade.side for trade in newest)
    together = _amount(config.get("order_amount"))
    notional = together / max(len(sides), 1) if together else max((t.notional for t in newest), default=None)
    if together and not sides:
        notional = together / 2
    return Need(notional, newest[0].price if newest else None, sides, _amount(config.get("leverage")) or Decimal(1))


def shortages(
    *, balances: Mapping[str, Balance], pair: str, market_type: MarketType, need: Need
) -> tuple[Shortage, ...]:
    """The currencies that the bot's next order would lack, quote first."""
    base, quote = base_quote(pair)
    if market_type != MarketType.SPOT:
        margin = need.notional / need.leverage if need.notional else None
        return _known(_lack(balances, quote, margin))
    quantity = need.notional / need.price if need.notional and need.price else None
    buy, sell = _lack(balances, quote, need.notional), _lack(balances, base, quantity)
    if not need.sides:
        return _known(buy, sell) if buy and sell else ()
    return _known(buy if Side.BUY in need.sides else None, sell if Side.SELL in need.sides else None)


def _lack(balances: Mapping[str, Balance], currency: str, needed: Decimal | None) -> Shortage | None:
    """What is free and what rests on the book are looked at apart: an order is made of one of them."""
    balance = balances.get(currency) or Balance(currency, ZERO, ZERO, ZERO)
    if max(balance.free, balance.used) >= (needed or ZERO) and (needed or balance.total > ZERO):
        return None
    return Shortage(currency, max(balance.free, ZERO), needed)


def _known(*found: Shortage | None) -> tuple[Shortage, ...]:
    return tuple(one for one in found if one)


def _sides(word: object) -> frozenset[Side]:
    return frozenset({Side(word)}) if isinstance(word, str) and word in list(Side) else frozenset()


def _amount(value: object) -> Decimal | None:
    """A positive number of a config, which may hold anything."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal) or len(str(value)) > MOST_DIGITS:
        return None
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    return amount if amount.is_finite() and 1 / MOST <= amount <= MOST else None
