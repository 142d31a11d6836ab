"""What a redeploy would mean for a bot, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bots.rules.words import RuntimeKind


class Risk(StrEnum):
    HOLDS = "holds"  # a position or an order is open
    UNKNOWN = "unknown"  # its orders could not be read
    CLEAR = "clear"  # it holds nothing


@dataclass(frozen=True, slots=True)
class Meaning:
    """What happens to what a bot holds, by what is stopped."""

    risk: Risk
    holds: str
    if_bridge_stops: str
    if_bot_stops: str
    if_hummingbot_stops: str


def meaning(*, kind: RuntimeKind, runs: bool, carried: Mapping[str, Any]) -> Meaning:
    """``runs``: it may be trading. ``carried``: ``positions``, ``orders`` (None: not read) and ``orders_problem``."""
    orders, positions = _orders(carried), len(carried["positions"])
    risk = Risk.HOLDS if positions or orders else Risk.UNKNOWN if orders is None else Risk.CLEAR
    return Meaning(
        risk=risk,
        holds=_holds(positions, orders, str(carried.get("orders_problem") or "")),
        if_bridge_stops=_bridge(kind, runs),
        if_bot_stops=_bot(kind, runs, positions, orders),
        if_hummingbot_stops=_hummingbot(kind, runs, positions, orders),
    )


def _orders(carried: Mapping[str, Any]) -> int | None:
    """Orders that are or may be this bot's; another's on the same account are not counted."""
    if carried["orders"] is None:
        return None
    return sum(1 for order in carried["orders"] if order.get("whose") != "other")


def _holds(positions: int, orders: int | None, problem: str) -> str:
    held = f"{_count(positions, 'open position')}"
    if orders is None:
        return f"{held}; its open orders could not be read: {problem.rstrip('.') or 'nobody asked'}."
    return f"{held}, {_count(orders, 'open order')}."


def _bridge(kind: RuntimeKind, runs: bool) -> str:
    if not runs:
        return "Nothing changes: it does not run."
    where = "in Hummingbot" if kind == RuntimeKind.HUMMINGBOT else "where it runs"
    return f"It trades on {where}, unwatched until the bridge is back; its trades are recorded afterwards."


def _bot(kind: RuntimeKind, runs: bool, positions: int, orders: int | None) -> str:
    if kind != RuntimeKind.HUMMINGBOT:
        return "Nothing here stops it: somebody else runs it."
    if not runs:
        return _left(positions, orders)
    cancels = "Its open orders are cancelled" if orders != 0 else "It has no orders to cancel"
    if positions:
        return f"{cancels}; {_count(positions, 'position')} stays open, with nobody to take profit or stop its loss."
    return f"{cancels}; it holds no position."


def _hummingbot(kind: RuntimeKind, runs: bool, positions: int, orders: int | None) -> str:
    if kind != RuntimeKind.HUMMINGBOT:
        return "It does not run in Hummingbot."
    return _left(positions, orders) if not runs else f"It ends at once. {_left(positions, orders)}"


def _left(positions: int, orders: int | None) -> str:
    if not positions and orders == 0:
        return "Nothing is left on the exchange."
    left = [
        *([_count(positions, "position")] if positions else []),
        *(["perhaps open orders"] if orders is None else [_count(orders, "open order")] if orders else []),
    ]
    return f"Left on the exchange, with nobody at it: {' and '.join(left)}."


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"
