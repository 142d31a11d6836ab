"""What is known of the exchanges and keys that bots are checked through, and of the rounds of checking."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from clients.models import one_of
from health.rules.words import CircuitState


class ExchangeCircuit(models.Model):
    """A breaker: of one exchange (no fingerprint) or of one key there. A changed key has another fingerprint, so that a
    rejected one is asked again as soon as it was changed. Unaudited."""

    id = models.BigAutoField(primary_key=True)
    exchange = models.CharField(max_length=64, help_text="ccxt's id.")
    fingerprint = models.CharField(max_length=16, blank=True, default="", help_text="Of the key; gives nothing away.")
    state = models.CharField(max_length=16, choices=[(s, s) for s in CircuitState], default=CircuitState.CLOSED)
    reason = models.CharField(max_length=300, blank=True, default="")
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    opened_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(
        null=True, help_text="When one call tries again; empty while open: when it is changed."
    )
    last_ok_at = models.DateTimeField(null=True)
    last_failed_at = models.DateTimeField(null=True)
    calls = models.BigIntegerField(default=0, help_text="Of all time.")
    errors = models.BigIntegerField(default=0)
    clock_offset_ms = models.IntegerField(null=True, help_text="By how much the exchange's clock is ahead of ours.")
    clock_measured_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "exchange_circuits"
        constraints = [
            one_of("state", CircuitState, "exchange_circuits_state_known"),
            models.UniqueConstraint(fields=["exchange", "fingerprint"], name="exchange_circuits_key"),
            models.CheckConstraint(condition=~Q(exchange=""), name="exchange_circuits_of_something"),
            models.CheckConstraint(
                condition=Q(state="closed") | Q(opened_at__isnull=False), name="exchange_circuits_open_since"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.state}"


class HealthRound(models.Model):
    """One batch of checks that a worker made: bots of one exchange. Unaudited; forgotten after a week."""

    id = models.BigAutoField(primary_key=True)
    exchange = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    bots = models.PositiveIntegerField(help_text="That it was given.")
    written = models.PositiveIntegerField(help_text="Whose verdict was written.")
    late_s = models.DecimalField(max_digits=12, decimal_places=3, help_text="How long the latest of them was overdue.")

    class Meta:
        db_table = "health_rounds"
        indexes = [models.Index(fields=["-finished_at"], name="health_rounds_recent")]

    def __str__(self) -> str:
        return f"{self.bots} bots of {self.exchange}"


class HealthState(models.Model):
    """The watcher itself: one row. Unaudited."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last_tick_at = models.DateTimeField(null=True, help_text="When the schedule last looked for bots that are due.")
    cycle_began_at = models.DateTimeField(null=True, help_text="When the present look at every bot began.")
    last_cycle_at = models.DateTimeField(null=True, help_text="When every bot had last been looked at.")
    last_cycle_s = models.DecimalField(max_digits=12, decimal_places=3, null=True, help_text="How long that took.")
    last_cycle_bots = models.PositiveIntegerField(null=True)
    dead_man_at = models.DateTimeField(null=True, help_text="When the dead man's switch was last told.")
    dead_man_error = models.CharField(max_length=200, blank=True, default="", db_default="")
    dead_man_tried_at = models.DateTimeField(null=True)
    uptime_counted_at = models.DateTimeField(null=True, help_text="Up to when every bot's uptime was counted.")

    class Meta:
        db_table = "health_state"
        verbose_name_plural = "health state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="health_state_one_row")]

    def __str__(self) -> str:
        return "health"
