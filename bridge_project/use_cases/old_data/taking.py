"""How old rows are taken: one import at a time, in one transaction, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DataError, IntegrityError, transaction

from bridge_project.use_cases.old_data.report import Report
from bridge_project.use_cases.old_data.values import OldRow, Refused, text_of
from ground.errors import Conflict
from ground.sql import fetch_one


class _Undo(Exception):
    """Ends the transaction of a dry run."""


@contextmanager
def alone(report: Report, lock: int) -> Iterator[None]:
    """The import's one transaction, named to the audit; a dry run takes everything back. Raises Conflict."""
    try:
        with transaction.atomic():
            row = fetch_one(
                "SELECT pg_try_advisory_xact_lock(%s), set_config('app.actor', %s, true), set_config('app.reason', %s, true)",
                [lock, f"import:{report.source}", f"imported from {report.origin}"[:300]],
            )
            if not row or not row[0]:
                raise Conflict("Another import is running; wait until it is done.")
            yield
            if report.is_dry_run:
                raise _Undo
    except _Undo:
        return


def each(table: str, rows: list[OldRow], take: Callable[[OldRow], None], report: Report) -> None:
    """Take row by row; one that cannot be taken leaves nothing behind and is refused."""
    for row in rows:
        try:
            with transaction.atomic():
                take(row)
        except Refused as reason:
            report.refuse(table, text_of(row, "id", limit=1_000_000)[:80], str(reason))
        except (IntegrityError, DataError) as error:
            # The first line names a constraint; what follows may show the row.
            said = str(error).strip().partition("\n")[0]
            report.refuse(table, text_of(row, "id", limit=1_000_000)[:80], f"The database refused it: {said}.")
