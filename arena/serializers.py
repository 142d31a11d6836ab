"""What the API of the arena accepts and shows."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from clients.serializers import StrictSerializer


class PauseInput(StrictSerializer):
    paused = serializers.BooleanField(required=False, allow_null=True, help_text="Left out: the other of the two.")


class ClosePositionInput(StrictSerializer):
    positionId = serializers.CharField(max_length=200, help_text="Ours, or the old system's.")


class CloneParticipantInput(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)


class ParticipantShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    isPaused = serializers.BooleanField()
    desired_status = serializers.CharField()
    model = serializers.CharField(help_text="Empty: its provider's.")
    provider_id = serializers.UUIDField(allow_null=True)
    fallback_id = serializers.UUIDField(allow_null=True)
    prompt_number = serializers.IntegerField(allow_null=True)
    turns = serializers.IntegerField()
    last_turn_at = serializers.DateTimeField(allow_null=True)
    next_turn_at = serializers.DateTimeField()
    began_at = serializers.DateTimeField(help_text="Since when it plays without a reset.")


class DoneShown(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    message = serializers.CharField()
    bot = ParticipantShown()


class TradeOfCloseShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    position_id = serializers.UUIDField()
    symbol = serializers.CharField()
    price = serializers.CharField()
    quantity = serializers.CharField()
    fee = serializers.CharField()
    pnl = serializers.CharField()


class PositionClosedShown(DoneShown):
    trade = TradeOfCloseShown()


class ParticipantResetShown(DoneShown):
    archive_bot_id = serializers.UUIDField(help_text="A retired bot that has all it did until now.")
