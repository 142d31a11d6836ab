"""``bin/up``: everything Trading Bridge needs, in the foreground, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bridge_project.up import environment, programs
from bridge_project.up.demo import demo_environment, sandbox_command, seed_command
from bridge_project.up.output import Output
from bridge_project.up.processes import Busy, Lock, StartRefused, write_atomically
from bridge_project.up.servers import EmbeddedServers
from bridge_project.up.supervisor import Program, Supervisor, end_orphans

STOP_ORDER = (("seed",), ("web", "stream"), ("beat",), ("worker", "now", "arena"), ("sandbox",))
TERM, QUIT = signal.SIGTERM, signal.SIGQUIT
STOPPED_BY_SIGNAL = 0
WEB_FIRST_S = 6.0
TRIES = 3  # to prepare the database, where it or the broker ends meanwhile


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    output = Output()
    try:
        home = environment.home_folder()
        environment.make_home(home)
        lock = _only_one(home)
    except StartRefused as refused:
        output.say("up", str(refused))
        return 1
    try:
        return _up(options, home=home, output=output)
    except StartRefused as refused:
        output.say("up", str(refused))
        return 1
    finally:
        (home / "run" / "up.json").unlink(missing_ok=True)
        lock.release()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/up",
        description="Start Trading Bridge and stay in the foreground. Data and secrets are kept in BRIDGE_HOME.",
    )
    parser.add_argument("--demo", action="store_true", help="with a local Hummingbot and exchange, and lively data")
    parser.add_argument("--port", type=int, default=8000, help="of the web server (0: any free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for every network")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        parser.error("--port must be a number from 0 to 65535")
    return options


def _only_one(home: Path) -> Lock:
    lock = Lock(home / "run" / "up.lock")
    try:
        lock.take(wait=False)
        (home / "run" / "up.json").unlink(missing_ok=True)  # that of a bridge that was killed
    except Busy:
        try:
            seen = json.loads((home / "run" / "up.json").read_text(encoding="utf-8"))
            where = f" on {seen['url']} (process {seen['pid']})"
        except (OSError, ValueError, KeyError):
            where = ""
        raise StartRefused(
            f"Trading Bridge already runs{where} with its data in {home}. Stop that one first, or set BRIDGE_HOME to "
            "another folder for a second, separate bridge."
        ) from None
    return lock


def _up(options: argparse.Namespace, *, home: Path, output: Output) -> int:
    began = time.monotonic()
    orphans = end_orphans(home)
    if orphans:
        output.say("up", f"ended {orphans} processes that an earlier bin/up left behind")
    port = _free_port(options.host, options.port)
    url = _address(options.host, port)
    demo_port = _free_port("127.0.0.1", 0) if options.demo else 0
    stream_port = _stream_port(options.host)
    try:
        wanted = _programs(options, home=home, port=port, demo_port=demo_port, stream_port=stream_port)
    except ValueError as error:
        raise StartRefused(str(error)) from None
    variables, servers = environment.prepare(home)
    given = dict(os.environ)
    demo = demo_environment(port=demo_port, given=given) if options.demo else {}
    variables |= demo | _stream_environment(options.host, stream_port, given=given)
    note = {"pid": os.getpid(), "url": url, "environ": demo}
    write_atomically(home / "run" / "up.json", json.dumps(note))
    supervisor = Supervisor(home, environ={**given, **variables}, output=output, servers=servers)
    supervisor.listen_to_signals()
    try:
        _start_servers(servers, output=output)
        code = _prepare(supervisor, servers, url=url, output=output)
        if code or supervisor.asked_to_stop:
            return STOPPED_BY_SIGNAL if supervisor.asked_to_stop else code
        seed = seed_command(sys.executable, home=home, url=url) if options.demo else []
        ready = _Ready(options.host, port, wake=supervisor.wake)
        rest = _Rest(wanted[1:], seed=seed, demo_port=demo_port)
        supervisor.add(wanted[0])

        def turn() -> None:
            if ready.is_new():
                output.say("up", f"ready in {time.monotonic() - began:.1f} s: {url}  (Ctrl-C stops everything)")
            rest.start(supervisor, web_answers=ready.answered)

        supervisor.run(on_turn=turn)
        return STOPPED_BY_SIGNAL
    finally:
        output.say("up", "stopping")
        supervisor.stop(STOP_ORDER)
        with contextlib.suppress(StartRefused):
            if not servers.stop():
                output.say("up", "the embedded servers go on for a bin/manage that still runs")
        end_orphans(home)
        output.say("up", "stopped")


def _start_servers(servers: EmbeddedServers, *, output: Output) -> None:
    names = [server.name for server in servers.all()]
    if names:
        began = time.monotonic()
        servers.start()
        output.say("up", f"embedded {' and '.join(reversed(names))} up in {time.monotonic() - began:.1f} s")


def _prepare(supervisor: Supervisor, servers: EmbeddedServers, *, url: str, output: Output) -> int:
    """Everything that must be in the database; the exit code. Where a server was killed meanwhile, it is started again
    and all is tried again: it is safe to do twice."""
    for _ in range(TRIES):
        code = supervisor.run_to_end(_manage("start", "prepare_start", "--url", url))
        if not code or supervisor.asked_to_stop or not (gone := servers.restart_missing()):
            return code
        output.say("up", f"the {' and the '.join(gone)} had ended before the start was over; trying again")
    return code


def _programs(options: argparse.Namespace, *, home: Path, port: int, demo_port: int, stream_port: int) -> list[Program]:
    """What runs beside the servers, in the order of starting."""
    for_worker = ((TERM, 5.0), (QUIT, 2.5))
    sandbox = [Program("sandbox", sandbox_command(sys.executable, home=home, port=demo_port))] if options.demo else []
    return [
        Program("web", programs.web(host=options.host, port=port), patience=((TERM, 3.0),)),
        *sandbox,
        Program("stream", programs.stream(host=options.host, port=stream_port), patience=((TERM, 3.0),)),
        Program("worker", programs.worker(), patience=for_worker),
        Program("now", programs.now(), patience=for_worker),
        Program("arena", programs.arena(), patience=for_worker),
        Program("beat", programs.beat(home=home), patience=((TERM, 2.0),)),
    ]


def _stream_port(host: str) -> int:
    """STREAM_PORT, or any free one: browsers are sent there by the web server. Raises StartRefused."""
    text = os.environ.get("STREAM_PORT") or "0"
    if not (text.isdecimal() and int(text) <= 65535):
        raise StartRefused("STREAM_PORT must be a number from 0 to 65535.")
    return _free_port(host, int(text))


def _stream_environment(host: str, port: int, *, given: dict[str, str]) -> dict[str, str]:
    """Where browsers find the stream. On a public address only the operator knows; without it pages ask again and again."""
    if given.get("STREAM_PUBLIC_URL") or _reachable(host) != host:
        return {}
    return {"STREAM_PUBLIC_URL": _address(host, port)}


def _manage(name: str, *words: str) -> Program:
    return Program(name, programs.manage(*words), once=True)


class _Rest:
    """What starts once the web process answers, so that a person sees a page before the workers take the processors."""

    def __init__(self, programs: list[Program], *, seed: list[str], demo_port: int) -> None:
        self._programs, self._seed, self._demo_port = programs, seed, demo_port
        self._give_up_at = time.monotonic() + WEB_FIRST_S

    def start(self, supervisor: Supervisor, *, web_answers: bool) -> None:
        if self._programs and (web_answers or time.monotonic() > self._give_up_at):
            for program in self._programs:
                supervisor.add(program)
            self._programs = []
        if self._seed and web_answers and _listens(self._demo_port):
            supervisor.add(Program("seed", self._seed, once=True))
            self._seed = []


class _Ready:
    """Asks the web process for /health from a thread of its own until it answers 200."""

    def __init__(self, host: str, port: int, *, wake: Callable[[], None]) -> None:
        self._host, self._port = _reachable(host), port
        self._wake = wake
        self._answered = threading.Event()
        self._told = False
        threading.Thread(target=self._ask, daemon=True).start()

    @property
    def answered(self) -> bool:
        return self._answered.is_set()

    def is_new(self) -> bool:
        """True once, when the first answer came."""
        first = self.answered and not self._told
        self._told = self._told or first
        return first

    def _ask(self) -> None:
        while not self._answered.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                asked = http.client.HTTPConnection(self._host, self._port, timeout=10)
                asked.request("GET", "/health")
                if asked.getresponse().status == 200:
                    self._answered.set()
                    self._wake()
                asked.close()
            self._answered.wait(0.05)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free_port(host: str, port: int) -> int:
    """The port when it is free (any free one for 0). Raises StartRefused."""
    for attempt in range(10):
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
                return int(probe.getsockname()[1])
        except socket.gaierror:
            raise StartRefused(f"--host {host} is no address of this machine.") from None
        except PermissionError:
            raise StartRefused(
                f"Port {port} may not be used by this user; choose one from 1024: bin/up --port 8000."
            ) from None
        except OSError as error:
            if attempt == 9:
                hint = f"choose another: bin/up --port {port + 1 if port < 65535 else 8000}"
                raise StartRefused(f"Port {port} on {host} cannot be used ({error.strerror}); {hint}.") from None
            time.sleep(0.1)
    raise AssertionError


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (compared, not bound)


def _address(host: str, port: int) -> str:
    host = _reachable(host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
