"""Small helpers for hand-written statements: they run on the connection of the open scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections

from ground.prepared import fetch_all_prepared, fetch_prepared, run_prepared
from ground.scope import current_alias


def fetch_one(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
    """The first row of a statement, or None."""
    with _cursor() as cursor:
        cursor.execute(sql, params)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def fetch_hot(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
    """The first row of a statement that runs all day (``fetch_prepared`` says what that asks of it)."""
    return fetch_prepared(current_alias(), sql, params)


def fetch_all_hot(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Every row of such a statement."""
    return fetch_all_prepared(current_alias(), sql, params)


def run_hot(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> int:
    """How many rows such a statement changed."""
    return run_prepared(current_alias(), sql, params)


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
