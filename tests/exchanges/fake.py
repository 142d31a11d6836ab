"""A tiny HTTP server that plays any exchange: ccxt's own host is the first segment of the path."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Reply:
    """What to answer. ``drop_after`` closes the connection after so many bytes of the body."""

    body: Any
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    hold: threading.Event | None = None  # answers only when this is set

    def payload(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass
class Seen:
    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


class FakeExchange:
    """Answers by the end of the path; what nobody set is a 404 in plain JSON."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies: dict[str, Reply] = {}
        self.seen: list[Seen] = []

    def on(self, path: str, body: Any, **about: Any) -> None:
        """Answers requests whose path ends so (query aside)."""
        self.replies[path] = Reply(body, **about)

    def asked(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path.endswith(path)]

    def reply_to(self, seen: Seen) -> Reply:
        matching = [path for path in self.replies if seen.path.endswith(path)]
        if not matching:
            return Reply({"fake": "no such path"}, status=404)
        return self.replies[max(matching, key=len)]


@contextmanager
def fake_exchange() -> Iterator[FakeExchange]:
    fake: FakeExchange

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode()
            parts = urlsplit(self.path)
            host, _, path = parts.path.lstrip("/").partition("/")
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            seen = Seen(self.command, host, f"/{path}", query, dict(self.headers), body)
            fake.seen.append(seen)
            self._send(fake.reply_to(seen))

        do_GET = do_POST = do_PUT = do_DELETE = _answer

        def _send(self, reply: Reply) -> None:
            if reply.hold is not None:
                reply.hold.wait(30)
            payload = reply.payload()
            self.send_response_only(reply.status)
            if "Date" not in reply.headers:
                self.send_header("Date", self.date_time_string())
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(payload)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.drop_after is not None:
                self.wfile.write(payload[: reply.drop_after])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
                return
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    fake = FakeExchange(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
