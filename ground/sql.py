"""Small helpers for hand-written statements: they run on the connection of the open scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connections

from ground.scope import current_alias


def fetch_one(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
    """The first row of a statement, or None."""
    with _cursor() as cursor:
        cursor.execute(sql, params)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def fetch_hot(
    sql: str, params: Sequence[Any] | dict[str, Any] = (), *, alias: str | None = None
) -> tuple[Any, ...] | None:
    """The first row of a statement that runs all day: the server binds its parameters and keeps its plan.

    Django binds in the client, so PostgreSQL would parse and plan each time anew: of a list of bots that is most of
    the work. In return the statement must make its parameters' types plain (a cast where a function takes anything),
    and its text must not vary without bound.
    """
    connection = connections[alias or current_alias()]
    connection.validate_no_broken_transaction()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        found = psycopg.Cursor(connection.connection).execute(sql, params, prepare=True)
        row: tuple[Any, ...] | None = found.fetchone()
        return row


def fetch_all(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Every row of a statement."""
    with _cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def run(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> int:
    """How many rows a statement changed."""
    with _cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def _cursor() -> Any:
    return connections[current_alias()].cursor()
