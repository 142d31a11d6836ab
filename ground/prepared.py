"""Statements that run all day: the server binds their parameters and keeps their plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connections


def fetch_prepared(alias: str, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> tuple[Any, ...] | None:
    """The first row of a statement on a connection of Django's, in whatever transaction that has open.

    Django binds in the client, so PostgreSQL would parse and plan each time anew: of a list of bots that is most of
    the work. In return the statement must make its parameters' types plain (a cast where a function takes anything),
    and its text must not vary without bound.
    """
    connection = connections[alias]
    connection.validate_no_broken_transaction()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        row: tuple[Any, ...] | None = cursor.execute(sql, params, prepare=True).fetchone()
        return row
