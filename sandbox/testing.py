"""For tests: a sandbox in a background thread on a free port, with short words for what tests ask of it.

with start() as sandbox:
    sandbox.add_key("kucoin", "key", "secret", passphrase="pass")
    sandbox.add_trade("kucoin", "BTC/USDT", "key", age_s=600)
    sandbox.fault("exchange:kucoin", "html")
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from aiohttp import web

from sandbox import state
from sandbox.hummingbot.api import Login
from sandbox.server import create_app
from sandbox.world import World

_TIMEOUT_S = 10


class Sandbox:
    """A running sandbox, spoken to over HTTP as anybody would."""

    username = "admin"
    password = "admin"  # noqa: S105 - a local toy's default

    def __init__(self, url: str) -> None:
        self.url = url
        self.hummingbot_url = f"{url}/hummingbot"
        self.exchange_base = f"{url}/exchange"
        self.model_base = f"{url}/model"
        self._session = requests.Session()
        self._session.trust_env = False

    def control(self, method: str, path: str, **arguments: Any) -> Any:
        """A call to /control; anything but success raises with the sandbox's own sentence."""
        reply = self._session.request(method, f"{self.url}/control{path}", timeout=_TIMEOUT_S, **arguments)
        if not reply.ok:
            raise AssertionError(f"sandbox control {method} {path}: {reply.status_code} {reply.text}")
        return reply.json()

    def hummingbot(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """A call to the Hummingbot API with the right password."""
        login = (self.username, self.password)
        return self._session.request(method, self.hummingbot_url + path, auth=login, timeout=_TIMEOUT_S, **arguments)

    def add_key(self, exchange: str, api_key: str, secret: str, **more: Any) -> Any:
        """``passphrase``, ``account``, ``balances``."""
        fields = {"exchange": exchange, "api_key": api_key, "secret": secret} | more
        return self.control("POST", "/keys", json=fields)

    def add_model_key(self, key: str, account: str = "") -> Any:
        """A key that all three APIs of models take."""
        return self.control("POST", "/model/keys", json={"key": key, "account": account})

    def script_model(self, *replies: str | dict[str, Any]) -> Any:
        """What models say next: words, or the fields of a scripted reply (docs/sandbox.md)."""
        return self.control("POST", "/model/script", json={"replies": list(replies)})

    def set_model(self, **options: Any) -> Any:
        """``style``, ``seed``, ``context_tokens``."""
        return self.control("POST", "/model", json=options)

    def model_calls(self, **narrowing: Any) -> list[dict[str, Any]]:
        """What models were asked: api=, model=, account=."""
        found: list[dict[str, Any]] = self.control("GET", "/model/calls", params=narrowing)
        return found

    def add_account(self, account: str, **credentials: dict[str, str]) -> Any:
        """A Hummingbot account, ``kucoin={...}`` with its fields, without the check against the exchange."""
        return self.control("POST", "/hummingbot/accounts", json={"account": account, "credentials": credentials})

    def add_bot(self, name: str, exchange: str, pair: str, api_key: str, **more: Any) -> Any:
        """An external bot: ``mean_interval_s``, ``order_amount``, ``script``, ``loop``."""
        fields = {"name": name, "exchange": exchange, "pair": pair, "api_key": api_key} | more
        return self.control("POST", "/bots", json=fields)

    def add_container(self, name: str, **more: Any) -> Any:
        """A Hummingbot bot that was there before: ``account``, ``configs``, ``script``, ``container``."""
        return self.control("POST", "/hummingbot/bots", json={"name": name} | more)

    def add_trade(self, exchange: str, pair: str, api_key: str, **more: Any) -> Any:
        """``age_s`` or ``at_ms``, ``side``, ``price``, ``quantity``, ``bot``."""
        fields = {"exchange": exchange, "pair": pair, "api_key": api_key} | more
        return self.control("POST", "/trades", json=fields)

    def fault(self, target: str, fault: str, *, on: bool = True, **options: Any) -> Any:
        """Targets: ``exchange:kucoin``, ``key:API_KEY``, ``model:openai``, ``hummingbot``, ``bot:NAME``."""
        return self.control("POST", "/faults", json={"target": target, "fault": fault, "on": on} | options)

    def clear_faults(self) -> None:
        self.control("DELETE", "/faults")

    def tape(self, **narrowing: Any) -> Any:
        """{"trades", "orders", "totals"} of bot=, account=, api_key=, exchange=, pair=."""
        return self.control("GET", "/tape", params=narrowing)

    def calls(self, **narrowing: Any) -> list[dict[str, Any]]:
        """Requests that came in: system=, path= (a part of it), method=."""
        found: list[dict[str, Any]] = self.control("GET", "/calls", params=narrowing)
        return found

    def state(self) -> Any:
        return self.control("GET", "/state")

    def containers(self) -> dict[str, str]:
        """Name to running, exited or none."""
        return {bot["name"]: bot["container"] for bot in self.state()["bots"]["hummingbot"]}

    def advance(self, seconds: float) -> None:
        """Let world seconds pass at once (silences, archiving, life scripts, cadences)."""
        self.control("POST", "/clock", json={"advance_s": seconds})

    def wait_until(self, condition: Callable[[], Any], *, timeout_s: float = 10.0) -> Any:
        """The first true answer of ``condition``."""
        deadline = time.monotonic() + timeout_s
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise AssertionError("The sandbox did not get there in time.")
            time.sleep(0.02)
        return found


@contextlib.contextmanager
def start(
    *, seed: int = 1, speed: float = 1.0, mean_interval_s: float = 60.0, state_file: Path | None = None
) -> Iterator[Sandbox]:
    """A sandbox of its own, gone at the end. ``speed`` 30 lets a bot fall silent in a second."""
    loop = asyncio.new_event_loop()
    world = state.open_world(lambda: World(seed=seed, speed=speed, mean_interval_s=mean_interval_s), state_file)
    runner = web.AppRunner(
        create_app(world, login=Login(), state_file=state_file), access_log=None, shutdown_timeout=0.5
    )
    ready, port = threading.Event(), 0

    async def serve() -> None:
        nonlocal port
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.call_soon(ready.set)  # not before: a stop that came while it was being set up would be lost
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, name="sandbox", daemon=True)
    thread.start()
    if not ready.wait(_TIMEOUT_S):
        raise RuntimeError("The sandbox did not start.")
    try:
        yield Sandbox(f"http://127.0.0.1:{port}")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_TIMEOUT_S)
