"""Health in the admin: badges and checks on a bot's page, the log of checks, the limits."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from bots.models import Bot, BotHealth
from bots.rules.words import HealthStatus
from clients.admin_base import BridgeAdmin, FactsAdmin, RefusableForm, SettingsAdmin, ago, badge, confirmation
from health.models import BotHealthLog, CheckRequest, HealthSettings
from health.rules.words import BADGES
from health.selectors import bot_health
from health.services.ask_check import await_check, request_check

WAIT_S = 20.0


def health_badge(status: str | None, message: str = "") -> SafeString:
    """A verdict in the one map of words and colours."""
    shown = BADGES[HealthStatus(status or HealthStatus.UNKNOWN)]
    return badge(shown.label, shown.color, says=message or shown.meaning)


class HealthFilter(admin.SimpleListFilter):
    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, f"{word}: {shown.label}") for word, shown in BADGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Bot]) -> QuerySet[Bot]:
        return queryset.filter(health__status=self.value()) if self.value() else queryset


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


@admin.register(BotHealth)
class BotHealthAdmin(FactsAdmin):
    list_display = ("bot", "verdict", "message", "since", "traded", "last_heartbeat", "checked")
    list_filter = ("status",)
    list_select_related = ("bot",)
    search_fields = ("bot__name", "message")
    ordering = ("-status_updated_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BotHealth]:
        rows: QuerySet[BotHealth] = super().get_queryset(request)
        return rows.filter(bot__retired_at=None)

    @display(description="verdict", ordering="status")
    def verdict(self, health: BotHealth) -> SafeString:
        return health_badge(health.status)

    @display(description="since", ordering="status_updated_at")
    def since(self, health: BotHealth) -> SafeString | str:
        return ago(health.status_updated_at)

    @display(description="last trade", ordering="last_trade_at")
    def traded(self, health: BotHealth) -> SafeString | str:
        return ago(health.last_trade_at)

    @display(description="last heartbeat", ordering="last_heartbeat_at")
    def last_heartbeat(self, health: BotHealth) -> SafeString | str:
        return ago(health.last_heartbeat_at)

    @display(description="checked", ordering="checked_at")
    def checked(self, health: BotHealth) -> SafeString | str:
        return ago(health.checked_at)


@admin.register(BotHealthLog)
class BotHealthLogAdmin(FactsAdmin):
    list_display = ("when", "bot", "before", "after", "reason", "actor", "trade_count", "traded")
    list_display_links = ("when",)
    list_filter = ("new_status", "previous_status")
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    ordering = ("-checked_at", "-id")

    @display(description="when (UTC)", ordering="checked_at")
    def when(self, line: BotHealthLog) -> str:
        return f"{line.checked_at:%Y-%m-%d %H:%M:%S}"

    @display(description="before")
    def before(self, line: BotHealthLog) -> SafeString | str:
        return health_badge(line.previous_status) if line.previous_status else ""

    @display(description="after", ordering="new_status")
    def after(self, line: BotHealthLog) -> SafeString:
        return health_badge(line.new_status)

    @display(description="last trade")
    def traded(self, line: BotHealthLog) -> SafeString | str:
        return ago(line.last_trade_at)


@admin.register(CheckRequest)
class CheckRequestAdmin(FactsAdmin):
    list_display = ("bot", "requested_by", "asked", "done", "error")
    list_select_related = ("bot",)
    ordering = ("-requested_at",)

    @display(description="asked for", ordering="requested_at")
    def asked(self, row: CheckRequest) -> SafeString | str:
        return ago(row.requested_at)

    @display(description="finished", ordering="finished_at")
    def done(self, row: CheckRequest) -> SafeString | str:
        return ago(row.finished_at)


class HealthSettingsForm(RefusableForm):
    class Meta:
        model = HealthSettings
        fields = (
            "check_interval_seconds",
            "stale_minutes",
            "stopped_minutes",
            "heartbeat_timeout_minutes",
            "keep_checks_days",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        defaults = {
            "check_interval_seconds": (settings.HEALTH_CHECK_INTERVAL_SECONDS, "HEALTH_CHECK_INTERVAL_SECONDS"),
            "stale_minutes": (settings.STALE_THRESHOLD_MINUTES, "STALE_THRESHOLD_MINUTES"),
            "stopped_minutes": (settings.STOPPED_THRESHOLD_MINUTES, "STOPPED_THRESHOLD_MINUTES"),
            "heartbeat_timeout_minutes": (settings.HEARTBEAT_TIMEOUT_MINUTES, "HEARTBEAT_TIMEOUT_MINUTES"),
        }
        for name, (value, variable) in defaults.items():
            if name in self.fields:
                says = str(self.fields[name].help_text).split("Empty:")[0]
                self.fields[name].help_text = f"{says}Empty: {value}, as {variable} says."

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        stale = data.get("stale_minutes") or settings.STALE_THRESHOLD_MINUTES
        stopped = data.get("stopped_minutes") or settings.STOPPED_THRESHOLD_MINUTES
        if not self.errors and stopped < stale:
            self.add_error("stopped_minutes", f"A bot is stale first: give at least {stale}.")
        return data


@admin.register(HealthSettings)
class HealthSettingsAdmin(SettingsAdmin):
    form = HealthSettingsForm
