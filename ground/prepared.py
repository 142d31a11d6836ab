"""Statements that run all day: the server binds their parameters and keeps their plans."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from django.db import connections

_PLACEHOLDER = re.compile(r"%%|%s|%\((\w+)\)s")


def fetch_prepared(alias: str, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> tuple[Any, ...] | None:
    """The first row of a statement on a connection of Django's, in whatever transaction that has open.

    Django binds in the client, so PostgreSQL would parse and plan each time anew: of a list of bots that is most of
    the work. In return the statement must make its parameters' types plain (a cast where a function takes anything),
    and its text must not vary without bound.
    """
    connection = connections[alias]
    connection.validate_no_broken_transaction()
    connection.ensure_connection()
    numbered, names = _numbered(sql)
    values = [params[name] for name in names] if isinstance(params, Mapping) else list(params)
    with connection.wrap_database_errors:
        cursor = psycopg.RawCursor(connection.connection)
        row: tuple[Any, ...] | None = cursor.execute(numbered, values, prepare=True).fetchone()
        return row


@lru_cache(maxsize=512)
def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with $1, $2, … for its %s or %(name)s, and the names in that order.

    psycopg does the same but forgets statements of more than 4 KB, which the lists are.
    """
    order: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        name = found[1] or f" {len(order)}"  # each %s is one of its own
        return f"${order.setdefault(name, len(order) + 1)}"

    return _PLACEHOLDER.sub(number, sql).encode(), tuple(order)
