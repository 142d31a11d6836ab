"""Where the servers stand: a temp folder with its own PostgreSQL and Valkey, and processes that end with us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from bench import cpu, load
from bridge_project.up import environment, processes, programs
from bridge_project.up.postgres import ADMINISTRATOR, DATABASE

FOREIGN = ("DATABASE_URL", "REDIS_URL", "BRIDGE_HOME", "STORAGE", "DEMO", "DEBUG", "LOG_LEVEL", "DATABASE_ROLE_PREFIX",
           "DJANGO_SECRET_KEY", "BRIDGE_ENCRYPTION_KEYS", "ALLOWED_HOSTS", "EXCHANGE_BASE_URLS")  # fmt: skip
START_PATIENCE_S = 60
PREPARED_HOME = "BENCH_PREPARED_HOME"  # in the environment: a home to start from a copy of, instead of an empty one


@dataclass(slots=True)
class Server:
    """One running server."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def pids(self) -> list[int]:
        return cpu.tree(self.process.pid)


class Stage:
    """Servers for one benchmark; on leaving all of it is gone, but what stands in a ``folder`` that was named."""

    def __init__(self, *, forgetful: bool = False, folder: Path | None = None) -> None:
        self.is_kept = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="bridge-bench-"))
        given = {name: value for name, value in os.environ.items() if name not in FOREIGN and not name.startswith("PG")}
        furnish(self.folder / "home")
        variables, self.servers = environment.prepare(self.folder / "home", given, forgetful=forgetful)
        self.environ = {**given, **variables}
        self.log = self.folder / "servers.log"
        self.running: list[Server] = []

    def __enter__(self) -> Stage:
        try:
            self.servers.start()
            self.run(programs.manage("prepare_start"))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in reversed(self.running):
            self.end(server)
        self.servers.stop()
        if not self.is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command: list[str]) -> None:
        """A command to its end; on failure its output is shown."""
        done = subprocess.run(command, env=self.environ, cwd=programs.CHECKOUT, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command} failed:\n{(done.stdout + done.stderr).decode(errors='replace')[-3000:]}")

    def start(self, name: str, command: list[str], *, port: int, **variables: str) -> Server:
        """Start a server; ``await_all`` waits until it listens."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, env={**self.environ, **variables}, cwd=programs.CHECKOUT, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        server = Server(name, port, process)
        self.running.append(server)
        return server

    def await_all(self) -> None:
        """Wait until every server listens."""
        end = time.monotonic() + START_PATIENCE_S
        for server in self.running:
            while not _listens(server.port):
                if server.process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{server.name} did not start:\n{self.last_words()}")
                time.sleep(0.05)

    def end(self, server: Server) -> None:
        if server in self.running:
            self.running.remove(server)
        below = server.pids()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGTERM)
        try:
            server.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(timeout=5)
        processes.end(below, ((signal.SIGKILL, 2.0),))

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def superuser(self) -> str:
        """Where a superuser connects."""
        assert self.servers.database is not None
        return f"postgresql://{ADMINISTRATOR}@/{DATABASE}?host={quote(str(self.servers.database.sockets), safe='/')}"

    def backends(self) -> list[int]:
        assert self.servers.database is not None
        return cpu.backends(self.servers.database.pid() or 0)


def furnish(home: Path) -> None:
    """Copy what a first start makes, where somebody has made it before and says so."""
    prepared = os.environ.get(PREPARED_HOME)
    if prepared and not home.exists():
        shutil.copytree(prepared, home, ignore=shutil.ignore_patterns("run", "log"))


def python(*words: str) -> list[str]:
    return [sys.executable, *words]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((load.HOST, 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection((load.HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
