"""Language-model providers, and every word that went to them and came back."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from arena.rules.statuses import CallPurpose, CallStatus, ProviderKind, SpendSpan
from bots.models import Bot
from clients.models import Client, one_of
from ground.encrypted import EncryptedTextField
from ground.fields import ExactJSONField


def words(kind: Any, **options: Any) -> models.CharField:
    """One of the words of a StrEnum; the table needs a CHECK beside it (``clients.models.one_of``)."""
    return models.CharField(max_length=16, choices=[(str(word), str(word)) for word in kind], **options)


def usd(help_text: str = "", **options: Any) -> models.DecimalField:
    """US dollars."""
    return models.DecimalField(max_digits=20, decimal_places=10, help_text=help_text, **options)


class LlmProvider(models.Model):
    """An account at a provider of language models: one client's, or an operator's that is shared with all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(
        Client,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="llm_providers",
        db_index=False,
        help_text="Whose it is; empty: the operators', for every client when it is shared.",
    )
    name = models.CharField(max_length=100)
    kind = words(ProviderKind)
    base_url = models.CharField(max_length=500, blank=True, default="", help_text="Empty: the provider's own.")
    model = models.CharField(max_length=200, help_text="What is asked where a bot names no other.")
    api_key = EncryptedTextField(null=True, blank=True, editable=False)
    key_hint = models.CharField(max_length=20, blank=True, default="", editable=False)
    is_shared = models.BooleanField(default=False, help_text="Bots of every client may use it.")
    is_enabled = models.BooleanField(default=True)
    timeout_s = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(600)], help_text="Of one call."
    )
    max_attempts = models.PositiveIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(10)], help_text="At most so many for one answer."
    )
    max_output_tokens = models.PositiveIntegerField(default=4096, validators=[MinValueValidator(16)])
    prices = ExactJSONField(
        default=dict,
        blank=True,
        help_text='USD per million tokens by model: {"gpt-x": {"input": 1.25, "output": 10}}; "*" is any other.',
    )
    source = models.CharField(max_length=50, blank=True, default="", editable=False)
    source_id = models.CharField(max_length=200, blank=True, default="", editable=False)
    tested_at = models.DateTimeField(null=True, editable=False)
    test_message = models.CharField(max_length=300, blank=True, default="", editable=False)
    retired_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "llm_providers"
        ordering = ["name", "id"]
        verbose_name = "model provider"
        constraints = [
            one_of("kind", ProviderKind, "llm_providers_kind_known"),
            models.CheckConstraint(
                condition=Q(is_shared=False) | Q(client=None), name="llm_providers_shared_are_operators"
            ),
            models.CheckConstraint(
                condition=~Q(kind="compatible") | ~Q(base_url=""), name="llm_providers_compatible_has_address"
            ),
            models.CheckConstraint(
                condition=Q(timeout_s__gte=1, timeout_s__lte=600, max_attempts__gte=1, max_attempts__lte=10),
                name="llm_providers_limits_in_order",
            ),
            models.UniqueConstraint(
                fields=["client", "name"],
                condition=Q(retired_at=None),
                nulls_distinct=False,
                name="llm_providers_name_key",
            ),
            models.UniqueConstraint(
                fields=["source", "client", "source_id"],
                condition=~Q(source_id=""),
                nulls_distinct=False,
                name="llm_providers_source_id_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class LlmText(models.Model):
    """A text that was sent to a model. The same text of one client is stored once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    sha256 = models.CharField(max_length=64)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "llm_texts"
        constraints = [models.UniqueConstraint(fields=["client", "sha256"], name="llm_texts_key")]

    def __str__(self) -> str:
        return self.sha256[:12]


class LlmCall(models.Model):
    """One question to a model and its raw answer, which is stored before anything reads it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(
        Client, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, help_text="Empty: a test."
    )
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    turn = models.ForeignKey(
        "arena.ArenaTurn", on_delete=models.PROTECT, null=True, related_name="calls", db_index=False
    )
    provider = models.ForeignKey(LlmProvider, on_delete=models.PROTECT, related_name="calls", db_index=False)
    model = models.CharField(max_length=200)
    purpose = words(CallPurpose)
    step = models.PositiveIntegerField(
        default=1, help_text="Which question of its turn, from 1; a fallback's is the next too."
    )
    status = words(CallStatus, default=CallStatus.RESERVED)
    messages = models.JSONField(
        default=list, help_text='What was sent, in order: {"role": "system", "text": sha256 of an llm_texts row}, ...'
    )
    reply = models.TextField(null=True, help_text="The answer's body, as it came.")
    reply_status = models.PositiveIntegerField(null=True, help_text="HTTP.")
    answered_model = models.CharField(max_length=200, blank=True, default="")
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    estimated_cost = usd("Reserved before the call.", default=0)
    cost = usd("Settled after it; empty: not known, so the estimate counts.", null=True)
    attempts = models.PositiveIntegerField(default=0)
    duration_ms = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")
    asked_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "llm_calls"
        ordering = ["-asked_at", "-id"]
        verbose_name = "model call"
        constraints = [
            one_of("purpose", CallPurpose, "llm_calls_purpose_known"),
            one_of("status", CallStatus, "llm_calls_status_known"),
            models.CheckConstraint(
                condition=~Q(status="answered") | Q(reply__isnull=False, answered_at__isnull=False),
                name="llm_calls_answered_has_reply",
            ),
            models.CheckConstraint(
                condition=Q(estimated_cost__gte=0) & (Q(cost=None) | Q(cost__gte=0)), name="llm_calls_cost_not_negative"
            ),
            models.UniqueConstraint(
                fields=["turn", "step"], condition=Q(turn__isnull=False, purpose="turn"), name="llm_calls_step_key"
            ),
        ]
        indexes = [
            models.Index(fields=["-asked_at", "-id"], name="llm_calls_newest"),
            models.Index(fields=["bot", "-asked_at"], name="llm_calls_of_bot"),
            models.Index(fields=["provider", "-asked_at"], name="llm_calls_of_provider"),
            models.Index(fields=["asked_at"], condition=Q(status="reserved"), name="llm_calls_reserved"),
            models.Index(fields=["turn"], condition=Q(turn__isnull=False), name="llm_calls_of_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.model}"


class LlmSpend(models.Model):
    """What a client, or one bot of it, has spent on models in a day or month of UTC. Reserving is one statement that
    compares with the budget, so two workers never spend the same dollar."""

    id = models.BigAutoField(primary_key=True)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, help_text="Empty: the client's sum."
    )
    span = words(SpendSpan)
    start_on = models.DateField()
    reserved = usd("Of calls on their way.", default=0)
    spent = usd("Of calls that are over; lost ones with their estimate.", default=0)
    calls = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "llm_spend"
        constraints = [
            one_of("span", SpendSpan, "llm_spend_span_known"),
            models.CheckConstraint(condition=Q(reserved__gte=0, spent__gte=0), name="llm_spend_not_negative"),
            models.UniqueConstraint(
                fields=["client", "bot", "span", "start_on"], nulls_distinct=False, name="llm_spend_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.span} of {self.start_on}: {self.spent + self.reserved}"


class ClientBudget(models.Model):
    """What a client's bots may spend on models together."""

    client = models.OneToOneField(Client, on_delete=models.PROTECT, primary_key=True, related_name="llm_budget")
    daily_budget = usd("USD a day of UTC; empty: no limit.", null=True, blank=True)
    monthly_budget = usd("USD a month of UTC; empty: no limit.", null=True, blank=True)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "llm_budgets"
        verbose_name = "model budget"
        constraints = [
            models.CheckConstraint(
                condition=(Q(daily_budget=None) | Q(daily_budget__gte=0))
                & (Q(monthly_budget=None) | Q(monthly_budget__gte=0)),
                name="llm_budgets_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(daily_budget=None) | Q(monthly_budget=None) | Q(monthly_budget__gte=F("daily_budget")),
                name="llm_budgets_month_not_below_day",
            ),
        ]

    def __str__(self) -> str:
        return f"budget of {self.client_id}"
