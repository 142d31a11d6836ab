"""Every table of the product as the database has it: what backups and exports walk, so that no list has to be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.backends.utils import CursorWrapper

from clients.models import ApiKey, Client
from ground.encrypted import EncryptedTextField

# What a backup leaves out, and why; and unlogged tables, which a crash empties too: they hold what is only being read.
LEFT_OUT = {
    "django_migrations": "the tables of both sides must be the same; the manifest says which these are",
    "django_session": "people sign in again",
}
# What is worth as much as a secret, beside the columns that hold ciphertext.
SECRETS = {ApiKey._meta.db_table: {"digest"}}
NOT_EXPORTED = {"idempotent_answers": "answers to requests, kept for a day in case these are sent twice"}


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    is_generated: bool
    is_numbered: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table of this database. ``client_column`` tells whose a row is; None: it belongs to no tenant. ``is_scratch``: it
    is unlogged, and empty after a crash."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    client_column: str | None
    secrets: frozenset[str]
    is_exported: bool
    is_scratch: bool

    def stored(self, *, numbered: bool = True) -> list[str]:
        """The columns that a backup holds: all but what the database computes, and but its own numbers if so asked."""
        return [c.name for c in self.columns if not c.is_generated and (numbered or not c.is_numbered)]

    def shown(self) -> list[Column]:
        """The columns that an export holds: all but secrets."""
        return [column for column in self.columns if column.name not in self.secrets]


@dataclass(frozen=True, slots=True)
class Order:
    """In which tables are loaded, so that what a row points at is there before it.

    ``deferred`` are the constraints that can only be checked at the end; rows of ``whole`` tables point at each other and
    must come in one statement.
    """

    tables: list[str]
    deferred: list[str]
    whole: frozenset[str]


_COLUMNS = """
    SELECT c.relname, c.relpersistence = 'u', a.attname, format_type(a.atttypid, a.atttypmod),
           a.attgenerated <> '', a.attidentity <> ''
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relpersistence <> 'u' AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY c.relname, a.attnum
"""
_PRIMARY_KEYS = """
    SELECT c.relname, array_agg(a.attname ORDER BY k.place)
      FROM pg_constraint p JOIN pg_class c ON c.oid = p.conrelid
      CROSS JOIN LATERAL unnest(p.conkey) WITH ORDINALITY k (number, place)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
     WHERE p.contype = 'p' AND c.relnamespace = current_schema()::regnamespace GROUP BY c.relname
"""
_FOREIGN_KEYS = """
    SELECT f.relname, t.relname, k.conname, k.condeferrable
      FROM pg_constraint k JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
     WHERE k.contype = 'f' AND k.conparentid = 0 AND f.relnamespace = current_schema()::regnamespace ORDER BY 1, 2, 3
"""


def tables_present(cursor: CursorWrapper) -> dict[str, Table]:
    """Every table of the current schema by name, also those that no model knows; but unlogged ones hold nothing to keep."""
    cursor.execute(_PRIMARY_KEYS)
    keys = {name: tuple(columns) for name, columns in cursor.fetchall()}
    cursor.execute(_COLUMNS)
    columns: dict[tuple[str, bool], list[Column]] = {}
    for name, is_scratch, *column in cursor.fetchall():
        columns.setdefault((name, is_scratch), []).append(Column(*column))
    known = _models()
    return {
        name: _table(known.get(name), name, tuple(found), keys.get(name, ()), is_scratch=is_scratch)
        for (name, is_scratch), found in columns.items()
    }


def tables_to_keep(cursor: CursorWrapper) -> dict[str, Table]:
    """The tables that a backup holds, by name: every model's, but for those that are left out for a reason."""
    present, known = tables_present(cursor), _models()
    return {
        name: table
        for name, table in present.items()
        if name in known and name not in LEFT_OUT and not table.is_scratch
    }


def loading_order(cursor: CursorWrapper, tables: Iterable[str]) -> Order:
    """The order for these tables, from the foreign keys between them."""
    cursor.execute(_FOREIGN_KEYS)
    wanted = set(tables)
    keys = [key for key in cursor.fetchall() if key[0] in wanted and key[1] in wanted]
    try:
        order = _sorted(wanted, {name: {to for at, to, *_ in keys if at == name} for name in wanted})
    except CycleError:  # what may wait until the end does not bind the order
        order = _sorted(
            wanted, {name: {to for at, to, _, waits in keys if at == name and not waits} for name in wanted}
        )
    place = {name: number for number, name in enumerate(order)}
    return Order(
        tables=order,
        deferred=[name for at, to, name, waits in keys if waits and place[to] > place[at]],
        whole=frozenset(at for at, to, *_ in keys if at == to),
    )


def encrypted_columns(table: str) -> list[str]:
    """The columns of a table that hold ciphertext."""
    model = _models().get(table)
    fields = model._meta.concrete_fields if model else ()
    return [str(field.column) for field in fields if isinstance(field, EncryptedTextField)]


def secret_columns(table: str) -> frozenset[str]:
    """The columns of a table that no export shows."""
    return frozenset({*encrypted_columns(table), *SECRETS.get(table, ())})


def is_exported(model: type[models.Model]) -> bool:
    """Whether it is one of the product's own tables, and not one that is left out for a reason."""
    is_ours = Path(model._meta.app_config.path).parent == settings.BASE_DIR
    return is_ours and model._meta.db_table not in NOT_EXPORTED


def _table(
    model: type[models.Model] | None, name: str, columns: tuple[Column, ...], key: tuple[str, ...], *, is_scratch: bool
) -> Table:
    names = {column.name for column in columns}
    own = Client._meta.db_table
    return Table(
        name=name,
        columns=columns,
        primary_key=key,
        client_column="id" if name == own else "client_id" if "client_id" in names else None,
        secrets=secret_columns(name),
        is_exported=model is not None and is_exported(model),
        is_scratch=is_scratch,
    )


def _models() -> dict[str, type[models.Model]]:
    every = apps.get_models(include_auto_created=True)
    return {model._meta.db_table: model for model in every if model._meta.managed and not model._meta.proxy}


def _sorted(names: Iterable[str], needs: Mapping[str, set[str]]) -> list[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(names):
        sorter.add(name, *sorted(needs[name] - {name}))
    return list(sorter.static_order())
