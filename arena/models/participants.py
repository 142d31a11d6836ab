"""Bots that take part in the arena, and every prompt they had."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Now

from arena.models.providers import LlmProvider, usd
from bots.models import Bot
from ground.fields import ExactJSONField

models.TextField.register_lookup(Length)


class PromptVersion(models.Model):
    """What a bot is told to be. Never changed: an edit is the next number, and each turn names the one it used."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="prompts", db_index=False)
    client_id = models.UUIDField()
    number = models.PositiveIntegerField()
    text = models.TextField(help_text="10 to 10,000 characters, with placeholders.")
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField(db_default=Now())
    note = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        db_table = "arena_prompts"
        ordering = ["bot", "-number"]
        verbose_name = "prompt"
        constraints = [
            models.UniqueConstraint(fields=["bot", "number"], name="arena_prompts_number_key"),
            models.CheckConstraint(condition=Q(number__gt=0), name="arena_prompts_number_positive"),
            models.CheckConstraint(
                condition=Q(text__length__gte=10, text__length__lte=10_000), name="arena_prompts_length"
            ),
        ]

    def __str__(self) -> str:
        return f"prompt {self.number}"


class Participant(models.Model):
    """A bot of the arena: what it is told, whom it asks, what it may risk, and when its next turn is.

    Its limits stand here and in the arena's settings alone; nothing that a prompt or a model says widens them. Its money
    is the ledger's ``bot_accounts``. ``started``: its bot's desired status is running.
    """

    bot = models.OneToOneField(Bot, on_delete=models.PROTECT, primary_key=True, related_name="participant")
    client_id = models.UUIDField()
    prompt = models.ForeignKey(
        PromptVersion, on_delete=models.PROTECT, null=True, related_name="+", help_text="The one in force."
    )
    provider = models.ForeignKey(LlmProvider, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    model = models.CharField(max_length=200, blank=True, default="", help_text="Empty: the provider's.")
    fallback = models.ForeignKey(
        LlmProvider,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Asked when the first cannot be reached. Chosen by the same client; empty: none.",
    )
    symbols = models.JSONField(default=list, blank=True, help_text='["BTC/USDT", ...]; empty: all of the arena.')
    is_advanced = models.BooleanField(
        default=False, help_text="Looks at figures with tools, in several steps, before it decides. Each costs a call."
    )
    is_public = models.BooleanField(default=True, help_text="Shown on the public pages, where these are allowed.")
    is_paused = models.BooleanField(default=False, help_text="Takes no turns; what it holds is still guarded.")
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_by = models.CharField(max_length=200, blank=True, default="", editable=False)

    turn_interval_s = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(10)], help_text="Empty: the arena's."
    )
    min_size = models.DecimalField(
        max_digits=38, decimal_places=18, default=Decimal(50), help_text="Least margin of a position."
    )
    max_leverage = models.DecimalField(
        max_digits=10, decimal_places=4, default=Decimal(10), validators=[MinValueValidator(1), MaxValueValidator(125)]
    )
    leverage_by_symbol = ExactJSONField(default=dict, blank=True, help_text='{"DOGE/USDT": 3}: lower than the rest.')
    max_open_positions = models.PositiveIntegerField(default=5)
    max_exposure_ratio = models.DecimalField(
        max_digits=10,
        decimal_places=4,
        default=Decimal(5),
        help_text="Notional of all positions, as a multiple of equity.",
    )
    max_drawdown_ratio = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        default=Decimal("0.5"),
        help_text="It is halted when its equity falls so far from its peak.",
    )
    cooldown_minutes = models.PositiveIntegerField(default=30, help_text="After a close, of the same symbol.")
    daily_budget = usd("USD for models a day of UTC; empty: no limit.", null=True, blank=True)
    monthly_budget = usd("USD for models a month of UTC; empty: no limit.", null=True, blank=True)

    next_turn_at = models.DateTimeField(db_default=Now(), editable=False)
    last_turn_at = models.DateTimeField(null=True, editable=False)
    turns = models.PositiveIntegerField(default=0, editable=False, help_text="The number of its newest turn.")
    forced_at = models.DateTimeField(null=True, editable=False, help_text="A person asked for a turn and waits.")
    forced_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    unreadable_in_row = models.PositiveIntegerField(default=0, editable=False)
    refused_in_row = models.PositiveIntegerField(default=0, editable=False)
    peak_equity = models.DecimalField(max_digits=38, decimal_places=18, null=True, editable=False)
    peak_capital = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, editable=False, help_text="What it had been given at that peak."
    )
    began_at = models.DateTimeField(db_default=Now(), editable=False, help_text="Its present life, since a reset.")
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "arena_participants"
        constraints = [
            models.CheckConstraint(
                condition=Q(min_size__gt=0, max_leverage__gte=1, max_open_positions__gte=1, max_exposure_ratio__gt=0)
                & Q(max_drawdown_ratio__gt=0, max_drawdown_ratio__lte=1),
                name="arena_participants_limits_in_order",
            ),
            models.CheckConstraint(
                condition=Q(turn_interval_s=None) | Q(turn_interval_s__gte=10), name="arena_participants_interval"
            ),
            models.CheckConstraint(
                condition=(Q(daily_budget=None) | Q(daily_budget__gte=0))
                & (Q(monthly_budget=None) | Q(monthly_budget__gte=0)),
                name="arena_participants_budget_not_negative",
            ),
        ]
        indexes = [
            models.Index(fields=["next_turn_at"], condition=Q(is_paused=False), name="arena_participants_due"),
            models.Index(fields=["forced_at"], condition=Q(forced_at__isnull=False), name="arena_participants_forced"),
        ]

    def __str__(self) -> str:
        return self.bot.name if "bot" in self._state.fields_cache else f"participant {self.bot_id}"
