"""Stored turns asked again in shadow: another provider, prompt or rule, and no trade."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from arena.models.participants import PromptVersion
from arena.models.providers import LlmCall, LlmProvider, words
from arena.models.turns import ArenaTurn
from arena.rules.statuses import ShadowKind, ShadowStatus
from bots.models import Bot
from ground.fields import ExactJSONField


class ShadowRun(models.Model):
    """One replay of a bot's turns, with what came of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="shadow_runs", db_index=False)
    client_id = models.UUIDField()
    kind = words(ShadowKind)
    status = words(ShadowStatus, default=ShadowStatus.WANTED)
    provider = models.ForeignKey(LlmProvider, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    model = models.CharField(max_length=200, blank=True, default="")
    prompt = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    prompt_text = models.TextField(blank=True, default="", help_text="A prompt that no bot has yet; empty: see prompt.")
    rules = ExactJSONField(default=dict, help_text='Of kind rules: {"fee_rate": ..., "stop_loss_ratio": ...}')
    first_turn = models.PositiveIntegerField()
    last_turn = models.PositiveIntegerField()
    requested_by = models.CharField(max_length=200)
    message = models.CharField(max_length=500, blank=True, default="")
    result = ExactJSONField(default=dict, help_text="Agreement, simulated equity and profit beside the real one, cost.")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField(
        null=True, help_text="Not before that: it waits for turns to come, or for a provider."
    )

    class Meta:
        db_table = "arena_shadow_runs"
        ordering = ["-created_at", "-id"]
        verbose_name = "shadow run"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[str(k) for k in ShadowKind]), name="arena_shadow_runs_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=[str(s) for s in ShadowStatus]), name="arena_shadow_runs_status_known"
            ),
            models.CheckConstraint(
                condition=Q(first_turn__gte=1, last_turn__gte=models.F("first_turn")),
                name="arena_shadow_runs_turns_in_order",
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-created_at"], name="arena_shadow_runs_of_bot"),
            models.Index(
                fields=["created_at"], condition=Q(status__in=["wanted", "running"]), name="arena_shadow_runs_open"
            ),
        ]

    def __str__(self) -> str:
        return f"shadow of turns {self.first_turn} to {self.last_turn}"


class ShadowTurn(models.Model):
    """One turn of a run: what the other would have decided."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(ShadowRun, on_delete=models.CASCADE, related_name="turns", db_index=False)
    turn = models.ForeignKey(ArenaTurn, on_delete=models.PROTECT, related_name="+", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    call = models.ForeignKey(LlmCall, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    decisions_json = ExactJSONField(default=list)
    notes_json = ExactJSONField(default=list, help_text="How its answer was read.")
    simulated_json = ExactJSONField(
        default=list, help_text="What would have come of it, since the turn before, in words."
    )
    agrees = models.BooleanField(null=True, help_text="With what the bot decided; empty: it could not be read.")
    equity = models.DecimalField(max_digits=38, decimal_places=18, null=True, help_text="Simulated, after this turn.")
    real_equity = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="The bot's own, at the same prices."
    )
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, help_text="Empty: it is being asked.")

    class Meta:
        db_table = "arena_shadow_turns"
        ordering = ["run", "turn"]
        constraints = [models.UniqueConstraint(fields=["run", "turn"], name="arena_shadow_turns_key")]
        indexes = [models.Index(fields=["bot", "turn"], name="arena_shadow_turns_of_turn")]

    def __str__(self) -> str:
        return f"shadow of {self.turn_id}"
