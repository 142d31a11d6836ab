#!/usr/bin/env python3
"""Tells the Trading Bridge how a bot on this host is: a process of its own beside the bot, Python 3.8 or newer, nothing to
install.

    bridge_heartbeat.py                     watches, and pings every BRIDGE_PERIOD_S seconds until it is stopped
    bridge_heartbeat.py once [SIGNAL [-]]   pings once: nothing, start, fail, log or an exit code; "-": with words from stdin
    bridge_heartbeat.py run -- COMMAND ...  runs the command, and tells its start, its life and its exit code

It never stands in the bot's way: it only reads, has no part in the bot's process, gives up on a call after
BRIDGE_TIMEOUT_S, waits longer and longer while the bridge cannot be reached (5 s to 5 min, or as long as the bridge asks),
keeps nothing to send later but the newest word, and `run` starts and ends the command whatever the network does.

Environment:
    BRIDGE_URL             https://bridge.example.com
    BRIDGE_PING_KEY        the bot's ping key, tbp_...; or BRIDGE_PING_KEY_FILE, a file that holds it
    BRIDGE_PERIOD_S        60
    BRIDGE_TIMEOUT_S       10
    BRIDGE_EXIT_WAIT_S     30: how long `run` and `once` try to tell before they give up
What `watch` looks at; all that are given must be well. With none of them only this host and its network are watched:
    BRIDGE_CONTAINER       the name of the bot's container; asked of Docker's socket
    BRIDGE_DOCKER_SOCKET   /var/run/docker.sock
    BRIDGE_PID_FILE        a file with the number of the bot's process
    BRIDGE_LOG_FILE        the bot's log, which must have grown within
    BRIDGE_LOG_SILENCE_S   900
    BRIDGE_SEND_ERRORS     1: a failure brings the log's last lines that say ERROR, without what looks like a key
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0
REFUSED_WAIT_S = 600.0  # an unknown key or a malformed call does not get better by itself
MOST_WORDS = 8_000
TAIL_BYTES = 65_536
OPAQUE = re.compile(r"[A-Za-z0-9_/+=-]*[0-9][A-Za-z0-9_/+=-]*")


class BadSettings(Exception):
    """The environment lacks something, in one sentence."""


@dataclass
class Settings:
    url: str
    key: str = field(repr=False)
    period_s: float = 60.0
    timeout_s: float = 10.0
    exit_wait_s: float = 30.0
    container: str = ""
    docker_socket: str = "/var/run/docker.sock"
    pid_file: str = ""
    log_file: str = ""
    log_silence_s: float = 900.0
    sends_errors: bool = False


@dataclass
class Said:
    """One ping: what it says, of which run, with which words."""

    signal: str = ""
    run_id: str = ""
    words: str = ""


@dataclass
class Outcome:
    is_told: bool
    wait_s: float = 0.0  # at least so long before the next try
    problem: str = ""


def read_settings(given: dict[str, str]) -> Settings:
    """Raises BadSettings."""
    url, key = given.get("BRIDGE_URL", "").rstrip("/"), given.get("BRIDGE_PING_KEY", "").strip()
    if not key and given.get("BRIDGE_PING_KEY_FILE"):
        try:
            with open(given["BRIDGE_PING_KEY_FILE"], encoding="utf-8") as file:
                key = file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"BRIDGE_PING_KEY_FILE cannot be read: {type(error).__name__}.") from None
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise BadSettings("BRIDGE_URL must be the bridge's address, such as https://bridge.example.com.")
    if not re.match(r"tbp_[a-z0-9]{10}_[A-Za-z0-9]{43}\Z", key):
        raise BadSettings("BRIDGE_PING_KEY must be the bot's ping key, tbp_..., as it was shown when it was made.")
    return Settings(
        url=url,
        key=key,
        period_s=_seconds(given, "BRIDGE_PERIOD_S", 60.0),
        timeout_s=_seconds(given, "BRIDGE_TIMEOUT_S", 10.0),
        exit_wait_s=_seconds(given, "BRIDGE_EXIT_WAIT_S", 30.0),
        container=given.get("BRIDGE_CONTAINER", ""),
        docker_socket=given.get("BRIDGE_DOCKER_SOCKET", "") or "/var/run/docker.sock",
        pid_file=given.get("BRIDGE_PID_FILE", ""),
        log_file=given.get("BRIDGE_LOG_FILE", ""),
        log_silence_s=_seconds(given, "BRIDGE_LOG_SILENCE_S", 900.0),
        sends_errors=given.get("BRIDGE_SEND_ERRORS", "") in ("1", "true", "yes"),
    )


def _seconds(given: dict[str, str], name: str, default: float) -> float:
    try:
        value = float(given.get(name) or default)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 86400:
        raise BadSettings(f"{name} must be a number of seconds from 1 to 86400.")
    return value


# Telling


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key stands in the address: it goes to the bridge and nowhere else."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def ping(settings: Settings, said: Said) -> Outcome:
    """Tell the bridge once. Never raises for what the network or the bridge does."""
    path = f"/ping/{settings.key}" + (f"/{said.signal}" if said.signal else "")
    query = "?" + urllib.parse.urlencode({"rid": said.run_id}) if said.run_id else ""
    body = said.words.encode("utf-8", errors="replace")[:MOST_WORDS]
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "bridge-heartbeat/1"}
    request = urllib.request.Request(settings.url + path + query, data=body, headers=headers, method="POST")  # noqa: S310
    try:
        with _OPENER.open(request, timeout=settings.timeout_s) as answer:
            answer.read(100)
            return Outcome(True)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error.code, error.headers.get("Retry-After", ""))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(False, problem=f"the bridge cannot be reached ({type(error).__name__})")


def _refused(status: int, retry_after: str) -> Outcome:
    wait_s = min(float(retry_after), 3600.0) if retry_after.isdigit() else 0.0
    if status in (429, 503) or status >= 500:
        return Outcome(False, wait_s, f"the bridge answered {status}")
    hint = "the ping key is unknown, revoked or its client suspended" if status == 404 else "look at BRIDGE_URL"
    return Outcome(False, REFUSED_WAIT_S, f"the bridge answered {status}: {hint}")


class Backoff:
    """How long to wait after a failure: twice as long each time, never two hosts in step."""

    def __init__(self) -> None:
        self.wait_s = FIRST_WAIT_S

    def after(self, outcome: Outcome) -> float:
        wait_s = max(self.wait_s * random.uniform(0.75, 1.25), outcome.wait_s)
        self.wait_s = min(self.wait_s * 2, LONGEST_WAIT_S)
        return wait_s


def tell_until(settings: Settings, said: Said, *, until: float) -> bool:
    """Tell the bridge, again and again until this instant of time.monotonic()."""
    backoff = Backoff()
    while True:
        outcome = ping(settings, said)
        wait_s = backoff.after(outcome)
        if outcome.is_told or time.monotonic() + wait_s > until:
            if not outcome.is_told:
                complain(outcome.problem)
            return outcome.is_told
        time.sleep(wait_s)


def complain(problem: str) -> None:
    sys.stderr.write(f"bridge_heartbeat: {problem}\n")
    sys.stderr.flush()


# Looking


@dataclass
class Look:
    """What a look found: troubles in words, the run it belongs to, and the code that it ended with."""

    troubles: list[str] = field(default_factory=list)
    run_id: str = ""
    exit_code: int | None = None


def look(settings: Settings, *, now: float) -> Look:
    """Everything that is to be watched; reads only."""
    found = Look()
    if settings.container:
        _look_at_container(settings, found)
    if settings.pid_file:
        _look_at_process(settings.pid_file, found)
    if settings.log_file:
        _look_at_log(settings, found, now=now)
    return found


class _Docker(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("docker", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _look_at_container(settings: Settings, found: Look) -> None:
    docker = _Docker(settings.docker_socket, settings.timeout_s)
    try:
        docker.request("GET", f"/containers/{urllib.parse.quote(settings.container, safe='')}/json")
        answer = docker.getresponse()
        shown = json.loads(answer.read(4_000_000))
        status, state = answer.status, shown.get("State") or {}
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        found.troubles.append(f"Docker cannot be asked ({type(error).__name__}).")
        return
    finally:
        docker.close()
    if status != 200:
        found.troubles.append(f"There is no container {settings.container} (Docker answered {status}).")
        return
    # The same container started again is another run.
    found.run_id = re.sub(r"[^A-Za-z0-9_.:-]", "", f"{shown.get('Id', '')[:12]}-{state.get('StartedAt', '')[:19]}")
    if not state.get("Running"):
        code = state.get("ExitCode")
        found.exit_code = code if isinstance(code, int) and 0 <= code <= 255 else None
        killed = ", killed for want of memory" if state.get("OOMKilled") else ""
        found.troubles.append(f"Its container is {state.get('Status', 'not running')} (exit code {code}{killed}).")


def _look_at_process(path: str, found: Look) -> None:
    try:
        with open(path, encoding="ascii") as file:
            number = int(file.read(20))
        os.kill(number, 0)
    except PermissionError:
        return  # it lives, as somebody else
    except (OSError, ValueError, OverflowError) as error:
        found.troubles.append(f"Its process is gone ({type(error).__name__}: {os.path.basename(path)}).")


def _look_at_log(settings: Settings, found: Look, *, now: float) -> None:
    try:
        silent_s = now - os.stat(settings.log_file).st_mtime
    except OSError as error:
        found.troubles.append(f"Its log cannot be read ({type(error).__name__}).")
        return
    if silent_s > settings.log_silence_s:
        found.troubles.append(f"Its log has not grown for {int(silent_s)} s.")


def last_errors(settings: Settings) -> str:
    """The newest lines that say ERROR, without words that look like keys; empty unless that was asked for."""
    if not (settings.sends_errors and settings.log_file):
        return ""
    try:
        with open(settings.log_file, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    errors = [re.sub(r"\?\S+", "?...", line)[:500] for line in lines if "ERROR" in line]
    return "\n".join(OPAQUE.sub(lambda word: "..." if len(word[0]) >= 20 else word[0], line) for line in errors[-10:])


def words_of(settings: Settings, found: Look) -> Said:
    """What a look says in a ping."""
    if not found.troubles:
        return Said(run_id=found.run_id)
    signal_word = str(found.exit_code) if found.exit_code else "fail"
    words = "\n".join([*found.troubles, last_errors(settings)]).strip()
    return Said(signal_word, found.run_id, words)


# The three ways to run


def watch(settings: Settings) -> int:
    """Look and tell, until somebody ends this process."""
    backoff, known_run, is_quiet = Backoff(), "", False
    while True:
        said = words_of(settings, look(settings, now=time.time()))
        if not said.signal and said.run_id and said.run_id != known_run:
            said.signal = "start"
        outcome = ping(settings, said)
        if outcome.is_told:
            if is_quiet:
                complain("the bridge answers again")
            backoff, is_quiet = Backoff(), False
            known_run = said.run_id or known_run
            time.sleep(settings.period_s * random.uniform(0.95, 1.0))
        else:
            if not is_quiet:  # once, not at every try
                complain(outcome.problem)
            is_quiet = True
            time.sleep(backoff.after(outcome))


def once(settings: Settings, signal_word: str, words: str) -> int:
    """0 once the bridge was told, 1 where it could not be."""
    until = time.monotonic() + settings.exit_wait_s
    return 0 if tell_until(settings, Said(signal_word, words=words), until=until) else 1


class Child:
    """The command, with this process's input and output. What is asked of this process is asked of it."""

    def __init__(self, command: list[str]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        try:
            self._process = subprocess.Popen(command)
        except OSError as error:
            complain(f"{command[0]} cannot be started ({type(error).__name__})")

    def _pass_on(self, number: int, _frame: object) -> None:
        if number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
            return  # the terminal has told it already
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code; 127 where it could not be started, 128 + the signal's number where one ended it."""
        if self._process is None:
            return 127
        code = self._process.wait()
        return 128 - code if code < 0 else min(code, 255)


def run(settings: Settings, command: list[str]) -> int:
    """The command's own exit code."""
    run_id = f"{int(time.time())}-{os.getpid()}"
    child, ended = Child(command), threading.Event()
    teller = threading.Thread(target=_tell_life, args=(settings, run_id, ended), daemon=True)
    teller.start()
    code = child.wait()
    ended.set()
    teller.join(settings.timeout_s + 1)  # else a late "it runs" could overtake the end
    tell_until(settings, Said(str(code), run_id), until=time.monotonic() + settings.exit_wait_s)
    return code


def _tell_life(settings: Settings, run_id: str, ended: threading.Event) -> None:
    """The start once, then that it runs, until it has ended."""
    said, backoff = Said("start", run_id), Backoff()
    while not ended.is_set():
        outcome = ping(settings, said)
        if outcome.is_told:
            said, backoff = Said("", run_id), Backoff()
            ended.wait(settings.period_s)
        else:
            complain(outcome.problem)
            ended.wait(backoff.after(outcome))


def main(arguments: list[str]) -> int:
    mode, rest = (arguments[0], arguments[1:]) if arguments else ("watch", [])
    command = rest[1:] if rest[:1] == ["--"] else rest
    is_once = mode == "once" and (len(rest) < 2 or (len(rest) == 2 and rest[1] == "-"))
    if not (is_once or (mode == "watch" and not rest) or (mode == "run" and command)):
        sys.stdout.write(__doc__ or "")
        return 0 if mode in ("help", "-h", "--help") else 2
    try:
        settings = read_settings(dict(os.environ))
    except BadSettings as error:
        complain(str(error))
        return Child(command).wait() if mode == "run" else 2  # the bot starts all the same
    if mode == "run":
        return run(settings, command)
    if mode == "once":
        return once(settings, rest[0] if rest else "", sys.stdin.read(MOST_WORDS) if len(rest) == 2 else "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(OSError):
        os.nice(10)  # the bot comes first
    return watch(settings)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
