"""The old bridge's tables: which columns are read, under which names they may stand, and one look at all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bridge_project.use_cases.old_data.report import Report
from ledger.services.import_arena.old_reader import OldReader
from ledger.services.import_arena.postgres_source import PostgresSource
from ledger.services.import_arena.seam import Unreadable

# Nothing else is read: a password's hash may stand under any name.
COLUMNS: dict[str, tuple[str, ...]] = {
    "clients": ("id", "name", "account_identifier", "account", "email", "status", "is_active", "tier", "management_mode",
                "settings", "wallet_address", "wallet_type", "created_at"),
    "wallets": ("id", "client_id", "chain", "wallet_type", "address", "wallet_address", "created_at"),
    "connectors": ("id", "client_id", "name", "connector", "connector_name", "exchange", "label", "api_key", "api_secret",
                   "secret", "memo", "passphrase", "created_at"),
    "bots": ("id", "client_id", "account", "account_identifier", "name", "connector", "connector_name", "exchange", "pair",
             "symbol", "trading_pair", "strategy", "config", "status", "reported_status", "desired_status", "health_status",
             "health_message", "last_trade_time", "last_heartbeat", "status_updated_at", "stale_minutes", "stopped_minutes",
             "created_at", "updated_at"),
    "bot_health_logs": ("id", "bot_id", "checked_at", "created_at", "previous_status", "new_status", "health_status",
                        "status", "reason", "message", "trade_count", "trades_found", "last_trade", "last_trade_time",
                        "last_trade_at"),
}  # fmt: skip
TABLES = ("clients", "wallets", "connectors", "bots")
LOGS = "bot_health_logs"


@dataclass(slots=True)
class OldBridge:
    """The small tables, by name, as dictionaries."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {table: [] for table in TABLES})


def old_bridge(url: str) -> PostgresSource:
    """The old database, also under the addresses that SQLAlchemy and Railway write."""
    scheme, mark, rest = url.partition("://")
    return PostgresSource(f"postgresql://{rest}" if mark and scheme.split("+")[0].startswith("postgres") else url)


def read_tables(reader: OldReader, report: Report) -> OldBridge:
    """All but the logs; rows that are too large are refused. Raises Unreadable for a database that is none of ours."""
    if not reader.columns("clients") and not reader.columns("bots"):
        raise Unreadable(f"{report.origin} is no old bridge: it has neither a table clients nor a table bots.")
    if "retired_at" in reader.columns("clients"):
        raise Unreadable(
            f"{report.origin} is a bridge of today, not the old one: bin/manage restore brings its backup."
        )
    found = OldBridge()
    for table in TABLES:
        report.count(table, "", 0)
        found.rows[table] = list(_rows(reader, table, report))
    return found


def read_logs(reader: OldReader, report: Report) -> Iterator[dict[str, Any]]:
    """The health log, oldest first as far as its ids tell; it may be long."""
    report.count(LOGS, "", 0)
    yield from _rows(reader, LOGS, report)


def _rows(reader: OldReader, table: str, report: Report) -> Iterator[dict[str, Any]]:
    present = reader.columns(table)
    if not present:
        report.note(f"The old database has no table {table}.")
        return
    left = [name for name in present if name not in COLUMNS[table]]
    if left:
        report.note(f"Not read of {table}: {', '.join(left)}.")
    for number, row in enumerate(reader.rows(table, [name for name in COLUMNS[table] if name in present])):
        if isinstance(row, str):
            report.refuse(table, f"row {number}", row)
        else:
            yield row
