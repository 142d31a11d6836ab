"""What clients and bots spent on models, and what clients may."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from arena.admin.forms import ServiceForm
from arena.admin.shown import ArenaFacts, dollars, participant_link
from arena.models import ClientBudget, LlmSpend
from arena.rules.budget import day_of, month_of
from arena.rules.statuses import SpendSpan
from arena.services.spend import set_client_budget
from clients.admin_base import BridgeAdmin
from ledger.admin.lists import as_uuid


@admin.register(ClientBudget)
class ClientBudgetAdmin(BridgeAdmin):
    form = ServiceForm
    list_display = ("client", "today", "day", "this_month", "month")
    list_select_related = ("client",)
    search_fields = ("client__account_identifier", "client__name")
    search_help_text = "an account"
    autocomplete_fields = ("client",)
    ordering = ("client__account_identifier",)
    fields = ("client", ("daily_budget", "monthly_budget"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientBudget]:
        whole = LlmSpend.objects.filter(client=OuterRef("client_id"), bot=None).annotate(
            both=F("reserved") + F("spent")
        )
        now = timezone.now()
        day = whole.filter(span=SpendSpan.DAY, start_on=day_of(now)).values("both")
        month = whole.filter(span=SpendSpan.MONTH, start_on=month_of(now)).values("both")
        rows: QuerySet[ClientBudget] = super().get_queryset(request)
        return rows.annotate(used_today=Subquery(day), used_this_month=Subquery(month))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("client",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # both empty: no limit

    def save_model(self, request: HttpRequest, obj: ClientBudget, form: Any, change: bool) -> None:
        data = form.cleaned_data
        set_client_budget(
            scope=self.scope(request), client_id=obj.client_id, daily_budget=data["daily_budget"],
            monthly_budget=data["monthly_budget"],
        )  # fmt: skip

    @display(description="spent today")
    def today(self, row: Any) -> str:
        return dollars(row.used_today or Decimal(0))

    @display(description="of a day's", ordering="daily_budget")
    def day(self, row: ClientBudget) -> str:
        return "no limit" if row.daily_budget is None else dollars(row.daily_budget)

    @display(description="spent this month")
    def this_month(self, row: Any) -> str:
        return dollars(row.used_this_month or Decimal(0))

    @display(description="of a month's", ordering="monthly_budget")
    def month(self, row: ClientBudget) -> str:
        return "no limit" if row.monthly_budget is None else dollars(row.monthly_budget)


class WhoseFilter(admin.SimpleListFilter):
    title = "whose"
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("clients", "sums of clients"), ("bots", "single bots")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LlmSpend]) -> QuerySet[LlmSpend]:
        return queryset.filter(bot__isnull=self.value() == "clients") if self.value() else queryset


@admin.register(LlmSpend)
class LlmSpendAdmin(ArenaFacts):
    list_display = ("start_on", "span", "account", "whose_bot", "used", "away", "calls")
    list_display_links = None
    list_filter = (WhoseFilter, "span")
    list_select_related = ("client", "bot")
    ordering = ("-id",)
    search_fields = ("bot__name", "client__account_identifier")

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Its ids are numbers; an id that is looked for is a bot's."""
        bot = as_uuid(search_term)
        return (queryset.filter(bot=bot), False) if bot else super().get_search_results(request, queryset, search_term)

    @display(description="client")
    def account(self, row: LlmSpend) -> str:
        return row.client.account_identifier

    @display(description="bot")
    def whose_bot(self, row: LlmSpend) -> Any:
        return participant_link(row) if row.bot_id else "all of the client"

    @display(description="spent")
    def used(self, row: LlmSpend) -> str:
        return dollars(row.spent)

    @display(description="on its way")
    def away(self, row: LlmSpend) -> str:
        return dollars(row.reserved)
