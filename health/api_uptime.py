"""The HTTP surface of uptime."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from bots.selectors import resolve_bot
from clients.api import text
from clients.views import ScopedView
from ground.errors import InvalidInput
from ground.http import json_response
from health.uptime import bot_uptime

DEFAULT_DAYS, MOST_DAYS = 31, 366


class CarriedShown(serializers.Serializer[Any]):
    healthy_s = serializers.IntegerField()
    stale_s = serializers.IntegerField()
    stopped_s = serializers.IntegerField()
    error_s = serializers.IntegerField()
    unknown_s = serializers.IntegerField(help_text="It could not be told: no part of the ratio.")
    planned_s = serializers.IntegerField(help_text="Stopped on purpose: no part of the ratio.")
    uptime_ratio = serializers.FloatField(
        allow_null=True, help_text="(healthy + stale) / (healthy + stale + stopped + error); null: nothing counted."
    )
    known_ratio = serializers.FloatField(
        allow_null=True, help_text="How much of the time it was meant to run could be told; null: it never was."
    )


class UptimeDayShown(CarriedShown):
    day = serializers.DateField(help_text="Of UTC.")
    counted_to = serializers.DateTimeField()


class UptimePeriodShown(CarriedShown):
    # "from" is a word of the language
    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateField(), "to": serializers.DateField(), **super().get_fields()}


class UptimeShown(serializers.Serializer[Any]):
    bot_id = serializers.UUIDField()
    days = UptimeDayShown(many=True)
    week = UptimePeriodShown(help_text="The last 7 days, today included.")
    month = UptimePeriodShown(help_text="The last 30 days, today included.")
    counted_to = serializers.DateTimeField(allow_null=True)


class UptimeView(ScopedView):
    @extend_schema(
        operation_id="get_bot_uptime",
        responses=UptimeShown,
        parameters=[OpenApiParameter("days", int, description=f"How many days to list: 1 to {MOST_DAYS}, else 31.")],
    )
    def get(self, request: Request, bot: str) -> HttpResponse:
        """How long the bot carried which verdict: each day, the last 7 and the last 30 days. Newest first."""
        days = _days(text(request, "days"))
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            today = timezone.now().astimezone(UTC).date()
            return json_response(bot_uptime(self.scope, bot_id, today=today, days=days))


def _days(raw: str) -> int:
    if not raw:
        return DEFAULT_DAYS
    if not raw.isascii() or not raw.isdigit() or len(raw) > 3 or not 1 <= int(raw) <= MOST_DAYS:
        raise InvalidInput(
            f"days must be a whole number from 1 to {MOST_DAYS}.", fields={"days": [f"1 to {MOST_DAYS}"]}
        )
    return int(raw)
