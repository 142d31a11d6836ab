"""Where a listener of the arena stands in what happened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_FORM = re.compile(r"(\d{1,19})\.(\d{1,19})\.(\d{1,14})(?:\.(\d{1,17}))?\Z")
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to event ``id`` of transaction ``xid`` is known; with id 0, every transaction before ``xid``.

    A cursor is made of transactions that have ended alone, so that none which commits late is passed over.
    """

    xid: int
    id: int = 0
    at_ms: int = 0  # when that was
    prices: int = 0  # which prices are known, in microseconds; 0: none

    def __str__(self) -> str:
        return f"{self.xid}.{self.id}.{self.at_ms}" + (f".{self.prices}" if self.prices else "")

    @property
    def place(self) -> tuple[int, int]:
        return self.xid, self.id

    def is_kept(self, *, now: datetime, keep: timedelta, newest_xid: int) -> bool:
        """Whether what came after it can still be told: not from so long ago, and of this database's life."""
        return self.xid <= newest_xid and self.at_ms / 1000 >= (now - keep).timestamp()


def read_cursor(text: str) -> Cursor | None:
    """A cursor or an event's id as we gave it out; None for anything else."""
    found = _FORM.match(text.strip())
    if found is None:
        return None
    numbers = [int(group or 0) for group in found.groups()]
    return Cursor(*numbers) if max(numbers) <= _MOST else None
