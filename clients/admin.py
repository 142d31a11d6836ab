"""Admin pages of clients, wallets, connectors and API keys. ``ClientAdmin`` and ``ConnectorAdmin`` are
registered by bridge_project, which knows the bots as well."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from clients import admin_audit  # noqa: F401 - registers the audit's page
from clients.admin_base import NOTHING, BridgeAdmin, RefusableForm, SecretInput, ago, badge, confirmation, count_of
from clients.models import ApiKey, Client, Connector, Wallet
from clients.rules.words import ClientStatus, KeyKind, KeyScope
from clients.services import manage_accounts
from clients.services.keys import create_api_key, revoke_api_keys
from clients.services.manage_clients import create_client, update_client

CLIENT_COLORS = {ClientStatus.ACTIVE: "green", ClientStatus.SUSPENDED: "orange", ClientStatus.DELETING: "grey"}
SECRET_FIELDS = ("new_api_key", "new_api_secret", "new_memo")


class ConnectorForm(RefusableForm):
    """Name and label are shown; the credentials only go in."""

    new_api_key = forms.CharField(required=False, max_length=500, widget=SecretInput, label="API key")
    new_api_secret = forms.CharField(required=False, max_length=2000, widget=SecretInput, label="API secret")
    new_memo = forms.CharField(
        required=False,
        max_length=500,
        widget=SecretInput,
        label="memo or passphrase",
        help_text="Where the exchange wants one: KuCoin, OKX, Bitget a passphrase, BitMart a memo.",
    )

    class Meta:
        model = Connector
        fields = ("name", "label")

    def credentials(self) -> dict[str, str]:
        return {name.removeprefix("new_"): self.cleaned_data.get(name) or "" for name in SECRET_FIELDS}


class WalletInline(TabularInline):
    model = Wallet
    fields = ("chain", "address")
    extra = 0
    verbose_name_plural = "wallets"


class ConnectorInline(TabularInline):
    model = Connector
    form = ConnectorForm
    fields = ("name", "label", "stored", *SECRET_FIELDS)
    readonly_fields = ("stored",)
    extra = 0
    verbose_name_plural = "connectors (secrets typed here replace those stored)"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connector]:
        rows: QuerySet[Connector] = super().get_queryset(request)
        return rows.filter(retired_at=None)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Removing a connector retires its row, so bots that point at it are no hindrance."""
        made = super().get_formset(request, obj, **kwargs)
        made.form = type("RetiringConnectorForm", (made.form,), {"hand_clean_DELETE": lambda form: None})
        return made

    @display(description="stored key")
    def stored(self, connector: Connector) -> str:
        return connector.key_hint or NOTHING


class ClientForm(RefusableForm):
    class Meta:
        model = Client
        fields = ("name", "account_identifier", "email", "status", "tier", "management_mode", "settings")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "account_identifier" in self.fields and self.instance._state.adding:
            self.fields["account_identifier"].required = False
            self.fields[
                "account_identifier"
            ].help_text = "Empty: made from the name, “Sharp Foundation” gives client_sharp_foundation."
        if "status" in self.fields:
            known = [ClientStatus.ACTIVE, ClientStatus.SUSPENDED]
            self.fields["status"].choices = [(word, word) for word in known]  # type: ignore[attr-defined]
            self.fields["status"].help_text = "Suspended: its API keys are refused; its rows and bots stay."


class ClientAdmin(BridgeAdmin):
    form = ClientForm
    inlines = (WalletInline, ConnectorInline)
    list_display = ("name", "account_identifier", "state", "tier", "wallet_count", "connector_count", "made")
    list_filter = ("status",)
    search_fields = ("name", "account_identifier", "email", "wallets__address_key")
    search_help_text = "name, account, e-mail or wallet address"
    fieldsets = (
        (None, {"fields": ("name", "account_identifier", "email", "status")}),
        ("More", {"fields": ("tier", "management_mode", "settings"), "classes": ("collapse",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        rows: QuerySet[Client] = super().get_queryset(request)
        return rows.filter(retired_at=None).annotate(
            wallets_n=count_of(Wallet.objects.all()),
            connectors_n=count_of(Connector.objects.filter(retired_at=None)),
        )

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        if change:
            update_client(
                scope=self.scope(request),
                client_id=obj.id,
                changes={name: form.cleaned_data[name] for name in form.changed_data if name in form.cleaned_data},
            )
        else:
            obj.id = create_client(scope=self.scope(request), **form.cleaned_data)
            obj._state.adding = False
            obj.refresh_from_db()

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)  # only notes what changed; the services write
        save = self._save_wallet if formset.model is Wallet else self._save_connector
        for row in formset.forms:
            if row in formset.deleted_forms:
                save(request, form.instance.id, row, removed=True)
            elif row.has_changed():
                save(request, form.instance.id, row, removed=False)
        self.connectors_changed(request)

    def _save_wallet(self, request: HttpRequest, client_id: UUID, row: Any, *, removed: bool) -> None:
        given = {"scope": self.scope(request), "client_id": client_id}
        is_new = row.instance._state.adding
        if removed and not is_new:
            manage_accounts.remove_wallet(**given, wallet_id=row.instance.id)
        elif is_new and not removed:
            manage_accounts.add_wallet(**given, chain=row.cleaned_data["chain"], address=row.cleaned_data["address"])
        elif not removed:
            manage_accounts.change_wallet(
                **given, wallet_id=row.instance.id, chain=row.cleaned_data["chain"], address=row.cleaned_data["address"]
            )

    def _save_connector(self, request: HttpRequest, client_id: UUID, row: Any, *, removed: bool) -> None:
        given = {"scope": self.scope(request), "client_id": client_id}
        is_new = row.instance._state.adding
        if removed and not is_new:
            manage_accounts.remove_connector(**given, connector_id=row.instance.id)
        elif not removed:
            names = {"name": row.cleaned_data["name"], "label": row.cleaned_data["label"], **row.credentials()}
            if is_new:
                manage_accounts.add_connector(**given, **names)
            else:
                manage_accounts.change_connector(**given, connector_id=row.instance.id, **names)

    def connectors_changed(self, request: HttpRequest) -> None:
        """For whoever knows what else depends on a client's connectors."""

    @display(description="status", ordering="status")
    def state(self, client: Client) -> SafeString:
        return badge(client.status, CLIENT_COLORS[ClientStatus(client.status)])

    @display(description="wallets", ordering="wallets_n")
    def wallet_count(self, client: Any) -> int:
        return int(client.wallets_n)

    @display(description="connectors", ordering="connectors_n")
    def connector_count(self, client: Any) -> int:
        return int(client.connectors_n)

    @display(description="created", ordering="created_at")
    def made(self, client: Client) -> SafeString | str:
        return ago(client.created_at)


@admin.register(Wallet)
class WalletAdmin(BridgeAdmin):
    list_display = ("address", "chain", "client", "made")
    list_select_related = ("client",)
    search_fields = ("address_key", "client__account_identifier", "client__name")
    search_help_text = "address (EVM addresses in lower case), account or name"
    autocomplete_fields = ("client",)
    fields = ("client", "chain", "address")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("client",) if obj else ()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        is_evm = search_term[:2].lower() == "0x"
        return super().get_search_results(request, queryset, search_term.lower() if is_evm else search_term)

    def save_model(self, request: HttpRequest, obj: Wallet, form: Any, change: bool) -> None:
        given = {"scope": self.scope(request), "client_id": obj.client_id, "chain": obj.chain, "address": obj.address}
        if change:
            manage_accounts.change_wallet(**given, wallet_id=obj.id)
        else:
            obj.id = manage_accounts.add_wallet(**given)

    def delete_model(self, request: HttpRequest, obj: Wallet) -> None:
        manage_accounts.remove_wallet(scope=self.scope(request), client_id=obj.client_id, wallet_id=obj.id)

    @display(description="added", ordering="created_at")
    def made(self, wallet: Wallet) -> SafeString | str:
        return ago(wallet.created_at)


class ConnectorAdmin(BridgeAdmin):
    form = ConnectorForm
    list_display = ("exchange", "label", "client", "stored", "changed", "made")
    list_select_related = ("client",)
    search_fields = ("name", "label", "client__account_identifier", "client__name")
    search_help_text = "exchange, label, account or name"
    autocomplete_fields = ("client",)
    fieldsets = (
        (None, {"fields": ("client", "name", "label")}),
        (
            "Credentials",
            {
                "fields": ("stored", *SECRET_FIELDS),
                "description": "Stored encrypted and never shown again. Leave the fields empty to keep what is stored; "
                "credentials change only as a whole.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connector]:
        rows: QuerySet[Connector] = super().get_queryset(request)
        return rows.filter(retired_at=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("stored", "client") if obj else ("stored",)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        names = ("name", "label") if obj else ("client", "name", "label")
        return super().get_form(request, obj, change, **{**kwargs, "fields": [*names, *SECRET_FIELDS]})

    def save_model(self, request: HttpRequest, obj: Connector, form: Any, change: bool) -> None:
        given = {"scope": self.scope(request), "client_id": obj.client_id, "name": obj.name, "label": obj.label}
        if change:
            manage_accounts.change_connector(**given, connector_id=obj.id, **form.credentials())
        else:
            obj.id = manage_accounts.add_connector(**given, **form.credentials())
        self.connectors_changed(request)

    def delete_model(self, request: HttpRequest, obj: Connector) -> None:
        manage_accounts.remove_connector(scope=self.scope(request), client_id=obj.client_id, connector_id=obj.id)

    def connectors_changed(self, request: HttpRequest) -> None:
        """For whoever knows what else depends on connectors."""

    @display(description="exchange", ordering="name")
    def exchange(self, connector: Connector) -> str:
        return connector.name

    @display(description="stored key")
    def stored(self, connector: Connector) -> SafeString | str:
        return connector.key_hint or badge("no credentials", "grey", says="Trades cannot be read without them.")

    @display(description="credentials changed", ordering="credentials_updated_at")
    def changed(self, connector: Connector) -> SafeString | str:
        return ago(connector.credentials_updated_at)

    @display(description="added", ordering="created_at")
    def made(self, connector: Connector) -> SafeString | str:
        return ago(connector.created_at)


class ApiKeyForm(RefusableForm):
    class Meta:
        model = ApiKey
        fields = ("kind", "scope", "name", "client", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"].choices = [(k, k) for k in (KeyKind.CLIENT, KeyKind.OPERATOR)]  # type: ignore[attr-defined]
            self.fields["scope"].choices = [(s, s) for s in (KeyScope.READ, KeyScope.MANAGE)]  # type: ignore[attr-defined]
            self.fields[
                "kind"
            ].help_text = "client: its own rows only. operator: everything. A bot's ping key is made on the bot's page."

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        kind, client = data.get("kind"), data.get("client")
        if kind == KeyKind.CLIENT and client is None and "client" not in self.errors:
            self.add_error("client", "Choose whose key this is.")
        if kind == KeyKind.OPERATOR and client is not None:
            self.add_error("client", "An operator's key belongs to no client.")
        if data.get("expires_at") and data["expires_at"] <= timezone.now():
            self.add_error("expires_at", "This moment has passed.")
        return data


@admin.register(ApiKey)
class ApiKeyAdmin(BridgeAdmin):
    form = ApiKeyForm
    list_display = ("prefix", "state", "kind", "scope", "name", "client", "used", "expires", "created_by", "made")
    list_filter = ("kind", "scope")
    list_select_related = ("client",)
    search_fields = ("prefix", "name", "client__account_identifier", "client__name")
    autocomplete_fields = ("client",)
    actions = ("revoke_selected",)
    actions_row = ("revoke",)
    fields = ("kind", "scope", "name", "client", "expires_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("clients.change_apikey"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        shown = ("prefix", "state", *self.fields, "bot_id", "used", "created_by", "created_at", "revoked_at")
        return shown if obj else self.fields

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        data = form.cleaned_data
        token = create_api_key(
            scope=self.scope(request),
            kind=KeyKind(data["kind"]),
            key_scope=KeyScope(data["scope"]),
            name=data["name"],
            client_id=data["client"].id if data["client"] else None,
            expires_at=data["expires_at"],
        )
        obj.pk = ApiKey.objects.values_list("id", flat=True).get(prefix=token.rpartition("_")[0])
        request.bridge_token = token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return show_token(self, request, request.bridge_token, opts=self.opts)  # type: ignore[attr-defined]

    @action(
        description="Revoke",
        icon="block",
        permissions=["revoke"],
        dialog=confirmation("Revoke this key?", "Whoever uses it is refused at once, for good.", "Revoke"),
    )
    def revoke(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(request, lambda: self._revoke(request, [UUID(object_id)]))

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        if not request.POST.get("confirmed"):
            return self.confirm(
                request,
                queryset,
                action="revoke_selected",
                title="Revoke these keys?",
                says="Whoever uses them is refused at once, for good.",
            )
        messages.success(request, self._revoke(request, list(queryset.values_list("id", flat=True))))
        return None

    def _revoke(self, request: HttpRequest, ids: list[UUID]) -> str:
        count = revoke_api_keys(scope=self.scope(request), ids=ids)
        return f"{count} {'key was' if count == 1 else 'keys were'} revoked."

    @display(description="state")
    def state(self, key: ApiKey) -> SafeString:
        if key.revoked_at:
            return badge("revoked", "red")
        if key.expires_at and key.expires_at <= timezone.now():
            return badge("expired", "grey")
        return badge("active", "green")

    @display(description="last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString | str:
        return ago(key.last_used_at)

    @display(description="expires", ordering="expires_at")
    def expires(self, key: ApiKey) -> SafeString | str:
        return ago(key.expires_at)

    @display(description="made", ordering="created_at")
    def made(self, key: ApiKey) -> SafeString | str:
        return ago(key.created_at)


def show_token(page: BridgeAdmin, request: HttpRequest, token: str, *, opts: Any) -> HttpResponse:
    """The only page that ever shows a token: the answer to the POST that made it. Kept nowhere, cached nowhere."""
    context = page.admin_site.each_context(request) | {"title": "The new API key", "token": token, "opts": opts}
    return TemplateResponse(request, "admin/bridge/key.html", context, headers={"Cache-Control": "no-store"})
