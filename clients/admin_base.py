"""What every admin page shares: writes go through services as the operator who is signed in, errors read as sentences,
lists of millions of rows open at once, and nothing changes on a GET."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.core.paginator import Paginator
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.dataclasses import ActionDialog
from unfold.widgets import UnfoldAdminPasswordWidget

from clients.authentication import operator_scope
from ground.errors import BridgeError
from ground.scope import Scope

COUNT_AT_MOST = 10_000
NOTHING = "–"


class BoundedPaginator(Paginator):
    """Counts no further than 10,000 rows, so that a table of millions opens as fast as a small one."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Model]", self.object_list)
        return int(rows.order_by()[:COUNT_AT_MOST].count())


class RefusableForm(forms.ModelForm):
    """A form that can show, at its second look, why a service refused what it held at its first."""

    refusal: BridgeError | None = None

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if self.refusal:
            self.add_error(None, self.refusal.message)
            for name, sentences in (self.refusal.fields or {}).items():
                if name.partition(".")[0] in self.fields:
                    self.add_error(name.partition(".")[0], [f"{name}: {s}" if "." in name else s for s in sentences])
        return data


class BridgeAdmin(ModelAdmin):
    """The base of pages that write. Subclasses implement ``save_model`` and ``delete_model`` with services."""

    form = RefusableForm
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_filter_sheet = True
    compressed_fields = True
    warn_unsaved_form = True

    def scope(self, request: HttpRequest) -> Scope:
        """Whom the audit will name."""
        return operator_scope(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change=change, **kwargs)
        made.refusal = getattr(request, "bridge_refusal", None)
        return made

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """When a service refuses, all is rolled back and the form is shown again with its sentence."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except BridgeError as error:
            request.bridge_refusal = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except BridgeError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(self.page(object_id))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Unfold asks this of a row's actions too, with the row."""
        return bool(super().has_add_permission(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Services decide what goes along and what stays; the confirmation lists the rows asked for."""
        return [str(obj) for obj in objs], {}, set(), []

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)  # rows go one by one, through a service
        return actions

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The audit knows more than Django's own log: changes by API and by SQL too."""
        table = self.model._meta.db_table
        return HttpResponseRedirect(f"{reverse('admin:clients_auditentry_changelist')}?table={table}&row={object_id}")

    def page(self, object_id: Any, name: str = "change") -> str:
        """The address of one of a row's pages."""
        options = self.model._meta
        return reverse(f"admin:{options.app_label}_{options.model_name}_{name}", args=[object_id])

    def act(self, request: HttpRequest, call: Callable[[], str], *, to: str = "") -> HttpResponse:
        """Run what a confirmed dialog asked for, show its sentence or its refusal, and go back to the page."""
        try:
            messages.success(request, call())
        except BridgeError as error:
            messages.error(request, error.message)
        here = request.headers.get("HX-Current-URL", "")
        if not url_has_allowed_host_and_scheme(here, allowed_hosts={request.get_host()}):
            here = reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_changelist")
        return HttpResponse(headers={"HX-Redirect": to or here})

    def act_on_all(self, request: HttpRequest, rows: Iterable[Any], call: Callable[[Any], str], *, done: str) -> None:
        """The same for the rows of a confirmed bulk action; each refusal is shown, the others go on."""
        count = 0
        for row in rows:
            try:
                call(row)
                count += 1
            except BridgeError as error:
                messages.error(request, f"{row}: {error.message}")
        if count:
            messages.success(request, f"{count} {done}.")

    def confirm(self, request: HttpRequest, rows: Iterable[Any], *, action: str, title: str, says: str) -> HttpResponse:
        """The page between choosing a bulk action and doing it."""
        context = self.admin_site.each_context(request) | {
            "title": title,
            "says": says,
            "rows": list(rows),
            "action": action,
            "opts": self.model._meta,
        }
        return TemplateResponse(request, "admin/bridge/confirm.html", context)


class FactsAdmin(BridgeAdmin):
    """Rows that workers and the database write: to read, never to change."""

    paginator = BoundedPaginator
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SettingsAdmin(BridgeAdmin):
    """One row; the list leads straight to it."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(self.page(1))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row, or what it would hold before anybody has saved it."""
        found = super().get_object(request, object_id, from_field)
        return found or (self.model(id=1) if str(object_id) == "1" else None)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with self.scope(request).transaction(reason=f"{self.model._meta.verbose_name} changed"):
            obj.save()

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return HttpResponseRedirect(self.page(1))


class SecretInput(UnfoldAdminPasswordWidget):
    """A field to type a secret into. It is never filled in, not even when the form is shown again."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        given = {"autocomplete": "new-password", "spellcheck": "false", **(attrs or {})}
        super().__init__(attrs=given, render_value=False)


def confirmation(title: str, description: str, button: str) -> ActionDialog:
    """The dialog that a row action needs: without one it would run on GET."""
    return {"title": title, "description": description, "form_class": None, "form_submit_text": button}


def count_of(rows: QuerySet[Any]) -> Coalesce:
    """How many of ``rows`` are a client's, to annotate clients with: counted for the rows shown, not for all."""
    counted = rows.filter(client=OuterRef("pk")).order_by().values("client").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), 0)


def line_difference(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    """``(mark, line)`` of two texts: mark is "+" for what came, "-" for what went, "" for what stayed."""
    made: list[tuple[str, str]] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)  # ndiff takes seconds for long texts
    for kind, a, b, c, d in matcher.get_opcodes():
        went, came = [("-", line) for line in before[a:b]], [("+", line) for line in after[c:d]]
        if kind == "equal":
            made += [("", line) for line in before[a:b]]
        elif len(went) == len(came):
            made += [one for pair in zip(went, came, strict=True) for one in pair]
        else:
            made += went + came
    return made


def badge(text: str, color: str, *, says: str = "") -> SafeString:
    """A coloured word; ``says`` is shown when pointed at."""
    return format_html('<span class="bridge-badge bridge-{}" title="{}">{}</span>', color, says, text)


def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, in short, with the exact time when pointed at."""
    if moment is None:
        return NOTHING
    seconds = int((timezone.now() - moment).total_seconds())
    text = f"{_span(seconds)} ago" if seconds >= 0 else f"in {_span(-seconds)}"
    exact = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time class="bridge-when" datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, text)


def _span(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
