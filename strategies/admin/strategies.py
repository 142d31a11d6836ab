"""The page of strategies: starting, stopping, changing their config, and going back to an earlier one."""

from __future__ import annotations

import difflib
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from clients.admin_base import NOTHING, BridgeAdmin, RefusableForm, ago, badge
from clients.models import Client
from ground.http import exact_json
from strategies.models import ActiveStrategy, StrategyVersion
from strategies.rules.words import StrategyStatus
from strategies.services.start_strategy import start_strategy
from strategies.services.stop_strategy import stop_strategies
from strategies.services.versions import change_strategy, roll_back_strategy

COLORS = {
    StrategyStatus.ACTIVE: "green", StrategyStatus.RESTORING: "blue", StrategyStatus.STOPPING: "blue",
    StrategyStatus.QUARANTINED: "orange",
}  # fmt: skip


class StrategyForm(RefusableForm):
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
        labels = {"symbol_shown": "symbol", "strategy_type": "mode"}
        helps = {
            "symbol_shown": "BTCUSDT or BTC/USDT.",
            "strategy_type": "A template: scalp, bull, bear, range, spread, or one of your own. Empty: bear.",
            "interval": "Empty: 1m.",
            "exchange": "Empty: STRATEGY_DEFAULT_EXCHANGE.",
            "config": "JSON; what is left out comes from the template.",
        }
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
    list_display = (
        "symbol_shown",
        "strategy_type",
        "owner",
        "exchange",
        "interval",
        "state",
        "version",
        "since",
        "seen",
    )
    list_filter = ("status", "strategy_type", "exchange")
    list_select_related = ("client", "bot")
    search_fields = ("symbol", "symbol_shown", "strategy_type", "client__account_identifier", "bot__name")
    search_help_text = "symbol, mode, account or bot"
    actions_row = ("stop",)
    actions_detail = ("stop", "versions", "its_bot", "roll_back")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [
                (None, {"fields": ("symbol_shown", ("strategy_type", "interval"), "exchange", "account", "config")})
            ]
        about = ("state", "symbol_shown", "strategy_type", "owner", "exchange", "started", "seen", "message_shown")
        return [(None, {"fields": about}), ("Config", {"fields": ("version", "interval", "config")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        shown = ("state", "symbol_shown", "strategy_type", "owner", "exchange", "started", "seen", "message_shown")
        return (*shown, "version") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it is stopped, and its row goes to the history

    def save_model(self, request: HttpRequest, obj: ActiveStrategy, form: Any, change: bool) -> None:
        data, scope, now = form.cleaned_data, self.scope(request), timezone.now()
        if change:
            change_strategy(
                scope=scope, strategy_id=obj.id, config=data["config"], interval=data["interval"], now=now,
                expected_version=form.initial.get("version", obj.version),
            )  # fmt: skip
            return
        account = data["account"].account_identifier if data["account"] else ""
        started = start_strategy(
            scope=scope, symbol=data["symbol_shown"], mode=data["strategy_type"], interval=data["interval"],
            exchange=data["exchange"], account=account, config=data["config"], now=now, wait=False,
        )  # fmt: skip
        if not started.is_new:
            messages.warning(request, f"A strategy is running already for {started.strategy.symbol_shown}.")
        obj.id = started.strategy.id

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
        def call() -> str:
            number = form.cleaned_data["number"]
            made = roll_back_strategy(
                scope=self.scope(request), strategy_id=UUID(object_id), number=number, now=timezone.now()
            )
            return f"Version {made} has the config of version {number}."

        return self.act(request, call)

    @action(description="Versions", icon="history")
    def versions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Every config it had, newest first, each with what changed from the one before."""
        strategy = self.get_object(request, object_id)
        if strategy is None or not self.has_view_permission(request, strategy):
            return HttpResponseRedirect(reverse("admin:strategies_activestrategy_changelist"))
        rows = list(StrategyVersion.objects.filter(bot_id=strategy.bot_id).order_by("number"))
        before = [None, *rows]
        shown = [
            {"row": row, "is_current": row.number == strategy.version, "made": ago(row.made_at),
             "lines": difference(earlier, row)}
            for earlier, row in zip(before, rows, strict=False)
        ]  # fmt: skip
        context = self.admin_site.each_context(request) | {
            "title": "Versions", "opts": self.opts, "strategy": strategy, "versions": shown[::-1],
            "back": self.page(object_id),
        }  # fmt: skip
        return TemplateResponse(request, "admin/bridge/versions.html", context)

    @action(description="Its bot", icon="smart_toy")
    def its_bot(self, request: HttpRequest, object_id: str) -> HttpResponse:
        strategy = self.get_object(request, object_id)
        if strategy is None:
            return HttpResponseRedirect(reverse("admin:strategies_activestrategy_changelist"))
        return HttpResponseRedirect(reverse("admin:bots_bot_change", args=[strategy.bot_id]))

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


def difference(before: StrategyVersion | None, after: StrategyVersion) -> list[tuple[str, str]]:
    """``(mark, line)`` of two configs: mark is "+", "-" or "" for what stayed."""
    old = _lines(before) if before else []
    found = difflib.ndiff(old, _lines(after))
    return [(line[0].strip(), line[2:]) for line in found if not line.startswith("?")]


def _lines(version: StrategyVersion) -> list[str]:
    config = {"interval": version.interval, **version.config} if version.interval else dict(version.config)
    return [
        f"{name}: {value if isinstance(value, str) else exact_json(value)}" for name, value in sorted(config.items())
    ]
