"""A Chromium that is installed here, driving a server of our own; skipped with a sentence where there is none."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from unittest import mock
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from django.db import connections

from tests.fixtures import Cast

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-default-apps", "--disable-sync", "--no-first-run", "--no-pings",
]  # fmt: skip
PASSWORD = "correct horse battery"


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def site(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the product with the cast's world and operator alice, served on loopback by one thread."""
    User.objects.create_superuser("alice", password=PASSWORD)
    monkeypatch.setattr("ground.scope._outside", "operator")
    application = get_wsgi_application()

    def serve(environ: dict, start_response: Callable) -> Iterator[bytes]:
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


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A running browser."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if not found:
        pytest.skip("no Chromium is installed here (looked for chromium and google-chrome in PATH)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # Playwright's event loop runs in this thread while the browser does; our queries are none of its business.
    with mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1"), sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()
        connections.close_all()  # those that were opened while that loop ran are seen only from inside of it
