"""The sandbox's Hummingbot with the cast's acme, and the bridge's workers, for tests of strategies."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import BotDeployment
from bots.services.poll_hummingbot import poll_hummingbot
from bots.services.reconcile_bots import reconcile_due
from clients.services.manage_accounts import add_connector
from sandbox.testing import Sandbox
from strategies.services.follow_bots import follow_bots
from tests.fixtures import OPERATOR, Answer, Caller, Cast

START, STOP = "/api/live-strategy/start", "/api/live-strategy/stop"
STATUS, HISTORY = "/api/live-strategy/status", "/api/live-strategy/history"
DEPLOY = "/bot-orchestration/deploy-v2-controllers"
KEY, SECRET = "key-of-the-desk-0123456789", "secret-of-the-desk"


@dataclass
class StrategyDesk:
    """Callers, and workers whose clock can be put forward together with the sandbox's."""

    sandbox: Sandbox
    cast: Cast
    ahead: timedelta = timedelta()

    def clock(self) -> datetime:
        return timezone.now() + self.ahead

    def gateway(self) -> HummingbotGateway:
        return HummingbotGateway(self.sandbox.hummingbot_url, "admin", "admin", timeout_s=5)

    def work(self, *, later_s: float = 0) -> None:
        if later_s:
            self.ahead += timedelta(seconds=later_s)
            self.sandbox.advance(later_s)
        reconcile_due(gateway=self.gateway(), clock=self.clock)

    def poll(self) -> None:
        poll_hummingbot(gateway=self.gateway(), clock=self.clock, force=True)

    def follow(self) -> None:
        follow_bots(now=timezone.now())

    def work_until(self, condition: Callable[[], Any]) -> Any:
        def tried() -> Any:
            self.work(later_s=2)
            self.follow()
            return condition()

        return self.sandbox.wait_until(tried, timeout_s=30)

    def post(self, path: str, body: dict[str, Any], *, by: Caller | None = None) -> Answer:
        """A request while the workers work, as they do."""
        caller = by or self.cast.acme_manages
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(_in_thread, caller, path, body)
            while not answer.done():
                self.work()
            return answer.result()

    def start(self, symbol: str = "BTCUSDT", *, by: Caller | None = None, **more: Any) -> Answer:
        body = {"symbol": symbol, "mode": "spread", "exchange": "kucoin"} | more
        return self.post(START, body, by=by)

    def stop(self, symbol: str = "BTCUSDT", **more: Any) -> Answer:
        return self.post(STOP, {"symbol": symbol} | more)

    def status(self, query: str = "") -> Any:
        return self.cast.acme_reads.get(STATUS + query).body

    def history(self, query: str = "") -> Any:
        return self.cast.acme_reads.get(HISTORY + query).body["history"]

    def deploys(self) -> int:
        return len(self.sandbox.calls(system="hummingbot", path=DEPLOY, method="POST"))

    def running(self) -> list[str]:
        return [name for name, container in self.sandbox.containers().items() if container == "running"]

    def deployment(self, bot: UUID | str) -> BotDeployment:
        return BotDeployment.objects.filter(bot_id=bot).latest("sequence")


def add_key(sandbox: Sandbox, cast: Cast, client: UUID, exchange: str) -> None:
    """A connector of the client, with a key that the sandbox's exchange knows."""
    sandbox.add_key(exchange, KEY, SECRET, passphrase="pass")
    add_connector(scope=OPERATOR, client_id=client, name=exchange, api_key=KEY, api_secret=SECRET, passphrase="pass")


def _in_thread(caller: Caller, path: str, body: dict[str, Any]) -> Answer:
    try:
        return caller.post(path, body)
    finally:
        connections.close_all()
