"""Processes that outlive whoever started them: known again by pid and start time, ended politely, never mistaken."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil

# In the environment of every process that bin/up starts; its value is the BRIDGE_HOME it works for.
MARK = "BRIDGE_SUPERVISED"


class StartRefused(Exception):
    """The start cannot go on; the message is one sentence (or a few) that tells the operator what to do."""


class Busy(StartRefused):
    """Somebody else holds the lock."""


def fingerprint(pid: int) -> str | None:
    """What tells this process from a later one with the same id, or None when there is none (or only a zombie)."""
    if sys.platform.startswith("linux"):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
            return None if fields[0] in "ZX" else f"{_boot_id()}:{fields[19]}"
        except (OSError, IndexError):
            return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "boot"


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace the file by rename, so that a reader sees the old or the new text, never a part."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, mode)
        file.write(text)
        file.flush()
        os.fsync(handle)
    new.replace(path)


class PidFile:
    """Remembers one process across our own death."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, pid: int) -> None:
        write_atomically(self.path, json.dumps({"pid": pid, "fingerprint": fingerprint(pid)}))

    def pid(self) -> int | None:
        """The process's id while that very process lives."""
        try:
            seen = json.loads(self.path.read_text(encoding="utf-8"))
            pid, known = int(seen["pid"]), seen["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return pid if known and fingerprint(pid) == known else None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def wait_until(done: Callable[[], object], *, timeout_s: float, every_s: float = 0.02) -> bool:
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)
    return True


def is_gone(pid: int) -> bool:
    """True when the process ended; a child of ours is reaped on the way."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
    return fingerprint(pid) is None


def send(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def end(pids: Iterable[int], steps: Iterable[tuple[signal.Signals, float]]) -> list[int]:
    """Send each step's signal to those still there and wait its seconds; returns the ids that would not go."""
    left = [pid for pid in pids if not is_gone(pid)]
    for number, patience_s in steps:
        for pid in left:
            send(pid, number)
        end_at = time.monotonic() + patience_s
        while left and time.monotonic() < end_at:
            time.sleep(0.02)
            left = [pid for pid in left if not is_gone(pid)]
    return left


def marked(home: Path) -> list[int]:
    """Every process of ours that a bin/up of this BRIDGE_HOME started, by the mark in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(home):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


class Lock:
    """A file lock that ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def take(self, *, shared: bool = False, wait: bool = True) -> None:
        """Raises Busy when it may not wait and somebody else holds it. Taking again changes shared to not shared."""
        if self._handle is None:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy(f"{self.path} is held by another process.") from None

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self.take()
        try:
            yield
        finally:
            self.release()
