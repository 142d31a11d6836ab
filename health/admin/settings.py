"""What an operator may change about health."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin

from clients.admin_base import RefusableForm, SettingsAdmin
from health.models import HealthSettings


class HealthSettingsForm(RefusableForm):
    class Meta:
        model = HealthSettings
        fields = (
            "check_interval_seconds",
            "stale_minutes",
            "stopped_minutes",
            "heartbeat_timeout_minutes",
            "learns_cadence",
            "days_between_false_alarms",
            "keep_checks_days",
            "keep_heartbeats_days",
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
