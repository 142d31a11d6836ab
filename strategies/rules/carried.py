"""What a strategy left open when it went down: its positions beside what the account holds, and whose the orders are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from exchanges.types import MarketType, OpenOrder

LONG = "LONG"


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """An open position of the ledger."""

    symbol: str
    position_type: str  # LONG or SHORT
    quantity: Decimal  # base
    entry_price: Decimal  # quote per base
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """What the exchange said of the bot's account. None: it could not be read, and ``problem`` says why."""

    orders: Sequence[OpenOrder] | None = None
    base_held: Decimal | None = None  # of the pair's base, free and in orders
    problem: str = ""


def describe_carried(
    *,
    positions: Sequence[HeldPosition],
    account: AccountSeen,
    market_type: MarketType,
    order_prefix: str,
    sharers: Collection[str],
    now: datetime,
) -> dict[str, Any]:
    """What a restore step shows, as JSON values; money as text. ``sharers`` are other bots on the same account and pair."""
    return {
        "positions": [_position(position) for position in positions],
        "positions_match": _match(positions, account, market_type),
        "orders": None
        if account.orders is None
        else [_order(order, order_prefix, sharers) for order in account.orders],
        "orders_problem": account.problem,
        "shared_with": sorted(sharers),
        "read_at": now.isoformat(),
    }


def sentence_of(carried: Mapping[str, Any]) -> str:
    """One line for lists and logs."""
    positions, orders = len(carried["positions"]), carried["orders"]
    held = f"{positions} open position{'' if positions == 1 else 's'}"
    if orders is None:
        return f"Carries {held}; its open orders could not be read: {carried['orders_problem']}"
    return f"Carries {held} and {len(orders)} open order{'' if len(orders) == 1 else 's'}."


def whose(order: OpenOrder, order_prefix: str, sharers: Collection[str]) -> str:
    """``own``, ``other`` or ``shared``: only the client order id tells apart who uses one account."""
    if order_prefix and order.client_order_id:
        return "own" if order.client_order_id.startswith(order_prefix) else "other"
    return "shared" if sharers else "own"


def _match(positions: Sequence[HeldPosition], account: AccountSeen, market_type: MarketType) -> str:
    """``none``, ``covered``, ``short`` (the account holds less than the ledger says) or ``unknown``."""
    if not positions:
        return "none"
    if market_type != MarketType.SPOT or account.base_held is None:
        return "unknown"
    needed = sum((p.quantity for p in positions if p.position_type == LONG), Decimal())
    return "covered" if account.base_held >= needed else "short"


def _position(position: HeldPosition) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "position_type": position.position_type,
        "quantity": _text(position.quantity),
        "entry_price": _text(position.entry_price),
        "opened_at": position.opened_at.isoformat(),
    }


def _order(order: OpenOrder, order_prefix: str, sharers: Collection[str]) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "side": str(order.side),
        "price": _text(order.price),
        "quantity": _text(order.quantity),
        "filled": _text(order.filled),
        "placed_at": order.placed_at.isoformat() if order.placed_at else None,
        "whose": whose(order, order_prefix, sharers),
    }


def _text(number: Decimal | None) -> str | None:
    if number is None:
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
