"""Health on a bot's pages: badges, checks on demand, and the page that says why."""

from __future__ import annotations

import time
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from bots.models import Bot
from bots.rules.words import HealthStatus
from clients.admin_base import BridgeAdmin, ago, confirmation
from health.admin.badges import health_badge
from health.admin.bot_page import health_page
from health.rules.words import BADGES
from health.selectors import bot_health
from health.services.ask_check import await_check, request_check

WAIT_S = 20.0


class HealthOfBots(BridgeAdmin):
    """What a page of bots shows of health, and how to ask for a check."""

    @display(description="health", ordering="health__status")
    def health_badge(self, bot: Bot) -> SafeString:
        health = getattr(bot, "health", None)
        return health_badge(health.status, health.message) if health else health_badge(None)

    @display(description="last trade", ordering="health__last_trade_at")
    def last_trade(self, bot: Bot) -> SafeString | str:
        return ago(bot.health.last_trade_at if hasattr(bot, "health") else None)

    @action(
        description="Check health now",
        icon="monitor_heart",
        permissions=["change"],
        dialog=confirmation(
            "Check this bot's health now?",
            "A worker reads its latest trades from the exchange; that takes some seconds.",
            "Check",
        ),
    )
    def check_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(request, lambda: self._check(request, UUID(object_id)))

    def _check(self, request: HttpRequest, bot_id: UUID) -> str:
        scope = self.scope(request)
        asked = request_check(scope=scope, bot_id=bot_id)
        await_check(scope=scope, request_id=asked, until_s=time.monotonic() + WAIT_S)
        found = bot_health(scope, bot_id, now=timezone.now())
        return f"{BADGES[HealthStatus(found['health_status'])].label}: {found['health_message']}"

    @admin.action(description="Check health now", permissions=["change"])
    def check_selected(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        if not request.POST.get("confirmed"):
            return self.confirm(
                request,
                queryset,
                action="check_selected",
                title="Check these bots now?",
                says="Workers read their latest trades from the exchanges; the list shows what they find.",
            )
        scope, rows = self.scope(request), list(queryset)
        for bot in rows:
            request_check(scope=scope, bot_id=bot.id)
        messages.success(request, f"{len(rows)} checks asked for.")
        return None

    @action(description="Health", icon="ecg_heart")
    def health_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Why a bot carries its verdict, what would change it, and what came before."""
        bot = self.get_object(request, object_id)
        if bot is None or not self.has_view_permission(request, bot):
            return HttpResponseRedirect(reverse("admin:bots_bot_changelist"))
        context = self.admin_site.each_context(request) | {
            "title": f"Health of {bot.name}",
            "opts": self.opts,
            "page": health_page(self.scope(request), bot, now=timezone.now()),
            "back": self.page(object_id),
        }
        return TemplateResponse(request, "admin/bridge/bot_health.html", context)
