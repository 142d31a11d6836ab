"""``bin/bench ledger``: the ledger's reads, boards and statistics at ten million trades, beside the same SQL bare.

``--keep FOLDER`` leaves the database there for another run, which then makes no data.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from bench import load
from bench.api import say
from bench.ledger_boards import measure_boards
from bench.ledger_reads import explain, far_cursors, measure_read, reads
from bench.ledger_seed import FULL, QUICK, LedgerSize, LedgerWorld, keep, kept, plant_ledger, read_world
from bench.ledger_writes import measure_writes
from bench.stage import FOREIGN, Stage, free_port
from bridge_project.up import programs

UPKEEP_GOAL_MS = 300.0
DEEP_GOAL = 1.5


def run(*, quick: bool, only: str = "", keep_in: str = "") -> dict[str, Any]:
    """The whole benchmark; the answer is what its last line holds. ``only`` measures the reads whose name holds it."""
    size = QUICK if quick else FULL
    folder = Path(keep_in).resolve() if keep_in else None
    began = time.monotonic()
    with Stage(folder=folder) as ground:
        set_up_django(ground)
        world = the_world(ground, size, folder)
        boards = measure_boards(ground.superuser(), now=world.ended_at, ticks=2 if quick else 5)
        figures = measure_reads(ground, world, only=only, times=20 if quick else 400)
        writes = {} if only else measure_writes(ground.superuser(), rows=5_000 if quick else 200_000)
    ratios = ratios_of(figures, writes)
    tell(boards, writes, ratios)
    say(f"took {time.monotonic() - began:.0f} s")
    return {
        "bench": "ledger", "ratios": ratios, "figures": {"reads": figures, "boards": boards, "writes": writes},
        "load": {
            "bots": size.bots, "trades": size.trades, "positions": size.positions, "decisions": size.decisions,
            "snapshots": size.snapshots, "processors": os.cpu_count(), "fsync": True,
        },
    }  # fmt: skip


def set_up_django(ground: Stage) -> None:
    """Let the product's own code run in this process too, on the stage's database."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(ground.environ)
    os.environ["DJANGO_SETTINGS_MODULE"] = "bridge_project.settings"
    import django

    django.setup()


def the_world(ground: Stage, size: LedgerSize, folder: Path | None) -> LedgerWorld:
    if folder and kept(folder, size):
        say(f"using the data in {folder}")
        return read_world(ground.superuser(), size)
    say("making data")
    world = plant_ledger(ground.superuser(), size=size, say=say)
    if folder:
        keep(folder, size)
    return world


def measure_reads(ground: Stage, world: LedgerWorld, *, only: str, times: int) -> dict[str, dict[str, Any]]:
    port = free_port()
    ground.start("web", programs.web(host=load.HOST, port=port), port=port)
    ground.await_all()
    found = {}
    for one in reads(world, far_cursors(ground.superuser(), world)):
        if only not in one.name:
            continue
        figures = measure_read(port, one, times=times)
        if figures is None:
            say(f"nobody answers {one.path}")
            continue
        found[one.name] = figures | {"goal_ms": one.goal_ms, "sql_goal_ms": one.sql_goal_ms}
        tell_read(one.name, found[one.name])
        if os.environ.get("BENCH_EXPLAIN") and (missed(found[one.name]) or only):
            say(explain(one))
    return found


def tell_read(name: str, found: dict[str, Any]) -> None:
    say(f"{'MISSES' if missed(found) else 'holds':6} {name:24} p50 {found['p50_ms']:7.2f}  p99 {found['p99_ms']:7.2f} ms "
        f"(goal {found['goal_ms']:.0f})  SQL p50 {found['sql_p50_ms']:7.3f}  p99 {found['sql_p99_ms']:7.3f} ms "
        f"(goal {found['sql_goal_ms']:.0f}), {found['statements']} statements {found['sql_all_p50_ms']:.3f}")  # fmt: skip


def missed(figures: dict[str, Any]) -> bool:
    return bool(figures["p99_ms"] > figures["goal_ms"] or figures["sql_p50_ms"] > figures["sql_goal_ms"])


def ratios_of(figures: dict[str, dict[str, Any]], writes: dict[str, Any]) -> dict[str, Any]:
    """Distant pages over the first one (the endpoint's median and the bare statement's), and what the trigger adds."""
    first = figures.get("trades_newest_50")
    deep = {
        name: {part: round(figures[name][part] / first[part], 2) for part in ("p50_ms", "sql_p50_ms")}
        for name in figures if first and name.startswith("trades_") and name.endswith(("page", "page_1000"))
    }  # fmt: skip
    return {"deep_page_over_first": deep} | (
        {"copy_with_statistics_over_without": writes["statistics_over_keys"]} if writes else {}
    )


def tell(boards: dict[str, Any], writes: dict[str, Any], ratios: dict[str, Any]) -> None:
    """For people: each goal beside what was found."""
    for name, found in ratios["deep_page_over_first"].items():
        word = "holds" if found["p50_ms"] <= DEEP_GOAL else "MISSES"
        say(
            f"{word:6} {name}: {found['p50_ms']} times the first page (goal <= {DEEP_GOAL}), bare {found['sql_p50_ms']}"
        )
    for period, found in boards.items():
        word = "holds" if found["upkeep_ms"] <= UPKEEP_GOAL_MS else "MISSES"
        say(f"{word:6} board {period}: {found['upkeep_ms']} ms a tick (goal <= {UPKEEP_GOAL_MS:.0f}), first {found['first_ms']}, "
            f"naive {found['naive_ms']} ms, {found['difference']:.1e} apart")  # fmt: skip
    if writes:
        say(f"copying {writes['rows']} trades: {writes['bare_s']} s bare, {writes['with_keys_s']} s with foreign keys, "
            f"{writes['with_statistics_s']} s with statistics too: {writes['statistics_over_keys']} times")  # fmt: skip
