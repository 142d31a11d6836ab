"""The arena of the benchmark: clients, providers, 1,000 started bots, each with a past and some open positions.

All of it is made by the product's own services, beside a sandbox that stands for exchange and models; that the bots are
started is written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from itertools import islice
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID, uuid4

EXCHANGE = "binance"
PASS = "sk-bench"
KINDS = {"openai": "gpt-sandbox", "anthropic": "claude-sandbox", "google": "gemini-sandbox"}
MORE_MARKETS = {
    "ADA": "0.35", "AVAX": "17.4", "BNB": "603", "DOT": "4.1", "LINK": "13.2", "NEAR": "2.6", "SUI": "1.9", "TON": "3.1",
    "TRX": "0.13", "UNI": "6.2", "APT": "5.4", "ATOM": "4.6", "FIL": "2.2",
}  # fmt: skip
HELD = (("BTC/USDT", "LONG"), ("ETH/USDT", "SHORT"), ("SOL/USDT", "LONG"))
PAST = 15  # decisions: what a bot is shown word for word
PROMPT = (
    "You are trader {number}, careful and patient. It is {{{{currentDate}}}}; you are worth {{{{totalValue}}}}, of which "
    "{{{{availableBalance}}}} is free and {{{{unrealizedPnl}}}} not realised.\n" + "Cut losses early, let gains run. " * 30
    + "\nYou hold:\n{{{{openPositions}}}}\nMarket data:\n{{{{marketData}}}}"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArenaWorld:
    """What was made, and the key that reads each client's rows; ``operator`` reads all."""

    clients: list[UUID]
    bots: list[UUID]
    keys: dict[UUID, str]
    operator: str


def control(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One call to the sandbox's control endpoint."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{url}/control{path}", data, {"Content-Type": "application/json"}), timeout=30) as answer:
        return json.loads(answer.read())


def prepare_sandbox(url: str, *, latency_s: float) -> None:
    """A key for all models, which answer late, and as many markets as the arena follows."""
    control(url, "/model/keys", {"key": PASS, "account": "bench"})
    control(url, "/faults", {"target": "model:all", "fault": "latency", "seconds": latency_s})
    for base, price in MORE_MARKETS.items():
        control(url, "/markets", {"exchange": EXCHANGE, "pair": f"{base}/USDT", "price": price})


def plant(*, clients: int, bots: int) -> ArenaWorld:
    """Everything; bots belong to clients in turn."""
    from clients.rules.words import KeyKind, KeyScope
    from clients.services.keys import create_api_key
    from clients.services.manage_clients import create_client
    from ground.scope import Scope

    scope = Scope(actor="operator:bench")
    owners, keys = [], {}
    for number in range(clients):
        owner = create_client(
            scope=scope, name=f"Bench {number}", account_identifier=f"bench_{number}", wallets=[], connectors=[]
        )
        owners.append(owner)
        keys[owner] = create_api_key(scope=scope, kind=KeyKind.CLIENT, key_scope=KeyScope.READ, client_id=owner)
    operator = create_api_key(scope=scope, kind=KeyKind.OPERATOR, key_scope=KeyScope.READ)
    made = _make_bots(scope, clients, bots)
    _give_past(made)
    _start(made)
    return ArenaWorld(owners, made, keys, operator)


def parts(rows: Sequence[UUID], size: int = 100) -> Iterator[list[UUID]]:
    rest = iter(rows)
    while part := list(islice(rest, size)):
        yield part


def _make_bots(scope: Any, clients: int, bots: int) -> list[UUID]:
    from arena.rules.statuses import ProviderKind
    from arena.services.participants import create_participant
    from arena.services.providers import create_provider

    price = {"*": {"input": "1", "output": "4"}}
    providers = [
        create_provider(
            scope=scope, name=kind, kind=ProviderKind(kind), model=model, api_key=PASS, is_shared=True, prices=price
        )
        for kind, model in KINDS.items()
    ]
    now = datetime.now(UTC)
    return [
        create_participant(
            scope=scope, account=f"bench_{number % clients}", name=f"bot {number}", now=now,
            prompt=PROMPT.format(number=number), provider_id=providers[number % len(providers)],
        ).bot_id
        for number in range(bots)
    ]  # fmt: skip


def _give_past(bots: Sequence[UUID]) -> None:
    """Decisions of earlier turns, and what they opened, at the prices of now."""
    from arena.models import ArenaMarket
    from ground.scope import system_scope
    from ledger.rules.words import Action
    from ledger.services.record_paper import NewDecision, PaperEntry, lock_accounts, record_decision, record_fills

    scope, now = system_scope("bench"), datetime.now(UTC)
    with scope.transaction():
        prices = {row.symbol: row.price for row in ArenaMarket.objects.filter(exchange=EXCHANGE)}
    said = [{"action": "LONG", "symbol": "BTC/USDT", "size": D(200), "leverage": D(2), "stopLoss": D(30_000),
             "reasoning": "It has risen all day with growing volume; a small position with a stop well below."}]  # fmt: skip
    told = ["Opened LONG BTC/USDT: 0.0065 at 61000, 2x, fee 0.2."]
    for part in parts(bots):
        with scope.transaction():
            accounts = lock_accounts(part)
            fills = []
            for bot_id in part:
                client_id = accounts[bot_id].client_id
                for age in range(PAST, 0, -1):
                    at = now - timedelta(seconds=200 * age)
                    record_decision(NewDecision(uuid4(), client_id, bot_id, at, "What now?", said, told, True))
                for symbol, action in HELD:
                    price = prices[symbol]
                    stops = {"stop_loss": price * D("0.75"), "take_profit": price * D("1.5")}
                    if action == "SHORT":
                        stops = {"stop_loss": price * D("1.5"), "take_profit": price * D("0.6")}
                    fills.append(PaperEntry(bot_id, symbol, Action(action), price, (D(300) / price).quantize(D("1e-4")), D(2),
                                            D("0.15"), **stops))  # fmt: skip
            record_fills(fills, accounts=accounts, at=now - timedelta(hours=1), now=now, place="bench")


def _start(bots: Sequence[UUID]) -> None:
    from bots.models import Bot
    from ground.scope import system_scope

    with system_scope("bench").transaction():
        Bot.objects.filter(id__in=list(bots)).update(desired_status="running", desired_at=datetime.now(UTC))
