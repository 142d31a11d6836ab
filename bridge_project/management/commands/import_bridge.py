"""Bring the old bridge's own database along."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from bots.rules.words import RuntimeKind
from bridge_project.use_cases.old_data.command import add_common, check_common, said_plainly, tell
from bridge_project.use_cases.old_data.import_bridge import import_bridge


class Command(BaseCommand):
    help = (
        "Imports the clients, wallets, connectors (encrypted on the way), bots and health logs of the old bridge from its "
        "PostgreSQL. Old ids keep answering (/bots/1/health). Nothing is started. A second run changes nothing. Exit code 0 "
        "when the database was read whole, also with refused rows, which are listed; 1 when it could not be, and then nothing "
        "is written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("database_url", metavar="DATABASE_URL", help="postgresql://user:password@host/name")
        parser.add_argument(
            "--kind", choices=[RuntimeKind.EXTERNAL.value, RuntimeKind.HUMMINGBOT.value], default=RuntimeKind.EXTERNAL.value,
            help="external (default): their old runtime keeps running them and they are watched by their trades; "
            "hummingbot: this bridge runs them from their next start on.",
        )  # fmt: skip
        parser.add_argument("--without-logs", action="store_true", help="Leave the health logs out.")
        add_common(parser, source="bridge")

    def handle(self, *args: Any, database_url: str, **options: Any) -> None:
        check_common(options)
        with said_plainly():
            report = import_bridge(
                database_url, source=options["source"], kind=RuntimeKind(options["kind"]), now=datetime.now(UTC),
                is_dry_run=options["dry_run"], with_logs=not options["without_logs"],
            )  # fmt: skip
        tell(self, report, options["report"])
