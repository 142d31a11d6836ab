"""The whole product under ``bin/up`` beside a sandbox, both in processes of their own that can be killed at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psutil
import requests

from bench import cpu
from bench.stage import FOREIGN, free_port, furnish, python
from bridge_project.up import environment, processes, programs
from bridge_project.up.postgres import ADMINISTRATOR, DATABASE
from bridge_project.up.processes import PidFile

WORD = "chaos"
START_PATIENCE_S = 420  # its migrations, on a machine that others use too
EXCHANGES = ("binance", "kucoin")


class House:
    """``bin/up`` and a sandbox; on leaving all of it is gone."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-chaos-"))
        self.home, self.log = self.folder / "home", self.folder / "log"
        self.port, self.sandbox_port = free_port(), free_port()
        self.url, self.sandbox_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.sandbox_port}"
        given = {name: value for name, value in os.environ.items() if name not in FOREIGN and not name.startswith("PG")}
        furnish(self.home)
        _, self.servers = environment.prepare(self.home, given)
        self.environ = given | {
            "BRIDGE_HOME": str(self.home), "LOG_LEVEL": "INFO", "WORKER_CONCURRENCY": "2", "NOW_CONCURRENCY": "2",
            "HUMMINGBOT_API_URL": f"{self.sandbox_url}/hummingbot", "HUMMINGBOT_API_USERNAME": WORD,
            "HUMMINGBOT_API_PASSWORD": WORD, "HUMMINGBOT_POLL_SECONDS": "2",
            "SANDBOX_USERNAME": WORD, "SANDBOX_PASSWORD": WORD, "STRATEGY_DEFAULT_EXCHANGE": "binance",
            "EXCHANGE_BASE_URLS": json.dumps(dict.fromkeys(EXCHANGES, f"{self.sandbox_url}/exchange")),
        }  # fmt: skip
        self.up: subprocess.Popen[bytes] | None = None
        self.given_up = 0  # how often bin/up ended while it came up
        self.sandbox: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> House:
        try:
            self.start_sandbox()
            self.start_up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.up and self.up.poll() is None:
            self.up.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.up.wait(30)
        self.kill_everything()
        self.kill_sandbox()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- starting -----------------------------------------------------------------------------------------------------
    def start_up(self) -> None:
        """As a service manager does that keeps it: where it ends before it answers (its database was killed while it
        came up), it is started again."""
        until = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < until:
            self.up = self._start([*python("-m", "bridge_project.up"), "--port", str(self.port)])
            processes.wait_until(lambda: self._has_ended() or self.answers(), timeout_s=START_PATIENCE_S, every_s=0.2)
            if not self._has_ended():
                break
            self.given_up += 1
            time.sleep(1)
        if not self.answers():
            raise SystemExit(f"The product does not start.\n{self.last_words()}")

    def _has_ended(self) -> bool:
        return self.up is None or self.up.poll() is not None

    def start_sandbox(self) -> None:
        words = ("--port", str(self.sandbox_port), "--state-file", str(self.folder / "sandbox.json"))
        self.sandbox = self._start(python("-m", "sandbox", *words))
        if not processes.wait_until(self._sandbox_answers, timeout_s=START_PATIENCE_S, every_s=0.2):
            raise SystemExit(f"The sandbox does not start.\n{self.last_words()}")

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=self.environ, cwd=programs.CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return self.session.get(f"{self.url}/livez", timeout=5).status_code == 200
        return False

    def _sandbox_answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return self.session.get(f"{self.sandbox_url}/control/faults", timeout=5).ok
        return False

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    # -- killing ------------------------------------------------------------------------------------------------------
    def kill_program(self, name: str, which: float) -> str:
        """kill -9 of a program, or now and then of one process below it; what was hit."""
        pid = PidFile(self.home / "run" / "children" / f"{name}.pid").pid()
        if pid is None:
            return "was not there"
        below = [found for found in cpu.tree(pid) if found != pid]
        chosen = below[int(which * 10 * len(below)) % len(below)] if below and which < 0.3 else pid
        _kill(chosen)
        return "a process below it" if chosen != pid else "itself"

    def kill_server(self, name: str) -> str:
        server = self.servers.database if name == "database" else self.servers.broker
        pid = server.pid() if server else None
        if pid is None:
            return "was not there"
        _kill(pid)
        return "itself"

    def kill_everything(self) -> None:
        """bin/up first, so that it starts nothing again, then all that it started and both servers."""
        if self.up:
            _kill(self.up.pid)
            self.up.wait()
        pids = list(processes.marked(self.home))
        for server in self.servers.all():
            if pid := server.pid():
                pids += cpu.tree(pid)
        for pid in pids:
            _kill(pid)
        psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)

    def kill_sandbox(self) -> None:
        if self.sandbox:
            _kill(self.sandbox.pid)
            self.sandbox.wait()

    # -- speaking -----------------------------------------------------------------------------------------------------
    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        """To the product, as an operator. Raises requests.RequestException without an answer."""
        key = json.loads((self.home / "credentials.json").read_text(encoding="utf-8"))["api_key"]
        headers = {"Authorization": f"Bearer {key}"}
        # A connection each: some of those at the other end are being killed.
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=45)

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """To the sandbox; None when it is away or does not want to (a container that is gone cannot be killed)."""
        with contextlib.suppress(requests.RequestException, ValueError):
            answer = requests.request(method, f"{self.sandbox_url}/control{path}", json=body, timeout=10)
            return answer.json() if answer.ok else None
        return None

    def containers(self) -> list[dict[str, Any]] | None:
        """Those of the sandbox's Hummingbot; None while it is away."""
        state = self.control("GET", "/bots")
        return None if state is None else list(state["hummingbot"])

    def superuser(self) -> str:
        """Where a superuser connects."""
        assert self.servers.database is not None
        return f"postgresql://{ADMINISTRATOR}@/{DATABASE}?host={quote(str(self.servers.database.sockets), safe='/')}"


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def sleep_until(moment: float) -> None:
    """Of time.monotonic()."""
    time.sleep(max(0.0, moment - time.monotonic()))
