"""What the sandbox's own books say of the chaos: when each strategy ran, and how often each deploy was carried out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import psycopg

from bench.chaos_house import House
from bots.rules.names import requested_by_us

RISEN_S = 60  # who begins so soon after chaos revived the other could not know of it
BESIDE_S = 180  # so long what chaos revived may take to be taken down again, with Hummingbot away meanwhile
_KNOWN = "SELECT requested_name, instance_name FROM bot_deployments"


@dataclass(frozen=True, slots=True)
class Span:
    """A strategy that ran in a container, from and until in epoch milliseconds."""

    name: str
    began_ms: int
    ended_ms: int


@dataclass(slots=True)
class Books:
    faults: list[str] = field(default_factory=list)
    pardoned: list[str] = field(default_factory=list)  # ran beside another because chaos itself revived one of them
    times_run: int = 0
    containers: int = 0


def read_books(house: House, revived: Iterable[tuple[str, int]]) -> Books:
    """Whether ever two strategies of one bot ran at a time, or one deploy was carried out twice or for nobody."""
    told = house.control("GET", "/journal")
    if told is None:
        return Books(faults=["the sandbox does not show its books"])
    with psycopg.connect(house.superuser()) as database:
        known: dict[str, str] = dict(database.execute(_KNOWN).fetchall())
    spans, books = spans_of(told["moves"]), Books()
    books.times_run, books.containers = len(spans), len(told["runs"])
    books.faults, books.pardoned = doubled(spans, revived)
    books.faults += deployed_wrongly([run["bot_name"] for run in told["runs"]], known)
    return books


def spans_of(moves: Iterable[dict[str, Any]]) -> list[Span]:
    """One for each time that a strategy of ours ran; those that still run have no end yet."""
    began: dict[str, int] = {}
    spans = []
    for move in moves:
        name = move["name"]
        if not requested_by_us(name):
            continue
        if move["is_running"]:
            began[name] = move["at_ms"]
        elif name in began:
            spans.append(Span(name, began.pop(name), move["at_ms"]))
    return spans + [Span(name, at_ms, 2**62) for name, at_ms in began.items()]


def doubled(spans: Iterable[Span], revived: Iterable[tuple[str, int]]) -> tuple[list[str], list[str]]:
    """Where two containers of one bot traded at a time: faults, and what chaos itself brought about by a revival."""
    of_bot: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        of_bot[span.name.split("-")[1]].append(span)
    risen = list(revived)
    faults: list[str] = []
    pardoned: list[str] = []
    for found in of_bot.values():
        for one, other in combinations(found, 2):
            began, ended = max(one.began_ms, other.began_ms), min(one.ended_ms, other.ended_ms)
            if one.name == other.name or began >= ended:
                continue
            long = f"for {(ended - began) / 1000:.1f} s" if ended < 2**62 else "and still run"
            sentence = f"{one.name} and {other.name} ran together {long}"
            by_chaos = any(
                name in (one.name, other.name) and 0 <= began - at_ms <= RISEN_S * 1000 for name, at_ms in risen
            )
            is_pardoned = by_chaos and ended - began <= BESIDE_S * 1000
            (pardoned if is_pardoned else faults).append(sentence)
    return faults, pardoned


def deployed_wrongly(made: Iterable[str], known: dict[str, str]) -> list[str]:
    """Containers that one deploy made beside another, or that no deployment of ours knows. ``known``: instance by request."""
    by_request: dict[str, list[str]] = defaultdict(list)
    for name in made:
        if requested := requested_by_us(name):
            by_request[requested].append(name)
    faults = [f"deployed {len(names)} times: {names}" for names in by_request.values() if len(names) > 1]
    for requested, names in by_request.items():
        if known.get(requested) not in names:
            faults.append(f"{names[0]} was made, and its deployment knows of '{known.get(requested)}'")
    return faults
