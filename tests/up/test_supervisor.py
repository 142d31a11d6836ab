from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge_project.up import processes
from bridge_project.up.output import Output
from bridge_project.up.processes import MARK, PidFile
from bridge_project.up.servers import EmbeddedServers
from bridge_project.up.supervisor import Program, Supervisor, end_orphans

STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "for n in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT): signal.signal(n, lambda *_: print('no', flush=True))\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print('child', child.pid, flush=True)\n"
    "while True: time.sleep(1)\n"
)


class Stage:
    """A supervisor without servers whose output can be read."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._log = home / "output"
        self._handle = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        servers = EmbeddedServers(home, database=False, broker=False)
        self.supervisor = Supervisor(home, environ=dict(os.environ), output=Output(self._handle), servers=servers)

    def text(self) -> str:
        return self._log.read_text()

    def run_until(self, done: Callable[[], bool], *, timeout_s: float = 20) -> None:
        end = time.monotonic() + timeout_s

        def turn() -> None:
            if done() or time.monotonic() > end:
                self.supervisor.asked_to_stop = 1

        self.supervisor.run(on_turn=turn)
        assert done(), self.text()

    def end(self) -> None:
        self.supervisor.asked_to_stop = 2
        self.supervisor.stop(())
        os.close(self._handle)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.end()


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_forwards_every_line_behind_the_name_of_its_process(stage: Stage) -> None:
    code = stage.supervisor.run_to_end(Program("talker", python("print('one'); print('two', end='')"), once=True))
    assert code == 0
    assert stage.text() == "talker   | one\ntalker   | two\n"


def test_starts_again_what_died_and_says_how(stage: Stage) -> None:
    stage.supervisor.add(Program("web", python("import os; print('began', flush=True); os.kill(os.getpid(), 9)")))
    stage.run_until(lambda: stage.text().count("began") >= 2)
    assert "web ended with SIGKILL; starting it again in 0.5 s" in stage.text()


def test_kills_a_worker_that_hangs_together_with_its_children(stage: Stage) -> None:
    patience = ((signal.SIGTERM, 0.3), (signal.SIGQUIT, 0.3))
    stage.supervisor.add(Program("worker", python(STUBBORN), patience=patience))
    stage.run_until(lambda: "child" in stage.text())
    grandchild = int(stage.text().split("child")[1].split()[0])
    stage.supervisor.asked_to_stop = 1
    stage.supervisor.stop((("worker",),))
    assert "worker does not stop by itself; killed" in stage.text()
    assert stage.text().count("no\n") == 2
    assert processes.wait_until(lambda: processes.fingerprint(grandchild) is None, timeout_s=5)


def test_stops_groups_in_the_given_order(stage: Stage) -> None:
    say = (
        "import signal, sys, time\n"
        "signal.signal(15, lambda *_: (print('bye', flush=True), sys.exit()))\n"
        "print('hi', flush=True); time.sleep(60)"
    )
    for name in ("worker", "web"):
        stage.supervisor.add(Program(name, python(say)))
    stage.run_until(lambda: stage.text().count("hi") == 2)
    stage.supervisor.asked_to_stop = 1
    stage.supervisor.stop((("web",), ("worker",)))
    assert [line.split()[0] for line in stage.text().splitlines() if line.endswith("bye")] == ["web", "worker"]


def test_a_new_start_ends_what_a_killed_supervisor_left_and_no_stranger(tmp_path: Path) -> None:
    notes = tmp_path / "run" / "children"
    notes.mkdir(parents=True)
    sleep = python("import time; time.sleep(60)")
    known = subprocess.Popen(sleep, start_new_session=True)
    marked = subprocess.Popen(sleep, start_new_session=True, env={**os.environ, MARK: str(tmp_path)})
    strangers = [
        subprocess.Popen(sleep, start_new_session=True, env={**os.environ, MARK: str(tmp_path / "other")}),
        subprocess.Popen(sleep, start_new_session=True),
    ]
    PidFile(notes / "web.pid").write(known.pid)
    # The id of a process that ended and was given to somebody else.
    (notes / "worker.pid").write_text(f'{{"pid": {strangers[1].pid}, "fingerprint": "an earlier one"}}')
    try:
        assert end_orphans(tmp_path) == 2
        assert processes.is_gone(known.pid)
        assert processes.is_gone(marked.pid)
        assert [stranger.poll() for stranger in strangers] == [None, None]
    finally:
        for process in (known, marked, *strangers):
            process.kill()
            process.wait()
