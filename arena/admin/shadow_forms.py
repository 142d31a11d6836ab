"""What an operator chooses for a replay in shadow."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Q
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from arena.admin.forms import ProviderChoice
from arena.models import LlmProvider, Participant, PromptVersion
from arena.rules.statuses import ShadowKind
from arena.services.want_shadow import MOST_TURNS, Wanted, newest_turns
from clients.admin_base import NOTHING
from ground.errors import InvalidInput
from ground.scope import Scope

NEWEST, RANGE, AHEAD = "newest", "range", "ahead"
_PERCENT = Decimal(100)


class PromptChoice(forms.ModelChoiceField):
    """Versions by number, with how they begin."""

    def label_from_instance(self, obj: Any) -> str:
        return f"version {obj.number}: {' '.join(obj.text.split())[:60]}"


def _number(label: str, help_text: str = "", **options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, required=False, min_value=0, help_text=help_text, widget=UnfoldAdminTextInputWidget, **options
    )


class TurnsForm(forms.Form):
    """Which turns; the two forms below say what is otherwise."""

    kind: ShadowKind
    which = forms.ChoiceField(label="turns", widget=UnfoldAdminSelectWidget)
    count = forms.IntegerField(min_value=1, initial=20, label="how many", widget=UnfoldAdminTextInputWidget)
    first = forms.IntegerField(min_value=1, required=False, label="from turn", widget=UnfoldAdminTextInputWidget)
    last = forms.IntegerField(min_value=1, required=False, label="to turn", widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, participant: Participant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.participant = participant
        ways = [(NEWEST, "the newest ones"), (RANGE, "from one to another")]
        ways += [(AHEAD, "those to come, as they end")] if self.kind is ShadowKind.MODEL else []
        self.fields["which"].choices = ways  # type: ignore[attr-defined]
        self.fields["count"].max_value = MOST_TURNS[self.kind]  # type: ignore[attr-defined]
        self.fields["count"].help_text = f"Of the newest, or of those to come; at most {MOST_TURNS[self.kind]:,}."

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if data.get("which") == RANGE and not (data.get("first") and data.get("last")):
            self.add_error("first", "Say from which turn to which.")
        return data

    def wanted(self, scope: Scope) -> Wanted:
        """Raises InvalidInput where the bot has no such turns."""
        data = self.cleaned_data
        first, last = data.get("first") or 1, data.get("last") or 1
        if data["which"] == NEWEST:
            first, last = newest_turns(scope=scope, bot_id=self.participant.bot_id, count=data["count"])
        elif data["which"] == AHEAD:
            first, last = self.participant.turns + 1, self.participant.turns + data["count"]
        return Wanted(kind=self.kind, first_turn=first, last_turn=last, **self.otherwise())

    def otherwise(self) -> dict[str, Any]:
        raise NotImplementedError

    def refuse(self, error: InvalidInput) -> None:
        """Show why a service refused it, at its field where there is one."""
        names = {"turns": "which", "provider": "provider", "prompt": "prompt", "model": "model"}
        for name in error.fields or {}:
            if names.get(name) in self.fields:
                self.add_error(names[name], error.message)
                return
        self.add_error(None, error.message)


class OtherModelForm(TurnsForm):
    kind = ShadowKind.MODEL
    provider = ProviderChoice(queryset=LlmProvider.objects.none(), required=False, widget=UnfoldAdminSelectWidget)
    model = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextInputWidget, help_text="Empty: the provider's."
    )
    prompt = PromptChoice(
        queryset=PromptVersion.objects.none(), required=False, widget=UnfoldAdminSelectWidget,
        empty_label="what each turn was told",
    )  # fmt: skip
    prompt_text = forms.CharField(
        required=False, label="or a prompt that it never had", widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        strip=False, help_text="10 to 10,000 characters, with the same placeholders.",
    )  # fmt: skip

    def __init__(self, *args: Any, participant: Participant, **kwargs: Any) -> None:
        super().__init__(*args, participant=participant, **kwargs)
        own = Q(client_id=participant.client_id) | Q(client=None, is_shared=True)
        rows = LlmProvider.objects.filter(own, retired_at=None, is_enabled=True).select_related("client")
        provider, prompt = self.fields["provider"], self.fields["prompt"]
        provider.queryset = rows.order_by("name", "id")  # type: ignore[attr-defined]
        provider.empty_label = f"its own ({participant.provider.name if participant.provider else NOTHING})"  # type: ignore[attr-defined]
        prompt.queryset = PromptVersion.objects.filter(bot=participant.bot_id).order_by("-number")[:100]  # type: ignore[attr-defined]

    def clean_prompt_text(self) -> str:
        return str(self.cleaned_data["prompt_text"]).replace("\r\n", "\n")

    def otherwise(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "provider_id": data["provider"].pk if data["provider"] else None, "model": data["model"],
            "prompt_id": data["prompt"].pk if data["prompt"] else None, "prompt_text": data["prompt_text"],
        }  # fmt: skip


class OtherRulesForm(TurnsForm):
    kind = ShadowKind.RULES
    fee_percent = _number("fee, %", "Of the notional, each way. Empty: as it was charged.", max_value=100)
    slippage_bps = _number("slippage, hundredths of a percent", "Empty: as it was.", max_value=1000)
    stop_percent = _number("stop-loss, %", "Away from the entry price. Empty: the bot's own; 0: none.", max_value=100)
    take_percent = _number(
        "take-profit, %", "Away from the entry price. Empty: the bot's own; 0: none.", max_value=10_000
    )

    def otherwise(self) -> dict[str, Any]:
        data = self.cleaned_data
        given = {"fee_rate": _share(data["fee_percent"]), "slippage_bps": data["slippage_bps"],
                 "stop_loss_ratio": _share(data["stop_percent"]), "take_profit_ratio": _share(data["take_percent"])}  # fmt: skip
        return {"rules": {name: value for name, value in given.items() if value is not None}}


def _share(percent: Decimal | None) -> Decimal | None:
    return None if percent is None else percent / _PERCENT
