"""What an operator types about bots and templates."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from bots.models import Bot, BotTemplate
from bots.rules.templates import validate_template
from bots.rules.words import RuntimeKind
from bots.services.define_bot import default_kind, template_of
from clients.admin_base import RefusableForm
from clients.models import Connector
from ground.errors import InvalidInput

MOST_CHOICES = 500


class BotForm(RefusableForm):
    class Meta:
        model = Bot
        fields = (
            "client",
            "name",
            "connector_name",
            "pair",
            "connector",
            "strategy",
            "config",
            "runtime_kind",
            "stale_minutes",
            "stopped_minutes",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "pair" not in self.fields:
            return  # somebody who may only look
        self._offer_connectors()
        labels = ", ".join(BotTemplate.objects.filter(is_enabled=True).values_list("name", flat=True))
        helps = {
            "connector_name": "kucoin, binance_perpetual, gate_io …: Hummingbot's or ccxt's name.",
            "pair": "SHARP/USDT; sharp-usdt and SHARP_USDT are understood as well.",
            "strategy": f"A template ({labels or 'none yet'}), or any word for an external bot.",
            "config": 'JSON, for spread {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}. '
            "A change takes effect at the next start.",
            "runtime_kind": "hummingbot: deployed and watched through its API. external: somebody runs it elsewhere.",
            "stale_minutes": "Without a trade for this long it is stale. Empty: as the health settings say.",
            "stopped_minutes": "Without a trade for this long it is stopped. Empty: as the health settings say.",
        }
        for name, text in helps.items():
            self.fields[name].help_text = text
        if self.instance._state.adding:
            self.fields["runtime_kind"].initial = default_kind()

    def _offer_connectors(self) -> None:
        """The client's own on a bot's page; the newest of everybody where the client is not chosen yet."""
        connectors = Connector.objects.filter(retired_at=None).select_related("client")
        if not self.instance._state.adding:
            connectors = connectors.filter(client_id=self.instance.client_id)
        field: Any = self.fields["connector"]
        newest = list(connectors.order_by("-created_at").values_list("id", flat=True)[:MOST_CHOICES])
        field.queryset = connectors.filter(id__in=newest).order_by("client__account_identifier", "name", "label")
        field.label_from_instance = lambda c: f"{c.client.account_identifier} · {c.name} {c.label}".strip()
        field.help_text = "Only needed where the client has several of this exchange; otherwise found by itself."
        field.empty_label = "found by itself"
        kinds: Any = self.fields["runtime_kind"]
        is_arena = self.instance.runtime_kind == RuntimeKind.ARENA
        offered = (RuntimeKind.ARENA,) if is_arena else (RuntimeKind.HUMMINGBOT, RuntimeKind.EXTERNAL)
        kinds.choices = [(kind, kind) for kind in offered]

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        connector, client = (data or {}).get("connector"), (data or {}).get("client")
        if connector and client and connector.client_id != client.id:
            self.add_error("connector", "This is another client's.")
        return data


class CloneForm(BaseDialogForm):
    name = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextInputWidget, label="Name of the clone",
        help_text="Empty: the same name with (copy).",
    )  # fmt: skip


class TemplateForm(RefusableForm):
    class Meta:
        model = BotTemplate
        fields = (
            "name",
            "description",
            "is_enabled",
            "kind",
            "controller_type",
            "controller_name",
            "mapping",
            "schema",
            "defaults",
        )

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if not self.errors and "schema" in data:
            try:
                validate_template(template_of(BotTemplate(**{**data, "is_shipped": False})))
            except InvalidInput as error:
                for name, sentences in (error.fields or {}).items():
                    self.add_error(name if name in self.fields else None, sentences)
        return data
