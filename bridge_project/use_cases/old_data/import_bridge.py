"""The old bridge's own database: clients, wallets, connectors, bots and the log of their health, in one transaction."""

from __future__ import annotations

from datetime import datetime

from bots.rules.words import RuntimeKind
from bridge_project.use_cases.old_data.accounts import Clients, import_client, import_connector, import_wallet
from bridge_project.use_cases.old_data.bots import BotsWish, import_bot
from bridge_project.use_cases.old_data.bridge_rows import OldBridge, old_bridge, read_logs, read_tables
from bridge_project.use_cases.old_data.health_logs import drop_logs, move_logs, stage_logs
from bridge_project.use_cases.old_data.report import Report
from bridge_project.use_cases.old_data.taking import alone, each
from bridge_project.use_cases.old_data.values import OldRow, text_of
from ground.scope import assert_no_transaction

_LOCK = 0x62726964_6765  # "bridge": one import at a time


def import_bridge(
    url: str, *, source: str, kind: RuntimeKind, now: datetime, is_dry_run: bool = False, with_logs: bool = True
) -> Report:
    """Bring everything of the old bridge that is not here yet; a second run changes nothing.

    Runs as the owner. Rows that cannot be taken are in the report. Raises Unreadable (then nothing was written), Conflict
    while another import runs.
    """
    database = old_bridge(url)
    report = Report(database.label, source, is_dry_run)
    assert_no_transaction()
    try:
        with database.open() as reader:
            old = read_tables(reader, report)
            stage_logs(read_logs(reader, report) if with_logs else [], report)
        with alone(report, _LOCK):
            _move(old, report, BotsWish(kind, now))
    finally:
        drop_logs()
    return report


def _move(old: OldBridge, report: Report, wish: BotsWish) -> None:
    clients, bots = Clients(), {}

    def take_bot(row: OldRow) -> None:
        bot = import_bot(row, clients, report, wish)
        bots[text_of(row, "id")] = (bot.id, bot.client_id)

    each("clients", _with(old, "clients"), lambda row: import_client(row, clients, report), report)
    wallets = _with(old, "wallets") + _first_wallets(old)
    each("wallets", wallets, lambda row: import_wallet(row, clients, report), report)
    each("connectors", _with(old, "connectors"), lambda row: import_connector(row, clients, report), report)
    each("bots", _with(old, "bots"), take_bot, report)
    move_logs(bots, report)


def _with(old: OldBridge, table: str) -> list[OldRow]:
    return list(old.rows[table])


def _first_wallets(old: OldBridge) -> list[OldRow]:
    """The wallet that stood in the client's own row, where the table of wallets does not have it."""
    listed = {str(row.get("address") or row.get("wallet_address")).lower() for row in old.rows["wallets"]}
    return [
        {"id": f"client:{row.get('id')}", "client_id": row.get("id"), "address": row["wallet_address"],
         "chain": row.get("wallet_type"), "created_at": row.get("created_at")}
        for row in old.rows["clients"] if row.get("wallet_address") and row["wallet_address"].lower() not in listed
    ]  # fmt: skip
