"""A table's rows for other programs: CSV as PostgreSQL writes it, or Parquet. Columns that hold secrets stay here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from typing import IO
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from bridge_project.use_cases.backup import snapshot
from bridge_project.use_cases.copying import copied_blocks, copied_rows, select
from bridge_project.use_cases.parquet import ParquetFile
from bridge_project.use_cases.tables import NOT_EXPORTED, Table, tables_to_keep
from ground.errors import InvalidInput, NotFound

CSV_WITH_HEADER = "(FORMAT csv, HEADER)"
CSV = "(FORMAT csv)"


class ExportFormat(StrEnum):
    """What programs read."""

    CSV = "csv"  # every language's; exact
    PARQUET = "parquet"  # columns with their types; needs pyarrow


def export_table(
    *, table: str, out: IO[bytes], form: ExportFormat = ExportFormat.CSV, client_id: UUID | None = None
) -> int:
    """Write every row of a table, or one client's, ordered by its primary key; returns how many.

    Runs as the database's owner. Raises NotFound for a table that is not exported, InvalidInput for one client's rows of
    a table that belongs to no client, MissingPart without pyarrow, OSError.
    """
    with snapshot() as cursor:
        found = exported_table(cursor, table)
        if client_id is not None and found.client_column is None:
            raise InvalidInput(f"The rows of {table} belong to no client: export it without --client.")
        columns = found.shown()
        query = select(found, [column.name for column in columns], client_id=client_id, ordered=True)
        if form is ExportFormat.CSV:
            with closing(copied_rows(cursor, query, CSV_WITH_HEADER)) as rows:
                return _written(out, rows) - 1
        with (
            ParquetFile(out, columns) as file,
            closing(copied_blocks(cursor, query, CSV, size=file.group_bytes)) as blocks,
        ):
            for block in blocks:
                file.add(block)
            return file.rows


def exported_tables(cursor: CursorWrapper) -> list[str]:
    """The names of what can be exported."""
    return [name for name, table in tables_to_keep(cursor).items() if table.is_exported]


def exported_table(cursor: CursorWrapper, name: str) -> Table:
    """Raises NotFound, with the reason where there is one."""
    table = tables_to_keep(cursor).get(name)
    if table is None or not table.is_exported:
        reason = NOT_EXPORTED.get(name, f"there are {', '.join(exported_tables(cursor))}")
        raise NotFound(f"There is no table {name} to export: {reason}.")
    return table


def _written(out: IO[bytes], rows: Iterator[bytes]) -> int:
    count = 0
    for row in rows:  # each a message of the server's own, also where a value holds line feeds
        out.write(row)
        count += 1
    return count
