"""When each strategy began and ended to run in its container, to the millisecond: what nobody sees who only looks."""

from __future__ import annotations

from collections import deque
from typing import Any

_MOST = 20_000


class Journal:
    """The newest ``_MOST`` moves, oldest first."""

    def __init__(self) -> None:
        self.rows: deque[dict[str, Any]] = deque(maxlen=_MOST)

    def note(self, name: str, *, at_ms: int, is_running: bool) -> None:
        self.rows.append({"name": name, "at_ms": at_ms, "is_running": is_running})

    def load(self, rows: list[dict[str, Any]]) -> None:
        self.rows.extend(rows)
