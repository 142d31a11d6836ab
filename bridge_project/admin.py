"""The admin site as a whole: the pages that need several apps, operators' accounts, and what belongs to no page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, BaseDialogForm, UserChangeForm, UserCreationForm

from bots.admin import DEPLOYMENT_COLORS, RUNTIME_COLORS, BotAdmin, bot_badge
from bots.models import Bot
from bots.rules.words import DeploymentStatus, RuntimeStatus
from bots.services.find_connector import link_connectors
from bridge_project.admin_export import add_csv_downloads
from bridge_project.use_cases.delete import DELETED, delete_bot_or_stop_first, delete_client
from bridge_project.use_cases.timeline import bot_timeline
from clients.admin import ClientAdmin, ConnectorAdmin
from clients.admin_base import ago, badge, confirmation, count_of
from clients.authentication import operator_scope
from clients.models import Client, Connector
from ground.errors import BridgeError
from ground.keyset import Page
from health.admin import HealthFilter, HealthOfBots, health_badge
from health.rules.words import span
from health.selectors import bot_health
from ledger.admin.accounts import AllocatesCapital
from ledger.admin.bot_section import ledger_of

FORCE = confirmation(
    "Stop what runs, then delete?",
    "It is told to stop, and deleted once that is confirmed. Records and audit stay.",
    "Stop and delete",
)


class WholeClientAdmin(ClientAdmin):
    """Clients, with their bots."""

    list_display = (*ClientAdmin.list_display[:-1], "bot_count", "made")
    actions_detail = ("new_bot", "bots", "force_delete")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        return super().get_queryset(request).annotate(bots_n=count_of(Bot.objects.filter(retired_at=None)))

    def connectors_changed(self, request: HttpRequest) -> None:
        link_connectors(scope=self.scope(request))

    def delete_model(self, request: HttpRequest, obj: Client) -> None:
        delete_client(scope=self.scope(request), client_id=obj.id, force=False, now=timezone.now())

    @action(description="Stop and delete", icon="delete_forever", permissions=["delete"], dialog=FORCE)
    def force_delete(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            word = delete_client(scope=self.scope(request), client_id=UUID(object_id), force=True, now=timezone.now())
            return "Deleted." if word == DELETED else "Its bots are being stopped; it is gone once they are."

        return self.act(request, call, to=reverse("admin:clients_client_changelist"))

    @action(description="New bot", icon="add", permissions=["change"])
    def new_bot(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:bots_bot_add')}?client={object_id}")

    @action(description="Its bots", icon="smart_toy")
    def bots(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = Client.objects.filter(id=object_id).values_list("account_identifier", flat=True).first()
        return HttpResponseRedirect(f"{reverse('admin:bots_bot_changelist')}?q={account or ''}")

    @display(description="bots", ordering="bots_n")
    def bot_count(self, client: Any) -> int:
        return int(client.bots_n)


class WholeConnectorAdmin(ConnectorAdmin):
    def connectors_changed(self, request: HttpRequest) -> None:
        link_connectors(scope=self.scope(request))


class WholeBotAdmin(HealthOfBots, AllocatesCapital, BotAdmin):
    """Bots, with their health, their ledger, and deleting."""

    list_display = ("name", "owner", "pair", "connector_name", "runs_in", "status_badge", "health_badge", "last_trade")
    list_fullwidth = True
    list_filter = (*BotAdmin.list_filter[:1], HealthFilter, *BotAdmin.list_filter[1:])
    list_select_related = ("client", "health")
    actions = ("check_selected", *BotAdmin.actions)
    actions_row = ("check_now", *BotAdmin.actions_row)
    actions_detail = (
        "start",
        "stop",
        "check_now",
        "health_page",
        "timeline",
        {"title": "More", "items": ["allocate", "clone", "make_ping_key", "force_delete"]},
    )
    change_form_outer_before_template = "admin/bridge/bot_panel.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        bot = self.get_object(request, object_id)
        panel = {"panel": self._panel(request, bot), "show_history": False} if bot else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **panel})

    @staticmethod
    def _panel(request: HttpRequest, bot: Bot) -> dict[str, Any]:
        """What anybody sees who may see bots; of the ledger, who may see trades."""
        ledger = ledger_of(bot) if request.user.has_perm("ledger.view_trade") else None
        limits = bot_health(operator_scope(request), bot.pk, now=timezone.now())["thresholds"]
        return {**panel_of(bot, limits), "ledger": ledger}

    def delete_model(self, request: HttpRequest, obj: Bot) -> None:
        delete_bot_or_stop_first(scope=self.scope(request), bot_id=obj.id, force=False, now=timezone.now())

    @action(description="Stop and delete", icon="delete_forever", permissions=["delete"], dialog=FORCE)
    def force_delete(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            word = delete_bot_or_stop_first(
                scope=self.scope(request), bot_id=UUID(object_id), force=True, now=timezone.now()
            )
            return "Deleted." if word == DELETED else "It is being stopped, and gone once it is."

        return self.act(request, call, to=reverse("admin:bots_bot_changelist"))

    @action(description="Timeline", icon="history")
    def timeline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Everything that happened to a bot, newest first, a hundred at a time."""
        bot = self.get_object(request, object_id)
        if bot is None or not self.has_view_permission(request, bot):
            return HttpResponseRedirect(reverse("admin:bots_bot_changelist"))
        try:
            page = Page.read({"limit": "100", **request.GET.dict()}, key_length=2)
            found = bot_timeline(scope=self.scope(request), bot_id=bot.id, page=page)
        except BridgeError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(self.page(object_id))
        context = self.admin_site.each_context(request) | {
            "title": "Timeline",
            "opts": self.opts,
            "bot": bot,
            "events": json.loads(found["rows"]),
            "next": found["next"],
            "back": self.page(object_id),
        }
        return TemplateResponse(request, "admin/bridge/timeline.html", context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(self.page(object_id, "timeline"))


def panel_of(bot: Any, limits: dict[str, Any]) -> dict[str, Any]:
    """What stands above a bot's form: what is wanted, said and observed, and the verdict with its evidence."""
    health, runtime = getattr(bot, "health", None), getattr(bot, "runtime", None)
    deployment = bot.deployments.order_by("-sequence").first()
    return {
        "bot": bot,
        "health": health,
        "health_badge": health_badge(health.status if health else None),
        "status": bot_badge(bot),
        "wanted_at": ago(bot.desired_at),
        "said_at": ago(bot.reported_at),
        "runtime": runtime,
        "runtime_badge": runtime and badge(runtime.status, RUNTIME_COLORS.get(RuntimeStatus(runtime.status), "red")),
        "observed_at": ago(runtime.observed_at if runtime else None),
        "deployment": deployment,
        "deployment_badge": deployment
        and badge(
            deployment.status.replace("_", " "), DEPLOYMENT_COLORS.get(DeploymentStatus(deployment.status), "blue")
        ),
        "last_trade": ago(health.last_trade_at if health else None),
        "last_heartbeat": ago(health.last_heartbeat_at if health else None),
        "checked": ago(health.checked_at if health else None),
        "evidence": health.evidence if health else [],
        "stale": span(timedelta(minutes=limits["stale_minutes"])),
        "stopped": span(timedelta(minutes=limits["stopped_minutes"])),
        "limits_why": limits["why"],
    }


class OperatorAdmin(DjangoUserAdmin, ModelAdmin):
    """The people who sign in here."""

    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        (
            "May",
            {
                "fields": ("is_active", "is_staff", "is_superuser", "user_permissions"),
                "description": "Staff may sign in here and use the API with their session; superusers may do all "
                "in these pages.",
            },
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")


for model in (User, Group, TOTPDevice, AccessAttempt, AccessLog, AccessFailureLog):
    if admin.site.is_registered(model):
        admin.site.unregister(model)  # a device's page would show its secret; the rest is Django's own plain look
admin.site.register(User, OperatorAdmin)
admin.site.register(Client, WholeClientAdmin)
admin.site.register(Connector, WholeConnectorAdmin)
admin.site.register(Bot, WholeBotAdmin)
add_csv_downloads(admin.site)
