"""A turn's writes beside what the old arena did each time: rewriting its whole state as one JSON blob. And what reading
``GET /api/state`` costs."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any
from uuid import UUID, uuid4

import psycopg

from bench import load
from bench.api import say
from bench.arena_seed import EXCHANGE, ArenaWorld
from bench.stage import Stage, free_port
from bench.works import request
from bridge_project.up import programs
from tests.ledger.arena_blobs import write_blob

BLOB_BYTES = 2_700_000
_WITHIN = """
    SELECT coalesce(sum(total_exec_time + total_plan_time), 0)::float8, coalesce(sum(calls), 0)::bigint
      FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = ANY(%s)
"""
OURS, OLD = ["bridge_operator", "bridge_client"], ["bridge"]  # who writes: the product's roles, and the owner


def measure_writes(
    database: psycopg.Connection[Any], ground: Stage, *, bots: list[UUID], rounds: int
) -> dict[str, Any]:
    """In turn, in the same database, each on an open connection: medians in milliseconds, in all and within the server.

    ``turn`` is all that a turn writes once its model has answered, ``change`` the smallest change of state that a person makes
    (a pause, with its audit and event), ``blob`` what the old arena did after each: the state as JSON, deleted and inserted.
    """
    write_blob(ground.folder / "blob.json", bytes_wanted=BLOB_BYTES)
    state = json.loads((ground.folder / "blob.json").read_text())
    took: dict[str, list[float]] = {"turn": [], "change": [], "blob": []}
    served: dict[str, list[float]] = {"turn": [], "change": [], "blob": []}
    counts = {}
    with psycopg.connect(ground.environ["DATABASE_URL"]) as old:
        old.execute("CREATE TABLE bench_blob (state json NOT NULL, updated_at timestamptz NOT NULL)")
        old.commit()
        for number in range(rounds + 1):
            bot_id = bots[number % len(bots)]
            works: dict[str, tuple[list[str], Callable[[], None]]] = {
                "turn": (OURS, lambda b=bot_id: _write_turn(b)),  # type: ignore[misc]
                "change": (OURS, lambda b=bot_id: _change(b)),  # type: ignore[misc]
                "blob": (OLD, lambda n=number: _rewrite(old, state | {"savedAt": n})),  # type: ignore[misc]
            }
            for way, (roles, work) in works.items():
                database.execute("SELECT pg_stat_statements_reset()")
                began = time.perf_counter()
                work()
                milliseconds = (time.perf_counter() - began) * 1000
                within, counts[way] = database.execute(_WITHIN, [roles]).fetchone() or (0.0, 0)
                if number:  # the first one warms
                    took[way].append(milliseconds)
                    served[way].append(within)
        old.execute("DROP TABLE bench_blob")
        old.commit()
    return {
        "blob_mb": round(len(json.dumps(state)) / 1e6, 2),
        **{f"{way}_ms": round(statistics.median(times), 2) for way, times in took.items()},
        **{f"{way}_in_server_ms": round(statistics.median(times), 3) for way, times in served.items()},
        **{f"{way}_statements": count for way, count in counts.items()},
    }


def _rewrite(connection: psycopg.Connection[Any], state: dict[str, Any]) -> None:
    text = json.dumps(state)
    connection.execute("DELETE FROM bench_blob")
    connection.execute("INSERT INTO bench_blob VALUES (%s, now())", [text])
    connection.commit()


def _change(bot_id: UUID) -> None:
    from arena.services.steer_participant import pause_participant
    from ground.scope import Scope

    pause_participant(scope=Scope(actor="operator:bench"), bot_id=bot_id, paused=None, now=datetime.now(UTC))


def _write_turn(bot_id: UUID) -> None:
    """What a turn writes when it opens a position: decision, position, trade, money, the bot's counts, news."""
    from arena.models import ArenaMarket, Participant
    from arena.rules.statuses import EventKind
    from arena.services.events import NewEvent, tell, trade_event
    from ground.scope import system_scope
    from ledger.rules.words import Action
    from ledger.services.record_paper import NewDecision, PaperEntry, lock_accounts, record_decision, record_fills

    said = [
        {"action": "LONG", "symbol": "ETH/USDT", "size": D(200), "leverage": D(2), "reasoning": "It has risen all day."}
    ]
    now = datetime.now(UTC)
    with system_scope("arena").transaction(reason="turn 1"):
        accounts = lock_accounts([bot_id])
        client_id = accounts[bot_id].client_id
        price = ArenaMarket.objects.values_list("price", flat=True).get(exchange=EXCHANGE, symbol="ETH/USDT")
        decision_id = uuid4()
        record_decision(NewDecision(decision_id, client_id, bot_id, now, "What now? " * 600, said, ["Opened."], True))
        fill = PaperEntry(bot_id, "ETH/USDT", Action.LONG, price or D(3000), D("0.05"), D(2), D("0.07"))
        done = record_fills([fill], accounts=accounts, at=now, now=now, decision_id=decision_id)
        Participant.objects.filter(pk=bot_id).update(refused_in_row=0, unreadable_in_row=0, peak_equity=D(10_000))
        payload = {"decision_id": str(decision_id), "turn": 1, "outcome": "executed"}
        tell([NewEvent(client_id, bot_id, EventKind.DECISION, payload), *(trade_event(one) for one in done)], now=now)


def measure_reads(ground: Stage, world: ArenaWorld, *, times: int) -> dict[str, Any]:
    """Milliseconds and sizes of ``GET /api/state``: a client's whole state, a page of everybody's, and what is new."""
    port = free_port()
    server = ground.start("web", programs.web(host=load.HOST, port=port), port=port)
    ground.await_all()
    own = world.keys[world.clients[0]]
    found = {}
    for name, key in (("own", own), ("everybodys_first_100", world.operator)):
        status, body = load.ask(port, request("GET", "/api/state", key))
        assert status == 200 and isinstance(body, dict) and body["isFull"], body
        seen = {bot["id"] for bot in body["bots"]}
        assert seen and (name != "own" or len(seen) <= len(world.bots) // len(world.clients)), "not only its own bots"
        found[name] = _read(port, "/api/state", key, times) | {
            "bots": len(seen),
            "kb": round(len(json.dumps(body)) / 1024),
        }
        since = f"/api/state?since={body['cursor']}"
        found[f"{name}_since"] = _read(port, since, key, times)
    ground.end(server)
    say(f"GET /api/state: {found}")
    return found


def _read(port: int, path: str, key: str, times: int) -> dict[str, Any]:
    seconds = sorted(load.each(port, request("GET", path, key), times=times))
    return {"p50_ms": round(statistics.median(seconds) * 1000, 1), "most_ms": round(seconds[-1] * 1000, 1)}
