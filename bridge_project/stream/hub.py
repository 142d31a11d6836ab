"""One reader for all listeners: new rows are read once and handed to those whose they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import redis.asyncio
from django.conf import settings
from redis import RedisError

from arena.rules.cursor import Cursor
from arena.selectors.watching_sql import MARKETS, NEWS, STAND
from arena.services.wake import CHANNEL
from bridge_project.stream.callers import still_good
from bridge_project.stream.database import Databases, Row
from clients.services.tickets import RESUMES_FOR, Bearer

log = logging.getLogger(__name__)

LOOK_S = 1.0  # at least so often, whether Redis says something or not
SOON_S = 0.1  # after a word from Redis that showed nothing yet: an older transaction was still open
MOST_ROWS = 1000  # of one read
RECHECK_S = 5.0
TICKET_LIVES_S = RESUMES_FOR.total_seconds()  # then its bearer shows again who it is
WAITING = 2 * MOST_ROWS  # messages; whoever is further behind is ended, and resumes by its last event


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell, for both kinds of listeners. ``event`` is empty for a heartbeat."""

    event: str
    data: str  # JSON
    cursor: Cursor | None = None
    client_id: UUID | None = None  # None: everybody's

    def as_sse(self) -> bytes:
        named = f"id: {self.cursor}\n" if self.cursor else ""
        return (
            f"{named}event: {self.event}\ndata: {self.data}\n\n" if self.event else f": heartbeat\n{named}\n"
        ).encode()

    def as_websocket(self) -> str:
        return f'{{"type":"{self.event or "heartbeat"}","payload":{self.data}}}'


END = Message("end", '"The stream ends here; connect again."')


@dataclass(eq=False, slots=True)
class Listener:
    """One connection. What waits for it is bounded."""

    bearer: Bearer
    began: float
    is_by_ticket: bool
    waiting: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(WAITING))

    def tell(self, message: Message) -> None:
        try:
            self.waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        while not self.waiting.empty():
            self.waiting.get_nowait()
        self.waiting.put_nowait(END)


class Hub:
    """Reads events as they come and fans them out."""

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.position = Cursor(0)
        self.keep_hours = 24
        self._listeners: defaultdict[UUID | None, set[Listener]] = defaultdict(set)
        self._woken = asyncio.Event()
        self._is_blind = False  # the database could not be read; said once
        self.is_ready = asyncio.Event()

    def join(self, bearer: Bearer, *, is_by_ticket: bool) -> Listener:
        """From now on it is told everything after ``position`` as that stands at this moment."""
        listener = Listener(bearer, time.monotonic(), is_by_ticket)
        self._listeners[bearer.client_id].add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners[listener.bearer.client_id].discard(listener)

    def everybody(self) -> list[Listener]:
        return [one for group in self._listeners.values() for one in group]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._listen_to_redis())
            tasks.create_task(self._beat())
            tasks.create_task(self._recheck())

    async def _read(self) -> None:
        wait = LOOK_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait if self.is_ready.is_set() else 0):
                    await self._woken.wait()
            was_woken = self._woken.is_set()
            self._woken.clear()
            try:
                found = await self._look()
            except (psycopg.Error, OSError, TimeoutError) as error:
                if not self._is_blind:
                    log.warning("the stream cannot read: %s", type(error).__name__)
                self._is_blind = True
                await asyncio.sleep(LOOK_S)
                continue
            if self._is_blind:
                log.warning("the stream reads again")
                self._is_blind = False
            wait = SOON_S if was_woken and not found else LOOK_S

    async def _look(self) -> int:
        """Read what is new and hand it out; how much it was."""
        ((xmin, at_ms, prices, self.keep_hours),) = await self.databases.operator.rows(STAND)
        if not self.is_ready.is_set():
            self.position = Cursor(xmin, 0, at_ms, prices)
            self.is_ready.set()
            return 0
        found = 0
        while True:
            given = {"xid": self.position.xid, "id": self.position.id, "below": xmin, "tenant": None, "most": MOST_ROWS}
            rows = await self.databases.operator.rows(NEWS, given)
            for row in rows:
                self._hand_out(message_of(row))
            found += len(rows)
            if rows:
                self.position = Cursor(rows[-1][0], rows[-1][1], rows[-1][6], self.position.prices)
            if len(rows) < MOST_ROWS:
                break
        newer = prices > self.position.prices
        self.position = Cursor(max(xmin, self.position.xid), 0, at_ms, max(prices, self.position.prices))
        if newer and any(self._listeners.values()):
            await self._tell_prices(at_ms)
        return found

    async def _tell_prices(self, at_ms: int) -> None:
        ((markets,),) = await self.databases.operator.rows(MARKETS)
        self._hand_out(Message("prices", f'{{"at":{at_ms},"marketData":{markets}}}'))

    def _hand_out(self, message: Message) -> None:
        """To everybody where it is nobody's; else to its client's listeners and to those who see all."""
        if message.client_id is None:
            chosen = self.everybody()
        else:
            chosen = [*self._listeners.get(message.client_id, ()), *self._listeners.get(None, ())]
        for listener in chosen:
            listener.tell(message)

    async def _listen_to_redis(self) -> None:
        while True:
            try:
                broker = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5)
                async with broker, broker.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    async for _ in channel.listen():
                        self._woken.set()
            except (RedisError, OSError):
                await asyncio.sleep(LOOK_S)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(settings.STREAM_HEARTBEAT_SECONDS)
            data = json.dumps({"timestamp": int(time.time() * 1000)})
            self._hand_out(Message("", data, self.position))

    async def _recheck(self) -> None:
        """End the streams of those whose key or account is not good any more."""
        while True:
            await asyncio.sleep(RECHECK_S)
            everybody = self.everybody()
            if not everybody:
                continue
            try:
                good = await still_good((one.bearer for one in everybody), databases=self.databases)
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("the stream cannot look at keys: %s", type(error).__name__)
                continue
            late = time.monotonic() - TICKET_LIVES_S
            for one in everybody:
                if one.bearer.actor not in good or (one.is_by_ticket and one.began < late):
                    one.end()


def message_of(row: Row) -> Message:
    """An event's row as listeners read it: ids and what changed."""
    xid, number, client_id, bot_id, kind, payload, at_ms = row
    told: dict[str, Any] = {"botId": str(bot_id), "clientId": str(client_id), "timestamp": at_ms}
    data = json.dumps(told, separators=(",", ":"))[:-1] + (f",{payload[1:]}" if payload != "{}" else "}")
    return Message(kind, data, Cursor(xid, number, at_ms), client_id)
