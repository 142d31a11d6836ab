"""A strategy that must not run until a person acts: it says why, it can be stopped, and nobody tries it again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots.models import BotTemplate
from bots.services.keep_running import keep_bots_running
from strategies.models import ActiveStrategy, RestoreStep, StrategyHistory
from strategies.services.restore_runs import work_on_restores
from strategies.services.versions import change_strategy
from strategies.services.watch_hummingbot import restore_at_boot
from tests.fixtures import OPERATOR
from tests.strategies.desk import StrategyDesk

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def loose(desk: StrategyDesk) -> StrategyDesk:
    """An operator's template whose schema lets through what the controller refuses."""
    BotTemplate.objects.create(
        name="loose", kind="controller", controller_type="market_making", controller_name="pmm_simple",
        defaults={"leverage": 1},
        mapping={
            "id": "{bot.config_name}", "controller_type": "market_making", "controller_name": "pmm_simple",
            "connector_name": "{bot.connector}", "trading_pair": "{bot.pair}", "leverage": "{leverage}",
        },
    )  # fmt: skip
    return desk


def look(desk: StrategyDesk, later_s: float = 0) -> None:
    desk.ahead += timedelta(seconds=later_s)
    desk.sandbox.advance(later_s)
    desk.poll()
    keep_bots_running(now=desk.clock())
    desk.work()
    desk.follow()


def shown(desk: StrategyDesk) -> Any:
    return desk.status("?symbol=BTCUSDT")


def test_a_config_that_the_controller_refuses_quarantines_with_the_field_and_is_not_tried_again_at_a_boot(
    loose: StrategyDesk,
) -> None:
    refused = loose.start(mode="loose", config={"leverage": "plenty"})
    assert (refused.status, refused.body["code"]) == (409, "deployment_failed")
    assert "leverage" in refused.body["detail"]
    look(loose)
    assert (shown(loose)["status"], shown(loose)["running"]) == ("quarantined", False)
    assert "leverage" in shown(loose)["message"]
    restore_at_boot(scope=OPERATOR, spacing_s=Decimal(1), now=loose.clock())
    for _ in range(3):
        work_on_restores(gateways={}, clock=loose.clock)
        look(loose, 400)
    assert (loose.deploys(), loose.deployment(shown(loose)["bot_id"]).sequence) == (0, 1)
    assert not RestoreStep.objects.filter(outcome="restored").exists()
    assert loose.stop().body["stopped"] is True
    assert shown(loose)["running"] is False and not ActiveStrategy.objects.exists()
    past = StrategyHistory.objects.get()
    assert (past.reason, past.trades_count, past.config) == ("user_stopped", 0, {"leverage": "plenty"})


def test_a_quarantined_strategy_runs_once_a_person_gave_it_a_good_config_or_started_it_again(
    loose: StrategyDesk,
) -> None:
    assert loose.start(mode="loose", config={"leverage": "plenty"}).status == 409
    look(loose)
    strategy = ActiveStrategy.objects.get()
    assert strategy.status == "quarantined"
    assert change_strategy(scope=OPERATOR, strategy_id=strategy.id, config={"leverage": 2}, now=timezone.now()) == 2
    loose.work_until(lambda: shown(loose)["bot_status"] == "running")
    assert (shown(loose)["status"], shown(loose)["message"], len(loose.running())) == ("active", None, 1)
    loose.stop()
    loose.work_until(lambda: not ActiveStrategy.objects.exists())
    assert loose.start(mode="loose", config={"leverage": "plenty"}).status == 409
    look(loose)
    started = loose.start(mode="loose", config={"leverage": 3})
    assert started.body["started"] is True
    loose.work_until(lambda: shown(loose)["bot_status"] == "running")
    assert list(StrategyHistory.objects.order_by("stopped_at").values_list("reason", flat=True)) == [
        "user_stopped", "started again",
    ]  # fmt: skip
    loose.work_until(lambda: len(loose.running()) == 1)


def test_a_strategy_whose_bot_died_is_shown_as_being_restored_until_it_runs(desk: StrategyDesk) -> None:
    bot = desk.start().body["bot_id"]
    desk.sandbox.fault(f"bot:{desk.deployment(bot).instance_name}", "dead")
    look(desk)
    assert (shown(desk)["status"], shown(desk)["running"]) == ("restoring", False) and shown(desk)["message"]
    assert desk.start().body["started"] is False, "it is coming back already"

    def is_back() -> bool:
        look(desk, 5)
        return bool(shown(desk)["status"] == "active")

    desk.sandbox.wait_until(is_back, timeout_s=60)
    assert desk.deployment(bot).sequence == 2
