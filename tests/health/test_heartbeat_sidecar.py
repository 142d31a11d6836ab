"""The sidecar as a real process against a real server: what it tells, and that nothing holds up the bot."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from zoneinfo import ZoneInfo

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections

from bridge_project.keyed import KeyedHandler, is_keyed
from health.models import HeartbeatLog
from tests.fixtures import Cast
from tests.health.conftest import health_of

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "sidecar" / "bridge_heartbeat.py"
PATIENCE_S = 30


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@contextlib.contextmanager
def serving(port: int = 0) -> Iterator[str]:
    """The product on loopback, each request the way it goes in production; gives its address."""
    ways = {True: KeyedHandler(), False: get_wsgi_application()}

    def serve(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        answer = ways[is_keyed(environ)](environ, start_response)
        yield from answer
        answer.close()

    server = make_server("127.0.0.1", port, serve, handler_class=_Quiet)
    thread = threading.Thread(target=lambda: (server.serve_forever(poll_interval=0.05), connections.close_all()))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def address(cast: Cast) -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def sidecar() -> ModuleType:
    """The script as a module, for what needs no process."""
    spec = importlib.util.spec_from_file_location("bridge_heartbeat", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["bridge_heartbeat"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def environment(cast: Cast, url: str, **more: str) -> dict[str, str]:
    given = {"PATH": os.environ["PATH"], "BRIDGE_URL": url, "BRIDGE_PING_KEY": cast.acme_bot_pings.key or ""}
    return given | {"BRIDGE_PERIOD_S": "1", "BRIDGE_TIMEOUT_S": "5", "BRIDGE_EXIT_WAIT_S": "1"} | more


def call(cast: Cast, url: str, *arguments: str, words: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    given = environment(cast, url, **more)
    return subprocess.run(command, env=given, input=words, capture_output=True, text=True, timeout=60, check=False)


@contextlib.contextmanager
def running(cast: Cast, url: str, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SCRIPT), *arguments]
    with subprocess.Popen(
        command, env=environment(cast, url, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"heard so far: {[(line.kind, line.body) for line in heard()]}"
        time.sleep(0.05)
    return found


def heard() -> list[HeartbeatLog]:
    return list(HeartbeatLog.objects.order_by("id"))


def test_curl_sets_a_cron_plan_and_joins_a_runs_start_with_its_end(cast: Cast, address: str):
    """Everything over a socket, with the means of a crontab."""

    def curl(*arguments: str) -> str:
        done = subprocess.run(["curl", "-sS", "-m", "20", *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    plan = json.dumps({"cron": "0 3 * * *", "timezone": "Europe/Berlin", "grace_s": 900})
    login = ["-H", f"Authorization: Bearer {cast.acme_manages.key}", "-H", "Content-Type: application/json"]
    given = json.loads(curl(*login, "-X", "PUT", "-d", plan, f"{address}/bots/{cast.acme_bot}/heartbeat-plan"))
    assert (given["cron"], given["timezone"], given["overdue_at"]) == ("0 3 * * *", "Europe/Berlin", None)
    ping = f"{address}/ping/{cast.acme_bot_pings.key}"
    assert [curl(f"{ping}/start?rid=7"), curl("--data-binary", "disk full", f"{ping}/3?rid=7")] == ["OK", "OK"]
    start, end = heard()
    assert (start.kind, start.run_id, end.run_id, end.exit_code, end.body) == ("start", "7", "7", 3, "disk full")
    assert end.duration_ms is not None
    planned = json.loads(curl(*login, f"{address}/bots/{cast.acme_bot}/heartbeat-plan"))
    by_the_wall = datetime.fromisoformat(planned["next_at"]).astimezone(ZoneInfo("Europe/Berlin"))
    assert (by_the_wall.hour, by_the_wall.minute) == (3, 0) and by_the_wall > end.received_at
    overdue = datetime.fromisoformat(planned["overdue_at"]) - datetime.fromisoformat(planned["next_at"])
    assert overdue == timedelta(minutes=15)
    assert "exit code 3" in health_of(cast.acme_bot).heartbeat_detail


def test_runs_on_python_3_8_with_nothing_installed():
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
    imported = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported <= set(sys.stdlib_module_names)


def test_pings_once_with_words(cast: Cast, address: str):
    assert call(cast, address, "once").returncode == 0
    assert call(cast, address, "once", "log", "-", words="spread is wide, ü").returncode == 0
    assert call(cast, address, "once", "4").returncode == 0
    assert [(line.kind, line.exit_code, line.body) for line in heard()] == [
        ("success", None, ""), ("log", None, "spread is wide, ü"), ("fail", 4, ""),
    ]  # fmt: skip
    assert health_of(cast.acme_bot).heartbeat_status == "error"


def test_says_what_is_wrong_and_never_the_key(cast: Cast, address: str):
    key = cast.acme_bot_pings.key or ""
    unknown = key[:-1] + ("a" if key[-1] != "a" else "b")
    for more, sentence in (
        ({"BRIDGE_PING_KEY": unknown}, "404: the ping key is unknown"),
        ({"BRIDGE_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"BRIDGE_URL": "bridge.example"}, "BRIDGE_URL must be"),
        ({"BRIDGE_PING_KEY": "tbc_aaaaaaaaaa_" + "a" * 43}, "BRIDGE_PING_KEY must be"),
        ({"BRIDGE_PING_KEY": "", "BRIDGE_PING_KEY_FILE": "/none/such"}, "BRIDGE_PING_KEY_FILE cannot be read"),
        ({"BRIDGE_PERIOD_S": "soon"}, "BRIDGE_PERIOD_S must be"),
    ):
        done = call(cast, address, "once", **more)
        assert done.returncode in (1, 2) and sentence in done.stderr, more
        assert key[15:-1] not in done.stdout + done.stderr
    assert not heard()


def test_tells_start_life_and_exit_code_of_the_command_it_runs(cast: Cast, address: str):
    done = call(
        cast, address, "run", "--", sys.executable, "-c", "import time; print('traded'); time.sleep(2.5); exit(3)"
    )
    assert (done.returncode, done.stdout) == (3, "traded\n"), "code and output are the command's own"
    lines = heard()
    assert [line.kind for line in lines[:2]] == ["start", "success"]
    assert (lines[-1].kind, lines[-1].exit_code) == ("fail", 3) and lines[-1].duration_ms >= 2000
    assert len({line.run_id for line in lines}) == 1 and lines[0].run_id
    assert f"run {lines[0].run_id} ended with exit code 3" in health_of(cast.acme_bot).heartbeat_detail


@pytest.mark.parametrize("bridge", ["hangs", "is away", "is not configured"])
def test_runs_the_command_whatever_the_bridge_does(cast: Cast, bridge: str, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = {"hangs": f"http://127.0.0.1:{silent.getsockname()[1]}", "is away": "http://127.0.0.1:9"}.get(bridge, "")
        command = ["sh", "-c", f"echo traded > {tmp_path}/trade; exit 5"]
        done = call(cast, url, "run", "--", *command, BRIDGE_TIMEOUT_S="1")
    assert (tmp_path / "trade").read_text() == "traded\n"
    assert done.returncode == 5 and "bridge_heartbeat: " in done.stderr


def test_passes_a_signal_on_to_the_command_and_tells_how_it_ended(cast: Cast, address: str):
    script = (
        "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(9))\nprint('up', flush=True)\ntime.sleep(60)"
    )
    with running(cast, address, "run", "--", sys.executable, "-c", script) as process:
        assert process.stdout and process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 9
    assert heard()[-1].exit_code == 9
    done = call(cast, address, "run", "--", "sh", "-c", "kill -9 $$")
    assert (done.returncode, heard()[-1].exit_code) == (137, 137)
    assert call(cast, address, "run", "--", "/none/such").returncode == 127


class _Docker(socketserver.ThreadingUnixStreamServer):
    """As much of Docker's socket as is asked: one container, in whatever state a test says."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.state: dict[str, Any] | None = {
            "Status": "running",
            "Running": True,
            "StartedAt": "2026-11-21T12:00:00.1Z",
        }
        super().__init__(path, _DockerAnswer)


class _DockerAnswer(BaseHTTPRequestHandler):
    server: _Docker

    def do_GET(self) -> None:
        found = self.server.state is not None and self.path == "/containers/tb-maker/json"
        body = json.dumps({"Id": "4fc0ffee" * 8, "State": self.server.state} if found else {"message": "none"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "docker"

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def docker() -> Iterator[_Docker]:
    with tempfile.TemporaryDirectory() as folder, _Docker(f"{folder}/d.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_watches_a_container_through_its_death_and_its_next_run(cast: Cast, address: str, docker: _Docker):
    where = {"BRIDGE_CONTAINER": "tb-maker", "BRIDGE_DOCKER_SOCKET": str(docker.server_address)}
    with running(cast, address, "watch", **where):
        wait_until(lambda: len(heard()) >= 2)
        first = heard()[0].run_id
        assert [line.kind for line in heard()[:2]] == ["start", "success"]
        assert first == "4fc0ffee4fc0-2026-11-21T12:00:00"
        died = {"Status": "exited", "Running": False, "ExitCode": 137, "OOMKilled": True}
        docker.state = {**died, "StartedAt": "2026-11-21T12:00:00.1Z"}
        last = wait_until(lambda: [line for line in heard() if line.kind == "fail"])[0]
        assert (last.exit_code, last.run_id) == (137, first)
        assert last.body == "Its container is exited (exit code 137, killed for want of memory)."
        assert health_of(cast.acme_bot).heartbeat_status == "error"
        docker.state = {"Status": "running", "Running": True, "StartedAt": "2026-11-21T13:00:00Z"}
        again = wait_until(lambda: [line for line in heard() if line.kind == "start" and line.run_id != first])
        assert again[0].run_id == "4fc0ffee4fc0-2026-11-21T13:00:00"
        docker.state = None
        gone = wait_until(lambda: [line for line in heard() if "There is no container tb-maker" in line.body])
        assert (gone[0].kind, gone[0].exit_code) == ("fail", None)


def test_goes_on_by_itself_when_the_bridge_comes_back(cast: Cast):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running(cast, f"http://127.0.0.1:{port}", "watch") as process:
        assert process.stderr and "cannot be reached" in process.stderr.readline()
        with serving(port):
            wait_until(heard)
            assert "answers again" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


def test_tells_a_silent_log_and_a_dead_process_and_only_harmless_words_of_it(sidecar: ModuleType, tmp_path: Path):
    log, pid = tmp_path / "logs_maker.log", tmp_path / "maker.pid"
    secret = "Zk3v9QxT7bLw2HnR8cYp4MdS"
    log.write_text(f"INFO fine\nERROR GET https://x.example/order?signature={secret} failed for {secret}\n")
    pid.write_text(f"{os.getpid()}\n")
    given = {"BRIDGE_URL": "http://x", "BRIDGE_PING_KEY": "tbp_" + "a" * 10 + "_" + "b" * 43, "BRIDGE_SEND_ERRORS": "1"}
    settings = sidecar.read_settings(given | {"BRIDGE_LOG_FILE": str(log), "BRIDGE_PID_FILE": str(pid)})
    written = log.stat().st_mtime
    assert sidecar.look(settings, now=written + 899).troubles == []
    assert sidecar.words_of(settings, sidecar.look(settings, now=written + 1)).signal == ""
    with subprocess.Popen(["true"]) as gone:
        pid.write_text(str(gone.pid))
    said = sidecar.words_of(settings, sidecar.look(settings, now=written + 901))
    assert said.signal == "fail" and secret not in said.words
    assert said.words.splitlines() == [
        "Its process is gone (ProcessLookupError: maker.pid).",
        "Its log has not grown for 901 s.",
        "ERROR GET https://x.example/order?... failed for ...",
    ]
    log.unlink()
    assert sidecar.look(settings, now=written).troubles[-1] == "Its log cannot be read (FileNotFoundError)."


def test_waits_longer_each_time_and_as_long_as_the_bridge_asks(sidecar: ModuleType):
    backoff, lost = sidecar.Backoff(), sidecar.Outcome(False)
    waits = [backoff.after(lost) for _ in range(12)]
    assert 3 < waits[0] < 7 and all(0.75 * 300 <= wait <= 1.25 * 300 for wait in waits[-4:])
    assert sidecar.Backoff().after(sidecar._refused(429, "90")) == 90
    assert sidecar.Backoff().after(sidecar._refused(503, "nonsense")) < 7
    assert sidecar.Backoff().after(sidecar._refused(404, "")) == 600


def test_takes_its_key_nowhere_else(cast: Cast):
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        done = call(cast, f"http://127.0.0.1:{server.server_port}", "once")
        server.shutdown()
        thread.join()
    assert done.returncode == 1 and "302" in done.stderr
    assert asked == [f"/ping/{cast.acme_bot_pings.key}"]


def test_comes_with_a_unit_that_starts_it():
    unit = (SCRIPT.parent / "bridge-heartbeat@.service").read_text()
    assert f"/{SCRIPT.name}\n" in unit and "Restart=always" in unit and "Nice=10" in unit
