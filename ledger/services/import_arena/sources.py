"""What an argument of ``import_arena_state`` means: a file of JSON, an old SQLite file, or an old PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

from ledger.services.import_arena.postgres_source import PostgresSource
from ledger.services.import_arena.read_state import FileSource
from ledger.services.import_arena.seam import Source, Unreadable
from ledger.services.import_arena.sqlite_source import MAGIC, SqliteSource

_POSTGRES = ("postgres://", "postgresql://")


def source_of(argument: str, *, with_provider_keys: bool = False) -> Source:
    """A source for a path, ``sqlite:///path`` (from here or from the root) or ``postgresql://...``. Raises Unreadable."""
    if argument.startswith(_POSTGRES):
        return PostgresSource(argument, with_provider_keys=with_provider_keys)
    if argument.startswith("sqlite:"):
        given = argument.removeprefix("sqlite:").removeprefix("//")
        path = Path(given.removeprefix("/"))
        return SqliteSource(path if path.exists() else Path(given), with_provider_keys=with_provider_keys)
    if "://" in argument:
        scheme = argument.partition("://")[0][:20]
        raise Unreadable(
            f"{scheme}:// is no database that can be read: give a file, sqlite:///file or postgresql://..."
        )
    path = Path(argument)
    if _is_sqlite(path):
        return SqliteSource(path, with_provider_keys=with_provider_keys)
    return FileSource(path)


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
