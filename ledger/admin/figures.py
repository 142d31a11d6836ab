"""The pages of what triggers and workers keep: hours, fees and boards."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from clients.admin_base import badge
from ledger.admin.lists import BotChooser, Days, LedgerFacts
from ledger.admin.shown import amount, bot_link, exact, figure, instant, moment, plain, ratio, rounded
from ledger.admin.trades import SymbolFilter
from ledger.models import BotFee, BotTradeHour, BotTradeSpan, LeaderboardEntry
from ledger.rules.words import Mode, Period, TradeSpan


class _Choice(DropdownFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class SpanFilter(_Choice):
    title = parameter_name = "span"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(word), str(word)) for word in TradeSpan]


@admin.register(BotTradeHour)
class BotTradeHourAdmin(LedgerFacts):
    ordering = ("-hour_at", "-id")
    list_display = (
        moment("hour_at", "hour began"),
        bot_link,
        "symbol",
        "trades",
        "closed",
        "wins",
        "losses",
        amount("pnl", gain=True),
        amount("fees"),
        amount("volume"),
    )
    list_filter = (("bot", BotChooser), ("hour_at", Days), SymbolFilter)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    (bot_link, "symbol"),
                    (instant("hour_at", "begins (UTC)"), "trades"),
                    ("buys", "closed"),
                    ("wins", "losses"),
                    (exact("pnl"), exact("fees")),
                    (exact("gross_profit"), exact("gross_loss")),
                    (exact("best_pnl"), exact("worst_pnl")),
                    exact("volume"),
                )
            },
        ),
    )


@admin.register(BotTradeSpan)
class BotTradeSpanAdmin(LedgerFacts):
    ordering = ("-span", "-start_at", "-id")  # months first: of one span the newest
    list_display = (
        moment("start_at", "began"),
        bot_link,
        "span",
        "symbol",
        "trades",
        "closed",
        "wins",
        "losses",
        amount("pnl", gain=True),
        amount("fees"),
        amount("volume"),
    )
    list_filter = (("bot", BotChooser), SpanFilter, SymbolFilter)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    (bot_link, "symbol"),
                    ("span", instant("start_at", "begins (UTC)")),
                    ("trades", "buys"),
                    ("closed", "wins"),
                    ("losses", exact("volume")),
                    (exact("pnl"), exact("fees")),
                    (exact("gross_profit"), exact("gross_loss")),
                    (exact("best_pnl"), exact("worst_pnl")),
                )
            },
        ),
    )


@admin.register(BotFee)
class BotFeeAdmin(LedgerFacts):
    list_display = (bot_link, "currency", amount("amount"), amount("unpriced"))
    list_filter = (("bot", BotChooser),)
    fieldsets = ((None, {"fields": ((bot_link, "currency"), (exact("amount"), exact("unpriced")))}),)


class PeriodFilter(_Choice):
    title = parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(word), str(word).replace("_", " ")) for word in Period]


class ModeFilter(_Choice):
    title = parameter_name = "mode"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(word), str(word)) for word in Mode]


@admin.register(LeaderboardEntry)
class LeaderboardEntryAdmin(LedgerFacts):
    """Four lines a bot; small enough to be sorted as one likes."""

    ordering = ("period", "mode", F("return_pct").desc(nulls_last=True), "bot")
    sortable_by = ("is_ranked", "total_trades", "closed_trades")
    list_display = (
        bot_link,
        "board",
        "ranked",
        "change",
        "interval",
        amount("total_pnl", "realised", gain=True),
        ratio("win_rate"),
        rounded("sharpe_ratio", "Sharpe"),
        ratio("max_drawdown", "drawdown"),
        "closed_trades",
        moment("updated_at", "updated"),
    )
    list_filter = (PeriodFilter, ModeFilter, ("bot", BotChooser))
    fieldsets = (
        (
            None,
            {
                "fields": (
                    (bot_link, "period"),
                    ("mode", "currency"),
                    ("ranked", "unranked_reason"),
                    (instant("since_at", "since (UTC)"), exact("equity")),
                    ("change", "interval"),
                    (exact("total_pnl", "realised profit"), exact("baseline_return_pct", "buying and holding, %")),
                    ("total_trades", "closed_trades"),
                    (ratio("win_rate"), exact("profit_factor")),
                    (exact("sharpe_ratio"), exact("sortino_ratio")),
                    (ratio("max_drawdown"), exact("volatility")),
                    (exact("fees"), exact("volume")),
                    (instant("interval_at"), instant("updated_at")),
                )
            },
        ),
    )

    @display(description="board")
    def board(self, entry: LeaderboardEntry) -> str:
        return f"{entry.period.replace('_', ' ')}, {entry.mode}"

    @display(description="ranked")
    def ranked(self, entry: LeaderboardEntry) -> SafeString:
        return badge("ranked", "green") if entry.is_ranked else badge("no rank", "grey", says=entry.unranked_reason)

    @display(description="return %")
    def change(self, entry: LeaderboardEntry) -> SafeString | str:
        return figure(entry.return_pct if entry.return_pct is None else round(entry.return_pct, 4), gain=True)

    @display(description="interval %")
    def interval(self, entry: LeaderboardEntry) -> str:
        low, high = entry.return_low_pct, entry.return_high_pct
        if low is None or high is None:
            return "–"
        says = "" if entry.is_distinguishable else ", not distinguishable"
        return f"{plain(round(low, 2))} to {plain(round(high, 2))}{says}"
