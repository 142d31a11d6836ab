"""Telling listeners: rows written in the transaction that they tell of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from arena.rules.statuses import EventKind
from arena.services.wake import wake_stream
from ground.http import exact_json
from ground.scope import on_commit
from ground.sql import run_hot
from ledger.services.record_paper import Filled

_TELL = """
    INSERT INTO arena_events (client_id, bot_id, kind, payload, happened_at)
    SELECT x.client_id, x.bot_id, x.kind, x.payload, %(now)s
      FROM jsonb_array_elements(%(rows)s::jsonb) WITH ORDINALITY AS e (row, place)
     CROSS JOIN LATERAL jsonb_to_record(e.row) AS x(client_id uuid, bot_id uuid, kind text, payload jsonb)
     ORDER BY e.place
"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What happened to one bot. ``payload`` holds ids and what changed; small."""

    client_id: UUID
    bot_id: UUID
    kind: EventKind
    payload: dict[str, Any] = field(default_factory=dict)


def tell(events: Iterable[NewEvent], *, now: datetime) -> None:
    """Write events within the open transaction; when it commits, the stream looks for them."""
    rows = [
        {"client_id": one.client_id, "bot_id": one.bot_id, "kind": str(one.kind), "payload": one.payload}
        for one in events
    ]
    if rows:
        run_hot(_TELL, {"rows": exact_json(rows), "now": now})
        on_commit(wake_stream)


def trade_event(filled: Filled) -> NewEvent:
    """A trade as listeners see it."""
    payload = {
        "trade_id": str(filled.trade_id), "position_id": str(filled.position_id), "symbol": filled.symbol,
        "action": str(filled.action), "side": str(filled.side), "price": filled.price, "quantity": filled.quantity,
        "size": filled.size, "fee": filled.fee, "pnl": filled.pnl, "cause": str(filled.cause),
    }  # fmt: skip
    return NewEvent(filled.client_id, filled.bot_id, EventKind.TRADE, payload)
