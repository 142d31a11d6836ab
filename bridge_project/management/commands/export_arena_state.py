"""Write the ledger back as the state of the old arena."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bridge_project.use_cases.backup import find_client
from bridge_project.use_cases.private_file import private_file
from ground.errors import BridgeError
from ground.scope import system_scope
from ground.snapshot import one_snapshot
from ledger.selectors.arena_state import DEFAULT_SOURCE, write_state


class Command(BaseCommand):
    help = "Writes bots with their orders, logs and positions as the JSON that the old arena kept. See docs/import.md."

    requires_system_checks: list[str] = []  # they would load the whole site: a tenth of the memory and half a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", default="-", help="Readable by you alone; - is standard output.")
        parser.add_argument("--client", metavar="ACCOUNT", help="Only this client's bots (account_identifier, or id).")
        parser.add_argument("--source", default=DEFAULT_SOURCE, help="The word its import was given (%(default)s).")
        parser.add_argument("--replace", action="store_true", help="Replace a file of that name.")

    def handle(self, *args: Any, file: str, client: str | None, source: str, replace: bool, **options: Any) -> None:
        try:
            client_id = find_client(client) if client else None
            if file == "-":
                self._write(sys.stdout.buffer, source, client_id)
                sys.stdout.buffer.flush()
            else:
                with private_file(Path(file), replace=replace) as out:
                    bots = self._write(out, source, client_id)
                self.stderr.write(f"{file}: {bots} bots.")
        except BridgeError as error:
            raise CommandError(error.message) from None
        except BrokenPipeError:  # whoever read has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror or error}") from None

    def _write(self, out: IO[bytes], source: str, client_id: Any) -> int:
        with one_snapshot(system_scope("export")):
            return write_state(lambda text: out.write(text.encode()), source=source, client_id=client_id)
