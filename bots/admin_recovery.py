"""The page of bots that failed and come back by themselves, or wait for a person."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from bots.models import BotRecovery
from clients.admin_base import FactsAdmin, ago, badge


@admin.register(BotRecovery)
class BotRecoveryAdmin(FactsAdmin):
    list_display = ("bot", "state", "failures", "failed", "next_at", "reason")
    list_filter = (("quarantined_at", admin.EmptyFieldListFilter),)
    list_select_related = ("bot",)
    search_fields = ("bot__name", "reason")
    ordering = ("-quarantined_at", "-last_failure_at")

    @display(description="state")
    def state(self, row: BotRecovery) -> SafeString:
        if row.quarantined_at:
            return badge("quarantined", "red", says="Start it once what is said is mended, or stop it.")
        return badge("in its turn" if row.is_planned else "waits", "blue", says="It is deployed again by itself.")

    @display(description="failed", ordering="last_failure_at")
    def failed(self, row: BotRecovery) -> SafeString | str:
        return ago(row.last_failure_at)
