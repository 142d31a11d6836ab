"""Whatever happens in whatever order: nothing that stays wrong goes untold, and nothing is called over that was not told."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts.models import AlertDelivery, AlertRule, AlertsSettings, Incident, IncidentEvent, MaintenanceWindow, Snooze
from alerts.rules.words import Severity
from alerts.services.boot import hold_alerts, release_alerts
from alerts.services.incidents import acknowledge_incident, resolve_incidents
from alerts.services.silence import create_window, snooze_incident
from ground.errors import Conflict
from tests.alerts.posts import HEALTH, HOUR, MINUTE, NOON, broken, make_channel, tick
from tests.fixtures import OPERATOR

KEYS = ("1", "2")
STEPS = st.sampled_from(
    ["broken 1", "broken 2", "critical 1", "critical 2", "mended 1", "mended 2", "take on 1", "snooze 1", "window", "boot",
     "released", "mute", "unmute", "fail", "wait"]
)  # fmt: skip
TELLS = ("opened", "worsened", "reminder", "escalated")


def step(word: str, now: datetime) -> None:
    word, _, key = word.partition(" ")
    incident = Incident.objects.filter(key=key, resolved_at=None).first()
    match word:
        case "broken" | "critical":
            broken(key, at=now, severity=Severity.CRITICAL if word == "critical" else Severity.WARNING)
        case "mended":
            resolve_incidents(scope=HEALTH, kind="bot_health", key=key, now=now, resolution="It trades again.")
        case "take" if incident := Incident.objects.filter(key="1", resolved_at=None).first():
            with suppress(Conflict):
                acknowledge_incident(scope=OPERATOR, incident_id=incident.id, now=now)
        case "snooze" if incident:
            snooze_incident(scope=OPERATOR, incident_id=incident.id, until=now + 40 * MINUTE, now=now)
        case "window":
            create_window(scope=OPERATOR, name="w", starts_at=now, ends_at=now + 25 * MINUTE)
        case "boot":
            hold_alerts(scope=HEALTH, now=now, until=now + 15 * MINUTE)
        case "released":
            release_alerts(scope=HEALTH, now=now)
        case "mute" | "unmute":
            AlertsSettings.objects.update_or_create(id=1, defaults={"is_muted": word == "mute"})
        case "fail":  # a worker could not deliver what is due
            due = AlertDelivery.objects.filter(status="waiting", due_at__lte=now, held_at=None)
            due.update(attempts=1, due_at=now + 5 * MINUTE, error="no answer")


def forget_all() -> None:
    for model in (AlertDelivery, IncidentEvent, Incident, Snooze, MaintenanceWindow, AlertsSettings):
        model.objects.all().delete()
    release_alerts(scope=HEALTH, now=NOON)


@settings(
    max_examples=20, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(STEPS, st.integers(1, 30)), min_size=3, max_size=14))
def test_what_stays_wrong_is_told_and_only_what_was_told_is_called_over(database: None, steps: list[Any]) -> None:
    forget_all()
    AlertRule.objects.all().delete()
    for name, rule in {
        "plain": {},
        "quiet": {"quiet_from": "12:20", "quiet_until": "13:20", "repeat_minutes": 20},
        "boss": {"after_minutes": 15},
    }.items():
        make_channel(f"{name} {AlertDelivery.objects.count()} {datetime.now().timestamp()}", **rule)  # noqa: DTZ005
    now = NOON
    for word, minutes in steps:
        step(word, now)
        tick(now)
        now += minutes * MINUTE
    AlertsSettings.objects.update(is_muted=False)
    release_alerts(scope=HEALTH, now=now)
    for hours in (24, 25):  # every silence is over (at noon), and the second time every recovery has followed
        tick(NOON + timedelta(hours=hours + 24 * ((now - NOON) // (24 * HOUR))))
    _check()


def _check() -> None:
    waiting = AlertDelivery.objects.filter(status="waiting").exclude(kind__in=("reminder", "escalated"))
    assert not waiting.exists(), list(waiting.values("kind", "error", "due_at"))
    rows = list(AlertDelivery.objects.select_related("incident", "channel"))
    for row in rows:
        same = [other for other in rows if (other.channel_id, other.incident_id) == (row.channel_id, row.incident_id)]
        told = [other for other in same if other.kind in TELLS and other.status == "sent"]
        if row.kind == "resolved" and row.status == "sent":
            assert told and max(other.sent_at for other in told) <= row.sent_at
        if row.incident.resolved_at is None and not row.channel.name.startswith("boss"):
            assert told, (row.kind, row.status, row.error)
    plain = {row.incident_id for row in rows if row.channel.name.startswith("plain") and row.status == "sent"}
    for incident in Incident.objects.filter(resolved_at=None):
        assert incident.id in plain
    recovered = {row.incident_id for row in rows if row.kind == "resolved"}
    for incident in Incident.objects.filter(resolved_at__isnull=False, id__in=plain):
        assert incident.id in recovered
