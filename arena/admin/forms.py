"""What an operator types about participants."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Q
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from arena.models import LlmProvider, Participant
from arena.services.participants import SETTINGS, STARTING_BALANCE
from clients.admin_base import RefusableForm
from clients.models import Client
from ground.http import exact_json

PLACEHOLDERS = (
    ("totalValue", "its equity: balance, what is bound in positions, and what these have gained"),
    ("availableBalance", "what it may still put into positions"),
    ("unrealizedPnl", "what its open positions have gained, before the fees of closing"),
    ("openPositions", "what it holds, one a line"),
    ("marketData", "prices of its symbols, one a line"),
    ("currentDate", "date and time in UTC"),
)
NEW_ONLY = ("account", "name", "prompt_text", "starting_balance")
_HOW = "10 to 10,000 characters. {{totalValue}}, {{availableBalance}}, {{unrealizedPnl}}, {{openPositions}}, {{marketData}} and {{currentDate}} are filled in at each turn."  # noqa: E501 - one sentence of a form


class ServiceForm(RefusableForm):
    """Of rows that services write: these say in words what the table's constraints would say by their names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.validate_constraints = lambda exclude=None: None
        for name, value in self.initial.items():
            if isinstance(value, Decimal):
                self.initial[name] = Decimal(f"{value.normalize():f}")  # without the zeros of its column
        for field in self.fields.values():
            if isinstance(field, forms.JSONField):
                field.widget.attrs["rows"] = 3


class SymbolsField(forms.CharField):
    """Pairs with commas or blanks between them; a list of words."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [word for word in re.split(r"[\s,;]+", str(value or "").strip().strip("[]").replace('"', "")) if word]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


class ProviderChoice(forms.ModelChoiceField):
    """Providers by name, with whose they are."""

    def label_from_instance(self, obj: Any) -> str:
        whose = obj.client.account_identifier if obj.client else "shared" if obj.is_shared else "operators only"
        return f"{obj.name} ({whose}, {obj.model})"


def _providers() -> ProviderChoice:
    rows = LlmProvider.objects.filter(retired_at=None).select_related("client").order_by("name", "id")
    return ProviderChoice(queryset=rows, required=False, widget=UnfoldAdminSelectWidget)


class ParticipantForm(ServiceForm):
    account = forms.ModelChoiceField(
        queryset=Client.objects.filter(retired_at=None).order_by("account_identifier"), label="client",
        to_field_name="account_identifier", widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    name = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)
    prompt_text = forms.CharField(label="prompt", widget=UnfoldAdminTextareaWidget, help_text=_HOW, strip=False)
    starting_balance = forms.DecimalField(
        min_value=Decimal(1), max_digits=38, decimal_places=18, initial=STARTING_BALANCE, widget=UnfoldAdminTextInputWidget,
        help_text="USDT, on paper.",
    )  # fmt: skip
    provider = _providers()
    fallback = _providers()
    symbols = SymbolsField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="BTC/USDT, ETH/USDT, …; empty: all of the arena."
    )

    class Meta:
        model = Participant
        fields = ("provider", "fallback", *SETTINGS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "provider" not in self.fields:
            return  # somebody who may only look
        if not self.instance._state.adding:
            for name in NEW_ONLY:
                self.fields.pop(name, None)
            self._offer_own()
        self.fields[
            "provider"
        ].help_text = "The client's own, or a shared one. Empty: choose later; it needs one to play."
        self.fields[
            "fallback"
        ].help_text = (
            "Asked when the first cannot be reached: one of the client's own. Empty: none, and the turn has failed."
        )
        self.fields["leverage_by_symbol"].prepare_value = _as_json  # type: ignore[method-assign]

    def _offer_own(self) -> None:
        """The client's own and shared ones; a fallback is its own."""
        own = Q(client_id=self.instance.client_id)
        for name, whose in (("provider", own | Q(client=None, is_shared=True)), ("fallback", own)):
            field: Any = self.fields[name]
            field.queryset = field.queryset.filter(whose)


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget, label="Why")


class NameForm(BaseDialogForm):
    name = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextInputWidget, label="Name of the clone",
        help_text="Empty: made from this one's.",
    )  # fmt: skip


def _as_json(value: Any) -> Any:
    return exact_json(value) if isinstance(value, dict) else value
