"""What the model server holds: keys, replies that were given to it word for word, and the calls that came."""

from __future__ import annotations

import fnmatch
import itertools
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.model.words import Asked, Said, ToolCall

APIS = ("openai", "anthropic", "google")
# Which names each API knows; what is compatible with OpenAI serves any of those families.
KNOWN = {
    "openai": (
        "gpt-*", "o1*", "o3*", "o4*", "chatgpt-*", "grok-*", "deepseek-*", "llama*", "qwen*", "mistral*", "sandbox-*",
        "local-*", "*/*",
    ),
    "anthropic": ("claude-*", "sandbox-*"),
    "google": ("gemini-*", "gemma-*", "sandbox-*"),
}  # fmt: skip


@dataclass
class Scripted:
    """One reply to come. ``api``, ``model``, ``key`` and ``contains`` (a part of the prompt) say which call takes it.

    ``body`` goes out as it is with ``status``; without it, ``text`` and ``calls`` take the API's own shape.
    """

    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    finish: str = "stop"
    model_said: str = ""
    usage: list[int] | None = None
    body: str | None = None
    status: int = 200
    content_type: str = "application/json"
    api: str = ""
    model: str = ""
    key: str = ""
    contains: str = ""
    times: int = 1

    def fits(self, asked: Asked) -> bool:
        named = self.api in ("", asked.api) and self.model in ("", asked.model) and self.key in ("", asked.key)
        return named and (not self.contains or any(self.contains in text for _, text in asked.turns))

    def said(self) -> Said:
        calls = [ToolCall(one["name"], one.get("arguments", {})) for one in self.calls]
        usage = (self.usage[0], self.usage[1]) if self.usage else None
        return Said(self.text, calls, self.finish, self.model_said, usage)


class Models:
    """``style`` and ``seed`` are of the trader; ``context_tokens`` is how long a prompt may be."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.style = "plain"
        self.context_tokens = 200_000
        self.keys: dict[str, str] = {}  # key: account
        self.script: deque[Scripted] = deque()
        self.calls: deque[dict[str, Any]] = deque(maxlen=2000)
        self.answered = 0
        self._numbers = itertools.count(1)

    def next_number(self) -> int:
        return next(self._numbers)

    def knows(self, api: str, model: str) -> bool:
        return any(fnmatch.fnmatch(model, pattern) for pattern in KNOWN[api])

    def scripted(self, asked: Asked) -> Scripted | None:
        """The first reply that is meant for this call, taken out of the script once it was given often enough."""
        found = next((one for one in self.script if one.fits(asked)), None)
        if found is not None:
            found.times -= 1
            if found.times <= 0:
                self.script.remove(found)
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything but keys, which are only counted."""
        return {
            "seed": self.seed,
            "style": self.style,
            "context_tokens": self.context_tokens,
            "keys": len(self.keys),
            "script": [asdict(one) | {"key": "…" if one.key else ""} for one in self.script],
            "answered": self.answered,
            "calls": len(self.calls),
        }
