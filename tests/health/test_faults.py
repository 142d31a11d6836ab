"""Each fault that the sandbox knows, end to end: the right verdict, one incident, one message on every channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from alerts.gateways.connect import open_channel
from alerts.models import Incident, IncidentBot
from alerts.rules.words import ChannelKind
from alerts.services.channels import create_channel
from alerts.services.plan_deliveries import plan_deliveries
from alerts.services.send_deliveries import send_due
from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotRuntime
from bots.services.poll_hummingbot import poll_hummingbot
from bots.services.start_bot import start_bot
from bots.services.sync_credentials import sync_credentials
from exchanges.gateways.pool import GatewayPool
from ground.scope import system_scope
from health.models import ExchangeCircuit
from health.services.raise_incidents import look_for_incidents
from sandbox.faults import BOT_FAULTS, EXCHANGE_FAULTS, HTTP_FAULTS, HUMMINGBOT_FAULTS, KEY_FAULTS
from sandbox.testing import Sandbox, start
from tests.alerts.receivers import Receiver, receiver
from tests.fixtures import OPERATOR, Cast, make_bot
from tests.health.conftest import ACME_KEY, Monitor, health_of

ALERTS, HEALTH = system_scope("alerts"), system_scope("health")
PAIRS = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"]


@dataclass
class Ears:
    """Whoever is told: the operators and the client, each on a channel of their own."""

    operators: Receiver
    client: Receiver

    def told(self) -> list[list[tuple[str, str]]]:
        """Sends what is due; ``(event, kind of incident)`` of every message so far, by channel."""
        plan_deliveries(scope=ALERTS, now=timezone.now())
        send_due(open_channel=open_channel, clock=timezone.now)
        return [[_event(body) for body in ear.bodies()] for ear in (self.operators, self.client)]


def _event(body: bytes) -> tuple[str, str]:
    said = json.loads(body)
    return said["event"], said["incident"]["kind"]


@pytest.fixture
def ears(cast: Cast) -> Iterator[Ears]:
    with receiver() as operators, receiver() as client:
        for name, ear, of in (("operators", operators, None), ("acme", client, cast.acme)):
            create_channel(scope=OPERATOR, name=name, kind=ChannelKind.WEBHOOK, address=ear.url, client_id=of)
        yield Ears(operators, client)


def open_incidents() -> list[tuple[str, int]]:
    """``(kind, bots it touches)`` of each open incident."""
    found = Incident.objects.filter(resolved_at=None).order_by("kind")
    return [(one.kind, IncidentBot.objects.filter(incident=one, until_at=None).count()) for one in found]


UNREADABLE = {
    "latency": {"seconds": 4}, "server_error": {}, "html": {}, "empty": {}, "garbage": {}, "cut": {}, "cut_connection": {},
    "drop": {}, "lost_answer": {}, "drip": {"seconds": 1}, "redirect": {},
}  # fmt: skip


def test_every_fault_of_the_sandbox_is_in_these_tables():
    assert set(HTTP_FAULTS) == {*UNREADABLE, "rate_limit"}
    assert set(EXCHANGE_FAULTS) == {"clock_skew"} and set(KEY_FAULTS) == {"revoked"}
    assert set(HUMMINGBOT_FAULTS) == set(OF_HUMMINGBOT) and set(BOT_FAULTS) == set(OF_A_BOT)


@pytest.mark.parametrize("fault", UNREADABLE)
def test_an_exchange_that_fails_makes_its_bots_unknown_and_one_incident(monitor: Monitor, ears: Ears, fault: str):
    bots = []
    for pair in PAIRS:
        monitor.traded(5, pair=pair)
        bots.append(monitor.running_bot(pair=pair))
    monitor.check(*bots)
    assert {health_of(bot).status for bot in bots} == {"healthy"}
    monitor.sandbox.fault("exchange:kucoin", fault, **UNREADABLE[fault])
    monitor.check(*bots)
    assert {(health_of(bot).status, health_of(bot).last_known_status) for bot in bots} == {("unknown", "healthy")}
    assert {health_of(bot).cause for bot in bots} == {"exchange"}
    assert open_incidents() == [("exchange_down", 4)]
    monitor.check(*bots)
    assert ears.told() == [[("opened", "exchange_down")]] * 2
    monitor.sandbox.clear_faults()
    ExchangeCircuit.objects.update(retry_at=timezone.now())
    monitor.check(*bots)
    assert {health_of(bot).status for bot in bots} == {"healthy"}
    assert open_incidents() == []
    assert [said[1:] for said in ears.told()] == [[("resolved", "exchange_down")]] * 2


def test_an_exchange_that_asks_for_fewer_calls_is_left_alone_without_an_alarm(monitor: Monitor, ears: Ears):
    monitor.traded(5)
    bot = monitor.running_bot()
    monitor.check(bot)
    monitor.sandbox.fault("exchange:kucoin", "rate_limit", retry_after_s=30)
    assert monitor.check(bot).status == "unknown"
    monitor.sandbox.control("DELETE", "/calls")
    assert (monitor.check(bot).status, health_of(bot).last_known_status) == ("unknown", "healthy")
    assert monitor.sandbox.calls() == [], "nothing is sent before the time that was asked for"
    assert (open_incidents(), ears.told()) == ([], [[], []])


def test_a_clock_that_is_off_is_measured_and_the_verdict_is_right(monitor: Monitor, ears: Ears):
    monitor.sandbox.fault("exchange:kucoin", "clock_skew", skew_ms=-600_000)
    monitor.traded(45)
    bot = monitor.running_bot()
    health = monitor.check(bot)
    assert health.status == "stale" and abs(health.last_trade_at - timezone.now() + timedelta(minutes=45)) < timedelta(
        seconds=30
    )
    measured = ExchangeCircuit.objects.get(exchange="kucoin", fingerprint="")
    assert measured.clock_offset_ms is not None and abs(measured.clock_offset_ms + 600_000) < 2_000
    assert (open_incidents(), ears.told()) == ([], [[], []])


def test_a_refused_key_is_one_incident_of_its_bots_and_not_asked_again(monitor: Monitor, ears: Ears):
    bots = [monitor.running_bot(pair=pair) for pair in PAIRS]
    monitor.sandbox.fault(f"key:{ACME_KEY['api_key']}", "revoked")
    monitor.check(*bots)
    assert {(health_of(bot).status, health_of(bot).cause) for bot in bots} == {("error", "key")}
    monitor.sandbox.control("DELETE", "/calls")
    monitor.check(*bots)
    assert monitor.sandbox.calls() == [] and {health_of(bot).status for bot in bots} == {"error"}
    assert open_incidents() == [("key_rejected", 4)]
    assert ears.told() == [[("opened", "key_rejected")]] * 2


# Bots in Hummingbot. The sandbox's minute passes in a second, and these bots are stale after six.

OF_HUMMINGBOT: dict[str, list[tuple[str, int]]] = {  # what stays healthy by its trades, and the incidents there are
    "broker_down": [("message_broker_down", 2)],
    "docker_down": [],
    "docker_error": [],
    "api_restart": [],
    "down": [("hummingbot_down", 2)],
}
OF_A_BOT = {
    "dead": ("stopped", "Its container ended"),
    "vanished": ("stopped", "No trade for"),
    "silent": ("healthy", "Traded"),
    "stop_trading": ("stopped", "No trade for"),
    "stall": ("stale", "its figures changed"),
    "slow": ("stale", "its figures changed"),
    "untagged": ("healthy", "Traded"),
}


@dataclass
class Floor:
    """Bots that trade in Hummingbot, and the workers that look at them."""

    sandbox: Sandbox
    gateways: GatewayPool

    def deploy(self, name: str, pair: str, *, stale_minutes: str = "0.1") -> UUID:
        bot = make_bot(
            "client_acme", runtime_kind="hummingbot", name=name, pair=pair, config={"order_amount": 100},
            stale_minutes=Decimal(stale_minutes), stopped_minutes=2 * Decimal(stale_minutes),
        )  # fmt: skip
        sync_credentials(
            connector_id=Bot.objects.get(id=bot).connector_id, gateway=self.hummingbot(), now=timezone.now()
        )
        assert start_bot(scope=OPERATOR, bot_id=bot, now=timezone.now(), wait=True) == "started"
        return bot

    def hummingbot(self) -> HummingbotGateway:
        return HummingbotGateway(self.sandbox.hummingbot_url, "admin", "admin", timeout_s=5)

    def look(self, *bots: UUID) -> list[str]:
        """A look at Hummingbot, a check of these bots; their verdicts."""
        poll_hummingbot(gateway=self.hummingbot(), clock=timezone.now, force=True)
        Monitor(self.sandbox, self.gateways).check(*bots)
        return [health_of(bot).status for bot in bots]

    def instance(self, bot: UUID) -> str:
        return str(BotRuntime.objects.get(bot_id=bot).instance_name)


@pytest.fixture
def floor(cast: Cast, settings: Any) -> Iterator[Floor]:
    with start(speed=60) as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        sandbox.add_key("kucoin", ACME_KEY["api_key"], ACME_KEY["secret"], passphrase=ACME_KEY["passphrase"])
        yield Floor(sandbox, GatewayPool({"kucoin": sandbox.exchange_base}, timeout_s=2.0))


@pytest.mark.parametrize("fault", OF_HUMMINGBOT)
def test_trades_prove_life_whatever_hummingbot_shows(floor: Floor, ears: Ears, fault: str):
    bots = [floor.deploy(pair, pair) for pair in PAIRS[:2]]
    floor.sandbox.wait_until(lambda: floor.look(*bots) == ["healthy"] * 2, timeout_s=30)
    floor.sandbox.fault("hummingbot", fault)
    floor.sandbox.advance(40)
    for _ in range(4):
        verdicts = floor.look(*bots)
    floor.sandbox.wait_until(lambda: floor.look(*bots) == ["healthy"] * 2, timeout_s=30)
    assert set(verdicts) <= {"healthy", "stale"}
    look_for_incidents(scope=HEALTH, now=timezone.now() + timedelta(seconds=40))
    assert [kind for kind, _ in open_incidents()] == [kind for kind, _ in OF_HUMMINGBOT[fault]]
    assert ears.told() == [[("opened", kind) for kind, _ in OF_HUMMINGBOT[fault]]] * 2


@pytest.mark.parametrize("fault", OF_A_BOT)
def test_a_bot_that_fails_gets_the_verdict_that_its_fault_deserves(floor: Floor, ears: Ears, fault: str):
    status, words = OF_A_BOT[fault]
    bot = floor.deploy(fault, "BTC/USDT", stale_minutes="0.05")
    floor.sandbox.wait_until(lambda: floor.look(bot) == ["healthy"], timeout_s=30)
    floor.sandbox.fault(f"bot:{floor.instance(bot)}", fault, **({"factor": 10_000} if fault == "slow" else {}))
    floor.sandbox.wait_until(lambda: _reads(floor, bot, status, words), timeout_s=40)
    incidents = [("bot_health", 0)] if status == "stopped" else []
    assert [kind for kind, _ in open_incidents()] == [kind for kind, _ in incidents]
    floor.look(bot)
    assert ears.told() == [[("opened", kind) for kind, _ in incidents]] * 2


def _reads(floor: Floor, bot: UUID, status: str, words: str) -> bool:
    floor.look(bot)
    health = health_of(bot)
    return bool(health.status == status and words in health.message)
