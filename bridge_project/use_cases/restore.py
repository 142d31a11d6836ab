"""Restoring a backup: all of it into a fresh installation, or one client into any. It is written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from bridge_project.use_cases.backup import Progress
from bridge_project.use_cases.backup_file import BackupReader, DamagedBackup, Manifest, Member, open_backup
from bridge_project.use_cases.copying import WRITTEN_ALIKE, load
from bridge_project.use_cases.fitting import check_fit, client_of
from bridge_project.use_cases.sealed import forget_unreadable
from bridge_project.use_cases.tables import Order, Table, loading_order, tables_to_keep
from clients.models import Installation
from ground.encrypted import fingerprints

LOCK_PATIENCE = "30s"


@dataclass(slots=True)
class Restored:
    """What a restore did, or with ``dry_run`` would do."""

    manifest: Manifest
    rows: int
    may_forget_credentials: bool
    kept_as_they_are: list[str] = field(default_factory=list)
    forgotten_credentials: dict[str, int] = field(default_factory=dict)
    wanted_running: int = 0


def restore_backup(
    *, path: Path, forget_credentials: bool = False, dry_run: bool = False, progress: Progress = lambda _: None
) -> Restored:
    """Load a backup as the database's owner, in one transaction; the database checks every row as it comes.

    ``forget_credentials`` empties stored secrets that no key of this installation opens, instead of refusing.
    Raises DamagedBackup, DoesNotFit, OSError, and the database's own errors; then nothing has been written.
    """
    with open_backup(path) as reader:
        done = Restored(reader.manifest, reader.manifest.rows, forget_credentials)
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(WRITTEN_ALIKE)
            check_fit(cursor, reader.manifest, forget_credentials=forget_credentials)
            if not dry_run:
                _restore(cursor, reader, done, progress)
        if dry_run:
            reader.check()
            return done
    ContentType.objects.clear_cache()
    _analyze([member.table for member in done.manifest.tables])
    return done


def _restore(cursor: CursorWrapper, reader: BackupReader, done: Restored, progress: Progress) -> None:
    client_id, kept = client_of(reader.manifest), tables_to_keep(cursor)
    members = {member.table: member for member in reader.manifest.tables}
    order = loading_order(cursor, members)
    with _quiet(cursor, order.tables):
        check_fit(cursor, reader.manifest, forget_credentials=True)  # again: now nobody can get in between
        if client_id is None:
            _empty(cursor, reversed(order.tables))
        else:
            done.kept_as_they_are = _already_there(cursor, [kept[name] for name in order.tables], client_id)
            done.rows -= sum(members[name].rows for name in done.kept_as_they_are)
        _checked_as_they_come(cursor, order)
        for name in order.tables:
            if name not in done.kept_as_they_are:
                _load(cursor, reader, kept[name], members[name], in_one=name in order.whole)
                progress(members[name])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if done.may_forget_credentials:
            tables = [kept[name] for name in order.tables]
            done.forgotten_credentials = forget_unreadable(cursor, tables, client_id=client_id)
        done.wanted_running = _wanted_running(cursor, client_id)
        _finish(cursor, reader.manifest, kept, client_id)


def _load(cursor: CursorWrapper, reader: BackupReader, table: Table, member: Member, *, in_one: bool) -> None:
    loaded = load(cursor, table, member.columns, reader.blocks(member), in_one=in_one)
    if loaded != member.rows:
        raise DamagedBackup(f"The backup is damaged: table {table.name} gave {loaded} rows instead of {member.rows}.")


def _finish(cursor: CursorWrapper, manifest: Manifest, kept: dict[str, Table], client_id: UUID | None) -> None:
    if client_id is not None:
        cursor.execute(
            "INSERT INTO audit_log (table_name, row_id, client_id, action, actor, reason) "
            "VALUES ('clients', %s, %s, 'INSERT', 'command:restore', %s)",
            [str(client_id), client_id, f"restored from a backup made at {manifest.made_at}"],
        )
        return
    for member in manifest.tables:
        _count_on(cursor, kept[member.table], member.numbers or 0)
    # Reached with a key that we do not have only where nothing needs it any more.
    Installation.objects.exclude(encryption_fingerprint__in=fingerprints()).update(
        encryption_fingerprint=fingerprints()[0]
    )


def _count_on(cursor: CursorWrapper, table: Table, last: int) -> None:
    """New rows are numbered after the last number that was ever given."""
    for column in table.columns:
        if column.is_numbered:
            name = sql.Identifier(table.name)
            highest = sql.SQL("SELECT coalesce(max({}), 0) FROM {}").format(sql.Identifier(column.name), name)
            cursor.execute(highest)
            number = max(last, *(row[0] for row in cursor.fetchall()))
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)",
                [name.as_string(), column.name, max(number, 1), number > 0],
            )


@contextmanager
def _quiet(cursor: CursorWrapper, tables: list[str]) -> Iterator[None]:
    """Triggers of the product are off: figures and audit come with the backup. Nobody else writes meanwhile.

    They are off for everybody, which is why the tables are locked; a rolled back transaction leaves them on.
    """
    names = [sql.Identifier(name) for name in sorted(tables)]
    cursor.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_PATIENCE)))
    cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.SQL(", ").join(names)))
    for name in names:
        cursor.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
    yield
    for name in names:
        cursor.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))


def _checked_as_they_come(cursor: CursorWrapper, order: Order) -> None:
    """Foreign keys are checked with each statement, so that the server need not note every row until the end."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    if order.deferred:
        names = sql.SQL(", ").join(map(sql.Identifier, order.deferred))
        cursor.execute(sql.SQL("SET CONSTRAINTS {} DEFERRED").format(names))


def _empty(cursor: CursorWrapper, tables: Iterator[str]) -> None:
    """What a first start made: an operator, its key, templates, settings. Clients there are none."""
    for name in ("django_session", *tables):
        cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))


def _already_there(cursor: CursorWrapper, tables: list[Table], client_id: UUID) -> list[str]:
    """Tables with rows of a client that is not there: only the audit, from which nothing can ever be deleted."""
    found = []
    for table in tables:
        query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} = {})")
        column = sql.Identifier(table.client_column or "client_id")
        cursor.execute(query.format(sql.Identifier(table.name), column, sql.Literal(client_id)))
        if cursor.fetchone() == (True,):
            found.append(table.name)
    return found


def _wanted_running(cursor: CursorWrapper, client_id: UUID | None) -> int:
    cursor.execute(
        "SELECT count(*) FROM bots WHERE retired_at IS NULL AND desired_status = 'running' "
        "AND (%s::uuid IS NULL OR client_id = %s)",
        [client_id, client_id],
    )
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _analyze(tables: list[str]) -> None:
    """So that the first queries are planned for what is there now."""
    with connection.cursor() as cursor:
        for name in tables:
            cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(name)))
