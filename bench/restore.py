"""``bin/bench restore``: 1,000 strategies come back after everything was killed; from Hummingbot's answer to the last confirmed.

Web aside, the product's own processes do the work: worker, beat, database and broker of this machine. The sandbox stands
for Hummingbot. Everything is ended with kill -9 and every container is dead; then database, broker, worker and beat
start again, and Hummingbot last. The bound is the restore's own spacing, a deployment each so many seconds, and the time
that the last container needs to come up; on little data the poll that notices Hummingbot weighs more than that.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

from bench import cpu
from bench.api import say
from bench.ledger import set_up_django
from bench.restore_seed import clients_for, seed
from bench.stage import Server, Stage, free_port, python
from bridge_project.up import programs

if TYPE_CHECKING:
    from bots.gateways.hummingbot import HummingbotGateway

GOAL = 1.2
PASSWORD = "bench"
PATIENCE_S = 3600
BOOT_S = 2  # what a container of the sandbox needs before its strategy reports

_PHASES = """
    SELECT extract(epoch FROM min(r.started_at) - %(began)s), extract(epoch FROM min(d.sent_at) - %(began)s),
           extract(epoch FROM max(d.sent_at) - %(began)s),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.sent_at - s.due_at)),
           max(extract(epoch FROM d.sent_at - s.due_at)),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.confirmed_at - d.sent_at)),
           max(extract(epoch FROM d.confirmed_at - d.sent_at))
      FROM bot_deployments d
      JOIN (SELECT id, started_at FROM strategy_restores ORDER BY created_at DESC LIMIT 1) r ON true
      JOIN strategy_restore_steps s ON s.run_id = r.id AND s.bot_id = d.bot_id
     WHERE d.sent_at >= %(began)s
"""


@dataclass(frozen=True, slots=True)
class Size:
    strategies: int
    linger_s: int  # long enough for a second deployment of something to show itself


FULL, QUICK = Size(1000, 60), Size(6, 4)


def run(*, quick: bool, only: str = "", strategies: int = 0) -> dict[str, Any]:
    """The whole benchmark; the answer is what its last line holds."""
    size = Size(strategies, 15) if strategies else QUICK if quick else FULL
    with Stage() as ground:
        house = House(ground, free_port())
        house.start_hummingbot()
        set_up_django(ground)
        say(f"making {size.strategies} strategies of {clients_for(size.strategies)} clients")
        seed(size.strategies, sandbox=house.url, gateway=house.gateway(), now=datetime.now(UTC))
        house.start_workers()
        house.await_running(size)
        say("all of them run")
        time.sleep(3)  # the sandbox writes down at once what runs
        house.kill_everything()
        house.let_containers_die()
        say("everything is dead")
        house.start_again()
        figures = house.measure(size)
    return report(size, figures)


def report(size: Size, figures: dict[str, Any]) -> dict[str, Any]:
    bound = float(figures["spacing_s"]) * (size.strategies - 1) + BOOT_S
    ratio = round(figures["restored_s"] / bound, 2)
    holds = ratio <= GOAL and figures["bots_running_twice"] == 0 and figures["deployments"] == size.strategies
    say(f"{'holds' if holds else 'MISSES':6} {size.strategies} strategies run {figures['restored_s']} s after Hummingbot "
        f"answered, {ratio} times the bound of {bound:g} s that a spacing of {figures['spacing_s']} s sets; "
        f"{figures['deployments']} deployments, {figures['bots_running_twice']} bots twice")  # fmt: skip
    load = {"strategies": size.strategies, "clients": clients_for(size.strategies)}
    return {
        "bench": "restore", "ratios": {"restored_over_spacing": ratio}, "figures": figures | {"bound_s": bound},
        "load": load | {"processors": os.cpu_count(), "fsync": True},
    }  # fmt: skip


class House:
    """Everything that runs, and how it is killed and started again."""

    def __init__(self, ground: Stage, port: int) -> None:
        self.ground, self.port = ground, port
        self.url = f"http://127.0.0.1:{port}"
        self.state_file: Path = ground.folder / "sandbox.json"
        ground.environ |= {
            "LOG_LEVEL": "WARNING", "HUMMINGBOT_API_URL": f"{self.url}/hummingbot", "HUMMINGBOT_API_USERNAME": PASSWORD,
            "HUMMINGBOT_API_PASSWORD": PASSWORD, "HEALTH_CHECK_INTERVAL_SECONDS": "86400",
            "EXCHANGE_BASE_URLS": json.dumps({"binance": f"{self.url}/exchange"}),
            "SANDBOX_USERNAME": PASSWORD, "SANDBOX_PASSWORD": PASSWORD,
        }  # fmt: skip
        self.workers: list[Server] = []

    def start_hummingbot(self) -> None:
        """It hardly trades: what is measured is the way back, not the market."""
        words = ("--port", str(self.port), "--state-file", str(self.state_file), "--mean-interval", "86400")
        self.ground.start("hummingbot", python("-m", "sandbox", *words), port=self.port)
        self.ground.await_all()

    def start_workers(self) -> None:
        for name, command in (("worker", programs.worker()), ("beat", programs.beat(home=self.ground.folder / "home"))):
            self.workers.append(self.ground.start(name, command, port=self.port))

    def kill_everything(self) -> None:
        pids = [pid for server in self.ground.running for pid in server.pids()]
        pids += [pid for server in self.ground.servers.all() if (found := server.pid()) for pid in cpu.tree(found)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for server in list(self.ground.running):
            self.ground.end(server)
        psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
        self.workers.clear()

    def let_containers_die(self) -> None:
        """As after a power cut without a restart policy: the containers are there, and none of them runs."""
        data = json.loads(self.state_file.read_bytes())
        for bot in data["bots"]:
            bot |= {"container": "exited", "strategy_running": False, "boots_at_s": None}
        self.state_file.write_text(json.dumps(data), encoding="utf-8")

    def start_again(self) -> None:
        """As ``bin/up`` does; Hummingbot is still away."""
        self.ground.servers.restart_missing()
        self.ground.run(programs.manage("prepare_start"))
        from django.db import connections

        connections.close_all()
        self.start_workers()
        self._await_silence()

    def _await_silence(self) -> None:
        """Until the workers have seen that Hummingbot is away."""
        end = time.monotonic() + 300
        with psycopg.connect(self.ground.superuser(), autocommit=True) as database:
            while not database.execute("SELECT 1 FROM hummingbot_state WHERE failures > 0").fetchone():
                if time.monotonic() > end:
                    raise SystemExit(f"The workers do not look at Hummingbot.\n{self.ground.last_words()}")
                time.sleep(0.2)

    def measure(self, size: Size) -> dict[str, Any]:
        before = cpu.spent([pid for server in self.workers for pid in server.pids()])
        self.start_hummingbot()
        began, clock = datetime.now(UTC), time.monotonic()
        restored = self.await_confirmed(size, since=began)
        after = cpu.spent([pid for server in self.workers for pid in server.pids()])
        say(f"restored after {round(time.monotonic() - clock, 2)} s; looking for doubles")
        time.sleep(size.linger_s)
        return {
            "restored_s": restored, "spacing_s": str(self._spacing()), "deployments": self._deployments(began),
            "worker_cpu_s": round(cpu.between(before, after) / 1e9, 2), **self._phases(began),
            **self._at_hummingbot(size),
        }  # fmt: skip

    def await_running(self, size: Size) -> None:
        """Until the workers have seen what was seeded."""
        end = time.monotonic() + PATIENCE_S
        with psycopg.connect(self.ground.superuser(), autocommit=True) as database:
            while database.execute("SELECT count(*) FROM bot_runtime WHERE status = 'running'").fetchone() != (
                size.strategies,
            ):
                if time.monotonic() > end:
                    raise SystemExit(f"They are not seen running.\n{self.ground.last_words()}")
                time.sleep(0.2)

    def await_confirmed(self, size: Size, *, since: datetime) -> float:
        """Seconds until each strategy's bot has a deployment that was confirmed since then."""
        clock, told = time.monotonic(), 0
        with psycopg.connect(self.ground.superuser(), autocommit=True) as database:
            while True:
                row = database.execute(
                    "SELECT count(DISTINCT s.bot_id) FROM active_strategies s JOIN bot_deployments d USING (bot_id) "
                    "WHERE d.status = 'live' AND d.confirmed_at >= %s AND s.status = 'active'",
                    [since],
                ).fetchone()
                found, spent = int(row[0]) if row else 0, time.monotonic() - clock
                if found >= size.strategies:
                    return round(spent, 2)
                if spent > PATIENCE_S:
                    raise SystemExit(f"Only {found} of {size.strategies} run.\n{self.ground.last_words()}")
                if found - told >= size.strategies / 10:
                    told = found
                    say(f"{found} after {spent:.0f} s")
                time.sleep(0.2)

    def _phases(self, began: datetime) -> dict[str, float]:
        """Where the time went, in seconds: after Hummingbot answered, behind the turn, from sent to seen running."""
        with psycopg.connect(self.ground.superuser()) as database:
            row = database.execute(_PHASES, {"began": began}).fetchone()
        names = ("planned_s", "first_sent_s", "last_sent_s", "behind_turn_p50_s", "behind_turn_most_s",
                 "until_seen_p50_s", "until_seen_most_s")  # fmt: skip
        return {
            name: round(float(value), 2) for name, value in zip(names, row or (), strict=False) if value is not None
        }

    def _spacing(self) -> Decimal:
        with psycopg.connect(self.ground.superuser()) as database:
            row = database.execute(
                "SELECT spacing_s FROM strategy_restores ORDER BY created_at DESC LIMIT 1"
            ).fetchone()
        return Decimal(row[0]) if row else Decimal(0)

    def _deployments(self, since: datetime) -> int:
        with psycopg.connect(self.ground.superuser()) as database:
            row = database.execute("SELECT count(*) FROM bot_deployments WHERE sent_at >= %s", [since]).fetchone()
        return int(row[0]) if row else 0

    def _at_hummingbot(self, size: Size) -> dict[str, int]:
        """What its Docker says: each bot once, and no container that nobody asked for."""
        from bots.rules.names import requested_by_us

        gateway = self.gateway()
        running = [container.name for container in gateway.active_containers()]
        bots = Counter(name.rsplit("-", 1)[0] for container in running if (name := requested_by_us(container)))
        return {
            "containers_running": len(running),
            "containers_made": len(running) + len(gateway.exited_containers()) - size.strategies,
            "bots_running_twice": sum(1 for times in bots.values() if times > 1),
        }

    def gateway(self) -> HummingbotGateway:
        from bots.gateways.hummingbot import HummingbotGateway

        return HummingbotGateway(f"{self.url}/hummingbot", PASSWORD, PASSWORD, timeout_s=30)
