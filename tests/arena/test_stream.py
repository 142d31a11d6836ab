"""The stream as a process of its own, over its socket: who hears what, from where on, and for how long."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

import pytest
import requests
import websockets
from django.core import signing
from django.db import connection, connections
from django.utils import timezone

from arena.models import ArenaEvent
from arena.rules.statuses import EventKind
from arena.services.events import NewEvent, tell
from bridge_project.stream import app as stream_app
from bridge_project.stream.state import States
from bridge_project.up import programs
from clients.models import ApiKey, Client
from clients.rules.words import KeyKind, KeyScope
from clients.services.tickets import Bearer
from ground.scope import system_scope
from tests.arena.test_state import decide, market, participant, say
from tests.fixtures import Caller, Cast, make_key

SCOPE = system_scope("tests")
WAIT_S = 30


class Stream:
    """The process, and the web's idea of where it is."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.socket = f"ws://127.0.0.1:{port}"

    def listen(self, key: str | None = None, **given: str) -> Listening:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if "last" in given:
            headers["Last-Event-ID"] = given.pop("last")
        return Listening(
            requests.get(f"{self.base}/api/stream", params=given, headers=headers, stream=True, timeout=WAIT_S)
        )


class Listening:
    """One listener: events as they come."""

    def __init__(self, answer: requests.Response) -> None:
        self.answer = answer
        self.last = ""
        self._lines = answer.iter_lines(chunk_size=1)

    def next(self, *, beats: bool = False) -> tuple[str, Any]:
        """The next event's name and data; with ``beats`` also heartbeats, named so. "end": the stream is over."""
        name, data, is_beat = "", "", False
        for raw in self._lines:
            line = raw.decode()
            if line.startswith("id: "):
                self.last = line[4:]
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
            elif line.startswith(":"):
                is_beat = True
            elif not line:
                if data:
                    return name, json.loads(data)
                if is_beat and beats:
                    return "heartbeat", None
                is_beat = False
        return "end", None

    def ready(self) -> Listening:
        assert self.answer.status_code == 200, self.answer.text
        assert self.next()[0] == "ready"
        return self

    def close(self) -> None:
        self.answer.close()


class Earlier(signing.TimestampSigner):
    """Signs as it was done two minutes ago."""

    def timestamp(self) -> str:
        return signing.b62_encode(int(time.time()) - 120)


@pytest.fixture
def stream(cast: Cast, settings: Any) -> Iterator[Stream]:
    """Beside this test's database, as bin/up starts it, with a heartbeat each second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = os.environ["DATABASE_URL"]
    name = quote(connection.settings_dict["NAME"])
    environ = {
        **os.environ, "DATABASE_URL": f"{address}{'&' if '?' in address else '?'}dbname={name}",
        "STREAM_HEARTBEAT_SECONDS": "1",
    }  # fmt: skip
    process = subprocess.Popen(
        programs.stream(host="127.0.0.1", port=port), env=environ, cwd=programs.CHECKOUT, start_new_session=True
    )
    try:
        made = Stream(port)
        _wait_for(made)
        settings.STREAM_PUBLIC_URL = made.base
        yield made
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _wait_for(stream: Stream) -> None:
    for _ in range(WAIT_S * 10):
        try:
            if requests.get(f"{stream.base}/livez", timeout=5).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError("the stream did not come up")


@contextmanager
def a_late_commit(client_id: UUID, bot_id: UUID, **payload: str) -> Iterator[None]:
    """An event that is written before the block and commits after it."""
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with SCOPE.transaction():
            tell([NewEvent(client_id, bot_id, EventKind.STATE, payload)], now=timezone.now())
            written.set()
            may_commit.wait(WAIT_S)
        connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        assert written.wait(WAIT_S)
        yield
    finally:
        may_commit.set()
        thread.join()


def test_listeners_hear_their_own_rows_in_order_and_go_on_where_they_were(cast: Cast, stream: Stream) -> None:
    """Every tenant's state went to every listener; and an event that commits late must reach those who heard a later one."""
    mine, theirs = participant("client_acme", "Astrologer"), participant("client_globex", "Rival")
    own, other, all_of_it = (
        stream.listen(caller.key).ready() for caller in (cast.acme_reads, cast.globex_manages, cast.operator)
    )
    assert own.answer.headers["Content-Type"].startswith("text/event-stream")
    say(theirs, EventKind.TRADE, symbol="ETH/USDT")
    say(mine, EventKind.DECISION, turn=1, outcome="executed")
    name, data = own.next()
    assert (name, data["botId"], data["clientId"]) == ("decision", str(mine), str(cast.acme))
    assert (data["turn"], data["outcome"]) == (1, "executed")
    name, data = other.next()
    assert (name, data["botId"], data["symbol"]) == ("trade", str(theirs), "ETH/USDT")
    assert [all_of_it.next()[1]["botId"] for _ in range(2)] == [str(theirs), str(mine)]

    heard = own.last
    own.close()
    with a_late_commit(cast.acme, mine, reason="late"):
        say(mine, reason="early")  # of a later transaction, and held back while the other is open
        say(theirs)
    again = stream.listen(cast.acme_reads.key, last=heard)
    heard_now = [again.next() for _ in range(3)]  # "ready" stands where the stored ones end and the new ones begin
    assert [data["reason"] for name, data in heard_now if name != "ready"] == ["late", "early"]
    place = again.last
    again.close()
    known = stream.listen(cast.acme_reads.key, lastEventId=place).ready()  # nothing twice
    say(mine, reason="new")
    assert known.next()[1]["reason"] == "new"
    ArenaEvent.objects.all().delete()
    old = f"{heard.rsplit('.', 1)[0]}.{int((time.time() - 48 * 3600) * 1000)}"
    assert stream.listen(cast.acme_reads.key, last=old).next()[0] == "reset"
    for one in (other, all_of_it, known):
        one.close()


def test_a_ticket_opens_the_stream_once_and_a_revoked_key_ends_it(cast: Cast, stream: Stream) -> None:
    answer = cast.acme_reads.get("/api/stream", **{"Last-Event-ID": "1.2.3"})
    assert (answer.status, answer.headers["Cache-Control"]) == (307, "no-store")
    there = urlsplit(answer.headers["Location"])
    query = parse_qs(there.query)
    assert (f"{there.scheme}://{there.netloc}", there.path, query["lastEventId"]) == (
        stream.base,
        "/api/stream",
        ["1.2.3"],
    )
    assert "tbc_" not in json.dumps(query["ticket"][0])
    ticket = cast.acme_reads.get("/api/stream/ticket").body["ticket"]

    by_ticket, by_key = stream.listen(ticket=ticket).ready(), stream.listen(cast.acme_reads.key).ready()
    other = stream.listen(cast.globex_manages.key).ready()
    assert by_ticket.answer.headers["Access-Control-Allow-Origin"] == "*"
    used = Earlier(salt="bridge.stream").sign_object(
        [f"key:{(cast.acme_reads.key or '').rpartition('_')[0]}", str(cast.acme)]
    )
    assert stream.listen(ticket=used).answer.status_code == 401  # a browser comes back to the address it was sent to
    stream.listen(ticket=used, last=by_ticket.last).ready().close()
    assert by_ticket.next(beats=True)[0] == "heartbeat"
    ApiKey.objects.filter(prefix=(cast.acme_reads.key or "").rpartition("_")[0]).update(revoked_at=timezone.now())
    assert by_ticket.next() == ("end", None)
    assert by_key.next() == ("end", None)
    Client.objects.filter(pk=cast.globex).update(status="suspended")
    assert other.next() == ("end", None)

    forged = signing.dumps(["operator:root", ""], key="another", salt="bridge.stream")
    pings = make_key(KeyKind.BOT, KeyScope.PING, client_id=cast.acme, bot_id=cast.acme_bot)
    for bad in (
        {"ticket": forged},
        {"ticket": ticket},
        {"ticket": "x"},
        {},
        {"key": cast.acme_reads.key},
        {"key": pings},
    ):
        assert stream.listen(**bad).answer.status_code == 401, bad
    assert Caller(pings).get("/api/stream").status == 403
    assert cast.nobody.get("/api/stream").status == 401


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_who_takes_nothing_any_more_is_cut_off_and_holds_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a database: the connection's other side alone is played."""

    async def known(*_: Any, **__: Any) -> Bearer:
        return Bearer("key:tbc_0123456789", None)

    async def forever(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def play() -> tuple[int, list[Any]]:
        made = stream_app.Application()
        made._running = asyncio.create_task(forever())
        made.hub.is_ready.set()
        asked = [{"type": f"{kind}.connect"}] if kind == "websocket" else []
        sent: list[Any] = []

        async def receive() -> Any:
            return asked.pop() if asked else await forever()

        async def send(event: Any) -> None:
            sent.append(event)
            await (forever() if len(sent) > 2 else asyncio.sleep(0))

        scope = {"type": kind, "path": "/api/stream", "method": "GET", "headers": [], "query_string": b""}
        await asyncio.wait_for(made(scope, receive, send), WAIT_S)
        return len(sent), made.hub.everybody()

    monkeypatch.setattr(stream_app, "SLOWEST_S", 0.05)
    monkeypatch.setattr(stream_app, "find_bearer", known)
    monkeypatch.setattr("bridge_project.stream.websocket.find_bearer", known)
    monkeypatch.setattr(States, "text", lambda *_, **__: asyncio.sleep(0, "{}"))
    assert asyncio.run(play()) == (3, [])


def test_without_a_stream_the_web_says_to_poll(cast: Cast) -> None:
    answer = cast.acme_reads.get("/api/stream")
    assert (answer.status, answer.body["code"]) == (404, "no_stream")
    assert "/api/state?since=" in answer.body["detail"]


def test_the_old_page_gets_its_whole_state_over_its_websocket(cast: Cast, stream: Stream) -> None:
    mine, theirs = participant("client_acme", "Astrologer"), participant("client_globex", "Rival")
    market("BTC/USDT", "50000")

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        async with websockets.connect(f"{stream.socket}/?token={cast.acme_reads.key}") as page:

            async def hear(kind: str) -> Any:
                async with asyncio.timeout(WAIT_S):
                    while (said := json.loads(await page.recv()))["type"] != kind:
                        pass
                return said["payload"]

            assert json.loads(await page.recv()) == {"type": "auth_success", "payload": {"clientId": str(cast.acme)}}
            first = await hear("state_update")
            assert [bot["id"] for bot in first["bots"]] == [str(mine)]
            assert first["marketData"][0]["symbol"] == "BTCUSDT"
            await hear("heartbeat")
            await loop.run_in_executor(None, _in_thread, mine, theirs)
            assert (await hear("trade"))["botId"] == str(mine)
            async with asyncio.timeout(WAIT_S):
                while not (moved := (await hear("state_update"))["bots"])[0]["orders"]:
                    pass
            assert [bot["id"] for bot in moved] == [str(mine)]
        async with websockets.connect(f"{stream.socket}/?token=nobody") as page:
            assert json.loads(await page.recv())["type"] == "auth_error"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await page.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401

    asyncio.run(watch())


def _in_thread(mine: UUID, theirs: UUID) -> None:
    decide(mine)
    say(theirs, EventKind.TRADE)
    say(mine, EventKind.TRADE)
    connections.close_all()
