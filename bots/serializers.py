"""What the API of bots accepts and shows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from bots.rules.words import BotStatus, HealthStatus, RuntimeKind
from clients.serializers import JSONObjectField, PaginationShown, StrictSerializer

MINUTES: dict[str, Any] = {
    "max_digits": 12,
    "decimal_places": 4,
    "required": False,
    "allow_null": True,
    "min_value": Decimal("0.01"),
    "max_value": Decimal(525600),
    "coerce_to_string": False,
}


class BotChange(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    connector = serializers.CharField(max_length=64, required=False)
    connector_id = serializers.UUIDField(required=False, allow_null=True)
    pair = serializers.CharField(max_length=40, required=False)
    strategy = serializers.CharField(max_length=64, required=False)
    config = JSONObjectField(required=False)
    runtime_kind = serializers.ChoiceField(
        choices=[str(RuntimeKind.HUMMINGBOT), str(RuntimeKind.EXTERNAL)], required=False
    )
    stale_minutes = serializers.DecimalField(**MINUTES)
    stopped_minutes = serializers.DecimalField(**MINUTES)


class BotInput(BotChange):
    name = serializers.CharField(max_length=200)
    account = serializers.CharField(max_length=200)
    connector = serializers.CharField(max_length=64)
    pair = serializers.CharField(max_length=40)
    strategy = serializers.CharField(max_length=64)


class CloneInput(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)


class RuntimeShown(serializers.Serializer[Any]):
    status = serializers.CharField()
    source = serializers.CharField(help_text="hummingbot, or last_known once it has been silent for three polls.")
    observed_at = serializers.DateTimeField()
    age_s = serializers.FloatField()
    explanation = serializers.CharField()


class LastKnownShown(serializers.Serializer[Any]):
    health_status = serializers.CharField()
    at = serializers.DateTimeField()


class TradeCounts(serializers.Serializer[Any]):
    buys = serializers.IntegerField(allow_null=True)
    sells = serializers.IntegerField(allow_null=True)


class StatsShown(serializers.Serializer[Any]):
    trades_24h = TradeCounts()
    volume_24h = serializers.CharField(allow_null=True, help_text="Quote currency, an exact decimal.")
    pnl = serializers.CharField(allow_null=True)
    last_price = serializers.CharField(allow_null=True)


class BotShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    account = serializers.CharField()
    instance_name = serializers.CharField(allow_null=True, help_text="Its name in Hummingbot.")
    name = serializers.CharField()
    connector = serializers.CharField()
    connector_id = serializers.UUIDField(allow_null=True)
    pair = serializers.CharField()
    strategy = serializers.CharField()
    config = serializers.JSONField()
    runtime_kind = serializers.ChoiceField(choices=[str(k) for k in RuntimeKind])
    status = serializers.ChoiceField(choices=[str(s) for s in BotStatus])
    desired_status = serializers.CharField()
    reported_status = serializers.CharField(allow_null=True)
    runtime = RuntimeShown(allow_null=True)
    deployment_message = serializers.CharField(allow_null=True, help_text="Why a deployment waits or failed.")
    health_status = serializers.ChoiceField(choices=[str(s) for s in HealthStatus])
    health_message = serializers.CharField()
    last_known = LastKnownShown(allow_null=True)
    last_trade_time = serializers.DateTimeField(allow_null=True)
    last_heartbeat = serializers.DateTimeField(allow_null=True)
    stale_minutes = serializers.FloatField(allow_null=True)
    stopped_minutes = serializers.FloatField(allow_null=True)
    status_updated_at = serializers.DateTimeField(allow_null=True)
    stats = StatsShown()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class BotsShown(serializers.Serializer[Any]):
    bots = BotShown(many=True)
    total = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    pagination = PaginationShown(required=False)


class StartedShown(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["started", "already_running", "starting"])
    bot_id = serializers.UUIDField()


class StoppedShown(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["stopped", "already_stopped", "stopping"])
    bot_id = serializers.UUIDField()


class BotDeletedShown(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["deleted", "deleting"])
    bot_id = serializers.UUIDField()
