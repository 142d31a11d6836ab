"""Which encryption key opens which stored secret: a backup says which it needs, a restore whether they are here."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from alerts.models import AlertChannel
from bridge_project.use_cases.copying import select, values
from bridge_project.use_cases.tables import Table, encrypted_columns
from clients.models import Connector
from ground.encrypted import encrypt, fingerprints

UNKNOWN = ""
# What else of a row speaks of the secret that it no longer holds.
GOES_ALONG = {Connector._meta.db_table: {"key_hint": ""}}


def keys_in_use(cursor: CursorWrapper, tables: Iterable[Table], *, client_id: UUID | None = None) -> dict[str, int]:
    """How many stored secrets each key opens, by its fingerprint; under "" those that none of our keys opens."""
    found: Counter[str] = Counter()
    for table in tables:
        columns = encrypted_columns(table.name)
        if columns:
            for row in values(cursor, select(table, columns, client_id=client_id)):
                found.update(_opened_by(token) for token in row if token is not None)
    return dict(sorted(found.items()))


def missing_keys(in_use: dict[str, int]) -> int:
    """How many of the counted secrets no key of this installation opens."""
    ours = set(fingerprints())
    return sum(count for key, count in in_use.items() if key not in ours)


def forget_unreadable(
    cursor: CursorWrapper, tables: Iterable[Table], *, client_id: UUID | None = None
) -> dict[str, int]:
    """Empty the secrets of the rows that our keys do not open; returns how many rows of which table."""
    found = {
        table.name: sum(_forget(cursor, table, row) for row in _unreadable(cursor, table, client_id))
        for table in tables
    }
    return {name: count for name, count in found.items() if count}


def _unreadable(cursor: CursorWrapper, table: Table, client_id: UUID | None) -> Iterator[tuple[object, ...]]:
    columns, key = encrypted_columns(table.name), table.primary_key
    if not columns:
        return
    for row in values(cursor, select(table, [*key, *columns], client_id=client_id)):
        if any(token is not None and _opened_by(token) == UNKNOWN for token in row[len(key) :]):
            yield row[: len(key)]


def _forget(cursor: CursorWrapper, table: Table, key: tuple[object, ...]) -> int:
    changes = _emptied_channel() if table.name == AlertChannel._meta.db_table else _emptied(table)
    assignments = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(v)) for name, v in changes.items()]
    conditions = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(v))
        for name, v in zip(table.primary_key, key, strict=True)
    ]
    cursor.execute(
        sql.SQL("UPDATE {} SET {} WHERE {}").format(
            sql.Identifier(table.name), sql.SQL(", ").join(assignments), sql.SQL(" AND ").join(conditions)
        )
    )
    return int(cursor.rowcount)


def _emptied(table: Table) -> dict[str, Any]:
    return {**dict.fromkeys(encrypted_columns(table.name)), **GOES_ALONG.get(table.name, {})}


def _emptied_channel() -> dict[str, Any]:
    """A channel must have an address, and a webhook a key: this one goes nowhere, signs with what nobody knows, and is
    switched off until somebody gives it both anew."""
    lost = "Its address was lost with the encryption key: give it anew."
    return {
        "address": encrypt(""),
        "signing_key": encrypt(secrets.token_urlsafe(32)),
        "address_hint": "",
        "is_enabled": False,
        "last_error": lost,
    }


def _opened_by(token: str) -> str:
    for key, mark in zip(settings.ENCRYPTION_KEYS, fingerprints(), strict=True):
        try:
            Fernet(key).decrypt(token.encode())
        except InvalidToken:
            continue
        return mark
    return UNKNOWN
