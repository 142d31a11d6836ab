"""Participants: the list that says how each stands, and the page on which an operator does everything to one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from arena.admin.forms import ParticipantForm
from arena.admin.participant_actions import ParticipantActions
from arena.admin.participant_panel import panel_of
from arena.admin.prompt_page import tell_unknown
from arena.admin.shown import IS_HALTED, cents, dollars, participant_badge, percent_gain, provider_name
from arena.models import LlmSpend, Participant
from arena.rules.budget import day_of
from arena.rules.statuses import SpendSpan
from arena.services.participants import change_participant, create_participant
from clients.admin_base import NOTHING, BridgeAdmin, ago
from ground.errors import InvalidInput
from ledger.models import BotDecision, Position
from ledger.rules.words import PositionStatus

_HELD = Position.objects.filter(bot=OuterRef("bot_id"), status=PositionStatus.OPEN).order_by().values("bot")
_JOINED = ("bot__client", "bot__ledger_account", "provider", "fallback", "prompt")
STATES = {
    "plays": Q(bot__desired_status="running", is_paused=False, halted_now=False),
    "halted": Q(halted_now=True),
    "paused": Q(is_paused=True),
    "not started": ~Q(bot__desired_status="running"),
}


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Participant]) -> QuerySet[Participant]:
        wanted = STATES.get(self.value() or "")
        return queryset.filter(wanted) if wanted else queryset


@admin.register(Participant)
class ParticipantAdmin(ParticipantActions, BridgeAdmin):
    form = ParticipantForm
    list_display = (
        "name",
        "owner",
        "state",
        "equity",
        "gain",
        "open_positions",
        "decided",
        "next_turn",
        "models_today",
    )
    list_display_links = ("name",)
    list_filter = (StateFilter, ("provider", admin.RelatedOnlyFieldListFilter), "is_advanced")
    list_fullwidth = True
    search_fields = ("bot__name", "bot__client__account_identifier", "bot__client__name")
    search_help_text = "a bot's name, or an account"
    ordering = ("bot__name", "bot_id")
    change_form_outer_before_template = "admin/bridge/arena_participant.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Participant]:
        """With what the list shows of each, read by indexes for the rows of its page alone."""
        newest = BotDecision.objects.filter(bot=OuterRef("bot_id")).order_by("-decided_at", "-id")
        today = LlmSpend.objects.filter(
            client=OuterRef("client_id"), bot=OuterRef("bot_id"), span=SpendSpan.DAY, start_on=day_of(timezone.now())
        )
        return super().get_queryset(request).filter(bot__retired_at=None).select_related(*_JOINED).annotate(
            halted_now=IS_HALTED,
            open_n=Subquery(_HELD.annotate(n=Count("pk")).values("n")),
            unmarked_n=Subquery(_HELD.filter(unrealized_pnl=None).annotate(n=Count("pk")).values("n")),
            worth=Subquery(_HELD.annotate(worth=Sum(F("size") + F("unrealized_pnl"))).values("worth")),
            decided_at=Subquery(newest.values("decided_at")[:1]),
            spent_today=Subquery(today.annotate(both=F("reserved") + F("spent")).values("both")),
        )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        new = (None, {"fields": (("account", "name"), "prompt_text", "starting_balance")})
        limits = (("min_size", "max_leverage"), "leverage_by_symbol", ("max_open_positions", "max_exposure_ratio"),
                  ("max_drawdown_ratio", "cooldown_minutes"))  # fmt: skip
        rest = [
            ("Model", {"fields": (("provider", "model"), ("fallback", "is_advanced"))}),
            ("What it trades, and when", {"fields": (("symbols", "turn_interval_s"), "is_public")}),
            ("Limits", {"fields": limits, "description": "No prompt and no answer of a model widens them."}),
            ("Budgets", {"fields": (("daily_budget", "monthly_budget"),)}),
        ]
        return rest if obj else [new, *rest]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its bot is deleted, under Bots

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        panel = {"panel": panel_of(row, now=timezone.now()), "show_save_and_add_another": False} if row else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **panel})

    def save_model(self, request: HttpRequest, obj: Participant, form: Any, change: bool) -> None:
        scope, now = self.scope(request), timezone.now()
        changes = {_column(name): _given(form.cleaned_data[name]) for name in form.changed_data if name in _EDITED}
        try:
            if change:
                change_participant(scope=scope, bot_id=obj.bot_id, changes=changes, now=now)
                return
            data = form.cleaned_data
            made = create_participant(
                scope=scope, account=data["account"].account_identifier, name=data["name"], prompt=data["prompt_text"],
                starting_balance=data["starting_balance"], now=now, **changes,
            )  # fmt: skip
        except InvalidInput as error:
            error.fields = {_NAMES.get(name, name): said for name, said in (error.fields or {}).items()}
            raise
        obj.bot_id = made.bot_id
        tell_unknown(request, data["prompt_text"])

    @display(description="name", ordering="bot__name")
    def name(self, row: Participant) -> SafeString:
        """Its name, and below it whom it asks."""
        asks = row.provider.name if row.provider else "asks nobody yet"
        return format_html(
            '{}<br><span class="bridge-quiet" title="{}">{}</span>', row.bot.name, provider_name(row), asks
        )

    @display(description="client", ordering="bot__client__account_identifier")
    def owner(self, row: Participant) -> str:
        return row.bot.client.account_identifier

    @display(description="state")
    def state(self, row: Any) -> SafeString:
        return participant_badge(row, is_halted=row.halted_now)

    @display(description="equity")
    def equity(self, row: Any) -> SafeString | str:
        return cents(_equity(row))

    @display(description="return")
    def gain(self, row: Any) -> SafeString | str:
        equity, account = _equity(row), getattr(row.bot, "ledger_account", None)
        capital = account and account.allocated_capital
        return percent_gain(equity / capital - 1 if equity is not None and capital else None)

    @display(description="positions")
    def open_positions(self, row: Any) -> int:
        return int(row.open_n or 0)

    @display(description="models today")
    def models_today(self, row: Any) -> str:
        return dollars(row.spent_today)

    @display(description="last decision")
    def decided(self, row: Any) -> SafeString | str:
        return ago(row.decided_at)

    @display(description="next turn", ordering="next_turn_at")
    def next_turn(self, row: Any) -> SafeString | str:
        plays = row.bot.desired_status == "running" and not row.is_paused and not row.halted_now
        return ago(row.next_turn_at) if plays else NOTHING


def _equity(row: Any) -> Decimal | None:
    """Its balance with what it holds; None where a position has no mark or nobody said what it was given."""
    account = getattr(row.bot, "ledger_account", None)
    if account is None or account.balance is None or row.unmarked_n:
        return None
    return Decimal(account.balance + (row.worth or 0))


_EDITED = frozenset(ParticipantForm.Meta.fields)
_NAMES = {"prompt": "prompt_text", "provider_id": "provider", "fallback_id": "fallback"}


def _column(name: str) -> str:
    return f"{name}_id" if name in ("provider", "fallback") else name


def _given(value: Any) -> Any:
    """A chosen row as its id; all else as it is."""
    return getattr(value, "pk", value)
