"""Every message, on every channel."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from alerts.models import AlertDelivery, AlertsState
from alerts.rules.words import DeliveryStatus
from alerts.services.send_deliveries import send_again
from clients.admin_base import NOTHING, FactsAdmin, ago, badge, confirmation

DELIVERY_COLORS = {
    DeliveryStatus.WAITING: "blue", DeliveryStatus.SENDING: "blue", DeliveryStatus.SENT: "green",
    DeliveryStatus.FAILED: "red", DeliveryStatus.SKIPPED: "grey",
}  # fmt: skip


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(FactsAdmin):
    list_display = ("when", "state", "channel", "kind", "title", "attempts", "sent", "error")
    list_display_links = ("when",)
    list_filter = ("status", "kind", "channel")
    list_select_related = ("channel", "incident")
    search_fields = ("title", "channel__name")
    search_help_text = "words of the title, or a channel's name"
    ordering = ("-created_at", "-id")
    actions_row = ("send_again",)
    actions_detail = ("send_again",)
    fields = (
        "channel", "kind", "number", "state", "title", "text", "about", "rule", "due_at", "attempts", "error",
        "may_be_double", "created_at", "sent_at", "id",
    )  # fmt: skip

    def has_handle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("alerts.change_alertdelivery"))

    @action(
        description="Send again",
        icon="redo",
        permissions=["handle"],
        dialog=confirmation("Send this message again?", "Only what was given up can be sent again.", "Send again"),
    )
    def send_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            send_again(scope=self.scope(request), delivery_id=UUID(object_id), now=timezone.now())
            return "It is on its way again."

        return self.act(request, call)

    @display(description="made (UTC)", ordering="created_at")
    def when(self, row: AlertDelivery) -> str:
        return f"{row.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description="state", ordering="status")
    def state(self, row: AlertDelivery) -> SafeString:
        says = row.error or ("perhaps sent twice: a worker died while sending it" if row.may_be_double else "")
        return badge(row.status, DELIVERY_COLORS[DeliveryStatus(row.status)], says=says)

    @display(description="sent", ordering="sent_at")
    def sent(self, row: AlertDelivery) -> SafeString | str:
        return ago(row.sent_at) if row.sent_at else NOTHING

    @display(description="message")
    def text(self, row: AlertDelivery) -> SafeString:
        return format_html("<pre>{}</pre>", row.body)

    @display(description="incident")
    def about(self, row: AlertDelivery) -> Any:
        from alerts.admin.incidents import incident_link

        return incident_link(row.incident) if row.incident else NOTHING


@admin.register(AlertsState)
class AlertsStateAdmin(FactsAdmin):
    list_display = ("__str__", "booted", "held", "awaits_cycle")

    @display(description="started")
    def booted(self, row: AlertsState) -> SafeString | str:
        return ago(row.booted_at)

    @display(description="no message before")
    def held(self, row: AlertsState) -> SafeString | str:
        return ago(row.held_until)
