"""How the ledger is kept: what an operator may change, and when which task last ran."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q


def _number(default: int, least: int, most: int, help_text: str) -> models.PositiveIntegerField:
    limits = [MinValueValidator(least), MaxValueValidator(most)]
    return models.PositiveIntegerField(default=default, validators=limits, help_text=help_text)


class LedgerSettings(models.Model):
    """What an operator may change about the ledger while everything runs: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    snapshot_minutes = _number(10, 1, 60, "How often the state of every active bot is recorded; a divisor of 60.")
    keep_full_days = _number(7, 1, 3650, "Every snapshot is kept for so long,")
    keep_hourly_days = _number(30, 1, 3650, "then one an hour for so long, then one a day for ever.")
    minimum_closed_trades = _number(5, 0, 10_000, "With fewer in the period a bot gets no rank.")

    class Meta:
        db_table = "ledger_settings"
        verbose_name = verbose_name_plural = "ledger settings"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="ledger_settings_one_row"),
            models.CheckConstraint(
                condition=Q(snapshot_minutes__in=[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]),
                name="ledger_settings_snapshots_fit_the_hour",
            ),
            models.CheckConstraint(
                condition=Q(keep_full_days__gte=1, keep_hourly_days__gte=F("keep_full_days")),
                name="ledger_settings_keep_in_order",
            ),
        ]

    def __str__(self) -> str:
        return "ledger settings"


class LedgerState(models.Model):
    """When which task of the ledger last did its work: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    snapshot_at = models.DateTimeField(null=True, help_text="The newest tick that was recorded.")
    boards_at = models.DateTimeField(null=True)
    intervals_at = models.DateTimeField(null=True)
    thinned_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ledger_state"
        verbose_name_plural = "ledger state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="ledger_state_one_row")]

    def __str__(self) -> str:
        return "the ledger"
