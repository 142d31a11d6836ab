"""The old strategies' SQLite file: its tables, and the rows of each as far as they can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge_project.use_cases.old_data.report import Report
from ledger.services.import_arena.old_reader import OldReader
from ledger.services.import_arena.old_secrets import readable
from ledger.services.import_arena.seam import Unreadable

ACTIVE, HISTORY = "active_strategies", "strategy_history"
EXTRAS = ("strategy_signals", "strategy_trades", "strategy_metrics")  # not every file has them


def check_file(reader: OldReader, report: Report) -> None:
    """Raises Unreadable for a database that is none of ours."""
    if not reader.columns(ACTIVE) and not reader.columns(HISTORY):
        raise Unreadable(
            f"{report.origin} holds no old strategies: it has neither a table {ACTIVE} nor a table {HISTORY}."
        )


def rows_of(reader: OldReader, table: str, report: Report) -> Iterator[dict[str, Any]]:
    """The rows of a table, without columns whose name is a secret's; those too large or broken are refused."""
    present = reader.columns(table)
    if not present:
        report.note(f"The old database has no table {table}.")
        return
    report.count(table, "", 0)
    good, left = readable(table, present)
    if left:
        report.note(f"Not read of {table}: {', '.join(left)}.")
    for number, row in enumerate(reader.rows(table, good)):
        if isinstance(row, str):
            report.refuse(table, f"row {number}", row)
        else:
            yield row
