"""What the API of health accepts and shows."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from bots.rules.words import BotStatus, HealthStatus
from bots.serializers import LastKnownShown
from health.rules.evidence import PROBES, SOURCES
from health.rules.words import Cause

HEALTH = [str(status) for status in HealthStatus]


class ProbeShown(serializers.Serializer[Any]):
    probe = serializers.CharField(help_text=f"One of: {', '.join(PROBES)}.")
    outcome = serializers.CharField(
        help_text="How the look ended (read, refused, unreadable, rate_limited, not_readable, not_asked, "
        "no_credentials, broke), or what was seen (running, exited, short, out, reachable, unreachable, key_refused)."
    )
    observed_at = serializers.DateTimeField()
    age_s = serializers.FloatField()
    detail = serializers.CharField()
    decided = serializers.BooleanField(help_text="Whether this probe decided the verdict.")


class ThresholdsShown(serializers.Serializer[Any]):
    stale_minutes = serializers.FloatField()
    stopped_minutes = serializers.FloatField()
    heartbeat_minutes = serializers.FloatField()
    source = serializers.ChoiceField(choices=list(SOURCES))
    why = serializers.CharField(help_text="One sentence: whose limits hold, and what was learned.")


class HealthShown(serializers.Serializer[Any]):
    bot_id = serializers.UUIDField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=[str(s) for s in BotStatus])
    health_status = serializers.ChoiceField(choices=HEALTH)
    health_message = serializers.CharField()
    cause = serializers.CharField(
        allow_blank=True,
        help_text=f"What most likely made it so: {', '.join(Cause)}; empty where that cannot be told.",
    )
    changes_when = serializers.CharField(allow_blank=True, help_text="One sentence: what would change the verdict.")
    last_known = LastKnownShown(allow_null=True)
    last_trade_time = serializers.DateTimeField(allow_null=True)
    last_heartbeat = serializers.DateTimeField(allow_null=True)
    status_updated_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    label = serializers.CharField()
    color = serializers.CharField()
    evidence = ProbeShown(many=True)
    thresholds = ThresholdsShown()


class CheckedShown(HealthShown):
    success = serializers.BooleanField()


class HealthOfBotShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    bot_id = serializers.UUIDField()
    name = serializers.CharField()
    account = serializers.CharField()
    connector = serializers.CharField()
    pair = serializers.CharField()
    strategy = serializers.CharField()
    runtime_kind = serializers.CharField()
    status = serializers.ChoiceField(choices=[str(s) for s in BotStatus])
    health_status = serializers.ChoiceField(choices=HEALTH)
    health_message = serializers.CharField()
    last_known = LastKnownShown(allow_null=True)
    last_trade_time = serializers.DateTimeField(allow_null=True)
    last_heartbeat = serializers.DateTimeField(allow_null=True)
    status_updated_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class HealthSummaryShown(serializers.Serializer[Any]):
    total_bots = serializers.IntegerField()
    healthy = serializers.IntegerField()
    stale = serializers.IntegerField()
    stopped = serializers.IntegerField()
    error = serializers.IntegerField()
    unknown = serializers.IntegerField()
    bots = HealthOfBotShown(many=True)


class HeartbeatInput(serializers.Serializer[Any]):
    bot_id = serializers.CharField(help_text="Our id or the old system's, as a text or a number.")
    status = serializers.ChoiceField(choices=["running", "error", "stopped"], required=False)
    metadata = serializers.DictField(required=False)


class HeartbeatShown(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    bot_id = serializers.UUIDField()
    received_at = serializers.DateTimeField()


class HealthLogShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    checked_at = serializers.DateTimeField()
    previous_status = serializers.ChoiceField(choices=HEALTH, allow_null=True)
    new_status = serializers.ChoiceField(choices=HEALTH)
    health_status = serializers.ChoiceField(choices=HEALTH)
    reason = serializers.CharField()
    actor = serializers.CharField()
    trade_count = serializers.IntegerField(allow_null=True)
    last_trade = serializers.DateTimeField(allow_null=True)
    evidence = serializers.JSONField()


class HealthHistoryShown(serializers.Serializer[Any]):
    bot_id = serializers.UUIDField()
    history = HealthLogShown(many=True)
    next = serializers.CharField(allow_null=True)
