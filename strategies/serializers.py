"""What the API of strategies accepts and shows."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from clients.serializers import JSONObjectField, PaginationShown, StrictSerializer
from strategies.rules.words import StrategyStatus

WORD: dict[str, Any] = {"required": False, "allow_blank": True, "allow_null": True, "max_length": 64}


class StartInput(StrictSerializer):
    symbol = serializers.CharField(max_length=40, required=False, allow_blank=True, allow_null=True)
    mode = serializers.CharField(**WORD, help_text="A template's name; bear.")
    interval = serializers.CharField(required=False, allow_blank=True, allow_null=True, max_length=16, help_text="1m.")
    exchange = serializers.CharField(**WORD, help_text="STRATEGY_DEFAULT_EXCHANGE.")
    account = serializers.CharField(**WORD, help_text="The key's own client; for operators the desk.")
    config = JSONObjectField(required=False, allow_null=True)


class StopInput(StrictSerializer):
    symbol = serializers.CharField(
        max_length=40, required=False, allow_blank=True, allow_null=True, help_text="All of the account's."
    )
    exchange = serializers.CharField(**WORD)
    account = serializers.CharField(**WORD)
    reason = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, max_length=300, help_text="user_stopped."
    )


class StrategyShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    symbol = serializers.CharField(help_text="As it was written at the start.")
    pair = serializers.CharField(help_text="BASE/QUOTE")
    mode = serializers.CharField()
    strategy_type = serializers.CharField()
    interval = serializers.CharField()
    exchange = serializers.CharField()
    account = serializers.CharField()
    status = serializers.ChoiceField(choices=[str(s) for s in StrategyStatus])
    running = serializers.BooleanField()
    bot_id = serializers.UUIDField()
    bot_status = serializers.CharField()
    health_status = serializers.CharField()
    config = serializers.JSONField()
    version = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    started_by = serializers.CharField()
    last_active = serializers.DateTimeField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class StrategyStartedShown(serializers.Serializer[Any]):
    started = serializers.BooleanField()
    symbol = serializers.CharField()
    reason = serializers.CharField(required=False)
    mode = serializers.CharField(required=False)
    interval = serializers.CharField(required=False)
    exchange = serializers.CharField(required=False)
    bot_id = serializers.UUIDField(required=False)
    active_strategies = serializers.IntegerField(required=False)
    all_strategies = StrategyShown(many=True, required=False)


class StrategyStoppedShown(serializers.Serializer[Any]):
    stopped = serializers.BooleanField()
    symbol = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)
    remaining_strategies = serializers.IntegerField(required=False)
    active_symbols = serializers.ListField(child=serializers.CharField(), required=False)
    stopped_strategies = serializers.ListField(child=serializers.CharField(), required=False)
    count = serializers.IntegerField(required=False)


class StatusShown(serializers.Serializer[Any]):
    running = serializers.BooleanField()
    symbol = serializers.CharField(required=False)
    mode = serializers.CharField(required=False, allow_null=True)
    interval = serializers.CharField(required=False, allow_null=True)
    exchange = serializers.CharField(required=False, allow_null=True)
    status = serializers.CharField(required=False, allow_null=True)
    last_active = serializers.DateTimeField(required=False, allow_null=True)
    active_count = serializers.IntegerField(required=False)
    strategies = StrategyShown(many=True, required=False)


class PastShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    symbol = serializers.CharField()
    strategy_type = serializers.CharField()
    mode = serializers.CharField()
    interval = serializers.CharField()
    exchange = serializers.CharField()
    bot_id = serializers.UUIDField(allow_null=True)
    started_at = serializers.DateTimeField()
    started_by = serializers.CharField()
    stopped_at = serializers.DateTimeField()
    stopped_by = serializers.CharField()
    reason = serializers.CharField()
    pnl = serializers.CharField(
        allow_null=True,
        help_text="Realised, after fees; an exact decimal. Null, as all three: its trades were not read yet.",
    )
    fees = serializers.CharField(allow_null=True, help_text="Null also: the worth of one of them cannot be told.")
    trades_count = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    config = serializers.JSONField()
    version = serializers.IntegerField()
    performance = serializers.JSONField(allow_null=True)


class HistoryShown(serializers.Serializer[Any]):
    history = PastShown(many=True)
    next = serializers.CharField(allow_null=True)
    pagination = PaginationShown(required=False)
