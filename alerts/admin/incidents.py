"""The page of incidents: what is wrong, since when, which rows and bots, who was told, and what people do about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from alerts.admin.deliveries import DELIVERY_COLORS
from alerts.models import Incident, IncidentBot
from alerts.rules.words import DeliveryStatus, Severity
from alerts.selectors import incident_bots, incident_history, incident_messages, snooze_of
from alerts.services.incidents import acknowledge_incident, resolve_incident
from alerts.services.silence import snooze_incident, wake_incident
from clients.admin_audit import address_of
from clients.admin_base import NOTHING, FactsAdmin, ago, badge, confirmation
from ground.http import exact_json

COLORS = {Severity.INFO: "blue", Severity.WARNING: "yellow", Severity.CRITICAL: "red"}
NAMES = ("table", "id", "field", "expected", "found")
STATES = {"open": "open", "acknowledged": "open, taken on", "resolved": "resolved"}


MOST_BOTS = 100
HOURS = {"1": "1 hour", "4": "4 hours", "8": "8 hours", "24": "1 day", "72": "3 days", "168": "1 week"}


def severity_badge(severity: str) -> SafeString:
    return badge(severity, COLORS[Severity(severity)])


def incident_link(incident: Incident) -> SafeString:
    address = reverse("admin:alerts_incident_change", args=[incident.pk])
    return format_html('<a class="bridge-link" href="{}">{}</a>', address, incident.title)


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        match self.value():
            case "open":
                return queryset.filter(resolved_at=None)
            case "acknowledged":
                return queryset.filter(resolved_at=None, acknowledged_at__isnull=False)
            case "resolved":
                return queryset.filter(resolved_at__isnull=False)
        return queryset


class KindFilter(admin.SimpleListFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        kinds = Incident.objects.order_by("kind").values_list("kind", flat=True).distinct()
        return [(kind, kind.replace("_", " ")) for kind in kinds]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class ResolveForm(BaseDialogForm):
    resolution = forms.CharField(
        max_length=300, required=False, widget=UnfoldAdminTextInputWidget, label="What was done about it"
    )


class SnoozeForm(BaseDialogForm):
    hours = forms.ChoiceField(choices=list(HOURS.items()), initial="8", widget=UnfoldAdminSelectWidget, label="For")
    reason = forms.CharField(max_length=300, required=False, widget=UnfoldAdminTextInputWidget, label="Why")


@admin.register(Incident)
class IncidentAdmin(FactsAdmin):
    list_display = ("level", "title", "kind", "owner", "state", "opened", "seen", "times_seen")
    list_display_links = ("title",)
    list_filter = (StateFilter, "severity", KindFilter)
    list_select_related = ("client", "bot")
    search_fields = ("title", "key__exact", "bot__name", "client__account_identifier")
    search_help_text = "words of the title, a bot's name or an account"
    ordering = ("-opened_at", "-id")
    actions_row = ("acknowledge", "snooze", "resolve")
    actions_detail = ("acknowledge", "snooze", "wake", "resolve")
    fieldsets = (
        (None, {"fields": ("level", "state", "title", "evidence", "client", "bot", "touched_bots", "snoozed")}),
        ("What happened, and who was told", {"fields": ("history", "messages")}),
        ("Record", {"fields": ("kind", "key", "raised_by", "opened_at", "last_seen_at", "times_seen", "acknowledged_by",
                               "acknowledged_at", "resolved_by", "resolved_at", "resolution")}),
    )  # fmt: skip

    def has_handle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("alerts.change_incident"))

    @display(description="severity", ordering="severity")
    def level(self, incident: Incident) -> SafeString:
        return severity_badge(incident.severity)

    @display(description="about")
    def owner(self, incident: Incident) -> str:
        account = incident.client.account_identifier if incident.client else ""
        return f"{incident.bot.name} of {account}" if incident.bot else account or NOTHING

    @display(description="state")
    def state(self, incident: Incident) -> SafeString:
        if incident.resolved_at:
            return badge("resolved", "green", says=f"by {incident.resolved_by}")
        if incident.acknowledged_at:
            return badge("taken on", "blue", says=f"by {incident.acknowledged_by}")
        return badge("open", "orange")

    @display(description="opened", ordering="opened_at")
    def opened(self, incident: Incident) -> SafeString | str:
        return ago(incident.opened_at)

    @display(description="last seen", ordering="last_seen_at")
    def seen(self, incident: Incident) -> SafeString | str:
        return ago(incident.last_seen_at)

    @display(description="details")
    def evidence(self, incident: Incident) -> SafeString:
        """Rows that it names as a table with links, anything else as it was said."""
        details = dict(incident.details or {})
        rows = details.pop("rows", [])
        said = format_html_join("", "<p>{}: {}</p>", ((name, _text(value)) for name, value in details.items()))
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return said + format_html("<p>rows: {}</p>", _text(rows))
        return said + _table(rows) if rows else said

    @display(description="bots")
    def touched_bots(self, incident: Incident) -> SafeString | str:
        """Those of an incident of many, each with a link; struck out once it is over for them."""
        rows = list(incident_bots(incident.pk)[: MOST_BOTS + 1])
        if not rows:
            return NOTHING
        items = format_html_join("", "<li>{}</li>", ((_touched(row),) for row in rows[:MOST_BOTS]))
        more = " and more" if len(rows) > MOST_BOTS else ""
        return format_html('<ul class="bridge-list">{}</ul>{}', items, more)

    @display(description="snoozed")
    def snoozed(self, incident: Incident) -> str:
        row = snooze_of(kind=incident.kind, key=incident.key, now=timezone.now())
        if row is None:
            return NOTHING
        why = f": {row.reason}" if row.reason else ""
        return f"{row.snoozed_by} until {row.until_at:%Y-%m-%d %H:%M} UTC{why}"

    @display(description="history")
    def history(self, incident: Incident) -> SafeString | str:
        rows = format_html_join(
            "",
            '<tr><td class="bridge-when">{}</td><td>{}</td><td>{}</td><td class="bridge-why">{}</td><td>{}</td></tr>',
            (
                (_exact(e.at), e.kind, severity_badge(e.severity), e.title, e.actor)
                for e in incident_history(incident.pk)
            ),
        )
        return _lines(rows) if rows else NOTHING

    @display(description="who was told")
    def messages(self, incident: Incident) -> SafeString | str:
        found = incident_messages(incident.pk)[:50]
        rows = format_html_join(
            "",
            '<tr><td class="bridge-when">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>',
            (
                (_exact(d.sent_at or d.created_at), d.channel.name, d.kind, _delivered(d.status), d.error or "")
                for d in found
            ),
        )
        return _lines(rows) if rows else "nobody yet"

    @action(
        description="Snooze",
        icon="snooze",
        permissions=["handle"],
        dialog={
            "title": "No messages about this for a while?",
            "description": "Also when it is mended and breaks again meanwhile. The incident stays as it is.",
            "form_class": SnoozeForm,
            "form_submit_text": "Snooze",
        },
    )
    def snooze(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            now, hours = timezone.now(), form.cleaned_data["hours"]
            snooze_incident(
                scope=self.scope(request), incident_id=UUID(object_id), until=now + timedelta(hours=int(hours)), now=now,
                reason=form.cleaned_data["reason"],
            )  # fmt: skip
            return f"No messages about it for {HOURS[hours]}."

        return self.act(request, call)

    @action(
        description="Wake",
        icon="alarm_on",
        permissions=["handle"],
        dialog=confirmation("End the snooze?", "Messages that wait for it are looked at again.", "Wake"),
    )
    def wake(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            wake_incident(scope=self.scope(request), incident_id=UUID(object_id))
            return "It is no longer snoozed."

        return self.act(request, call)

    @action(
        description="Take on",
        icon="front_hand",
        permissions=["handle"],
        dialog=confirmation("Take this incident on?", "Others see that you look after it; it stays open.", "Take on"),
    )
    def acknowledge(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            acknowledge_incident(scope=self.scope(request), incident_id=UUID(object_id), now=timezone.now())
            return "You have taken it on."

        return self.act(request, call)

    @action(
        description="Resolve",
        icon="task_alt",
        permissions=["handle"],
        dialog={
            "title": "Resolve this incident?",
            "description": "What is still broken comes back as a new incident when it is looked at next.",
            "form_class": ResolveForm,
            "form_submit_text": "Resolve",
        },
    )
    def resolve(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            resolve_incident(
                scope=self.scope(request),
                incident_id=UUID(object_id),
                resolution=form.cleaned_data["resolution"],
                now=timezone.now(),
            )
            return "The incident is resolved."

        return self.act(request, call)


def _touched(row: IncidentBot) -> SafeString:
    address = reverse("admin:bots_bot_change", args=[row.bot_id])
    text = f"{row.bot.name} of {row.bot.client.account_identifier}"
    link = format_html('<a class="bridge-link" href="{}">{}</a>', address, text)
    return format_html("<s>{}</s>", link) if row.until_at else link


def _lines(rows: SafeString) -> SafeString:
    return format_html('<div class="bridge-scroll"><table class="bridge-table"><tbody>{}</tbody></table></div>', rows)


def _exact(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _delivered(status: str) -> SafeString:
    return badge(status, DELIVERY_COLORS[DeliveryStatus(status)])


def _table(rows: list[dict[str, Any]]) -> SafeString:
    given = {name for row in rows for name in row}  # the column of JSON has put them in an order of its own
    names = [*(name for name in NAMES if name in given), *sorted(given - set(NAMES))]
    head = format_html_join("", "<th>{}</th>", ((name,) for name in names))
    body = format_html_join(
        "", "<tr>{}</tr>", ((format_html_join("", "<td>{}</td>", ((_cell(row, n),) for n in names)),) for row in rows)
    )
    return format_html(
        '<div class="bridge-scroll"><table class="bridge-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        head,
        body,
    )


def _cell(row: dict[str, Any], name: str) -> SafeString | str:
    address = address_of(str(row.get("table")), str(row["id"])) if name == "id" and row.get("table") else ""
    text = _text(row.get(name, ""))
    return format_html('<a class="bridge-link" href="{}">{}</a>', address, text) if address else text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else NOTHING if value is None else exact_json(value)
