"""Keeping messages back on purpose: snoozing one matter, and times of maintenance."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from alerts.models import Incident, IncidentEvent, MaintenanceWindow, Snooze
from alerts.rules.silence import check_cron, check_timezone
from alerts.rules.words import EventKind
from exchanges.names import resolve
from ground.errors import InvalidInput, NotFound
from ground.scope import Scope

LONGEST_SNOOZE = timedelta(days=366)
WINDOW_FIELDS = (
    "name", "client_id", "bot_id", "exchange", "starts_at", "ends_at", "cron", "timezone", "duration_minutes",
)  # fmt: skip


def snooze_incident(*, scope: Scope, incident_id: UUID, until: datetime, now: datetime, reason: str = "") -> None:
    """No messages about what this incident is about until then, also when it is mended and breaks again meanwhile.

    A second snooze replaces the first. Raises NotFound, InvalidInput.
    """
    if not now < until <= now + LONGEST_SNOOZE:
        raise InvalidInput("A snooze ends in the future, and within a year.", fields={"until": ["in the next year"]})
    with scope.transaction(reason=reason or "incident snoozed"):
        incident = _find(incident_id)
        Snooze.objects.update_or_create(
            kind=incident.kind,
            key=incident.key,
            defaults={
                "client_id": incident.client_id,
                "until_at": until,
                "snoozed_by": scope.actor[:200],
                "snoozed_at": now,
                "reason": reason[:300],
            },
        )
        IncidentEvent.objects.create(
            incident=incident, client_id=incident.client_id, kind=EventKind.SNOOZED, severity=incident.severity,
            title=f"until {until:%Y-%m-%d %H:%M} {until:%Z}{': ' if reason else ''}{reason}"[:300],
            actor=scope.actor[:200], at=now, planned_at=now,
        )  # fmt: skip


def wake_incident(*, scope: Scope, incident_id: UUID) -> None:
    """End the snooze of what this incident is about: messages that wait for it are looked at again. Raises NotFound."""
    with scope.transaction(reason="snooze ended"):
        incident = _find(incident_id)
        ended, _ = Snooze.objects.filter(kind=incident.kind, key=incident.key).delete()
    if not ended:
        raise NotFound("This incident is not snoozed.")


def create_window(*, scope: Scope, **fields: Any) -> UUID:
    """A time of maintenance: ``starts_at`` to ``ends_at``, or repeated by ``cron``, ``timezone`` and
    ``duration_minutes``; about everything, or a ``client_id``, a ``bot_id``, an ``exchange``. Raises InvalidInput."""
    window = MaintenanceWindow(created_by=scope.actor[:200], **check_window(fields))
    with scope.transaction(reason="maintenance window created"):
        _save(window)
    return window.id


def change_window(*, scope: Scope, window_id: UUID, changes: dict[str, Any]) -> None:
    """Change what ``changes`` names. Raises NotFound, InvalidInput."""
    with scope.transaction(reason="maintenance window changed"):
        window = MaintenanceWindow.objects.select_for_update().filter(id=window_id).first()
        if window is None:
            raise NotFound("There is no such maintenance window.")
        merged = {name: getattr(window, name) for name in WINDOW_FIELDS} | changes
        for name, value in check_window(merged).items():
            setattr(window, name, value)
        _save(window)


def delete_window(*, scope: Scope, window_id: UUID) -> None:
    """Messages that it keeps back are looked at again at once. Raises NotFound."""
    with scope.transaction(reason="maintenance window deleted"):
        found, _ = MaintenanceWindow.objects.filter(id=window_id).delete()
    if not found:
        raise NotFound("There is no such maintenance window.")


def check_window(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a window, if they make sense together. Raises InvalidInput naming the field."""
    unknown = sorted(set(fields) - set(WINDOW_FIELDS))
    if unknown:
        raise InvalidInput(f"A maintenance window has no {', '.join(unknown)}.")
    cron, ends_at = (fields.get("cron") or "").strip(), fields.get("ends_at")
    if not str(fields.get("name") or "").strip():
        raise _bad("name", "Give the window a name.")
    if fields.get("starts_at") is None:
        raise _bad("starts_at", "Say when the window begins.")
    if ends_at is not None and ends_at <= fields["starts_at"]:
        raise _bad("ends_at", "A window ends after it begins.")
    if fields.get("bot_id") and not fields.get("client_id"):
        raise _bad("client_id", "A window of a bot names the bot's client too.")
    _check_repeat(cron, fields)
    exchange = str(fields.get("exchange") or "").strip()
    return {**fields, "cron": cron, "exchange": resolve(exchange).exchange if exchange else ""}


def _check_repeat(cron: str, fields: dict[str, Any]) -> None:
    minutes = fields.get("duration_minutes")
    if not cron:
        if fields.get("ends_at") is None:
            raise _bad("ends_at", "A window that is not repeated needs an end.")
        if minutes is not None:
            raise _bad("duration_minutes", "Only a repeated window has a duration; this one has an end.")
        return
    if not minutes or not 1 <= minutes <= 10080:
        raise _bad("duration_minutes", "A repeated window lasts 1 to 10080 minutes.")
    for name, check, value in (
        ("timezone", check_timezone, fields.get("timezone") or "UTC"),
        ("cron", check_cron, cron),
    ):
        try:
            check(value)
        except ValueError as error:
            raise _bad(name, str(error)) from None


def _save(window: MaintenanceWindow) -> None:
    try:
        window.save()
    except IntegrityError:
        raise _bad("bot_id", "There is no such bot of this client.") from None


def _bad(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})


def _find(incident_id: UUID) -> Incident:
    incident = Incident.objects.filter(id=incident_id).first()
    if incident is None:
        raise NotFound("There is no such incident.")
    return incident
