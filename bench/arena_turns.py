"""Turns by the arena's own process: how many a minute, and what each costs beside the time that its model takes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg

from bench import cpu
from bench.api import say
from bench.arena_seed import control
from bench.stage import Server, Stage
from bridge_project.up import programs

PATIENCE_S = 300
REST_S = 1000
NAME = "bench-arena"  # of the connections over which turns are played
_STATEMENTS = """
    SELECT coalesce(sum(calls), 0)::float8, coalesce(sum(total_exec_time + total_plan_time), 0)::float8
      FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
      JOIN pg_roles r ON r.oid = s.userid WHERE d.datname = current_database() AND NOT r.rolsuper
"""
_TURNS = """
    SELECT count(*), count(*) FILTER (WHERE status = 'done'), count(*) FILTER (WHERE status = 'failed'),
           count(*) FILTER (WHERE status = 'skipped'),
           percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM asked_at - created_at)::float8),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - asked_at)::float8)
      FROM arena_turns WHERE finished_at >= %s AND finished_at < %s
"""
# Each must count nothing.
CHECKS = {
    "turns left open": "SELECT count(*) FROM arena_turns WHERE finished_at IS NULL",
    "bots whose turns are not numbered one by one":
        "SELECT count(*) FROM (SELECT bot_id FROM arena_turns GROUP BY bot_id HAVING count(*) <> max(number)) x",
    "turns that were asked twice":
        "SELECT count(*) FROM (SELECT turn_id FROM llm_calls WHERE purpose = 'turn' GROUP BY turn_id HAVING count(*) > 1) x",
    "turns that are done without a decision":
        "SELECT count(*) FROM arena_turns t LEFT JOIN bot_decisions d ON d.id = t.decision_id "
        "WHERE t.status = 'done' AND d.id IS NULL",
    "calls that are not booked": "SELECT count(*) FROM llm_calls WHERE status = 'reserved'",
    "turns that failed": "SELECT count(*) FROM arena_turns WHERE status = 'failed'",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What was used up to one moment; CPU by process, in nanoseconds."""

    at: datetime
    clock: float
    turns: dict[int, int]
    turns_database: dict[int, int]
    ticks: dict[int, int]
    ticks_database: dict[int, int]
    statements: float
    statements_ms: float


@dataclass(slots=True)
class Turns:
    """The arena's process beside worker and beat, looked at from outside."""

    ground: Stage
    arena: Server
    ticking: list[Server]
    database: psycopg.Connection[Any]

    def idle(self, seconds: float) -> dict[str, float]:
        """What ticks use a second while no turn is due."""
        before = self.look()
        time.sleep(seconds)
        after = self.look()
        spent = after.clock - before.clock
        return {
            "statements": (after.statements - before.statements) / spent,
            "statements_ms": (after.statements_ms - before.statements_ms) / spent,
            "cpu_ms": (cpu.between(before.ticks, after.ticks) + cpu.between(before.ticks_database, after.ticks_database))
            / 1e6 / spent,
        }  # fmt: skip

    def measure(self, seconds: float, idle: dict[str, float]) -> dict[str, Any]:
        """Turns that ended in a window of so many seconds, and what they cost."""
        before = self.look()
        time.sleep(seconds)
        after = self.look()
        spent = after.clock - before.clock
        row = self.database.execute(_TURNS, [before.at, after.at]).fetchone()
        ended, done, failed, skipped, waits, took_s = row or (0, 0, 0, 0, (0.0, 0.0), 0.0)
        if not ended:
            raise SystemExit(f"No turn ended.\n{self.ground.last_words()}")
        own = cpu.between(before.turns, after.turns) / 1e6 / ended
        served = cpu.between(before.turns_database, after.turns_database) / 1e6 / ended
        ticks = cpu.between(before.ticks, after.ticks) + cpu.between(before.ticks_database, after.ticks_database)
        return {
            "turns": ended, "done": done, "failed": failed, "skipped": skipped, "seconds": round(spent, 1),
            "turns_a_minute": round(ended * 60 / spent, 1), "took_p50_s": round(took_s, 3),
            "waited_for_a_worker_p50_s": round(waits[0], 2), "waited_for_a_worker_p99_s": round(waits[1], 2),
            "process_cpu_ms": round(own, 2), "database_cpu_ms": round(served, 2), "cpu_ms": round(own + served, 2),
            "ticks_cpu_ms": round(max(0.0, ticks / 1e6 - idle["cpu_ms"] * spent) / ended, 2),
            "statements": round((after.statements - before.statements - idle["statements"] * spent) / ended, 1),
            "database_ms": round((after.statements_ms - before.statements_ms - idle["statements_ms"] * spent) / ended, 2),
            "memory_mb": round(sum(psutil.Process(pid).memory_full_info().pss for pid in self.arena.pids()) / 2**20),
        }  # fmt: skip

    def look(self) -> Look:
        rows = self.database.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [NAME]).fetchall()
        playing = [row[0] for row in rows]
        others = [pid for pid in self.ground.backends() if pid not in playing and pid != self.database.info.backend_pid]
        statements, milliseconds = self.database.execute(_STATEMENTS).fetchone() or (0.0, 0.0)
        return Look(
            datetime.now(UTC), time.monotonic(), cpu.spent(self.arena.pids()), cpu.spent(playing),
            cpu.spent(pid for server in self.ticking for pid in server.pids()), cpu.spent(others), statements, milliseconds,
        )  # fmt: skip

    def make_due(self, *, interval_s: int, spread_s: int) -> None:
        """Every bot's next turn within so many seconds from now (0: at once), and then at this interval."""
        self.database.execute("UPDATE arena_settings SET turn_interval_s = %s", [interval_s])
        self.database.execute(
            "UPDATE arena_participants p SET next_turn_at = now() + make_interval(secs => %s * x.place) FROM (SELECT bot_id, "
            "(row_number() OVER (ORDER BY client_id, bot_id) - 1)::float8 / count(*) OVER () AS place FROM arena_participants) x "
            "WHERE x.bot_id = p.bot_id",
            [spread_s],
        )

    def rest(self) -> None:
        """No turn is due for some minutes; those under way end."""
        self.database.execute("UPDATE arena_settings SET turn_interval_s = %s", [REST_S])
        self.database.execute(
            "UPDATE arena_participants SET next_turn_at = now() + make_interval(secs => %s)", [REST_S - 1]
        )
        end = time.monotonic() + PATIENCE_S
        while (self.database.execute(CHECKS["turns left open"]).fetchone() or (0,))[0]:
            if time.monotonic() > end:
                raise SystemExit(f"Turns do not end.\n{self.ground.last_words()}")
            time.sleep(0.2)


def start_turns(ground: Stage, database: psycopg.Connection[Any], *, port: int) -> Turns:
    """Arena, worker and beat as ``bin/up`` starts them."""
    arena = ground.start("arena", programs.arena(), port=port, PGAPPNAME=NAME)
    ticking = [
        ground.start("worker", programs.worker(), port=port),
        ground.start("beat", programs.beat(home=ground.folder / "home"), port=port),
    ]
    return Turns(ground, arena, ticking, database)


def measure_turns(turns: Turns, sandbox: str, *, bots: int, latency_s: float, window_s: float) -> dict[str, Any]:
    """As life goes (each bot every 200 seconds), and as fast as it can (all are always due)."""
    found: dict[str, Any] = {}
    turns.rest()
    turns.make_due(interval_s=200, spread_s=0)  # first calls load libraries and open connections
    time.sleep(max(10.0, window_s / 6))
    turns.rest()
    idle = turns.idle(window_s / 4)
    found["idle_a_second"] = {name: round(value, 2) for name, value in idle.items()}
    say(f"ticks alone, a second: {found['idle_a_second']}")
    for name, interval_s, spread_s in (("steady", 200, 200), ("full", 10, 0)):
        turns.make_due(interval_s=interval_s, spread_s=spread_s)
        time.sleep(window_s / 4)
        found[name] = turns.measure(window_s, idle)
        turns.rest()
        say(f"{name}: {found[name]}")
    concurrency = int(programs.arena()[programs.arena().index("-c") + 1])
    found["concurrency"] = concurrency
    found["bound_a_minute"] = round(concurrency * 60 / latency_s, 1)
    found["needed_a_minute"] = round(bots * 60 / 200, 1)
    found["model_answers"] = control(sandbox, "/model").get("answered")
    return found


def faults_of(ground: Stage, database: psycopg.Connection[Any], *, answers: int | None) -> list[str]:
    """What does not hold after all turns: each played once and whole, and the ledger in order."""
    faults = []
    for words, statement in CHECKS.items():
        count = (database.execute(statement).fetchone() or (0,))[0]
        if count:
            faults.append(f"{count} {words}")
    stored = (database.execute("SELECT count(*) FROM llm_calls WHERE reply_status = 200").fetchone() or (0,))[0]
    if answers is not None and stored != answers:
        faults.append(f"models answered {answers} times, and {stored} answers are stored")
    os.environ.setdefault("PYTHONUTF8", "1")
    ground.run(programs.manage("verify_ledger"))
    return faults
