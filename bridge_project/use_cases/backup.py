"""Making a backup: every row, or every row of one client, as they were at one instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from bridge_project.use_cases.backup_file import BackupWriter, Manifest, Member
from bridge_project.use_cases.copying import WRITTEN_ALIKE, copied_blocks, select
from bridge_project.use_cases.private_file import private_file
from bridge_project.use_cases.sealed import keys_in_use
from bridge_project.use_cases.tables import Table, tables_to_keep
from clients.models import Client
from clients.selectors import as_uuid
from ground.errors import NotFound

Progress = Callable[[Member], None]


def make_backup(
    *,
    path: Path,
    now: datetime,
    client_id: UUID | None = None,
    replace: bool = False,
    progress: Progress = lambda _: None,
) -> Manifest:
    """Write everything, or one client's rows, to ``path``; returns what is in it. Runs as the database's owner.

    Nothing is locked and nobody waits. Raises Conflict for a file that exists, NotFound for an unknown client, OSError.
    """
    with private_file(path, replace=replace) as file, snapshot() as cursor:
        tables = tables_to_keep(cursor)
        if client_id is not None:
            tables = {name: table for name, table in tables.items() if table.client_column}
        manifest = Manifest(
            app_version=settings.VERSION,
            made_at=now.isoformat(),
            server_version=_one(cursor, "SHOW server_version"),
            migrations=applied_migrations(cursor),
            client=_client(client_id),
            credentials=keys_in_use(cursor, tables.values(), client_id=client_id),
        )
        with BackupWriter(file) as writer:
            for table in tables.values():
                manifest.tables.append(_add(writer, cursor, table, client_id))
                progress(manifest.tables[-1])
            writer.finish(manifest)
    return manifest


def find_client(account: str) -> UUID:
    """The client of this account_identifier, or of this id, which finds retired ones too. Raises NotFound."""
    found = Client.objects.filter(account_identifier=account, retired_at=None).first()
    as_id = as_uuid(account)
    found = found or (Client.objects.filter(id=as_id).first() if as_id else None)
    if found is None:
        raise NotFound(f"No client found with account_identifier '{account}'.")
    return found.id


def applied_migrations(cursor: CursorWrapper) -> list[str]:
    """What made the tables, as ``app.name``."""
    cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY app, name")
    return [row[0] for row in cursor.fetchall()]


@contextmanager
def snapshot() -> Iterator[CursorWrapper]:
    """A read-only transaction of the owner that sees the database as it is at its first read."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(WRITTEN_ALIKE)
        yield cursor


def _add(writer: BackupWriter, cursor: CursorWrapper, table: Table, client_id: UUID | None) -> Member:
    # One client's rows go among others elsewhere: they get new numbers there, in the order of the old ones.
    columns = table.stored(numbered=client_id is None)
    query = select(table, columns, client_id=client_id, ordered=client_id is not None)
    numbers = _last_number(cursor, table) if client_id is None else None
    with closing(copied_blocks(cursor, query)) as blocks:
        return writer.add(table.name, columns, blocks, numbers=numbers)


def _last_number(cursor: CursorWrapper, table: Table) -> int | None:
    numbered = next((column.name for column in table.columns if column.is_numbered), None)
    if numbered is None:
        return None
    name = sql.Identifier(table.name).as_string()
    cursor.execute(
        "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(%s, %s)::regclass), 0)", [name, numbered]
    )
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _client(client_id: UUID | None) -> dict[str, str] | None:
    if client_id is None:
        return None
    client = Client.objects.filter(id=client_id).first()
    if client is None:
        raise NotFound(f"There is no client {client_id}.")
    return {"id": str(client.id), "account_identifier": client.account_identifier, "name": client.name}


def _one(cursor: CursorWrapper, statement: str) -> str:
    cursor.execute(statement)
    row = cursor.fetchone()
    return str(row[0]) if row else ""
