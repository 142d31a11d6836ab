"""Every prompt that bots had; they are written on their bot's page."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.decorators import display

from arena.admin.shown import ArenaFacts, participant_link
from arena.models import PromptVersion
from clients.admin_base import ago
from ledger.admin.shown import document

SHOWN = 90


@admin.register(PromptVersion)
class PromptVersionAdmin(ArenaFacts):
    list_display = (participant_link, "number", "in_force", "begins", "note", "made_by", "made")
    list_display_links = ("number",)
    list_select_related = ("bot__participant",)
    ordering = ("-made_at", "-id")
    fields = (participant_link, "number", "in_force", "made_by", "made", "note", "whole")
    readonly_fields = fields

    @display(description="in force", boolean=True)
    def in_force(self, row: PromptVersion) -> bool:
        participant = getattr(row.bot, "participant", None)
        return participant is not None and participant.prompt_id == row.pk

    @display(description="begins with")
    def begins(self, row: PromptVersion) -> str:
        return Truncator(" ".join(row.text[: 3 * SHOWN].split())).chars(SHOWN)

    @display(description="text")
    def whole(self, row: PromptVersion) -> SafeString:
        return document(row.text)

    @display(description="made")
    def made(self, row: PromptVersion) -> SafeString | str:
        return ago(row.made_at)
