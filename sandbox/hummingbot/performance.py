"""The snapshots of performance that the API's database keeps: all that outlives a bot or a restart."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

from sandbox.hummingbot.cache import Cache
from sandbox.hummingbot.runs import iso_now

DUMP_S = 300.0


class Snapshots:
    """Oldest first; at most 5,000."""

    def __init__(self) -> None:
        self.rows: deque[dict[str, Any]] = deque(maxlen=5000)
        self._dumped_s: float | None = None

    def tick(self, now_s: float, cache: Cache) -> None:
        if self._dumped_s is None:
            self._dumped_s = now_s
        if now_s - self._dumped_s >= DUMP_S:
            self._dumped_s = now_s
            self.dump(cache)

    def dump(self, cache: Cache) -> None:
        """One row for every controller that has a report."""
        stamp = iso_now()
        for bot in cache.active:
            for controller, report in cache.heard[bot].reports.items() if bot in cache.heard else ():
                row = {"timestamp": stamp, "bot_name": bot, "controller_id": controller}
                self.rows.append(row | copy.deepcopy(report))

    def latest(self, bot: str | None) -> list[dict[str, Any]]:
        newest = {(row["bot_name"], row["controller_id"]): row for row in self.rows}
        return [row for row in newest.values() if bot in (None, row["bot_name"])]
