"""The page of bots' accounts: their balance."""

from __future__ import annotations

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from ledger.admin.lists import BotChooser, LedgerFacts
from ledger.admin.shown import amount, bot_link, exact, instant, moment
from ledger.models import BotAccount


@admin.register(BotAccount)
class BotAccountAdmin(LedgerFacts):
    ordering = ("bot",)
    list_display = (
        bot_link,
        "mode",
        "currency",
        amount("allocated_capital", "capital"),
        amount("balance"),
        amount("cash_flow", "flow", gain=True),
        moment("complete_since", "complete since"),
        moment("updated_at", "changed"),
    )
    list_filter = (("bot", BotChooser), ("mode", ChoicesDropdownFilter))
    search_fields = ("bot__name", "bot__client__account_identifier")
    search_help_text = "a bot's name or an account"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    (bot_link, "mode"),
                    ("currency", exact("allocated_capital")),
                    (exact("balance"), exact("cash_flow")),
                    (exact("realized_pnl_adjustment"), exact("balance_adjustment")),
                    (instant("complete_since", "complete since (UTC)"), instant("opened_at")),
                    instant("updated_at"),
                )
            },
        ),
    )

    get_search_results = admin.ModelAdmin.get_search_results  # a row a bot: words may be looked for
