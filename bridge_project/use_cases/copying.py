"""PostgreSQL's COPY as streams of bytes: memory stays the same however many rows there are."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

from django.db.backends.utils import CursorWrapper
from psycopg import sql

from bridge_project.use_cases.tables import Table

BLOCK_BYTES = 256 * 1024
ROWS_AT_ONCE = 50_000  # of a load: what the server notes to check foreign keys with stays small
# The text form of every value, whatever the server, role or database is set to.
WRITTEN_ALIKE = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; "
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8'; "
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "
    "SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0"
)


def select(
    table: Table, columns: Sequence[str], *, client_id: UUID | None = None, ordered: bool = False
) -> sql.Composable:
    """All rows of a table, or one client's. Rows come in the order they are stored in, or in that of the primary key."""
    parts = [
        sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(sql.Identifier(name) for name in columns), sql.Identifier(table.name)
        )
    ]
    if client_id is not None:
        if table.client_column is None:
            raise ValueError(f"{table.name} belongs to no client")
        parts.append(sql.SQL("WHERE {} = {}").format(sql.Identifier(table.client_column), sql.Literal(client_id)))
    if ordered and table.primary_key:
        parts.append(sql.SQL("ORDER BY {}").format(sql.SQL(", ").join(map(sql.Identifier, table.primary_key))))
    return sql.SQL(" ").join(parts)


def copied_rows(cursor: CursorWrapper, query: sql.Composable, options: str = "") -> Generator[bytes]:
    """The rows of a query in COPY's form, one at a time: the server sends each as a message of its own.

    Whoever may stop before the end must close it (``contextlib.closing``): an open COPY holds up its connection for ever.
    """
    statement = sql.SQL("COPY ({}) TO STDOUT {}").format(query, sql.SQL(options))
    with cursor.db.wrap_database_errors, cursor.copy(statement) as copy:
        for row in copy:
            yield bytes(row)


def copied_blocks(
    cursor: CursorWrapper, query: sql.Composable, options: str = "", *, size: int = BLOCK_BYTES
) -> Generator[bytes]:
    """The same in blocks of whole rows. To be closed as well."""
    block = bytearray()
    with closing(copied_rows(cursor, query, options)) as rows:
        for row in rows:
            block += row
            if len(block) >= size:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)


def load(
    cursor: CursorWrapper, table: Table, columns: Sequence[str], blocks: Iterable[bytes], *, in_one: bool = False
) -> int:
    """Append rows in COPY's text form to a table; returns how many. ``in_one``: all in one statement."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    )
    done = 0
    for part in [blocks] if in_one else _parts(blocks):
        with cursor.db.wrap_database_errors, cursor.copy(statement) as copy:
            for block in part:
                copy.write(block)
        done += cursor.rowcount
    return done


def _parts(blocks: Iterable[bytes]) -> Iterator[Iterable[bytes]]:
    """The stream cut between rows: in COPY's text form a line is a row, line feeds within values are written ``\\n``."""
    part: list[bytes] = []
    rows = size = 0
    for block in blocks:
        head, feed, tail = block.rpartition(b"\n")
        rows, size = rows + block.count(b"\n"), size + len(block)
        if feed and (rows >= ROWS_AT_ONCE or size >= 64 * BLOCK_BYTES):
            yield [*part, head + feed]
            part, rows, size = [tail], 0, len(tail)
        else:
            part.append(block)
    if any(part):
        yield part


def values(cursor: CursorWrapper, query: sql.Composable, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Every row of a composed statement."""
    cursor.execute(query, params)
    return list(cursor.fetchall())
