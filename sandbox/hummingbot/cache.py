"""What the API process remembers of bots: only this, and only in memory, so a restart or a lost container wipes it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

SILENCE_S = 30.0


@dataclass
class Heard:
    """From one bot. ``last_s`` is when anything at all was heard on its topics, the API's own commands included."""

    reports: dict[str, Any] = field(default_factory=dict)
    error_logs: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=100))
    general_logs: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=100))
    last_s: float | None = None

    def is_recent(self, now_s: float) -> bool:
        return self.last_s is not None and now_s - self.last_s <= SILENCE_S


class Cache:
    """``active`` maps each listed bot to its source, docker or mqtt, fixed when the entry was made."""

    def __init__(self) -> None:
        self.heard: dict[str, Heard] = {}
        self.active: dict[str, str] = {}
        self.stopping: set[str] = set()

    def of(self, bot: str) -> Heard:
        return self.heard.setdefault(bot, Heard())

    def discover(self, containers: list[str], now_s: float) -> None:
        """One round of the discovery loop: who is listed from now on. Whoever leaves is forgotten wholly."""
        talking = self.talking(now_s)
        found = dict.fromkeys(containers, "docker")
        found |= {name: "mqtt" for name in talking if name not in found}
        listed = {name: self.active.get(name, source) for name, source in found.items() if name not in self.stopping}
        for name in set(self.active) - set(listed):
            self.heard.pop(name, None)
        self.active = listed

    def talking(self, now_s: float) -> list[str]:
        return [name for name, heard in self.heard.items() if heard.is_recent(now_s)]

    def status(self, bot: str, now_s: float) -> dict[str, Any]:
        """As the API words it, computed when asked."""
        heard = self.heard.get(bot, Heard())
        recent = heard.is_recent(now_s)
        word = ("running" if recent else "idle") if heard.reports else "stopped"
        return {
            "status": word,
            "performance": dict(heard.reports),
            "error_logs": list(heard.error_logs),
            "general_logs": list(heard.general_logs),
            "recently_active": recent,
        }
