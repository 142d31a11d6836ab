"""Runs programs in the foreground: starts them, restarts what dies, forwards what they say, stops them in order."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bridge_project.up import processes
from bridge_project.up.output import Lines, Output
from bridge_project.up.processes import MARK, PidFile, StartRefused
from bridge_project.up.servers import EmbeddedServers

# Celery warns root at length; bin/up is made to run as root where people do.
AS_ROOT = "ignore:You're running the worker with superuser"
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
HEALTHY_AFTER_S = 60.0
# However many hang: what is not gone by then is killed, and the servers need the rest of the twenty seconds.
STOP_WITHIN_S = 11.0
SERVERS_EVERY_S = 2.0
Patience = tuple[tuple[signal.Signals, float], ...]


@dataclass(frozen=True)
class Program:
    """What to run, and how to end it: signals, each with the seconds it gets."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = ((signal.SIGTERM, 3.0),)
    once: bool = False


class Child:
    """One program and its process, when it has one."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe: IO[bytes] | None = None
        self.lines = Lines()
        self.started_at = 0.0
        self.due_at = 0.0
        self.backoff_s = FIRST_BACKOFF_S

    @property
    def name(self) -> str:
        return self.program.name

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Holds the children of one BRIDGE_HOME. Everything happens in the calling thread."""

    def __init__(self, home: Path, *, environ: Mapping[str, str], output: Output, servers: EmbeddedServers) -> None:
        self.environ = {**environ, MARK: str(home), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": AS_ROOT}
        self.output = output
        self.servers = servers
        self.children: list[Child] = []
        self.asked_to_stop = 0
        self._patience_ends_at = float("inf")
        self._notes = home / "run" / "children"
        self._notes.mkdir(exist_ok=True)
        self._selector = selectors.DefaultSelector()
        self._servers_due_at = 0.0
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def listen_to_signals(self) -> None:
        """Ctrl-C, SIGTERM and a closed terminal ask for a stop; asked twice, nobody gets patience any more."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def wake(self) -> None:
        """Make the loop look at its children now (safe from another thread)."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")

    def _on_signal(self, number: int, _frame: object) -> None:
        self.asked_to_stop += 1

    # -- running ------------------------------------------------------------------------------------------------------
    def add(self, program: Program) -> Child:
        child = Child(program)
        self.children.append(child)
        self._start(child)
        return child

    def run_to_end(self, program: Program) -> int:
        """Run one program before the others; returns its exit code (or -1 when we were asked to stop)."""
        child = self.add(program)
        while child.is_running() and not self.asked_to_stop:
            self._pump(0.5)
        if child.is_running():
            self._stop_together([child])
            return -1
        self._after_end(child)
        self.children.remove(child)
        return child.process.returncode if child.process else 1

    def run(self, *, on_turn: Callable[[], None]) -> None:
        """Keep everything running until we are asked to stop."""
        while not self.asked_to_stop:
            self._pump(0.5)
            for child in list(self.children):
                self._look_after(child)
            self._look_after_servers()
            on_turn()

    def _start(self, child: Child) -> None:
        program = child.program
        child.lines = Lines()
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            program.command, env={**self.environ, **program.environ}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        PidFile(self._notes / f"{child.name}.pid").write(child.process.pid)
        child.pipe = child.process.stdout
        if child.pipe:
            os.set_blocking(child.pipe.fileno(), False)
            self._selector.register(child.pipe, selectors.EVENT_READ, child)

    def _look_after(self, child: Child) -> None:
        if child.is_running():
            return
        if child.process is not None:
            code = child.process.returncode
            self._after_end(child)
            if child.program.once:
                self.children.remove(child)
                if code:
                    self.output.say("up", f"{child.name} ended with {_described(code)}")
                return
            if time.monotonic() - child.started_at > HEALTHY_AFTER_S:
                child.backoff_s = FIRST_BACKOFF_S
            self.output.say(
                "up", f"{child.name} ended with {_described(code)}; starting it again in {child.backoff_s:g} s"
            )
            child.due_at = time.monotonic() + child.backoff_s
            child.backoff_s = min(child.backoff_s * 2, LONGEST_BACKOFF_S)
            child.process = None
        elif time.monotonic() >= child.due_at:
            self._start(child)

    def _look_after_servers(self) -> None:
        now = time.monotonic()
        if now < self._servers_due_at:
            return
        self._servers_due_at = now + SERVERS_EVERY_S
        try:
            for name in self.servers.restart_missing():
                self.output.say("up", f"the {name} had ended; it runs again")
        except (StartRefused, OSError) as error:
            self._servers_due_at = now + 10
            self.output.say("up", f"{error} Trying again in 10 s.")

    def _after_end(self, child: Child) -> None:
        """The last words, and the end of whatever it left in its session."""
        if child.process is None:
            return
        processes.send(child.process.pid, signal.SIGKILL, group=True)
        self._read(child)
        for line in child.lines.end():
            self.output.line(child.name, line)
        self._close(child)
        PidFile(self._notes / f"{child.name}.pid").remove()

    # -- stopping -----------------------------------------------------------------------------------------------------
    def stop(self, order: Iterable[Sequence[str]]) -> None:
        """End the named children group by group, then everybody else's leavings. The servers are the caller's."""
        self._patience_ends_at = time.monotonic() + STOP_WITHIN_S
        for names in order:
            self._stop_together([child for child in self.children if child.name in names])
        self._stop_together(list(self.children))

    def _stop_together(self, children: Sequence[Child]) -> None:
        running = [child for child in children if child.is_running()]
        steps = max((child.program.patience for child in running), key=len, default=())
        for number, patience_s in steps:
            for child in running:
                if child.is_running() and child.process:
                    processes.send(child.process.pid, number)
            self._await(running, patience_s)
        for child in running:
            if child.is_running() and child.process:
                self.output.say("up", f"{child.name} does not stop by itself; killed")
                processes.send(child.process.pid, signal.SIGKILL, group=True)
        self._await(running, 2.0, hurry=False)
        for child in children:
            self._after_end(child)
            self.children.remove(child)

    def _await(self, children: Sequence[Child], patience_s: float, *, hurry: bool = True) -> None:
        end = time.monotonic() + patience_s
        if hurry:
            end = min(end, self._patience_ends_at)
        while any(child.is_running() for child in children) and time.monotonic() < end:
            if hurry and self.asked_to_stop > 1:
                return
            self._pump(0.1)

    # -- forwarding ---------------------------------------------------------------------------------------------------
    def _pump(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._read(key.data)

    def _read(self, child: Child) -> None:
        while child.pipe:
            try:
                data = os.read(child.pipe.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                self._close(child)
                return
            for line in child.lines.feed(data):
                self.output.line(child.name, line)

    def _close(self, child: Child) -> None:
        if child.pipe:
            self._selector.unregister(child.pipe)
            child.pipe.close()
            child.pipe = None


def end_orphans(home: Path) -> int:
    """End what an earlier supervisor of this BRIDGE_HOME left behind when it was killed; returns how many."""
    notes = [PidFile(path).pid() for path in (home / "run" / "children").glob("*.pid")]
    found = {pid for pid in notes if pid} | set(processes.marked(home))
    left = processes.end(found, ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)))
    # Those that started others while they ended.
    processes.end([*left, *processes.marked(home)], ((signal.SIGKILL, 3.0),))
    for path in (home / "run" / "children").glob("*.pid"):
        path.unlink(missing_ok=True)
    return len(found)


def _described(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
