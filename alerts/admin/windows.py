"""Times of maintenance, and what is snoozed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from alerts.models import MaintenanceWindow, Snooze
from alerts.services.silence import WINDOW_FIELDS, change_window, create_window, delete_window
from clients.admin_base import NOTHING, BridgeAdmin, FactsAdmin, RefusableForm, ago, badge


class WindowForm(RefusableForm):
    class Meta:
        model = MaintenanceWindow
        fields = ("name", "client", "bot", "exchange", "starts_at", "ends_at", "cron", "timezone", "duration_minutes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        helps = {
            "client": "Empty: everybody's.",
            "bot": "Only this bot; name its client too. Empty: all.",
            "exchange": "kucoin, binance ...: only what is about it. Empty: all.",
            "starts_at": "In UTC.",
            "ends_at": "In UTC. Of a repeated window: when it repeats no more.",
            "cron": "0 3 * * sun: again and again, every Sunday at three. Empty: once.",
            "timezone": "In which the cron expression is meant: Europe/Berlin.",
        }
        for name, text in helps.items():
            if name in self.fields:
                self.fields[name].help_text = text


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(BridgeAdmin):
    form = WindowForm
    list_display = ("name", "about", "begins", "until", "repeats", "created_by")
    list_select_related = ("client", "bot")
    search_fields = ("name", "client__account_identifier", "bot__name", "exchange")
    search_help_text = "its name, an account, a bot or an exchange"
    autocomplete_fields = ("client", "bot")
    fieldsets = (
        (None, {"fields": ("name", ("client", "bot"), "exchange")}),
        ("Once", {"fields": ("starts_at", "ends_at")}),
        ("Again and again", {"fields": ("cron", ("timezone", "duration_minutes"))}),
    )

    def save_model(self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool) -> None:
        data = form.cleaned_data
        given = {
            **{name: data[name] for name in WINDOW_FIELDS if name in data},
            "client_id": data["client"] and data["client"].id,
            "bot_id": data["bot"] and data["bot"].id,
        }
        if change:
            change_window(scope=self.scope(request), window_id=obj.id, changes=given)
        else:
            obj.id = create_window(scope=self.scope(request), **given)

    def delete_model(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        delete_window(scope=self.scope(request), window_id=obj.id)

    @display(description="about")
    def about(self, window: MaintenanceWindow) -> str:
        named = (window.bot and window.bot.name, window.client and window.client.account_identifier, window.exchange)
        return " · ".join(str(name) for name in named if name) or "everything"

    @display(description="begins (UTC)", ordering="starts_at")
    def begins(self, window: MaintenanceWindow) -> str:
        return f"{window.starts_at:%Y-%m-%d %H:%M}"

    @display(description="until (UTC)", ordering="ends_at")
    def until(self, window: MaintenanceWindow) -> SafeString | str:
        if window.ends_at is None:
            return NOTHING
        text = f"{window.ends_at:%Y-%m-%d %H:%M}"
        return badge(f"over since {text}", "grey") if window.ends_at < timezone.now() else text

    @display(description="repeats")
    def repeats(self, window: MaintenanceWindow) -> str:
        return f"{window.cron} ({window.timezone}), {window.duration_minutes} min" if window.cron else "once"


@admin.register(Snooze)
class SnoozeAdmin(FactsAdmin):
    list_display = ("kind", "key", "until", "snoozed_by", "since", "reason")
    search_fields = ("kind", "key")
    ordering = ("-until_at",)

    @display(description="until", ordering="until_at")
    def until(self, row: Snooze) -> SafeString | str:
        return ago(row.until_at)

    @display(description="since", ordering="snoozed_at")
    def since(self, row: Snooze) -> SafeString | str:
        return ago(row.snoozed_at)
