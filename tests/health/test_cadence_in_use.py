"""Learned limits decide real checks: whose limits held, why, and that an outage is no silence."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from uuid import UUID

from django.utils import timezone

from bots.models import Bot
from ground.scope import system_scope
from health.models import HealthSettings, HealthTransition
from health.selectors import bot_health
from health.services.learn_cadence import learn_due_cadences
from tests.fixtures import OPERATOR
from tests.health.conftest import Monitor, hours_ago
from tests.ledger.rows import a_trade, put_account, put_trades


def quiet_bot(monitor: Monitor, *, silent_h: float) -> UUID:
    """A running bot that traded every three hours or so for four weeks, and has been silent since."""
    bot_id = monitor.running_bot()
    Bot.objects.filter(id=bot_id).update(desired_at=hours_ago(24 * 30))
    HealthTransition.objects.filter(bot_id=bot_id).update(at=hours_ago(24 * 30))
    random, age, ages = Random(4), silent_h, []
    while age < 28 * 24:
        ages.append(age)
        age += random.expovariate(1 / 3)
    owner = put_account(bot_id)
    put_trades(*(a_trade(owner, "buy", hours_ago(age)) for age in ages))
    monitor.traded(silent_h * 60, price="100", quantity="1")
    learn_due_cadences(scope=system_scope("health"), now=timezone.now())
    return bot_id


def shown(bot_id: UUID) -> dict[str, object]:
    found: dict[str, object] = bot_health(OPERATOR, bot_id, now=timezone.now())["thresholds"]
    return found


def test_leaves_a_quiet_bot_in_peace_and_says_why(monitor: Monitor) -> None:
    bot_id = quiet_bot(monitor, silent_h=4.0)
    assert monitor.check(bot_id).status == "healthy"
    assert shown(bot_id)["source"] == "learned" and "longest gap this week" in str(shown(bot_id)["why"])
    Bot.objects.filter(id=bot_id).update(stopped_minutes=180)
    assert monitor.check(bot_id).status == "stopped" and shown(bot_id)["source"] == "bot"


def test_holds_the_fixed_limits_where_nothing_shall_be_learned(monitor: Monitor) -> None:
    bot_id = quiet_bot(monitor, silent_h=4.0)
    HealthSettings.objects.update_or_create(id=1, defaults={"learns_cadence": False})
    assert monitor.check(bot_id).status == "stopped" and shown(bot_id)["source"] == "environment"


def test_says_that_the_history_is_too_short_to_learn_from(monitor: Monitor) -> None:
    monitor.traded(5)
    bot_id = monitor.running_bot()
    learn_due_cadences(scope=system_scope("health"), now=timezone.now())
    checked = monitor.check(bot_id)
    why = "Not enough history: 0 gaps between trades, 8 are needed. The fixed limits hold."
    assert (shown(bot_id)["source"], shown(bot_id)["why"], checked.thresholds["why"]) == ("environment", why, why)
    HealthSettings.objects.update_or_create(id=1, defaults={"learns_cadence": False})
    assert shown(bot_id)["why"] == "The thresholds of the environment hold."


def test_calls_a_quiet_bot_stopped_in_the_end_but_not_for_the_time_of_an_outage(monitor: Monitor) -> None:
    bot_id = quiet_bot(monitor, silent_h=40.0)
    assert monitor.check(bot_id).status == "stopped"
    client_id = Bot.objects.get(id=bot_id).client_id
    for hours, before, after, outcome in ((36, "healthy", "unknown", "unreadable"), (1, "unknown", "healthy", "read")):
        HealthTransition.objects.create(
            bot_id=bot_id, client_id=client_id, at=hours_ago(hours), from_status=before, to_status=after, reason="told",
            actor="system:health", evidence=[{"probe": "trades", "outcome": outcome}],
        )  # fmt: skip
    assert monitor.check(bot_id).status == "healthy"
    assert timedelta(minutes=shown(bot_id)["stopped_minutes"]) > timedelta(hours=40)
