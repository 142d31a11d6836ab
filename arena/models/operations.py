"""How the arena is run: settings, switches, and when which task last ran."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from arena.models.providers import words
from arena.rules.statuses import HaltKind, HaltScope
from bots.models import Bot
from clients.models import Client, one_of


def _number(default: int, least: int, most: int, help_text: str) -> models.PositiveIntegerField:
    limits = [MinValueValidator(least), MaxValueValidator(most)]
    return models.PositiveIntegerField(default=default, validators=limits, help_text=help_text)


def _rate(default: str, help_text: str) -> models.DecimalField:
    limits = [MinValueValidator(0), MaxValueValidator(1)]
    return models.DecimalField(
        max_digits=12, decimal_places=10, default=Decimal(default), validators=limits, help_text=help_text
    )


class ArenaSettings(models.Model):
    """What an operator may change about the arena while everything runs: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    exchange = models.CharField(max_length=64, default="binance", help_text="Whose prices all bots trade at.")
    symbols = models.JSONField(
        default=list, blank=True, help_text='["BTC/USDT", ...]; empty: the most traded against USDT, as many as below.'
    )
    most_symbols = _number(20, 1, 500, "How many markets are followed where none are named.")
    refresh_s = _number(10, 1, 3600, "How often prices are read, once for all bots.")
    stale_after_s = _number(60, 2, 3600, "Older prices stop turns and price nothing.")
    turn_interval_s = _number(200, 10, 86_400, "Between the turns of one bot.")
    turn_timeout_s = _number(300, 10, 3600, "A turn that takes longer is ended.")
    most_steps = _number(6, 1, 20, "Questions to the model in one turn of an advanced bot.")
    fee_rate = _rate("0.0005", "Of the notional, on entering and on leaving: 0.0005 is 0.05 %.")
    slippage_bps = models.DecimalField(
        max_digits=8, decimal_places=3, default=Decimal(2), validators=[MinValueValidator(0), MaxValueValidator(1000)],
        help_text="How much worse than the price shown a fill is, in hundredths of a percent.",
    )  # fmt: skip
    maintenance_margin_ratio = _rate("0.005", "Of the notional: a position is liquidated when no more is left.")
    funding_rate_8h = models.DecimalField(
        max_digits=12, decimal_places=10, default=Decimal(0), validators=[MinValueValidator(-1), MaxValueValidator(1)],
        help_text="Paid by longs to shorts each 8 hours, as a ratio of the notional; 0: none.",
    )  # fmt: skip
    summary_tokens = _number(
        25_000, 1000, 1_000_000, "From so many tokens of history on, older decisions are summarised,"
    )
    summary_keep = _number(15, 1, 200, "the newest so many stay word for word,")
    summary_again_after = _number(10, 1, 1000, "and again after so many new ones.")
    halt_after_unreadable = _number(10, 1, 1000, "Answers in a row that nobody could read, until a bot is halted.")
    halt_after_refused = _number(20, 1, 1000, "Turns in a row in which everything was refused, until a bot is halted.")
    is_public = models.BooleanField(
        default=False, help_text="Anybody may see the leaderboard and bots marked as public."
    )
    keep_events_hours = _number(24, 1, 720, "How far back a listener may resume.")
    keep_bars_days = _number(30, 1, 3650, "Bars of five minutes are kept for so long; those of hours always.")

    class Meta:
        db_table = "arena_settings"
        verbose_name = verbose_name_plural = "arena settings"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="arena_settings_one_row"),
            models.CheckConstraint(
                condition=Q(refresh_s__gte=1, turn_interval_s__gte=10, stale_after_s__gte=models.F("refresh_s"))
                & Q(fee_rate__gte=0, slippage_bps__gte=0, maintenance_margin_ratio__gte=0),
                name="arena_settings_in_order",
            ),
        ]

    def __str__(self) -> str:
        return "arena settings"


class ArenaState(models.Model):
    """When which task of the arena last did its work: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    prices_at = models.DateTimeField(null=True, help_text="When prices were last read.")
    prices_error = models.CharField(max_length=500, blank=True, default="", help_text="Why the last reading failed.")
    markets_at = models.DateTimeField(null=True, help_text="When the rules of markets were last read.")
    enforced_at = models.DateTimeField(null=True, help_text="Of the newest prices that positions were held against.")
    funded_at = models.DateTimeField(null=True, help_text="The newest moment of funding that was booked.")

    class Meta:
        db_table = "arena_state"
        verbose_name_plural = "arena state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="arena_state_one_row")]

    def __str__(self) -> str:
        return "the arena"


class Halt(models.Model):
    """A kill switch that was pulled, by a person or by a rule. While it is open, what it covers opens nothing and takes no
    turns; stops and liquidations of what is held go on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = words(HaltScope)
    kind = words(HaltKind, default=HaltKind.SWITCH)
    client = models.ForeignKey(
        Client, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    reason = models.CharField(max_length=300)
    halted_at = models.DateTimeField(db_default=Now())
    halted_by = models.CharField(max_length=200)
    is_operators = models.BooleanField(default=False, help_text="An operator pulled it, and only an operator lifts it.")
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        db_table = "arena_halts"
        ordering = ["-halted_at"]
        constraints = [
            one_of("scope", HaltScope, "arena_halts_scope_known"),
            one_of("kind", HaltKind, "arena_halts_kind_known"),
            models.CheckConstraint(
                condition=Q(scope="all", client=None, bot=None)
                | Q(scope="client", client__isnull=False, bot=None)
                | Q(scope="bot", client__isnull=False, bot__isnull=False),
                name="arena_halts_scope_fits",
            ),
            models.UniqueConstraint(
                fields=["scope", "client", "bot"],
                condition=Q(lifted_at=None),
                nulls_distinct=False,
                name="arena_halts_one_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.reason}"
