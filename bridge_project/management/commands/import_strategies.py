"""Bring the old strategies' SQLite file along."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from bridge_project.use_cases.old_data.command import add_common, check_common, said_plainly, tell
from bridge_project.use_cases.old_data.import_strategies import import_strategies
from strategies.rules.words import DESK


class Command(BaseCommand):
    help = (
        "Imports the old strategies' SQLite file (data/strategies.db): active strategies, their history, and signals, trades "
        "and metrics where it has them. What ran waits for a person to start it, unless --start is given: turn the old "
        "service off first. A second run changes nothing. Exit code 0 when the file was read whole, also with refused rows, "
        "which are listed; 1 when it could not be, and then nothing is written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.db")
        parser.add_argument("--account", default=DESK, help=f"Whose they are: an account_identifier ({DESK}).")
        parser.add_argument("--start", action="store_true", help="Want what ran running, as soon as it is stored.")
        add_common(parser, source="strategies")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        check_common(options)
        with said_plainly():
            report = import_strategies(
                file, source=options["source"], account=options["account"], now=datetime.now(UTC),
                is_dry_run=options["dry_run"], starts=options["start"],
            )  # fmt: skip
        tell(self, report, options["report"])
