"""The shapes of restore runs, for the API's document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from clients.serializers import PaginationShown
from strategies.rules.restore import RestoreAction, RestoreOutcome, RestoreReason, RunStatus


class RestorePlanShown(serializers.Serializer[Any]):
    strategies = serializers.IntegerField()
    deploy = serializers.IntegerField(help_text="Brought back by a new deployment.")
    watch = serializers.IntegerField(help_text="Under way already.")
    adopt = serializers.IntegerField(help_text="Found running.")
    skip = serializers.IntegerField(help_text="Quarantined.")


class RestoreOutcomeShown(serializers.Serializer[Any]):
    restored = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    stopped = serializers.IntegerField()
    unfinished = serializers.IntegerField()
    open = serializers.IntegerField()


class RestoreStepShown(serializers.Serializer[Any]):
    position = serializers.IntegerField()
    symbol = serializers.CharField()
    strategy_type = serializers.CharField()
    exchange = serializers.CharField()
    bot_id = serializers.UUIDField()
    action = serializers.ChoiceField(choices=[str(word) for word in RestoreAction])
    outcome = serializers.ChoiceField(choices=[str(word) for word in RestoreOutcome])
    attempts = serializers.IntegerField()
    due_at = serializers.DateTimeField()
    carried = serializers.JSONField(allow_null=True, help_text="Open positions and orders, read before its turn.")
    settled_at = serializers.DateTimeField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class RestoreShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    reason = serializers.ChoiceField(choices=[str(word) for word in RestoreReason])
    requested_by = serializers.CharField(allow_null=True, help_text="Shown to operators.")
    is_dry_run = serializers.BooleanField()
    status = serializers.ChoiceField(choices=[str(word) for word in RunStatus])
    spacing_s = serializers.FloatField()
    message = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    plan = RestorePlanShown()
    outcome = RestoreOutcomeShown()
    steps = RestoreStepShown(many=True)


class RestoresShown(serializers.Serializer[Any]):
    restores = RestoreShown(many=True)
    next = serializers.CharField(allow_null=True)
    pagination = PaginationShown(required=False)
