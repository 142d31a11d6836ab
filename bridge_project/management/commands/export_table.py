"""Write a table as CSV or Parquet."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bridge_project.use_cases.backup import find_client, snapshot
from bridge_project.use_cases.export_table import ExportFormat, export_table, exported_tables
from bridge_project.use_cases.private_file import private_file
from ground.errors import BridgeError


class Command(BaseCommand):
    help = "Writes a table's rows as CSV or Parquet, without secrets; without a name, the tables there are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("table", nargs="?")
        parser.add_argument("--client", metavar="ACCOUNT", help="Only this client's rows (account_identifier, or id).")
        parser.add_argument("--format", choices=[str(form) for form in ExportFormat], default="csv", dest="form")
        parser.add_argument("--output", metavar="FILE", help="Instead of standard output; readable by you alone.")
        parser.add_argument("--replace", action="store_true", help="Replace a file of that name.")

    def handle(self, *args: Any, table: str | None, output: str | None, replace: bool, **options: Any) -> None:
        try:
            if table is None:
                with snapshot() as cursor:
                    self.stdout.write("\n".join(exported_tables(cursor)))
            elif output:
                with private_file(Path(output), replace=replace) as file:
                    rows = self._export(table, file, **options)
                self.stderr.write(f"{output}: {rows} rows of {table}.")
            else:
                self._to_standard_output(table, **options)
        except BridgeError as error:
            raise CommandError(error.message) from None
        except BrokenPipeError:  # whoever read has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise CommandError(f"{output or 'standard output'} cannot be written: {error.strerror or error}") from None

    def _to_standard_output(self, table: str, **options: Any) -> None:
        if options["form"] == ExportFormat.PARQUET and sys.stdout.isatty():
            raise CommandError("Parquet is no text: name a file with --output.")
        self._export(table, sys.stdout.buffer, **options)
        sys.stdout.buffer.flush()

    def _export(self, table: str, out: IO[bytes], *, client: str | None, form: str, **_: Any) -> int:
        client_id: UUID | None = find_client(client) if client else None
        return export_table(table=table, out=out, form=ExportFormat(form), client_id=client_id)
