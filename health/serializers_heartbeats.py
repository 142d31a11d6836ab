"""What the API of heartbeats accepts and shows."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from bots.rules.words import ReportedStatus
from health.rules.heartbeats import DEFAULT_GRACE_S, MOST_CRON_CHARACTERS, MOST_SECONDS
from health.rules.words import PingKind


class HeartbeatPlanInput(serializers.Serializer[Any]):
    period_s = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MOST_SECONDS,
        help_text="Seconds between two heartbeats.",
    )
    cron = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=MOST_CRON_CHARACTERS,
        help_text="Or when they are expected: minute, hour, day of month, month, day of week.",
    )
    timezone = serializers.CharField(
        required=False, allow_null=True, max_length=64, help_text="In which the cron expression is meant; UTC."
    )
    grace_s = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MOST_SECONDS,
        help_text=f"How late one may be; {DEFAULT_GRACE_S}.",
    )  # fmt: skip


class HeartbeatPlanShown(serializers.Serializer[Any]):
    bot_id = serializers.UUIDField()
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=["bot", "common"], help_text="bot: a plan of its own; common: the time-out of all bots without one."
    )
    period_s = serializers.IntegerField(allow_null=True, help_text="null: by the cron expression.")
    cron = serializers.CharField()
    timezone = serializers.CharField()
    grace_s = serializers.IntegerField()
    last_heartbeat = serializers.DateTimeField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True, help_text="When the next one is expected.")
    overdue_at = serializers.DateTimeField(allow_null=True, help_text="When it is late.")
    is_overdue = serializers.BooleanField()


class HeartbeatPlanDeletedShown(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["deleted"])
    bot_id = serializers.UUIDField()


class HeartbeatLogShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=[str(kind) for kind in PingKind])
    status = serializers.ChoiceField(
        choices=[str(word) for word in ReportedStatus],
        allow_null=True,
        help_text="What it said of the bot; null: nothing.",
    )
    run_id = serializers.CharField()
    exit_code = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True, help_text="Since the start of the same run.")
    body = serializers.CharField(help_text="The first 10 kB of what came along.")
    actor = serializers.CharField()


class HeartbeatsShown(serializers.Serializer[Any]):
    bot_id = serializers.UUIDField()
    heartbeats = HeartbeatLogShown(many=True)
    next = serializers.CharField(allow_null=True)
