"""A second, fresh installation: a database of its own in the same server, and what a first start makes in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, connections

from bridge_project.use_cases.backup import snapshot
from bridge_project.use_cases.copying import copied_rows, select
from bridge_project.use_cases.tables import tables_to_keep
from ground.scope import close_primed
from tests.databases import TEMPLATE, drop_database
from tests.fixtures import _empty

Content = dict[str, list[bytes]]


@dataclass
class Elsewhere:
    """``with elsewhere():`` everything in this process talks to the second database."""

    name: str

    @contextmanager
    def __call__(self) -> Iterator[None]:
        here = connection.settings_dict["NAME"]
        _point_to(self.name)
        try:
            yield
        finally:
            _point_to(here)


@contextmanager
def second_installation(folder: Path) -> Iterator[Elsewhere]:
    """Migrated, and started once with ``prepare_start``."""
    made = Elsewhere(f"{connection.settings_dict['NAME']}_elsewhere")
    _create(made.name)
    try:
        with made():
            _empty(anew=True)  # rows lie in the order in which they are written
            call_command("prepare_start", credentials_file=str(folder / "elsewhere.json"))
        yield made
    finally:
        _drop(made.name)


def content(*, without: tuple[str, ...] = ()) -> Content:
    """Every row of every table that a backup holds, in a form to compare."""
    with snapshot() as cursor:
        return {
            name: sorted(copied_rows(cursor, select(table, table.stored())))
            for name, table in tables_to_keep(cursor).items()
            if name not in without
        }


def content_of_client(client_id: object) -> Content:
    """The same of one client's rows, without numbers that are given anew."""
    with snapshot() as cursor:
        return {
            name: sorted(copied_rows(cursor, select(table, table.stored(numbered=False), client_id=client_id)))  # type: ignore[arg-type]
            for name, table in tables_to_keep(cursor).items()
            if table.client_column
        }


def _point_to(name: str) -> None:
    close_primed()
    for alias in connections:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
    ContentType.objects.clear_cache()


def _create(name: str) -> None:
    _drop(name)
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')


def _drop(name: str) -> None:
    with connection._nodb_cursor() as cursor:
        drop_database(cursor, name)
