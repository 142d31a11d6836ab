"""``bin/bench api``: the product's hot requests beside the design it replaces, plain DRF, and the limit."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench import cpu, load
from bench.seed import World, plant
from bench.stage import Server, Stage, free_port, python
from bench.works import WORKS, Work, normal
from bridge_project.up import programs

PRODUCT, REPLACED, PLAIN, LIMIT, ASKING = "product", "a_replaced", "b_plain_drf", "c_limit", "a_asking_hummingbot"
POLL_SECONDS = "3600"  # nobody polls here; what was stored at the beginning counts as fresh to the end
HUMMINGBOT_MS = 20
# What performance.md asks for: (work, other side, figure) -> the bound of product against that.
GOALS = {
    ("list_100", REPLACED, "rate"): 4.0, ("list_100", PLAIN, "rate"): 12.0, ("list_100", LIMIT, "cpu"): 1.5,
    ("list_5", REPLACED, "rate"): 3.0, ("list_5", LIMIT, "cpu"): 2.5,
    ("wallet", REPLACED, "rate"): 5.0, ("wallet", LIMIT, "cpu"): 2.5,
    ("create", REPLACED, "rate"): 4.0, ("create", LIMIT, "cpu"): 2.5,
    ("hummingbot_20ms", ASKING, "rate"): 7.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    clients: int
    bots: int
    rounds: int
    seconds: float
    connections: int = 16
    compared: int = 4


FULL = Size(clients=10_000, bots=50_000, rounds=5, seconds=1.4)
QUICK = Size(clients=300, bots=2_000, rounds=1, seconds=0.3)


@dataclass(slots=True)
class Figures:
    """What the rounds of one server at one work gave; CPU in µs a request, application and database apart."""

    rates: list[float] = field(default_factory=list)
    application: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        both = [a + d for a, d in zip(self.application, self.database, strict=True)]
        return {
            "cpu_us": round(statistics.median(both)), "cpu_us_application": round(statistics.median(self.application)),
            "cpu_us_database": round(statistics.median(self.database)), "rps": round(statistics.median(self.rates), 1),
        }  # fmt: skip


def run(*, quick: bool, only: str = "") -> dict[str, Any]:
    """The whole benchmark; the answer is what its last line holds."""
    size = QUICK if quick else FULL
    works = [work for work in WORKS if only in work.name]
    began = time.monotonic()
    with Stage(forgetful=False) as ground:
        say("making data")
        world = plant(ground.superuser(), clients=size.clients, bots=size.bots)
        hummingbot = start_hummingbot(ground)
        servers = start_servers(ground, hummingbot=hummingbot.port)
        figures = {}
        for work in works:
            sides = sides_of(work, servers)
            compare(work, sides, world, size)
            figures[work.name] = measure(work, sides, world, size, ground)
        hang = measure_hanging(servers, hummingbot, world, size) if any(w.asks_hummingbot for w in works) else {}
    ratios = ratios_of(figures) | hang.get("ratios", {})
    tell(figures, ratios)
    say(f"took {time.monotonic() - began:.0f} s")
    return {
        "bench": "api", "ratios": ratios, "figures": figures | hang.get("figures", {}),
        "load": {
            "clients": size.clients, "wallets": size.clients * 2, "bots": size.bots, "rounds": size.rounds,
            "seconds": size.seconds, "connections": size.connections, "processors": os.cpu_count(),
            "fsync": True, "hummingbot_ms": HUMMINGBOT_MS,
        },
    }  # fmt: skip


def start_hummingbot(ground: Stage) -> Server:
    port = free_port()
    return ground.start("hummingbot", python("-m", "bench.hummingbot", str(port), str(HUMMINGBOT_MS)), port=port)


def start_servers(ground: Stage, *, hummingbot: int) -> dict[str, Server]:
    """The product as bin/up runs it, and its references, all on the same tables."""
    say("starting the servers")
    ports = {name: free_port() for name in (PRODUCT, REPLACED, PLAIN, LIMIT, ASKING)}
    uvicorn = python("-m", "uvicorn", "bench.peers.replaced:app", "--workers", "2", "--no-access-log", "--log-level",
                     "warning", "--host", load.HOST, "--port")  # fmt: skip
    granian = python("-m", "granian", "--interface", "wsgi", "--host", load.HOST, "--workers", "2", "--blocking-threads",
                     "4", "--no-ws", "--log-level", "warning", "--port")  # fmt: skip
    gunicorn = python("-m", "gunicorn", "-k", "gthread", "-w", "2", "--threads", "4", "--keep-alive", "60", "--log-level",
                      "warning", "bench.peers.plain_drf:application", "-b")  # fmt: skip
    away = {"HUMMINGBOT_API_URL": f"http://{load.HOST}:{hummingbot}", "HUMMINGBOT_POLL_SECONDS": POLL_SECONDS}
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        PRODUCT: (programs.web(host=load.HOST, port=ports[PRODUCT]), away),
        REPLACED: ([*uvicorn, str(ports[REPLACED])], {"HUMMINGBOT_POLL_SECONDS": POLL_SECONDS}),
        PLAIN: ([*gunicorn, f"{load.HOST}:{ports[PLAIN]}"], {"HUMMINGBOT_POLL_SECONDS": POLL_SECONDS}),
        LIMIT: ([*granian, str(ports[LIMIT]), "bench.peers.limit:application"], away),
        ASKING: ([*uvicorn, str(ports[ASKING])],
                 {"HUMMINGBOT_POLL_SECONDS": POLL_SECONDS, "HUMMINGBOT_URL": away["HUMMINGBOT_API_URL"]}),
    }  # fmt: skip
    started = {
        name: ground.start(name, command, port=ports[name], **variables)
        for name, (command, variables) in commands.items()
    }
    ground.await_all()
    return started


def sides_of(work: Work, servers: dict[str, Server]) -> list[Server]:
    if work.asks_hummingbot:
        return [servers[PRODUCT], servers[ASKING]]
    return [server for name, server in servers.items() if name != ASKING]


def compare(work: Work, sides: list[Server], world: World, size: Size) -> None:
    """Every server gives the same answers, or the benchmark stops and shows the difference."""
    asked = list(itertools.islice(work.requests(world), size.compared))
    for request in asked:
        answers = {}
        for server in sides:
            status, body = load.ask(server.port, request)
            if status not in (200, 201):
                raise SystemExit(f"{server.name} answered {status} to {work.name}: {body}")
            answers[server.name] = normal(body, work.differs)
        expected = answers[sides[0].name]
        for name, answer in answers.items():
            if answer != expected:
                raise SystemExit(f"{work.name}: {name} differs from {sides[0].name}:\n{_difference(expected, answer)}")


def measure(work: Work, sides: list[Server], world: World, size: Size, ground: Stage) -> dict[str, dict[str, float]]:
    """Rounds in turn, the order turned by one each time; the first round of each server only warms it."""
    figures = {server.name: Figures() for server in sides}
    requests = {server.name: work.requests(world) for server in sides}
    say(f"{work.name}: {size.rounds} rounds of {size.seconds} s for each of {len(sides)}")
    for server in sides:
        _checked(server, work, load.run(server.port, requests[server.name], connections=size.connections,
                                        seconds=size.seconds / 2))  # fmt: skip
    for turn in range(size.rounds):
        for server in [*sides[turn % len(sides) :], *sides[: turn % len(sides)]]:
            one_round(server, work, requests[server.name], size, ground, figures[server.name])
    return {name: found.summary() for name, found in figures.items()}


def one_round(
    server: Server, work: Work, requests: Iterator[bytes], size: Size, ground: Stage, figures: Figures
) -> None:
    application, database = cpu.spent(server.pids()), cpu.spent(ground.backends())
    made = load.run(server.port, requests, connections=size.connections, seconds=size.seconds)
    used_there = cpu.between(application, cpu.spent(server.pids()))
    used_below = cpu.between(database, cpu.spent(ground.backends()))
    _checked(server, work, made)
    figures.rates.append(made.rate)
    figures.application.append(used_there / made.answers / 1000)
    figures.database.append(used_below / made.answers / 1000)


def measure_hanging(
    servers: dict[str, Server], hummingbot: Server, world: World, size: Size
) -> dict[str, dict[str, Any]]:
    """The product while Hummingbot answers and while it hangs, in turn; and one request to the design that asks it."""
    work = next(work for work in WORKS if work.asks_hummingbot)
    rates: dict[str, list[float]] = {"answer": [], "hang": []}
    for _ in range(max(2, size.rounds - 2)):
        for word, found in rates.items():
            load.ask(hummingbot.port, f"GET /{word} HTTP/1.1\r\n\r\n".encode())
            made = load.run(servers[PRODUCT].port, work.requests(world), connections=size.connections,
                            seconds=size.seconds)  # fmt: skip
            found.append(_checked(servers[PRODUCT], work, made).rate)
    began = time.monotonic()
    load.ask(servers[ASKING].port, next(work.requests(world)))
    waited = time.monotonic() - began
    answering, hanging = statistics.median(rates["answer"]), statistics.median(rates["hang"])
    return {
        "ratios": {"hummingbot_hangs": {"product_rps_hanging_over_answering": round(hanging / answering, 2)}},
        "figures": {"hummingbot_hangs": {PRODUCT: {"rps": round(hanging, 1)}, ASKING: {"seconds": round(waited, 1)}}},
    }


def ratios_of(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Per work: how many times the requests per second of each reference, and of their CPU which part (limit: times)."""
    found: dict[str, dict[str, float]] = {}
    for name, sides in figures.items():
        own = sides[PRODUCT]
        found[name] = {}
        for other, theirs in sides.items():
            if other != PRODUCT:
                found[name][f"rps_over_{other}"] = round(own["rps"] / theirs["rps"], 2)
                found[name][f"cpu_of_{other}"] = round(own["cpu_us"] / theirs["cpu_us"], 2)
    return found


def tell(figures: dict[str, dict[str, dict[str, float]]], ratios: dict[str, dict[str, float]]) -> None:
    """For people: the table, and each goal beside what was found."""
    for name, sides in figures.items():
        for server, found in sides.items():
            say(f"{name:15} {server:20} {found['cpu_us']:7.0f} µs ({found['cpu_us_application']:.0f} + "
                f"{found['cpu_us_database']:.0f})  {found['rps']:8.1f} r/s")  # fmt: skip
    for (name, other, figure), bound in GOALS.items():
        if name in ratios:
            found_ratio = ratios[name][f"rps_over_{other}" if figure == "rate" else f"cpu_of_{other}"]
            good = found_ratio >= bound if figure == "rate" else found_ratio <= bound
            words = ("r/s", ">=") if figure == "rate" else ("CPU", "<=")
            say(
                f"{'holds' if good else 'MISSES':6} {name}: {words[0]} {found_ratio} of {other} (goal {words[1]} {bound})"
            )
    if "hummingbot_hangs" in ratios:
        say(f"Hummingbot hangs: {ratios['hummingbot_hangs']}")


def say(text: str) -> None:
    sys.stderr.write(f"bench | {text}\n")
    sys.stderr.flush()


def _checked(server: Server, work: Work, made: load.Round) -> load.Round:
    if made.bad:
        raise SystemExit(f"{server.name} failed at {work.name} ({len(made.bad)} times), first:\n{made.bad[0]}")
    return made


def _difference(one: Any, other: Any) -> str:
    expected, answer = json.dumps(one), json.dumps(other)
    at = next((i for i, (a, b) in enumerate(zip(expected, answer, strict=False)) if a != b), 0)
    return f"...{expected[max(0, at - 120) : at + 160]}\n...{answer[max(0, at - 120) : at + 160]}"
