"""What is asked of every server: endless requests for the load, a few to compare the answers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.load import HOST
from bench.seed import LARGE_ACCOUNTS, World, account, token

# Not compared: instants of this very moment, ages, and ids that each server makes itself.
AGES = {"age_s", "observed_at"}
MADE = {"id", "created_at", "updated_at", "status_updated_at"}


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request, asked by whoever asks it in life: dashboards of clients, and operators."""

    name: str
    requests: Callable[[World], Iterator[bytes]]
    differs: frozenset[str] = frozenset(AGES)
    asks_hummingbot: bool = False


def request(method: str, path: str, key: str, body: object = None) -> bytes:
    """One HTTP request, as bytes."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


def _list_100(world: World) -> Iterator[bytes]:
    accounts = range(1, LARGE_ACCOUNTS + 1)
    return itertools.cycle([request("GET", f"/bots?account={account(k)}", token(0)) for k in accounts])


def _list_5(world: World) -> Iterator[bytes]:
    accounts = world.typical_accounts
    return itertools.cycle([request("GET", f"/bots?account={account(k)}", token(k)) for k in accounts])


def _wallet(world: World) -> Iterator[bytes]:
    # In upper case: look-ups of EVM addresses do not mind.
    paths = [f"/clients/by-wallet/0x{address[2:].upper()}" for address in world.wallets]
    return itertools.cycle([request("GET", path, token(0)) for path in paths])


def _create(world: World) -> Iterator[bytes]:
    accounts = itertools.cycle(world.typical_accounts)
    for number in itertools.count():
        yield request("POST", "/bots/create", token(0), _new_bot(number, next(accounts)))


def _new_bot(number: int, owner: int) -> dict[str, Any]:
    return {
        "name": f"New {number}", "account": account(owner), "connector": "kucoin", "pair": "SHARP/USDT",
        "strategy": "spread", "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
    }  # fmt: skip


def _runtime(world: World) -> Iterator[bytes]:
    return itertools.repeat(request("GET", f"/bots?account={account(1)}", token(0)))


WORKS = (
    Work("list_100", _list_100),
    Work("list_5", _list_5),
    Work("wallet", _wallet),
    Work("create", _create, differs=frozenset(AGES | MADE)),
    Work("hummingbot_20ms", _runtime, asks_hummingbot=True),
)


def normal(answer: Any, differs: frozenset[str]) -> Any:
    """The answer without what may differ; keys in order, so that a difference can be read."""
    if isinstance(answer, dict):
        return {key: normal(value, differs) for key, value in sorted(answer.items()) if key not in differs}
    if isinstance(answer, list):
        return [normal(item, differs) for item in answer]
    return answer
