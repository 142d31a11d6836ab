"""The page of drift: where Hummingbot holds something else than is wanted, and what people choose to do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from bots.models import BotDrift
from bots.rules.drift import STATUS_FIELD, Changed, DriftStatus
from bots.services.choose_drift import adopt_theirs, ignore_drift, push_ours
from clients.admin_base import NOTHING, FactsAdmin, ago, badge

COLORS = {
    DriftStatus.OPEN: "orange", DriftStatus.PUSHING: "blue", DriftStatus.IGNORED: "grey", DriftStatus.CLOSED: "green",
}  # fmt: skip
SAYS = {
    Changed.HERE: "the definition was changed after it was deployed",
    Changed.THERE: "changed in Hummingbot after it was deployed",
    Changed.BOTH: "changed on both sides since it was deployed",
}
PLACES = {Changed.HERE: "here", Changed.THERE: "in Hummingbot", Changed.BOTH: "on both sides"}
SHOWN = 60  # characters of a value in a list


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        words = ((str(status), str(status)) for status in DriftStatus)
        return [("now", "differs now"), *words, ("all", "all, also what is over")]

    def value(self) -> str:
        """What differs now, unless something else is asked for."""
        return str(super().value() or "now")

    def choices(self, changelist: Any) -> Any:
        return list(super().choices(changelist))[1:]  # without Django's own "All", which would say the same as ours

    def queryset(self, request: HttpRequest, queryset: QuerySet[BotDrift]) -> QuerySet[BotDrift]:
        if self.value() == "now":
            return queryset.exclude(status=DriftStatus.CLOSED)
        return queryset if self.value() == "all" else queryset.filter(status=self.value())


class ChoiceForm(BaseDialogForm):
    reason = forms.CharField(max_length=300, required=False, widget=UnfoldAdminTextInputWidget, label="Why")


class IgnoreForm(ChoiceForm):
    until = forms.DateField(
        widget=UnfoldAdminSingleDateWidget, label="Until", help_text="The end of this day, UTC.",
        initial=lambda: timezone.now().date() + timedelta(days=7),
    )  # fmt: skip


@admin.register(BotDrift)
class BotDriftAdmin(FactsAdmin):
    list_display = ("field", "owner", "wanted", "held", "where", "state", "found", "chosen_by")
    list_display_links = ("field",)
    list_before_template = "admin/bridge/drift_note.html"
    list_filter = (StateFilter, "changed")
    list_select_related = ("bot__client",)
    search_fields = ("field", "bot__name", "bot__client__account_identifier")
    search_help_text = "a field, a bot's name or an account"
    ordering = ("-found_at", "id")
    actions_row = ("push", "adopt", "ignore")
    actions_detail = ("push", "adopt", "ignore")
    fieldsets = (
        (None, {"fields": ("owner", "field", "ours", "theirs", "where", "state", "found_at")}),
        ("What was chosen", {"fields": ("chosen_by", "chosen_at", "reason", "ignore_until", "message")}),
        ("How it ended", {"fields": ("resolution", "closed_at")}),
    )

    def has_choose_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("bots.change_botdrift"))

    @display(description="bot", ordering="bot__name")
    def owner(self, drift: BotDrift) -> SafeString:
        address = reverse("admin:bots_bot_change", args=[drift.bot_id])
        text = f"{drift.bot.name} of {drift.bot.client.account_identifier}"
        return format_html('<a class="bridge-link" href="{}">{}</a>', address, text)

    @display(description="wanted")
    def wanted(self, drift: BotDrift) -> str:
        return _short(drift, drift.ours)

    @display(description="Hummingbot holds")
    def held(self, drift: BotDrift) -> str:
        return _short(drift, drift.theirs)

    @display(description="changed", ordering="changed")
    def where(self, drift: BotDrift) -> SafeString:
        if drift.field == STATUS_FIELD:
            return format_html("{}", NOTHING)  # a status is done, not written anywhere
        return badge(PLACES[Changed(drift.changed)], "grey", says=SAYS[Changed(drift.changed)])

    @display(description="state", ordering="status")
    def state(self, drift: BotDrift) -> SafeString:
        text = f"{drift.status}: {drift.resolution}" if drift.resolution else drift.status
        if drift.status == DriftStatus.IGNORED and drift.ignore_until:
            text = f"ignored until {drift.ignore_until:%Y-%m-%d}"
        return badge(text, COLORS[DriftStatus(drift.status)], says=drift.message or drift.reason)

    @display(description="since", ordering="found_at")
    def found(self, drift: BotDrift) -> SafeString | str:
        return ago(drift.found_at)

    @action(
        description="Push ours",
        icon="upload",
        permissions=["choose"],
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": "Push ours to Hummingbot?",
            "description": "A worker gives the running bot what is wanted, without a restart; for a status the bot is told so "
            "again.",
            "form_class": ChoiceForm,
            "form_submit_text": "Push ours",
        },
    )
    def push(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._chosen(request, form, object_id, push_ours)

    @action(
        description="Adopt theirs",
        icon="download",
        permissions=["choose"],
        dialog={
            "title": "Adopt what Hummingbot holds?",
            "description": "A config becomes the bot's definition, and a version of its strategy if it has one; what runs is not "
            "touched. A status becomes the wish.",
            "form_class": ChoiceForm,
            "form_submit_text": "Adopt theirs",
        },
    )
    def adopt(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._chosen(request, form, object_id, adopt_theirs)

    @action(
        description="Ignore",
        icon="visibility_off",
        permissions=["choose"],
        dialog={
            "title": "Ignore exactly this difference?",
            "description": "When either side changes, or the day is over, it is open again.",
            "form_class": IgnoreForm,
            "form_submit_text": "Ignore",
        },
    )
    def ignore(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        day = form.cleaned_data["until"]
        midnight = timezone.now().replace(
            year=day.year, month=day.month, day=day.day, hour=0, minute=0, second=0, microsecond=0
        )
        return self._chosen(request, form, object_id, ignore_drift, until=midnight + timedelta(days=1))

    def _chosen(
        self, request: HttpRequest, form: BaseDialogForm, object_id: str, choose: Callable[..., str], **more: Any
    ) -> HttpResponse:
        given = {"drift_id": UUID(object_id), "now": timezone.now(), "reason": form.cleaned_data["reason"], **more}
        return self.act(request, lambda: choose(scope=self.scope(request), **given))


def _short(drift: BotDrift, value: str) -> str:
    if drift.field == STATUS_FIELD:
        value = value.strip('"')
    return NOTHING if not value else value if len(value) <= SHOWN else value[: SHOWN - 1] + "…"
