"""``bin/bench arena``: 1,000 bots whose models answer after 2 seconds; the stream with 1,000 listeners; a turn's writes beside
a rewritten blob.

The product's own processes do the work: arena, worker, beat, stream and web. The sandbox, a process of its own, stands for
exchange and models. Afterwards each turn must have been played once and whole, and ``verify_ledger`` find nothing.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.api import say
from bench.arena_refresh import measure_crash, measure_refresh
from bench.arena_seed import ArenaWorld, plant, prepare_sandbox
from bench.arena_state import measure_reads, measure_writes
from bench.arena_stream import measure_stream
from bench.arena_turns import faults_of, measure_turns, start_turns
from bench.ledger import set_up_django
from bench.stage import Stage, free_port, python
from bridge_project.up.demo import MODELS

LATENCY_S = 2.0
GOAL_CPU_MS, GOAL_BLOB = 20.0, 50.0


@dataclass(frozen=True, slots=True)
class ArenaSize:
    """How much of everything."""

    clients: int
    bots: int
    window_s: float
    listeners: int
    rounds: int


FULL = ArenaSize(clients=20, bots=1000, window_s=120, listeners=1000, rounds=15)
QUICK = ArenaSize(clients=4, bots=40, window_s=10, listeners=60, rounds=3)


def run(*, quick: bool, only: str = "") -> dict[str, Any]:
    """The whole benchmark; the answer is what its last line holds. ``only`` is one of turns, refresh, stream, state."""
    size, began = QUICK if quick else FULL, time.monotonic()
    stage = Stage()
    assert stage.servers.database is not None
    stage.servers.database.settings |= {
        "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_planning": "on",
    }  # fmt: skip
    with stage as ground:
        port = free_port()
        sandbox = f"http://127.0.0.1:{port}"
        ground.start("sandbox", python("-m", "sandbox", "--port", str(port)), port=port)
        ground.await_all()
        ground.environ["EXCHANGE_BASE_URLS"] = json.dumps({"binance": f"{sandbox}/exchange"})
        ground.environ["MODEL_BASE_URLS"] = json.dumps({kind: f"{sandbox}/model/{at}" for kind, at in MODELS.items()})
        set_up_django(ground)
        prepare_sandbox(sandbox, latency_s=LATENCY_S)
        with psycopg.connect(ground.superuser(), autocommit=True) as database:
            database.execute("CREATE EXTENSION pg_stat_statements")
            figures, failed = measure(ground, size, database, sandbox=sandbox, port=port, only=only)
    say(f"took {time.monotonic() - began:.0f} s")
    return report(size, figures, failed)


def measure(
    ground: Stage, size: ArenaSize, database: psycopg.Connection[Any], *, sandbox: str, port: int, only: str
) -> tuple[dict[str, Any], list[str]]:
    world = the_world(size)
    bots_of = dict(zip(world.clients, world.bots, strict=False))  # the first of each: they were made in turn
    figures: dict[str, Any] = {}
    failed: list[str] = []
    if only in ("", "refresh"):
        figures["ticks"] = measure_refresh(ground, database, bots=size.bots, rounds=size.rounds)
    if only in ("", "turns"):
        turns = start_turns(ground, database, port=port)
        figures["turns"] = measure_turns(turns, sandbox, bots=size.bots, latency_s=LATENCY_S, window_s=size.window_s)
        for server in (*turns.ticking, turns.arena):
            ground.end(server)
        failed = faults_of(ground, database, answers=figures["turns"]["model_answers"])
    if only in ("", "refresh"):
        figures["fall"] = measure_crash(database, sandbox)
    if only in ("", "stream"):
        figures["stream"] = measure_stream(ground, world, listeners=size.listeners, bots_of=bots_of)
    if only in ("", "state"):
        writes = measure_writes(database, ground, bots=world.bots, rounds=size.rounds)
        say(f"writes: {writes}")
        figures["state"] = {"writes": writes, "reads": measure_reads(ground, world, times=size.rounds * 3)}
    return figures, failed


def the_world(size: ArenaSize) -> ArenaWorld:
    """Prices first, then bots that hold something at them."""
    from datetime import UTC, datetime

    from arena.services.refresh_prices import refresh_prices
    from exchanges.gateways.configured import configured_gateways

    say(f"making {size.bots} bots of {size.clients} clients")
    if not refresh_prices(gateways=configured_gateways(), now=datetime.now(UTC)):
        raise SystemExit("No prices could be read.")
    return plant(clients=size.clients, bots=size.bots)


def report(size: ArenaSize, figures: dict[str, Any], failed: list[str]) -> dict[str, Any]:
    """For people each goal beside what was found, and the answer."""
    ratios: dict[str, Any] = {}
    if turns := figures.get("turns"):
        steady, full = turns["steady"], turns["full"]
        ratios["turns_over_bound"] = round(full["turns_a_minute"] / turns["bound_a_minute"], 2)
        ratios["steady_over_needed"] = round(steady["turns_a_minute"] / turns["needed_a_minute"], 2)
        ratios["cpu_over_goal"] = round(full["cpu_ms"] / GOAL_CPU_MS, 2)
        parts = f"{full['process_cpu_ms']} ours, {full['database_cpu_ms']} the database's"
        tell(full["cpu_ms"] <= GOAL_CPU_MS, f"a turn costs {full['cpu_ms']} ms of CPU (goal <= {GOAL_CPU_MS:.0f}): {parts}; "
             f"ticks add {full['ticks_cpu_ms']}")  # fmt: skip
        tell(steady["turns_a_minute"] >= 0.97 * turns["needed_a_minute"], f"{steady['turns_a_minute']} turns a minute of the "
             f"{turns['needed_a_minute']} that {size.bots} bots need; at most {full['turns_a_minute']} with "
             f"{turns['concurrency']} threads, whose bound is {turns['bound_a_minute']}")  # fmt: skip
    if state := figures.get("state"):
        writes = state["writes"]
        for way, words in (("turn", "all that a turn writes"), ("change", "the smallest change")):
            within = round(writes["blob_in_server_ms"] / writes[f"{way}_in_server_ms"], 1)
            outside = round(writes["blob_ms"] / writes[f"{way}_ms"], 1)
            ratios[f"blob_over_{way}"], ratios[f"blob_over_{way}_in_server"] = outside, within
            tell(outside >= GOAL_BLOB, f"{words} takes {writes[f'{way}_ms']} ms, the blob {writes['blob_ms']}: {outside} times "
                 f"(goal >= {GOAL_BLOB:.0f}); within the server {within} times")  # fmt: skip
    for fault in failed:
        say(f"WRONG  {fault}")
    return {
        "bench": "arena", "ratios": ratios, "figures": figures, "failed": failed,
        "load": {
            "clients": size.clients, "bots": size.bots, "model_s": LATENCY_S, "window_s": size.window_s,
            "listeners": size.listeners, "processors": os.cpu_count(), "fsync": True,
        },
    }  # fmt: skip


def tell(holds: bool, words: str) -> None:
    say(f"{'holds' if holds else 'MISSES':6} {words}")
