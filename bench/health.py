"""``bin/bench health``: a cycle over 1,000 running bots on 20 keys whose exchange is 100 ms away, limits on.

The product's own worker does the work; the exchange is ``bench/venue.py``. A cycle ends when the last of the bots has its
verdict, and stands beside the least that the limits and the latency allow. Then the same with an exchange beside it
that never answers, and what the storing of 1,000 verdicts takes beside the same statement inside the server.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.request import urlopen

import psutil
import psycopg

from bench import cpu
from bench.api import say
from bench.ledger import set_up_django
from bench.stage import Server, Stage, free_port, python
from bridge_project.up import programs

GOAL_CYCLE, GOAL_WRITES = 1.2, 2.0
LATENCY_MS = 100
TRADES = 100  # a full page: what a busy bot's exchange answers
HANGING_BOTS = 20


@dataclass(frozen=True, slots=True)
class Size:
    bots: int
    keys: int
    rounds: int

    @property
    def pairs(self) -> int:
        return self.bots // self.keys


FULL, QUICK = Size(1000, 20, 3), Size(60, 4, 1)


def run(*, quick: bool, only: str = "") -> dict[str, Any]:
    """The whole benchmark; the answer is what its last line holds. ``only`` is one of cycle, hanging, writes."""
    size = QUICK if quick else FULL
    with Stage() as ground:
        venue_port = free_port()
        venue = ground.start(
            "venue",
            python("-m", "bench.venue", str(venue_port), str(LATENCY_MS), str(size.pairs), str(TRADES)),
            port=venue_port,
        )
        base = f"http://127.0.0.1:{venue_port}"
        ground.environ["EXCHANGE_BASE_URLS"] = json.dumps({"kucoin": base, "okx": base})
        ground.await_all()
        set_up_django(ground)
        say(f"making {size.bots} bots on {size.keys} keys")
        plant(size)
        figures: dict[str, Any] = {}
        with psycopg.connect(ground.superuser(), autocommit=True) as database:
            worker = ground.start("worker", programs.worker(), port=venue_port)
            cycles = Cycles(ground, worker, venue, database, base)
            if only in ("", "cycle", "hanging"):
                cycles.warm_up(size)
                figures["cycle"] = cycles.measure(size, hanging=False)
            if only in ("", "hanging"):
                figures["hanging"] = cycles.measure(size, hanging=True)
            ground.end(worker)
        if only in ("", "writes"):
            figures["writes"] = measure_writes(rounds=3 if quick else 15)
    return report(size, figures)


def report(size: Size, figures: dict[str, Any]) -> dict[str, Any]:
    ratios: dict[str, Any] = {}
    if cycle := figures.get("cycle"):
        ratios["cycle_over_bound"] = round(cycle["cycle_s"] / cycle["bound_s"], 2)
        tell(
            ratios["cycle_over_bound"],
            GOAL_CYCLE,
            f"a cycle takes {cycle['cycle_s']} s, the bound is {cycle['bound_s']} s",
        )
    if hanging := figures.get("hanging"):
        ratios["beside_hanging_over_alone"] = round(hanging["cycle_s"] / figures["cycle"]["cycle_s"], 2)
        say(f"beside an exchange that hangs: {hanging['cycle_s']} s, {ratios['beside_hanging_over_alone']} times")
    if writes := figures.get("writes"):
        ratios["writes_over_in_server"] = round(writes["product_ms"] / writes["in_server_ms"], 2)
        tell(ratios["writes_over_in_server"], GOAL_WRITES, f"{writes['bots']} verdicts are stored in {writes['product_ms']} ms, "
             f"in the server alone in {writes['in_server_ms']} ms")  # fmt: skip
    return {
        "bench": "health", "ratios": ratios, "figures": figures,
        "load": {
            "bots": size.bots, "keys": size.keys, "pairs_of_a_key": size.pairs, "latency_ms": LATENCY_MS,
            "trades_of_an_answer": TRADES, "processors": os.cpu_count(), "fsync": True,
        },
    }  # fmt: skip


def tell(ratio: float, goal: float, words: str) -> None:
    say(f"{'holds' if ratio <= goal else 'MISSES':6} {words}: {ratio} times (goal <= {goal})")


def plant(size: Size) -> None:
    """One client with its keys, and a running bot for each pair of each; beside them bots of an exchange that hangs."""
    from bench.venue import pairs
    from bots.services.manage_bots import create_bot
    from bots.services.start_bot import start_bot
    from clients.models import Connector
    from clients.services.manage_accounts import put_connector
    from clients.services.manage_clients import create_client
    from ground.scope import Scope

    scope, now = Scope(actor="operator:bench"), datetime.now(UTC)
    client = create_client(scope=scope, name="Bench", account_identifier="bench", wallets=[], connectors=[])
    for exchange, keys, of_pairs in (("kucoin", size.keys, pairs(size.pairs)), ("okx", 2, pairs(HANGING_BOTS // 2))):
        for k in range(keys):
            put_connector(
                scope=scope, client_id=client, name=exchange, label=f"k{k}", api_secret="secret", memo="memo",
                api_key=sha256(f"{exchange} {k}".encode()).hexdigest(),
            )  # fmt: skip
        ids = dict(Connector.objects.filter(client_id=client, name=exchange).values_list("label", "id"))
        for k in range(keys):
            for pair in of_pairs:
                bot = create_bot(
                    scope=scope, account="bench", connector=exchange, pair=pair, name=f"{pair} {k}", strategy="spread",
                    runtime_kind="external", connector_id=ids[f"k{k}"],
                )  # fmt: skip
                start_bot(scope=scope, bot_id=bot, now=now - timedelta(minutes=1))


@dataclass(slots=True)
class Cycles:
    """Drives the worker through whole cycles and looks at it from outside."""

    ground: Stage
    worker: Server
    venue: Server
    database: psycopg.Connection[Any]
    base: str

    def warm_up(self, size: Size) -> None:
        """Markets are loaded, clocks measured, trades of the past stored."""
        self._cycle(size, hanging=False)
        say("warm")

    def measure(self, size: Size, *, hanging: bool) -> dict[str, Any]:
        """Medians over some cycles, and the bound that the calls which were made allow."""
        found = [self._cycle(size, hanging=hanging) for _ in range(size.rounds)]
        seconds = statistics.median(one["cycle_s"] for one in found)
        memory = max(one["memory_mb"] for one in found)
        middle = {name: statistics.median(one[name] for one in found) for name in ("cpu_s", "database_cpu_s", "calls")}
        bound = bound_s(int(middle["calls"]), size)
        all_rounds = [one["cycle_s"] for one in found]
        return {"cycle_s": seconds, "rounds_s": all_rounds, "bound_s": bound, "memory_mb": memory} | middle

    def _cycle(self, size: Size, *, hanging: bool) -> dict[str, Any]:
        self._rest()
        self._call("/forget")
        workers, backends = self.worker.pids(), self.ground.backends()
        before, served = cpu.spent(workers), cpu.spent(backends)
        began, clock = datetime.now(UTC), time.monotonic()
        self._make_due(hanging=hanging)
        self._tick()
        self._await(began, size)
        seconds = time.monotonic() - clock
        after, then = cpu.spent(self.worker.pids()), cpu.spent(self.ground.backends())
        calls = {path: n for path, n in self._call("/calls").items() if "okx" not in path}
        one = {
            "cycle_s": round(seconds, 2), "cpu_s": round(cpu.between(before, after) / 1e9, 2),
            "database_cpu_s": round(cpu.between(served, then) / 1e9, 2), "calls": sum(calls.values()),
            "memory_mb": self._memory_mb(),
        }  # fmt: skip
        say(f"{'with a hanging exchange ' if hanging else ''}{one}")
        return one

    def _rest(self) -> None:
        """Circuits closed, nobody due, the limits' burst grown again."""
        self.database.execute("DELETE FROM exchange_circuits WHERE exchange = 'okx'")
        self.database.execute("UPDATE bot_health SET due_at = now() + interval '1 day'")
        time.sleep(12)

    def _make_due(self, *, hanging: bool) -> None:
        self.database.execute(
            "UPDATE bot_health h SET due_at = now() FROM bots b WHERE b.id = h.bot_id AND b.connector_name = ANY(%s)",
            [["kucoin", "okx"] if hanging else ["kucoin"]],
        )

    def _tick(self) -> None:
        from celery import current_app

        import bridge_project.celery  # noqa: F401 - the application that tasks are sent through

        current_app.send_task("health.start_due_checks")

    def _await(self, since: datetime, size: Size) -> None:
        end = time.monotonic() + 300
        while True:
            row = self.database.execute(
                "SELECT count(*) FROM bot_health h JOIN bots b ON b.id = h.bot_id WHERE b.connector_name = 'kucoin' "
                "AND h.checked_at >= %s AND h.status = 'healthy'",
                [since],
            ).fetchone()
            if row and row[0] >= size.bots:
                return
            if time.monotonic() > end:
                raise SystemExit(f"The cycle did not end: {row and row[0]} bots.\n{self.ground.last_words()}")
            self._tick_again(end)
            time.sleep(0.05)

    def _tick_again(self, end: float) -> None:
        """As beat does: what was put off is claimed by the next tick."""
        if int((end - time.monotonic()) * 20) % 40 == 0:
            self._tick()

    def _memory_mb(self) -> int:
        sizes = [psutil.Process(pid).memory_full_info().pss for pid in self.worker.pids()]
        return round(sum(sizes) / 2**20)

    def _call(self, path: str) -> Any:
        with urlopen(self.base + path, timeout=5) as answer:
            return json.loads(answer.read())


def bound_s(calls: int, size: Size) -> float:
    """The least that a cycle can take: the host's limit for all calls, or a key's calls one after the other."""
    from exchanges.limits import limit_of

    by_limit = limit_of("api.kucoin.com", 0.0075).least_s(calls)
    return round(max(by_limit, -(-calls // size.keys) * LATENCY_MS / 1000), 2)


def measure_writes(*, rounds: int) -> dict[str, Any]:
    """Storing the verdicts of all bots: by the product, and by the same statement fed inside the server."""
    from bots.models import Bot
    from ground.scope import system_scope
    from health.rules.verdict import judge
    from health.services.record_verdicts import _RECORD, Checked, _row, record_verdicts
    from health.subjects import subjects
    from health.types import Evidence, TradesOutcome, TradesSeen

    ids = list(Bot.objects.filter(connector_name="kucoin").values_list("id", flat=True))
    product, in_server = [], []
    for _ in range(rounds):
        now = datetime.now(UTC)
        with system_scope("health").transaction():
            found = subjects(ids, now=now)
        seen = TradesSeen(TradesOutcome.READ, "", "C001/USDT at KuCoin", newest_at=now, count=TRADES, asked_at=now)
        checks = []
        for subject in found:
            evidence = Evidence(subject.run, seen, subject.heartbeat, subject.known_trade_at)
            checks.append(Checked(subject, evidence, judge(evidence=evidence, limits=subject.limits, now=now), now))
        began = time.monotonic()
        written = record_verdicts(checks)
        product.append(time.monotonic() - began)
        assert len(written) == len(ids), "some verdicts were not stored"
        with system_scope("health").transaction():
            again = subjects(ids, now=now)
        rows = [_row(Checked(s, c.evidence, c.verdict, now)) for s, c in zip(again, checks, strict=True)]
        in_server.append(in_server_s(rows, _RECORD))
    return {
        "bots": len(ids),
        "product_ms": round(statistics.median(product) * 1000, 1),
        "in_server_ms": round(statistics.median(in_server) * 1000, 1),
    }


def in_server_s(rows: list[dict[str, Any]], statement: str) -> float:
    """The statement's own time when its rows are in the server already."""
    from ground.http import exact_json
    from ground.scope import system_scope
    from ground.sql import fetch_all, run

    begin, end = statement.index("SELECT * FROM jsonb_to_recordset"), statement.index("), wanted AS")
    scope = system_scope("health")
    with scope.transaction():
        run("DROP TABLE IF EXISTS given_rows")
        run(f"CREATE TEMP TABLE given_rows AS {statement[begin:end]}", {"rows": exact_json(rows)})
    began = time.monotonic()
    with scope.transaction():
        stored = fetch_all(statement[:begin] + "SELECT * FROM given_rows" + statement[end:], {"actor": "system:health"})
    took = time.monotonic() - began
    assert len(stored) == len(rows), "some verdicts were not stored"
    return took
