"""When each bot should be heard of, and what was heard."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bots.models import Bot
from bots.rules.words import ReportedStatus
from clients.models import one_of
from health.rules.words import PingKind


class HeartbeatPlan(models.Model):
    """A bot's own period and grace, as an interval or a cron expression. Without a row the common time-out holds."""

    bot = models.OneToOneField(Bot, on_delete=models.CASCADE, primary_key=True, related_name="heartbeat_plan")
    client_id = models.UUIDField(editable=False)
    period_s = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(31536000)],
        help_text="A heartbeat is expected this often. Empty: by the cron expression.",
    )  # fmt: skip
    cron = models.CharField(max_length=100, blank=True, default="", help_text="When a heartbeat is expected.")
    timezone = models.CharField(max_length=64, default="UTC", help_text="In which the cron expression is meant.")
    grace_s = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(31536000)],
        help_text="How late it may be.",
    )  # fmt: skip

    class Meta:
        db_table = "bot_heartbeat_plans"
        constraints = [
            models.CheckConstraint(
                condition=Q(period_s__gte=1, cron="") | (Q(period_s=None) & ~Q(cron="")),
                name="bot_heartbeat_plans_period_or_cron",
            ),
            models.CheckConstraint(condition=Q(grace_s__gte=1), name="bot_heartbeat_plans_grace_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.cron or self.period_s} + {self.grace_s} s"


class HeartbeatLog(models.Model):
    """One heartbeat as it came. Kept as long as the settings say; unaudited."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="heartbeats", db_index=False)
    client_id = models.UUIDField()
    received_at = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=[(k, k) for k in PingKind])
    word = models.CharField(
        max_length=16,
        choices=[(w, w) for w in ReportedStatus],
        null=True,
        help_text="What it said of the bot, if anything.",
    )
    run_id = models.CharField(max_length=64, blank=True, default="", help_text="Joins a start with its end.")
    exit_code = models.PositiveSmallIntegerField(null=True)
    duration_ms = models.BigIntegerField(null=True, help_text="Since the start of the same run.")
    body = models.TextField(blank=True, default="", help_text="The first 10 kB of what came along.")
    actor = models.CharField(max_length=200)

    class Meta:
        db_table = "bot_heartbeats"
        ordering = ["-received_at", "-id"]
        constraints = [
            one_of("kind", PingKind, "bot_heartbeats_kind_known"),
            one_of("word", ReportedStatus, "bot_heartbeats_word_known"),
            models.CheckConstraint(
                condition=Q(exit_code=None) | Q(exit_code__lte=255), name="bot_heartbeats_exit_code_of_a_process"
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-received_at", "-id"], name="bot_heartbeats_of_bot"),
            models.Index(fields=["received_at"], name="bot_heartbeats_age"),
            models.Index(
                fields=["bot", "run_id", "-received_at"], condition=Q(kind="start"), name="bot_heartbeats_starts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.bot_id}"


class TradeGap(models.Model):
    """Own trades of one connector, market and pair that the ledger may lack, for a slower task to page through. Unaudited."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="trade_gaps", db_index=False)
    client_id = models.UUIDField()
    from_at = models.DateTimeField(help_text="The newest trade that was known before.")
    to_at = models.DateTimeField(help_text="The oldest trade that was read after.")
    rest_from_at = models.DateTimeField(null=True, help_text="What of it is left to read; empty: all.")
    rest_to_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0, help_text="In a row that read nothing.")
    lease_until = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True, help_text="When everything between was read, or given up.")
    note = models.CharField(max_length=300, blank=True, default="")
    found = models.PositiveIntegerField(default=0, help_text="Trades that it brought.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "trade_gaps"
        constraints = [
            models.UniqueConstraint(fields=["bot", "from_at"], condition=Q(closed_at=None), name="trade_gaps_open_key"),
            models.CheckConstraint(condition=Q(to_at__gte=models.F("from_at")), name="trade_gaps_forward"),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(closed_at=None), name="trade_gaps_due")]

    def __str__(self) -> str:
        return f"{self.from_at} to {self.to_at}"
