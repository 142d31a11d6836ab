"""``python -m sandbox.demo``: fills a fresh bridge with lively data, through its own API, as any frontend would.

The sandbox gets keys, external bots and life scripts; the bridge gets clients, connectors and bots, which are started,
and its desk gets a strategy of each old mode.
What is there already stays as it is, so a second start of the demo changes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from sandbox.demo_arena import fill_arena

_TIMEOUT_S = 30
_START_AGAIN_S = 2.0
_STEADY: list[dict[str, Any]] = []
_SLOWS = [
    {"after_s": 60, "do": "slow", "factor": 30},
    {"after_s": 170, "do": "recover"},
    {"after_s": 260, "do": "recover"},
]
_DIES = [{"after_s": 45, "do": "die"}, {"after_s": 240, "do": "recover"}, {"after_s": 330, "do": "recover"}]
_DIES_LATER = [{"after_s": 150, "do": "die"}, {"after_s": 330, "do": "recover"}, {"after_s": 420, "do": "recover"}]
_DIES_FOR_GOOD = [{"after_s": 75, "do": "die"}]
_LIVES = {"steady": _STEADY, "slows": _SLOWS, "dies": _DIES, "dies_later": _DIES_LATER, "dies_for_good": _DIES_FOR_GOOD}


@dataclass(frozen=True)
class DemoBot:
    name: str
    pair: str
    exchange: str = "kucoin"
    life: str = "steady"
    mean_interval_s: float = 5.0
    kind: str = "external"  # or hummingbot: deployed through the sandbox's Hummingbot
    is_started: bool = True
    capital: str | None = "10000"  # without one there is no equity and no rank by return


@dataclass(frozen=True)
class DemoClient:
    name: str
    account: str
    wallet: tuple[str, str] | None
    exchanges: tuple[str, ...]
    bots: tuple[DemoBot, ...] = field(default=())
    strategies: tuple[tuple[str, str], ...] = ()  # (mode, symbol), on the bridge's default exchange


CLIENTS = (
    DemoClient(
        "Sharp Foundation",
        "client_sharp",
        ("evm", "0x6CC52d4b397E0DdFDcd1ecbB37902003C4801685"),
        ("kucoin", "bitmart"),
        (
            DemoBot("Sharp Spread", "SHARP/USDT", kind="hummingbot"),
            DemoBot("Sharp Volume", "LTC/USDT", life="slows"),
            DemoBot("Sharp Legacy", "SHARP/USDT", exchange="bitmart"),
        ),
    ),
    DemoClient(
        "Lynk Labs",
        "client_lynk_labs",
        ("evm", "0x52908400098527886E0F7030069857D2E4169EE7"),
        ("kucoin", "binance"),
        (
            DemoBot("Lynk BTC Maker", "BTC/USDT", kind="hummingbot", life="dies_later"),
            DemoBot("Lynk ETH Maker", "ETH/USDT"),
            DemoBot("Lynk SOL Maker", "SOL/USDT", life="dies"),
            DemoBot("Lynk Alt Basket", "XRP/USDT", exchange="binance", life="slows"),
            DemoBot("Lynk Doge Night", "DOGE/USDT", exchange="binance", mean_interval_s=9, capital=None),
        ),
    ),
    DemoClient(
        "Northwind Capital",
        "client_northwind",
        ("solana", "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"),
        ("binance",),
        (
            DemoBot("Northwind BTC", "BTC/USDT", exchange="binance"),
            DemoBot("Northwind ETH", "ETH/USDT", exchange="binance", life="dies_for_good"),
            DemoBot("Northwind LTC", "LTC/USDT", exchange="binance", mean_interval_s=12),
            DemoBot("Northwind Spread", "SOL/USDT", exchange="binance", kind="hummingbot"),
        ),
    ),
    DemoClient(
        "Harbour Market Making",
        "client_harbour",
        ("evm", "0xde709f2102306220921060314715629080e2fb77"),
        ("kucoin",),
        (
            DemoBot("Harbour XRP", "XRP/USDT", mean_interval_s=3),
            DemoBot("Harbour DOGE", "DOGE/USDT", life="dies"),
            DemoBot("Harbour Idle", "BTC/USDT", is_started=False),
        ),
    ),
)
_DESK_EXCHANGE = os.environ.get("STRATEGY_DEFAULT_EXCHANGE", "").strip() or "binance"
DESK = DemoClient(
    "Desk",
    "desk",
    None,
    (_DESK_EXCHANGE,),
    strategies=(("scalp", "BTCUSDT"), ("bull", "ETHUSDT"), ("bear", "SOLUSDT"), ("range", "XRPUSDT")),
)
"""The bridge makes this client itself when somebody starts a strategy without naming one; here it can trade."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--url", required=True, help="The bridge's address.")
    parser.add_argument("--credentials", required=True, type=Path, help="The bridge's credentials.json.")
    options = parser.parse_args()
    try:
        api_key = json.loads(options.credentials.read_text(encoding="utf-8"))["api_key"]
    except (OSError, ValueError, KeyError):
        print(f"No demo data: {options.credentials} holds no API key of this bridge.", file=sys.stderr)  # noqa: T201
        return 1
    try:
        demo = Demo(bridge=options.url, api_key=api_key, sandbox=os.environ["SANDBOX_URL"])
        made = demo.fill()
        demo.fill_arena()
    except requests.RequestException as error:
        refused = getattr(error.response, "status_code", None) == 401
        why = f"the bridge does not know the API key in {options.credentials}" if refused else f"{type(error).__name__}"
        print(f"No demo data, or not all of it: {why}.", file=sys.stderr)  # noqa: T201
        return 1
    print(f"The demo has {len(CLIENTS) + 1} clients; {made} bots and strategies were made now.")  # noqa: T201
    return 0


class Demo:
    """A bridge and a sandbox, both spoken to over HTTP."""

    def __init__(self, *, bridge: str, api_key: str, sandbox: str) -> None:
        self._bridge, self._sandbox = bridge.rstrip("/"), sandbox.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._authorization = {"Authorization": f"Bearer {api_key}"}

    def fill(self, clients: tuple[DemoClient, ...] = CLIENTS) -> int:
        """Add what is missing; returns how many bots and strategies were made."""
        existing = {row["account_identifier"]: row for row in self._call("GET", "/clients")["clients"]}
        keys = {client.account: self._make_client(client) for client in clients if client.account not in existing}
        made = []
        for client in clients:
            if client.account in keys:
                made += [(bot, self._make_bot(client, bot, keys[client.account])) for bot in client.bots]
        for bot, bot_id in made:  # those that answer at once first, so that there is something to see
            if bot.is_started and bot.kind == "external":
                self._call("POST", f"/bots/{bot_id}/start")
        for bot, bot_id in made:
            if bot.is_started and bot.kind != "external":
                self._start_deployed(bot, bot_id)
        return len(made) + self._fill_desk(existing.get(DESK.account))

    def fill_arena(self) -> None:
        """The bots that language models steer, unless they are there."""
        accounts = {row["account_identifier"] for row in self._call("GET", "/clients")["clients"]}
        print(fill_arena(accounts, self._control), end="")  # noqa: T201

    def _fill_desk(self, known: dict[str, Any] | None) -> int:
        """Its connector and its strategies, unless it has a connector: then all of this was done before."""
        if known is None:
            self._make_client(DESK)
        elif known["connectors"]:
            return 0
        else:
            [connector] = _connectors(self._make_keys(DESK))
            self._call("PUT", f"/clients/{known['id']}/connector", connector)
        for mode, symbol in DESK.strategies:
            self._call("POST", "/api/live-strategy/start", {"symbol": symbol, "mode": mode})
        return len(DESK.strategies)

    def _make_client(self, client: DemoClient) -> dict[str, dict[str, str]]:
        """The client with its wallet and connectors, and its keys at the sandbox's exchanges."""
        keys = self._make_keys(client)
        wallets = [{"chain": client.wallet[0], "address": client.wallet[1]}] if client.wallet else []
        self._call(
            "POST",
            "/clients/create",
            {
                "name": client.name,
                "account_identifier": client.account,
                "wallets": wallets,
                "connectors": _connectors(keys),
            },
        )
        return keys

    def _make_keys(self, client: DemoClient) -> dict[str, dict[str, str]]:
        keys = {exchange: _new_key(exchange) for exchange in client.exchanges}
        for exchange, key in keys.items():
            if exchange != "bitmart":  # it closed; no exchange of the sandbox plays it
                self._control("/keys", {"exchange": exchange, "account": client.account, **key})
        return keys

    def _make_bot(self, client: DemoClient, bot: DemoBot, keys: dict[str, dict[str, str]]) -> str:
        if bot.kind == "external" and bot.exchange != "bitmart" and bot.is_started:
            self._control(
                "/bots",
                {
                    "name": bot.name,
                    "exchange": bot.exchange,
                    "pair": bot.pair,
                    "mean_interval_s": bot.mean_interval_s,
                    "api_key": keys[bot.exchange]["api_key"],
                    "script": _LIVES[bot.life],
                    "loop": bot.life != "dies_for_good",
                },
            )
        made = self._call(
            "POST",
            "/bots/create",
            {
                "name": bot.name,
                "account": client.account,
                "connector": bot.exchange,
                "pair": bot.pair,
                "strategy": "spread",
                "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
                "runtime_kind": bot.kind,
            },
        )
        if bot.capital and bot.is_started:
            self._call("PUT", f"/api/v2/bots/{made['id']}/account", {"allocated_capital": bot.capital})
        return str(made["id"])

    def _start_deployed(self, bot: DemoBot, bot_id: str) -> None:
        """Start it, and give its container a life of its own once Hummingbot has named it."""
        self._call("POST", f"/bots/{bot_id}/start")
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            shown = self._call("GET", f"/bots/{bot_id}")
            if shown["status"] == "running":
                if _LIVES[bot.life]:
                    self._control("/lives", {"bot": shown["instance_name"], "script": _LIVES[bot.life]})
                return
            time.sleep(_START_AGAIN_S)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._session.request(
            method, self._bridge + path, json=body, headers=self._authorization, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        return answer.json()

    def _control(self, path: str, body: dict[str, Any]) -> None:
        self._session.post(f"{self._sandbox}/control{path}", json=body, timeout=_TIMEOUT_S).raise_for_status()


def _connectors(keys: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    """As the bridge's API takes them."""
    return [
        {"name": exchange, "api_key": key["api_key"], "api_secret": key["secret"], "memo": key["passphrase"]}
        for exchange, key in keys.items()
    ]


def _new_key(exchange: str) -> dict[str, str]:
    """A passphrase only where the exchange has one: KuCoin's, or BitMart's memo."""
    passphrase = "" if exchange == "binance" else secrets.token_hex(8)
    return {"api_key": secrets.token_hex(16), "secret": secrets.token_hex(24), "passphrase": passphrase}


if __name__ == "__main__":
    raise SystemExit(main())
