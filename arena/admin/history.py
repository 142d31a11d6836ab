"""Summaries of what bots decided: to read."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from arena.admin.shown import SUMMARY_COLORS, ArenaFacts, participant_link
from arena.models import HistorySummary
from arena.rules.statuses import SummaryStatus
from clients.admin_base import NOTHING, ago, badge
from ledger.admin.lists import BotChooser
from ledger.admin.shown import document, instant, linked, report

_MOMENTS = (instant("summarized_from"), instant("summarized_to"), instant("created_at"), instant("finished_at"),
            instant("cleared_at"))  # fmt: skip


@admin.register(HistorySummary)
class HistorySummaryAdmin(ArenaFacts):
    list_display = ("when", participant_link, "number", "state", "forced", "summarized_count", "token_count", "kept", "refused",
                    "why")  # fmt: skip
    list_display_links = ("when",)
    list_filter = ("status", "is_forced", ("bot", BotChooser))
    list_select_related = ("bot",)
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ((participant_link, "number"), ("state", "why"), ("forced", "requested_by"),
                           ("summarized_count", "token_count"), _MOMENTS[:2], "text")}),
        ("What it claims", {"fields": ("claims_shown", "refused_shown")}),
        ("When", {"fields": (_MOMENTS[2:4], _MOMENTS[4], "its_call")}),
    )  # fmt: skip
    readonly_fields = (participant_link, "state", "why", "forced", "text", "claims_shown", "refused_shown", "its_call",
                       *_MOMENTS)  # fmt: skip

    @display(description="asked for")
    def when(self, row: HistorySummary) -> SafeString | str:
        return ago(row.created_at)

    @display(description="status")
    def state(self, row: HistorySummary) -> SafeString:
        if row.cleared_at:
            return badge("cleared", "grey", says="A person cleared what the bot had learned.")
        return badge(row.status, SUMMARY_COLORS[SummaryStatus(row.status)], says=row.message)

    @display(description="cause")
    def forced(self, row: HistorySummary) -> str:
        return "a person" if row.is_forced else "by itself"

    @display(description="claims")
    def kept(self, row: HistorySummary) -> int:
        return len(row.claims or [])

    @display(description="not borne out")
    def refused(self, row: HistorySummary) -> int:
        return len(row.refused_claims or [])

    @display(description="why")
    def why(self, row: HistorySummary) -> str:
        return row.message or NOTHING

    @display(description="summary")
    def text(self, row: HistorySummary) -> SafeString | str:
        return document(row.summary) if row.summary else NOTHING

    @display(description="borne out by the ledger")
    def claims_shown(self, row: HistorySummary) -> SafeString | str:
        return report(row.claims)

    @display(description="not borne out, and not shown to the bot")
    def refused_shown(self, row: HistorySummary) -> SafeString | str:
        return report(row.refused_claims)

    @display(description="model call")
    def its_call(self, row: HistorySummary) -> SafeString | str:
        return linked("arena_llmcall", row.call_id, "its call")
