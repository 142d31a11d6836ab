"""The ASGI application: granian serves ``bridge_project.stream.app:application`` in one process on a port of its own.

``GET /api/stream`` are server-sent events, ``GET /livez`` says whether it reads, a WebSocket on any path speaks with the old
arena's page. Nothing is written here, and no view or model of Django's is loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge_project.settings")

from django.conf import settings

from arena.rules.cursor import Cursor, read_cursor
from arena.selectors.watching_sql import NEWS
from bridge_project.logs import configure
from bridge_project.stream.callers import find_bearer
from bridge_project.stream.database import Databases
from bridge_project.stream.hub import END, MOST_ROWS, Hub, Listener, Message, message_of
from bridge_project.stream.state import States
from bridge_project.stream.websocket import serve_websocket

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

log = logging.getLogger(__name__)

PATH = "/api/stream"
RETRY_MS = 2000
SLOWEST_S = 60.0  # whoever takes nothing for so long is cut off, and resumes by its last event
# The ticket is the whole credential and no cookie counts here, so any page may ask, and none is shown anything by that alone.
HEADERS = [
    (b"access-control-allow-origin", b"*"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
SSE = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"), *HEADERS]
JSON = [(b"content-type", b"application/json"), *HEADERS]
REFUSED = b'{"detail":"The ticket or API key is unknown, revoked or too old.","code":"not_authenticated"}'
NOTHING = b'{"detail":"There is nothing here by that name.","code":"not_found"}'
BUSY = b'{"detail":"The database cannot be reached; try again shortly.","code":"database_unavailable"}'
# Of the answer to a listener whose last event is too old: it reads /api/state anew.
RESET = "reset"


class Application:
    """One hub for all connections, begun with the process."""

    def __init__(self) -> None:
        self.databases = Databases()
        self.hub = Hub(self.databases)
        self.states = States(self.databases)
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self._begin()
        send = _in_time(send)
        if scope["type"] == "websocket":
            await serve_websocket(scope, receive, send, hub=self.hub, states=self.states)
        elif scope["path"] == "/livez":
            await _answer(send, 200 if self.hub.is_ready.is_set() else 503, b'{"status":"ok"}')
        elif scope["path"] != PATH:
            await _answer(send, 404, NOTHING)
        elif scope["method"] == "OPTIONS":
            allowed = (b"access-control-allow-headers", b"authorization, last-event-id")
            await send({"type": "http.response.start", "status": 204, "headers": [*HEADERS, allowed]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._stream(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                configure(settings.LOGGING)
                self._begin()
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                for listener in self.hub.everybody():
                    listener.end()
                if self._running is not None:
                    self._running.cancel()
                await self.databases.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _begin(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self.hub.run())
            self._running.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A reader that stopped by a fault of ours begins again where it was; nobody waits in front of a silent stream."""
        self._running = None
        if not task.cancelled():
            log.error("the stream's reader stopped", exc_info=task.exception())
            asyncio.get_running_loop().call_later(RETRY_MS / 1000, self._begin)

    async def _stream(self, scope: Event, receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        ticket = query.get("ticket", "")
        token = ticket or headers.get(b"authorization", "").partition(" ")[2].strip()
        known = read_cursor(headers.get(b"last-event-id") or query.get("lastEventId", ""))
        try:
            async with asyncio.timeout(10):
                await self.hub.is_ready.wait()
            bearer = await find_bearer(token, databases=self.databases, is_resuming=known is not None)
        except (psycopg.Error, OSError, TimeoutError):
            await _answer(send, 503, BUSY)
            return
        if bearer is None:
            await _answer(send, 401, REFUSED)
            return
        listener, here = self.hub.join(bearer, is_by_ticket=bool(ticket)), self.hub.position
        telling = asyncio.create_task(self._tell(listener, known, here, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((telling, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.hub.leave(listener)
            for task in (telling, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError, RuntimeError):
                    await task

    async def _tell(self, listener: Listener, known: Cursor | None, here: Cursor, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await _write(send, f"retry: {RETRY_MS}\n\n".encode())
        try:
            if known is not None:
                await self._catch_up(listener, known, here, send)
        except (psycopg.Error, OSError, TimeoutError) as error:
            log.warning("a listener could not catch up: %s", type(error).__name__)
            await _end(send)
            return
        await _write(send, Message("ready", f'{{"cursor":"{here}"}}', here).as_sse())
        while True:
            messages = [await listener.waiting.get()]
            while not listener.waiting.empty():
                messages.append(listener.waiting.get_nowait())
            is_over = messages[-1] is END
            await _write(send, b"".join(one.as_sse() for one in messages if one is not END))
            if is_over:
                await _end(send)
                return

    async def _catch_up(self, listener: Listener, known: Cursor, here: Cursor, send: Send) -> None:
        """What came between its last event and its joining; what comes after waits for it meanwhile."""
        oldest_ms = here.at_ms - self.hub.keep_hours * 3_600_000
        if known.xid > here.xid or known.at_ms < oldest_ms:
            await _write(send, Message(RESET, '{"reason":"That is too long ago: read /api/state again."}').as_sse())
            return
        while True:
            given = {"xid": known.xid, "id": known.id, "below": here.xid + (1 if here.id else 0), "most": MOST_ROWS}
            rows = await self.databases.of(listener.bearer, NEWS, given)
            told = [
                message for row in rows if (message := message_of(row)).cursor and message.cursor.place <= here.place
            ]
            if told:
                await _write(send, b"".join(one.as_sse() for one in told))
            if len(rows) < MOST_ROWS or len(told) < len(rows):
                return
            known = told[-1].cursor or known


def _in_time(send: Send) -> Send:
    """Sends, and gives the connection up where the other side takes nothing for so long."""

    async def within(event: Event) -> None:
        try:
            async with asyncio.timeout(SLOWEST_S):
                await send(event)
        except TimeoutError:
            raise ConnectionAbortedError("It takes nothing any more.") from None

    return within


async def _answer(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": JSON})
    await send({"type": "http.response.body", "body": body})


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    """Until the other side has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


application = Application()
