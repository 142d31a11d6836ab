"""Changing a strategy that runs: each config is a version, and what was before can be had again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from bots.models import Bot, BotDrift
from bots.rules.words import TemplateKind
from bots.services.choose_drift import adopt_theirs
from bots.services.look_for_drift import LOOK_EVERY, look_for_drift
from bots.services.manage_bots import update_bot
from bots.types import Template
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope
from strategies.models import ActiveStrategy, StrategyVersion
from strategies.rules.configs import differences, from_bot, with_interval
from strategies.services.follow_configs import follow_configs
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


def test_what_was_adopted_from_hummingbot_and_what_a_bot_was_given_become_versions(desk: StrategyDesk) -> None:
    bot = UUID(desk.start(mode="scalp", interval="5m", config={"order_amount": 100}).body["bot_id"])
    desk.poll()
    name = desk.deployment(bot)
    theirs = {"total_amount_quote": 900, "executor_refresh_time": 900}
    desk.sandbox.hummingbot("POST", f"/controllers/bots/{name.instance_name}/{name.requested_name}/config", json=theirs)
    look_for_drift(gateway=desk.gateway(), clock=lambda: timezone.now() + LOOK_EVERY)
    drift = BotDrift.objects.get(field="config.total_amount_quote")
    adopt_theirs(scope=OPERATOR, drift_id=drift.id, now=timezone.now(), reason="the desk raised it")
    with pytest.raises(Conflict, match="just changed"):
        change({"order_amount": 1})
    assert (follow_configs(now=timezone.now()), follow_configs(now=timezone.now())) == (1, 0)
    strategy = ActiveStrategy.objects.get()
    assert (strategy.config, strategy.interval, strategy.version) == ({"order_amount": 900}, "5m", 2)
    version = StrategyVersion.objects.get(number=2)
    assert (version.made_by, version.note) == (
        "operator:tests", "total_amount_quote adopted from Hummingbot: the desk raised it",
    )  # fmt: skip
    update_bot(scope=OPERATOR, bot_id=bot, changes={"config": {"order_amount": 900, "interval": "15m"}})
    assert follow_configs(now=timezone.now()) == 1
    strategy.refresh_from_db()
    assert (strategy.config, strategy.interval, strategy.version) == ({"order_amount": 900}, "15m", 3)
    assert (desk.deploys(), StrategyVersion.objects.get(number=3).note) == (1, "bot changed"), (
        "nothing is deployed by it"
    )
    assert roll_back_strategy(scope=OPERATOR, strategy_id=strategy.id, number=1, now=timezone.now()) == 4
    assert Bot.objects.get(id=bot).config == {"order_amount": 100, "interval": "5m"}
    assert follow_configs(now=timezone.now()) == 0


@given(
    config=st.dictionaries(st.sampled_from(["order_amount", "interval", "cooldown_seconds"]), st.sampled_from(["1m", "5m"])),
    interval=st.sampled_from(["1m", "5m", "1h"]),
    knows=st.booleans(),
)  # fmt: skip
def test_a_bot_that_has_what_its_strategy_says_is_no_change_and_any_other_is_taken_as_it_runs(
    config: dict[str, Any], interval: str, knows: bool
) -> None:
    defaults = {"interval": "1m"} if knows else {}
    template = Template("scalp", TemplateKind.CONTROLLER, "market_making", "pmm_simple", defaults, {}, {})
    own = with_interval(template, config, interval)
    assert from_bot(template, own, config=config, interval=interval) == (config, interval)
    found, at = from_bot(template, own, config={"order_amount": "other"}, interval="1d")
    assert {**defaults, **with_interval(template, found, at)} == {**defaults, **own}
