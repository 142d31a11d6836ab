"""What the API of leaderboards shows."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.rules.words import Mode, Period


def _number(help_text: str = "") -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=help_text)


class BoardLineShown(serializers.Serializer[Any]):
    rank = serializers.IntegerField(allow_null=True, help_text="Among the caller's bots; equal returns share one.")
    bot_id = serializers.UUIDField()
    bot_name = serializers.CharField()
    client_id = serializers.UUIDField()
    mode = serializers.ChoiceField(choices=[str(m) for m in Mode])
    currency = serializers.CharField()
    pair = serializers.CharField()
    equity = _number()
    total_pnl = serializers.FloatField(help_text="Realised in the period.")
    return_pct = _number("Change of equity, in percent.")
    win_rate = _number("0 to 1, of closed trades.")
    profit_factor = _number()
    sharpe_ratio = _number("Annualised.")
    sortino_ratio = _number("Annualised.")
    max_drawdown = _number("0 to 1.")
    volatility = _number("Annualised.")
    fees = _number()
    volume = serializers.FloatField()
    baseline_return_pct = _number("Buying and holding the pair over the same span, in percent.")
    return_low_pct = _number("Lower end of the 95 % interval.")
    return_high_pct = _number("Its upper end.")
    total_trades = serializers.IntegerField()
    closed_trades = serializers.IntegerField()
    is_ranked = serializers.BooleanField()
    unranked_reason = serializers.CharField(allow_null=True)
    is_distinguishable = serializers.BooleanField(allow_null=True, help_text="From no return at all.")
    is_distinguishable_from_next = serializers.BooleanField(allow_null=True)
    certainty = serializers.CharField(help_text="The same in words.")
    since_at = serializers.DateTimeField(allow_null=True)
    interval_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField(help_text="When a figure in this line last changed.")


class LeaderboardShown(serializers.Serializer[Any]):
    period = serializers.ChoiceField(choices=[str(p) for p in Period])
    mode = serializers.ChoiceField(choices=[str(m) for m in Mode])
    count = serializers.IntegerField()
    total = serializers.IntegerField()
    refreshed_at = serializers.DateTimeField(allow_null=True)
    minimum_closed_trades = serializers.IntegerField()
    leaderboard = BoardLineShown(many=True)


class BoardSumsShown(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(choices=[str(m) for m in Mode])
    currency = serializers.CharField(allow_null=True)
    total_bots = serializers.IntegerField()
    total_users = serializers.IntegerField()
    total_trades = serializers.IntegerField()
    total_pnl = _number("In this currency alone.")
    avg_win_rate = _number("Mean of the bots' win rates, 0 to 1.")


class LeaderboardStatsShown(BoardSumsShown):
    others = BoardSumsShown(many=True)


class SnapshotShown(serializers.Serializer[Any]):
    timestamp = serializers.DateTimeField()
    balance = _number()
    realized_pnl = serializers.FloatField()
    unrealized_pnl = _number()
    total_value = _number()
    trade_count = serializers.IntegerField()
    closed_trade_count = serializers.IntegerField()
    win_rate = _number("0 to 1.")
    fees = _number()
    open_positions = serializers.IntegerField()
    benchmark_price = _number()


class LeaderboardHistoryShown(serializers.Serializer[Any]):
    botId = serializers.UUIDField()
    days = serializers.IntegerField()
    count = serializers.IntegerField()
    currency = serializers.CharField(allow_null=True)
    history = SnapshotShown(many=True)
