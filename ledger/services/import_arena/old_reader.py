"""One look at an old database: what ``sqlite_source`` and ``postgres_source`` both give, and how values are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from ledger.rules.arena_shape import NotANumber, Number
from ledger.services.import_arena.json_stream import MAX_ITEM_BYTES, Read

FACTS = ("trades", "positions", "bot_decisions")  # the old relational tables, mostly empty
_MOMENTS = ("executed_at", "opened_at", "timestamp", "updated_at", "created_at")

Row = dict[str, Any] | str
"""A row's values by column, its numbers as ``Number``; or a sentence why it cannot be taken."""


class State(NamedTuple):
    """The newest row of ``arena_state``."""

    read: Read
    size: int
    rows: int  # how many rows the table has


class OldReader(Protocol):
    """What it gives does not change while it is open."""

    def columns(self, table: str) -> list[str]:
        """None where there is no such table."""
        ...

    def rows(self, table: str, columns: list[str], *, bot_id: str | None = None) -> Iterator[Row]:
        """All rows by id; or one bot's, newest first."""
        ...

    def state(self) -> State | None: ...

    def digest(self, columns: dict[str, list[str]]) -> str:
        """Of these columns by table, which are all that is read."""
        ...


def is_empty(reader: OldReader, table: str) -> bool:
    columns = reader.columns(table)
    return not columns or next(iter(reader.rows(table, columns[:1])), None) is None


def order_by(present: list[str], *, newest_first: bool) -> list[str]:
    """The columns that put rows in a stable order."""
    moments = [name for name in _MOMENTS if name in present][:1] if newest_first else []
    return [*moments, *(name for name in ("id", "key", "name") if name in present)][:2]


def number(text: str) -> Number | NotANumber:
    """A number as a database writes it."""
    return Number(text) if text.lstrip("+-")[:1].isdigit() else NotANumber(text)


def parsed(text: Any) -> Any:
    """The JSON in a text column, or what stands there if it is none."""
    if type(text) is not str:
        return text
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=NotANumber)
    except (ValueError, RecursionError):
        return text


def too_large(size: int) -> str:
    return f"It has {size:,} bytes; at most {MAX_ITEM_BYTES:,} are taken."
