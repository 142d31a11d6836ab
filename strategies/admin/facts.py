"""What ran, and every config that strategies had."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from clients.admin_base import NOTHING, FactsAdmin, ago
from strategies.models import StrategyHistory, StrategyVersion


@admin.register(StrategyHistory)
class StrategyHistoryAdmin(FactsAdmin):
    list_display = ("symbol_shown", "strategy_type", "owner", "exchange", "ran", "stopped", "reason", "profit", "fees_paid",
                    "trades_count")  # fmt: skip
    list_filter = ("strategy_type", "exchange", "reason")
    list_select_related = ("client",)
    search_fields = ("symbol", "symbol_shown", "client__account_identifier")
    search_help_text = "symbol or account"
    ordering = ("-stopped_at", "-id")

    @display(description="client", ordering="client__account_identifier")
    def owner(self, row: StrategyHistory) -> str:
        return row.client.account_identifier

    @display(description="ran")
    def ran(self, row: StrategyHistory) -> str:
        hours = (row.stopped_at - row.started_at).total_seconds() / 3600
        return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"

    @display(description="stopped", ordering="stopped_at")
    def stopped(self, row: StrategyHistory) -> SafeString | str:
        return ago(row.stopped_at)

    @display(description="profit", ordering="pnl")
    def profit(self, row: StrategyHistory) -> str:
        return NOTHING if row.pnl is None else f"{row.pnl.normalize():f} {row.currency}"

    @display(description="fees", ordering="fees")
    def fees_paid(self, row: StrategyHistory) -> str:
        return NOTHING if row.fees is None else f"{row.fees.normalize():f} {row.currency}"


@admin.register(StrategyVersion)
class StrategyVersionAdmin(FactsAdmin):
    list_display = ("bot", "number", "interval", "note", "made_by", "made")
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    search_help_text = "a bot's name"
    ordering = ("-made_at",)

    @display(description="made", ordering="made_at")
    def made(self, row: StrategyVersion) -> SafeString | str:
        return ago(row.made_at)
