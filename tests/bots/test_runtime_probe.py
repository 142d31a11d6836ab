"""What the poller keeps for the verdicts of health: the bot's own errors, and whether Hummingbot's broker is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotDeployment, BotRuntime, HummingbotState
from bots.rules.words import RuntimeStatus
from bots.services.poll_hummingbot import POLLER, poll_hummingbot
from bots.services.runtime_records import Seen, record_observations
from bots.services.start_bot import start_bot
from bots.types import InstanceStatus, LogLine, Observation
from tests.bots.test_hummingbot_lifecycle import Desk, desk, keyed  # noqa: F401 - fixtures
from tests.fixtures import OPERATOR, Cast, make_bot

pytestmark = pytest.mark.usefixtures("database")
NAME = "tb-00-1-20261121-113000"


def _state() -> HummingbotState:
    return HummingbotState.objects.get(id=1)


def test_keeps_the_error_lines_of_a_bot_that_cannot_trade(keyed: Desk) -> None:  # noqa: F811
    Bot.objects.filter(id=keyed.bot).update(pair="NOSUCHCOIN/USDT")
    keyed.start(wait=False)
    keyed.work_until(lambda: keyed.deployment().instance_name != "")
    keyed.sandbox.wait_until(lambda: (keyed.poll(), keyed.runtime().error_lines)[1])
    runtime = keyed.runtime()
    assert runtime.error_lines == ["A controller cannot trade: no such market here, or no credentials for it."]
    assert abs(timezone.now() - runtime.errors_at) < timedelta(minutes=5)


def test_suspects_the_broker_when_every_bot_falls_silent_and_clears_it_when_one_speaks(keyed: Desk) -> None:  # noqa: F811
    sister = make_bot("client_acme", runtime_kind="hummingbot", name="sister", config={"order_amount": 1600})
    start_bot(scope=OPERATOR, bot_id=sister, now=timezone.now(), wait=False)
    keyed.start(wait=False)

    def both_run() -> bool:
        keyed.work(later_s=2)
        keyed.poll()
        return BotRuntime.objects.filter(status=RuntimeStatus.RUNNING).count() == 2

    keyed.sandbox.wait_until(both_run, timeout_s=30)
    assert _state().broker_suspect_since is None
    keyed.sandbox.fault("hummingbot", "broker_down")
    keyed.ahead += timedelta(seconds=40)
    keyed.sandbox.advance(40)
    keyed.poll()
    since = _state().broker_suspect_since
    assert since is not None
    assert set(BotRuntime.objects.values_list("status", flat=True)) == {RuntimeStatus.IDLE}
    keyed.poll()
    assert _state().broker_suspect_since == since, "it is one outage from its first look on"
    keyed.sandbox.clear_faults()

    def is_cleared() -> bool:
        keyed.work(later_s=5)
        keyed.poll()
        return _state().broker_suspect_since is None

    keyed.sandbox.wait_until(is_cleared, timeout_s=30)


def _record(bot: Bot, *, at_s: float, name: str = NAME, errors: tuple[LogLine, ...] = ()) -> BotRuntime:
    deployment, _ = BotDeployment.objects.get_or_create(
        bot=bot, instance_name=name, defaults={
            "client_id": bot.client_id, "sequence": BotDeployment.objects.count() + 1, "status": "ended",
        },
    )  # fmt: skip
    seen_at = timezone.now() + timedelta(seconds=at_s)
    instance = InstanceStatus(name, "running", error_logs=errors)
    with POLLER.transaction():
        record_observations([Seen(deployment.id, Observation(RuntimeStatus.RUNNING, "", seen_at), instance)])
    return BotRuntime.objects.get(bot=bot)


def test_keeps_a_runs_errors_when_hummingbot_forgets_them_and_not_into_the_next_run(cast: Cast) -> None:
    bot = Bot.objects.get(id=cast.acme_bot)
    at = timezone.now()
    assert _record(bot, at_s=0).error_lines == []
    told = _record(bot, at_s=1, errors=(LogLine("ERROR", "no margin", at),))
    assert (told.error_lines, told.errors_at) == (["no margin"], at)
    forgotten = _record(bot, at_s=2)
    assert (forgotten.error_lines, forgotten.errors_at) == (["no margin"], at)
    again = _record(bot, at_s=3, errors=(LogLine("ERROR", "no margin", at + timedelta(seconds=3)),))
    assert again.errors_at == at + timedelta(seconds=3)
    following = _record(bot, at_s=4, name=f"{NAME}-2")
    assert (following.error_lines, following.errors_at) == ([], None)


def test_asks_again_within_seconds_while_hummingbot_is_away_and_even_when_the_clock_was_set_back() -> None:
    nobody = HummingbotGateway("http://127.0.0.1:9", "admin", "wrong")
    now = timezone.now()

    def is_asked(after_s: float) -> bool:
        return poll_hummingbot(gateway=nobody, clock=lambda: now + timedelta(seconds=after_s))

    assert [is_asked(s) for s in (0, 1, 2, 3, 4)] == [True, False, True, False, True]
    assert _state().failures == 3
    HummingbotState.objects.update(failures=0, due_at=now + timedelta(seconds=10))
    assert not is_asked(9), "while it answers it is asked at its pace"
    HummingbotState.objects.update(due_at=now + timedelta(hours=1))
    assert is_asked(9), "no pause is so long: the clock was set back"
