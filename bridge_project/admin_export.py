"""A "CSV" button on every list of the admin: the rows that the list shows, all pages of them, without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import structlog
from django.contrib.admin import AdminSite
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.postgresql.psycopg_any import mogrify
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from psycopg import sql
from unfold.admin import ModelAdmin
from unfold.decorators import action

from bridge_project.use_cases.copying import WRITTEN_ALIKE, copied_blocks
from bridge_project.use_cases.export_table import CSV_WITH_HEADER
from bridge_project.use_cases.tables import is_exported, secret_columns
from clients.admin_base import SettingsAdmin
from clients.authentication import operator_scope
from ground.scope import Scope, current_alias

log = structlog.get_logger(__name__)
OF_THE_PAGE = ("p", "o", "all", "e")  # which page of the list is shown, and how it is sorted


class CsvDownload(ModelAdmin):
    """A list with the button. It changes nothing, so a GET does; whoever may see the list may have it."""

    @action(description="CSV", icon="download", permissions=["view"])
    def export_csv(self, request: HttpRequest) -> HttpResponseBase:
        """The list with its search and filters, as a stream: memory stays the same for any number of rows."""
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(_list_of(self))
        scope, table = operator_scope(request), self.model._meta.db_table
        log.info("table_exported", table=table, by=scope.actor, filters=_filters(request))
        name = f"{table}-{timezone.now():%Y%m%d-%H%M%S}.csv"
        return StreamingHttpResponse(
            stream_csv(scope, rows),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The button keeps the filters that the list is shown with."""
        page = super().changelist_view(request, extra_context)
        filters = _filters(request)
        if isinstance(page, TemplateResponse) and page.context_data and filters:
            own = reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_export_csv")
            for button in page.context_data.get("actions_list", ()):
                if button.get("path") == own:
                    button["path"] = f"{own}?{filters}"
        return page


def add_csv_downloads(site: AdminSite) -> None:
    """Give every list of the product's own tables the button. Called once all pages are registered."""
    for model, page in list(site._registry.items()):
        kind = type(page)
        if is_exported(model) and isinstance(page, ModelAdmin) and not isinstance(page, SettingsAdmin | CsvDownload):
            buttons = (*page.actions_list, "export_csv")
            site.unregister(model)
            site.register(model, type(kind.__name__, (CsvDownload, kind), {"actions_list": buttons}))


def stream_csv(scope: Scope, rows: QuerySet[Any]) -> Iterator[bytes]:
    """The rows as CSV with a header, in the order of their primary key, read in one statement as ``scope`` may see them."""
    with scope.transaction(), connections[current_alias()].cursor() as cursor:
        cursor.execute(WRITTEN_ALIKE)
        with closing(copied_blocks(cursor, _statement(rows), CSV_WITH_HEADER)) as blocks:
            yield from blocks


def _statement(rows: QuerySet[Any]) -> sql.Composable:
    options = rows.model._meta
    secret = secret_columns(options.db_table)
    names = [field.attname for field in options.concrete_fields if field.column not in secret]
    chosen = rows.order_by("pk").values_list(*names)
    connection = connections[current_alias()]
    try:
        text, params = chosen.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:  # the filters contradict each other
        columns = [field.column for field in options.concrete_fields if field.column not in secret]
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        return sql.SQL("SELECT {} FROM {} WHERE false").format(listed, sql.Identifier(options.db_table))
    return sql.SQL(mogrify(text, params, connection))


def _filters(request: HttpRequest) -> str:
    kept = request.GET.copy()
    for name in OF_THE_PAGE:
        kept.pop(name, None)
    return kept.urlencode()


def _list_of(page: ModelAdmin) -> str:
    return reverse(f"admin:{page.model._meta.app_label}_{page.model._meta.model_name}_changelist")
