"""Tables: the log of checks, checks that a person asked for, and what an operator may change about them."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from bots.models import Bot
from bots.rules.words import HealthStatus
from clients.models import one_of


class BotHealthLog(models.Model):
    """One line per check and per change of a verdict."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="health_logs", db_index=False)
    client_id = models.UUIDField()
    checked_at = models.DateTimeField()
    previous_status = models.CharField(max_length=16, choices=[(s, s) for s in HealthStatus], null=True)
    new_status = models.CharField(max_length=16, choices=[(s, s) for s in HealthStatus])
    reason = models.CharField(max_length=500)
    actor = models.CharField(max_length=200, default="system:health")
    trade_count = models.PositiveIntegerField(null=True, help_text="Own trades that the check saw; null: none read.")
    last_trade_at = models.DateTimeField(null=True)
    evidence = models.JSONField(default=list)

    class Meta:
        db_table = "bot_health_logs"
        ordering = ["-checked_at", "-id"]
        constraints = [
            one_of("previous_status", HealthStatus, "bot_health_logs_previous_status_known"),
            one_of("new_status", HealthStatus, "bot_health_logs_new_status_known"),
        ]
        indexes = [
            models.Index(fields=["bot", "-checked_at", "-id"], name="bot_health_logs_of_bot"),
            models.Index(
                fields=["checked_at"], condition=Q(previous_status=F("new_status")), name="bot_health_logs_age"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.previous_status} > {self.new_status}"


class CheckRequest(models.Model):
    """A check that a person asked for: a row first, then a nudge; whoever waits, waits for the row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="check_requests")
    client_id = models.UUIDField()
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "health_check_requests"
        indexes = [
            models.Index(fields=["requested_at"], condition=Q(finished_at=None), name="health_check_requests_open")
        ]

    def __str__(self) -> str:
        return f"check of {self.bot_id}"


def _minutes(help_text: str) -> models.DecimalField:
    return models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=help_text,
        validators=[MinValueValidator(0), MaxValueValidator(525600)],
    )


class HealthSettings(models.Model):
    """What an operator may change about health while everything runs: one row; empty: the environment's default."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    check_interval_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(86400)],
        help_text="How often each running bot is checked. Empty: HEALTH_CHECK_INTERVAL_SECONDS.",
    )
    stale_minutes = _minutes("Without a trade for this long a bot is stale. Empty: STALE_THRESHOLD_MINUTES.")
    stopped_minutes = _minutes("Without a trade for this long a bot is stopped. Empty: STOPPED_THRESHOLD_MINUTES.")
    heartbeat_timeout_minutes = _minutes("A heartbeat older than this says nothing. Empty: HEARTBEAT_TIMEOUT_MINUTES.")
    keep_checks_days = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="Checks without a change of verdict are forgotten after this many days; changes are kept.",
    )
    keep_heartbeats_days = models.PositiveIntegerField(
        default=7,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="Single heartbeats are forgotten after this many days.",
    )
    learns_cadence = models.BooleanField(
        default=True, help_text="Where a bot's own trades tell enough, they set its limits instead of fixed minutes."
    )
    days_between_false_alarms = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="A healthy bot may be called stopped wrongly once in this many days: fewer notices a death sooner.",
    )

    class Meta:
        db_table = "health_settings"
        verbose_name = verbose_name_plural = "health settings"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="health_settings_one_row"),
            models.CheckConstraint(
                condition=Q(check_interval_seconds=None)
                | Q(check_interval_seconds__gte=1, check_interval_seconds__lte=86400),
                name="health_settings_interval_bounded",
            ),
            models.CheckConstraint(
                condition=Q(days_between_false_alarms__gte=1), name="health_settings_false_alarms_bounded"
            ),
            models.CheckConstraint(
                condition=Q(stale_minutes=None) | Q(stopped_minutes=None) | Q(stopped_minutes__gte=F("stale_minutes")),
                name="health_settings_stopped_not_before_stale",
            ),
            models.CheckConstraint(
                condition=(Q(stale_minutes=None) | Q(stale_minutes__gt=0))
                & (Q(stopped_minutes=None) | Q(stopped_minutes__gt=0))
                & (Q(heartbeat_timeout_minutes=None) | Q(heartbeat_timeout_minutes__gt=0)),
                name="health_settings_minutes_positive",
            ),
        ]

    def __str__(self) -> str:
        return "health settings"
