"""Ids that follow from what they name, so that the same fact arrives under the same id however often it comes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MS = (1 << 48) - 1


def fact_id(at: datetime, *parts: object) -> UUID:
    """A version 8 UUID: ``at`` in milliseconds first, so that an index of them grows at its end, then a hash of
    ``parts``. The parts must name the fact within the whole ledger: its kind, its owner, its old id."""
    since = at - _EPOCH
    ms = min(max((since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000, 0), _MOST_MS)
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass")).digest()
    value = (ms << 80) | int.from_bytes(digest[:10], "big")
    value = (value & ~(0xF << 76)) | (8 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def named_id(*parts: object) -> UUID:
    """The same for what has no moment of its own, such as a client that an import brings."""
    return fact_id(_EPOCH, *parts)
