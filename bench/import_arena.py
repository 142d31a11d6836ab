"""``bin/bench import``: an old arena's state into the ledger, beside a plain COPY of the same rows into the same tables.

Both fill tables with all their constraints, indexes and triggers. The COPY is given the finished rows: it neither reads
JSON, nor checks, pairs or reconciles anything.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench import cpu
from bench.api import say
from bench.stage import Stage
from bridge_project.up import programs
from tests.ledger.arena_blobs import write_blob

# What an import fills, in an order in which a COPY can fill it; the first ones stand before the watch is started.
OWNERS = ("clients", "bots", "bot_accounts", "bot_health")
FACTS = ("positions", "bot_decisions", "trades", "bot_state_snapshots", "kept_documents")
EMPTIED = (*OWNERS, *FACTS, "bot_stats", "bot_trade_hours", "bot_fees", "bot_equity_buckets", "arena_imports")
NEVER_ALIKE = {"recorded_at", "updated_at", "created_at", "imported_at"}
GOAL_TIMES, GOAL_MB = 2.0, 64
JUDGED_MB = 100  # below that, starting Python is most of it
LOOK_EVERY_S = 0.1
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Size:
    """One blob."""

    name: str
    megabytes: float
    rounds: int


FULL = (Size("2.7_mb", 2.7, 5), Size("270_mb", 270, 3))
QUICK = (Size("1_mb", 1, 1),)


@dataclass(slots=True)
class Figures:
    """What the rounds of one size gave."""

    rows: int = 0
    megabytes: float = 0
    imported_s: list[float] = field(default_factory=list)
    imported_cpu_s: list[float] = field(default_factory=list)
    started_s: list[float] = field(default_factory=list)
    started_cpu_s: list[float] = field(default_factory=list)
    copied_s: list[float] = field(default_factory=list)
    copied_cpu_s: list[float] = field(default_factory=list)
    again_s: float = 0
    peak_mb: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        imported, copied = statistics.median(self.imported_s), statistics.median(self.copied_s)
        started = statistics.median(self.started_s)
        return {
            "rows": self.rows, "megabytes": round(self.megabytes, 1), "import_s": round(imported, 2),
            "import_cpu_s": round(statistics.median(self.imported_cpu_s), 2), "starting_s": round(started, 2),
            "starting_cpu_s": round(statistics.median(self.started_cpu_s), 2), "copy_s": round(copied, 2),
            "copy_cpu_s": round(statistics.median(self.copied_cpu_s), 2), "again_s": round(self.again_s, 2),
            "import_rows_per_s": round(self.rows / imported), "copy_rows_per_s": round(self.rows / copied),
            "peak_mb": round(max(self.peak_mb), 1),
        }  # fmt: skip


def run(*, quick: bool, only: str = "") -> dict[str, Any]:
    """The whole benchmark; the answer is what its last line holds."""
    sizes = [size for size in (QUICK if quick else FULL) if only in size.name]
    began = time.monotonic()
    with Stage(forgetful=False) as ground:
        empty = ground.folder / "empty.json"
        empty.write_text('{"bots": [], "marketData": []}')
        idle_mb = imported(ground, empty).peak_mb
        found = {size.name: measure(ground, size, empty) for size in sizes}
    figures = {name: one.summary() for name, one in found.items()}
    ratios = {name: ratios_of(one, idle_mb) for name, one in figures.items()}
    tell(figures, ratios, idle_mb)
    say(f"took {time.monotonic() - began:.0f} s")
    return {
        "bench": "import", "ratios": ratios, "figures": figures | {"idle_process": {"peak_mb": round(idle_mb, 1)}},
        "load": {"rounds": {s.name: s.rounds for s in sizes}, "processors": os.cpu_count(), "fsync": True},
    }  # fmt: skip


def measure(ground: Stage, size: Size, empty: Path) -> Figures:
    """Import and COPY in turn."""
    say(f"{size.name}: making the blob")
    blob = ground.folder / f"{size.name}.json"
    write_blob(blob, bytes_wanted=int(size.megabytes * 1_000_000))
    figures = Figures(megabytes=blob.stat().st_size / 1e6)
    rows = ground.folder / f"{size.name}.rows"
    rows.mkdir()
    with psycopg.connect(ground.superuser(), autocommit=True) as database:
        expected = ""
        for number in range(size.rounds):
            empty_tables(database)
            starting = imported(ground, empty)
            figures.started_s.append(starting.seconds)
            figures.started_cpu_s.append(starting.cpu_s)
            empty_tables(database)
            run = imported(ground, blob)
            figures.imported_s.append(run.seconds)
            figures.imported_cpu_s.append(run.cpu_s)
            figures.peak_mb.append(run.peak_mb)
            say(f"{size.name}: round {number + 1} imported in {run.seconds:.2f} s, CPU {run.process_cpu_s:.2f} s and "
                f"{run.database_cpu_s:.2f} s in the database, {run.peak_mb:.0f} MB at most")  # fmt: skip
            if number == 0:
                write_rows(database, rows)
                expected, figures.rows = digest(database), count(database)
                figures.again_s = imported(ground, blob).seconds
            if digest(database) != expected:
                raise SystemExit(f"{size.name}: importing the same again gave other rows")
            empty_tables(database)
            seconds, cpu_s = copied(ground, database, rows)
            figures.copied_s.append(seconds)
            figures.copied_cpu_s.append(cpu_s)
            say(f"{size.name}: round {number + 1} copied in {seconds:.2f} s, CPU {cpu_s:.2f} s")
            if digest(database) != expected:
                raise SystemExit(f"{size.name}: the COPY gave other rows than the import")
        empty_tables(database)
    blob.unlink()
    return figures


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command."""

    seconds: float
    process_cpu_s: float
    database_cpu_s: float
    peak_mb: float

    @property
    def cpu_s(self) -> float:
        return self.process_cpu_s + self.database_cpu_s


def imported(ground: Stage, blob: Path) -> Run:
    """Run the command to its end. CPU and memory are looked at while it runs: its last moments count as none."""
    before, used, own, peak = cpu.spent(ground.backends()), dict[int, int](), 0, 0.0
    began = time.monotonic()
    with ground.log.open("ab") as log:
        process = subprocess.Popen(
            programs.manage("import_arena_state", str(blob)), env=ground.environ, cwd=programs.CHECKOUT, stdout=log,
            stderr=log,
        )  # fmt: skip
        while process.poll() is None:
            peak = max(peak, _high_water(process.pid))
            own = max(own, *cpu.spent([process.pid]).values())
            used |= cpu.spent(ground.backends())
            time.sleep(LOOK_EVERY_S)
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"the import failed:\n{ground.last_words()}")
    return Run(seconds, own / 1e9, cpu.between(before, used) / 1e9, peak)


def copied(ground: Stage, database: psycopg.Connection, rows: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of the COPY, as the owner of the tables and in one transaction, as the import is."""
    for table in OWNERS:
        _copy_in(database, table, rows)
    database.execute("CHECKPOINT")
    with psycopg.connect(ground.environ["DATABASE_URL"]) as owner:
        backend = [owner.info.backend_pid]
        spent, own, began = cpu.spent(backend), time.process_time(), time.monotonic()
        for table in FACTS:
            _copy_in(owner, table, rows)
        owner.commit()
        seconds = time.monotonic() - began
        return seconds, time.process_time() - own + cpu.between(spent, cpu.spent(backend)) / 1e9


def write_rows(database: psycopg.Connection, rows: Path) -> None:
    """The imported rows as files for COPY."""
    for table in (*OWNERS, *FACTS):
        statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(
            _columns(database, table), sql.Identifier(table)
        )
        with (rows / table).open("wb") as file, database.cursor().copy(statement) as copy:
            for block in copy:
                file.write(block)


def digest(database: psycopg.Connection) -> str:
    """Of every fact, without moments of writing and without ids that each run makes anew."""
    found = []
    for table in FACTS:
        left_out = NEVER_ALIKE | ({"id"} if table in ("kept_documents", "bot_state_snapshots") else set())
        columns = _columns(database, table, without=left_out)
        query = "SELECT count(*), sum(hashtextextended(ROW({})::text, 0)::numeric) FROM {}"
        found.append((table, *_one(database, sql.SQL(query).format(columns, sql.Identifier(table)))))
    return str(found)


def count(database: psycopg.Connection) -> int:
    return sum(_one(database, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))[0] for table in FACTS)


def empty_tables(database: psycopg.Connection) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, EMPTIED))
    database.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
    database.execute("CHECKPOINT")


def ratios_of(figures: dict[str, float], idle_mb: float) -> dict[str, float]:
    import_s, cpu_s = figures["import_s"], figures["import_cpu_s"]
    return {
        "import_over_copy": round(import_s / figures["copy_s"], 2),
        "import_cpu_over_copy_cpu": round(cpu_s / figures["copy_cpu_s"], 2),
        "started_import_over_copy": round((import_s - figures["starting_s"]) / figures["copy_s"], 2),
        "started_import_cpu_over_copy_cpu": round((cpu_s - figures["starting_cpu_s"]) / figures["copy_cpu_s"], 2),
        "again_over_import": round(figures["again_s"] / import_s, 2),
        "peak_mb_above_idle": round(figures["peak_mb"] - idle_mb, 1),
    }


def tell(figures: dict[str, dict[str, float]], ratios: dict[str, dict[str, float]], idle_mb: float) -> None:
    """For people: the table, and each goal beside what was found."""
    for name, found in figures.items():
        say(f"{name:8} {found['rows']:9,.0f} rows  import {found['import_s']:8.2f} s ({found['import_rows_per_s']:,.0f}/s)  "
            f"COPY {found['copy_s']:8.2f} s ({found['copy_rows_per_s']:,.0f}/s)  {found['peak_mb']:.0f} MB "
            f"(an idle process has {idle_mb:.0f})")  # fmt: skip
    largest = list(figures)[-1]
    if figures[largest]["megabytes"] < JUDGED_MB:
        return
    goals = [
        ("import over COPY", ratios[largest]["import_over_copy"], GOAL_TIMES),
        ("MB above an idle process", ratios[largest]["peak_mb_above_idle"], GOAL_MB),
    ]
    for what, value, bound in goals:
        say(f"{'holds' if value <= bound else 'MISSES':6} {largest}: {what} {value} (goal <= {bound})")


def _copy_in(database: psycopg.Connection, table: str, rows: Path) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _columns(database, table))
    with database.cursor().copy(statement) as copy:
        for block in _blocks(rows / table):
            copy.write(block)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _columns(
    database: psycopg.Connection, table: str, *, without: frozenset[str] | set[str] = frozenset()
) -> sql.Composable:
    rows = database.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
        "AND attgenerated = '' ORDER BY attnum",
        [table],
    )
    return sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows if name not in without)


def _one(database: psycopg.Connection, query: sql.Composable) -> tuple[Any, ...]:
    row = database.execute(query).fetchone()
    assert row is not None
    return row


def _high_water(pid: int) -> float:
    """The most memory the process has held so far, in MB."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
