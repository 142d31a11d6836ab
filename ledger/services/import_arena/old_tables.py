"""An old database as a source: its state, and the tables beside it. SQLite and PostgreSQL differ only in the reader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from ground.encrypted import encrypt
from ledger.rules.arena_shape import written
from ledger.services.import_arena.json_stream import Read
from ledger.services.import_arena.old_bots import RowsOfBots
from ledger.services.import_arena.old_reader import FACTS, OldReader
from ledger.services.import_arena.old_secrets import is_secret, readable, without_secrets
from ledger.services.import_arena.read_state import read_state
from ledger.services.import_arena.seam import Item, Progress, Section, Unreadable

BESIDE = {
    "users": Section.USER,
    "llm_providers": Section.PROVIDER,
    "system_settings": Section.SETTING,
    "bots": Section.BOT_ROW,
    "bot_state_snapshots": Section.SNAPSHOT,
}
KEYS = ("api_key", "apikey", "api_key_encrypted", "encrypted_api_key", "secret")  # of providers, in this order
NAMES = ("key", "name", "setting_key", "id")  # of settings


class OldDatabase:
    """A ``Source`` (see ``seam``). ``open`` gives one consistent look at the database and raises Unreadable."""

    def __init__(self, label: str, *, with_provider_keys: bool = False) -> None:
        self.label = label
        self.size: int | None = None
        self.notes: list[str] = []
        self._with_keys = with_provider_keys
        self._digest = ""

    def open(self) -> AbstractContextManager[OldReader]:
        raise NotImplementedError

    def fingerprint(self) -> str:
        with self.open() as reader:
            self._digest = reader.digest(_read_columns(reader))
        return hashlib.sha256(f"{self._digest} {self._with_keys}".encode()).hexdigest()

    def items(self, progress: Progress) -> Iterator[Item]:
        """First the tables beside the state, then the state, each bot with its own rows of the old relational tables."""
        self.notes.clear()
        with self.open() as reader:
            if self._digest and self._digest != reader.digest(_read_columns(reader)):
                raise Unreadable(
                    f"{self.label} was changed while it was read. Stop what writes to it and run this again."
                )
            if not reader.columns("arena_state") and not reader.columns("bots"):
                raise Unreadable(f"{self.label} is no old arena: it has neither a table arena_state nor a table bots.")
            for table, section in BESIDE.items():
                yield from self._beside(reader, table, section)
            yield from self._state(reader, progress)

    def _beside(self, reader: OldReader, table: str, section: Section) -> Iterator[Item]:
        present = reader.columns(table)
        if not present:
            self.notes.append(f"The old database has no table {table}.")
            return
        columns, hidden = readable(table, present)
        if hidden:
            self.notes.append(f"Of the old table {table} these columns were not read: {', '.join(hidden)}.")
        key_column = self._key_column(hidden) if section == Section.PROVIDER else None
        for index, row in enumerate(reader.rows(table, [*columns, *([key_column] if key_column else [])])):
            if isinstance(row, str):
                yield Item(section, index=index, key=table, problem=row)
            else:
                yield self._item(section, index, table, row, key_column)

    def _item(self, section: Section, index: int, table: str, row: dict[str, Any], key_column: str | None) -> Item:
        secret = row.pop(key_column, None) if key_column else None
        clean = row if section == Section.SNAPSHOT else without_secrets(row)
        name = next((str(row[column]) for column in NAMES if row.get(column)), "")
        if section == Section.SETTING and is_secret(name):
            self.notes.append(f"The setting {name} looks like a secret; its value was not taken.")
            clean = {key: value for key, value in clean.items() if not key.endswith("value")}
        return Item(
            section, index=index, key=table, value=clean, raw=written(clean), secret=encrypt(secret) if secret else ""
        )

    def _key_column(self, hidden: list[str]) -> str | None:
        found = next((column for name in KEYS for column in hidden if column.lower() == name), None)
        if found and not self._with_keys:
            self.notes.append(
                "The keys of language model providers were not read; --with-provider-keys takes them, encrypted."
            )
        return found if self._with_keys else None

    def _state(self, reader: OldReader, progress: Progress) -> Iterator[Item]:
        rows = RowsOfBots(reader, self.notes)
        state = reader.state() if reader.columns("arena_state") else None
        if state is None:
            self.notes.append("The old database has no arena_state; bots and what they did come from its other tables.")
            yield Item(Section.STATE_FIELD, key="bots", value=[], raw="[]")
        else:
            if state.rows > 1:
                self.notes.append(f"The old table arena_state has {state.rows} rows; only the newest one was read.")
            self.size = state.size
            yield from rows.along(read_state(_counting(state.read, progress)))
        yield from rows.of_bots_without_state()


def _read_columns(reader: OldReader) -> dict[str, list[str]]:
    tables = {table: readable(table, reader.columns(table))[0] for table in ("arena_state", *BESIDE, *FACTS)}
    return {table: columns for table, columns in tables.items() if columns}


def _counting(read: Read, progress: Progress) -> Read:
    done = 0

    def counted(size: int) -> bytes:
        nonlocal done
        chunk = read(size)
        done += len(chunk)
        progress(done)
        return chunk

    return counted
