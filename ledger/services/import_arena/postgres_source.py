"""An old PostgreSQL database as a source: one read-only transaction, server-side cursors, the state in pieces."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import sql

from ledger.services.import_arena.json_stream import MAX_ITEM_BYTES, Read
from ledger.services.import_arena.old_reader import Row, State, number, order_by, parsed, too_large
from ledger.services.import_arena.old_tables import OldDatabase
from ledger.services.import_arena.seam import Unreadable

CONNECT_PATIENCE_S = 10
PIECE_BYTES = 1 << 20
ROWS_AT_ONCE, DECISIONS_AT_ONCE = 500, 20
# Each single statement or fetch; while the importer works between two fetches, nothing of theirs is waited for.
PATIENCE = (
    "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '10s'; "
    "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; "
    "SET LOCAL extra_float_digits = 1"
)
_NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}


class PostgresSource(OldDatabase):
    """A ``Source``. The address is a URL; its password is in no label and no error."""

    def __init__(self, url: str, *, with_provider_keys: bool = False) -> None:
        self._url, (label, self._password) = url, _without_password(url)
        super().__init__(label, with_provider_keys=with_provider_keys)

    @contextmanager
    def open(self) -> Iterator[_Reader]:
        try:
            with psycopg.connect(
                self._url, connect_timeout=CONNECT_PATIENCE_S, application_name="trading-bridge import",
                client_encoding="UTF8", autocommit=False,
            ) as connection:  # fmt: skip
                connection.read_only = True
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.execute(PATIENCE)
                yield _Reader(connection)
                connection.rollback()
        except psycopg.ProgrammingError as error:
            if error.sqlstate:
                raise Unreadable(f"{self.label} cannot be read: {self._reason(error)}.") from None
            raise Unreadable(
                "This is no address of a PostgreSQL database, such as postgresql://user@host/name."
            ) from None
        except (psycopg.Error, UnicodeError) as error:
            raise Unreadable(f"{self.label} cannot be read: {self._reason(error)}.") from None

    def _reason(self, error: Exception) -> str:
        said = " ".join(str(error).split()).removesuffix(".")[:300] or type(error).__name__
        for secret in {self._password, unquote(self._password)} - {""}:
            said = said.replace(secret, "...")
        return said


class _Reader:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._numbers = itertools.count()

    def columns(self, table: str) -> list[str]:
        return list(self._types(table))

    def rows(self, table: str, columns: list[str], *, bot_id: str | None = None) -> Iterator[Row]:
        types = self._types(table)
        texts = [sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns]
        sizes = sql.SQL(" + ").join(sql.SQL("coalesce(octet_length({}), 0)").format(text) for text in texts)
        values = sql.SQL(", ").join(
            sql.SQL("CASE WHEN octet_length({0}) <= {1} THEN {0} END").format(text, MAX_ITEM_BYTES) for text in texts
        )
        where = sql.SQL("") if bot_id is None else sql.SQL("WHERE bot_id::text = {}").format(sql.Literal(bot_id))
        down = sql.SQL(" DESC" if bot_id is not None else "")
        mine = order_by(list(types), newest_first=bot_id is not None)
        order = sql.SQL(", ").join(sql.Identifier(name) + down for name in mine) if mine else sql.SQL("1")
        query = sql.SQL("SELECT {}, {} FROM {} {} ORDER BY {}").format(
            sizes, values, sql.Identifier(table), where, order
        )
        with self._connection.cursor(name=f"rows_{next(self._numbers)}") as cursor:
            cursor.itersize = DECISIONS_AT_ONCE if table == "bot_decisions" else ROWS_AT_ONCE
            cursor.execute(query)
            for size, *found in cursor:
                if size > MAX_ITEM_BYTES:
                    yield too_large(size)
                else:
                    yield {name: _value(types[name], value) for name, value in zip(columns, found, strict=True)}

    def state(self) -> State | None:
        newest = sql.SQL("ORDER BY updated_at DESC NULLS LAST" if "updated_at" in self.columns("arena_state") else "")
        query = sql.SQL(
            "SELECT ctid::text, octet_length(state::text), count(*) OVER () FROM arena_state WHERE state IS NOT NULL {} LIMIT 1"
        )
        with self._connection.cursor() as cursor:
            cursor.execute(query.format(newest))
            found = cursor.fetchone()
        return None if found is None else State(self._pieces(found[0]), found[1], found[2])

    def digest(self, columns: dict[str, list[str]]) -> str:
        """From sums of hashes that the server makes: nothing is sent, and the order of rows does not matter."""
        seen = hashlib.sha256()
        for table, names in columns.items():
            row = sql.SQL(", ").join(map(sql.Identifier, names))
            query = sql.SQL("SELECT count(*), sum(hashtextextended(ROW({})::text, 0)::numeric)::text FROM {}")
            with self._connection.cursor() as cursor:
                cursor.execute(query.format(row, sql.Identifier(table)))
                seen.update(repr((table, names, cursor.fetchone())).encode())
        return seen.hexdigest()

    def _types(self, table: str) -> dict[str, str]:
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = to_regclass(%s) "
                "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                [table],
            )
            return dict(cursor.fetchall())

    def _pieces(self, row: str) -> Read:
        """A ``read`` over the state. The subquery unpacks it once; each fetch then cuts a piece from that."""
        cursor = psycopg.ServerCursor(self._connection, f"state_{next(self._numbers)}")
        cursor.itersize = 1
        cursor.execute(
            "SELECT substr(s.bytes, p.at, %s) FROM (SELECT convert_to(state::text, 'UTF8') AS bytes FROM arena_state "
            "WHERE ctid = %s::tid OFFSET 0) s CROSS JOIN LATERAL generate_series(1, octet_length(s.bytes), %s) AS p(at)",
            [PIECE_BYTES, row, PIECE_BYTES], binary=True,
        )  # fmt: skip
        held = b""

        def read(size: int) -> bytes:
            nonlocal held
            while not held:
                found = cursor.fetchone()
                if found is None:
                    return b""
                held = bytes(found[0])
            chunk, held = held[:size], held[size:]
            return chunk

        return read


def _value(kind: str, text: str | None) -> Any:
    if text is None:
        return None
    if kind in _NUMBERS:
        return number(text)
    if kind == "boolean":
        return text == "true"
    return parsed(text) if kind in ("json", "jsonb") else text


def _without_password(url: str) -> tuple[str, str]:
    """What to call the database, and the password as it stands in the address."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
        where = host + (f":{parts.port}" if parts.port else "")
        who = f"{quote(unquote(parts.username))}@" if parts.username else ""
    except ValueError:
        return "the old database", ""
    return f"postgresql://{who}{where}{parts.path}", parts.password or ""
