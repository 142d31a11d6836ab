"""``python -m bench.arena_listeners``: many listeners of the stream in one process, so that they take nothing of its time.

Standard input: one JSON object with the stream's ``port`` and the ``listeners``, each a key and how it listens. Standard
output: a line when all are connected, and at the end of standard input what each of them was told.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

HOST = "127.0.0.1"
CONNECT_AT_ONCE = 50


class Heard:
    """What one listener was told: by event's mark, when it came."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_ready = asyncio.Event()
        self.at: dict[str, float] = {}
        self.twice = 0

    def take(self, data: bytes | str, now: float) -> None:
        told = json.loads(data)
        mark = told.get("mark")
        if mark is None:
            return
        self.twice += mark in self.at
        self.at.setdefault(mark, now)


async def by_events(port: int, heard: Heard) -> None:
    reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 20)
    writer.write(f"GET /api/stream HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {heard.key}\r\n\r\n".encode())
    while line := await reader.readline():
        if line.startswith(b"event: ready"):
            heard.is_ready.set()
        elif line.startswith(b"data: ") and b'"mark"' in line:
            heard.take(line[6:], time.time())


async def by_websocket(port: int, heard: Heard, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(f"ws://{HOST}:{port}/?token={heard.key}", max_msg_size=1 << 26) as socket:
        async for message in socket:
            now = time.time()
            text = str(message.data)
            if text.startswith('{"type":"state_update"'):
                heard.is_ready.set()
            elif '"mark"' in text:
                heard.take(json.dumps(json.loads(text)["payload"]), now)


async def listen(given: dict[str, Any]) -> None:
    everybody = [Heard(one["key"]) for one in given["listeners"]]
    places = asyncio.Semaphore(CONNECT_AT_ONCE)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    tasks = []

    async def one(heard: Heard, way: str) -> None:
        async with places:
            work = by_events(given["port"], heard) if way == "events" else by_websocket(given["port"], heard, session)
            tasks.append(asyncio.create_task(work))
            await heard.is_ready.wait()

    began = time.monotonic()
    await asyncio.gather(*(one(heard, row["way"]) for heard, row in zip(everybody, given["listeners"], strict=True)))
    _print({"connected_s": round(time.monotonic() - began, 3)})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    _print([{"at": heard.at, "twice": heard.twice} for heard in everybody])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await session.close()


def _print(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(listen(json.loads(sys.stdin.readline())))
