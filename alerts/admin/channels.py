"""Channels and their rules: where messages go, which, and when. An address is typed once and never shown again."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from alerts.models import AlertChannel, AlertRule, AlertsSettings
from alerts.rules.words import ChannelKind, DeliveryStatus
from alerts.services.alert_rules import FIELDS, change_rule, create_rule, delete_rule
from alerts.services.channels import change_channel, create_channel, delete_channel, renew_signing_key
from alerts.services.test_channel import await_delivery, send_test
from clients.admin_base import (
    NOTHING,
    BridgeAdmin,
    RefusableForm,
    SecretInput,
    SettingsAdmin,
    ago,
    badge,
    confirmation,
)
from ground.errors import InvalidInput

WAIT_S = 20.0
ADDRESSES = {
    ChannelKind.APPRISE: "tgram://token/chat, slack://..., ntfy://topic: as apprise writes it",
    ChannelKind.WEBHOOK: "https://example.org/hook",
    ChannelKind.EMAIL: "one mail address, or several with commas",
}


class ChannelForm(RefusableForm):
    new_address = forms.CharField(required=False, max_length=2000, widget=SecretInput, label="Address")

    class Meta:
        model = AlertChannel
        fields = ("name", "kind", "client", "bot", "is_enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "new_address" not in self.fields:
            return  # somebody who may only look
        forms_of = "; ".join(f"{kind}: {form}" for kind, form in ADDRESSES.items())
        kept = "" if self.instance._state.adding else f"Now: {self.instance.address_hint}. Empty: it stays. "
        self.fields["new_address"].help_text = f"{kept}Kept encrypted, and never shown. {forms_of}."
        if "bot" in self.fields:
            self.fields["bot"].help_text = "Only about this bot. Empty: all of the client's."

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if self.instance._state.adding and not data.get("new_address"):
            self.add_error("new_address", "Say where its messages go.")
        return data


@admin.register(AlertChannel)
class AlertChannelAdmin(BridgeAdmin):
    form = ChannelForm
    list_display = ("name", "kind", "whose", "where", "rule_count", "in_use", "sent", "trouble")
    list_filter = ("kind", "is_enabled")
    list_select_related = ("client", "bot")
    search_fields = ("name", "client__account_identifier", "bot__name")
    search_help_text = "its name, an account or a bot"
    autocomplete_fields = ("client", "bot")
    actions_row = ("test",)
    actions_detail = ("test", "add_rule", "renew_key")
    readonly_fields = ("rules_shown",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertChannel]:
        return super().get_queryset(request).annotate(rules_n=Count("rules"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("rules_shown", "kind", "client", "bot") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fields: tuple[Any, ...] = ("name", ("kind", "is_enabled"), "new_address", ("client", "bot"))
        if not self.has_change_permission(request, obj):
            fields = tuple(field for field in fields if field != "new_address")
        return [(None, {"fields": fields}), *([("Rules", {"fields": ("rules_shown",)})] if obj else [])]

    def save_model(self, request: HttpRequest, obj: AlertChannel, form: Any, change: bool) -> None:
        data, scope = form.cleaned_data, self.scope(request)
        try:
            if change:
                changes = {name: data[name] for name in ("name", "is_enabled") if name in form.changed_data}
                if data["new_address"]:
                    changes["address"] = data["new_address"]
                change_channel(scope=scope, channel_id=obj.id, changes=changes)
                return
            made = create_channel(
                scope=scope, name=data["name"], kind=ChannelKind(data["kind"]), address=data["new_address"],
                client_id=data["client"] and data["client"].id, bot_id=data["bot"] and data["bot"].id,
                is_enabled=data["is_enabled"],
            )  # fmt: skip
        except InvalidInput as error:
            error.fields = {{"address": "new_address"}.get(k, k): v for k, v in (error.fields or {}).items()}
            raise
        obj.id, request.bridge_token = made.id, made.signing_key  # type: ignore[attr-defined]

    def delete_model(self, request: HttpRequest, obj: AlertChannel) -> None:
        delete_channel(scope=self.scope(request), channel_id=obj.id)

    def response_add(
        self, request: HttpRequest, obj: AlertChannel, post_url_continue: str | None = None
    ) -> HttpResponse:
        key = getattr(request, "bridge_token", None)
        return self._show_key(request, obj, key) if key else HttpResponseRedirect(self.page(obj.id))

    def _show_key(self, request: HttpRequest, channel: AlertChannel, key: str) -> HttpResponse:
        """The only page that ever shows it: the answer to the POST that made it. Cached nowhere."""
        context = self.admin_site.each_context(request) | {
            "title": "The webhook's signing key", "key": key, "opts": self.opts, "back": self.page(channel.id),
        }  # fmt: skip
        return TemplateResponse(
            request, "admin/bridge/signing_key.html", context, headers={"Cache-Control": "no-store"}
        )

    @action(
        description="Send a test",
        icon="send",
        permissions=["change"],
        variant=ActionVariant.PRIMARY,
        dialog=confirmation("Send a test message?", "It goes the way every message goes, also in quiet hours.", "Send"),
    )
    def test(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(request, lambda: self._test(request, UUID(object_id)))

    def _test(self, request: HttpRequest, channel_id: UUID) -> str:
        scope = self.scope(request)
        delivery = send_test(scope=scope, channel_id=channel_id, now=timezone.now())
        result = await_delivery(scope=scope, delivery_id=delivery, until_s=time.monotonic() + WAIT_S)
        if result.status != DeliveryStatus.SENT:
            raise InvalidInput(f"It was not sent: {result.error or result.status}")
        return "The channel took the test message."

    @action(description="Add a rule", icon="add", permissions=["change"])
    def add_rule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:alerts_alertrule_add')}?channel={object_id}")

    @action(description="New signing key", icon="key", permissions=["change"])
    def renew_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks on GET, makes the key on POST, and shows it once in the answer."""
        channel = self.get_object(request, object_id)
        if channel is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method == "POST":
            return self._show_key(request, channel, renew_signing_key(scope=self.scope(request), channel_id=channel.id))
        says = "Messages are signed with the new one at once; the receiver must know it. Only webhooks are signed."
        return self.confirm(request, [channel], action="", title="Make a new signing key?", says=says)

    @display(description="whose", ordering="client__account_identifier")
    def whose(self, channel: AlertChannel) -> str:
        if channel.client is None:
            return "operators"
        account = channel.client.account_identifier
        return f"{channel.bot.name} of {account}" if channel.bot else account

    @display(description="address")
    def where(self, channel: AlertChannel) -> str:
        return channel.address_hint

    @display(description="rules", ordering="rules_n")
    def rule_count(self, channel: Any) -> SafeString | int:
        return int(channel.rules_n) or badge("none", "yellow", says="Without a rule it gets nothing.")

    @display(description="in use", ordering="is_enabled", boolean=True)
    def in_use(self, channel: AlertChannel) -> bool:
        return channel.is_enabled

    @display(description="last sent", ordering="last_sent_at")
    def sent(self, channel: AlertChannel) -> SafeString | str:
        return ago(channel.last_sent_at)

    @display(description="last trouble", ordering="last_error_at")
    def trouble(self, channel: AlertChannel) -> SafeString | str:
        if not channel.last_error_at:
            return NOTHING
        is_over = channel.last_sent_at and channel.last_sent_at > channel.last_error_at
        return badge("over" if is_over else "fails", "grey" if is_over else "red", says=channel.last_error)

    @display(description="rules")
    def rules_shown(self, channel: AlertChannel) -> SafeString | str:
        rows = (
            (reverse("admin:alerts_alertrule_change", args=[rule.pk]), rule.name, in_words(rule))
            for rule in channel.rules.all()
        )
        items = format_html_join("", '<li><a class="bridge-link" href="{}">{}</a>: {}</li>', rows)
        return format_html('<ul class="bridge-list">{}</ul>', items) if items else "None: this channel gets nothing."


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class RuleForm(RefusableForm):
    kinds = forms.CharField(
        required=False, max_length=2000, widget=UnfoldAdminTextInputWidget,
        help_text="Kinds of incident, with commas: bot_health, exchange_down, key_rejected. Empty: all.",
    )  # fmt: skip
    quiet_days = forms.TypedMultipleChoiceField(
        required=False, coerce=int, choices=list(enumerate(DAYS, start=1)), widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None: every day.",
    )  # fmt: skip

    class Meta:
        model = AlertRule
        fields = ("channel", *FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kinds" in self.initial:
            self.initial["kinds"] = ", ".join(self.initial["kinds"] or [])

    def clean_kinds(self) -> list[str]:
        return [kind.strip() for kind in self.cleaned_data["kinds"].split(",") if kind.strip()]


@admin.register(AlertRule)
class AlertRuleAdmin(BridgeAdmin):
    form = RuleForm
    list_display = ("name", "channel", "says", "in_use")
    list_select_related = ("channel",)
    search_fields = ("name", "channel__name")
    autocomplete_fields = ("channel",)
    fieldsets = (
        (None, {"fields": ("channel", ("name", "is_enabled"))}),
        ("Which", {"fields": ("min_severity", "kinds")}),
        ("When", {"fields": (("after_minutes", "repeat_minutes"), "sends_recovery")}),
        ("Quiet hours", {"fields": (("quiet_from", "quiet_until"), "quiet_timezone", "quiet_days",
                                    "critical_breaks_quiet")}),
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("channel",) if obj else ()

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        data = form.cleaned_data
        given = {name: data[name] for name in FIELDS if name in data}
        if change:
            change_rule(scope=self.scope(request), rule_id=obj.id, changes=given)
        else:
            obj.id = create_rule(scope=self.scope(request), channel_id=data["channel"].id, **given)

    def delete_model(self, request: HttpRequest, obj: AlertRule) -> None:
        delete_rule(scope=self.scope(request), rule_id=obj.id)

    @display(description="says")
    def says(self, rule: AlertRule) -> str:
        return in_words(rule)

    @display(description="in use", ordering="is_enabled", boolean=True)
    def in_use(self, rule: AlertRule) -> bool:
        return rule.is_enabled


def in_words(rule: AlertRule) -> str:
    """A rule as one sentence."""
    parts = [f"{rule.min_severity} and worse" if rule.min_severity != "critical" else "critical only"]
    if rule.kinds:
        parts.append("of " + ", ".join(str(kind).replace("_", " ") for kind in rule.kinds))
    parts.append(f"still open after {rule.after_minutes} min" if rule.after_minutes else "at once")
    if rule.repeat_minutes:
        parts.append(f"again every {rule.repeat_minutes} min")
    if rule.quiet_from and rule.quiet_until:
        days = f" on {', '.join(DAYS[day - 1] for day in rule.quiet_days)}" if rule.quiet_days else ""
        parts.append(f"quiet {rule.quiet_from:%H:%M} to {rule.quiet_until:%H:%M} {rule.quiet_timezone}{days}")
    return ", ".join(parts)


@admin.register(AlertsSettings)
class AlertsSettingsAdmin(SettingsAdmin):
    pass
