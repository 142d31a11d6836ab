"""Write a backup of everything, or of one client, to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from bridge_project.use_cases.backup import find_client, make_backup
from bridge_project.use_cases.backup_file import Manifest, Member
from bridge_project.use_cases.sealed import UNKNOWN
from ground.errors import BridgeError


class Command(BaseCommand):
    help = "Writes every row, or every row of one client, to a file. Nothing is stopped or locked. See docs/backup.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="Where to write it; readable by you alone.")
        parser.add_argument("--client", metavar="ACCOUNT", help="Only this client (account_identifier, or id).")
        parser.add_argument("--replace", action="store_true", help="Replace a file of that name.")

    def handle(self, *args: Any, file: str, client: str | None, replace: bool, **options: Any) -> None:
        try:
            made = make_backup(
                path=Path(file),
                now=timezone.now(),
                client_id=find_client(client) if client else None,
                replace=replace,
                progress=self._show if options["verbosity"] > 1 else lambda _: None,
            )
        except BridgeError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror or error}") from None
        self._tell(made, Path(file))

    def _show(self, member: Member) -> None:
        self.stderr.write(f"{member.table}: {member.rows} rows")

    def _tell(self, made: Manifest, path: Path) -> None:
        whose = f"client {made.client['account_identifier']}" if made.client else "everything"
        size = path.stat().st_size / 1e6
        self.stdout.write(f"{path}: {whose}, {made.rows} rows of {len(made.tables)} tables, {size:.1f} MB.")
        lost = made.credentials.get(UNKNOWN, 0)
        if lost:
            self.stderr.write(f"{lost} stored credentials can be opened with none of BRIDGE_ENCRYPTION_KEYS.")
        if made.credentials:
            self.stdout.write(
                "Keep BRIDGE_ENCRYPTION_KEYS somewhere else: without them the credentials in it are lost."
            )
