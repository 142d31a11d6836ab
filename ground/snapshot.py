"""A transaction in which every statement sees the database as it was at the first one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from psycopg import IsolationLevel

from ground.scope import Scope, close_primed, current_scope
from ground.sql import fetch_one


@contextmanager
def one_snapshot(scope: Scope, *, reason: str = "") -> Iterator[None]:
    """Open the scope's transaction as REPEATABLE READ: what others commit meanwhile is not seen by half of its reads.

    Meant for long reads. Writing rows that somebody else has changed meanwhile fails in it.
    """
    close_primed()
    if current_scope() is not None:
        raise RuntimeError("A transaction is open; a snapshot begins one of its own.")
    connection = connections[scope.alias]
    connection.ensure_connection()
    if not connection.is_usable():  # the server was restarted: a connection made later would not know of the level
        connection.close()
        connection.ensure_connection()
    own = connection.connection
    own.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with scope.transaction(reason=reason):
            if fetch_one("SHOW transaction_isolation") != ("repeatable read",):
                raise RuntimeError("The connection was lost as the snapshot began; try again.")
            yield
    finally:
        if not own.closed:
            own.isolation_level = None
