"""Model providers: a key is typed once and never shown again."""

from __future__ import annotations

import time
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from arena.admin.forms import ServiceForm
from arena.admin.shown import uuid_of
from arena.models import LlmProvider, Participant
from arena.services.providers import change_provider, create_provider, retire_provider
from arena.tasks import test_provider
from clients.admin_base import NOTHING, BridgeAdmin, SecretInput, ago, badge, confirmation
from ground.errors import InvalidInput
from ground.http import exact_json
from ledger.admin.shown import plain

WAIT_S = 25.0
LOOK_EVERY_S = 0.3
_ASKS = Participant.objects.filter(Q(provider=OuterRef("pk")) | Q(fallback=OuterRef("pk")), bot__retired_at=None)


class ProviderForm(ServiceForm):
    new_key = forms.CharField(required=False, max_length=500, widget=SecretInput, label="Key")

    class Meta:
        model = LlmProvider
        fields = ("name", "kind", "client", "base_url", "model", "is_shared", "is_enabled", "timeout_s", "max_attempts",
                  "max_output_tokens", "prices")  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "new_key" not in self.fields:
            return  # somebody who may only look
        hint = self.instance.key_hint
        kept = f"Now: {hint}. Empty: it stays. " if hint else ""
        self.fields["new_key"].help_text = f"{kept}Kept encrypted, and never shown. A local server may need none."
        self.fields["prices"].prepare_value = _as_json  # type: ignore[method-assign]
        self.fields["base_url"].help_text = (
            "Empty: the provider's own. A compatible one needs it: http://127.0.0.1:11434/v1. Another address wants the key "
            "again."
        )


@admin.register(LlmProvider)
class LlmProviderAdmin(BridgeAdmin):
    form = ProviderForm
    list_display = ("name", "whose", "kind", "model", "key", "state", "bots", "priced", "tested", "test_said")
    list_display_links = ("name",)
    list_filter = ("kind", "is_enabled", "is_shared")
    list_select_related = ("client",)
    list_fullwidth = True
    search_fields = ("name", "model", "client__account_identifier")
    search_help_text = "its name, a model or an account"
    autocomplete_fields = ("client",)
    ordering = ("retired_at", "name", "id")
    actions_row = ("test",)
    actions_detail = ("test",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LlmProvider]:
        asked = _ASKS.order_by().annotate(n=Func(F("pk"), function="count")).values("n")
        rows: QuerySet[LlmProvider] = super().get_queryset(request)
        return rows.annotate(bots_n=Subquery(asked, output_field=IntegerField()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("kind", "client", "key", "tested", "test_message") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        may = self.has_change_permission(request, obj) if obj else True
        keys: tuple[Any, ...] = ("new_key",) if may else ("key",)
        about = ("name", ("kind", "model"), "base_url", *keys, ("client", "is_shared"), "is_enabled")
        limits = (("timeout_s", "max_attempts"), "max_output_tokens")
        rest = [("Calls", {"fields": limits}), ("Prices", {"fields": ("prices",)})]
        test = [("The last test", {"fields": (("tested", "test_message"),)})] if obj else []
        return [(None, {"fields": about}), *rest, *test]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_gone = isinstance(obj, LlmProvider) and obj.retired_at is not None
        return super().has_change_permission(request, obj) and not is_gone

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_gone = isinstance(obj, LlmProvider) and obj.retired_at is not None
        return super().has_delete_permission(request, obj) and not is_gone

    def save_model(self, request: HttpRequest, obj: LlmProvider, form: Any, change: bool) -> None:
        data, scope = form.cleaned_data, self.scope(request)
        names = ("name", "base_url", "model", "is_shared", "is_enabled", "timeout_s", "max_attempts", "max_output_tokens",
                 "prices")  # fmt: skip
        try:
            if change:
                changes = {name: data[name] for name in names if name in form.changed_data}
                if data["new_key"]:
                    changes["api_key"] = data["new_key"]
                change_provider(scope=scope, provider_id=obj.id, changes=changes, now=timezone.now())
                return
            obj.id = create_provider(
                scope=scope, kind=data["kind"], api_key=data["new_key"], client_id=data["client"] and data["client"].id,
                **{name: data[name] for name in names},
            )  # fmt: skip
        except InvalidInput as error:
            error.fields = {{"api_key": "new_key"}.get(k, k): v for k, v in (error.fields or {}).items()}
            raise

    def delete_model(self, request: HttpRequest, obj: LlmProvider) -> None:
        retire_provider(scope=self.scope(request), provider_id=obj.id, now=timezone.now())

    @action(
        description="Test", icon="send", permissions=["change"], variant=ActionVariant.PRIMARY,
        dialog=confirmation("Ask it something?", "One tiny question, recorded and paid like any other.", "Ask"),
    )  # fmt: skip
    def test(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(request, lambda: self._test(request, uuid_of(object_id)))

    def _test(self, request: HttpRequest, provider_id: UUID) -> str:
        """A worker asks; this waits for what it notes beside the provider."""
        before = _tested(provider_id)
        test_provider.delay(str(provider_id), self.scope(request).actor)
        until = time.monotonic() + WAIT_S
        while (now := _tested(provider_id)) == before and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)
        if now == before:
            raise InvalidInput("It has not answered yet; what comes of it is shown beside it once it is known.")
        said = str(LlmProvider.objects.values_list("test_message", flat=True).get(id=provider_id))
        if " answered in " not in said:
            raise InvalidInput(said)
        return said

    @display(description="whose", ordering="client__account_identifier")
    def whose(self, row: LlmProvider) -> SafeString | str:
        if row.client:
            return row.client.account_identifier
        return badge("shared", "blue", says="Bots of every client may use it.") if row.is_shared else "operators"

    @display(description="key")
    def key(self, row: LlmProvider) -> SafeString | str:
        return row.key_hint or badge("none", "grey", says="Asked without a key.")

    @display(description="state", ordering="is_enabled")
    def state(self, row: LlmProvider) -> SafeString:
        if row.retired_at:
            return badge("retired", "grey", says="Its key is erased; its calls stay on record.")
        return badge("in use", "green") if row.is_enabled else badge("off", "yellow")

    @display(description="bots")
    def bots(self, row: Any) -> int:
        return int(row.bots_n or 0)

    @display(description="USD per million tokens")
    def priced(self, row: LlmProvider) -> SafeString | str:
        price = row.prices.get(row.model) or row.prices.get("*")
        if not price:
            return badge("no price", "yellow", says="Where there is a budget, a call without a price is refused.")
        return f"{plain(_number(price['input']))} in, {plain(_number(price['output']))} out"

    @display(description="tested", ordering="tested_at")
    def tested(self, row: LlmProvider) -> SafeString | str:
        return ago(row.tested_at)

    @display(description="what it said")
    def test_said(self, row: LlmProvider) -> str:
        return row.test_message or NOTHING


def _tested(provider_id: UUID) -> datetime | None:
    return LlmProvider.objects.filter(id=provider_id).values_list("tested_at", flat=True).first()


def _as_json(value: Any) -> Any:
    return exact_json(value) if isinstance(value, dict) else value


def _number(value: Any) -> Any:
    return Decimal(str(value))
