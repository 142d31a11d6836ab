"""Whose trades these are. An account's trades on a pair belong to every bot that trades there until something tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchanges.types import Trade
from health.rules.verdict import is_believable


@dataclass(frozen=True, slots=True)
class Rival:
    """Another bot on the same account and pair. It made nothing later than ``until`` (None: it still runs)."""

    name: str  # as the operator of this bot may be told
    order_prefix: str = ""  # what its client order ids begin with; empty: not known
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attributed:
    """Newest first. ``shared`` may be this bot's or a rival's; ``future_at`` is the newest unbelievable time."""

    own: tuple[Trade, ...] = ()
    shared: tuple[Trade, ...] = ()
    rivals: tuple[str, ...] = ()
    future_at: datetime | None = None


def attribute(trades: Sequence[Trade], *, order_prefix: str, rivals: Sequence[Rival], now: datetime) -> Attributed:
    """Which of the account's trades on the pair are surely this bot's, and which cannot be told."""
    newest_first = sorted(trades, key=lambda trade: (trade.executed_at, trade.exchange_trade_id), reverse=True)
    own: list[Trade] = []
    shared: list[Trade] = []
    names: dict[str, None] = {}
    for trade in newest_first:
        if not is_believable(trade.executed_at, now=now):
            continue
        makers = _other_makers(trade, order_prefix=order_prefix, rivals=rivals)
        if makers is None:
            continue
        (shared if makers else own).append(trade)
        names |= dict.fromkeys(maker.name for maker in makers)
    future = [t.executed_at for t in newest_first if not is_believable(t.executed_at, now=now)]
    return Attributed(tuple(own), tuple(shared), tuple(names), future[0] if future else None)


def _other_makers(trade: Trade, *, order_prefix: str, rivals: Sequence[Rival]) -> list[Rival] | None:
    """Who but this bot may have made the trade; empty: it is surely this bot's; None: it surely is not."""
    order_id = trade.client_order_id or ""
    if order_prefix and order_id.startswith(order_prefix):
        return []
    if any(rival.order_prefix and order_id.startswith(rival.order_prefix) for rival in rivals):
        return None
    if order_prefix and order_id and rivals:
        return None
    possible = [rival for rival in rivals if rival.until is None or trade.executed_at <= rival.until]
    return [rival for rival in possible if not (rival.order_prefix and order_id)]
