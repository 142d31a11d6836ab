"""The kill switch: everybody, one client or one bot stands still until somebody lifts it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from arena.admin.shown import participant_link, uuid_of
from arena.models import Halt, Participant
from arena.rules.statuses import HaltKind, HaltScope
from arena.services.halts import halt, lift_halt
from clients.admin_base import NOTHING, FactsAdmin, ago, badge, confirmation
from clients.models import Client
from ground.errors import BridgeError

MOST_CHOICES = 5000
WHY = {
    HaltKind.SWITCH: "a person", HaltKind.UNREADABLE: "unreadable answers", HaltKind.REFUSED: "refusals in a row",
    HaltKind.DRAWDOWN: "drawdown",
}  # fmt: skip


class StandingFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("standing", "standing"), ("lifted", "lifted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Halt]) -> QuerySet[Halt]:
        return queryset.filter(lifted_at__isnull=self.value() == "standing") if self.value() else queryset


@admin.register(Halt)
class HaltAdmin(FactsAdmin):
    list_display = ("when", "state", "covers", "cause", "reason", "halted_by", "lifted")
    list_display_links = ("when",)
    list_filter = (StandingFilter, "scope", "kind")
    list_select_related = ("client", "bot")
    search_fields = ("bot__name", "client__account_identifier", "reason")
    search_help_text = "a bot's name, an account, or words of the reason"
    ordering = ("-halted_at", "-id")
    list_before_template = "admin/bridge/arena_halts_note.html"
    actions_list = ("pull",)
    actions_row = ("lift",)
    actions_detail = ("lift",)
    fields = (("state", "covers"), "cause", "reason", ("halted_at", "halted_by"), ("lifted_at", "lifted_by"))
    readonly_fields = ("state", "covers", "cause")

    def has_handle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("arena.change_halt"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        standing = list(Halt.objects.filter(lifted_at=None).values_list("scope", flat=True))
        told = {"all": HaltScope.ALL in standing, "clients": standing.count(HaltScope.CLIENT),
                "bots": standing.count(HaltScope.BOT), "pull": reverse("admin:arena_halt_pull"),
                "may": self.has_handle_permission(request)}  # fmt: skip
        return super().changelist_view(request, {**(extra_context or {}), "switch": told})

    @action(description="Pull the kill switch", icon="front_hand", permissions=["handle"], variant=ActionVariant.DANGER)
    def pull(self, request: HttpRequest) -> HttpResponse:
        """Asks for whom and why on GET; halts on POST."""
        if request.method == "POST":
            if not self.has_handle_permission(request):
                raise PermissionDenied
            return self._pull(request)
        bots = Participant.objects.filter(bot__retired_at=None).values_list(
            "bot_id", "bot__name", "bot__client__account_identifier"
        )
        clients = Client.objects.filter(retired_at=None, bots__participant__isnull=False).distinct()
        context = self.admin_site.each_context(request) | {
            "title": "The kill switch", "opts": self.opts, "back": reverse("admin:arena_halt_changelist"),
            "clients": clients.order_by("account_identifier").values_list("id", "account_identifier"),
            "bots": bots.order_by("bot__client__account_identifier", "bot__name")[:MOST_CHOICES], "count": bots.count(),
        }  # fmt: skip
        return TemplateResponse(request, "admin/bridge/arena_switch.html", context)

    def _pull(self, request: HttpRequest) -> HttpResponse:
        wanted, chosen = request.POST.get("scope", ""), uuid_of(request.POST.get("id", ""))
        whose = {HaltScope.CLIENT: {"client_id": chosen}, HaltScope.BOT: {"bot_id": chosen}}
        if wanted not in list(HaltScope):
            return HttpResponseRedirect(reverse("admin:arena_halt_pull"))
        known = HaltScope(wanted)
        try:
            halt(
                scope=self.scope(request), halt_scope=known, reason=request.POST.get("reason", ""), now=timezone.now(),
                **whose.get(known, {}),
            )  # fmt: skip
        except BridgeError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(reverse("admin:arena_halt_pull"))
        messages.success(request, "Halted: no turns, nothing opened, until somebody lifts it here.")
        return HttpResponseRedirect(reverse("admin:arena_halt_changelist"))

    @action(
        description="Lift", icon="lock_open", permissions=["handle"],
        dialog=confirmation("Lift this halt?", "Bots go on with their next turn; nothing is caught up.", "Lift"),
    )  # fmt: skip
    def lift(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            lift_halt(scope=self.scope(request), halt_id=uuid_of(object_id), now=timezone.now())
            return "The halt is lifted."

        return self.act(request, call)

    @display(description="halted", ordering="halted_at")
    def when(self, row: Halt) -> SafeString | str:
        return ago(row.halted_at)

    @display(description="state")
    def state(self, row: Halt) -> SafeString:
        return badge("lifted", "grey") if row.lifted_at else badge("stands", "red")

    @display(description="holds")
    def covers(self, row: Halt) -> SafeString | str:
        if row.scope == HaltScope.ALL:
            return badge("everybody", "red")
        if row.scope == HaltScope.CLIENT and row.client:
            return f"all of {row.client.account_identifier}"
        return participant_link(row) if row.bot else NOTHING

    @display(description="pulled by", ordering="kind")
    def cause(self, row: Halt) -> str:
        return WHY[HaltKind(row.kind)]

    @display(description="lifted")
    def lifted(self, row: Halt) -> SafeString | str:
        return format_html("{} by {}", ago(row.lifted_at), row.lifted_by) if row.lifted_at else NOTHING
