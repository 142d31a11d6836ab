"""What the fake systems see of HTTP: a call comes in, a reply goes out, a table of routes in between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson


@dataclass
class Call:
    """``target`` is path and query exactly as sent, without the sandbox's own prefix: what a signature covers."""

    method: str
    target: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    params: dict[str, str] = field(default_factory=dict)
    host: str = ""

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @property
    def raw_query(self) -> str:
        return self.target.partition("?")[2]

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Reply:
    """``body`` goes out as JSON; ``text`` instead of it as it is, with ``content_type``."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    content_type: str = "application/json"

    def encoded(self) -> bytes:
        return self.text.encode() if self.text is not None else orjson.dumps(self.body)


def plain(text: str, status: int) -> Reply:
    return Reply(status=status, text=text, content_type="text/plain; charset=utf-8")


Handler = Callable[[Any, Call], "Reply | Awaitable[Reply]"]


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    handler: Handler

    @property
    def pattern(self) -> re.Pattern[str]:
        return _compiled(self.template)


_patterns: dict[str, re.Pattern[str]] = {}


def _compiled(template: str) -> re.Pattern[str]:
    if template not in _patterns:
        parts = re.split(r"(\{\w+\})", template)
        # One parameter is a whole path: its slashes belong to it.
        whole = {"{db_path}": "(?P<db_path>.+)"}
        kinds = {part: whole.get(part, f"(?P<{part[1:-1]}>[^/]+)") for part in parts if part.startswith("{")}
        regex = "".join(kinds.get(part) or re.escape(part) for part in parts)
        _patterns[template] = re.compile(f"^{regex}$")
    return _patterns[template]


class Routes:
    """First match wins, as the framework of the original does it."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def on(self, method: str, template: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.all.append(Route(method, template, handler))
            return handler

        return register

    def find(self, call: Call) -> tuple[Route | None, list[str]]:
        """The route, with ``call.params`` filled in; or None and the methods that this path would take."""
        allowed = []
        for route in self.all:
            if match := route.pattern.match(call.path):
                if route.method == call.method:
                    call.params = match.groupdict()
                    return route, []
                allowed.append(route.method)
        return None, allowed


async def answer(handler: Handler, subject: Any, call: Call) -> Reply:
    reply = handler(subject, call)
    return reply if isinstance(reply, Reply) else await _awaited(reply)


async def _awaited(reply: Awaitable[Reply]) -> Reply:
    return await asyncio.ensure_future(reply)
