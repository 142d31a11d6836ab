"""Messages: one row for each on each channel, which is what makes it exactly one."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from alerts.models.channels import AlertChannel, AlertRule
from alerts.models.incidents import Incident
from alerts.rules.words import DeliveryStatus, MessageKind, Severity
from clients.models import one_of
from ground.fields import ExactJSONField


class AlertDelivery(models.Model):
    """One message on one channel. Its id goes along with it, so that a receiver can tell a repetition."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    client_id = models.UUIDField(null=True, help_text="The channel's.")
    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="+")
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, null=True, related_name="deliveries", db_index=False
    )
    kind = models.CharField(max_length=16, choices=[(k, k) for k in MessageKind])
    number = models.PositiveIntegerField(default=1, help_text="Of its kind about this incident on this channel.")
    severity = models.CharField(max_length=16, choices=[(s, s) for s in Severity])
    title = models.CharField(max_length=300)
    body = models.TextField(help_text="Plain text.")
    payload = ExactJSONField(default=dict, help_text="What a webhook sends.")
    status = models.CharField(max_length=16, choices=[(s, s) for s in DeliveryStatus], default=DeliveryStatus.WAITING)
    due_at = models.DateTimeField(db_default=Now())
    held_at = models.DateTimeField(null=True, help_text="Since when a silence keeps it back; empty: none does.")
    attempts = models.PositiveIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True, default="", help_text="Why it failed, waits or was skipped.")
    may_be_double = models.BooleanField(
        default=False, help_text="A worker died, or an answer was lost, while it was sent: it may have arrived twice."
    )
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alert_deliveries"
        verbose_name_plural = "alert deliveries"
        ordering = ["-created_at", "-id"]
        constraints = [
            one_of("kind", MessageKind, "alert_deliveries_kind_known"),
            one_of("status", DeliveryStatus, "alert_deliveries_status_known"),
            one_of("severity", Severity, "alert_deliveries_severity_known"),
            models.UniqueConstraint(
                fields=["channel", "incident", "kind", "number"],
                condition=Q(incident__isnull=False),
                name="alert_deliveries_once",
            ),
            models.CheckConstraint(
                condition=Q(incident__isnull=False) | Q(kind="test"), name="alert_deliveries_about_something"
            ),
            models.CheckConstraint(
                condition=Q(status="sent", sent_at__isnull=False) | (~Q(status="sent") & Q(sent_at=None)),
                name="alert_deliveries_sent_then",
            ),
            models.CheckConstraint(
                condition=~Q(status="sending") | Q(lease_until__isnull=False, lease_token__isnull=False),
                name="alert_deliveries_sending_leased",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status="waiting"), name="alert_deliveries_due"),
            models.Index(fields=["lease_until"], condition=Q(status="sending"), name="alert_deliveries_leased"),
            models.Index(fields=["-created_at", "-id"], name="alert_deliveries_page"),
            models.Index(fields=["channel", "-created_at"], name="alert_deliveries_of_channel"),
            models.Index(fields=["incident", "created_at"], name="alert_deliveries_of_incident"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.title}"
