"""Channels and rules as rows, incidents, and what became of their messages: for the tests of alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from alerts.models import AlertChannel, AlertDelivery, AlertRule, Incident
from alerts.rules.words import Severity
from alerts.services.incidents import raise_incident, resolve_incidents
from alerts.services.look_again import look_again
from alerts.services.plan_deliveries import plan_deliveries
from alerts.services.touched import set_touched
from ground.scope import system_scope

HEALTH, ALERTS = system_scope("health"), system_scope("alerts")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def make_channel(name: str, /, *, client_id: UUID | None = None, bot_id: UUID | None = None, **rule: Any) -> UUID:
    """A channel with one rule; ``rule=None`` for none."""
    channel = AlertChannel.objects.create(
        name=name, kind="apprise", address="ntfy://topic", address_hint="ntfy", client_id=client_id, bot_id=bot_id
    )
    add_rule(channel.id, **rule)
    return channel.id


def add_rule(channel_id: UUID, name: str = "all", **fields: Any) -> UUID:
    owner = AlertChannel.objects.get(id=channel_id).client_id
    return AlertRule.objects.create(channel_id=channel_id, client_id=owner, name=name, **fields).id


def broken(key: str = "1", *, at: datetime = NOON, severity: Severity = Severity.WARNING, **told: Any) -> UUID:
    given = {"kind": "bot_health", "title": f"bot {key} is stopped", **told}
    return raise_incident(scope=HEALTH, key=key, now=at, severity=severity, **given)


def outage(*bots: UUID, at: datetime = NOON, **told: Any) -> UUID:
    with HEALTH.transaction():
        given = {"severity": Severity.CRITICAL, "details": {"exchange": "kucoin"}, **told}
        made = raise_incident(
            scope=HEALTH, kind="exchange_down", key="kucoin", title="KuCoin does not answer", now=at, **given
        )
        set_touched(scope=HEALTH, incident_key=("exchange_down", "kucoin"), bot_ids=bots, now=at)
    return made


def mended(key: str = "1", *, at: datetime, kind: str = "bot_health") -> None:
    assert resolve_incidents(scope=HEALTH, kind=kind, key=key, now=at, resolution="It trades again.") == 1


def plan(at: datetime = NOON) -> int:
    return plan_deliveries(scope=ALERTS, now=at)


def send(at: datetime) -> list[tuple[str, str]]:
    """Send what may leave, as the workers do it: [(channel, kind)] in the order in which it left."""
    look_again(scope=ALERTS, now=at)
    sent = []
    for row in AlertDelivery.objects.filter(status="waiting", due_at__lte=at).order_by("created_at", "id"):
        row.status, row.sent_at = "sent", at
        row.save()
        sent.append((row.channel.name, row.kind))
    return sent


def tick(at: datetime) -> list[tuple[str, str]]:
    """What leaves when the schedule plans and sends at this moment."""
    plan(at)
    return send(at)


def messages() -> list[tuple[str, str, int, str]]:
    """Every message: channel, kind, number, status."""
    rows = AlertDelivery.objects.order_by("channel__name", "created_at", "kind", "number")
    return list(rows.values_list("channel__name", "kind", "number", "status"))


def the_incident(incident_id: UUID) -> Incident:
    return Incident.objects.get(id=incident_id)
