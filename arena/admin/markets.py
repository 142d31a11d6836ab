"""What markets show, with the age of each price."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Value
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from arena.admin.shown import percent_gain
from arena.models import ArenaMarket, ArenaState
from arena.services.settings_row import arena_settings
from clients.admin_base import NOTHING, FactsAdmin, ago, badge
from ledger.admin.shown import figure, instant, plain

_WHEN = (instant("observed_at"), instant("fetched_at"), instant("rules_at"))


@admin.register(ArenaMarket)
class ArenaMarketAdmin(FactsAdmin):
    list_display = (
        "symbol",
        "exchange",
        "shown_price",
        "age",
        "bid_shown",
        "ask_shown",
        "change",
        "steps",
        "least",
        "is_traded",
    )
    list_filter = ("exchange", "is_traded")
    list_fullwidth = True
    search_fields = ("symbol",)
    search_help_text = "a pair"
    ordering = ("exchange", "symbol")
    list_before_template = "admin/bridge/arena_markets_note.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("symbol", "exchange"),
                    ("shown_price", "age"),
                    ("bid_shown", "ask_shown"),
                    "change",
                    "is_traded",
                )
            },
        ),
        ("Rules", {"fields": ("steps", "least", "max_leverage")}),
        ("When", {"fields": (_WHEN[:2], _WHEN[2])}),
    )
    readonly_fields = ("shown_price", "age", "bid_shown", "ask_shown", "change", "steps", "least", *_WHEN)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        state, chosen = ArenaState.objects.filter(pk=1).first(), arena_settings()
        request.bridge_stale_s = chosen.stale_after_s  # type: ignore[attr-defined]
        told = {"state": state, "chosen": chosen, "read": ago(state.prices_at) if state else NOTHING,
                "held": ago(state.enforced_at) if state else NOTHING}  # fmt: skip
        return super().changelist_view(request, {**(extra_context or {}), "arena": told})

    def get_queryset(self, request: HttpRequest) -> Any:
        stale = getattr(request, "bridge_stale_s", None) or arena_settings().stale_after_s
        return super().get_queryset(request).annotate(stale_s=Value(stale))

    @display(description="price", ordering="price")
    def shown_price(self, row: ArenaMarket) -> SafeString | str:
        return figure(row.price)

    @display(description="age", ordering="observed_at")
    def age(self, row: Any) -> SafeString | str:
        if row.observed_at is None:
            return badge("never read", "grey")
        seconds = (timezone.now() - row.observed_at).total_seconds()
        text = f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
        is_stale = seconds > row.stale_s
        return badge(
            text, "red" if is_stale else "green", says="Stale: it stops turns and prices nothing." if is_stale else ""
        )

    @display(description="bid")
    def bid_shown(self, row: ArenaMarket) -> SafeString | str:
        return figure(row.bid)

    @display(description="ask")
    def ask_shown(self, row: ArenaMarket) -> SafeString | str:
        return figure(row.ask)

    @display(description="24 h", ordering="change_24h_ratio")
    def change(self, row: ArenaMarket) -> SafeString | str:
        return percent_gain(row.change_24h_ratio)

    @display(description="tick / step")
    def steps(self, row: ArenaMarket) -> str:
        return f"{plain(row.price_tick)} / {plain(row.quantity_step)}"

    @display(description="least quantity / worth")
    def least(self, row: ArenaMarket) -> str:
        return f"{plain(row.minimum_quantity)} / {plain(row.minimum_notional)}"
