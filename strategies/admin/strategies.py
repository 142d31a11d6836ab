"""The page of strategies: starting, stopping, changing their config, and going back to an earlier one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from bots.models import BotDeployment
from bots.rules.words import DeploymentStatus
from bots.services.manage_bots import find_template
from clients.admin_base import NOTHING, BridgeAdmin, RefusableForm, ago, badge, line_difference
from clients.models import Client
from ground.errors import BridgeError
from ground.http import exact_json
from strategies.models import ActiveStrategy, StrategyVersion
from strategies.rules.configs import with_interval
from strategies.rules.words import StrategyStatus
from strategies.services.start_strategy import start_strategy
from strategies.services.stop_strategy import stop_strategies
from strategies.services.versions import change_strategy, roll_back_strategy

COLORS = {
    StrategyStatus.ACTIVE: "green", StrategyStatus.RESTORING: "blue", StrategyStatus.STOPPING: "blue",
    StrategyStatus.QUARANTINED: "orange",
}  # fmt: skip


SHOWN = 100  # characters of a reason in the list
VERSIONS_SAY = {
    "heading": "Versions of", "current": "wanted now", "nothing": "All as in the template.",
    "intro": "Every config it had, newest first, with what changed from the one before: + came, - went.",
    "going_back": "Its config becomes a new version; what runs is taken down and comes back with it.",
    "back_to": "Back to the strategy",
}  # fmt: skip


class StrategyForm(RefusableForm):
    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    account = forms.ModelChoiceField(
        queryset=Client.objects.filter(retired_at=None).order_by("account_identifier"), required=False, label="client",
        to_field_name="account_identifier", help_text="Empty: the desk's own.",
    )  # fmt: skip

    class Meta:
        model = ActiveStrategy
        fields = ("symbol_shown", "strategy_type", "interval", "exchange", "config")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields.pop("account", None)
            self.fields["seen_version"].initial = self.instance.version
        labels = {"symbol_shown": "symbol", "strategy_type": "mode"}
        is_new = self.instance._state.adding
        helps = {
            "symbol_shown": "BTCUSDT or BTC/USDT.",
            "strategy_type": "A template: scalp, bull, bear, range, spread, or one of your own. Empty: bear.",
            "interval": "Empty: 1m." if is_new else "Empty: as it is.",
            "exchange": "Empty: STRATEGY_DEFAULT_EXCHANGE.",
            "config": "JSON; what is left out comes from the template.",
        }
        if "config" in self.fields:
            self.fields["config"].prepare_value = _one_a_line  # type: ignore[method-assign]
        for name, text in helps.items():
            if name in self.fields:
                self.fields[name].help_text = text
                self.fields[name].label = labels.get(name, name)
        for name in ("strategy_type", "interval", "exchange"):
            if name in self.fields:
                self.fields[name].required = False


class StopForm(BaseDialogForm):
    reason = forms.CharField(
        max_length=300, required=False, widget=UnfoldAdminTextInputWidget, label="Why",
        help_text="Empty: user_stopped.",
    )  # fmt: skip


class RollBackForm(BaseDialogForm):
    number = forms.IntegerField(min_value=1, label="To version", widget=UnfoldAdminTextInputWidget)


@admin.register(ActiveStrategy)
class ActiveStrategyAdmin(BridgeAdmin):
    form = StrategyForm
    list_display = ("market", "mode_and_interval", "where", "state", "version", "since", "seen", "why")
    list_before_template = "admin/bridge/strategies_note.html"
    list_filter = ("status", "strategy_type", "exchange")
    list_select_related = ("client", "bot")
    search_fields = ("symbol", "symbol_shown", "strategy_type", "client__account_identifier", "bot__name")
    search_help_text = "symbol, mode, account or bot"
    actions_row = ("stop",)
    actions_detail = ("stop", "versions", "its_bot", "roll_back")
    ordering = ("started_at", "id")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [
                (None, {"fields": ("symbol_shown", ("strategy_type", "interval"), "exchange", "account", "config")})
            ]
        about = ("state", "message_shown", "market", "mode", "owner", "exchange_shown", "started", "seen")
        config = ("version_shown", "interval", "config", "whole", "seen_version")
        says = "Saving a change makes a new version; what runs is taken down and comes back with it."
        return [(None, {"fields": about}), ("Config", {"fields": config, "description": says})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        shown = ("state", "message_shown", "market", "mode", "owner", "exchange_shown", "started", "seen")
        return (*shown, "version_shown", "whole") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it is stopped, and its row goes to the history

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {**(extra_context or {}), "show_save_and_add_another": False}
        return super().changeform_view(request, object_id, form_url, context)

    def message_user(self, request: HttpRequest, message: Any, level: Any = messages.INFO, **more: Any) -> None:
        """After a save: which version it made, instead of that something was saved."""
        super().message_user(request, getattr(request, "bridge_says", message), level, **more)

    def save_model(self, request: HttpRequest, obj: ActiveStrategy, form: Any, change: bool) -> None:
        data, scope, now = form.cleaned_data, self.scope(request), timezone.now()
        if change:
            was = obj.version
            made = change_strategy(
                scope=scope, strategy_id=obj.id, config=data["config"], interval=data["interval"], now=now,
                expected_version=data["seen_version"] or was,
            )  # fmt: skip
            says = f"It has version {made} now; what ran with version {was} is being replaced."
            request.bridge_says = says if made != was else "Nothing was changed."  # type: ignore[attr-defined]
            return
        account = data["account"].account_identifier if data["account"] else ""
        started = start_strategy(
            scope=scope, symbol=data["symbol_shown"], mode=data["strategy_type"], interval=data["interval"],
            exchange=data["exchange"], account=account, config=data["config"], now=now, wait=False,
        )  # fmt: skip
        if not started.is_new:
            messages.warning(request, "Nothing was started, and nothing changed.")
        obj.id = started.strategy.id
        says = "is being started" if started.is_new else "runs already on this market"
        request.bridge_says = f"{started.strategy} {says}."  # type: ignore[attr-defined]

    @action(
        description="Stop",
        icon="stop",
        permissions=["change"],
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Stop this strategy?",
            "description": "Its bot is stopped, and the run goes to the history with its profit.",
            "form_class": StopForm,
            "form_submit_text": "Stop",
        },
    )
    def stop(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            row = ActiveStrategy.objects.get(id=object_id)
            stop_strategies(
                scope=self.scope(request), client_id=row.client_id, symbol=row.symbol, exchange=row.exchange,
                reason=form.cleaned_data["reason"], now=timezone.now(), wait=False,
            )  # fmt: skip
            return f"{row.symbol_shown} is being stopped; it goes to the history once its bot is at rest."

        return self.act(request, call, to=reverse("admin:strategies_activestrategy_changelist"))

    @action(
        description="Roll back",
        icon="undo",
        permissions=["change"],
        dialog={
            "title": "Go back to an earlier config?",
            "description": "It becomes a new version, and what runs is replaced by a deployment with it.",
            "form_class": RollBackForm,
            "form_submit_text": "Roll back",
        },
    )
    def roll_back(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(request, lambda: self._rolled_back(request, UUID(object_id), form.cleaned_data["number"]))

    @action(description="Versions", icon="history")
    def versions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Every config it had, newest first, each with what changed from the one before; and going back to one."""
        strategy = self.get_object(request, object_id)
        if strategy is None or not self.has_view_permission(request, strategy):
            return HttpResponseRedirect(reverse("admin:strategies_activestrategy_changelist"))
        if request.method == "POST":
            return self._go_back(request, strategy)
        context = self.admin_site.each_context(request) | {
            "title": "Versions", "opts": self.opts, "owner": strategy, "versions": shown_versions(strategy),
            "back": self.page(object_id), "may": self.has_change_permission(request, strategy), **VERSIONS_SAY,
        }  # fmt: skip
        return TemplateResponse(request, "admin/bridge/versions.html", context)

    def _go_back(self, request: HttpRequest, strategy: ActiveStrategy) -> HttpResponse:
        if not self.has_change_permission(request, strategy):
            raise PermissionDenied
        number = request.POST.get("number", "")
        try:
            messages.success(request, self._rolled_back(request, strategy.id, int(number) if number.isdecimal() else 0))
        except BridgeError as error:
            messages.error(request, error.message)
        return HttpResponseRedirect(self.page(strategy.id, "versions"))

    def _rolled_back(self, request: HttpRequest, strategy_id: UUID, number: int) -> str:
        made = roll_back_strategy(scope=self.scope(request), strategy_id=strategy_id, number=number, now=timezone.now())
        return f"Version {made} has the config of version {number}; what runs is being replaced."

    @action(description="Its bot", icon="smart_toy")
    def its_bot(self, request: HttpRequest, object_id: str) -> HttpResponse:
        strategy = self.get_object(request, object_id)
        if strategy is None:
            return HttpResponseRedirect(reverse("admin:strategies_activestrategy_changelist"))
        return HttpResponseRedirect(reverse("admin:bots_bot_change", args=[strategy.bot_id]))

    @display(description="symbol", ordering="symbol_shown")
    def market(self, row: ActiveStrategy) -> str:
        return row.symbol_shown

    @display(description="mode", ordering="strategy_type")
    def mode(self, row: ActiveStrategy) -> str:
        return row.strategy_type

    @display(description="mode", ordering="strategy_type")
    def mode_and_interval(self, row: ActiveStrategy) -> str:
        return f"{row.strategy_type}\u00a0{row.interval}"

    @display(description="whose", ordering="client__account_identifier")
    def where(self, row: ActiveStrategy) -> str:
        return f"{row.client.account_identifier} on {row.exchange}"

    @display(description="why")
    def why(self, row: ActiveStrategy) -> str:
        return Truncator(row.message).chars(SHOWN) or NOTHING

    @display(description="exchange")
    def exchange_shown(self, row: ActiveStrategy) -> str:
        return row.exchange

    @display(description="version")
    def version_shown(self, row: ActiveStrategy) -> str:
        return str(row.version)

    @display(description="with the template's values")
    def whole(self, row: ActiveStrategy) -> SafeString | str:
        """What is sent: the template's defaults under the strategy's own values, which stand out."""
        template = find_template(row.strategy_type)
        if template is None:
            return f"No template {row.strategy_type} is in use."
        own = with_interval(template, row.config, row.interval)
        values = sorted({**template.defaults, **own}.items())
        lines = ((_said(name, value), "" if name in own else " (template)") for name, value in values)
        return format_html("{}", format_html_join("", "<div>{}<span class='bridge-quiet'>{}</span></div>", lines))

    @display(description="client", ordering="client__account_identifier")
    def owner(self, row: ActiveStrategy) -> str:
        return row.client.account_identifier

    @display(description="status", ordering="status")
    def state(self, row: ActiveStrategy) -> SafeString:
        return badge(row.status, COLORS[StrategyStatus(row.status)], says=row.message)

    @display(description="started", ordering="started_at")
    def since(self, row: ActiveStrategy) -> SafeString | str:
        return ago(row.started_at)

    @display(description="started")
    def started(self, row: ActiveStrategy) -> SafeString:
        return format_html("{} by {}", ago(row.started_at), row.started_by)

    @display(description="last active", ordering="last_active")
    def seen(self, row: ActiveStrategy) -> SafeString | str:
        return ago(row.last_active)

    @display(description="why")
    def message_shown(self, row: ActiveStrategy) -> str:
        return row.message or NOTHING


def shown_versions(strategy: ActiveStrategy) -> list[dict[str, Any]]:
    """Its versions, newest first, with what changed in each and which one runs."""
    rows = list(StrategyVersion.objects.filter(bot_id=strategy.bot_id).order_by("number"))
    runs = _running_number(strategy, rows)
    return [
        {"row": row, "is_current": row.number == strategy.version, "runs": row.number == runs, "made": ago(row.made_at),
         "lines": difference(earlier, row)}
        for earlier, row in zip([None, *rows], rows, strict=False)
    ][::-1]  # fmt: skip


def _running_number(strategy: ActiveStrategy, rows: list[StrategyVersion]) -> int | None:
    """The newest version whose config is that of the living deployment; None when nothing lives, or something else."""
    live = (
        BotDeployment.objects.filter(bot_id=strategy.bot_id, status=DeploymentStatus.LIVE).order_by("-sequence").first()
    )
    template = find_template(strategy.strategy_type)
    if live is None or template is None:
        return None
    same = (row.number for row in rows if with_interval(template, row.config, row.interval) == live.config)
    return max(same, default=None)


def difference(before: StrategyVersion | None, after: StrategyVersion) -> list[tuple[str, str]]:
    """``(mark, line)`` of two configs: mark is "+", "-" or "" for what stayed."""
    return line_difference(_lines(before) if before else [], _lines(after))


def _lines(version: StrategyVersion) -> list[str]:
    config = {"interval": version.interval, **version.config} if version.interval else dict(version.config)
    return [_said(name, value) for name, value in sorted(config.items())]


def _said(name: str, value: Any) -> str:
    return f"{name}: {value if isinstance(value, str) else exact_json(value)}"


def _one_a_line(value: Any) -> Any:
    """JSON for people, a key a line; what could not be read as JSON stays as it was typed."""
    if not isinstance(value, dict) or not value:
        return value if isinstance(value, InvalidJSONInput) else exact_json(value)
    return "{\n" + ",\n".join(f"  {exact_json(name)}: {exact_json(item)}" for name, item in value.items()) + "\n}"
