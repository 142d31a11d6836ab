"""Summaries of what bots decided, and stored turns asked again in shadow: to read."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from arena.admin.shown import SHADOW_COLORS, SUMMARY_COLORS, ArenaFacts, participant_link
from arena.models import HistorySummary, ShadowRun
from arena.rules.statuses import ShadowStatus, SummaryStatus
from clients.admin_base import NOTHING, ago, badge
from ledger.admin.lists import BotChooser
from ledger.admin.shown import document, instant, linked, report

_MOMENTS = (instant("summarized_from"), instant("summarized_to"), instant("created_at"), instant("finished_at"),
            instant("cleared_at"))  # fmt: skip
_RUN = (instant("created_at"), instant("finished_at"))


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


@admin.register(ShadowRun)
class ShadowRunAdmin(ArenaFacts):
    list_display = ("when", participant_link, "kind", "state", "against", "its_turns", "requested_by", "why")
    list_display_links = ("when",)
    list_filter = ("status", "kind", ("bot", BotChooser))
    list_select_related = ("bot", "provider", "prompt")
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ((participant_link, "kind"), ("state", "why"), ("against", "its_turns"), "requested_by", "came_of_it",
                           "rules_shown", _RUN)}),
    )  # fmt: skip
    readonly_fields = (participant_link, "state", "why", "against", "its_turns", "came_of_it", "rules_shown", *_RUN)

    @display(description="asked for")
    def when(self, row: ShadowRun) -> SafeString | str:
        return ago(row.created_at)

    @display(description="status")
    def state(self, row: ShadowRun) -> SafeString:
        return badge(row.status, SHADOW_COLORS[ShadowStatus(row.status)], says=row.message)

    @display(description="against")
    def against(self, row: ShadowRun) -> str:
        told = [
            row.provider.name if row.provider else "",
            row.model,
            f"prompt {row.prompt.number}" if row.prompt else "",
        ]
        told.append("a prompt of its own" if row.prompt_text else "")
        return ", ".join(one for one in told if one) or NOTHING

    @display(description="turns")
    def its_turns(self, row: ShadowRun) -> str:
        return f"{row.first_turn} to {row.last_turn}"

    @display(description="why")
    def why(self, row: ShadowRun) -> str:
        return row.message or NOTHING

    @display(description="result")
    def came_of_it(self, row: ShadowRun) -> SafeString | str:
        return report(row.result)

    @display(description="rules")
    def rules_shown(self, row: ShadowRun) -> SafeString | str:
        return report(row.rules)
