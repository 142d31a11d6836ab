"""Small questions that the apps above ask of the ledger. Call within a scope's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import orjson

from ground.sql import fetch_all
from ledger.models import Position
from ledger.rules.words import PositionStatus


def bots_with_open_positions(bot_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these bots hold something."""
    found = Position.objects.filter(bot_id__in=list(bot_ids), status=PositionStatus.OPEN)
    return set(found.values_list("bot_id", flat=True).distinct())


def known_exchange_trades(trades: Iterable[tuple[UUID, str, str, str]]) -> set[tuple[UUID, str, str, str]]:
    """Which of these executions, each (connector, market type, symbol, exchange's trade id), the ledger has."""
    rows = [
        {"connector_id": connector, "market_type": market_type, "symbol": symbol, "exchange_trade_id": trade_id}
        for connector, market_type, symbol, trade_id in trades
    ]
    if not rows:
        return set()
    found = fetch_all(
        "SELECT t.connector_id, t.market_type, t.symbol, t.exchange_trade_id FROM trades t JOIN jsonb_to_recordset(%s::jsonb)"
        " AS g(connector_id uuid, market_type text, symbol text, exchange_trade_id text)"
        " USING (connector_id, market_type, symbol, exchange_trade_id)",
        [orjson.dumps(rows).decode()],
    )
    return {(row[0], row[1], row[2], row[3]) for row in found}
