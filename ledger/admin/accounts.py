"""The page of bots' accounts, and the one thing of the ledger that an operator says: what a bot was given."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from clients.admin_base import BridgeAdmin
from ledger.admin.lists import BotChooser, LedgerFacts
from ledger.admin.shown import amount, bot_link, exact, instant, moment
from ledger.models import BotAccount
from ledger.services.allocate_capital import allocate_capital


class CapitalForm(BaseDialogForm):
    capital = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_digits=38,
        decimal_places=18,
        widget=UnfoldAdminTextInputWidget,
        label="What it started with, in its account's currency",
        help_text="Empty: not known; then it has no equity and no rank by return.",
    )


class AllocatesCapital(BridgeAdmin):
    """A page of bots, or of their accounts, with the button that says how much a bot was given."""

    def has_allocate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("ledger.change_botaccount"))

    @action(
        description="Allocate capital",
        icon="savings",
        permissions=["allocate"],
        dialog={
            "title": "How much was this bot given?",
            "description": "Equity and return are counted from it; what it gained or lost since stays as it is.",
            "form_class": CapitalForm,
            "form_submit_text": "Allocate",
        },
    )
    def allocate(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            given = form.cleaned_data["capital"]
            allocate_capital(scope=self.scope(request), bot_id=UUID(object_id), capital=given)
            return "The capital is allocated." if given is not None else "Its capital is not known any more."

        return self.act(request, call)


@admin.register(BotAccount)
class BotAccountAdmin(AllocatesCapital, LedgerFacts):
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
    actions_row = ("allocate",)
    actions_detail = ("allocate",)
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
