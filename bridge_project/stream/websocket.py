"""The old arena's page: ``?token=`` (a ticket or an API key), then the whole state whenever something of it moved."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import psycopg

from bridge_project.stream.callers import find_bearer
from bridge_project.stream.hub import END, Hub, Listener
from bridge_project.stream.state import States

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

STATE_EVERY_S = 1.0  # at most so often, however much happens
REFUSED = 4401
TRY_AGAIN = 1013


async def serve_websocket(scope: Event, receive: Receive, send: Send, *, hub: Hub, states: States) -> None:
    """One connection to its end. A browser cannot read why a handshake failed, so it is let in and told."""
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept"})
    token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
    try:
        async with asyncio.timeout(10):
            await hub.is_ready.wait()
        bearer = await find_bearer(token, databases=hub.databases)
    except (psycopg.Error, OSError, TimeoutError):
        await _close(send, TRY_AGAIN, "The database cannot be reached; try again shortly.")
        return
    if bearer is None:
        await _say(send, "auth_error", '{"message":"The token is unknown, revoked or too old."}')
        await _close(send, REFUSED, "not authenticated")
        return
    listener = hub.join(bearer, is_by_ticket=not token.startswith("tb"))
    telling, leaving = asyncio.create_task(_tell(listener, states, send)), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((telling, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(listener)
        for task in (telling, leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError, RuntimeError):
                await task


async def _tell(listener: Listener, states: States, send: Send) -> None:
    clock = asyncio.get_running_loop().time
    client = str(listener.bearer.client_id) if listener.bearer.client_id else None
    try:
        moved_at = clock()
        await _say(send, "auth_success", json.dumps({"clientId": client}))
        await _say(send, "state_update", await states.text(listener.bearer, since=moved_at))
        told_at, is_new = clock(), False
        while True:
            wait = max(0.0, told_at + STATE_EVERY_S - clock()) if is_new else None
            try:
                message = await asyncio.wait_for(listener.waiting.get(), wait)
            except TimeoutError:
                await _say(send, "state_update", await states.text(listener.bearer, since=moved_at))
                told_at, is_new = clock(), False
                continue
            if message is END:
                await _close(send, TRY_AGAIN, "Connect again.")
                return
            if message.event and not is_new:
                is_new = True
            if message.event:
                moved_at = clock()
            if message.event not in ("state_update", "prices"):
                await send({"type": "websocket.send", "text": message.as_websocket()})
    except (psycopg.Error, TimeoutError):
        await _close(send, TRY_AGAIN, "The database cannot be reached; try again shortly.")


async def _say(send: Send, kind: str, payload: str) -> None:
    await send({"type": "websocket.send", "text": f'{{"type":"{kind}","payload":{payload}}}'})


async def _close(send: Send, code: int, reason: str) -> None:
    await send({"type": "websocket.close", "code": code, "reason": reason})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
