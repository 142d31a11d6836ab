"""How strategies were brought back: each run with its plan, and what came of each step."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bots.models import Bot
from clients.models import one_of
from strategies.rules.restore import OPEN_RUNS, RestoreAction, RestoreOutcome, RestoreReason, RunStatus


class RestoreRun(models.Model):
    """One time that strategies were brought back together. Only one such run is open at a time, enforced here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reason = models.CharField(max_length=32, choices=[(r, r) for r in RestoreReason])
    requested_by = models.CharField(max_length=200)
    is_dry_run = models.BooleanField(default=False, help_text="Only shows what it would do.")
    spacing_s = models.DecimalField(
        max_digits=8, decimal_places=3, help_text="Least seconds between two new deployments."
    )
    status = models.CharField(max_length=16, choices=[(s, s) for s in RunStatus], default=RunStatus.PLANNED)
    message = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, help_text="When its plan was made.")
    finished_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True, help_text="Somebody works on it until then.")

    class Meta:
        db_table = "strategy_restores"
        ordering = ["-created_at", "-id"]
        verbose_name = "restore"
        constraints = [
            one_of("reason", RestoreReason, "strategy_restores_reason_known"),
            one_of("status", RunStatus, "strategy_restores_status_known"),
            models.CheckConstraint(condition=Q(spacing_s__gte=0), name="strategy_restores_spacing_not_negative"),
            models.CheckConstraint(
                condition=Q(finished_at=None, status__in=[str(s) for s in OPEN_RUNS])
                | Q(finished_at__isnull=False) & ~Q(status__in=[str(s) for s in OPEN_RUNS]),
                name="strategy_restores_finished_when_over",
            ),
            # Two bridges that start at once restore once.
            models.UniqueConstraint(
                fields=["is_dry_run"],
                condition=Q(is_dry_run=False, status__in=[str(s) for s in OPEN_RUNS]),
                name="strategy_restores_one_open",
            ),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="strategy_restores_page")]

    def __str__(self) -> str:
        return f"{self.reason} at {self.created_at:%Y-%m-%d %H:%M}"


class RestoreStep(models.Model):
    """One strategy of a run. What it was is kept here, also when it is stopped later."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RestoreRun, on_delete=models.CASCADE, related_name="steps", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    position = models.PositiveIntegerField(help_text="Its place in the plan, from 1.")
    exchange = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40, help_text="BASE/QUOTE")
    symbol_shown = models.CharField(max_length=40)
    strategy_type = models.CharField(max_length=64)
    action = models.CharField(max_length=16, choices=[(a, a) for a in RestoreAction])
    outcome = models.CharField(max_length=16, choices=[(o, o) for o in RestoreOutcome], default=RestoreOutcome.PENDING)
    attempts = models.PositiveIntegerField(default=0, help_text="Deployments that were opened for it in this run.")
    due_at = models.DateTimeField(help_text="Its turn.")
    carried = models.JSONField(null=True, help_text="Positions and orders that were open when its turn came.")
    carried_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    message = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "strategy_restore_steps"
        ordering = ["run", "position"]
        verbose_name = "restore step"
        constraints = [
            one_of("action", RestoreAction, "strategy_restore_steps_action_known"),
            one_of("outcome", RestoreOutcome, "strategy_restore_steps_outcome_known"),
            models.UniqueConstraint(fields=["run", "bot"], name="strategy_restore_steps_one_each"),
            models.UniqueConstraint(fields=["run", "position"], name="strategy_restore_steps_position_key"),
        ]
        indexes = [
            models.Index(fields=["client_id", "run"], name="strategy_restore_steps_of"),
            models.Index(fields=["bot"], name="strategy_restore_steps_bot"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol_shown} ({self.strategy_type})"


class RestoreWatch(models.Model):
    """What restoring knows of Hummingbot: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    away_since = models.DateTimeField(null=True, help_text="Since when Hummingbot gives no readable answer.")
    looked_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "strategy_restore_watch"
        verbose_name_plural = "restore watch"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="strategy_restore_watch_one_row")]

    def __str__(self) -> str:
        return "restore watch"
