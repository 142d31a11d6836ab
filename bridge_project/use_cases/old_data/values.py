"""How a value of an old row is read: the first column of several names that has one, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from clients.selectors import as_uuid
from ledger.rules.arena_shape import NotANumber, Number
from ledger.rules.arena_values import Refused, moment_of
from ledger.rules.ids import named_id
from ledger.services.import_arena.old_reader import parsed
from ledger.services.import_arena.old_secrets import without_secrets

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

OldRow = Mapping[str, Any]


def text_of(row: OldRow, *names: str, limit: int = 200) -> str:
    """The first that is not empty, without blanks around it; "" where none is. Raises Refused for one that is too long."""
    for name in names:
        value = row.get(name)
        text = "" if value is None else str(value).strip()
        if text:
            if len(text) > limit:
                raise Refused(f"{name} has {len(text)} characters; at most {limit} are taken.")
            return text
    return ""


def instant_of(row: OldRow, *names: str) -> datetime | None:
    """The first instant that is told, aware in UTC (without a zone it is UTC); None where none is. Raises Refused."""
    for name in names:
        if row.get(name) not in (None, ""):
            return _EPOCH + timedelta(microseconds=moment_of(row[name], name))
    return None


def decimal_of(row: OldRow, *names: str) -> Decimal | None:
    """The first number that is told, exact. Raises Refused for what is none."""
    for name in names:
        value = row.get(name)
        if value in (None, ""):
            continue
        if isinstance(value, NotANumber):
            return None
        try:
            told = Decimal(str(value))
        except ArithmeticError:
            raise Refused(f"{name} is no number: {str(value)[:40]}.") from None
        return told if told.is_finite() else None
    return None


def count_of(row: OldRow, *names: str) -> int | None:
    """The first count that is told. Raises Refused."""
    told = decimal_of(row, *names)
    if told is None:
        return None
    if told != int(told) or not 0 <= told <= 2_147_483_647:
        raise Refused(f"{names[0]} is no count: {told}.")
    return int(told)


def object_of(row: OldRow, *names: str) -> dict[str, Any]:
    """The first JSON object, its numbers exact, without what its keys call secret; {} where none is. Raises Refused."""
    for name in names:
        value = parsed(row.get(name))
        if value in (None, "", {}, []):
            continue
        if not isinstance(value, dict):
            raise Refused(f"{name} is no JSON object.")
        clean: dict[str, Any] = _plain(without_secrets(value))
        return clean
    return {}


def old_id(row: OldRow) -> str:
    """The row's own id as a text. Raises Refused."""
    given = text_of(row, "id")
    if not given:
        raise Refused("It has no id.")
    return given


def new_id(kind: str, source: str, given: str) -> UUID:
    """The id a row has here: its old one if that is a UUID, else one that follows from it."""
    return as_uuid(given) or named_id(kind, source, given)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, NotANumber):
        return None
    if isinstance(value, Number):
        exact = Decimal(value)
        return int(exact) if str(value).lstrip("-").isdigit() else exact
    return value


__all__ = [
    "OldRow", "Refused", "count_of", "decimal_of", "instant_of", "new_id", "object_of", "old_id", "text_of",
]  # fmt: skip
