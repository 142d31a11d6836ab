from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge_project.up import processes
from bridge_project.up.processes import PidFile
from bridge_project.up.programs import CHECKOUT
from tests.plugin import FOREIGN


class Up:
    """One bin/up on a BRIDGE_HOME of its own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log = folder / "home", folder / "log"
        self.environ = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        self.environ |= {"BRIDGE_HOME": str(self.home), "WORKER_CONCURRENCY": "1", "NOW_CONCURRENCY": "1"}
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "bridge_project.up", *options]

    def start(self) -> None:
        self.begin()
        self.await_health()

    def begin(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command("--port", "0"), cwd=CHECKOUT, env=self.environ, stdout=log, stderr=log
            )

    def await_health(self) -> None:
        assert processes.wait_until(self.is_healthy, timeout_s=120, every_s=0.2), self.log.read_text()

    def is_healthy(self) -> bool:
        try:
            note = json.loads((self.home / "run" / "up.json").read_text())
            with urllib.request.urlopen(f"{note['url']}/health", timeout=5) as answer:
                return (
                    self.process is not None
                    and note["pid"] == self.process.pid
                    and json.load(answer)["status"] == "healthy"
                )
        except (OSError, ValueError):
            return False

    def kill_database_early(self) -> None:
        """As soon as it is there: what prepares it has hardly begun."""
        assert processes.wait_until(lambda: "embedded database" in self.log.read_text(), timeout_s=60, every_s=0.02)
        os.kill(PidFile(self.home / "run" / "postgres.pid").pid() or 0, signal.SIGKILL)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def left(self) -> list[int]:
        servers = [PidFile(self.home / "run" / f"{name}.pid").pid() for name in ("postgres", "valkey")]
        return [*processes.marked(self.home), *(pid for pid in servers if pid)]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path)
    yield made
    for pid in [made.process.pid if made.process else 0, *made.left()]:
        if pid and not processes.is_gone(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.long
def test_starts_refuses_a_second_survives_its_own_death_and_leaves_nothing(up: Up) -> None:
    up.start()
    credentials = (up.home / "credentials.json").read_text()
    assert set(json.loads(credentials)) == {"url", "username", "password", "api_key"}

    second = subprocess.run(
        up.command("--port", "0"), cwd=CHECKOUT, env=up.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 1
    assert "already runs" in second.stdout

    assert up.process is not None
    up.process.kill()
    up.process.wait()
    assert len(up.left()) >= 6
    up.begin()
    up.kill_database_early()
    up.await_health()
    assert "that an earlier bin/up left behind" in up.log.read_text()
    assert "the database had ended before the start was over; trying again" in up.log.read_text()
    assert json.loads((up.home / "credentials.json").read_text())["api_key"] == json.loads(credentials)["api_key"]

    note = PidFile(up.home / "run" / "children" / "worker.pid")
    assert processes.wait_until(note.pid, timeout_s=30)
    os.kill(note.pid() or 0, signal.SIGSTOP)
    assert up.stop() == 0
    assert "worker does not stop by itself; killed" in up.log.read_text()
    assert up.left() == []


def test_says_that_its_port_is_taken(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            up.command("--port", str(port)), cwd=CHECKOUT, env=up.environ, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in done.stdout
    assert up.left() == []
