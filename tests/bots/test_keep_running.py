"""Bots that are wanted running come back by themselves in a Hummingbot that speaks the recorded contract."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots.models import Bot, BotDeployment, BotRecovery
from bots.selectors_recovery import bots_down, bots_quarantined
from bots.services.keep_running import RECOVERY, keep_bots_running, plan_recovery
from tests.bots.test_hummingbot_lifecycle import DEPLOY, Desk, _in_thread, desk, keyed  # noqa: F401
from tests.fixtures import OPERATOR

pytestmark = pytest.mark.usefixtures("database")


def tick(desk: Desk, later_s: float = 0) -> None:  # noqa: F811
    """What beat has the workers do, after some time."""
    if later_s:
        desk.ahead += timedelta(seconds=later_s)
        desk.sandbox.advance(later_s)
    desk.poll()
    keep_bots_running(now=desk.clock())
    desk.work()


def tick_until(desk: Desk, condition: Any, *, every_s: float = 5) -> None:  # noqa: F811
    def tried() -> bool:
        tick(desk, every_s)
        return bool(condition())

    desk.sandbox.wait_until(tried, timeout_s=60)


def running(desk: Desk) -> list[str]:  # noqa: F811
    return [name for name, container in desk.sandbox.containers().items() if container == "running"]


def row(desk: Desk) -> BotRecovery | None:  # noqa: F811
    return BotRecovery.objects.filter(bot_id=desk.bot).first()


def test_killed_container_is_replaced_after_a_wait_and_once(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    first = keyed.deployment().instance_name
    keyed.sandbox.fault(f"bot:{first}", "dead")
    tick(keyed)
    noted = row(keyed)
    assert noted is not None and (noted.failures, keyed.deploys()) == (1, 1)
    assert noted.next_at is not None and timedelta(seconds=9) <= noted.next_at - keyed.clock() <= timedelta(seconds=13)
    assert [(d.bot_id, d.situation.explanation) for d in bots_down(OPERATOR, now=keyed.clock())] == [
        (keyed.bot, "Its container has ended.")
    ]
    tick_until(keyed, lambda: keyed.status() == "running")
    assert (keyed.deployment().sequence, keyed.deploys()) == (2, 2)
    assert keyed.deployment().requested_by == "system:recovery"
    assert running(keyed) == [keyed.deployment().instance_name] != [first]


def test_bot_that_vanished_is_deployed_again_only_after_looking_for_a_minute(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "vanished")
    keyed.sandbox.advance(40)
    began = keyed.clock()
    tick_until(keyed, lambda: row(keyed) is not None)
    assert keyed.clock() - began >= timedelta(seconds=60)
    tick_until(keyed, lambda: keyed.status() == "running")
    assert (keyed.deploys(), len(running(keyed))) == (2, 1)


def test_strategy_that_ended_by_itself_is_taken_down_before_it_is_deployed_again(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    first = keyed.deployment().instance_name
    keyed.sandbox.fault(f"bot:{first}", "stop_trading")
    tick_until(keyed, lambda: keyed.deployment().sequence == 2)
    tick_until(keyed, lambda: keyed.status() == "running")
    tick_until(keyed, lambda: BotDeployment.objects.get(sequence=1).status == "ended")
    assert running(keyed) == [keyed.deployment().instance_name]


def test_lost_answer_of_a_redeploy_is_looked_up_and_adopted(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "dead")
    tick(keyed)
    keyed.sandbox.fault("hummingbot", "lost_answer", path=DEPLOY, count=1)
    tick_until(keyed, lambda: keyed.status() == "running")
    assert (keyed.deploys(), keyed.deployment().was_adopted, len(running(keyed))) == (2, True, 1)


def test_stopped_while_it_waits_stays_stopped(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "dead")
    tick(keyed)
    assert keyed.stop() in ("stopped", "stopping")
    assert row(keyed) is None
    for _ in range(6):
        tick(keyed, 20)
    assert (keyed.deploys(), keyed.status(), running(keyed)) == (1, "stopped", [])


def test_many_workers_at_once_count_and_deploy_once(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "dead")
    keyed.poll()
    for _ in range(2):
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: _in_thread(lambda: keep_bots_running(now=keyed.clock())), range(12)))
        noted = row(keyed)
        assert noted is not None and noted.failures == 1
        keyed.ahead += timedelta(seconds=20)
        keyed.poll()
    assert BotDeployment.objects.filter(bot_id=keyed.bot).count() == 2


def test_nothing_is_deployed_again_while_hummingbot_is_away(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "dead")
    keyed.sandbox.fault("hummingbot", "down")
    for _ in range(10):
        tick(keyed, 30)
    assert row(keyed) is None
    keyed.sandbox.clear_faults()
    tick_until(keyed, lambda: keyed.status() == "running")
    assert len(running(keyed)) == 1


def test_five_failures_in_a_row_quarantine_and_a_person_ends_that(keyed: Desk) -> None:  # noqa: F811
    keyed.start()

    def struck() -> bool:
        for name in running(keyed):
            keyed.sandbox.fault(f"bot:{name}", "dead")
        return bool(bots_quarantined(OPERATOR))

    tick_until(keyed, struck, every_s=30)
    assert keyed.deploys() == 5
    (quarantined,) = bots_quarantined(OPERATOR)
    assert (quarantined.bot_id, quarantined.failures) == (keyed.bot, 5)
    assert "5 times in a row" in quarantined.reason
    for _ in range(5):
        tick(keyed, 600)
    assert (keyed.deploys(), keyed.status()) == (5, "error")
    assert keyed.start() == "started"
    assert (keyed.deploys(), bots_quarantined(OPERATOR)) == (6, [])


def test_refused_config_quarantines_at_once_and_names_the_field(keyed: Desk) -> None:  # noqa: F811
    Bot.objects.filter(id=keyed.bot).update(config={"order_amount": -1})
    with pytest.raises(Exception, match="order_amount"):
        keyed.start()
    tick(keyed)
    (quarantined,) = bots_quarantined(OPERATOR)
    assert "config.order_amount" in quarantined.reason
    for _ in range(3):
        tick(keyed, 700)
    assert (keyed.deployment().sequence, keyed.deploys()) == (1, 0)
    assert keyed.stop() == "stopped"
    assert bots_quarantined(OPERATOR) == []


def test_container_that_rises_after_it_was_replaced_is_taken_down(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    first = keyed.deployment().instance_name
    keyed.sandbox.fault(f"bot:{first}", "dead")
    tick_until(keyed, lambda: keyed.deployment().sequence == 2 and keyed.status() == "running")
    keyed.sandbox.fault(f"bot:{first}", "dead", on=False)
    assert len(running(keyed)) == 2
    tick_until(keyed, lambda: len(running(keyed)) == 1)
    assert running(keyed) == [keyed.deployment().instance_name]
    assert keyed.deployment().sequence == 2


def test_run_that_lasted_has_failures_forgotten(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "dead")
    tick_until(keyed, lambda: keyed.deployment().sequence == 2 and keyed.status() == "running")
    assert row(keyed) is not None
    tick_until(keyed, lambda: row(keyed) is None, every_s=30)


def test_restore_run_sets_when_each_comes_back(keyed: Desk) -> None:  # noqa: F811
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "dead")
    keyed.poll()
    at = keyed.clock() + timedelta(minutes=5)
    assert plan_recovery({keyed.bot: at}) == 1
    tick(keyed, 60)
    noted = row(keyed)
    assert noted is not None and (noted.failures, noted.next_at, keyed.deploys()) == (1, at, 1)
    tick_until(keyed, lambda: keyed.status() == "running", every_s=60)
    noted = row(keyed)
    assert noted is not None and not noted.is_planned
    with RECOVERY.transaction():
        BotRecovery.objects.filter(bot_id=keyed.bot).update(quarantined_at=timezone.now())
    assert plan_recovery({keyed.bot: at}) == 0, "what is quarantined is not planned"
