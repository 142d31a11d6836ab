"""Pages of lists: opaque cursors made of the sort key's values, and limit and offset for pages that use those."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ground.errors import InvalidInput

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
NOT_OURS = "The cursor is not one that this list gave out; leave it away to start from the top."


def encode_cursor(*values: Any) -> str:
    """The sort key of the last row shown, as text that callers only hand back."""
    return base64.urlsafe_b64encode(json.dumps([str(v) for v in values]).encode()).decode().rstrip("=")


def decode_cursor(text: str, *, length: int) -> list[str]:
    """The values of a cursor. Raises InvalidInput for one that we never issued."""
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        values = None
    good = isinstance(values, list) and len(values) == length and all(isinstance(v, str) for v in values)
    if not good or any(c == "\x00" or "\ud800" <= c <= "\udfff" for v in values for c in v):
        raise InvalidInput(NOT_OURS, code="invalid_cursor")
    return list(values)


def read_limit(raw: str | None, *, default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT) -> int:
    """``?limit=`` as a number from 1 to ``most``. Raises InvalidInput."""
    if raw is None or raw == "":
        return default
    if not raw.isascii() or not raw.isdigit() or len(raw) > 6 or not 1 <= int(raw) <= most:
        raise InvalidInput(f"limit must be a whole number from 1 to {most}.", fields={"limit": [f"1 to {most}"]})
    return int(raw)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: after ``cursor`` (values of the sort key), or from ``offset``."""

    limit: int
    cursor: tuple[str, ...] | None = None
    offset: int | None = None

    @classmethod
    def read(cls, query: Mapping[str, str], *, key_length: int, default: int = DEFAULT_LIMIT) -> Page:
        """From ``?limit=&cursor=&offset=``. Raises InvalidInput."""
        cursor = query.get("cursor")
        return cls(
            limit=read_limit(query.get("limit"), default=default),
            cursor=tuple(decode_cursor(cursor, length=key_length)) if cursor else None,
            offset=_read_offset(query.get("offset")),
        )

    def instant(self) -> datetime:
        """The cursor's first value as an instant. Raises InvalidInput."""
        try:
            return _as_utc((self.cursor or ("",))[0])
        except (ValueError, OverflowError):
            raise InvalidInput(NOT_OURS, code="invalid_cursor") from None

    def after(self) -> dict[str, object]:
        """Parameters ``after_at`` and ``after_id`` of a list sorted by (instant, UUID). Raises InvalidInput."""
        if self.cursor is None:
            return {}
        try:
            return {"after_at": _as_utc(self.cursor[0]), "after_id": UUID(self.cursor[1])}
        except (ValueError, OverflowError):
            raise InvalidInput(NOT_OURS, code="invalid_cursor") from None

    def pagination(self, total: int) -> dict[str, object]:
        """What pages that use offsets expect beside the rows."""
        offset = self.offset or 0
        return {"total": total, "limit": self.limit, "offset": offset, "hasMore": offset + self.limit < total}


def _as_utc(text: str) -> datetime:
    """In UTC, since PostgreSQL knows fewer zones than Python. Raises ValueError, OverflowError."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_offset(raw: str | None) -> int | None:
    if raw is None or raw == "":
        return None
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9:
        raise InvalidInput("offset must be a whole number from 0.", fields={"offset": ["0 or more"]})
    return int(raw)
