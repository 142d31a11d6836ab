"""Databases that tests make: each process's own, copied from one that was migrated once, and others beside it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, connections
from django.db.utils import ProgrammingError
from django.test import override_settings

from bridge_project.up.processes import Lock

PATIENCE_S = 30.0
TEMPLATE, ITS_ROLES = "migrated", "bridge"


def make_own_database(name: str, *, roles: str) -> None:
    """A migrated database for this process, to which all connections point from now on.

    Workers have login roles of their own, so that they never change the same one at once. These are members of the roles
    that the migrations gave rights to.
    """
    with Lock(Path(os.environ["BRIDGE_HOME"]) / "run" / "migrated.lock").held(), connection._nodb_cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE])
        if cursor.fetchone() is None:
            _migrate(cursor)
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
        for kind in ("operator", "client") if roles != ITS_ROLES else ():
            cursor.execute(f'CREATE ROLE "{roles}_{kind}" LOGIN IN ROLE "{ITS_ROLES}_{kind}"')
    _point_to(name)


def _migrate(cursor: Any) -> None:
    """The longest part of a run's start, done by whoever comes first."""
    new = f"{TEMPLATE}_new"
    cursor.execute(f'DROP DATABASE IF EXISTS "{new}"')
    cursor.execute(f'CREATE DATABASE "{new}"')
    _point_to(new)
    with override_settings(DATABASE_ROLE_PREFIX=ITS_ROLES):
        call_command("migrate", interactive=False, verbosity=0)
    connections.close_all()
    cursor.execute(f'ALTER DATABASE "{new}" RENAME TO "{TEMPLATE}"')


def _point_to(name: str) -> None:
    connections.close_all()
    for alias in connections:
        connections[alias].settings_dict["NAME"] = name


def drop_database(cursor: Any, name: str) -> None:
    """Drop it with all who are connected. The server's own vacuum may be at work there, which only a superuser may end:
    it is waited for."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        except ProgrammingError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)
        else:
            return
