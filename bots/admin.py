"""Admin pages of bots, templates, deployments and Hummingbot. ``BotAdmin`` is registered by bridge_project, which adds
what stands above: health, deleting, the timeline."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import CharField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from bots import admin_lost as admin_lost  # noqa: PLC0414 - registers the wizard's pages
from bots.admin_drift import BotDriftAdmin as BotDriftAdmin  # noqa: PLC0414 - registers the page of drift
from bots.admin_forms import BotForm, CloneForm, TemplateForm
from bots.admin_recovery import BotRecoveryAdmin as BotRecoveryAdmin  # noqa: PLC0414 - registers its page
from bots.models import Bot, BotDeployment, BotRuntime, BotsSettings, BotTemplate, HummingbotCredential, HummingbotState
from bots.rules.words import BotStatus, DeploymentStatus, RuntimeStatus
from bots.selectors import JOINS, SILENT_POLLS, STATUS
from bots.services.manage_bots import clone_bot, create_bot, update_bot
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from clients.admin import show_token
from clients.admin_base import BridgeAdmin, FactsAdmin, RefusableForm, SettingsAdmin, ago, badge, confirmation
from clients.rules.words import KeyKind, KeyScope
from clients.services.keys import create_api_key
from ground.errors import BridgeError

STATUS_COLORS = {
    BotStatus.CREATED: "grey", BotStatus.STARTING: "blue", BotStatus.STOPPING: "blue", BotStatus.RUNNING: "green",
    BotStatus.STOPPED: "red", BotStatus.ERROR: "orange", BotStatus.UNKNOWN: "grey",
}  # fmt: skip
RUNTIME_COLORS = {
    RuntimeStatus.RUNNING: "green", RuntimeStatus.STARTING: "blue", RuntimeStatus.IDLE: "yellow",
    RuntimeStatus.FAILED: "orange", RuntimeStatus.UNKNOWN: "grey",
}  # fmt: skip
DEPLOYMENT_COLORS = {
    DeploymentStatus.LIVE: "green", DeploymentStatus.FAILED: "orange", DeploymentStatus.UNKNOWN_OUTCOME: "yellow",
    DeploymentStatus.ENDED: "grey", DeploymentStatus.RETIRING: "grey",
}  # fmt: skip
_STATUS_OF_ROW = f"(SELECT {STATUS} FROM bots b {JOINS} WHERE b.id = bots.id)"  # noqa: S608 - made of constants


def with_status(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """The rows with ``derived_status``, the word that dashboards show."""
    sql = _STATUS_OF_ROW % {"silent_polls": SILENT_POLLS, "poll_s": int(settings.HUMMINGBOT_POLL_SECONDS)}
    return bots.annotate(derived_status=RawSQL(sql, [], output_field=CharField()))  # noqa: S611 - made of constants


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in BotStatus]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Bot]) -> QuerySet[Bot]:
        return queryset.filter(derived_status=self.value()) if self.value() else queryset


class BotAdmin(BridgeAdmin):
    form = BotForm
    list_display = ("name", "owner", "pair", "connector_name", "strategy", "runs_in", "status_badge")
    list_filter = (StatusFilter, "runtime_kind")
    list_select_related = ("client",)
    search_fields = ("name", "pair", "connector_name", "strategy", "client__account_identifier", "client__name")
    search_help_text = "name, pair, exchange, strategy or account"
    autocomplete_fields = ("client",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "client",
                    "name",
                    ("connector_name", "pair"),
                    "connector",
                    "strategy",
                    "config",
                    "runtime_kind",
                )
            },
        ),
        ("Thresholds of this bot", {"fields": (("stale_minutes", "stopped_minutes"),)}),
    )
    actions = ("start_selected", "stop_selected")
    actions_row = ("start", "stop", "clone")
    actions_detail = ("start", "stop", "clone", "make_ping_key")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bot]:
        return with_status(super().get_queryset(request).filter(retired_at=None))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("client",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Bot, form: Any, change: bool) -> None:
        data = form.cleaned_data
        given = {
            name: data[name] for name in ("name", "pair", "strategy", "config", "stale_minutes", "stopped_minutes")
        }
        if change:
            changes = {name: data[name] for name in form.changed_data if name in (*given, "runtime_kind")}
            if {"connector", "connector_name"} & set(form.changed_data):
                changes |= {
                    "connector": data["connector_name"],
                    "connector_id": data["connector"] and data["connector"].id,
                }
            update_bot(scope=self.scope(request), bot_id=obj.id, changes=changes)
        else:
            obj.id = create_bot(
                scope=self.scope(request),
                account=data["client"].account_identifier,
                connector=data["connector_name"],
                connector_id=data["connector"].id if data["connector"] else None,
                runtime_kind=data["runtime_kind"],
                **given,
            )

    @action(
        description="Start",
        icon="play_arrow",
        permissions=["change"],
        variant=ActionVariant.SUCCESS,
        dialog=confirmation(
            "Start this bot?",
            "It will be wanted running. A Hummingbot bot is deployed; for an external bot only the wish is recorded.",
            "Start",
        ),
    )
    def start(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(
            request,
            lambda: self._tell(start_bot(scope=self.scope(request), bot_id=UUID(object_id), now=timezone.now())),
        )

    @action(
        description="Stop",
        icon="stop",
        permissions=["change"],
        variant=ActionVariant.DANGER,
        dialog=confirmation("Stop this bot?", "It will be wanted stopped.", "Stop"),
    )
    def stop(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(
            request, lambda: self._tell(stop_bot(scope=self.scope(request), bot_id=UUID(object_id), now=timezone.now()))
        )

    @action(
        description="Clone",
        icon="content_copy",
        permissions=["add"],
        dialog={
            "title": "Clone this bot",
            "description": "The same definition under another name; the clone is not started.",
            "form_class": CloneForm,
            "form_submit_text": "Clone",
        },
    )
    def clone(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        try:
            made = clone_bot(scope=self.scope(request), bot_id=UUID(object_id), name=form.cleaned_data["name"].strip())
        except BridgeError as error:
            messages.error(request, error.message)
            return HttpResponse(headers={"HX-Redirect": self.page(object_id)})
        messages.success(request, "Cloned. This is the clone; change what differs, then start it.")
        return HttpResponse(headers={"HX-Redirect": self.page(made)})

    @action(description="New ping key", icon="key", permissions=["change"])
    def make_ping_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks on GET, makes the key on POST, and shows it once in the answer."""
        bot = self.get_object(request, object_id)
        if bot is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method != "POST":
            return self.confirm(
                request,
                [bot],
                action="",
                title="Make a ping key?",
                says="With it this bot can send heartbeats, and nothing else. The key is shown once.",
            )
        token = create_api_key(
            scope=self.scope(request),
            kind=KeyKind.BOT,
            key_scope=KeyScope.PING,
            name=f"heartbeats of {bot.name}"[:100],
            client_id=bot.client_id,
            bot_id=bot.id,
        )
        return show_token(self, request, token, opts=self.opts)

    @admin.action(description="Start", permissions=["change"])
    def start_selected(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        if not request.POST.get("confirmed"):
            return self.confirm(
                request,
                queryset,
                action="start_selected",
                title="Start these bots?",
                says="Each will be wanted running.",
            )
        now, scope = timezone.now(), self.scope(request)
        self.act_on_all(
            request,
            list(queryset),
            lambda bot: start_bot(scope=scope, bot_id=bot.id, now=now, wait=False),
            done="told to start",
        )
        return None

    @admin.action(description="Stop", permissions=["change"])
    def stop_selected(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        if not request.POST.get("confirmed"):
            return self.confirm(
                request, queryset, action="stop_selected", title="Stop these bots?", says="Each will be wanted stopped."
            )
        now, scope = timezone.now(), self.scope(request)
        self.act_on_all(
            request,
            list(queryset),
            lambda bot: stop_bot(scope=scope, bot_id=bot.id, now=now, wait=False),
            done="told to stop",
        )
        return None

    @staticmethod
    def _tell(word: str) -> str:
        going_on = "; the workers go on and the page shows it once it is confirmed" if word.endswith("ing") else ""
        return f"The bot is {word.replace('_', ' ')}{going_on if word in ('starting', 'stopping') else ''}."

    @display(description="client", ordering="client__account_identifier")
    def owner(self, bot: Bot) -> str:
        return bot.client.account_identifier

    @display(description="runs in", ordering="runtime_kind")
    def runs_in(self, bot: Bot) -> str:
        return bot.runtime_kind

    @display(description="status")
    def status_badge(self, bot: Any) -> SafeString:
        return bot_badge(bot)


def bot_badge(bot: Any) -> SafeString:
    """The derived status of a row of ``with_status``."""
    return badge(bot.derived_status, STATUS_COLORS[BotStatus(bot.derived_status)])


@admin.register(BotTemplate)
class BotTemplateAdmin(BridgeAdmin):
    form = TemplateForm
    list_display = ("name", "description", "kind", "controller_name", "is_enabled", "is_shipped")
    search_fields = ("name", "description", "controller_name")
    fieldsets = (
        (None, {"fields": ("name", "description", "is_enabled")}),
        ("Hummingbot", {"fields": ("kind", "controller_type", "controller_name", "mapping")}),
        ("A bot's config", {"fields": ("schema", "defaults")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A template that comes with the product is brought up to date at every start; it can only be switched off."""
        kept = ("name", "description", "kind", "controller_type", "controller_name", "mapping", "schema", "defaults")
        return kept if obj and obj.is_shipped else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.is_shipped)

    def save_model(self, request: HttpRequest, obj: BotTemplate, form: Any, change: bool) -> None:
        with self.scope(request).transaction(reason="template changed" if change else "template made"):
            obj.save()

    def delete_model(self, request: HttpRequest, obj: BotTemplate) -> None:
        with self.scope(request).transaction(reason="template deleted"):
            obj.delete()


@admin.register(BotDeployment)
class BotDeploymentAdmin(FactsAdmin):
    list_display = ("bot", "state", "asked", "confirmed", "ended", "requested_by", "message", "__str__")
    list_filter = ("status", "was_adopted")
    list_select_related = ("bot",)
    search_fields = ("instance_name", "requested_name", "bot__name")
    ordering = ("-created_at",)

    @display(description="status", ordering="status")
    def state(self, deployment: BotDeployment) -> SafeString:
        color = DEPLOYMENT_COLORS.get(DeploymentStatus(deployment.status), "blue")
        return badge(deployment.status.replace("_", " "), color, says="adopted" if deployment.was_adopted else "")

    @display(description="asked for", ordering="created_at")
    def asked(self, deployment: BotDeployment) -> SafeString | str:
        return ago(deployment.created_at)

    @display(description="confirmed", ordering="confirmed_at")
    def confirmed(self, deployment: BotDeployment) -> SafeString | str:
        return ago(deployment.confirmed_at)

    @display(description="ended", ordering="ended_at")
    def ended(self, deployment: BotDeployment) -> SafeString | str:
        return ago(deployment.ended_at)


@admin.register(BotRuntime)
class BotRuntimeAdmin(FactsAdmin):
    list_display = ("bot", "state", "instance_name", "seen", "since", "misses", "explanation")
    list_filter = ("status",)
    list_select_related = ("bot",)
    search_fields = ("bot__name", "instance_name")
    ordering = ("-changed_at",)

    @display(description="observed", ordering="status")
    def state(self, runtime: BotRuntime) -> SafeString:
        return badge(runtime.status, RUNTIME_COLORS.get(RuntimeStatus(runtime.status), "red"), says=runtime.explanation)

    @display(description="last seen so", ordering="observed_at")
    def seen(self, runtime: BotRuntime) -> SafeString | str:
        return ago(runtime.observed_at)

    @display(description="since", ordering="changed_at")
    def since(self, runtime: BotRuntime) -> SafeString | str:
        return ago(runtime.changed_at)


@admin.register(HummingbotState)
class HummingbotStateAdmin(FactsAdmin):
    list_display = ("__str__", "state", "last_answer", "latency_ms", "version", "failures", "error")

    @display(description="state")
    def state(self, row: HummingbotState) -> SafeString:
        if not settings.HUMMINGBOT_API_URL:
            return badge("not configured", "grey", says="Set HUMMINGBOT_API_URL to connect one.")
        return badge("away", "red", says=row.error) if row.failures or not row.last_ok_at else badge("answers", "green")

    @display(description="last readable answer", ordering="last_ok_at")
    def last_answer(self, row: HummingbotState) -> SafeString | str:
        return ago(row.last_ok_at)


@admin.register(HummingbotCredential)
class HummingbotCredentialAdmin(FactsAdmin):
    list_display = ("connector", "account_name", "state", "synced", "message")
    list_select_related = ("connector",)
    search_fields = ("account_name", "connector__name")

    @display(description="state")
    def state(self, row: HummingbotCredential) -> SafeString:
        version = row.connector.credentials_version
        if row.refused_version == version:
            return badge("refused", "orange", says=row.message)
        return badge("stored there", "green") if row.synced_version == version else badge("to be sent", "blue")

    @display(description="sent", ordering="synced_at")
    def synced(self, row: HummingbotCredential) -> SafeString | str:
        return ago(row.synced_at)


class BotsSettingsForm(RefusableForm):
    class Meta:
        model = BotsSettings
        fields = ("hummingbot_poll_seconds",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.help_text = (
                f"How often Hummingbot is asked what runs. Empty: {settings.HUMMINGBOT_POLL_SECONDS} s, as "
                "HUMMINGBOT_POLL_SECONDS says."
            )


@admin.register(BotsSettings)
class BotsSettingsAdmin(SettingsAdmin):
    form = BotsSettingsForm
