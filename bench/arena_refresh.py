"""What ticks take with 1,000 bots: claiming, reading prices, guarding what is held, judging. Each must end well within its
interval, and none may ask bot by bot."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bench import cpu
from bench.api import say
from bench.arena_seed import EXCHANGE, control
from bench.stage import Stage


def measure_refresh(ground: Stage, database: psycopg.Connection[Any], *, bots: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of each (its own and the database's CPU beside them); nothing else is at work."""
    from arena.services.claim_turns import MOST_AT_ONCE, claim_turns
    from arena.services.guard_positions import guard_positions
    from arena.services.refresh_prices import refresh_prices
    from arena.services.report_health import judge_participants
    from exchanges.gateways.configured import configured_gateways

    def due() -> None:
        database.execute("UPDATE arena_state SET prices_at = NULL")

    def unclaimed() -> None:
        database.execute("DELETE FROM arena_turns WHERE finished_at IS NULL")
        database.execute(
            "UPDATE arena_participants p SET next_turn_at = now() - interval '1 minute', "
            "turns = coalesce((SELECT max(number) FROM arena_turns t WHERE t.bot_id = p.bot_id), 0)"
        )

    def claimed() -> None:
        database.execute("UPDATE arena_participants SET next_turn_at = now() + interval '3 minutes'")

    def now() -> datetime:
        return datetime.now(UTC)

    works: dict[str, tuple[Callable[[], None], Callable[[], Any]]] = {
        "claim_when_all_are_due": (unclaimed, lambda: claim_turns(now=now())),
        "claim_when_none_is_due": (claimed, lambda: claim_turns(now=now())),
        "refresh_prices": (due, lambda: refresh_prices(gateways=configured_gateways(), now=now())),
        "guard_positions": (lambda: None, lambda: guard_positions(now=now())),
        "judge_participants": (lambda: None, lambda: judge_participants(now=now())),
    }
    found: dict[str, Any] = {"positions": database.execute("SELECT count(*) FROM positions WHERE status = 'open'").fetchone()[0]}  # type: ignore[index]  # fmt: skip
    for name, (before, work) in works.items():
        database.execute("VACUUM ANALYZE")  # as autovacuum has done where bots have lived for a while
        found[name] = _timed(ground, before, work, rounds=rounds)
        say(f"{name}: {found[name]}")
    unclaimed()
    assert len(claim_turns(now=now())) == min(bots, MOST_AT_ONCE), "claiming does not open what is due"
    unclaimed()
    claimed()
    return found


def measure_crash(database: psycopg.Connection[Any], sandbox: str) -> dict[str, Any]:
    """A fall that reaches every bot's stops at once: seconds until all that had to close are closed."""
    from arena.services.guard_positions import guard_positions
    from arena.services.refresh_prices import refresh_prices
    from exchanges.gateways.configured import configured_gateways

    falling = ("BTC/USDT", "SOL/USDT")
    database.execute("UPDATE positions SET stop_loss = mark_price * 0.9 WHERE status = 'open' AND position_type = 'LONG' "
                     "AND symbol = ANY(%s)", [list(falling)])  # fmt: skip
    prices = dict(database.execute("SELECT symbol, price FROM arena_markets WHERE symbol = ANY(%s)", [list(falling)]))
    for symbol, price in prices.items():
        control(sandbox, "/markets", {"exchange": EXCHANGE, "pair": symbol, "price": str(round(price * 4 / 5, 2))})
    database.execute("UPDATE arena_state SET prices_at = NULL")
    began = time.monotonic()
    refresh_prices(gateways=configured_gateways(), now=datetime.now(UTC) + timedelta(seconds=1))
    read_s = time.monotonic() - began
    closed = guard_positions(now=datetime.now(UTC)).closed
    found = {"closed": closed, "prices_read_s": round(read_s, 2), "seconds": round(time.monotonic() - began, 2)}
    say(f"a fall: {found}")
    assert closed, "nothing was closed"
    return found


def _timed(ground: Stage, before: Callable[[], None], work: Callable[[], Any], *, rounds: int) -> dict[str, float]:
    took, own, served = [], [], []
    for number in range(rounds + 1):
        before()
        looked, at = cpu.spent(ground.backends()), time.process_time()
        began = time.perf_counter()
        work()
        if number:  # the first one warms
            took.append((time.perf_counter() - began) * 1000)
            own.append((time.process_time() - at) * 1000)
            served.append(cpu.between(looked, cpu.spent(ground.backends())) / 1e6)
    return {
        "ms": round(statistics.median(took), 1), "most_ms": round(max(took), 1),
        "cpu_ms": round(statistics.mean(own), 1), "database_cpu_ms": round(statistics.mean(served), 1),
    }  # fmt: skip
