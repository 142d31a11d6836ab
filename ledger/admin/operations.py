"""The pages of the ledger's settings, and of when its tasks last ran."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from clients.admin_base import FactsAdmin, RefusableForm, SettingsAdmin
from ledger.admin.shown import moment
from ledger.models import LedgerSettings, LedgerState


class LedgerSettingsForm(RefusableForm):
    class Meta:
        model = LedgerSettings
        fields = ("snapshot_minutes", "keep_full_days", "keep_hourly_days", "minimum_closed_trades")

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if not self.errors and 60 % data["snapshot_minutes"]:
            self.add_error("snapshot_minutes", "Give a divisor of 60, so that every hour begins with a snapshot.")
        if not self.errors and data["keep_hourly_days"] < data["keep_full_days"]:
            self.add_error("keep_hourly_days", f"All are kept first: give at least {data['keep_full_days']}.")
        return data


@admin.register(LedgerSettings)
class LedgerSettingsAdmin(SettingsAdmin):
    form = LedgerSettingsForm


@admin.register(LedgerState)
class LedgerStateAdmin(FactsAdmin):
    list_display = (
        "__str__",
        moment("snapshot_at", "newest snapshots"),
        moment("boards_at", "boards refreshed"),
        moment("intervals_at", "intervals drawn"),
        moment("thinned_at", "snapshots thinned"),
        moment("verified_at", "verified"),
    )
