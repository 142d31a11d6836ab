"""The sandbox as a process of its own, as ``bin/up --demo`` starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from sandbox.testing import Sandbox

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(state_file: Path) -> Iterator[tuple[subprocess.Popen[bytes], Sandbox]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--demo", "--state-file", str(state_file), "--password", "other"]
    running = subprocess.Popen([sys.executable, "-m", "sandbox", *options], cwd=ROOT, env=os.environ | {"DEBUG": ""})
    sandbox = Sandbox(f"http://127.0.0.1:{port}")
    try:

        def is_up() -> bool:
            try:
                return sandbox.hummingbot("GET", "/").ok
            except requests.ConnectionError:
                return False

        sandbox.wait_until(is_up, timeout_s=30)
        yield running, sandbox
    finally:
        running.kill()
        running.wait(10)


def test_ends_on_a_signal_and_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with process(file) as (running, sandbox):
        sandbox.add_key("kucoin", "key", "secret")
        assert sandbox.hummingbot("GET", "/accounts/").status_code == 401
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
    with process(file) as (running, sandbox):
        assert [key["api_key"] for key in sandbox.control("GET", "/keys")] == ["key"]
        assert sandbox.state()["mean_interval_s"] == 4
        sandbox.add_container("survivor-1")
        sandbox.wait_until(lambda: b"survivor-1" in file.read_bytes())
        running.kill()
    with process(file) as (_, sandbox):
        assert sandbox.containers() == {"survivor-1": "running"}
