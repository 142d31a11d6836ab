"""What markets show: one exchange's prices for all bots. No tenant's."""

from __future__ import annotations

from django.db import models

from arena.models.providers import words
from arena.rules.statuses import BarSpan
from clients.models import one_of
from ledger.models.columns import money, ratio


class ArenaMarket(models.Model):
    """One pair of the arena's exchange: its rules, and the newest price with its age. Written by the refresh, and
    by the reading of history."""

    id = models.BigAutoField(primary_key=True)
    exchange = models.CharField(max_length=64)
    symbol = models.CharField(max_length=41, help_text="BASE/QUOTE")
    base = models.CharField(max_length=20)
    quote = models.CharField(max_length=20)
    is_traded = models.BooleanField(default=True, help_text="Bots may open positions; what is held is guarded anyway.")
    price_tick = money("Prices are multiples of it.", null=True)
    quantity_step = money("Quantities are multiples of it.", null=True)
    minimum_quantity = money("Base.", null=True)
    minimum_notional = money("Quote.", null=True)
    max_leverage = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    rules_at = models.DateTimeField(null=True, help_text="When these rules were read; empty: never, so nothing opens.")
    price = money("Last.", null=True)
    bid = money(null=True)
    ask = money(null=True)
    change_24h_ratio = ratio("0.01 is one percent up.")
    quote_volume_24h = models.DecimalField(max_digits=76, decimal_places=36, null=True)
    observed_at = models.DateTimeField(null=True, help_text="The exchange's time of the price, or when it was read.")
    fetched_at = models.DateTimeField(null=True, help_text="When we read it.")
    history_at = models.DateTimeField(null=True, help_text="When bars from before were asked for; empty: not yet.")

    class Meta:
        db_table = "arena_markets"
        ordering = ["exchange", "symbol"]
        verbose_name = "market"
        constraints = [
            models.UniqueConstraint(fields=["exchange", "symbol"], name="arena_markets_key"),
            models.CheckConstraint(
                condition=models.Q(price=None) | models.Q(price__gt=0, observed_at__isnull=False),
                name="arena_markets_price_has_time",
            ),
        ]

    def __str__(self) -> str:
        return self.symbol


class PriceBar(models.Model):
    """Open, high, low and last of the prices that were seen of a market in one span."""

    id = models.BigAutoField(primary_key=True)
    market = models.ForeignKey(ArenaMarket, on_delete=models.CASCADE, related_name="bars", db_index=False)
    span = words(BarSpan)
    start_at = models.DateTimeField()
    open = money()
    high = money()
    low = money()
    close = money()
    prices = models.PositiveIntegerField(help_text="How many were seen; 0: the exchange's own bar.")

    class Meta:
        db_table = "arena_price_bars"
        constraints = [
            one_of("span", BarSpan, "arena_price_bars_span_known"),
            models.UniqueConstraint(fields=["market", "span", "start_at"], name="arena_price_bars_key"),
        ]

    def __str__(self) -> str:
        return f"{self.market_id} {self.span} {self.start_at}"
