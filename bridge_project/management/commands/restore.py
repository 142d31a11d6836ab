"""Load a backup: all of it into a fresh installation, or one client into any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from bridge_project.use_cases.backup_file import Member
from bridge_project.use_cases.restore import Restored, restore_backup
from ground.errors import BridgeError

# Their details name the columns of a key, never the whole row.
SAFE_DETAILS = ("23505", "23503")
WAITED_IN_VAIN = ("55P03", "40P01")  # a lock was not available in time, or two waited for each other


class Command(BaseCommand):
    help = "Restores what bin/manage backup wrote: whole, or not at all. See docs/backup.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--dry-run", action="store_true", help="Read and check everything, write nothing.")
        parser.add_argument(
            "--forget-credentials",
            action="store_true",
            help="Restore without the credentials that no key of this installation opens.",
        )

    def handle(self, *args: Any, file: str, dry_run: bool, forget_credentials: bool, **options: Any) -> None:
        try:
            done = restore_backup(
                path=Path(file),
                dry_run=dry_run,
                forget_credentials=forget_credentials,
                progress=self._show if options["verbosity"] > 1 else lambda _: None,
            )
        except BridgeError as error:
            raise CommandError(f"{error.message} Nothing was written.") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror or error}") from None
        except DatabaseError as error:
            raise CommandError(f"{_sentence(error)} Nothing was written.") from None
        self._tell(done, dry_run)

    def _show(self, member: Member) -> None:
        self.stderr.write(f"{member.table}: {member.rows} rows")

    def _tell(self, done: Restored, dry_run: bool) -> None:
        told = done.manifest
        whose = f"Client {told.client['account_identifier']}" if told.client else "Everything"
        verb = "can be restored" if dry_run else "is restored"
        self.stdout.write(f"{whose} {verb}: {done.rows} rows of {len(told.tables)} tables, as of {told.made_at}.")
        if dry_run:
            self.stdout.write("The file is whole. Nothing was written.")
            return
        for table in done.kept_as_they_are:
            self.stdout.write(f"{table} had rows of this client, and was left as it was.")
        if done.forgotten_credentials:
            lost = ", ".join(f"{count} rows of {table}" for table, count in done.forgotten_credentials.items())
            self.stdout.write(f"Without their secrets now: {lost}. Enter the credentials of connectors again.")
        if not told.client:
            self.stdout.write("Operators and API keys are those of the backup. Restart what runs.")
        if done.wanted_running:
            self.stdout.write(
                f"{done.wanted_running} bots are wanted running, and will be started where HUMMINGBOT_API_URL is set: "
                "stop the installation that this backup came from first."
            )


def _sentence(error: DatabaseError) -> str:
    """What the database refused; of its details only those that hold no row."""
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is None or not diagnosis.message_primary:
        return "The database broke off."
    if diagnosis.sqlstate in WAITED_IN_VAIN:
        return "Something else is writing to these tables: stop bin/up (or the workers), then try again."
    detail = f" ({diagnosis.message_detail})" if diagnosis.sqlstate in SAFE_DETAILS and diagnosis.message_detail else ""
    return f"The database refused it: {diagnosis.message_primary}{detail}."
