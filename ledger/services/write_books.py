"""Writing what changed in books: a few statements for any number of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ground.sql import run
from ledger.rules.pnl import ZERO
from ledger.services.book_rows import as_json


@dataclass(slots=True)
class Changes:
    """What is to be written, for any number of books."""

    new_trades: list[dict[str, Any]] = field(default_factory=list)
    changed_trades: list[dict[str, Any]] = field(default_factory=list)
    positions: list[dict[str, Any]] = field(default_factory=list)
    gone_positions: list[UUID] = field(default_factory=list)
    cash: dict[UUID, Decimal] = field(default_factory=dict)  # bot: what its account gains
    days: list[dict[str, Any]] = field(default_factory=list)
    gone_days: list[dict[str, Any]] = field(default_factory=list)  # position_id, since, until: those included

    def move_cash(self, bot_id: UUID, moved: Decimal) -> None:
        if moved:
            self.cash[bot_id] = self.cash.get(bot_id, ZERO) + moved


_FIXED = {  # of a position: what never changes
    "id": "uuid", "client_id": "uuid", "bot_id": "uuid", "connector_id": "uuid", "market_type": "text", "symbol": "text",
    "currency": "text",
}  # fmt: skip
_MOVING = {
    "status": "text", "position_type": "text", "entry_price": "numeric", "exit_price": "numeric", "size": "numeric",
    "leverage": "numeric", "opened_quantity": "numeric", "closed_quantity": "numeric", "quantity": "numeric",
    "basis_quantity": "numeric", "basis_cost": "numeric", "basis_entry_fees": "numeric", "basis_fees": "numeric",
    "realized_pnl": "numeric", "realized_exact": "numeric", "exit_notional": "numeric", "peak_size": "numeric",
    "opened_at": "timestamptz", "traded_at": "timestamptz", "closed_at": "timestamptz", "close_cause": "text",
    "mark_price": "numeric", "marked_at": "timestamptz", "unrealized_pnl": "numeric",
}  # fmt: skip
_TRADE = {
    "id": "uuid", "client_id": "uuid", "bot_id": "uuid", "connector_id": "uuid", "exchange": "text", "market_type": "text",
    "symbol": "text", "currency": "text", "side": "text", "price": "numeric", "quantity": "numeric", "leverage": "numeric",
    "fee": "numeric", "fee_currency": "text", "cause": "text", "executed_at": "timestamptz", "exchange_trade_id": "text",
    "exchange_order_id": "text", "note": "text",
}  # fmt: skip
DERIVED = {
    "trade_type": "text", "action": "text", "closed_quantity": "numeric", "size": "numeric", "entry_price": "numeric",
    "exit_price": "numeric", "pnl": "numeric", "fee_quote": "numeric", "position_id": "uuid",
}  # fmt: skip
_DAY = {
    "position_id": "uuid", "client_id": "uuid", "bot_id": "uuid", "day_at": "timestamptz",
}  # fmt: skip
_DAY_STATE = {
    "opened_quantity": "numeric", "closed_quantity": "numeric", "basis_quantity": "numeric", "basis_cost": "numeric",
    "basis_entry_fees": "numeric", "realized_exact": "numeric", "exit_notional": "numeric", "peak_size": "numeric",
}  # fmt: skip
# Of a stored trade these change where something new was said of them; without a word they stay.
_CORRECTED = ("bot_id", "side", "price", "quantity", "fee", "fee_currency", "executed_at", "note")


def _record(columns: Mapping[str, str]) -> str:
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"jsonb_to_recordset(%(rows)s::jsonb) AS x({declared})"


def _listed(columns: Iterable[str], shown: Callable[[str], str] = str) -> str:
    return ", ".join(shown(name) for name in columns)


# The last position of a book is the only one that can be open, and there can be one: so in this order.
UPSERT_POSITIONS = f"""
    INSERT INTO positions AS p ({_listed(_FIXED | _MOVING)}, mode, source, source_id, note, updated_at)
    SELECT {_listed(_FIXED | _MOVING, lambda name: f"x.{name}")}, 'live', '', '', '', %(now)s
      FROM {_record({"ord": "int"} | _FIXED | _MOVING)} ORDER BY x.ord
    ON CONFLICT (id) DO UPDATE SET {_listed(_MOVING, lambda name: f"{name} = excluded.{name}")}, updated_at = %(now)s
"""  # noqa: S608 - made of constants
INSERT_TRADES = f"""
    INSERT INTO trades ({_listed(_TRADE | DERIVED)}, mode, recorded_at, source, source_id)
    SELECT {_listed(_TRADE | DERIVED, lambda name: f"x.{name}")}, 'live', %(now)s, '', ''
      FROM {_record(_TRADE | DERIVED)} ORDER BY x.bot_id, x.executed_at, x.id
"""  # noqa: S608 - made of constants
UPDATE_TRADES = f"""
    UPDATE trades t SET {_listed(_CORRECTED, lambda name: f"{name} = coalesce(x.{name}, t.{name})")},
           {_listed(DERIVED, lambda name: f"{name} = x.{name}")}
      FROM {_record({"id": "uuid"} | {name: _TRADE[name] for name in _CORRECTED} | DERIVED)} WHERE t.id = x.id
"""  # noqa: S608 - made of constants
MOVE_CASH = """
    UPDATE bot_accounts a SET cash_flow = a.cash_flow + x.moved, updated_at = %(now)s
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(bot_id uuid, moved numeric) WHERE a.bot_id = x.bot_id
"""
UPSERT_DAYS = f"""
    INSERT INTO position_days ({_listed(_DAY | _DAY_STATE)})
    SELECT {_listed(_DAY | _DAY_STATE, lambda name: f"x.{name}")} FROM {_record(_DAY | _DAY_STATE)}
    ON CONFLICT (position_id, day_at) DO UPDATE SET {_listed(_DAY_STATE, lambda name: f"{name} = excluded.{name}")}
"""  # noqa: S608 - made of constants
DELETE_DAYS = """
    DELETE FROM position_days d
     USING jsonb_to_recordset(%(rows)s::jsonb) AS x(position_id uuid, since timestamptz, until timestamptz)
     WHERE d.position_id = x.position_id AND d.day_at >= x.since AND d.day_at <= coalesce(x.until, 'infinity')
"""


def write(changes: Changes, *, now: datetime) -> None:
    """All of it. The accounts are locked and exist; a position that goes is no trade's any more afterwards."""
    if changes.gone_positions:
        run("SET CONSTRAINTS trades_position_of_same_bot DEFERRED")
        run("DELETE FROM positions WHERE id = ANY(%s)", [changes.gone_positions])
    for statement, rows in _statements(changes):
        if rows:
            run(statement, {"rows": as_json(rows), "now": now})
    if changes.gone_positions:
        run("SET CONSTRAINTS trades_position_of_same_bot IMMEDIATE")


def _statements(changes: Changes) -> list[tuple[str, Sequence[Any]]]:
    cash = [{"bot_id": bot_id, "moved": moved} for bot_id, moved in changes.cash.items() if moved]
    numbered = [{"ord": number, **row} for number, row in enumerate(changes.positions)]
    return [
        (DELETE_DAYS, changes.gone_days),
        (UPSERT_POSITIONS, numbered),
        (UPSERT_DAYS, changes.days),
        (INSERT_TRADES, changes.new_trades),
        (UPDATE_TRADES, changes.changed_trades),
        (MOVE_CASH, cash),
    ]
