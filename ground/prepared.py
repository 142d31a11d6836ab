"""Statements that run all day: the server binds their parameters and keeps their plans."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from django.db import connections

_PLACEHOLDER = re.compile(r"%%|%s|%\((\w+)\)s")

Params = Sequence[Any] | Mapping[str, Any]


def fetch_prepared(alias: str, sql: str, params: Params = ()) -> tuple[Any, ...] | None:
    """The first row of a statement on a connection of Django's, in whatever transaction that has open.

    Django binds in the client, so PostgreSQL would parse and plan each time anew: of a list of bots that is most of
    the work. In return the statement must make its parameters' types plain (a cast where a function takes anything),
    and its text must not vary without bound.
    """
    with connections[alias].wrap_database_errors:
        row: tuple[Any, ...] | None = _executed(alias, sql, params).fetchone()
        return row


def fetch_all_prepared(alias: str, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
    """Every row of such a statement."""
    with connections[alias].wrap_database_errors:
        return list(_executed(alias, sql, params).fetchall())


def run_prepared(alias: str, sql: str, params: Params = ()) -> int:
    """How many rows such a statement changed."""
    with connections[alias].wrap_database_errors:
        return int(_executed(alias, sql, params).rowcount)


def _executed(alias: str, sql: str, params: Params) -> psycopg.RawCursor[tuple[Any, ...]]:
    connection = connections[alias]
    connection.validate_no_broken_transaction()
    connection.ensure_connection()
    numbered, names = _numbered(sql)
    values = [params[name] for name in names] if isinstance(params, Mapping) else list(params)
    return psycopg.RawCursor(connection.connection).execute(numbered, values, prepare=True)


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
