"""The other sides of channels: a web server that keeps what it is sent, and rows for messages to it."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils import timezone

from alerts.models import AlertChannel, AlertDelivery
from alerts.services.incidents import raise_incident
from tests.fixtures import OPERATOR

KEY = "signing-key-of-a-test"
_FILE = Path(__file__).resolve().parents[2] / "docs" / "webhook" / "verify_webhook.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("verify_webhook", _FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


documented = _load()  # the receiver's side, as docs/ gives it to people


@dataclass
class Request:
    path: str
    headers: Any
    body: bytes
    port: int  # of whoever asks


@dataclass
class Receiver:
    """A web server on this machine. ``answers`` gives a request's status, headers, and may take its time."""

    url: str = ""
    answer: Callable[[Request], tuple[int, dict[str, str]]] = lambda request: (200, {})
    requests: list[Request] = field(default_factory=list)  # in the order in which they arrived

    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]

    def deliveries(self) -> list[str]:
        return [request.headers["Bridge-Delivery"] for request in self.requests]


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.path, self.headers, body, self.client_address[1])
            made.requests.append(request)
            status, headers = made.answer(request)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # whoever asked is dead

        do_GET = do_POST

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hook/secret-part"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_channel(kind: str = "webhook", address: str = "", name: str = "ops", **fields: Any) -> AlertChannel:
    given = {"address_hint": "hidden", "signing_key": KEY if kind == "webhook" else None, **fields}
    with OPERATOR.transaction():
        return AlertChannel.objects.create(kind=kind, address=address, name=name, **given)


def make_message(
    channel: AlertChannel, *, about: str = "1", kind: str = "opened", due_at: datetime | None = None, **fields: Any
) -> UUID:
    """A message that waits on this channel, about an incident of its own unless two name the same."""
    now = timezone.now()
    incident = raise_incident(scope=OPERATOR, kind="tested", key=about, title=f"Trouble {about}", now=now)
    given = {"title": f"Trouble {about}", "body": f"Trouble {about}, in full.", "severity": "warning", **fields}
    with OPERATOR.transaction():
        made = AlertDelivery.objects.create(
            channel=channel, incident_id=incident, kind=kind, due_at=due_at or now,
            payload={"event": kind, "about": about, "figure": "1.10"}, **given,
        )  # fmt: skip
    key: UUID = made.id
    return key


def wait_until(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    """Go on as soon as it holds; fail when it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
