"""What is silenced waits and is looked at again: told once if it is still true, and not at all if it is over."""

from __future__ import annotations

from datetime import time
from typing import Any
from uuid import UUID

import pytest

from alerts.models import AlertDelivery, AlertsSettings, IncidentEvent, MaintenanceWindow, Snooze
from alerts.rules.words import Severity
from alerts.services.alert_rules import change_rule
from alerts.services.boot import booted_at, hold_alerts, release_alerts
from alerts.services.incidents import acknowledge_incident
from alerts.services.look_again import look_again
from alerts.services.silence import change_window, create_window, delete_window, snooze_incident, wake_incident
from clients.models import AuditEntry
from ground.errors import InvalidInput, NotFound
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
    tick,
)
from tests.fixtures import OPERATOR, Cast

pytestmark = pytest.mark.usefixtures("database")
NIGHT: dict[str, Any] = {"quiet_from": time(11), "quiet_until": time(14)}
END = NOON + 2 * HOUR


def the_message(**wanted: Any) -> AlertDelivery:
    return AlertDelivery.objects.get(**wanted)


# -- quiet hours ------------------------------------------------------------------------------------------------------
def test_quiet_hours_keep_a_message_until_their_end_and_then_say_how_it_stands() -> None:
    make_channel("ops", **NIGHT)
    broken()
    assert tick(NOON) == []
    held = the_message()
    assert (held.due_at, held.held_at, held.error) == (END, NOON, "Quiet hours until 2026-11-21 14:00 UTC.")
    broken(at=NOON + HOUR, title="bot 1 is stopped for longer")
    assert tick(NOON + HOUR) == []
    assert tick(END) == [("ops", "opened")]
    told = the_message()
    assert "for longer" in told.title and told.held_at is None and told.error == ""


def test_what_is_over_before_the_silence_ends_is_not_told_and_its_recovery_neither() -> None:
    make_channel("ops", **NIGHT)
    broken()
    plan(NOON)
    mended(at=NOON + MINUTE)
    assert tick(NOON + MINUTE) == [] and tick(END) == [] and tick(END + HOUR) == []
    assert messages() == [("ops", "opened", 1, "skipped")]
    assert the_message().error == "It was over before this could be told."


def test_what_was_told_before_the_silence_is_ended_after_it() -> None:
    make_channel("ops", quiet_from=time(12, 1), quiet_until=time(14))
    broken()
    assert tick(NOON) == [("ops", "opened")]
    mended(at=NOON + 2 * MINUTE)
    assert tick(NOON + 2 * MINUTE) == []
    assert tick(END) == [("ops", "resolved")]


def test_what_breaks_again_within_the_silence_is_not_called_over() -> None:
    make_channel("ops", quiet_from=time(12, 1), quiet_until=time(14))
    broken()
    tick(NOON)
    mended(at=NOON + 2 * MINUTE)
    plan(NOON + 2 * MINUTE)
    broken(at=NOON + 3 * MINUTE)
    assert tick(NOON + 3 * MINUTE) == []
    assert tick(END) == [("ops", "opened")]
    assert the_message(kind="resolved").error == "It broke again before this could be told."


def test_critical_breaks_quiet_hours_and_says_it_alone() -> None:
    make_channel("ops", **NIGHT)
    make_channel("sleeps", critical_breaks_quiet=False, **NIGHT)
    broken()
    assert tick(NOON) == []
    broken(at=NOON + MINUTE, severity=Severity.CRITICAL)
    assert tick(NOON + MINUTE) == [("ops", "worsened")]
    assert tick(END) == [("sleeps", "worsened")]  # the newest of the two that were held
    assert {row[1:] for row in messages() if row[1] == "opened"} == {("opened", 1, "skipped")}
    mended(at=END + MINUTE)
    assert sorted(tick(END + MINUTE)) == [("ops", "resolved"), ("sleeps", "resolved")]


def test_reminders_do_not_pile_up_in_quiet_hours() -> None:
    make_channel("ops", repeat_minutes=5, quiet_from=time(12, 1), quiet_until=time(14))
    broken()
    for minute in range(0, 120, 5):
        tick(NOON + minute * MINUTE)
    assert messages() == [("ops", "opened", 1, "sent"), ("ops", "reminder", 1, "waiting")]
    assert tick(END) == [("ops", "reminder")]


def test_an_escalation_that_is_held_is_dropped_when_somebody_takes_it_on() -> None:
    make_channel("boss", after_minutes=15, **NIGHT)
    made = broken()
    assert tick(NOON + 15 * MINUTE) == []
    acknowledge_incident(scope=OPERATOR, incident_id=made, now=NOON + HOUR)
    assert tick(END) == []
    assert the_message().status == "skipped"


def test_a_silence_that_begins_after_planning_holds_too() -> None:
    make_channel("ops")
    made = broken()
    plan(NOON)
    snooze_incident(scope=OPERATOR, incident_id=made, until=END, now=NOON)
    assert tick(NOON + MINUTE) == []
    assert (the_message().due_at, the_message().held_at) == (END, NOON + MINUTE)
    assert tick(END) == [("ops", "opened")]


def test_changing_the_quiet_hours_looks_at_what_they_held_at_once() -> None:
    ops = make_channel("ops")
    rule = add_rule(ops, "nights", kinds=["bot_health"], **NIGHT)
    change_rule(scope=OPERATOR, rule_id=ops_rule(ops), changes={"is_enabled": False})
    broken()
    assert tick(NOON) == []
    change_rule(scope=OPERATOR, rule_id=rule, changes={"quiet_until": time(11, 30)})
    assert tick(NOON + MINUTE) == [("ops", "opened")]


def ops_rule(channel: UUID) -> UUID:
    from alerts.models import AlertRule

    return AlertRule.objects.get(channel_id=channel, name="all").id


# -- muted, boot ------------------------------------------------------------------------------------------------------
def test_muted_keeps_everything_back_until_it_is_lifted() -> None:
    make_channel("ops")
    AlertsSettings.objects.create(id=1, is_muted=True)
    broken(severity=Severity.CRITICAL), broken("short")
    assert tick(NOON) == []
    mended("short", at=NOON + MINUTE)
    assert tick(NOON + 5 * HOUR) == []
    AlertsSettings.objects.update(is_muted=False)
    assert tick(NOON + 5 * HOUR + MINUTE) == [("ops", "opened")]


def test_nothing_leaves_after_a_start_until_everything_was_looked_at() -> None:
    make_channel("ops", min_severity="info")
    broken("before", at=NOON - HOUR)
    assert tick(NOON - HOUR) == [("ops", "opened")]
    hold_alerts(scope=HEALTH, now=NOON, until=NOON + 15 * MINUTE)
    assert booted_at(scope=HEALTH) == NOON
    broken("1", severity=Severity.CRITICAL), broken("flicker")
    mended("flicker", at=NOON + MINUTE), mended("before", at=NOON + MINUTE)
    assert tick(NOON + MINUTE) == []
    assert tick(NOON + 16 * MINUTE) == []  # the time-out is past, the cycle is not
    assert release_alerts(scope=HEALTH, now=NOON + 17 * MINUTE) is True
    assert release_alerts(scope=HEALTH, now=NOON + 17 * MINUTE) is False
    assert booted_at(scope=HEALTH) is None
    assert sorted(tick(NOON + 17 * MINUTE)) == [("ops", "opened"), ("ops", "resolved")]


def test_a_cycle_before_the_time_out_does_not_end_the_hold() -> None:
    make_channel("ops")
    hold_alerts(scope=HEALTH, now=NOON, until=NOON + 15 * MINUTE)
    broken()
    release_alerts(scope=HEALTH, now=NOON + MINUTE)
    assert tick(NOON + 14 * MINUTE) == []
    assert tick(NOON + 15 * MINUTE) == [("ops", "opened")]


def test_a_first_cycle_that_never_ends_does_not_silence_for_good() -> None:
    make_channel("ops")
    hold_alerts(scope=HEALTH, now=NOON, until=NOON + 15 * MINUTE)
    broken()
    assert tick(NOON + HOUR) == []
    assert tick(NOON + HOUR + 16 * MINUTE) == [("ops", "opened")]


def test_two_starts_hold_until_the_later_end() -> None:
    hold_alerts(scope=HEALTH, now=NOON, until=NOON + 15 * MINUTE)
    release_alerts(scope=HEALTH, now=NOON + MINUTE)
    hold_alerts(scope=HEALTH, now=NOON + 2 * MINUTE, until=NOON + 3 * MINUTE)
    make_channel("ops")
    broken()
    release_alerts(scope=HEALTH, now=NOON + 4 * MINUTE)
    assert tick(NOON + 4 * MINUTE) == [] and tick(NOON + 15 * MINUTE) == [("ops", "opened")]


# -- snooze -----------------------------------------------------------------------------------------------------------
def test_a_snooze_lasts_through_mending_and_breaking_again() -> None:
    make_channel("ops", repeat_minutes=5)
    made = broken()
    tick(NOON)
    snooze_incident(scope=OPERATOR, incident_id=made, until=END, now=NOON, reason="being moved")
    broken("another")
    assert tick(NOON + MINUTE) == [("ops", "opened")]  # only what was snoozed is silent
    mended("another", at=NOON + MINUTE), tick(NOON + MINUTE)
    for minute in (10, 30, 50):  # seen again, mended, broken: no word of it
        broken(at=NOON + minute * MINUTE)
        assert tick(NOON + minute * MINUTE) == []
        mended(at=NOON + (minute + 5) * MINUTE)
        assert tick(NOON + (minute + 5) * MINUTE) == []
    broken(at=NOON + 90 * MINUTE)
    assert tick(NOON + 90 * MINUTE) == []
    assert tick(END) == [("ops", "opened")]
    event = IncidentEvent.objects.get(kind="snoozed")
    assert event.title == "until 2026-11-21 14:00 UTC: being moved" and event.actor == OPERATOR.actor
    assert AuditEntry.objects.filter(table_name="incident_snoozes", actor=OPERATOR.actor).exists()


def test_a_snooze_can_be_made_longer_and_ended() -> None:
    make_channel("ops")
    made = broken()
    snooze_incident(scope=OPERATOR, incident_id=made, until=NOON + HOUR, now=NOON)
    snooze_incident(scope=OPERATOR, incident_id=made, until=END, now=NOON)
    assert Snooze.objects.get().until_at == END
    assert tick(NOON + HOUR) == []
    wake_incident(scope=OPERATOR, incident_id=made)
    assert tick(NOON + HOUR) == [("ops", "opened")]
    with pytest.raises(NotFound):
        wake_incident(scope=OPERATOR, incident_id=made)
    with pytest.raises(NotFound):
        snooze_incident(scope=OPERATOR, incident_id=UUID(int=1), until=END, now=NOON)
    for bad in (NOON, NOON - HOUR, NOON + 400 * 24 * HOUR):
        with pytest.raises(InvalidInput):
            snooze_incident(scope=OPERATOR, incident_id=made, until=bad, now=NOON)


# -- maintenance --------------------------------------------------------------------------------------------------------
def test_maintenance_holds_what_it_covers_and_is_over_when_it_is_deleted(cast: Cast) -> None:
    make_channel("ops"), make_channel("acme", client_id=cast.acme), make_channel("globex", client_id=cast.globex)
    window = create_window(scope=OPERATOR, name="acme moves", client_id=cast.acme, starts_at=NOON - HOUR, ends_at=END)
    outage(cast.acme_bot, cast.globex_bot)
    broken("acme", client_id=cast.acme, bot_id=cast.acme_bot)
    assert sorted(tick(NOON)) == [("globex", "opened"), ("ops", "opened")]  # of the outage, which others have too
    delete_window(scope=OPERATOR, window_id=window)
    assert sorted(tick(NOON + MINUTE)) == [("acme", "opened"), ("acme", "opened"), ("ops", "opened")]
    with pytest.raises(NotFound):
        delete_window(scope=OPERATOR, window_id=window)


def test_maintenance_of_an_exchange_that_repeats_holds_its_outages() -> None:
    make_channel("ops")
    create_window(
        scope=OPERATOR, name="weekly", exchange="KuCoin", starts_at=NOON - 100 * HOUR, cron="30 12 * * 6",
        timezone="Europe/Zurich", duration_minutes=60,
    )  # fmt: skip
    outage()
    broken()  # of no exchange
    assert tick(NOON) == [("ops", "opened")]
    assert the_message(incident__kind="exchange_down").error == "Maintenance (weekly) until 2026-11-21 13:30 CET."
    assert tick(NOON + 30 * MINUTE) == [("ops", "opened")]


def test_a_window_can_be_moved() -> None:
    window = create_window(scope=OPERATOR, name="upgrade", starts_at=NOON, ends_at=END)
    change_window(scope=OPERATOR, window_id=window, changes={"ends_at": END + HOUR})
    change_window(
        scope=OPERATOR, window_id=window, changes={"cron": "0 2 * * *", "duration_minutes": 30, "ends_at": None}
    )
    saved = MaintenanceWindow.objects.get()
    assert (saved.cron, saved.ends_at, saved.created_by) == ("0 2 * * *", None, OPERATOR.actor)
    with pytest.raises(InvalidInput):
        change_window(scope=OPERATOR, window_id=window, changes={"cron": "0 0 31 2 *"})
    with pytest.raises(NotFound):
        change_window(scope=OPERATOR, window_id=UUID(int=1), changes={})


@pytest.mark.parametrize(
    ("field", "broken_field"),
    [
        ("name", {"name": " "}),
        ("starts_at", {"starts_at": None}),
        ("ends_at", {"ends_at": NOON}),
        ("ends_at", {"ends_at": None}),
        ("duration_minutes", {"duration_minutes": 5}),
        ("duration_minutes", {"cron": "0 2 * * *"}),
        ("duration_minutes", {"cron": "0 2 * * *", "duration_minutes": 10081}),
        ("cron", {"cron": "never", "duration_minutes": 5}),
        ("timezone", {"cron": "0 2 * * *", "duration_minutes": 5, "timezone": "Mars"}),
        ("client_id", {"bot_id": UUID(int=1)}),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(field: str, broken_field: dict[str, Any]) -> None:
    given: dict[str, Any] = {"name": "w", "starts_at": NOON, "ends_at": END}
    with pytest.raises(InvalidInput) as refused:
        create_window(scope=OPERATOR, **{**given, **broken_field})
    assert list(refused.value.fields or {}) == [field]


def test_a_window_of_a_bot_names_its_own_client(cast: Cast) -> None:
    with pytest.raises(InvalidInput):
        create_window(
            scope=OPERATOR, name="w", starts_at=NOON, ends_at=END, client_id=cast.globex, bot_id=cast.acme_bot
        )


def test_looking_again_leaves_alone_what_may_leave() -> None:
    make_channel("ops")
    broken()
    plan(NOON)
    assert look_again(scope=ALERTS, now=NOON) == 0  # nothing can hold it: it is not even loaded
    Snooze.objects.create(kind="bot_health", key="1", until_at=END, snoozed_by="x")
    assert look_again(scope=ALERTS, now=NOON) == 1
    assert look_again(scope=ALERTS, now=NOON) == 0
