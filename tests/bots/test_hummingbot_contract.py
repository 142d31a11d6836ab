"""Every recorded answer of Hummingbot's API goes through the gateway over real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal as D
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from bots.gateways.hummingbot import HummingbotGateway
from ground.errors import BadCredentials, Unavailable, UnknownOutcome
from tests.bots.hummingbot_expected import NOT_CALLED, TABLE, Answers, Raises, archive, deploy

EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "contracts" / "hummingbot-api" / "examples"
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the recorded contracts are not beside this checkout")


def example(name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    return recorded


@dataclass
class Replay:
    url: str
    seen: list[tuple[str, str, dict[str, str], Any, str]]


@contextmanager
def replaying(*, status: int, headers: dict[str, str], raw: bytes, length: int | None = None) -> Iterator[Replay]:
    """A server that gives this answer to everything, and remembers what it was asked."""
    seen: list[tuple[str, str, dict[str, str], Any, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            authorization = self.headers.get("authorization", "")
            asked = json.loads(body) if body else None
            seen.append((self.command, parts.path, dict(parse_qsl(parts.query)), asked, authorization))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw) if length is None else length))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Replay(f"http://127.0.0.1:{server.server_port}", seen)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def recorded_answer(recorded: dict[str, Any]) -> Iterator[Replay]:
    if recorded["status"] is None:  # the API does not run: nothing listens
        with replaying(status=200, headers={}, raw=b"") as replay:
            url = replay.url
        yield Replay(url, [])
        return
    body, headers = recorded["body"], recorded["headers"]
    is_plain = headers.get("content-type", "").startswith("text/plain")
    raw = body.encode() if is_plain else json.dumps(body).encode()
    with replaying(status=recorded["status"], headers=headers, raw=raw) as replay:
        yield replay


def gateway(replay: Replay) -> HummingbotGateway:
    return HummingbotGateway(replay.url, "bridge", "pässword", timeout_s=5)


@needs_examples
@pytest.mark.parametrize("name", sorted(TABLE))
def test_recorded_answer_becomes_what_it_means(name: str) -> None:
    recorded, row = example(name), TABLE[name]
    with recorded_answer(recorded) as replay:
        if isinstance(row, Answers):
            assert row.view(row.call(gateway(replay))) == row.value
        else:
            with pytest.raises(row.error) as caught:
                row.call(gateway(replay))
            assert type(caught.value) is row.error
            assert caught.value.message == row.sentence
            assert caught.value.system == "hummingbot"
    if recorded["status"] is None or (isinstance(row, Raises) and row.sent_elsewhere):
        return
    [(method, path, query, _, authorization)] = replay.seen
    request = recorded["request"]
    assert (method, path) == (request["method"], request["path"])
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == "bridge:pässword"
    if method == "POST":
        assert query == {key: str(value) for key, value in (request.get("query") or {}).items()} or not request["query"]


@needs_examples
def test_every_example_has_a_row_or_a_reason_not_to() -> None:
    names = {path.name.removesuffix(".json") for path in EXAMPLES.glob("*.json")}
    uncalled = {name for name in names if name.startswith(tuple(NOT_CALLED))}
    assert names - uncalled == set(TABLE)
    assert not uncalled & set(TABLE)
    assert all(any(name.startswith(prefix) for name in names) for prefix in NOT_CALLED)


HTML = b"<html><body>Bad gateway</body></html>"
GARBAGE: dict[str, dict[str, Any]] = {
    "html": {"status": 200, "headers": {"content-type": "text/html"}, "raw": HTML},
    "html that claims to be json": {"status": 200, "headers": {"content-type": "application/json"}, "raw": HTML},
    "empty": {"status": 200, "headers": {"content-type": "application/json"}, "raw": b""},
    "cut json": {"status": 200, "headers": {"content-type": "application/json"}, "raw": b'{"success": tr'},
    "cut body": {"status": 200, "headers": {"content-type": "application/json"}, "raw": b"{}", "length": 90},
    "other shape": {"status": 200, "headers": {"content-type": "application/json"}, "raw": b'["surprise"]'},
    "not a number": {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "raw": b'{"status": "success", "success": NaN, "data": {"a": NaN}}',
    },
    "bad gateway": {"status": 502, "headers": {"content-type": "application/json"}, "raw": b'{"detail": "x"}'},
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_unreadable_answer_is_unavailable_for_a_read_and_an_unknown_outcome_for_a_write(kind: str) -> None:
    with replaying(**GARBAGE[kind]) as replay:
        with pytest.raises(Unavailable):
            gateway(replay).statuses()
        for write in (deploy, lambda g: g.stop_strategy("x"), archive("x")):
            with pytest.raises(UnknownOutcome):
                write(gateway(replay))
    assert len(replay.seen) == 4, "each was sent once"


def test_redirect_is_never_followed() -> None:
    with replaying(status=307, headers={"location": "/elsewhere"}, raw=b"") as replay, pytest.raises(Unavailable):
        deploy(gateway(replay))
    assert [path for _, path, *_ in replay.seen] == ["/bot-orchestration/deploy-v2-controllers"]


@pytest.mark.parametrize(
    "detail", ["key tb-marked-secret refused", "Invalid API-key tb-marked-secret, IP, or permissions for action"]
)
def test_refused_credentials_are_told_apart_and_never_repeated(detail: str) -> None:
    raw = json.dumps({"detail": detail}).encode()
    answer = {"status": 400, "headers": {"content-type": "application/json"}, "raw": raw}
    with replaying(**answer) as replay, pytest.raises(BadCredentials) as caught:
        gateway(replay).add_credentials("acme", "kucoin", {"kucoin_api_key": "tb-marked-secret"})
    assert "marked" not in caught.value.message


def test_connection_that_was_never_made_is_unavailable_also_for_a_write() -> None:
    with replaying(status=200, headers={}, raw=b"") as replay:
        pass
    with pytest.raises(Unavailable):
        deploy(gateway(replay))


def test_amounts_are_exact_decimals() -> None:
    body = (
        b'{"status":"success","data":{"b":{"status":"running","performance":{"c":{"status":"running",'
        b'"performance":{"realized_pnl_quote":0.1234567890123456789}}}}}}'
    )
    with replaying(status=200, headers={"content-type": "application/json"}, raw=body) as replay:
        report = gateway(replay).statuses()["b"].reports[0]
    assert report.performance is not None
    assert report.performance.realized_pnl == D("0.1234567890123456789")
