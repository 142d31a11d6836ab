"""The audit's page: who changed which row, when, why, and what it said before and after."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from clients.admin_base import FactsAdmin, badge
from clients.models import AuditEntry

AUDITED = (
    *("clients", "wallets", "connectors", "api_keys", "bots", "bot_templates", "bots_settings", "health_settings"),
    "incidents",
)
COLORS = {"INSERT": "green", "UPDATE": "blue", "DELETE": "red"}
WORDS = {"INSERT": "made", "UPDATE": "changed", "DELETE": "removed"}


class TableFilter(admin.SimpleListFilter):
    title = "table"
    parameter_name = "table"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.replace("_", " ")) for name in AUDITED]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(table_name=self.value()) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "did"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(WORDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class RowFilter(admin.SimpleListFilter):
    """Only there when a page links here for one row."""

    title = "row"
    parameter_name = "row"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = request.GET.get("row", "")
        return [(value, value)] if value else []

    def has_output(self) -> bool:
        return bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(row_id=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(FactsAdmin):
    list_display = ("when", "actor", "did", "what", "row", "reason", "summary")
    list_display_links = ("when",)
    list_filter = (TableFilter, ActionFilter, RowFilter)
    search_fields = ("actor__startswith", "row_id__exact")
    search_help_text = "beginning of who (operator:, key:, system:), or a row's id"
    ordering = ("-id",)
    fields = ("when", "actor", "did", "what", "row", "reason", "client_id", "comparison")
    readonly_fields = ("when", "did", "what", "row", "comparison")

    @display(description="when (UTC)", ordering="id")
    def when(self, entry: AuditEntry) -> str:
        return f"{entry.at:%Y-%m-%d %H:%M:%S}"

    @display(description="did")
    def did(self, entry: AuditEntry) -> SafeString:
        return badge(WORDS[entry.action], COLORS[entry.action])

    @display(description="table")
    def what(self, entry: AuditEntry) -> str:
        return entry.table_name.replace("_", " ")

    @display(description="row")
    def row(self, entry: AuditEntry) -> SafeString | str:
        address = address_of(entry.table_name, entry.row_id)
        short = entry.row_id[:8]
        return format_html('<a class="bridge-link" href="{}">{}</a>', address, short) if address else short

    @display(description="fields")
    def summary(self, entry: AuditEntry) -> str:
        if entry.action != "UPDATE":
            return ""
        return ", ".join(sorted({*(entry.before or {}), *(entry.after or {})}))[:120]

    @display(description="before and after")
    def comparison(self, entry: AuditEntry) -> SafeString:
        before, after = entry.before or {}, entry.after or {}
        rows = ((name, _shown(before, name), _shown(after, name)) for name in sorted({*before, *after}))
        body = format_html_join("", "<tr><th>{}</th><td>{}</td><td>{}</td></tr>", rows)
        return format_html(
            '<table class="bridge-table"><thead><tr><th>field</th><th>before</th><th>after</th></tr></thead>'
            "<tbody>{}</tbody></table>",
            body,
        )


def address_of(table: str, row_id: str) -> str:
    """The admin page of a row, or nothing."""
    model = next((m for m in apps.get_models() if m._meta.db_table == table), None)
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row_id]) if model else ""
    except NoReverseMatch:
        return ""


def _shown(side: dict[str, Any], name: str) -> str:
    if name not in side:
        return ""
    value = side[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
