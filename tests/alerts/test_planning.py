"""Each change of an incident becomes one message on each channel that wants it, and none on any other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from alerts.models import AlertChannel, AlertDelivery, AlertRule, IncidentBot, IncidentEvent
from alerts.rules.words import Severity
from alerts.services.incidents import acknowledge_incident, resolve_incident
from alerts.services.plan_deliveries import plan_deliveries
from alerts.services.touched import set_touched
from tests.alerts.posts import (
    ALERTS,
    HEALTH,
    HOUR,
    MINUTE,
    NOON,
    add_rule,
    broken,
    make_channel,
    mended,
    messages,
    outage,
    plan,
    send,
    tick,
)
from tests.fixtures import OPERATOR, Cast, make_bot

pytestmark = pytest.mark.usefixtures("database")


def test_each_transition_is_one_message_on_each_channel_however_often_it_is_planned() -> None:
    make_channel("ops")
    make_channel("boss", min_severity="critical")
    broken()
    assert tick(NOON) == [("ops", "opened")]
    broken(at=NOON + MINUTE)  # seen again: nothing new
    assert tick(NOON + MINUTE) == []
    broken(at=NOON + 2 * MINUTE, severity=Severity.CRITICAL)
    assert sorted(tick(NOON + 2 * MINUTE)) == [("boss", "worsened"), ("ops", "worsened")]
    broken(at=NOON + 3 * MINUTE, severity=Severity.WARNING)  # eased: no message
    broken(at=NOON + 4 * MINUTE, severity=Severity.CRITICAL)
    assert sorted(tick(NOON + 4 * MINUTE)) == [("boss", "worsened"), ("ops", "worsened")]
    mended(at=NOON + 5 * MINUTE)
    assert sorted(tick(NOON + 5 * MINUTE)) == [("boss", "resolved"), ("ops", "resolved")]
    IncidentEvent.objects.update(planned_at=None)
    assert plan(NOON + HOUR) == 0
    assert not IncidentEvent.objects.filter(planned_at=None).exists()


def test_many_planners_make_one_message_for_each_channel() -> None:
    for name in ("a", "b", "c"):
        make_channel(name, repeat_minutes=1)
    for number in range(40):
        broken(str(number))

    def work(worker: int) -> int:
        try:
            made = plan_deliveries(scope=ALERTS, now=NOON, most=7)
            return made + plan_deliveries(scope=ALERTS, now=NOON + MINUTE, most=7)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as workers:
        made = sum(workers.map(work, range(6)))
    assert made == AlertDelivery.objects.count() == 120
    send(NOON)
    with ThreadPoolExecutor(6) as workers:  # the same for reminders
        made = sum(workers.map(work, range(6)))
    assert made == AlertDelivery.objects.filter(kind="reminder", number=1).count() == 120


def test_planning_and_mending_at_the_same_time_loses_no_message() -> None:
    make_channel("ops")
    for number in range(30):
        broken(str(number))

    def work(worker: int) -> None:
        try:
            if worker % 2:
                for number in range(30):
                    mended(str(number), at=NOON + MINUTE)
            else:
                plan_deliveries(scope=ALERTS, now=NOON + MINUTE, most=3)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(work, range(2)))
    plan(NOON + MINUTE)
    assert AlertDelivery.objects.filter(kind="opened").count() == 30
    assert AlertDelivery.objects.filter(kind="resolved").count() == 30


def test_a_channel_is_told_once_when_several_of_its_rules_match() -> None:
    ops = make_channel("ops", name="nights", quiet_from="10:00", quiet_until="14:00")
    add_rule(ops, name="always", kinds=["bot_health"])
    broken()
    assert tick(NOON) == [("ops", "opened")]  # the rule that keeps it back least decides


def test_what_is_switched_off_or_has_no_rule_gets_nothing() -> None:
    off, silent = make_channel("off"), make_channel("no rule in force")
    AlertChannel.objects.filter(id=off).update(is_enabled=False)
    AlertRule.objects.filter(channel_id=silent).update(is_enabled=False)
    make_channel("other kinds", kinds=["ledger_balance"])
    broken()
    assert plan() == 0
    AlertRule.objects.update(is_enabled=True)
    assert plan() == 0  # what has happened before is not told afterwards


def test_each_client_hears_of_its_own_and_operators_of_everything(cast: Cast) -> None:
    second = make_bot("client_acme", name="acme taker")
    make_channel("ops")
    make_channel("acme", client_id=cast.acme)
    make_channel("acme maker", client_id=cast.acme, bot_id=cast.acme_bot)
    make_channel("globex", client_id=cast.globex)
    broken("1", client_id=cast.acme, bot_id=cast.acme_bot)
    broken("2", client_id=cast.acme, bot_id=second)
    broken("3", client_id=cast.acme)
    broken("4")
    tick(NOON)
    told = {name: [] for name in ("ops", "acme", "acme maker", "globex")}
    for row in AlertDelivery.objects.order_by("incident__key"):
        told[row.channel.name].append(row.incident.key)
    assert told == {"ops": ["1", "2", "3", "4"], "acme": ["1", "2", "3"], "acme maker": ["1"], "globex": []}
    assert set(AlertDelivery.objects.filter(channel__name="acme").values_list("client_id", flat=True)) == {cast.acme}


def test_an_outage_of_many_bots_is_one_message_that_names_to_each_client_its_own(cast: Cast) -> None:
    others = [make_bot("client_globex", name=f"globex {number}") for number in range(30)]
    make_channel("ops"), make_channel("acme", client_id=cast.acme), make_channel("globex", client_id=cast.globex)
    outage(cast.acme_bot, *others)
    assert sorted(tick(NOON)) == [("acme", "opened"), ("globex", "opened"), ("ops", "opened")]
    ops, acme, globex = (AlertDelivery.objects.get(channel__name=name) for name in ("ops", "acme", "globex"))
    assert ops.payload["bots_total"] == 31 and ops.payload["incident"]["key"] == "kucoin"
    assert "Bots (31): acme maker of client_acme" in ops.body and "and 11 more" in ops.body
    assert acme.title == "[CRITICAL] Exchange down: it touches one of your bots."
    assert [bot["name"] for bot in acme.payload["bots"]] == ["acme maker"]
    assert "globex" not in acme.title + acme.body + str(acme.payload)
    assert "key" not in acme.payload["incident"] and "details" not in acme.payload["incident"]
    assert globex.payload["bots_total"] == 30 and "acme" not in globex.body + str(globex.payload)


def test_a_client_that_an_outage_touches_later_is_told_then_and_nobody_twice(cast: Cast) -> None:
    make_channel("ops"), make_channel("acme", client_id=cast.acme), make_channel("globex", client_id=cast.globex)
    outage(cast.acme_bot)
    assert sorted(tick(NOON)) == [("acme", "opened"), ("ops", "opened")]
    outage(cast.acme_bot, cast.globex_bot, at=NOON + MINUTE)
    assert tick(NOON + MINUTE) == [("globex", "opened")]
    outage(cast.globex_bot, at=NOON + 2 * MINUTE)
    outage(cast.acme_bot, cast.globex_bot, at=NOON + 3 * MINUTE)  # back in it: no news
    assert tick(NOON + 3 * MINUTE) == []
    assert IncidentBot.objects.filter(until_at=None).count() == 2
    mended("kucoin", kind="exchange_down", at=NOON + HOUR)
    assert sorted(tick(NOON + HOUR)) == [("acme", "resolved"), ("globex", "resolved"), ("ops", "resolved")]
    assert AlertDelivery.objects.get(channel__name="acme", kind="resolved").title == (
        "[RESOLVED] Over after 60 min: Exchange down: it touches one of your bots."
    )


def test_touching_says_how_many_are_new_and_ends_the_others(cast: Cast) -> None:
    touch = {"scope": HEALTH, "incident_key": ("exchange_down", "kucoin")}
    assert set_touched(**touch, bot_ids=[cast.acme_bot], now=NOON) == 0  # no such incident
    outage()
    assert set_touched(**touch, bot_ids=[cast.acme_bot, cast.globex_bot], now=NOON) == 2
    assert set_touched(**touch, bot_ids=[cast.globex_bot], now=NOON + MINUTE) == 0
    ended = IncidentBot.objects.get(bot_id=cast.acme_bot)
    assert (ended.client_id, ended.since_at, ended.until_at) == (cast.acme, NOON, NOON + MINUTE)


def test_it_is_said_again_until_somebody_takes_it_on_or_it_is_over() -> None:
    make_channel("ops", repeat_minutes=30)
    made = broken()
    assert tick(NOON) == [("ops", "opened")]
    assert tick(NOON + 29 * MINUTE) == []
    assert tick(NOON + 30 * MINUTE) == [("ops", "reminder")]
    assert tick(NOON + 59 * MINUTE) == []
    assert tick(NOON + 61 * MINUTE) == [("ops", "reminder")]
    plan(NOON + 91 * MINUTE)  # planned, and taken on before it leaves
    acknowledge_incident(scope=OPERATOR, incident_id=made, now=NOON + 91 * MINUTE)
    assert send(NOON + 91 * MINUTE) == []
    assert tick(NOON + 300 * MINUTE) == []
    broken(at=NOON + 301 * MINUTE, severity=Severity.CRITICAL)
    assert tick(NOON + 301 * MINUTE) == [("ops", "worsened")]  # that is news, also for who has taken it on
    mended(at=NOON + 302 * MINUTE)
    assert tick(NOON + 302 * MINUTE) == [("ops", "resolved")]
    assert [row[2:] for row in messages() if row[1] == "reminder"] == [(1, "sent"), (2, "sent"), (3, "skipped")]


def test_a_reminder_waits_for_the_message_before_it() -> None:
    make_channel("ops", repeat_minutes=5)
    broken()
    plan(NOON)
    assert plan(NOON + HOUR) == 0  # the first one is still on its way
    AlertDelivery.objects.update(status="failed")
    assert plan(NOON + HOUR) == 1  # given up: the next one tries again


def test_what_nobody_takes_on_in_time_goes_to_the_next() -> None:
    make_channel("ops")
    boss = make_channel("boss", after_minutes=15, repeat_minutes=60)
    add_rule(boss, name="after an hour", after_minutes=60)
    taken = broken("taken")
    broken("left", severity=Severity.CRITICAL)
    broken("short")
    tick(NOON)
    acknowledge_incident(scope=OPERATOR, incident_id=taken, now=NOON + MINUTE)
    mended("short", at=NOON + 2 * MINUTE)
    tick(NOON + 2 * MINUTE)
    assert tick(NOON + 14 * MINUTE) == []
    assert tick(NOON + 15 * MINUTE) == [("boss", "escalated")]
    assert tick(NOON + 59 * MINUTE) == []
    assert tick(NOON + 60 * MINUTE) == [("boss", "escalated")]  # the second step, another message
    assert tick(NOON + 119 * MINUTE) == []
    assert tick(NOON + 120 * MINUTE) == [("boss", "reminder")]
    assert AlertDelivery.objects.filter(kind="escalated").first().title == (
        "[CRITICAL] Nobody has taken it on for 60 min: bot left is stopped"
    )
    mended("left", at=NOON + 121 * MINUTE)
    assert sorted(tick(NOON + 121 * MINUTE)) == [("boss", "resolved"), ("ops", "resolved")]


def test_an_escalation_that_is_taken_on_before_it_leaves_is_not_sent() -> None:
    make_channel("boss", after_minutes=15)
    made = broken()
    plan(NOON + 15 * MINUTE)
    acknowledge_incident(scope=OPERATOR, incident_id=made, now=NOON + 15 * MINUTE)
    assert send(NOON + 15 * MINUTE) == []
    assert AlertDelivery.objects.get().error == "operator:tests has taken it on."


@pytest.mark.parametrize("fate", ["failed", "skipped"])
def test_a_recovery_goes_only_to_whom_it_was_told(fate: str) -> None:
    make_channel("told"), make_channel("untold")
    make_channel("wants none", sends_recovery=False)
    broken()
    plan()
    AlertDelivery.objects.filter(channel__name="untold").update(status=fate)
    send(NOON)
    mended(at=NOON + MINUTE)
    assert tick(NOON + MINUTE) == [("told", "resolved")]


def test_what_was_given_up_but_may_have_arrived_has_its_recovery() -> None:
    make_channel("ops")
    broken()
    plan()
    AlertDelivery.objects.update(status="failed", may_be_double=True)
    mended(at=NOON + MINUTE)
    assert tick(NOON + MINUTE) == [("ops", "resolved")]


def test_a_recovery_leaves_after_the_message_that_it_ends() -> None:
    make_channel("ops")
    broken()
    plan()
    AlertDelivery.objects.update(attempts=1, due_at=NOON + 10 * MINUTE)  # the channel did not answer
    mended(at=NOON + MINUTE)
    assert tick(NOON + 2 * MINUTE) == []
    assert tick(NOON + 10 * MINUTE) == [("ops", "opened")]  # an outage of the channel swallows no outage
    assert tick(NOON + 11 * MINUTE) == [("ops", "resolved")]


def test_a_recovery_of_what_could_not_be_told_is_skipped() -> None:
    make_channel("ops")
    broken()
    plan()
    AlertDelivery.objects.update(status="sending", lease_token=UUID(int=1), lease_until=NOON)
    mended(at=NOON + MINUTE)
    assert tick(NOON + MINUTE) == []
    AlertDelivery.objects.filter(kind="opened").update(status="failed")
    assert tick(NOON + 2 * MINUTE) == []
    assert [row[1:] for row in messages()] == [("opened", 1, "failed"), ("resolved", 1, "skipped")]


def test_what_a_person_resolves_is_told_as_over_and_comes_back_as_new() -> None:
    make_channel("ops")
    made = broken()
    tick(NOON)
    resolve_incident(scope=OPERATOR, incident_id=made, resolution="restarted", now=NOON + MINUTE)
    broken(at=NOON + 2 * MINUTE)
    assert sorted(tick(NOON + 2 * MINUTE)) == [("ops", "opened"), ("ops", "resolved")]
    assert "How it ended: restarted" in AlertDelivery.objects.get(kind="resolved").body


def test_deliveries_are_nobodys_but_operators(cast: Cast) -> None:
    from django.db import ProgrammingError

    from ground.scope import Scope

    make_channel("acme", client_id=cast.acme)
    broken(client_id=cast.acme)
    tick(NOON)
    acme = Scope(actor="key:tests", client_id=cast.acme)
    for model in (AlertDelivery, AlertChannel, AlertRule):
        with pytest.raises(ProgrammingError), acme.transaction():
            list(model.objects.all())
    globex = Scope(actor="key:tests", client_id=cast.globex)
    outage(cast.acme_bot)
    with globex.transaction():
        assert not IncidentBot.objects.exists() and not IncidentEvent.objects.exists()
    with acme.transaction():
        assert IncidentBot.objects.count() == 1 and IncidentEvent.objects.count() == 1


def test_a_planner_takes_what_another_leaves_and_waits_for_nobody() -> None:
    make_channel("ops")
    first, second = broken("1"), broken("2")
    held: list[Any] = []
    with HEALTH.transaction():  # somebody changes the first one just now
        broken("1", at=NOON + MINUTE)

        def work() -> int:
            try:
                return plan_deliveries(scope=ALERTS, now=NOON + timedelta(seconds=1))
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as workers:
            held.append(workers.submit(work).result(timeout=30))
    assert held == [1] and AlertDelivery.objects.get().incident_id == second
    assert plan() == 1 and AlertDelivery.objects.filter(incident_id=first).count() == 1
