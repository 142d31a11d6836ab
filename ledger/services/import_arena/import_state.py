"""The import: a source into staging, chunk by chunk, then everything into the ledger at once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from django.db import connection, transaction

from ground.errors import Conflict
from ground.sql import fetch_all, run
from ledger.models import ArenaImport
from ledger.rules.words import ImportStatus
from ledger.services.import_arena.heads import read_heads, read_users
from ledger.services.import_arena.move import move
from ledger.services.import_arena.owners import find_owners
from ledger.services.import_arena.report import make_report, refusals, refuse_bots
from ledger.services.import_arena.seam import Source, Unreadable
from ledger.services.import_arena.stage import COMMIT_EVERY, Stager

_LOCK = 0x617265_6E61  # "arena": one import at a time
_TABLES = ("state", "fields", "orders", "positions", "logs", "snapshots", "refusals")

Progress = Callable[[str, int, int | None], None]
"""Told the step and how many bytes of how many were read."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an import is asked to do. ``accounts`` gives users of the arena to existing clients."""

    source: str = "arena"
    accounts: Mapping[str, str] = field(default_factory=dict)
    is_dry_run: bool = False
    commit_every: int = COMMIT_EVERY


@dataclass(frozen=True, slots=True)
class Imported:
    """The report, and every refused item as lines ``path<TAB>reason``."""

    report: dict[str, Any]
    refused: IO[str]


class _Undo(Exception):
    """Ends the transaction of a dry run."""


def import_state(source: Source, wish: Wish, *, now: datetime, progress: Progress) -> Imported:
    """Import everything the source has; a second run changes nothing, and goes on where one was interrupted.

    Raises Unreadable (then nothing was written), Conflict while another import runs, InvalidInput for an unknown account.
    """
    with _alone():
        if not wish.is_dry_run:
            return _import(source, wish, now=now, progress=progress)
        done: list[Imported] = []
        try:
            with transaction.atomic():
                done.append(_import(source, wish, now=now, progress=progress))
                raise _Undo
        except _Undo:
            return done[0]


def _import(source: Source, wish: Wish, *, now: datetime, progress: Progress) -> Imported:
    record, done = _take_up(source, wish)
    try:
        _stage(source, wish, done=done, progress=progress)
        with transaction.atomic():
            return _move(source, wish, record, now=now, tell=lambda step: progress(step, 0, None))
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt | SystemExit):
            _forget(record)
        raise


def _take_up(source: Source, wish: Wish) -> tuple[ArenaImport, int]:
    """The import's record, and how many of its items are staged already by a run that was interrupted."""
    digest = source.fingerprint()
    with transaction.atomic():
        record = ArenaImport.objects.filter(digest=digest, source=wish.source, status=ImportStatus.STAGING).first()
        staged = fetch_all(
            "SELECT items FROM arena_staging_state WHERE digest = %s AND source = %s", [digest, wish.source]
        )
        if record and staged:
            return record, staged[0][0]
        _empty_staging()
        run("INSERT INTO arena_staging_state (digest, source, items) VALUES (%s, %s, 0)", [digest, wish.source])
        ArenaImport.objects.filter(status=ImportStatus.STAGING).delete()
        return ArenaImport.objects.create(source=wish.source, origin=source.label[:500], digest=digest), 0


def _stage(source: Source, wish: Wish, *, done: int, progress: Progress) -> None:
    stager = Stager(done=done, commit_every=wish.commit_every)
    for item in source.items(lambda read: progress("reading", read, source.size)):
        stager.add(item)
    stager.flush()


def _move(source: Source, wish: Wish, record: ArenaImport, *, now: datetime, tell: Callable[[str], None]) -> Imported:
    run("SELECT set_config('app.actor', 'import:' || %s, true), set_config('app.reason', %s, true)",
        [wish.source, f"imported from {source.label}"])  # fmt: skip
    heads = read_heads()
    targets = find_owners(heads, read_users(), source=wish.source, accounts=wish.accounts)
    refuse_bots(heads)
    written = move(targets, heads, source=wish.source, now=now, tell=tell)
    report = make_report(
        heads, targets, written, source=wish.source, origin=source.label, digest=record.digest, notes=list(source.notes),
        dry_run=wish.is_dry_run, items=fetch_all("SELECT items FROM arena_staging_state")[0][0],
    )  # fmt: skip
    refused = tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - the caller's
    refused.writelines(f"{path}\t{reason}\n" for path, reason in refusals())
    refused.seek(0)
    record.status, record.report, record.finished_at = ImportStatus.DONE, report, now
    record.progress = {"items": report["items"]}
    record.save()
    _empty_staging()
    return Imported(report, refused)


def _forget(record: ArenaImport) -> None:
    """Nothing is left of an import that cannot be done."""
    with transaction.atomic():
        _empty_staging()
        ArenaImport.objects.filter(id=record.id).delete()


def _empty_staging() -> None:
    run("TRUNCATE " + ", ".join(f"arena_staging_{table}" for table in _TABLES) + " RESTART IDENTITY")


@contextmanager
def _alone() -> Iterator[None]:
    if not fetch_all("SELECT pg_try_advisory_lock(%s)", [_LOCK])[0][0]:
        raise Conflict("Another import is running; wait until it is done.")
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed and not connection.in_atomic_block:
            run("SELECT pg_advisory_unlock(%s)", [_LOCK])


__all__ = ["Imported", "Progress", "Unreadable", "Wish", "import_state"]
