"""Real workers, real web server, and kill -9 while a message is under way: none is lost, and what comes twice says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import pytest
from celery import current_app
from django.conf import settings
from django.db import connection
from django.utils import timezone

from alerts.models import AlertDelivery
from alerts.services.test_channel import await_delivery, send_test
from tests.alerts.receivers import KEY, Receiver, Request, documented, make_channel, make_message, receiver, wait_until
from tests.fixtures import OPERATOR

WORKER = [
    *(sys.executable, "-m", "celery", "--quiet", "-A", "bridge_project", "worker", "-P", "solo", "-Q", "celery,now"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
]
KILLS = 3


@dataclass
class Taker:
    """What a receiver does that follows the documentation: it verifies, and drops what it knows. Now and then it takes a
    message and does not answer until somebody lets it."""

    seen: documented.Seen = field(default_factory=documented.Seen)  # type: ignore[name-defined]
    taken: list[tuple[str, str]] = field(default_factory=list)  # path and delivery, in the order of taking
    hold_next: bool = False
    held: Request | None = None
    let_go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> tuple[int, dict[str, str]]:
        delivery = documented.verify_webhook(request.headers, request.body, KEY)
        with self.lock:
            is_new = self.seen.is_new(delivery)
            if is_new:
                self.taken.append((request.path, delivery))
            holds = self.hold_next and is_new  # each time another message
            if holds:
                self.hold_next = False
                self.let_go.clear()
                self.held = request
        if holds:
            self.let_go.wait(60)
        return 200, {}


@pytest.mark.long
def test_two_workers_and_kill_9_in_the_middle_lose_nothing_and_double_only_what_says_so(
    database: None, broker: object
) -> None:
    taker = Taker()
    with receiver() as web, _workers(2) as workers:
        web.answer = taker
        channels = [make_channel(address=f"{web.url}/{name}", name=name) for name in "abc"]
        for channel in channels:
            for number in range(KILLS):
                make_message(channel, about=f"{channel.name} {number}")
        doubled = set()
        with _ticks():
            for round_ in range(KILLS):
                taker.hold_next = True
                make_message(channels[round_], about=f"{channels[round_].name} held {round_}")
                wait_until(lambda: taker.held is not None, seconds=120)
                doubled.add(_kill_who_asks(taker, workers))
                _let_leases_end()
                taker.held = None
                taker.let_go.set()
                workers.append(_start())
                for channel in channels:
                    make_message(channel, about=f"{channel.name} after {round_}")
            wait_until(lambda: _states() == {"sent"}, seconds=120)
        pressed = send_test(scope=OPERATOR, channel_id=channels[0].id, now=timezone.now())  # nobody ticks any more
        said = await_delivery(scope=OPERATOR, delivery_id=pressed, until_s=time.monotonic() + 60)
        assert (said.status, said.error) == ("sent", "")
    _verify(web, taker, doubled)


def _verify(web: Receiver, taker: Taker, doubled: set[str]) -> None:
    with OPERATOR.transaction():
        rows = list(AlertDelivery.objects.select_related("channel").order_by("created_at"))
    times = Counter(web.deliveries())
    assert times.keys() == {str(row.id) for row in rows}, "none is lost"
    assert len(doubled) == KILLS and all(times[delivery] > 1 for delivery in doubled)
    assert {d for d, n in times.items() if n > 1} <= {str(row.id) for row in rows if row.may_be_double}
    for name in "abc":
        mine = [delivery for path, delivery in taker.taken if path.endswith(f"/{name}")]
        assert mine == [str(row.id) for row in rows if row.channel.name == name], "each once, in order"


def _kill_who_asks(taker: Taker, workers: list[subprocess.Popen[bytes]]) -> str:
    """Kill -9 the worker whose message the receiver holds; the message's id."""
    assert taker.held is not None
    port = taker.held.port
    victim = next(w for w in workers if w.poll() is None and port in _ports(w.pid))
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    delivery: str = taker.held.headers["Bridge-Delivery"]
    with OPERATOR.transaction():
        assert AlertDelivery.objects.get(id=delivery).status == "sending", "nobody has recorded what became of it"
    return delivery


def _ports(pid: int) -> set[int]:
    return {connection.laddr.port for connection in psutil.Process(pid).net_connections("tcp")}


def _let_leases_end() -> None:
    """As if the minute were over. A worker that lives may lose a lease by it: that too must do no harm."""
    with OPERATOR.transaction():
        AlertDelivery.objects.filter(status="sending").update(lease_until="2020-01-01T00:00Z")


def _states() -> set[str]:
    with OPERATOR.transaction():
        return set(AlertDelivery.objects.values_list("status", flat=True))


@contextmanager
def _ticks() -> Iterator[None]:
    """Beat's part, more often."""
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.2):
            current_app.send_task("alerts.send", expires=5)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _workers(number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [_start() for _ in range(number)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        WORKER, env=_environment(), cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _environment() -> dict[str, str]:
    """For a process that works on this test's database."""
    url, _, options = os.environ["DATABASE_URL"].partition("?")
    own = f"{url.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    return {**os.environ, "DATABASE_URL": f"{own}?{options}" if options else own,
            "DJANGO_SETTINGS_MODULE": "bridge_project.settings"}  # fmt: skip
