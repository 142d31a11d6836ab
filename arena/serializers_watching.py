"""The shapes of what watchers read. The database writes the JSON itself; these tell its form."""

from __future__ import annotations

from rest_framework import serializers


class HeldShown(serializers.Serializer[None]):
    """What a bot is worth. ``pnl`` is unrealised; null where an open position has no price."""

    balance = serializers.FloatField(allow_null=True)
    pnl = serializers.FloatField(allow_null=True)
    totalValue = serializers.FloatField(allow_null=True)
    positions = serializers.ListField(child=serializers.DictField(), help_text="Open ones.")


class WatchedBotShown(serializers.Serializer[None]):
    """A bot of the arena. Times are milliseconds since 1970, amounts are numbers."""

    id = serializers.UUIDField()
    userId = serializers.UUIDField(help_text="The client's id.")
    name = serializers.CharField()
    prompt = serializers.CharField(allow_null=True)
    provider = serializers.CharField(allow_null=True)
    tradingMode = serializers.CharField(allow_null=True)
    initialBalance = serializers.FloatField(allow_null=True)
    orders = serializers.ListField(child=serializers.DictField(), help_text="The newest 100 trades, newest first.")
    botLogs = serializers.ListField(
        child=serializers.DictField(), help_text="The newest 50 decisions, with 1,000 characters of their prompts."
    )
    portfolio = HeldShown()
    realizedPnl = serializers.FloatField()
    tradeCount = serializers.IntegerField()
    winRate = serializers.FloatField(allow_null=True, help_text="0 to 1.")
    valueHistory = serializers.ListField(
        child=serializers.DictField(), help_text="Equity in the newest 144 snapshots, a day, oldest first."
    )
    symbolCooldowns = serializers.DictField(child=serializers.IntegerField(), help_text="Until when.")
    isLoading = serializers.BooleanField(help_text="A turn is under way.")
    isPaused = serializers.BooleanField()
    haltReason = serializers.CharField(allow_null=True)


class MarketShown(serializers.Serializer[None]):
    symbol = serializers.CharField()
    price = serializers.FloatField()
    price24hChange = serializers.FloatField(allow_null=True, help_text="Percent.")
    pair = serializers.CharField()
    timestamp = serializers.IntegerField()


class PortfolioShown(serializers.Serializer[None]):
    id = serializers.UUIDField()
    portfolio = HeldShown()


class StateShown(serializers.Serializer[None]):
    bots = WatchedBotShown(many=True)
    marketData = MarketShown(many=True, required=False, help_text="With since: where prices are newer.")
    portfolios = PortfolioShown(
        many=True,
        required=False,
        help_text="With since, where prices are newer: of bots not in `bots` that hold something.",
    )
    loading = serializers.ListField(
        child=serializers.UUIDField(), required=False, help_text="With since: every bot whose turn is under way now."
    )
    removed = serializers.ListField(
        child=serializers.UUIDField(), required=False, help_text="With since: bots that went."
    )
    cursor = serializers.CharField(help_text="For the next since.")
    isFull = serializers.BooleanField(help_text="False: bots that are not here have not changed.")
    next = serializers.CharField(allow_null=True, help_text="For after, where there are more bots.")


class TicketShown(serializers.Serializer[None]):
    ticket = serializers.CharField()
    url = serializers.CharField(help_text="The stream with this ticket.")
    expires_in_s = serializers.IntegerField()
