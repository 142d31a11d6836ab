"""How long the ledger's reads take: through the web process with an API key, and the same statements bare."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import psycopg

from bench import load
from bench.ledger_seed import CLIENT_KEY, OPERATOR_KEY, LedgerWorld
from bench.works import request

FAR_PAGES = {"page_1000": 0.05, "middle_page": 0.5, "last_page": 0.999}  # as parts of the biggest bot's million trades
MOST_SECONDS = 4.0  # a slow read is repeated less often
NOT_TIMED = ("SET ", "SHOW ", "BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


@dataclass(frozen=True, slots=True)
class Read:
    """One request that is measured. ``goal_ms`` bounds its p99, ``sql_goal_ms`` the median of each of its statements."""

    name: str
    path: str
    key: str = CLIENT_KEY
    goal_ms: float = 10.0
    sql_goal_ms: float = 1.0

    def bytes(self) -> bytes:
        return request("GET", self.path, self.key)


@dataclass(slots=True)
class Statement:
    """One statement that a request runs, and where."""

    alias: str
    sql: Any
    params: Any
    is_raw: bool
    times: list[float] = field(default_factory=list)


def reads(world: LedgerWorld, far: dict[str, str]) -> list[Read]:
    """Everything that is measured; ``far`` holds the cursors of distant pages."""
    bot, live = f"/api/v2/bots/{world.biggest}", f"/api/v2/bots/{world.live}"
    board, analytics = "/api/leaderboard", "/api/analytics"
    return [
        Read("trades_newest_50", f"{bot}/trades?limit=50"),
        *(Read(f"trades_{name}", f"{bot}/trades?limit=50&cursor={cursor}") for name, cursor in far.items()),
        Read("trades_of_symbol", f"{bot}/trades?limit=50&symbol=BTCUSDT", goal_ms=100, sql_goal_ms=100),
        Read("trades_of_a_day", f"{bot}/trades?limit=50&startDate={_day(world, 40)}&endDate={_day(world, 40)}",
             goal_ms=100, sql_goal_ms=100),
        Read("trades_short", f"{bot}/trades?limit=50&action=SHORT", goal_ms=100, sql_goal_ms=100),
        Read("trades_live_newest_50", f"{live}/trades?limit=50"),
        Read("executions_newest_50", f"/bots/{world.biggest}/trades?limit=50"),
        Read("positions_open", f"{bot}/positions?status=open"),
        Read("positions_newest_50", f"{bot}/positions?limit=50"),
        Read("decisions_50", f"{bot}/decisions?limit=50"),
        Read("decisions_50_successful", f"{bot}/decisions?limit=50&success_only=true"),
        Read("statistics", bot),
        Read("figures", f"/bots/{world.biggest}/stats"),
        Read("timeline", f"/bots/{world.biggest}/timeline", goal_ms=100, sql_goal_ms=100),
        *(Read(f"board_{p}", f"{board}/{p}?mode=paper", OPERATOR_KEY, 100, 5)
          for p in ("daily", "weekly", "monthly", "all_time")),
        Read("board_of_client", f"{board}/weekly", goal_ms=100, sql_goal_ms=5),
        Read("board_stats", f"{board}/stats", OPERATOR_KEY, 100, 5),
        Read("history_30_days", f"{board}/bot/{world.biggest}/history?days=30", goal_ms=100, sql_goal_ms=100),
        *(Read(f"performance_{r}", f"{analytics}/performance?timeRange={r}", goal_ms=100, sql_goal_ms=100)
          for r in ("24h", "7d", "30d", "all")),
        Read("performance_of_bot", f"{analytics}/performance/{world.biggest}?timeRange=30d", goal_ms=100, sql_goal_ms=100),
        Read("performance_operator", f"{analytics}/performance?timeRange=30d", OPERATOR_KEY, 100, 100),
        Read("by_symbol", f"{analytics}/aggregate/by-symbol", goal_ms=100, sql_goal_ms=100),
        Read("by_symbol_operator", f"{analytics}/aggregate/by-symbol", OPERATOR_KEY, 100, 100),
        Read("best_worst", f"{analytics}/aggregate/best-worst", goal_ms=100, sql_goal_ms=100),
        Read("best_worst_operator", f"{analytics}/aggregate/best-worst", OPERATOR_KEY, 100, 100),
        Read("summary", f"{analytics}/aggregate/summary", goal_ms=100, sql_goal_ms=100),
        Read("summary_operator", f"{analytics}/aggregate/summary", OPERATOR_KEY, 100, 100),
        Read("risk_metrics", f"{analytics}/risk-metrics", goal_ms=100, sql_goal_ms=100),
        Read("comparison", f"{analytics}/comparison?bot_ids={world.biggest},{world.live}", goal_ms=100, sql_goal_ms=100),
    ]  # fmt: skip


def far_cursors(conninfo: str, world: LedgerWorld) -> dict[str, str]:
    """Where distant pages of the biggest bot's trades begin, as the API would have said on the way there."""
    from ground.http import iso
    from ground.keyset import encode_cursor

    found = {}
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT trades FROM bot_stats WHERE bot_id = %s", [world.biggest]).fetchone()
        for name, part in FAR_PAGES.items():
            at = connection.execute(
                "SELECT executed_at, id FROM trades WHERE bot_id = %s ORDER BY executed_at DESC, id DESC OFFSET %s LIMIT 1",
                [world.biggest, max(int(row[0] * part) - 51, 0) if row else 0],
            ).fetchone()
            assert at is not None
            found[name] = encode_cursor(iso(at[0]), at[1])
    return found


def measure_read(port: int, one: Read, *, times: int) -> dict[str, Any] | None:
    """Milliseconds at the web process and of its statements alone; None while nobody answers that path."""
    status, body = load.ask(port, one.bytes())
    if status == 404:
        return None
    if status != 200:
        raise SystemExit(f"{one.name} ({one.path}) answered {status}: {body}")
    warm = statistics.median(load.each(port, one.bytes(), times=max(times // 8, 5)))
    times = max(min(times, int(MOST_SECONDS / warm)), 20)
    found = milliseconds(load.each(port, one.bytes(), times=times))
    statements = replay(one, times=times)
    slowest = max(statements, key=lambda s: statistics.median(s.times))
    bare = milliseconds(slowest.times)
    return {
        "p50_ms": found["p50"], "p99_ms": found["p99"], "sql_p50_ms": bare["p50"], "sql_p99_ms": bare["p99"],
        "sql_all_p50_ms": round(sum(statistics.median(s.times) for s in statements) * 1000, 3), "statements": len(statements),
    }  # fmt: skip


def replay(one: Read, *, times: int) -> list[Statement]:
    """The statements of a request, each repeated on the connection that the request used, prepared, in one transaction."""
    from django.db import connections, transaction

    noted = _statements(one)
    with transaction.atomic(using=noted[0].alias):
        for statement in noted:
            statement.times = _repeat(connections[statement.alias].connection, statement, times=times)
    return noted


def explain(one: Read) -> str:
    """The plan of a request's slowest statement, with what it took to make it."""
    from django.db import connections, transaction

    noted = replay(one, times=5)
    slowest = max(noted, key=lambda s: statistics.median(s.times))
    sql = f"EXPLAIN (ANALYZE, BUFFERS) {_text(slowest.sql)}".encode()
    with transaction.atomic(using=slowest.alias):
        connection = connections[slowest.alias].connection
        for statement in noted:
            _run(connection, statement)
        cursor = psycopg.RawCursor(connection) if slowest.is_raw else psycopg.ClientCursor(connection)
        rows = cursor.execute(sql, slowest.params or None).fetchall()
    return "\n".join([one.name, sql.decode(), *(row[0] for row in rows)])


def _statements(one: Read) -> list[Statement]:
    """What a request runs on the connection of its scope, the look-up of its key first."""
    from django.test import Client

    noted: list[Statement] = []
    with _noting(noted):
        answer = Client().get(one.path, headers={"Authorization": f"Bearer {one.key}"})
    if answer.status_code != 200:
        raise SystemExit(f"{one.name} answered {answer.status_code} in this process: {answer.content[:300]!r}")
    return [statement for statement in noted if statement.alias == noted[-1].alias]


def milliseconds(times: list[float]) -> dict[str, float]:
    """Median and 99th percentile of seconds, in ms."""
    ordered = sorted(times)
    at_99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50": round(statistics.median(ordered) * 1000, 3), "p99": round(at_99 * 1000, 3)}


@contextmanager
def _noting(noted: list[Statement]) -> Iterator[None]:
    """Note every statement that Django's connections run, and those that go past it to be prepared."""
    from django.db import connections

    class Noting(psycopg.RawCursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            alias = next(a for a in connections if connections[a].connection is self.connection)
            noted.append(Statement(alias, query, params, is_raw=True))
            return super().execute(query, params, **options)

    def note(alias: str) -> Any:
        def wrapped(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            if not _text(sql).lstrip().upper().startswith(NOT_TIMED):
                noted.append(Statement(alias, sql, params, is_raw=False))
            return execute(sql, params, many, context)

        return wrapped

    wrappers = {alias: note(alias) for alias in connections}
    with mock.patch.object(psycopg, "RawCursor", Noting):
        for alias, wrapper in wrappers.items():
            connections[alias].execute_wrappers.append(wrapper)
        try:
            yield
        finally:
            for alias, wrapper in wrappers.items():
                connections[alias].execute_wrappers.remove(wrapper)


def _repeat(connection: Any, statement: Statement, *, times: int) -> list[float]:
    for _ in range(6):  # five plans of its own, then the one that stays
        _run(connection, statement)
    found = []
    for _ in range(times):
        began = time.perf_counter()
        _run(connection, statement)
        found.append(time.perf_counter() - began)
    return found


def _run(connection: Any, statement: Statement) -> None:
    if statement.is_raw:
        psycopg.RawCursor(connection).execute(statement.sql, statement.params, prepare=True).fetchall()
        return
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(_text(statement.sql).encode(), statement.params or None)
    if cursor.description:
        cursor.fetchall()


def _text(sql: Any) -> str:
    return sql.decode() if isinstance(sql, bytes) else str(sql)


def _day(world: LedgerWorld, ago: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(world.seconds - ago * 86400))
