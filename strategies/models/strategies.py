"""What strategies run, what ran, and every config they had. A strategy is a bot made from a template."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from bots.models import Bot
from clients.models import Client, one_of
from ground.fields import ExactJSONField
from strategies.rules.words import StrategyStatus


class ActiveStrategy(models.Model):
    """A strategy that should run, or is being stopped. Its row goes to the history once its bot is at rest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="strategies", db_index=False)
    bot = models.OneToOneField(Bot, on_delete=models.PROTECT, related_name="strategy_active")
    exchange = models.CharField(max_length=64, help_text="The one name that stands for its market.")
    symbol = models.CharField(max_length=40, help_text="BASE/QUOTE")
    symbol_shown = models.CharField(max_length=40, help_text="As it was written when the strategy was started.")
    strategy_type = models.CharField(max_length=64, help_text="The template's name.")
    interval = models.CharField(max_length=16)
    config = ExactJSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1, help_text="The config version that is wanted.")
    status = models.CharField(
        max_length=16, choices=[(s, s) for s in StrategyStatus], default=StrategyStatus.ACTIVE, editable=False
    )
    status_at = models.DateTimeField(db_default=Now(), help_text="Since when the status is this one.")
    message = models.CharField(
        max_length=500, blank=True, default="", help_text="Why it is being restored, or must not run."
    )
    started_at = models.DateTimeField()
    started_by = models.CharField(max_length=200)
    last_active = models.DateTimeField(
        null=True, help_text="Of its last trade, or when its controller's figures last changed; empty: no sign yet."
    )
    stop_requested_at = models.DateTimeField(null=True)
    stop_requested_by = models.CharField(max_length=200, blank=True, default="")
    stop_reason = models.CharField(max_length=300, blank=True, default="")
    source = models.CharField(max_length=50, blank=True, default="", help_text="The old system this row came from.")
    source_id = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        db_table = "active_strategies"
        ordering = ["started_at", "id"]
        verbose_name_plural = "active strategies"
        constraints = [
            one_of("status", StrategyStatus, "active_strategies_status_known"),
            models.UniqueConstraint(fields=["client", "exchange", "symbol"], name="active_strategies_one_per_market"),
            models.CheckConstraint(
                condition=Q(stop_requested_at=None) ^ Q(status="stopping"), name="active_strategies_stopping_is_asked"
            ),
            models.CheckConstraint(condition=Q(version__gt=0), name="active_strategies_version_positive"),
            models.UniqueConstraint(
                fields=["source", "client", "source_id"],
                condition=~Q(source_id=""),
                name="active_strategies_source_id_key",
            ),
        ]
        indexes = [models.Index(fields=["started_at", "id"], name="active_strategies_page")]

    def __str__(self) -> str:
        return f"{self.symbol_shown} ({self.strategy_type})"


class StrategyHistory(models.Model):
    """A run of a strategy that is over. The figures are the ledger's for its bot since the start, to the last digit."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="strategy_history", db_index=False)
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, null=True, related_name="strategy_history", db_index=False,
        help_text="Empty: imported, and no bot is known.",
    )  # fmt: skip
    exchange = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40, help_text="BASE/QUOTE")
    symbol_shown = models.CharField(max_length=40)
    strategy_type = models.CharField(max_length=64)
    interval = models.CharField(max_length=16, blank=True, default="")
    config = ExactJSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1)
    started_at = models.DateTimeField()
    started_by = models.CharField(max_length=200, blank=True, default="")
    stopped_at = models.DateTimeField(help_text="When somebody wanted it stopped.")
    stopped_by = models.CharField(max_length=200, blank=True, default="")
    reason = models.CharField(max_length=300)
    pnl = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="Realised by its trades, after fees; empty: not known."
    )
    fees = models.DecimalField(
        max_digits=38,
        decimal_places=18,
        null=True,
        help_text="Of its trades; empty: not known, or the worth of one of them in the quote is not.",
    )
    trades_count = models.PositiveIntegerField(null=True, help_text="Executions; empty: not known.")
    currency = models.CharField(max_length=20, blank=True, default="", help_text="Of pnl and fees.")
    performance = models.JSONField(null=True, help_text="The last figures that its controllers reported.")
    settled_at = models.DateTimeField(null=True, help_text="When the figures were last summed up.")
    source = models.CharField(max_length=50, blank=True, default="", help_text="The old system this row came from.")
    source_id = models.CharField(max_length=200, blank=True, default="")
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "strategy_history"
        ordering = ["-stopped_at", "-id"]
        verbose_name_plural = "strategy history"
        constraints = [
            # One row for each run, however many workers see it end.
            models.UniqueConstraint(
                fields=["bot", "started_at"], condition=Q(bot__isnull=False), name="strategy_history_one_per_run"
            ),
            models.CheckConstraint(
                condition=Q(stopped_at__gte=F("started_at")), name="strategy_history_stopped_after_start"
            ),
            models.UniqueConstraint(
                fields=["source", "client", "source_id"],
                condition=~Q(source_id=""),
                name="strategy_history_source_id_key",
            ),
        ]
        indexes = [
            models.Index(fields=["-stopped_at", "-id"], name="strategy_history_page"),
            models.Index(fields=["client", "-stopped_at", "-id"], name="strategy_history_of_client"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol_shown} ({self.strategy_type})"


class StrategyVersion(models.Model):
    """A config that a strategy had. Its bot keeps them all, also over stops and starts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="strategy_versions", db_index=False)
    number = models.PositiveIntegerField()
    interval = models.CharField(max_length=16, blank=True, default="")
    config = ExactJSONField(default=dict, blank=True)
    note = models.CharField(max_length=300, blank=True, default="")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)

    class Meta:
        db_table = "strategy_versions"
        ordering = ["bot", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "number"], name="strategy_versions_number_key"),
            models.CheckConstraint(condition=Q(number__gt=0), name="strategy_versions_number_positive"),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"
