"""What a model is asked and what came back, whoever provides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from arena.rules.statuses import ProviderKind
from ground.errors import GatewayError


class Finish(StrEnum):
    """Why a model stopped."""

    STOP = "stop"  # it said all it had to say
    LENGTH = "length"  # the limit of tokens was reached: its words end in the middle
    TOOLS = "tools"  # it wants tools to be called and their results brought
    REFUSED = "refused"  # the provider or the model declines to answer
    OTHER = "other"  # anything else, or not told


@dataclass(frozen=True, slots=True)
class ProviderAccess:
    """Whom to ask, with the opened key: made for one call and never kept.

    ``base_url`` empty means the provider's published address. ``is_trusted``: an operator chose the address, so it may be
    a plain or private one; any other must be https and lead to public addresses only.
    """

    name: str  # as operators know it; errors name it
    kind: ProviderKind
    model: str
    api_key: str = field(repr=False)
    base_url: str = ""
    is_trusted: bool = False
    max_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Tool:
    """``schema`` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """``arguments`` is JSON as the model wrote it: not checked against the tool's schema, maybe not even JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """``content`` is what the model reads, best JSON."""

    call_id: str
    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Step:
    """An earlier answer that wanted tools (its ``ModelAnswer.said``), with a result for each of its calls."""

    said: str
    results: tuple[ToolResult, ...]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """``steps`` are those before this one, oldest first. ``temperature`` None leaves it to the provider."""

    system: str
    user: str
    max_output_tokens: int = 4096
    temperature: Decimal | None = None
    tools: tuple[Tool, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What came over the wire, before anything read it. ``reply`` None: no answer at all; it is cut off where the
    connection broke. The key, where somebody repeats it, is blacked out, and NUL stands as U+FFFD."""

    reply: str | None = field(default=None, repr=False)
    status: int | None = None  # HTTP
    attempts: int = 0
    duration_ms: int = 0  # of all attempts together, with the waits between them
    may_have_cost: bool = False  # the last request went out and was not refused
    error: GatewayError | None = None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What a model said, or the reason why there is nothing to read; what was heard stands beside it in either case.

    ``said`` goes back into the next request's ``Step``, opaque. Tokens are None where the provider did not count them.
    """

    heard: Heard
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.OTHER
    model: str = ""  # as it answered
    input_tokens: int | None = None
    output_tokens: int | None = None
    said: str = field(default="", repr=False)
    error: GatewayError | None = None

    def raise_for_error(self) -> None:
        """Raises one of the five of ``ground.errors``."""
        if self.error is not None:
            raise self.error
