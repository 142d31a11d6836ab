"""The page of positions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from clients.admin_base import NOTHING, badge
from ledger.admin.lists import MODES, BotChooser, ClientChooser, DaysOfBot, LedgerFacts, of_bot
from ledger.admin.shown import amount, bot_link, client_link, exact, figure, instant, json_document, link, moment, plain
from ledger.admin.trades import CAUSES, action_badge
from ledger.models import Position, PositionDay
from ledger.rules.words import Action, Cause, PositionStatus


def status_badge(position: Position) -> SafeString:
    is_open = position.status == PositionStatus.OPEN
    return badge(position.status, "blue" if is_open else "grey", says=position.close_cause)


class OpenFilter(DropdownFilter):
    """Open ones over all bots have an index; the closed are looked through within a bot."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(word), str(word)) for word in PositionStatus]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Position]) -> QuerySet[Position]:
        return queryset.filter(status=self.value()) if self.value() else queryset


@admin.register(Position)
class PositionAdmin(LedgerFacts):
    at = "opened_at"
    ordering_of_bot = ("-opened_at", "-id")
    list_display = (
        moment("opened_at", "opened"),
        bot_link,
        "symbol",
        "direction",
        "state",
        amount("quantity"),
        amount("entry_price", "entry"),
        amount("exit_price", "exit"),
        amount("size"),
        amount("realized_pnl", "realised", gain=True),
        amount("unrealized_pnl", "unrealised", gain=True),
        moment("closed_at", "closed"),
    )
    list_filter = (
        ("bot", BotChooser),
        ("client", ClientChooser),
        OpenFilter,
        ("opened_at", DaysOfBot),
        of_bot("position_type", Action),
        MODES,
    )
    search_fields = ("id__exact",)
    search_help_text = "an id: the position's or the old system's"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("id", "symbol"),
                    (client_link, bot_link),
                    ("direction", "state"),
                    (instant("opened_at"), instant("closed_at")),
                    (exact("entry_price", "average entry price"), exact("exit_price", "average exit price")),
                    (exact("quantity", "quantity held"), exact("size", "size (margin)", unit="currency")),
                    ("realized", "unrealized"),
                    ("why_closed", "its_trades"),
                    "note",
                )
            },
        ),
        (
            "More",
            {
                "fields": (
                    ("mode", "market_type"),
                    (exact("leverage"), link("connector")),
                    (exact("mark_price"), instant("marked_at")),
                    instant("traded_at", "last traded (UTC)"),
                    (exact("stop_loss"), exact("take_profit")),
                    (exact("liquidation_price"), exact("peak_size", unit="currency")),
                    (exact("opened_quantity"), exact("closed_quantity")),
                    (exact("basis_quantity"), exact("basis_cost", unit="currency")),
                    (exact("basis_entry_fees", unit="currency"), exact("basis_fees", unit="currency")),
                    (exact("realized_exact", "realised, unrounded"), exact("exit_notional", unit="currency")),
                    ("source", "source_id"),
                    ("source_rank", instant("updated_at")),
                    "left_over",
                )
            },
        ),
    )

    @display(description="direction")
    def direction(self, position: Position) -> SafeString:
        return action_badge(position.position_type)

    @display(description="status")
    def state(self, position: Position) -> SafeString:
        return status_badge(position)

    @display(description="realised profit")
    def realized(self, position: Position) -> str:
        return f"{plain(position.realized_pnl)} {position.currency}"

    @display(description="unrealised profit")
    def unrealized(self, position: Position) -> SafeString | str:
        return figure(position.unrealized_pnl, gain=True)

    @display(description="closed by")
    def why_closed(self, position: Position) -> SafeString | str:
        cause = position.close_cause
        return badge(cause.replace("_", " "), CAUSES[Cause(cause)]) if cause else NOTHING

    @display(description="trades")
    def its_trades(self, position: Position) -> SafeString:
        address = f"{reverse('admin:ledger_trade_changelist')}?q={position.pk}"
        return format_html('<a class="bridge-link" href="{}">its executions</a>', address)

    @display(description="what an import left over")
    def left_over(self, position: Position) -> SafeString | str:
        return json_document(position.extra)


@admin.register(PositionDay)
class PositionDayAdmin(LedgerFacts):
    list_display = (
        moment("day_at", "day began"),
        bot_link,
        link("position"),
        amount("opened_quantity", "entered"),
        amount("closed_quantity", "closed"),
        amount("realized_exact", "realised", gain=True),
    )
    list_filter = (("bot", BotChooser),)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    (bot_link, link("position")),
                    (instant("day_at", "day began (UTC)"), exact("peak_size")),
                    (exact("opened_quantity"), exact("closed_quantity")),
                    (exact("basis_quantity"), exact("basis_cost")),
                    (exact("basis_entry_fees"), exact("realized_exact", "realised, unrounded")),
                    exact("exit_notional"),
                )
            },
        ),
    )
