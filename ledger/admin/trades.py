"""The page of trades: ten millions of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from clients.admin_base import NOTHING, badge
from exchanges.types import MarketType
from ledger.admin.lists import (
    SOURCE_IDS,
    BotChooser,
    ClientChooser,
    Days,
    LedgerFacts,
    OfBotFilter,
    as_uuid,
    chosen_bot,
    of_bot,
)
from ledger.admin.shown import (
    amount,
    bot_link,
    client_link,
    exact,
    figure,
    instant,
    json_document,
    link,
    moment,
    plain,
    short,
)
from ledger.models import BotTradeHour, Trade
from ledger.rules.words import Action, Cause, TradeType

CAUSES = {
    Cause.MODEL: "blue", Cause.OPERATOR: "blue", Cause.STOP_LOSS: "orange", Cause.TAKE_PROFIT: "green",
    Cause.LIQUIDATION: "red", Cause.RUNTIME: "grey", Cause.IMPORT: "grey",
}  # fmt: skip
_MARKETS = ", ".join(f"'{market}'" for market in MarketType)
EXCHANGE_IDS = f"""
    SELECT x.id FROM connectors c CROSS JOIN LATERAL (
        SELECT t.id FROM trades t WHERE t.connector_id = c.id AND t.market_type IN ({_MARKETS})
           AND t.exchange_trade_id = %s AND t.exchange_trade_id <> '' LIMIT 10) x
"""  # noqa: S608 - made of constants


def side_badge(side: str) -> SafeString:
    return badge(side, "green" if side == "buy" else "red")


def action_badge(action: str) -> SafeString:
    return badge(action, "green" if action == Action.LONG else "orange")


class SymbolFilter(OfBotFilter):
    title = "symbol"
    parameter_name = column = "symbol"

    def words(self, bot: UUID) -> list[tuple[str, str]]:
        found = BotTradeHour.objects.filter(bot_id=bot).order_by("symbol").values_list("symbol", flat=True).distinct()
        return [(symbol, symbol) for symbol in found[:200]]


class DaysOfTrades(Days):
    """Over all bots by the id, which begins with the moment of execution."""

    def since(self, begin: datetime) -> dict[str, Any]:
        by_time = super().since(begin)
        if self.request and chosen_bot(self.request):
            return by_time
        return {**by_time, "id__gte": UUID(int=int(begin.timestamp() * 1000) << 80)}


class AttributedFilter(DropdownFilter):
    """Executions on a client's account that belong to none of its bots."""

    title = "attribution"
    parameter_name = "attributed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "to no bot")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Trade]) -> QuerySet[Trade]:
        return queryset.filter(bot=None) if self.value() == "no" else queryset


@admin.register(Trade)
class TradeAdmin(LedgerFacts):
    at = "executed_at"
    ordering_of_bot = ("-executed_at", "-id")
    list_display = (
        moment("executed_at", "executed"),
        bot_link,
        "symbol",
        "what",
        amount("quantity"),
        amount("price"),
        amount("size"),
        "profit",
        "fee_paid",
        "why",
        link("position", text="position"),
    )
    list_filter = (
        ("bot", BotChooser),
        ("client", ClientChooser),
        ("executed_at", DaysOfTrades),
        AttributedFilter,
        SymbolFilter,
        of_bot("trade_type", TradeType),
        of_bot("action", Action),
        of_bot("cause", Cause),
    )
    search_fields = ("id__exact",)
    search_help_text = "an id: the trade's, its position's, the exchange's or the old system's"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("id", instant("executed_at")),
                    (client_link, bot_link),
                    ("what", "symbol"),
                    (exact("quantity"), exact("price")),
                    (exact("closed_quantity"), exact("size", unit="currency")),
                    ("profit_exact", exact("fee", unit="fee_currency")),
                    ("why", link("decision")),
                    (link("position"), "note"),
                )
            },
        ),
        (
            "More",
            {
                "fields": (
                    ("mode", "market_type"),
                    ("exchange", link("connector")),
                    ("exchange_trade_id", "exchange_order_id"),
                    (exact("entry_price", "average entry price"), exact("exit_price")),
                    (exact("leverage"), exact("fee_quote", "fee's worth", unit="currency")),
                    ("source", "source_id"),
                    ("source_rank", instant("recorded_at")),
                    "left_over",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trade]:
        rows: QuerySet[Trade] = super().get_queryset(request)
        return rows.defer("extra") if self._is_list(request) else rows

    def found(self, term: str) -> Q:
        known = as_uuid(term)
        if known:
            return Q(pk=known) | Q(position_id=known)
        return Q(self.ids_of(f"{SOURCE_IDS} UNION ALL {EXCHANGE_IDS}", [term, term]))

    @staticmethod
    def _is_list(request: HttpRequest) -> bool:
        match = request.resolver_match
        return bool(match and match.url_name and match.url_name.endswith("_changelist"))

    @display(description="what")
    def what(self, trade: Trade) -> SafeString:
        did = badge(f"{trade.trade_type} {trade.action}", "grey")
        return format_html('<span class="bridge-when">{} {}</span>', side_badge(trade.side), did)

    @display(description="pnl")
    def profit(self, trade: Trade) -> SafeString | str:
        return figure(trade.pnl, gain=True)

    @display(description="pnl")
    def profit_exact(self, trade: Trade) -> str:
        return NOTHING if trade.pnl is None else f"{plain(trade.pnl)} {trade.currency}"

    @display(description="fee")
    def fee_paid(self, trade: Trade) -> SafeString | str:
        if trade.fee is None:
            return NOTHING
        return format_html('<span class="bridge-when">{} {}</span>', short(trade.fee), trade.fee_currency)

    @display(description="cause")
    def why(self, trade: Trade) -> SafeString:
        return badge(trade.cause.replace("_", " "), CAUSES[Cause(trade.cause)], says=trade.note)

    @display(description="what an import left over")
    def left_over(self, trade: Trade) -> SafeString | str:
        return json_document(trade.extra)
