"""An old SQLite file as a source. It is opened read-only, and its state is streamed from where it stands in the file."""

from __future__ import annotations

import codecs
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ledger.rules.arena_shape import Number
from ledger.services.import_arena.json_stream import MAX_ITEM_BYTES, Read
from ledger.services.import_arena.old_reader import Row, State, number, order_by, too_large
from ledger.services.import_arena.old_tables import OldDatabase
from ledger.services.import_arena.seam import Unreadable

MAGIC = b"SQLite format 3\x00"
BUSY_PATIENCE_S = 10


class SqliteSource(OldDatabase):
    """A ``Source``."""

    def __init__(self, path: Path, *, with_provider_keys: bool = False) -> None:
        super().__init__(path.name, with_provider_keys=with_provider_keys)
        self.path = path

    @contextmanager
    def open(self) -> Iterator[_Reader]:
        if not self.path.is_file():
            raise Unreadable(f"{self.path} cannot be read: there is no such file.")
        try:
            with closing(self._connected()) as connection:
                yield _Reader(connection, self.path)
        except (sqlite3.Error, OSError) as error:
            raise Unreadable(f"{self.path} cannot be read: {error}.") from None

    def _connected(self) -> sqlite3.Connection:
        try:
            return _connect(self.path, "mode=ro")
        except sqlite3.OperationalError:
            log = self.path.with_name(f"{self.path.name}-wal")
            if log.exists() and log.stat().st_size:
                raise
            # A database that writes ahead wants a file beside it, also to be read; where that cannot be, nobody writes.
            return _connect(self.path, "mode=ro&immutable=1")


class _Reader:
    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path
        self._encoding: str = self._one("PRAGMA encoding")[0].decode()

    def columns(self, table: str) -> list[str]:
        found = self._connection.execute("SELECT name FROM pragma_table_info(?)", [table])
        return [name.decode() for (name,) in found]

    def rows(self, table: str, columns: list[str], *, bot_id: str | None = None) -> Iterator[Row]:
        names = [_quoted(name) for name in columns]
        sizes = " + ".join(f"coalesce(length(CAST({name} AS BLOB)), 0)" for name in names)
        values = ", ".join(f"CASE WHEN length({name}) <= {MAX_ITEM_BYTES} THEN {name} END" for name in names)
        mine = order_by(self.columns(table), newest_first=bot_id is not None)
        order = ", ".join(_quoted(name) + (" DESC" if bot_id is not None else "") for name in mine) or "1"
        query = f"SELECT {sizes}, {values} FROM {_quoted(table)}"  # noqa: S608 - names of columns, quoted
        query += ' WHERE "bot_id" = ?' if bot_id is not None else ""
        for size, *found in self._connection.execute(f"{query} ORDER BY {order}", [] if bot_id is None else [bot_id]):
            yield too_large(size) if size > MAX_ITEM_BYTES else _row(columns, found)

    def state(self) -> State | None:
        query = "SELECT rowid, typeof(state) FROM arena_state WHERE state IS NOT NULL ORDER BY "
        query += "updated_at DESC, " if "updated_at" in self.columns("arena_state") else ""
        found = self._connection.execute(f"{query} rowid DESC LIMIT 1").fetchone()
        if found is None:
            return None
        rowid, kind = found
        if kind not in (b"text", b"blob"):
            raise Unreadable(f"{self._path} cannot be read: arena_state.state is no text.")
        (rows,) = self._one("SELECT count(*) FROM arena_state")
        blob = self._connection.blobopen("arena_state", "state", rowid, readonly=True)
        is_wide = kind == b"text" and self._encoding != "UTF-8"
        return State(_recoded(blob.read, self._encoding) if is_wide else blob.read, len(blob), rows)

    def digest(self, columns: dict[str, list[str]]) -> str:
        """Of the whole file, with what was not yet written back into it."""
        seen = hashlib.sha256()
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            if path.exists():
                with path.open("rb") as file:
                    while chunk := file.read(1 << 20):
                        seen.update(chunk)
        return seen.hexdigest()

    def _one(self, query: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._connection.execute(query).fetchone()
        return row


def _connect(path: Path, options: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path.resolve()))}?{options}"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_PATIENCE_S, isolation_level=None)
    try:
        connection.text_factory = bytes
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _row(columns: list[str], values: list[Any]) -> Row:
    try:
        row = {name: _value(value) for name, value in zip(columns, values, strict=True)}
    except UnicodeDecodeError:
        return "It is not UTF-8."
    if any("\x00" in value for value in row.values() if isinstance(value, str)):
        return "It holds a NUL character."
    return row


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, int):
        return Number(value)
    return number(repr(value)) if isinstance(value, float) else value


def _recoded(read: Read, encoding: str) -> Read:
    decoder = codecs.getincrementaldecoder(encoding)()

    def recoded(size: int) -> bytes:
        while chunk := read(size):
            if text := decoder.decode(chunk):
                return text.encode("utf-8", "surrogatepass")
        return b""

    return recoded


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
