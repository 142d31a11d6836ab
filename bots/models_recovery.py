"""Table: bots that are wanted running, failed, and come back by themselves or wait for a person."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class BotRecovery(models.Model):
    """A bot that is wanted running and failed: how often in a row, when it is deployed again, or why a person must act.

    No row means that nothing is wrong. A start or a stop by a person removes it."""

    bot = models.OneToOneField("bots.Bot", on_delete=models.CASCADE, primary_key=True, related_name="recovery")
    client_id = models.UUIDField()
    failures = models.PositiveIntegerField(default=0, help_text="In a row, without a run of five minutes between.")
    counted_sequence = models.PositiveIntegerField(
        null=True, help_text="The newest of its deployments whose failure was counted."
    )
    next_at = models.DateTimeField(null=True, help_text="It is not deployed again before that.")
    is_planned = models.BooleanField(
        default=False, help_text="The time was set by a restore run, which brings many back in turn."
    )
    quarantined_at = models.DateTimeField(null=True, help_text="It is not deployed again by itself since.")
    reason = models.CharField(max_length=500, blank=True, default="")
    last_failure_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "bot_recovery"
        verbose_name_plural = "bot recovery"
        indexes = [
            models.Index(
                fields=["quarantined_at"], condition=Q(quarantined_at__isnull=False), name="bot_recovery_quarantined"
            )
        ]

    def __str__(self) -> str:
        return "quarantined" if self.quarantined_at else f"{self.failures} failures"
