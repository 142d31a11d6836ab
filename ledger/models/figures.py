"""Figures that triggers keep as rows come, and boards made from them. No service writes the first three."""

from __future__ import annotations

from django.db import models

from bots.models import Bot
from clients.models import one_of
from ledger.models.columns import money, ratio, words
from ledger.rules.words import BucketSpan, Mode, Period


class TradeSums(models.Model):
    """What was traded in some stretch of time, added up."""

    trades = models.BigIntegerField(default=0)
    buys = models.BigIntegerField(default=0)
    closed = models.BigIntegerField(default=0, help_text="Exits whose result is known.")
    wins = models.BigIntegerField(default=0)
    losses = models.BigIntegerField(default=0)
    pnl = money("Realised.", default=0)
    gross_profit = money("Sum of the winners.", default=0)
    gross_loss = money("Sum of the losers, a positive number.", default=0)
    fees = money("As far as their worth is known.", default=0)
    volume = models.DecimalField(max_digits=76, decimal_places=36, default=0, help_text="Sum of price x quantity.")
    best_pnl = money("Of one trade.", null=True)
    worst_pnl = money("Of one trade.", null=True)

    class Meta:
        abstract = True


class BotTradeHour(TradeSums):
    """What a bot traded of one symbol in one full hour. Kept by the trigger on trades; unaudited."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    symbol = models.CharField(max_length=41)
    hour_at = models.DateTimeField(help_text="When the hour begins.")

    class Meta:
        db_table = "bot_trade_hours"
        constraints = [models.UniqueConstraint(fields=["bot", "hour_at", "symbol"], name="bot_trade_hours_key")]
        indexes = [
            models.Index(fields=["client_id", "hour_at"], name="bot_trade_hours_of_client"),
            models.Index(fields=["hour_at"], name="bot_trade_hours_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} at {self.hour_at}"


class BotFee(models.Model):
    """All fees of a bot in one currency, as they were charged. Kept by the trigger on trades; unaudited."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    currency = models.CharField(max_length=20)
    amount = money("Positive was paid.", default=0)
    unpriced = money("Of that, what has no worth in the account's currency and is in no pnl.", default=0)

    class Meta:
        db_table = "bot_fees"
        constraints = [models.UniqueConstraint(fields=["bot", "currency"], name="bot_fees_key")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class EquityBucket(models.Model):
    """A bot's equity over one hour or day: neighbours merge exactly into return and drawdown. Kept by the trigger on
    snapshots; unaudited."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    span = words(BucketSpan)
    start_at = models.DateTimeField()
    first_at = models.DateTimeField()
    first_value = money()
    last_at = models.DateTimeField()
    last_value = money()
    high = money()
    low = money()
    max_drawdown = models.DecimalField(
        max_digits=38, decimal_places=18, help_text="Deepest fall from a peak within it, as a ratio of that peak."
    )
    snapshots = models.PositiveIntegerField()

    class Meta:
        db_table = "bot_equity_buckets"
        constraints = [
            one_of("span", BucketSpan, "bot_equity_buckets_span_known"),
            models.UniqueConstraint(fields=["bot", "span", "start_at"], name="bot_equity_buckets_key"),
        ]
        # What sums over many bots read stands in the index itself.
        indexes = [
            models.Index(
                fields=["span", "start_at"],
                include=["bot", "last_value", "last_at"],
                name="bot_equity_buckets_in_turn",
            )
        ]

    def __str__(self) -> str:
        return f"{self.span} of {self.start_at}"


class LeaderboardEntry(models.Model):
    """A bot's line on one board. Paper and live are never ranked together. Refreshed by a worker; unaudited."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    period = words(Period)
    mode = words(Mode)
    currency = models.CharField(max_length=20)
    is_ranked = models.BooleanField(default=False, help_text="Ranks themselves are given within what a caller may see.")
    unranked_reason = models.CharField(max_length=200, blank=True, default="")
    since_at = models.DateTimeField(null=True, help_text="Where its figures begin.")
    start_value = money("With what equity it began there: over all time, with its capital.", null=True)
    equity = money(null=True)
    equity_at = models.DateTimeField(null=True)
    total_pnl = money("Realised in the period.", default=0)
    return_pct = ratio("Change of equity, in percent.")
    total_trades = models.BigIntegerField(default=0)
    closed_trades = models.BigIntegerField(default=0)
    win_rate = ratio("Of the closed trades, 0 to 1.")
    profit_factor = ratio()
    sharpe_ratio = ratio("Annualised.")
    sortino_ratio = ratio("Annualised.")
    max_drawdown = ratio("0 to 1.")
    volatility = ratio("Annualised.")
    fees = money(null=True)
    volume = money("Quote currency.", default=0)
    baseline_return_pct = ratio("Buying and holding over the same span, in percent.")
    return_low_pct = ratio("Lower end of the bootstrap interval.")
    return_high_pct = ratio("Its upper end.")
    is_distinguishable = models.BooleanField(null=True, help_text="From doing nothing: the interval excludes 0.")
    interval_at = models.DateTimeField(null=True)
    carried_to = models.DateTimeField(null=True, help_text="The full hour before which nothing is looked at again.")
    carried_peak = money("The highest equity until then.", null=True)
    carried_fall = ratio("The deepest fall until then.")
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "leaderboard_entries"
        verbose_name_plural = "leaderboard entries"
        constraints = [
            one_of("period", Period, "leaderboard_entries_period_known"),
            one_of("mode", Mode, "leaderboard_entries_mode_known"),
            models.UniqueConstraint(fields=["bot", "period"], name="leaderboard_entries_key"),
        ]
        indexes = [models.Index(fields=["period", "mode", "-return_pct", "bot"], name="leaderboard_entries_board")]

    def __str__(self) -> str:
        return f"{self.period} {self.bot_id}"
