"""Whose trades and orders these are. An account's own on a pair belong to every bot that trades there until something
tells: an id that the bot's runtime reported, the prefix of its client order ids, or that nobody else ran at the time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exchanges.types import OpenOrder, Trade
from health.rules.verdict import is_believable

_NO_OFFSET = timedelta(0)


@dataclass(frozen=True, slots=True)
class Rival:
    """Another bot on the same account and pair. It made nothing later than ``until`` (None: it still runs)."""

    name: str  # as the operator of this bot may be told
    order_prefix: str = ""  # what its client order ids begin with; empty: not known
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attributed:
    """Newest first. ``shared`` may be this bot's or a rival's; ``future_at`` is the newest unbelievable time.

    The trades carry the exchange's times, ``future_at`` is by our clock.
    """

    own: tuple[Trade, ...] = ()
    shared: tuple[Trade, ...] = ()
    rivals: tuple[str, ...] = ()
    future_at: datetime | None = None


def attribute(
    trades: Sequence[Trade],
    *,
    order_prefix: str,
    rivals: Sequence[Rival],
    now: datetime,
    offset: timedelta = _NO_OFFSET,
    own_ids: Collection[str] = (),
    foreign_ids: Collection[str] = (),
) -> Attributed:
    """Which of the account's trades on the pair are surely this bot's, and which cannot be told.

    ``offset``: by how much the exchange's clock is ahead of ours; ``own_ids``: trades that the bot's runtime says it made;
    ``foreign_ids``: those that a rival's says that made them.
    """
    newest_first = sorted(trades, key=lambda trade: (trade.executed_at, trade.exchange_trade_id), reverse=True)
    own: list[Trade] = []
    shared: list[Trade] = []
    names: dict[str, None] = {}
    for trade in newest_first:
        at = trade.executed_at - offset
        if not is_believable(at, now=now):
            continue
        if trade.exchange_trade_id in own_ids:
            own.append(trade)
            continue
        if trade.exchange_trade_id in foreign_ids:
            continue
        makers = _other_makers(trade.client_order_id, at, order_prefix=order_prefix, rivals=rivals)
        if makers is None:
            continue
        (shared if makers else own).append(trade)
        names |= dict.fromkeys(maker.name for maker in makers)
    future = [at for t in newest_first if not is_believable(at := t.executed_at - offset, now=now)]
    return Attributed(tuple(own), tuple(shared), tuple(names), future[0] if future else None)


def attribute_orders(
    orders: Sequence[OpenOrder], *, order_prefix: str, rivals: Sequence[Rival], offset: timedelta = _NO_OFFSET
) -> tuple[list[OpenOrder], list[OpenOrder]]:
    """``(own, shared)``: the open orders that are surely this bot's, and those that may be."""
    own: list[OpenOrder] = []
    shared: list[OpenOrder] = []
    for order in orders:
        at = order.placed_at - offset if order.placed_at else None
        makers = _other_makers(order.client_order_id, at, order_prefix=order_prefix, rivals=rivals)
        if makers is not None:
            (shared if makers else own).append(order)
    return own, shared


def _other_makers(
    client_order_id: str | None, at: datetime | None, *, order_prefix: str, rivals: Sequence[Rival]
) -> list[Rival] | None:
    """Who but this bot may have made what carries this id; empty: it is surely this bot's; None: it surely is not."""
    order_id = client_order_id or ""
    if order_prefix and order_id.startswith(order_prefix):
        return []
    if any(rival.order_prefix and order_id.startswith(rival.order_prefix) for rival in rivals):
        return None
    if order_prefix and order_id and rivals:
        return None
    possible = [rival for rival in rivals if rival.until is None or at is None or at <= rival.until]
    return [rival for rival in possible if not (rival.order_prefix and order_id)]
