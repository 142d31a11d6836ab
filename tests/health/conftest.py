"""A sandbox exchange, gateways that reach it, and short words for what these tests do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from bots.models import Bot, BotHealth
from bots.services.start_bot import start_bot
from clients.models import Connector
from clients.services.manage_accounts import put_connector
from exchanges.gateways.pool import GatewayPool
from health.models import BotHealthLog
from health.services.ask_runtime import Histories
from health.services.run_checks import check_bots
from sandbox.testing import Sandbox, start
from tests.fixtures import OPERATOR, Cast, make_bot

ACME_KEY = {"api_key": "key-of-acme-0123456789", "secret": "secret-of-acme", "passphrase": "memo-of-acme"}


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[Sandbox]:
    with start(mean_interval_s=100_000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox's exchanges with acme's key at KuCoin and at Binance; no faults, no trades of earlier tests."""
    for exchange in ("kucoin", "binance"):
        running_sandbox.add_key(exchange, ACME_KEY["api_key"], ACME_KEY["secret"], passphrase=ACME_KEY["passphrase"])
    yield running_sandbox
    running_sandbox.clear_faults()
    for key in (ACME_KEY["api_key"], "second-key-0123456789"):
        running_sandbox.control("DELETE", "/trades", params={"api_key": key})


@dataclass
class Monitor:
    """Drives health on the real database, with gateways that speak to the sandbox."""

    sandbox: Sandbox
    gateways: GatewayPool

    def start(self, bot_id: UUID) -> UUID:
        start_bot(scope=OPERATOR, bot_id=bot_id, now=timezone.now())
        return bot_id

    def running_bot(self, **fields: Any) -> UUID:
        return self.start(make_bot("client_acme", **fields))

    def traded(self, minutes_ago: float, *, exchange: str = "kucoin", pair: str = "BTC/USDT", **more: Any) -> None:
        key = more.pop("api_key", ACME_KEY["api_key"])
        self.sandbox.add_trade(exchange, pair, key, age_s=minutes_ago * 60, **more)

    def check(
        self, *bot_ids: UUID, clock: Callable[[], datetime] = timezone.now, histories: Histories | None = None
    ) -> BotHealth:
        """One check of these bots, as the schedule makes it; gives the health row of the first."""
        check_bots(bot_ids=bot_ids, gateways=self.gateways, clock=clock, histories=histories)
        return health_of(bot_ids[0])

    def ask(self, *bot_ids: UUID) -> BotHealth:
        """The same as a person asks for it: open circuits do not matter."""
        check_bots(bot_ids=bot_ids, gateways=self.gateways, clock=timezone.now, is_scheduled=False)
        return health_of(bot_ids[0])


def health_of(bot_id: UUID) -> BotHealth:
    return BotHealth.objects.get(bot_id=bot_id)


def logs_of(bot_id: UUID) -> list[BotHealthLog]:
    return list(BotHealthLog.objects.filter(bot_id=bot_id).order_by("id"))


@pytest.fixture
def monitor(sandbox: Sandbox, cast: Cast) -> Monitor:
    """Two seconds per call are plenty on loopback, and keep a hanging exchange short."""
    base = dict.fromkeys(("kucoin", "binance", "gate"), sandbox.exchange_base)
    return Monitor(sandbox, GatewayPool(base, timeout_s=2.0))


def give_second_connector(cast: Cast, *, api_key: str) -> UUID:
    put_connector(
        scope=OPERATOR,
        client_id=cast.acme,
        name="kucoin",
        label="second",
        api_key=api_key,
        api_secret="second-secret",
        memo="second-memo",
    )
    return Connector.objects.get(client_id=cast.acme, label="second").id


def hours_ago(hours: float) -> datetime:
    return timezone.now() - timedelta(hours=hours)


__all__ = ["ACME_KEY", "Bot", "Monitor", "give_second_connector", "health_of", "hours_ago", "logs_of"]
