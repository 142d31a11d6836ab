"""The page of decisions: what a bot was shown, what it answered, what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from clients.admin_base import NOTHING, badge
from ledger.admin.lists import BotChooser, ClientChooser, DaysOfBot, LedgerFacts, OfBotFilter
from ledger.admin.shown import bot_link, client_link, document, instant, json_document, moment, report
from ledger.models import BotDecision

SHOWN = 80


class OutcomeFilter(OfBotFilter):
    title = "outcome"
    parameter_name = "executed"

    def words(self, bot: Any) -> list[tuple[str, str]]:
        return [("yes", "executed"), ("no", "refused or failed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[BotDecision]) -> QuerySet[BotDecision]:
        return queryset.filter(execution_success=self.value() == "yes") if self.value() else queryset


@admin.register(BotDecision)
class BotDecisionAdmin(LedgerFacts):
    at = "decided_at"
    ordering_of_bot = ("-decided_at", "-id")
    list_display = (moment("decided_at", "decided"), bot_link, "outcome", "answers", "first_note", "source_id")
    list_filter = (("bot", BotChooser), ("client", ClientChooser), ("decided_at", DaysOfBot), OutcomeFilter)
    search_fields = ("id__exact",)
    search_help_text = "an id: the decision's or the old system's"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("id", instant("decided_at")),
                    (client_link, bot_link),
                    ("outcome", "its_trades"),
                    "decided",
                    "notes",
                    "prompt",
                )
            },
        ),
        ("More", {"fields": (("source", "source_id"), ("source_rank", instant("recorded_at")), "raw", "left_over")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[BotDecision]:
        rows: QuerySet[BotDecision] = super().get_queryset(request)
        match = request.resolver_match
        is_list = match and str(match.url_name).endswith("_changelist")
        return rows.defer("prompt_sent", "extra") if is_list else rows

    @display(description="outcome")
    def outcome(self, decision: BotDecision) -> SafeString:
        good = decision.execution_success
        return badge("executed" if good else "not executed", "green" if good else "orange")

    @display(description="decisions")
    def answers(self, decision: BotDecision) -> str:
        found = decision.decisions_json if isinstance(decision.decisions_json, list) else [decision.decisions_json]
        return _cut(", ".join(_in_short(item) for item in found)) or NOTHING

    @display(description="first note")
    def first_note(self, decision: BotDecision) -> str:
        notes = decision.notes_json
        return _cut(str(notes[0])) if isinstance(notes, list) and notes else NOTHING

    @display(description="what it decided")
    def decided(self, decision: BotDecision) -> SafeString | str:
        return report(decision.decisions_json)

    @display(description="what came of it")
    def notes(self, decision: BotDecision) -> SafeString | str:
        return report(decision.notes_json)

    @display(description="prompt")
    def prompt(self, decision: BotDecision) -> SafeString:
        return document(decision.prompt_sent)

    @display(description="the decisions as they were written")
    def raw(self, decision: BotDecision) -> SafeString | str:
        return json_document(decision.decisions_json)

    @display(description="trades")
    def its_trades(self, decision: BotDecision) -> SafeString | str:
        """Those that follow it at once: trades have no index by decision, but one by bot and time."""
        after = decision.bot.trades.filter(executed_at__gte=decision.decided_at).order_by("executed_at", "id")
        rows = [trade for trade in after[:200] if trade.decision_id == decision.pk]
        links = format_html_join(
            ", ", '<a class="bridge-link" href="/admin/ledger/trade/{}/change/">{}</a>', ((t.pk, str(t)) for t in rows)
        )
        return format_html("{}", links) if rows else NOTHING

    @display(description="what an import left over")
    def left_over(self, decision: BotDecision) -> SafeString | str:
        return json_document(decision.extra)


def _in_short(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return " ".join(str(item[name]) for name in ("action", "symbol") if item.get(name)) or "…"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
