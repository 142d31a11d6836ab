"""Who shall run: bots and strategies of a client, what was wished of each through the API, and what came back."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from bench.chaos_house import EXCHANGES, House

ACCOUNT = "chaos"
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "DOGE/USDT", "LTC/USDT", "SHARP/USDT")
MODES = ("scalp", "bull", "bear", "range")


@dataclass(slots=True)
class Wish:
    """``status`` is the answer's; None: no answer came, so it may have been stored or not."""

    is_run: bool
    sent_at: datetime
    status: int | None = None
    word: str = ""
    answered_at: datetime | None = None

    @property
    def is_sure(self) -> bool:
        return self.status is not None and self.status < 300


@dataclass(slots=True)
class Target:
    """A bot, or a strategy with the bot it owns."""

    name: str
    bot_id: str = ""
    pair: str = ""
    mode: str = ""  # of a strategy; a plain bot has none
    others: set[str] = field(default_factory=set)  # bots that were made for the same strategy beside the first: a fault
    wishes: list[Wish] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def symbol(self) -> str:
        """As it goes to the product."""
        return self.pair.replace("/", "")

    def may_be_wanted(self) -> set[bool]:
        """What the product may hold for wanted: the last wish it agreed to, or a later one that it never answered."""
        possible: set[bool] = {False}
        for wish in self.wishes:
            possible = {wish.is_run} if wish.is_sure else possible | {wish.is_run}
        return possible

    def note_bot(self, bot_id: str) -> None:
        self.bot_id = self.bot_id or bot_id
        self.others |= {bot_id} - {self.bot_id, ""}

    def request(self, *, is_run: bool) -> tuple[str, dict[str, Any] | None]:
        if not self.mode:
            return f"/bots/{self.bot_id}/{'start' if is_run else 'stop'}", None
        body = {"symbol": self.symbol, "exchange": EXCHANGES[0], "account": ACCOUNT}
        if is_run:
            return "/api/live-strategy/start", body | {"mode": self.mode}
        return "/api/live-strategy/stop", body | {"reason": "chaos"}


class Wishes:
    """Speaks to the product in threads of its own, one request at a time for each target."""

    def __init__(self, house: House, targets: list[Target]) -> None:
        self.house, self.targets = house, targets
        self._pool = ThreadPoolExecutor(6)

    def send(self, *, which: float, is_run: bool) -> str:
        target = self.targets[int(which * len(self.targets))]
        self._pool.submit(self.wish, target, is_run=is_run)
        return target.name

    def wish(self, target: Target, *, is_run: bool) -> Wish:
        with target.lock:
            path, body = target.request(is_run=is_run)
            wish = Wish(is_run, datetime.now(UTC))
            target.wishes.append(wish)
            try:
                answer = self.house.call("POST", path, body)
                wish.status, told = answer.status_code, answer.json()
                wish.word = str(told.get("status") or told.get("detail") or told)[:300]
                target.note_bot(str(told.get("bot_id") or ""))
            except (requests.RequestException, ValueError):
                pass
            wish.answered_at = datetime.now(UTC)
            return wish

    def end(self) -> None:
        """Once the last answer came."""
        self._pool.shutdown()


def plant(house: House, *, bots: int, strategies: int) -> list[Target]:
    """A client with keys at two exchanges, bots on the one and strategies on the other; each has run once."""
    connectors = []
    for exchange in EXCHANGES:
        memo = "" if exchange == "binance" else "pass"
        key = {"api_key": f"{exchange}{'x' * 24}", "secret": "secret", "passphrase": memo}
        if house.control("POST", "/keys", {"exchange": exchange, "account": ACCOUNT, **key}) is None:
            raise SystemExit("The sandbox takes no key.")
        connectors.append({"name": exchange, "api_key": key["api_key"], "api_secret": "secret", "memo": memo})
    client = {"name": "Chaos", "account_identifier": ACCOUNT, "wallets": [], "connectors": connectors}
    house.call("POST", "/clients/create", client).raise_for_status()
    targets = [_bot(house, PAIRS[n % len(PAIRS)]) for n in range(bots)]
    targets += [
        Target(f"{MODES[n % 4]} {PAIRS[n]}", pair=PAIRS[n], mode=MODES[n % 4])
        for n in range(min(strategies, len(PAIRS)))
    ]
    wishes = Wishes(house, targets)
    for target in targets:
        if not wishes.wish(target, is_run=True).is_sure:
            raise SystemExit(f"{target.name} does not start: {target.wishes[-1]}")
        time.sleep(0.1)
    wishes.end()
    return targets


def _bot(house: House, pair: str) -> Target:
    made = house.call("POST", "/bots/create", {
        "name": f"bot {pair}", "account": ACCOUNT, "connector": EXCHANGES[1], "pair": pair, "strategy": "spread",
        "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}, "runtime_kind": "hummingbot",
    })  # fmt: skip
    made.raise_for_status()
    return Target(f"bot {pair}", bot_id=str(made.json()["id"]), pair=pair)
