"""What any of the APIs was asked, and what the model says, without an API's own shape around it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.http import Reply

_TOKEN = re.compile(r"[A-Za-z]{1,6}|\d{1,3}|[^\sA-Za-z\d]")


def tokens(text: str) -> int:
    """About as many as a real tokenizer would count: letters by six, digits by three, every other sign by itself."""
    return sum(1 for _ in _TOKEN.finditer(text))


class Refused(Exception):
    """The API's own answer to a request that it does not carry out."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.status))
        self.reply = reply


@dataclass(frozen=True)
class Tool:
    name: str
    schema: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class Asked:
    """``turns`` in order: (system, user, assistant or tool; text). ``limit`` is of output tokens; None: none."""

    api: str
    model: str
    key: str
    turns: list[tuple[str, str]]
    tools: list[Tool] = field(default_factory=list)
    limit: int | None = None
    seed: int = 0

    def said_by(self, *roles: str) -> str:
        return "\n\n".join(text for role, text in self.turns if role in roles)

    @property
    def tool_rounds(self) -> int:
        """How often tools have answered so far."""
        roles = [role for role, _ in self.turns]
        return sum(1 for before, role in zip(["", *roles], roles, strict=False) if role == "tool" != before)

    @property
    def prompt_tokens(self) -> int:
        words = sum(tokens(text) + 4 for _, text in self.turns)
        return words + sum(20 + tokens(str(tool.schema)) for tool in self.tools) + 3


@dataclass
class Said:
    """``finish``: stop, length, refused. ``usage`` (input, output) only where it shall differ from what is counted."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    finish: str = "stop"
    model: str = ""
    usage: tuple[int, int] | None = None

    def within(self, limit: int | None) -> Said:
        """The same, cut off where the limit of tokens is reached."""
        ends = [match.end() for match in _TOKEN.finditer(self.text)]
        if limit is None or len(ends) <= limit:
            return self
        return Said(self.text[: ends[limit - 1]], [], "length", self.model, self.usage)

    @property
    def output_tokens(self) -> int:
        return max(1, tokens(self.text) + sum(8 + tokens(str(call.arguments)) for call in self.calls))

    def counted(self, asked: Asked) -> tuple[int, int]:
        return self.usage or (asked.prompt_tokens, self.output_tokens)


def joined(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part)
