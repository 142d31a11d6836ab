"""Incidents, what happened to each, which bots it touches, and what was silenced."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from alerts.rules.words import EventKind, Severity
from bots.models import Bot
from clients.models import Client, one_of
from ground.fields import ExactJSONField


class Incident(models.Model):
    """Something is wrong, from when it was first seen until it is mended. At most one is open for a kind and key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, null=True, related_name="incidents", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, null=True, related_name="incidents", db_index=False)
    kind = models.CharField(max_length=64, help_text="The rule that is broken.")
    key = models.CharField(max_length=200, help_text="What it is about; unique among the open ones of its kind.")
    severity = models.CharField(max_length=16, choices=[(s, s) for s in Severity])
    title = models.CharField(max_length=300)
    details = ExactJSONField(default=dict)
    raised_by = models.CharField(max_length=200)
    opened_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    times_seen = models.PositiveIntegerField(default=1)
    acknowledged_at = models.DateTimeField(null=True, help_text="Somebody has taken it on.")
    acknowledged_by = models.CharField(max_length=200, blank=True, default="")
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True, default="")
    resolution = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        db_table = "incidents"
        ordering = ["-opened_at", "-id"]
        constraints = [
            one_of("severity", Severity, "incidents_severity_known"),
            models.UniqueConstraint(fields=["kind", "key"], condition=Q(resolved_at=None), name="incidents_one_open"),
            models.CheckConstraint(condition=Q(bot=None) | Q(client__isnull=False), name="incidents_bot_with_client"),
            models.CheckConstraint(condition=~Q(kind="") & ~Q(key=""), name="incidents_about_something"),
            models.CheckConstraint(condition=Q(times_seen__gt=0), name="incidents_seen"),
            models.CheckConstraint(condition=Q(last_seen_at__gte=F("opened_at")), name="incidents_seen_after_opened"),
            models.CheckConstraint(
                condition=Q(resolved_at=None, resolved_by="") | (Q(resolved_at__isnull=False) & ~Q(resolved_by="")),
                name="incidents_resolved_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["-opened_at", "-id"], name="incidents_page"),
            models.Index(fields=["client", "-opened_at", "-id"], name="incidents_of_client"),
            models.Index(fields=["bot", "-opened_at"], condition=Q(bot__isnull=False), name="incidents_of_bot"),
        ]

    def __str__(self) -> str:
        return self.title


class IncidentEvent(models.Model):
    """One line of an incident's history. Messages are made from these rows, so each is told once."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events", db_index=False)
    client_id = models.UUIDField(null=True)
    kind = models.CharField(max_length=16, choices=[(k, k) for k in EventKind])
    severity = models.CharField(max_length=16, choices=[(s, s) for s in Severity])
    title = models.CharField(max_length=300, help_text="The incident's sentence at that moment.")
    actor = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())
    planned_at = models.DateTimeField(null=True, help_text="When its messages were made; empty: not yet.")

    class Meta:
        db_table = "incident_events"
        ordering = ["id"]
        constraints = [
            one_of("kind", EventKind, "incident_events_kind_known"),
            one_of("severity", Severity, "incident_events_severity_known"),
            models.UniqueConstraint(
                fields=["incident", "kind"], condition=Q(kind__in=["opened", "resolved"]), name="incident_events_once"
            ),
        ]
        indexes = [
            models.Index(fields=["incident", "id"], name="incident_events_of_incident"),
            models.Index(fields=["id"], condition=Q(planned_at=None), name="incident_events_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.title}"


class IncidentBot(models.Model):
    """A bot that an incident of many touches. A client's messages name its own bots alone."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="touched", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="+", db_index=False)
    client_id = models.UUIDField()
    since_at = models.DateTimeField(db_default=Now())
    until_at = models.DateTimeField(null=True, help_text="When it was no longer touched; empty: it still is.")

    class Meta:
        db_table = "incident_bots"
        constraints = [models.UniqueConstraint(fields=["incident", "bot"], name="incident_bots_key")]
        indexes = [models.Index(fields=["bot", "-since_at"], name="incident_bots_of_bot")]

    def __str__(self) -> str:
        return f"{self.bot_id} in {self.incident_id}"


class Snooze(models.Model):
    """No messages about one kind and key until then, also when it is mended and breaks again meanwhile."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=64)
    key = models.CharField(max_length=200)
    client_id = models.UUIDField(null=True, help_text="Whose incident it was about.")
    until_at = models.DateTimeField()
    snoozed_by = models.CharField(max_length=200)
    snoozed_at = models.DateTimeField(db_default=Now())
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        db_table = "incident_snoozes"
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="incident_snoozes_key"),
            models.CheckConstraint(condition=~Q(kind="") & ~Q(key=""), name="incident_snoozes_about_something"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.key} until {self.until_at}"
