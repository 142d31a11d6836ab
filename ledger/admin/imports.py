"""The pages of imports, and of what they kept word for word."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from clients.admin_base import NOTHING, badge
from ledger.admin.lists import BotChooser, LedgerFacts, as_uuid
from ledger.admin.shown import document, identifier, indented, instant, json_document, linked, moment, report
from ledger.models import ArenaImport, KeptDocument
from ledger.rules.words import ImportStatus

COLORS = {ImportStatus.STAGING: "blue", ImportStatus.DONE: "green", ImportStatus.FAILED: "red"}
PARSED_AT_MOST = 1_000_000


@admin.register(ArenaImport)
class ArenaImportAdmin(LedgerFacts):
    list_display = (
        "origin",
        "source",
        "state",
        moment("started_at", "started"),
        moment("finished_at", "finished"),
        "error",
    )
    list_filter = (("status", ChoicesDropdownFilter),)
    list_select_related: tuple[str, ...] = ()
    search_fields = ("origin", "source", "digest__exact")
    ordering = ("-started_at",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("origin", "source"),
                    ("state", "error"),
                    (instant("started_at"), instant("finished_at")),
                    ("id", identifier("digest")),
                    "told",
                    "progressed",
                )
            },
        ),
    )
    get_search_results = admin.ModelAdmin.get_search_results  # few rows: words may be looked for

    def get_queryset(self, request: HttpRequest) -> QuerySet[ArenaImport]:
        rows: QuerySet[ArenaImport] = super().get_queryset(request)
        match = request.resolver_match
        is_list = match and str(match.url_name).endswith("_changelist")
        return rows.defer("report", "progress") if is_list else rows

    @display(description="status")
    def state(self, row: ArenaImport) -> SafeString:
        return badge(row.status, COLORS[ImportStatus(row.status)], says=row.error)

    @display(description="report")
    def told(self, row: ArenaImport) -> SafeString | str:
        return report(row.report)

    @display(description="progress")
    def progressed(self, row: ArenaImport) -> SafeString | str:
        return json_document(row.progress)


@admin.register(KeptDocument)
class KeptDocumentAdmin(LedgerFacts):
    """Secrets that came with a document stay encrypted and are never on a page."""

    ordering = ("-imported_at", "-id")
    list_display = ("kind", "key", "its_client", "its_bot", "source", moment("imported_at", "imported"))
    list_display_links = ("kind", "key")
    list_filter = (("bot", BotChooser),)
    list_select_related = ("client", "bot")
    search_fields = ("key__exact",)
    search_help_text = "a kind or a key, whole"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("kind", "key"),
                    ("its_client", "its_bot"),
                    ("source", "rank"),
                    (instant("imported_at"), "id"),
                    "text",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[KeptDocument]:
        rows: QuerySet[KeptDocument] = super().get_queryset(request).defer("secret")
        match = request.resolver_match
        return rows.defer("body") if match and str(match.url_name).endswith("_changelist") else rows

    def found(self, term: str) -> Q:
        return Q(pk=as_uuid(term)) if as_uuid(term) else Q(kind=term) | Q(key=term)

    @display(description="client")
    def its_client(self, kept: KeptDocument) -> SafeString | str:
        client = kept.client
        return linked("clients_client", client.pk, client.account_identifier) if client else NOTHING

    @display(description="bot")
    def its_bot(self, kept: KeptDocument) -> SafeString | str:
        return linked("bots_bot", kept.bot.pk, kept.bot.name) if kept.bot else NOTHING

    @display(description="document")
    def text(self, kept: KeptDocument) -> SafeString:
        return document(_readable(kept.body))


def _readable(body: str) -> str:
    """The same JSON on many lines; what is too long or no JSON stays as it is."""
    if len(body) > PARSED_AT_MOST:
        return body
    try:
        parsed: Any = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return body
    return indented(parsed)
