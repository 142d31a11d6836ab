"""What ``bin/up --demo`` shows of strategies: the desk with a connector on the default exchange, every old mode running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.services.poll_hummingbot import poll_hummingbot
from bots.services.reconcile_bots import reconcile_due
from clients.rules.words import KeyKind, KeyScope
from sandbox.demo import Demo
from sandbox.testing import Sandbox, start
from tests.fixtures import Caller, make_key

MODES = {"BTCUSDT": "scalp", "ETHUSDT": "bull", "SOLUSDT": "bear", "XRPUSDT": "range"}


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def bridge(database: None) -> Iterator[str]:
    """The address of the product, served by one thread."""
    application = get_wsgi_application()

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        answer = application(environ, start_response)
        yield from answer
        answer.close()

    server: WSGIServer = make_server("127.0.0.1", 0, serve, handler_class=_Quiet)
    thread = threading.Thread(target=lambda: (server.serve_forever(poll_interval=0.05), connections.close_all()))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sandbox(settings: Any) -> Iterator[Sandbox]:
    with start(speed=10) as running:
        settings.HUMMINGBOT_API_URL = running.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        yield running


def work_until(sandbox: Sandbox, is_done: Callable[[], bool]) -> None:
    """As the workers do, until then."""
    gateway = HummingbotGateway(sandbox.hummingbot_url, "admin", "admin", timeout_s=5)

    def worked() -> bool:
        poll_hummingbot(gateway=gateway, clock=timezone.now, force=True)
        reconcile_due(gateway=gateway, clock=timezone.now)
        return is_done()

    sandbox.wait_until(worked, timeout_s=60)


def fill(bridge: str, sandbox: Sandbox, token: str) -> int:
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(Demo(bridge=bridge, api_key=token, sandbox=sandbox.url).fill, ())
        work_until(sandbox, made.done)
    return made.result()


@pytest.mark.parametrize("was_used_before", [False, True])
def test_the_desk_runs_every_old_mode_and_a_second_start_changes_nothing(
    bridge: str, sandbox: Sandbox, was_used_before: bool
) -> None:
    token = make_key(KeyKind.OPERATOR, KeyScope.MANAGE)
    operator = Caller(token)
    if was_used_before:  # then the bridge made the desk, which has no connector yet
        operator.post("/clients/create", {"name": "Desk", "account_identifier": "desk"})
    assert fill(bridge, sandbox, token) == 4

    def shown() -> dict[str, Any]:
        body: dict[str, Any] = operator.get("/api/live-strategy/status").body
        return body

    work_until(sandbox, lambda: all(row["running"] for row in shown()["strategies"]))
    assert {row["symbol"]: row["mode"] for row in shown()["strategies"]} == MODES
    assert {row["exchange"] for row in shown()["strategies"]} == {"binance"}
    assert list(sandbox.containers().values()) == ["running"] * 4

    operator.post("/api/live-strategy/stop", {"symbol": "BTCUSDT"})
    work_until(sandbox, lambda: len(shown()["strategies"]) == 3)
    assert fill(bridge, sandbox, token) == 0
    assert len(shown()["strategies"]) == 3
