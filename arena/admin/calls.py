"""Turns, and every question to a model with what was sent and what came back: to read, never to change."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from arena.admin.shown import CALL_COLORS, TURN_COLORS, ArenaFacts, dollars, participant_link
from arena.admin.steps_shown import result_shown, steps_shown
from arena.models import ArenaTurn, LlmCall, LlmText
from arena.rules.statuses import CallStatus, TurnStatus
from arena.rules.steps import step_words
from arena.services.model_calls import TOOLS_ROLE, stored_request
from arena.types_models import Step
from clients.admin_base import NOTHING, ago, badge
from ledger.admin.lists import BotChooser
from ledger.admin.shown import document, instant, linked, report

LONG = ("messages", "reply")
_FIGURE = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,40}|E-[0-9]{1,2})")


@admin.register(LlmCall)
class LlmCallAdmin(ArenaFacts):
    list_display = ("when", "state", participant_link, "purpose", "step", "provider", "model", "tokens", "costs", "took",
                    "error_shown")  # fmt: skip
    list_display_links = ("when",)
    list_filter = ("status", "purpose", ("bot", BotChooser), ("provider", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("bot", "provider")
    ordering = ("-asked_at", "-id")
    fieldsets = (
        (None, {"fields": (("state", participant_link), ("provider", "model", "answered_model"), ("purpose", "step", "its_turn"),
                           ("tokens", "costs"), ("took", "attempts"), ("answered_with", "error_shown"))}),
        ("What was sent", {"fields": ("sent",)}),
        ("What came back, as it came", {"fields": ("raw",)}),
        ("When", {"fields": ((instant("asked_at"), instant("answered_at")), "id")}),
    )  # fmt: skip
    readonly_fields = ("state", participant_link, "its_turn", "tokens", "costs", "took", "answered_with", "error_shown",
                       "sent", "raw", *fieldsets[3][1]["fields"][0])  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[LlmCall]:
        rows: QuerySet[LlmCall] = super().get_queryset(request)
        match = request.resolver_match
        return rows.defer(*LONG) if match and str(match.url_name).endswith("_changelist") else rows

    @display(description="asked")
    def when(self, row: LlmCall) -> SafeString | str:
        return ago(row.asked_at)

    @display(description="status")
    def state(self, row: LlmCall) -> SafeString:
        return badge(row.status, CALL_COLORS[CallStatus(row.status)], says=row.error)

    @display(description="tokens")
    def tokens(self, row: LlmCall) -> str:
        if row.input_tokens is None and row.output_tokens is None:
            return NOTHING
        return _together(f"{row.input_tokens or 0:,} in, {row.output_tokens or 0:,} out")

    @display(description="cost")
    def costs(self, row: LlmCall) -> str:
        return _together(dollars(row.cost) if row.cost is not None else f"{dollars(row.estimated_cost)} estimated")

    @display(description="took")
    def took(self, row: LlmCall) -> str:
        return NOTHING if row.duration_ms is None else _together(f"{row.duration_ms:,} ms")

    @display(description="error")
    def error_shown(self, row: LlmCall) -> str:
        return row.error or NOTHING

    @display(description="HTTP")
    def answered_with(self, row: LlmCall) -> str:
        return str(row.reply_status or NOTHING)

    @display(description="turn")
    def its_turn(self, row: LlmCall) -> SafeString | str:
        return linked("arena_arenaturn", row.turn_id, "its turn") if row.turn_id else NOTHING

    @display(description="messages")
    def sent(self, row: LlmCall) -> SafeString | str:
        """Each message with its whole text; texts are stored once a client, by hash."""
        parts = [one for one in row.messages if isinstance(one, dict)] if isinstance(row.messages, list) else []
        hashes = {str(one["text"]) for one in parts if one.get("text")}
        found = dict(
            LlmText.objects.filter(client=row.client_id, sha256__in=hashes).values_list("sha256", "text")
        ) if row.client_id else {}  # fmt: skip
        shown = ((_role(one), _part(one, _text(one, found))) for one in parts)
        return (
            format_html_join("", '<div class="bridge-step"><p><strong>{}</strong></p>{}</div>', shown)
            if parts
            else NOTHING
        )

    @display(description="reply")
    def raw(self, row: LlmCall) -> SafeString | str:
        return document(row.reply) if row.reply is not None else NOTHING


def _together(text: str) -> str:
    """On one line."""
    return text.replace(" ", "\u00a0")


def _role(one: dict[str, Any]) -> str:
    named = {TOOLS_ROLE: "tools that were offered", "tool": f"tool {one.get('name', '')}"}
    return named.get(str(one.get("role")), str(one.get("role", "")))


def _part(one: dict[str, Any], text: str) -> SafeString | str:
    """A message as people read it: what a model called, and what its tools answered, without the wire's own shape."""
    if one.get("role") == TOOLS_ROLE:
        return format_html("<p>{}</p>", ", ".join(re.findall(r'"name": "([a-z_]+)", "description"', text)))
    if one.get("role") == "assistant":
        words = step_words(Step(text, ()))
        return document("\n".join([words.text, *words.called]).strip() or text)
    return result_shown(text) if one.get("role") == "tool" else document(text)


def _text(one: dict[str, Any], found: dict[str, str]) -> str:
    """What the part holds: its stored text, or what stands in it."""
    if one.get("text"):
        return found.get(str(one["text"]), str(one["text"]))
    return str(report({name: value for name, value in one.items() if name != "role"}))


@admin.register(ArenaTurn)
class ArenaTurnAdmin(ArenaFacts):
    list_display = ("when", participant_link, "number", "state", "cause", "provider", "model", "took", "attempts", "its_decision",
                    "why")  # fmt: skip
    list_display_links = ("when",)
    list_filter = ("status", "cause", ("bot", BotChooser))
    list_select_related = ("bot", "provider")
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ((participant_link, "number"), ("state", "why"), ("cause", "requested_by"), ("provider", "model"),
                           ("its_prompt", "its_decision"), ("attempts", "took"))}),
        ("Questions to the model", {"fields": ("its_calls", "looked_up")}),
        ("What it was shown", {"fields": (instant("prices_at"), "shown")}),
        ("When", {"fields": ((instant("created_at"), instant("asked_at")), (instant("answered_at"), instant("finished_at")),
                             "id")}),
    )  # fmt: skip
    readonly_fields = (participant_link, "state", "why", "its_prompt", "its_decision", "took", "its_calls", "looked_up", "shown",
                       fieldsets[2][1]["fields"][0], *fieldsets[3][1]["fields"][0], *fieldsets[3][1]["fields"][1])  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ArenaTurn]:
        rows: QuerySet[ArenaTurn] = super().get_queryset(request)
        match = request.resolver_match
        return rows.defer("briefing") if match and str(match.url_name).endswith("_changelist") else rows

    @display(description="began")
    def when(self, row: ArenaTurn) -> SafeString | str:
        return ago(row.created_at)

    @display(description="status")
    def state(self, row: ArenaTurn) -> SafeString:
        return badge(row.status, TURN_COLORS[TurnStatus(row.status)], says=row.message)

    @display(description="took")
    def took(self, row: ArenaTurn) -> str:
        return f"{(row.finished_at - row.created_at).total_seconds():.1f} s" if row.finished_at else NOTHING

    @display(description="why")
    def why(self, row: ArenaTurn) -> str:
        return row.message or NOTHING

    @display(description="decision")
    def its_decision(self, row: ArenaTurn) -> SafeString | str:
        return linked("ledger_botdecision", row.decision_id, "its decision")

    @display(description="prompt")
    def its_prompt(self, row: ArenaTurn) -> SafeString | str:
        return linked("arena_promptversion", row.prompt_id, f"version {row.prompt.number}") if row.prompt else NOTHING

    @display(description="calls")
    def its_calls(self, row: ArenaTurn) -> SafeString | str:
        calls = list(LlmCall.objects.filter(turn=row.pk).defer(*LONG).select_related("provider").order_by("step"))
        lines = (
            (linked("arena_llmcall", call.pk, f"question {call.step}"), call.status, call.provider.name, call.model,
             dollars(_cost(call)))
            for call in calls
        )  # fmt: skip
        shown = format_html_join("", "<li>{}: {} by {} ({}), {}</li>", lines)
        read, written = sum(one.input_tokens or 0 for one in calls), sum(one.output_tokens or 0 for one in calls)
        cost = dollars(sum((_cost(one) for one in calls), Decimal(0)))
        if len(calls) > 1:
            together = f"Together {read:,} tokens in, {written:,} out, {cost}."
            return format_html('<ul class="bridge-list">{}</ul><p>{}</p>', shown, together)
        return format_html('<ul class="bridge-list">{}</ul>', shown) if shown else NOTHING

    @display(description="looked up before")
    def looked_up(self, row: ArenaTurn) -> SafeString | str:
        """What a bot with tools called, and what these answered: all of it went into its last question."""
        newest = LlmCall.objects.filter(turn=row.pk).order_by("-step").values_list("pk", flat=True).first()
        return steps_shown(stored_request(newest).steps) if newest else NOTHING

    @display(description="figures")
    def shown(self, row: ArenaTurn) -> SafeString | str:
        return report(_tidy(row.briefing))


def _cost(call: LlmCall) -> Decimal:
    return call.cost if call.cost is not None else call.estimated_cost


def _tidy(value: Any) -> Any:
    """Figures without the zeros of their columns, and rows without ids."""
    if isinstance(value, dict):
        return {name: _tidy(item) for name, item in value.items() if name != "id"}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return Decimal(value) if isinstance(value, str) and _FIGURE.fullmatch(value) else value
