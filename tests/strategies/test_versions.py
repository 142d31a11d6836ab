"""Changing a strategy that runs: each config is a version, and what was before can be had again."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from bots.models import Bot
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope
from strategies.models import ActiveStrategy, StrategyVersion
from strategies.rules.configs import differences
from strategies.services.versions import change_strategy, roll_back_strategy
from tests.fixtures import OPERATOR
from tests.strategies.desk import StrategyDesk

pytestmark = pytest.mark.usefixtures("database")


def change(config: dict[str, Any], **more: Any) -> int:
    strategy = ActiveStrategy.objects.get()
    return change_strategy(scope=OPERATOR, strategy_id=strategy.id, config=config, now=timezone.now(), **more)


def test_a_new_config_replaces_what_runs_and_the_old_one_can_be_had_back(desk: StrategyDesk) -> None:
    bot = desk.start(config={"order_amount": 100}).body["bot_id"]
    first = desk.deployment(bot).instance_name
    assert change({"order_amount": 200}, note="more of it") == 2
    desk.work_until(lambda: desk.status("?symbol=BTCUSDT")["bot_status"] == "running" and len(desk.running()) == 1)
    assert desk.deployment(bot).config["order_amount"] == 200 and desk.running() != [first]
    assert change({"order_amount": 200}) == 2, "the same again is no new version"
    strategy = ActiveStrategy.objects.get()
    assert roll_back_strategy(scope=OPERATOR, strategy_id=strategy.id, number=1, now=timezone.now()) == 3
    desk.work_until(lambda: desk.status("?symbol=BTCUSDT")["bot_status"] == "running" and len(desk.running()) == 1)
    assert desk.deployment(bot).config["order_amount"] == 100
    versions = StrategyVersion.objects.order_by("number").values_list(
        "number", "config__order_amount", "note", "made_by"
    )
    assert [row[:3] for row in versions] == [(1, 100, ""), (2, 200, "more of it"), (3, 100, "back to version 1")]
    assert {row[3] for row in versions} == {"operator:tests", ActiveStrategy.objects.get().started_by}
    assert ActiveStrategy.objects.get().version == 3 and desk.deploys() == 3


def test_a_change_that_may_not_be_changes_nothing(desk: StrategyDesk) -> None:
    bot = desk.start(config={"order_amount": 100}).body["bot_id"]
    strategy = ActiveStrategy.objects.get()
    with pytest.raises(InvalidInput) as refused:
        change({"order_amount": "lots"})
    assert set(refused.value.fields or {}) == {"config.order_amount"}
    with pytest.raises(Conflict, match="Somebody changed"):
        change({"order_amount": 3}, expected_version=7)
    with pytest.raises(NotFound):
        roll_back_strategy(scope=OPERATOR, strategy_id=strategy.id, number=9, now=timezone.now())
    with pytest.raises(NotFound):
        globex = Scope(actor="key:globex", client_id=desk.cast.globex)
        change_strategy(scope=globex, strategy_id=strategy.id, config={}, now=timezone.now())
    assert (StrategyVersion.objects.count(), Bot.objects.get(id=bot).config) == (1, {"order_amount": 100})
    desk.sandbox.fault("hummingbot", "down")
    desk.stop()
    with pytest.raises(Conflict, match="being stopped"):
        change({"order_amount": 3})


def test_differences_name_each_key_with_both_values() -> None:
    assert differences({"a": 1, "b": 2, "c": [1]}, {"a": 1, "b": 3, "d": None}) == [("b", 2, 3), ("c", [1], None)]
