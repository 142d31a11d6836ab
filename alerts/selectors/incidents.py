"""Reads of incidents. Run them inside a scope, or where an operator looks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from alerts.models import AlertDelivery, Incident, IncidentBot, IncidentEvent, Snooze
from alerts.rules.words import Severity

_WORST_FIRST = Case(
    *(When(severity=word, then=Value(rank)) for rank, word in enumerate(reversed(Severity))),
    output_field=IntegerField(),
)


def open_incidents() -> QuerySet[Incident]:
    """Those not resolved yet, the worst and newest first."""
    return (
        Incident.objects.filter(resolved_at=None)
        .select_related("client", "bot")
        .order_by(_WORST_FIRST, "-opened_at", "-id")
    )


def incidents_of_bot(bot_id: UUID) -> QuerySet[Incident]:
    """Those about the bot and those that touched it, the newest first."""
    return Incident.objects.filter(
        Q(bot_id=bot_id) | Q(id__in=IncidentBot.objects.filter(bot_id=bot_id).values("incident_id"))
    ).order_by("-opened_at", "-id")


def incident_history(incident_id: UUID) -> QuerySet[IncidentEvent]:
    """What happened to it, the oldest first."""
    return IncidentEvent.objects.filter(incident_id=incident_id).order_by("id")


def incident_bots(incident_id: UUID) -> QuerySet[IncidentBot]:
    """The bots it touches or touched, those that it still touches first, by name."""
    return (
        IncidentBot.objects.filter(incident_id=incident_id)
        .select_related("bot__client")
        .order_by("-until_at", "bot__name", "id")
    )


def incident_messages(incident_id: UUID) -> QuerySet[AlertDelivery]:
    """Every message about it, the oldest first."""
    return AlertDelivery.objects.filter(incident_id=incident_id).select_related("channel").order_by("created_at", "id")


def snooze_of(*, kind: str, key: str, now: datetime) -> Snooze | None:
    """The snooze that keeps messages about this back now, or None."""
    return Snooze.objects.filter(kind=kind, key=key, until_at__gt=now).first()
