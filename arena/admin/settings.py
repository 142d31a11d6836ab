"""How the arena is run."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from arena.admin.forms import ServiceForm
from arena.models import ArenaSettings
from clients.admin_base import SettingsAdmin


class SettingsForm(ServiceForm):
    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        stale, refresh = data.get("stale_after_s"), data.get("refresh_s")
        if stale and refresh and stale < refresh:
            self.add_error("stale_after_s", "Not less than the time between two readings: every price would be stale.")
        return data


@admin.register(ArenaSettings)
class ArenaSettingsAdmin(SettingsAdmin):
    form = SettingsForm
    fieldsets = (
        ("Markets", {"fields": ("exchange", "symbols", ("most_symbols",), ("refresh_s", "stale_after_s"))}),
        ("Turns", {"fields": (("turn_interval_s", "turn_timeout_s"), "most_steps")}),
        (
            "What trading costs",
            {"fields": (("fee_rate", "slippage_bps"), ("maintenance_margin_ratio", "funding_rate_8h"))},
        ),
        ("Summaries", {"fields": (("summary_tokens", "summary_keep"), "summary_again_after")}),
        ("Bots halt by themselves", {"fields": (("halt_after_unreadable", "halt_after_refused"),)}),
        ("Watching", {"fields": ("is_public", ("keep_events_hours", "keep_bars_days"))}),
    )
