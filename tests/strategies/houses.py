"""The product as it is run in earnest, beside a sandbox: under ``bin/up``, and as a platform runs the Procfile."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from bench import cpu
from bench.chaos_house import House
from bench.stage import free_port
from bridge_project.up import environment, processes
from bridge_project.up.programs import CHECKOUT

PATIENCE_S = 180
GREPPED = re.compile(r"Saved strategy: \S+ \(\w+\)|Restoring \d+ strategies|Restored strategy: \S+ \(\w+\)")
SYMBOL, EXCHANGE = "BTCUSDT", "binance"
DEPLOYS = "/calls?system=hummingbot&method=POST&path=/bot-orchestration/deploy-v2-controllers"


class Desk(House):
    """What both have in common: a desk with a key, its strategy, and looks at what became of it."""

    def add_desk(self) -> None:
        key = {"exchange": EXCHANGE, "account": "desk", "api_key": "k" * 24, "secret": "secret"}
        assert self.control("POST", "/keys", key) is not None
        connectors = [{"name": EXCHANGE, "api_key": key["api_key"], "api_secret": "secret"}]
        client = {"name": "Desk", "account_identifier": "desk", "wallets": [], "connectors": connectors}
        self.ask("POST", "/clients/create", client)

    def start_strategy(self, symbol: str = SYMBOL) -> dict[str, Any]:
        """As the old dashboard asks for it."""
        return self.ask("POST", "/api/live-strategy/start", {"symbol": symbol, "mode": "scalp"})

    def stop_strategy(self, symbol: str = SYMBOL) -> dict[str, Any]:
        return self.ask("POST", "/api/live-strategy/stop", {"symbol": symbol})

    def status(self, symbol: str = SYMBOL) -> dict[str, Any]:
        return self.ask("GET", f"/api/live-strategy/status?symbol={symbol}")

    def history(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/api/live-strategy/history")["history"]
        return found

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.call(method, path, body)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        told: dict[str, Any] = answer.json()
        return told

    def rows(self, statement: str) -> list[list[Any]]:
        with psycopg.connect(self.superuser()) as database:
            return [list(row) for row in database.execute(statement).fetchall()]  # type: ignore[call-overload]

    def running(self) -> list[str]:
        """Names of the containers that run at Hummingbot."""
        return sorted(one["name"] for one in self.containers() or [] if one["container"] == "running")

    def deploys(self) -> int:
        """How often Hummingbot was told to deploy."""
        return len(self.control("GET", DEPLOYS))

    def wait_for(self, what: str, condition: Callable[[], Any]) -> None:
        found = processes.wait_until(condition, timeout_s=PATIENCE_S, every_s=0.2)
        assert found, f"Waited in vain for: {what}\n{self.last_words()}"

    def confirmed(self, symbol: str = SYMBOL) -> bool:
        status = self.status(symbol)
        return bool(status["running"] and status["bot_status"] == "running")


class Local(Desk):
    """``bin/up`` with a BRIDGE_HOME of its own."""

    def restart(self) -> None:
        """As Ctrl-C and ``bin/up`` again; in between nothing of it runs, the servers neither."""
        assert self.up is not None
        self.up.send_signal(signal.SIGTERM)
        assert self.up.wait(60) == 0
        assert self.servers.stop(), "nobody else uses the servers"
        assert processes.marked(self.home) == []
        _, self.servers = environment.prepare(self.home, {})
        self.start_up()

    def said(self, *, after: int = 0) -> list[list[str]]:
        """[process, line] of what people grep for, beyond so many characters of the log."""
        found = (
            re.match(r"(\w+) +\| .*?(" + GREPPED.pattern + ")", line) for line in self.words()[after:].splitlines()
        )
        return [[match[1], match[2]] for match in found if match]

    def words(self) -> str:
        return self.log.read_text(errors="replace")


class Platform(Desk):
    """The Procfile's processes, each by itself, from a copy of the code that goes with the next deployment.

    PostgreSQL and the broker are the platform's, as the secrets and addresses in the environment are: they outlive it.
    """

    def __init__(self) -> None:
        super().__init__()
        assert self.servers.database and self.servers.broker
        self.environ = {name: value for name, value in self.environ.items() if name != "BRIDGE_HOME"} | {
            **json.loads((self.home / "secrets.json").read_text()), "DATABASE_URL": self.servers.database.url,
            "REDIS_URL": self.servers.broker.url, "HOST": "127.0.0.1", "PORT": str(self.port), "PUBLIC_URL": self.url,
            "WEB_WORKERS": "1",
        }  # fmt: skip
        self.stream_port = free_port()  # a platform gives each service its own
        self.release, self.code = 0, self.folder
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_bridge()
        self.servers.stop()
        super().__exit__(kind, error, trace)

    def start_up(self) -> None:
        """The next deployment. Nothing of the one before is left, its disk neither."""
        if not self.release:
            self.servers.start()
        self.kill_bridge()
        if self.release:
            shutil.rmtree(self.code)
        self.release += 1
        self.code = self.folder / f"release-{self.release}"
        shutil.copytree(CHECKOUT, self.code, ignore=shutil.ignore_patterns(".*", "*.pyc.*", "tests"))
        assert self.run_process("release").wait(PATIENCE_S) == 0, self.last_words()
        for name in self.lasting():
            self.children[name] = self.run_process(name)
        self.wait_for("the web process", self.answers)

    def kill_bridge(self) -> None:
        """kill -9 of all its processes; the platform's servers go on."""
        for pid in self.pids():
            processes.send(pid, signal.SIGKILL)
        for child in self.children.values():
            child.wait(30)
        self.children.clear()

    def pids(self) -> list[int]:
        return [pid for child in self.children.values() for pid in cpu.tree(child.pid)]

    def commands(self) -> dict[str, list[str]]:
        lines = (CHECKOUT / "Procfile").read_text().splitlines()
        words = {name: shlex.split(command) for name, _, command in (line.partition(":") for line in lines)}
        assert all(command[0] == "python" for command in words.values())
        return {name: [sys.executable, *command[1:]] for name, command in words.items()}

    def lasting(self) -> list[str]:
        """The processes that a deployment keeps up, by name."""
        return sorted(name for name in self.commands() if name != "release")

    def run_process(self, name: str, *, without: str = "") -> subprocess.Popen[bytes]:
        environ = {variable: value for variable, value in self.environ.items() if variable != without}
        if name == "stream":
            environ["PORT"] = str(self.stream_port)
        with self.log_of(name).open("ab") as log:
            return subprocess.Popen(
                self.commands()[name], cwd=self.code, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def log_of(self, name: str) -> Path:
        return self.folder / f"{self.release}-{name}.log"

    def said(self) -> list[list[str]]:
        """[process, line] of what people grep for in this deployment's logs."""
        texts = {name: self.log_of(name).read_text(errors="replace") for name in self.commands()}
        return [[name, line] for name, text in texts.items() for line in GREPPED.findall(text)]

    def last_words(self) -> str:
        texts = [path.read_text(errors="replace")[-1500:] for path in sorted(self.folder.glob("*.log"))]
        return "\n".join([super().last_words()[-1500:], *texts])
