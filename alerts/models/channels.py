"""Where messages go, which incidents go there, and when none are sent."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from alerts.rules.words import ChannelKind, Severity
from bots.models import Bot
from clients.models import Client, one_of
from ground.encrypted import EncryptedTextField
from ground.fields import ExactJSONField


class AlertChannel(models.Model):
    """Where messages go: for operators (no client), for one client, or for one bot. Its address is a secret."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(
        Client, on_delete=models.PROTECT, null=True, blank=True, related_name="alert_channels",
        help_text="Empty: for operators, about everything.",
    )  # fmt: skip
    bot = models.ForeignKey(
        Bot, on_delete=models.CASCADE, null=True, blank=True, related_name="alert_channels",
        help_text="Only about this bot of the client's.",
    )  # fmt: skip
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=[(k, k) for k in ChannelKind])
    address = EncryptedTextField(editable=False, help_text="An apprise URL, a web address, or mail addresses.")
    address_hint = models.CharField(max_length=200, editable=False, help_text="What may be shown of the address.")
    signing_key = EncryptedTextField(null=True, editable=False, help_text="Of a webhook: what its HMAC is made with.")
    is_enabled = models.BooleanField(default=True)
    last_sent_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, default="", editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "alert_channels"
        ordering = ["name", "id"]
        constraints = [
            one_of("kind", ChannelKind, "alert_channels_kind_known"),
            models.UniqueConstraint(fields=["client", "name"], nulls_distinct=False, name="alert_channels_name_key"),
            models.CheckConstraint(
                condition=Q(bot=None) | Q(client__isnull=False), name="alert_channels_bot_with_client"
            ),
            models.CheckConstraint(
                condition=~Q(kind="webhook") | Q(signing_key__isnull=False), name="alert_channels_webhook_signs"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AlertRule(models.Model):
    """Which incidents go to a channel, when, and how often. A channel without a rule gets nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="rules")
    client_id = models.UUIDField(null=True, editable=False, help_text="The channel's.")
    name = models.CharField(max_length=100)
    is_enabled = models.BooleanField(default=True)
    kinds = ExactJSONField(default=list, blank=True, help_text="Kinds of incident, as a list; empty: all.")
    min_severity = models.CharField(max_length=16, choices=[(s, s) for s in Severity], default=Severity.WARNING)
    after_minutes = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(10080)],
        help_text="0: at once. Else an escalation: only what is still open then, and that nobody has taken on.",
    )
    repeat_minutes = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(10080)],
        help_text="Say it again this often while it is open and nobody has taken it on. Empty: once.",
    )  # fmt: skip
    sends_recovery = models.BooleanField(default=True, help_text="Say when it is over, to whom it was told.")
    quiet_from = models.TimeField(null=True, blank=True, help_text="From then on messages wait ...")
    quiet_until = models.TimeField(null=True, blank=True, help_text="... until then, and go if it is still open.")
    quiet_days = ExactJSONField(default=list, blank=True, help_text="Days, 1 Monday to 7 Sunday; empty: every day.")
    quiet_timezone = models.CharField(max_length=64, default="UTC")
    critical_breaks_quiet = models.BooleanField(default=True, help_text="What is critical does not wait.")

    class Meta:
        db_table = "alert_rules"
        ordering = ["channel", "after_minutes", "name"]
        constraints = [
            one_of("min_severity", Severity, "alert_rules_min_severity_known"),
            models.UniqueConstraint(fields=["channel", "name"], name="alert_rules_name_key"),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None)
                | (Q(quiet_from__isnull=False, quiet_until__isnull=False) & ~Q(quiet_from=F("quiet_until"))),
                name="alert_rules_quiet_both_ends",
            ),
            models.CheckConstraint(
                condition=Q(repeat_minutes=None) | Q(repeat_minutes__gte=1), name="alert_rules_repeat_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class MaintenanceWindow(models.Model):
    """No messages while somebody works on it: once, or again and again by a cron expression."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, null=True, blank=True, related_name="maintenance_windows",
        help_text="Empty: everything.",
    )  # fmt: skip
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, null=True, blank=True, related_name="maintenance_windows")
    exchange = models.CharField(max_length=64, blank=True, default="", help_text="Only what is about this exchange.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Of a repeated window: when it repeats no more.")
    cron = models.CharField(max_length=100, blank=True, default="", help_text="When each begins; empty: once.")
    timezone = models.CharField(max_length=64, default="UTC", help_text="In which the cron expression is meant.")
    duration_minutes = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(10080)],
        help_text="How long each of a repeated window lasts.",
    )  # fmt: skip
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "maintenance_windows"
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="maintenance_windows_end_after_start"
            ),
            models.CheckConstraint(
                condition=Q(cron="", ends_at__isnull=False, duration_minutes=None)
                | (~Q(cron="") & Q(duration_minutes__gte=1)),
                name="maintenance_windows_once_or_repeated",
            ),
            models.CheckConstraint(
                condition=Q(bot=None) | Q(client__isnull=False), name="maintenance_windows_bot_with_client"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AlertsSettings(models.Model):
    """What an operator may change about alerts while everything runs: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    is_muted = models.BooleanField(default=False, help_text="No messages at all; incidents are still opened.")
    keep_deliveries_days = models.PositiveIntegerField(
        default=90, validators=[MinValueValidator(1), MaxValueValidator(3650)]
    )
    keep_incidents_days = models.PositiveIntegerField(
        default=365, validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="Resolved incidents are then forgotten, with their history.",
    )  # fmt: skip

    class Meta:
        db_table = "alerts_settings"
        verbose_name = verbose_name_plural = "alerts settings"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="alerts_settings_one_row")]

    def __str__(self) -> str:
        return "alerts settings"


class AlertsState(models.Model):
    """Since when the bridge runs, and until when it sends nothing because it has not looked at everything yet: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    booted_at = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True, help_text="No message before; set at each boot.")
    awaits_cycle = models.BooleanField(
        default=False, help_text="Nor until every bot was looked at once since the boot."
    )

    class Meta:
        db_table = "alerts_state"
        verbose_name_plural = "alerts state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="alerts_state_one_row")]

    def __str__(self) -> str:
        return "alerts"
