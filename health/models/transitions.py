"""Every change of a verdict, and how long a bot carried which on each day."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from bots.models import Bot
from bots.rules.words import HealthStatus
from clients.models import one_of


class HealthTransition(models.Model):
    """One change of a bot's verdict. Written by the trigger on ``bot_health``, whoever changes it; kept."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="health_transitions", db_index=False)
    client_id = models.UUIDField()
    at = models.DateTimeField()
    from_status = models.CharField(max_length=16, choices=[(s, s) for s in HealthStatus], null=True)
    to_status = models.CharField(max_length=16, choices=[(s, s) for s in HealthStatus])
    is_planned = models.BooleanField(default=False, help_text="Somebody wanted the bot stopped.")
    reason = models.CharField(max_length=500)
    evidence = models.JSONField(default=list)
    actor = models.CharField(max_length=200)

    class Meta:
        db_table = "bot_health_transitions"
        ordering = ["-at", "-id"]
        constraints = [
            one_of("from_status", HealthStatus, "bot_health_transitions_from_known"),
            one_of("to_status", HealthStatus, "bot_health_transitions_to_known"),
        ]
        indexes = [
            models.Index(fields=["bot", "-at", "-id"], name="bot_health_transitions_of_bot"),
            models.Index(fields=["at"], name="bot_health_transitions_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.from_status} > {self.to_status}"


class UptimeDay(models.Model):
    """Seconds of one day of UTC that a bot carried each verdict. Made from its transitions; kept."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    day = models.DateField()
    healthy_s = models.PositiveIntegerField(default=0)
    stale_s = models.PositiveIntegerField(default=0)
    stopped_s = models.PositiveIntegerField(default=0)
    error_s = models.PositiveIntegerField(default=0)
    unknown_s = models.PositiveIntegerField(default=0)
    planned_s = models.PositiveIntegerField(default=0, help_text="Stopped on purpose: no part of any uptime.")
    counted_to = models.DateTimeField(help_text="Up to when the day is counted.")

    class Meta:
        db_table = "bot_uptime_days"
        constraints = [
            models.UniqueConstraint(fields=["bot", "day"], name="bot_uptime_days_key"),
            models.CheckConstraint(
                condition=Q(healthy_s__lte=86400, stale_s__lte=86400, stopped_s__lte=86400)
                & Q(error_s__lte=86400, unknown_s__lte=86400, planned_s__lte=86400),
                name="bot_uptime_days_within_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} on {self.day}"
