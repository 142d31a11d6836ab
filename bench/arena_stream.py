"""The stream with 1,000 listeners: connecting them, what an event costs, how late the last one hears it, and that nobody hears
of another's bots."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psutil

from bench import cpu
from bench.api import say
from bench.arena_seed import ArenaWorld
from bench.stage import Server, Stage, free_port, python
from bridge_project.up import programs

WEBSOCKETS = 10  # of a hundred listeners
EVENTS = 10  # of each client
APART_S = 0.05
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Said:
    """One event that was written: whose it is, and when it was committed (of time.time)."""

    mark: str
    client_id: UUID
    at: float


def measure_stream(ground: Stage, world: ArenaWorld, *, listeners: int, bots_of: dict[UUID, UUID]) -> dict[str, Any]:
    """As in life (each client's own listeners), and the most that one event can cost (all are one client's)."""
    port = free_port()
    stream = ground.start("stream", programs.stream(host="127.0.0.1", port=port), port=port)
    ground.await_all()
    time.sleep(2)
    spread = [world.clients[number % len(world.clients)] for number in range(listeners)]
    found = {
        "of_all_clients": _measure(ground, stream, world, spread, bots_of),
        "of_one_client": _measure(ground, stream, world, [world.clients[0]] * listeners, bots_of),
    }
    ground.end(stream)
    return found


def _measure(
    ground: Stage, stream: Server, world: ArenaWorld, owners: list[UUID], bots_of: dict[UUID, UUID]
) -> dict[str, Any]:
    ways = ["websocket" if number % 100 < WEBSOCKETS else "events" for number in range(len(owners))]
    given = {"port": stream.port, "listeners": [{"key": world.keys[owner], "way": way}
                                                for owner, way in zip(owners, ways, strict=True)]}  # fmt: skip
    empty_mb, before = _memory_mb(stream), cpu.spent(stream.pids())
    process = subprocess.Popen(
        python("-m", "bench.arena_listeners"), cwd=programs.CHECKOUT, env=ground.environ, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(given) + "\n")
        process.stdin.flush()
        connected_s = json.loads(process.stdout.readline())["connected_s"]
        connecting_cpu_s = cpu.between(before, cpu.spent(stream.pids())) / 1e9
        time.sleep(2)
        before, served, began = cpu.spent(stream.pids()), cpu.spent(ground.backends()), time.monotonic()
        said = _say(sorted(set(owners)), bots_of)
        time.sleep(3)
        after, then, spent = cpu.spent(stream.pids()), cpu.spent(ground.backends()), time.monotonic() - began
        full_mb = _memory_mb(stream)
        process.stdin.close()
        told = json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
    deliveries = _check(owners, said, told)
    last = [max(one["at"][event.mark] for one, owner in zip(told, owners, strict=True) if owner == event.client_id) - event.at
            for event in said]  # fmt: skip
    found = {
        "listeners": len(owners), "of_them_websockets": ways.count("websocket"), "connected_s": connected_s,
        "connecting_cpu_ms_each": round(connecting_cpu_s * 1000 / len(owners), 2),
        "events": len(said), "deliveries": deliveries, "seconds": round(spent, 1),
        "cpu_us_a_delivery": round(cpu.between(before, after) / 1000 / deliveries, 1),
        "cpu_s": round(cpu.between(before, after) / 1e9, 2),
        "database_cpu_s": round(cpu.between(served, then) / 1e9, 2),
        "last_listener_p50_ms": round(statistics.median(last) * 1000, 1),
        "last_listener_p99_ms": round(sorted(last)[min(len(last) - 1, round(len(last) * 0.99))] * 1000, 1),
        "memory_mb": full_mb, "memory_kb_each": round((full_mb - empty_mb) * 1024 / len(owners), 1),
    }  # fmt: skip
    say(f"stream: {found}")
    return found


def _say(owners: list[UUID], bots_of: dict[UUID, UUID]) -> list[Said]:
    """Events of each client in turn, each committed by itself as turns do; at most 200."""
    from arena.rules.statuses import EventKind
    from arena.services.events import NewEvent, tell
    from ground.scope import system_scope

    scope, said = system_scope("arena"), []
    for number in range(EVENTS if len(owners) > 1 else EVENTS * 2):
        for owner in owners:
            mark = f"{number}-{owner}"
            with scope.transaction():
                payload = {"mark": mark, "decision_id": mark, "turn": number, "outcome": "executed"}
                tell([NewEvent(owner, bots_of[owner], EventKind.DECISION, payload)], now=datetime.now(UTC))
            said.append(Said(mark, owner, time.time()))
            time.sleep(APART_S)
    return said


def _check(owners: list[UUID], said: list[Said], told: list[dict[str, Any]]) -> int:
    """Each heard everything of its own client once, and nothing of another's. How many messages that were."""
    of_client = {owner: {event.mark for event in said if event.client_id == owner} for owner in set(owners)}
    for owner, one in zip(owners, told, strict=True):
        if set(one["at"]) != of_client[owner]:
            missing, foreign = of_client[owner] - set(one["at"]), set(one["at"]) - of_client[owner]
            raise SystemExit(f"A listener missed {len(missing)} events and heard {len(foreign)} of others.")
        if one["twice"]:
            raise SystemExit("A listener heard an event twice.")
    return sum(len(one["at"]) for one in told)


def _memory_mb(stream: Server) -> float:
    return round(sum(psutil.Process(pid).memory_full_info().pss for pid in stream.pids()) / 2**20, 1)
