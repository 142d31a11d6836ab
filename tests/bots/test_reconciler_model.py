"""No sequence of lies, losses, delays, repetitions, deaths, starts and stops ends in two of one bot, or in a wrong state.

The real services and the real database; the other side is the model in hummingbot_model.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from bots.models import Bot, BotDeployment, BotRecovery, BotRuntime, HummingbotCredential, HummingbotState
from bots.rules.words import OPEN_DEPLOYMENTS
from bots.selectors_recovery import bots_quarantined
from bots.services.keep_running import keep_bots_running
from bots.services.poll_hummingbot import poll_hummingbot
from bots.services.reconcile_bots import reconcile_due
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from tests.bots import hummingbot_model as model
from tests.bots.hummingbot_model import HummingbotModel, WorkerKilled
from tests.fixtures import OPERATOR, Cast, make_bot

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "60"))
ROUND_S = 20
MOST_ROUNDS = 220  # ten minutes of waiting, and then some


@dataclass
class Bridge:
    """The bridge's workers and its operator, beside the model."""

    hummingbot: HummingbotModel
    bot: UUID

    def start(self) -> None:
        start_bot(scope=OPERATOR, bot_id=self.bot, now=self.hummingbot.now, wait=False)

    def stop(self) -> None:
        stop_bot(scope=OPERATOR, bot_id=self.bot, now=self.hummingbot.now, wait=False)

    def poll(self) -> None:
        poll_hummingbot(gateway=self._gateway, clock=self.hummingbot.clock, force=True)

    def reconcile(self) -> None:
        with suppress(WorkerKilled):
            reconcile_due(gateway=self._gateway, clock=self.hummingbot.clock)

    def keep(self) -> None:
        keep_bots_running(now=self.hummingbot.now)

    def work(self) -> None:
        self.poll()
        self.keep()
        self.reconcile()

    def round(self) -> None:
        self.hummingbot.advance(ROUND_S)
        self.work()

    @property
    def _gateway(self) -> Any:
        return self.hummingbot

    def is_wanted(self) -> bool:
        return Bot.objects.get(id=self.bot).desired_status == "running"

    def is_there(self) -> bool:
        """The right final state: one instance, the newest deployment's, or none."""
        open_ones = list(BotDeployment.objects.filter(bot_id=self.bot, status__in=OPEN_DEPLOYMENTS))
        if not self.is_wanted():
            return not open_ones and not self.hummingbot.up()
        names = [row.instance_name for row in open_ones if row.status == "live" and row.confirmed_at]
        return len(names) == 1 and self.hummingbot.up() == self.hummingbot.trading() == names


STEPS = st.one_of(
    st.tuples(st.just("do"), st.sampled_from(["start", "stop", "poll", "reconcile", "keep", "work", "work", "round"])),
    st.tuples(st.just("pass"), st.sampled_from([1, 5, 30, 70, 400])),
    st.tuples(st.just("happen"), st.sampled_from(["kill", "rise", "vanish", "end_by_itself"])),
    st.tuples(st.just("deploy"), st.sampled_from(model.DEPLOY)),
    st.tuples(st.just("stop"), st.sampled_from(model.STOP)),
    st.tuples(st.just("archive"), st.sampled_from(model.ARCHIVE)),
    st.tuples(st.just("statuses"), st.sampled_from(model.STATUSES)),
    st.tuples(st.sampled_from(["active", "exited"]), st.sampled_from(model.CONTAINERS)),
    st.tuples(
        st.sampled_from(["while deploy", "while stop", "while archive", "while statuses"]),
        st.sampled_from(["start", "stop", "reconcile", "keep"]),
    ),
)


def take(step: tuple[str, Any], bridge: Bridge) -> None:
    what, how = step
    hummingbot = bridge.hummingbot
    if what == "do":
        act: Callable[[], None] = getattr(bridge, how)
        act()
    elif what == "pass":
        hummingbot.advance(how)
    elif what == "happen":
        getattr(hummingbot, how)()
    elif what.startswith("while "):
        hummingbot.meanwhile[what.removeprefix("while ")] = getattr(bridge, how)
    else:
        hummingbot.faults[what] = how


def settle(bridge: Bridge) -> None:
    """Everybody tells the truth from now on; a bot that is left for a person is started by one."""
    bridge.hummingbot.heal()
    for _ in range(MOST_ROUNDS):
        bridge.round()
        if bots_quarantined(OPERATOR):
            assert len(bridge.hummingbot.trading()) <= 1
            bridge.start()
        if bridge.is_there():
            return
    raise AssertionError(
        f"wanted running: {bridge.is_wanted()}; up: {bridge.hummingbot.up()}; trading: {bridge.hummingbot.trading()}; "
        f"deployments: {list(BotDeployment.objects.filter(bot_id=bridge.bot).values())}; "
        f"recovery: {list(BotRecovery.objects.values())}; runtime: {list(BotRuntime.objects.values())}"
    )


@pytest.fixture
def bot(cast: Cast, settings: Any) -> UUID:
    settings.HUMMINGBOT_API_URL = "http://127.0.0.1:9"  # configured, and never asked: the model is
    made = make_bot("client_acme", runtime_kind="hummingbot", config={"order_amount": 100})
    connector = Bot.objects.get(id=made).connector
    assert connector is not None
    HummingbotCredential.objects.create(
        connector=connector, client_id=connector.client_id, account_name="acme", synced_version=9999
    )
    return made


def as_new(bot: UUID) -> None:
    for table in (BotDeployment, BotRecovery, BotRuntime, HummingbotState):
        table.objects.all().delete()
    Bot.objects.filter(id=bot).update(desired_status="created")
    connector = Bot.objects.select_related("connector").get(id=bot).connector
    assert connector is not None
    HummingbotCredential.objects.update(synced_version=connector.credentials_version)


START = ("do", "start")
WORK = ("do", "work")
STOP_UNHEARD = [START, WORK, ("pass", 5), WORK, ("do", "stop"), ("stop", "unheard"), WORK, START, ("pass", 5)]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=24))
@example(steps=[START, ("deploy", "late"), WORK, ("pass", 70), WORK, ("pass", 70), WORK])
@example(steps=[START, ("deploy", "twice"), WORK, ("pass", 30), WORK])
@example(steps=[START, ("deploy", "killed"), WORK, ("do", "stop"), WORK])
@example(steps=[START, WORK, ("pass", 5), WORK, ("happen", "kill"), WORK, ("pass", 30), WORK, ("happen", "rise")])
@example(steps=[START, ("while deploy", "stop"), WORK, ("pass", 5), WORK, START])
@example(
    steps=[START, WORK, ("pass", 5), WORK, ("do", "stop"), ("stop", "unheard"), ("archive", "silent_failure"), WORK]
)
@example(steps=[*STOP_UNHEARD, ("statuses", "forgotten"), ("archive", "silent_failure"), WORK, WORK])
@example(steps=[*STOP_UNHEARD, ("statuses", "restarted"), ("archive", "silent_failure"), WORK, WORK])
def test_no_sequence_ends_in_two_of_one_bot_or_in_a_wrong_state(bot: UUID, steps: list[tuple[str, Any]]) -> None:
    as_new(bot)
    bridge = Bridge(HummingbotModel(), bot)
    for step in steps:
        take(step, bridge)
        assert BotDeployment.objects.filter(bot_id=bot, status__in=OPEN_DEPLOYMENTS).count() <= 1
    note(f"lied: {bridge.hummingbot.has_lied}")
    settle(bridge)
    for _ in range(5):
        bridge.round()
        assert bridge.is_there(), "what is reached stays"
    assert not bridge.hummingbot.wrongs
    assert set(bridge.hummingbot.deploys.values()) <= {1}, "a deployment is sent once"
