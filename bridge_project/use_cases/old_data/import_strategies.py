"""The old strategies' SQLite file, in one transaction; nothing trades because of it unless that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import UUID

from bots.gateways.connect import configured_gateway
from bots.services.start_bot import start_bot
from bridge_project.use_cases.old_data.extras import keep_extras
from bridge_project.use_cases.old_data.report import Report
from bridge_project.use_cases.old_data.strategies import import_active, import_run
from bridge_project.use_cases.old_data.strategy_rows import ACTIVE, EXTRAS, HISTORY, check_file, rows_of
from bridge_project.use_cases.old_data.taking import alone, each
from bridge_project.use_cases.old_data.values import OldRow
from clients.models import Client
from ground.errors import BridgeError, InvalidInput, NotReady
from ground.scope import Scope
from ledger.services.import_arena.old_reader import OldReader
from ledger.services.import_arena.sqlite_source import SqliteSource
from strategies.models import ActiveStrategy
from strategies.rules.words import DESK, StrategyStatus

_LOCK = 0x73747261_7465  # "strate": one import at a time


def import_strategies(
    path: Path, *, source: str, account: str, now: datetime, is_dry_run: bool = False, starts: bool = False
) -> Report:
    """Bring every strategy, run and kept row that is not here yet to the account's client; a second run changes nothing.

    With ``starts`` what ran is wanted running once it is stored. Runs as the owner. Raises Unreadable, InvalidInput for an
    unknown account, NotReady to start without a Hummingbot, Conflict while another import runs: then nothing was written.
    """
    if starts and configured_gateway() is None:
        raise NotReady("No Hummingbot is configured: set HUMMINGBOT_API_URL, or import without starting.")
    report, startable = Report(path.name, source, is_dry_run), []
    with SqliteSource(path).open() as reader:
        check_file(reader, report)
        with alone(report, _LOCK):
            startable = _move(reader, _owner(account, report), report, now=now)
    if starts and not is_dry_run:
        _start(startable, report, now=now)
    return report


def _move(reader: OldReader, client: Client, report: Report, *, now: datetime) -> list[UUID]:
    """The strategies that could be started now."""
    startable: list[UUID] = []

    def take(row: OldRow) -> None:
        if made := import_active(row, client, report, now=now):
            startable.append(made)

    takers: dict[str, Callable[[OldRow], None]] = {ACTIVE: take, HISTORY: lambda row: import_run(row, client, report)}
    for table, taker in takers.items():
        each(table, _named(rows_of(reader, table, report)), taker, report)
    for table in EXTRAS:
        keep_extras(table, rows_of(reader, table, report), client, report)
    return startable


def _named(rows: object) -> list[OldRow]:
    """With an id that tells a person which row is meant."""
    return [{**row, "id": row.get("id") or row.get("symbol") or "?"} for row in rows]  # type: ignore[attr-defined]


def _owner(account: str, report: Report) -> Client:
    client = Client.objects.filter(account_identifier=account, retired_at=None, deletion_requested_at=None).first()
    if client is None and account == DESK:
        return Client.objects.create(name="Desk", account_identifier=DESK)
    if client is None:
        raise InvalidInput(f"No client found with account_identifier '{account}'", code="unknown_account")
    return client


def _start(strategies: list[UUID], report: Report, *, now: datetime) -> None:
    """Want them running; the workers deploy them. One that may not start stays as it is, with the reason in the report."""
    scope = Scope(actor=f"import:{report.source}")
    for row in ActiveStrategy.objects.filter(id__in=strategies).order_by("started_at", "id"):
        try:
            with scope.transaction(reason="imported, and started at once"):
                waiting = ActiveStrategy.objects.filter(id=row.id, status=StrategyStatus.QUARANTINED)
                if waiting.update(status=StrategyStatus.RESTORING, status_at=now, message=""):
                    start_bot(scope=scope, bot_id=row.bot_id, now=now, reason=f"strategy {row}", wait=False)
        except BridgeError as error:
            report.note(f"{row} was not started: {error.message}")
        else:
            report.note(f"{row} is wanted running.")
