"""The HTTP surface of health."""

from __future__ import annotations

import time
from typing import Any, cast
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from bots.rules.words import HealthStatus
from bots.selectors import resolve_bot
from clients.api import LIST_PARAMETERS, text
from clients.views import ScopedView
from ground.http import json_response
from ground.keyset import Page
from health import selectors
from health import serializers as shapes
from health.rules.words import BADGES
from health.services.ask_check import await_check, request_check
from health.services.receive_heartbeat import read_heartbeat, receive_heartbeat

CHECK_WAIT_S = 20.0


class BotHealthView(ScopedView):
    @extend_schema(operation_id="get_bot_health", responses=shapes.HealthShown)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """The verdict on a bot as it stands, with the evidence it was made from."""
        with self.scope.transaction():
            return self.shown(resolve_bot(self.scope, bot))

    def shown(self, bot_id: UUID, **extra: Any) -> HttpResponse:
        found = selectors.bot_health(self.scope, bot_id, now=timezone.now())
        badge = BADGES[HealthStatus(found["health_status"])]
        return json_response(found | {"label": badge.label, "color": badge.color} | extra)


class CheckHealthView(BotHealthView):
    http_method_names = ["post", "options"]

    @extend_schema(operation_id="check_bot_health", request=None, responses=shapes.CheckedShown)
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Look at the bot's trades now. A worker does it; 503 with Retry-After when none did within 20 s."""
        bot_id = resolve_bot(self.scope, bot)
        request_id = request_check(scope=self.scope, bot_id=bot_id)
        await_check(scope=self.scope, request_id=request_id, until_s=time.monotonic() + CHECK_WAIT_S)
        return self.shown(bot_id, success=True)


class HealthSummaryView(ScopedView):
    @extend_schema(
        operation_id="get_health_summary",
        responses=shapes.HealthSummaryShown,
        parameters=[OpenApiParameter("account", str, description="Only this client's bots.")],
    )
    def get(self, request: Request) -> HttpResponse:
        """How many bots carry which verdict, and the bots. Active means healthy + stale."""
        return json_response(selectors.health_summary(self.scope, account=text(request, "account")))


class HeartbeatView(ScopedView):
    allows_ping_keys = True

    @extend_schema(operation_id="send_heartbeat", request=shapes.HeartbeatInput, responses=shapes.HeartbeatShown)
    def post(self, request: Request) -> HttpResponse:
        """A bot says how it is; without a status it says running. Needs a key that may manage it, or its ping key."""
        heartbeat = read_heartbeat(cast(dict[str, Any], request.data))
        bot_id = resolve_bot(self.scope, heartbeat.bot)
        received_at = timezone.now()
        receive_heartbeat(scope=self.scope, bot_id=bot_id, heartbeat=heartbeat, now=received_at)
        return json_response({"success": True, "bot_id": bot_id, "received_at": received_at})


class HealthHistoryView(ScopedView):
    @extend_schema(operation_id="list_health_history", responses=shapes.HealthHistoryShown, parameters=LIST_PARAMETERS)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """Every check and every change of the verdict, newest first."""
        page = Page.read(request.query_params, key_length=2)
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            return json_response(selectors.health_history(self.scope, bot_id, page))
