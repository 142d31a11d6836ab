"""Turns: each once, with where it stands."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from arena.models.participants import PromptVersion
from arena.models.providers import LlmProvider, words
from arena.rules.statuses import OPEN_TURNS, TurnCause, TurnStatus
from bots.models import Bot
from ledger.models import BotDecision


class ArenaTurn(models.Model):
    """One turn of one bot. It has one open at most, enforced here; each status is reached once by compare-and-set."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="turns", db_index=False)
    client_id = models.UUIDField()
    number = models.PositiveIntegerField()
    cause = words(TurnCause, default=TurnCause.SCHEDULE)
    requested_by = models.CharField(max_length=200, blank=True, default="")
    status = words(TurnStatus, default=TurnStatus.CLAIMED)
    message = models.CharField(max_length=500, blank=True, default="", help_text="Why it failed or was left out.")
    prompt = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    provider = models.ForeignKey(
        LlmProvider, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, help_text="Who answered."
    )
    model = models.CharField(max_length=200, blank=True, default="")
    decision = models.OneToOneField(
        BotDecision, on_delete=models.PROTECT, null=True, related_name="turn", db_constraint=False
    )
    briefing = models.JSONField(
        default=dict, help_text="What it was shown in figures: prices with their time, balance, equity, limits."
    )
    prices_at = models.DateTimeField(null=True, help_text="Of the prices it was shown.")
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0, help_text="How often a worker took it up.")
    created_at = models.DateTimeField()
    asked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "arena_turns"
        ordering = ["-created_at", "-id"]
        verbose_name = "turn"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=[str(s) for s in TurnStatus]), name="arena_turns_status_known"
            ),
            models.CheckConstraint(condition=Q(cause__in=[str(c) for c in TurnCause]), name="arena_turns_cause_known"),
            models.UniqueConstraint(fields=["bot", "number"], name="arena_turns_number_key"),
            models.UniqueConstraint(
                fields=["bot"], condition=Q(status__in=[str(s) for s in OPEN_TURNS]), name="arena_turns_one_open"
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None, status__in=[str(s) for s in OPEN_TURNS])
                | Q(finished_at__isnull=False) & ~Q(status__in=[str(s) for s in OPEN_TURNS]),
                name="arena_turns_finished_when_over",
            ),
            models.CheckConstraint(
                condition=Q(status="done", decision__isnull=False) | ~Q(status="done"),
                name="arena_turns_done_has_decision",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lease_until"], condition=Q(status__in=[str(s) for s in OPEN_TURNS]), name="arena_turns_open"
            ),
            models.Index(fields=["-created_at", "-id"], name="arena_turns_newest"),
            models.Index(fields=["bot", "-created_at"], name="arena_turns_of_bot"),
        ]

    def __str__(self) -> str:
        return f"turn {self.number}"
