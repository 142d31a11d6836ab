"""What both commands that import old data share: their options, their errors, their last words."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from bridge_project.use_cases.old_data.report import Report
from ground.errors import BridgeError


def add_common(parser: ArgumentParser, *, source: str) -> None:
    """--source, --dry-run and --report."""
    parser.add_argument("--source", default=source, help=f"What the old system is called in the rows ({source}).")
    parser.add_argument("--dry-run", action="store_true", help="Do everything, then take it back; write nothing.")
    parser.add_argument("--report", type=Path, metavar="FILE", help="Write the report as JSON too.")


def check_common(options: dict[str, Any]) -> None:
    """Before the import, not after it. Raises CommandError."""
    if not 0 < len(options["source"]) <= 50 or not options["source"].isprintable():
        raise CommandError("--source takes a name of at most 50 characters.")
    if options["report"]:
        try:
            options["report"].open("a", encoding="utf-8").close()
        except OSError as error:
            raise CommandError(
                f"{options['report']} cannot be written: {error.strerror}. Nothing was imported."
            ) from None


@contextmanager
def said_plainly() -> Iterator[None]:
    """Errors in the command's words."""
    try:
        yield
    except BridgeError as error:
        raise CommandError(f"{error.message} Nothing was written.") from None
    except DatabaseError as error:
        first = str(error).strip().partition("\n")[0]
        raise CommandError(f"The database refused the import, and nothing was written: {first}") from None


def tell(command: BaseCommand, report: Report, path: Path | None) -> None:
    """The report, to the person and into the file."""
    for line in report.lines():
        command.stdout.write(line)
    if path:
        report.write(path)
