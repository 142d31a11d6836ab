"""The HTTP surface of clients, wallets and connectors."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from clients import selectors
from clients import serializers as shapes
from clients.authentication import ReadAlong
from clients.idempotency import idempotent
from clients.services import manage_accounts, manage_clients
from clients.views import ScopedView
from ground.errors import NotFound
from ground.http import dump, json_response
from ground.keyset import Page

MOST_UNASKED = 5000
LIST_PARAMETERS = [
    OpenApiParameter("limit", int, description="1..500; without it up to 5,000."),
    OpenApiParameter("cursor", str, description="`next` of the page before."),
    OpenApiParameter("offset", int, description="For pages that count: adds `pagination`."),
]


def read_body(shape: type[shapes.serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The request's body in this shape; null means not given. Raises ValidationError.

    Making a serializer copies all its fields, a tenth of a small write: flat ones are kept per thread, without any data.
    """
    serializer = vars(_serializers).pop(_name(shape), None) or shape(data={})
    serializer.initial_data = request.data
    try:
        serializer.is_valid(raise_exception=True)
        return {name: value for name, value in serializer.validated_data.items() if value is not None}
    finally:
        for name in ("initial_data", "_validated_data", "_errors"):
            vars(serializer).pop(name, None)
        if not any(isinstance(field, shapes.serializers.BaseSerializer) for field in serializer.fields.values()):
            vars(_serializers)[_name(shape)] = serializer


_serializers = threading.local()


def _name(shape: type) -> str:
    return f"{shape.__module__}.{shape.__qualname__}"


def list_body(name: str, found: dict[str, Any], page: Page) -> bytes:
    """``{name: rows, total, next, pagination?}`` around rows that the database wrote as JSON."""
    extra: dict[str, Any] = {"total": found["total"], "next": found["next"]}
    if page.offset is not None:
        extra["pagination"] = page.pagination(found["total"])
    return b'{"%b":%b,%b' % (name.encode(), found["rows"].encode(), dump(extra)[1:])


class ClientsView(ScopedView):
    @extend_schema(
        operation_id="list_clients",
        responses=shapes.ClientsShown,
        parameters=[*LIST_PARAMETERS, OpenApiParameter("search", str), OpenApiParameter("status", str)],
    )
    def get(self, request: Request) -> HttpResponse:
        """The clients in the caller's scope, oldest first."""
        page = Page.read(request.query_params, key_length=2, default=MOST_UNASKED)
        found = selectors.clients_page(self.scope, page, search=text(request, "search"), status=text(request, "status"))
        return json_response(list_body("clients", found, page))


class CreateClientView(ScopedView):
    operators_only = True

    @extend_schema(operation_id="create_client", request=shapes.ClientInput, responses={201: shapes.ClientShown})
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """Make a client with its wallets and connectors, all or nothing. Secrets go in and never come out."""
        body = read_body(shapes.ClientInput, request)
        with self.scope.transaction():
            client_id = manage_clients.create_client(scope=self.scope, **body)
            return json_response(selectors.client_json(self.scope, client_id), status=201)


class ClientView(ScopedView):
    """One client. Deleting one needs to know its bots, so that method is composed in bridge_project."""

    @extend_schema(operation_id="get_client", responses=shapes.ClientShown)
    def get(self, request: Request, client: str) -> HttpResponse:
        with self.scope.transaction():
            return self.shown(selectors.resolve_client(self.scope, client))

    @extend_schema(operation_id="update_client", request=shapes.ClientChange, responses=shapes.ClientShown)
    def put(self, request: Request, client: str) -> HttpResponse:
        """Change what the body names; what it does not name stays."""
        client_id = selectors.resolve_client(self.scope, client)
        body = read_body(shapes.ClientChange, request)
        if not self.scope.is_operator:
            for name in ("status", "tier", "account_identifier", "management_mode"):
                body.pop(name, None)
        with self.scope.transaction():
            manage_clients.update_client(scope=self.scope, client_id=client_id, changes=body)
            return self.shown(client_id)

    @extend_schema(operation_id="change_client", request=shapes.ClientChange, responses=shapes.ClientShown)
    def patch(self, request: Request, client: str) -> HttpResponse:
        """The same as PUT."""
        return self.put(request, client)

    def shown(self, client_id: UUID) -> HttpResponse:
        return json_response(selectors.client_json(self.scope, client_id))


class ClientByWalletView(ScopedView):
    """Asked by every page that a wallet opens: with an API key it is one statement."""

    def read_along(self, request: Request) -> ReadAlong | None:
        return ReadAlong(selectors.BY_WALLET, selectors.wallet_params(self.kwargs["address"]))

    @extend_schema(operation_id="get_client_by_wallet", responses=shapes.ClientOfWallet)
    def get(self, request: Request, address: str) -> HttpResponse:
        """Whose wallet this is. EVM addresses match in any letter case, base58 addresses exactly."""
        if self.along and self.along.is_done:
            return json_response(selectors.wallet_answer(self.along.row))
        return json_response(selectors.client_by_wallet_json(self.scope, address))


class WalletsView(ClientView):
    http_method_names = ["put", "options"]

    @extend_schema(operation_id="add_wallet", request=shapes.WalletInput, responses=shapes.ClientShown)
    def put(self, request: Request, client: str) -> HttpResponse:
        """Add a wallet; the same address again changes nothing. Answers the whole client."""
        client_id = selectors.resolve_client(self.scope, client)
        body = read_body(shapes.WalletInput, request)
        with self.scope.transaction():
            manage_clients.lock_client(client_id)
            manage_accounts.put_wallet(scope=self.scope, client_id=client_id, **body)
            return self.shown(client_id)


class WalletView(ClientView):
    http_method_names = ["put", "delete", "options"]

    @extend_schema(operation_id="change_wallet", request=shapes.WalletInput, responses=shapes.ClientShown)
    def put(self, request: Request, client: str, wallet: str) -> HttpResponse:  # type: ignore[override]
        """Replace a wallet. Answers the whole client."""
        client_id = selectors.resolve_client(self.scope, client)
        body = read_body(shapes.WalletInput, request)
        with self.scope.transaction():
            manage_accounts.change_wallet(
                scope=self.scope, client_id=client_id, wallet_id=row_id(wallet, "wallet"), **body
            )
            return self.shown(client_id)

    @extend_schema(operation_id="remove_wallet", responses={200: dict})
    def delete(self, request: Request, client: str, wallet: str) -> HttpResponse:
        """Remove a wallet; its address is free again."""
        client_id = selectors.resolve_client(self.scope, client)
        wallet_id = row_id(wallet, "wallet")
        manage_accounts.remove_wallet(scope=self.scope, client_id=client_id, wallet_id=wallet_id)
        return json_response({"status": "deleted", "wallet_id": wallet_id, "client_id": client_id})


class ConnectorsView(ClientView):
    http_method_names = ["put", "options"]

    @extend_schema(operation_id="add_connector", request=shapes.ConnectorInput, responses=shapes.ClientShown)
    def put(self, request: Request, client: str) -> HttpResponse:
        """Add a connector, or give the one of this name and label new credentials. Answers the whole client."""
        client_id = selectors.resolve_client(self.scope, client)
        body = read_body(shapes.ConnectorInput, request)
        with self.scope.transaction():
            manage_clients.lock_client(client_id)
            manage_accounts.put_connector(scope=self.scope, client_id=client_id, **body)
            return self.shown(client_id)


class ConnectorView(ClientView):
    http_method_names = ["put", "delete", "options"]

    @extend_schema(operation_id="change_connector", request=shapes.ConnectorChange, responses=shapes.ClientShown)
    def put(self, request: Request, client: str, connector: str) -> HttpResponse:  # type: ignore[override]
        """Change a connector; credentials change only as a whole. Answers the whole client."""
        client_id = selectors.resolve_client(self.scope, client)
        body = read_body(shapes.ConnectorChange, request)
        with self.scope.transaction():
            manage_accounts.change_connector(
                scope=self.scope, client_id=client_id, connector_id=row_id(connector, "connector"), **body
            )
            return self.shown(client_id)

    @extend_schema(operation_id="remove_connector", responses={200: dict})
    def delete(self, request: Request, client: str, connector: str) -> HttpResponse:
        """Remove a connector; its credentials are erased."""
        client_id = selectors.resolve_client(self.scope, client)
        connector_id = row_id(connector, "connector")
        manage_accounts.remove_connector(scope=self.scope, client_id=client_id, connector_id=connector_id)
        return json_response({"status": "deleted", "connector_id": connector_id, "client_id": client_id})


def row_id(given: str, what: str) -> UUID:
    """A UUID in a path. Raises NotFound."""
    found = selectors.as_uuid(given)
    if found is None:
        raise NotFound(f"There is no such {what}.")
    return found


def text(request: Request, name: str) -> str:
    """A query parameter as a search may use it; NUL cannot be in any row, so it matches nothing."""
    return str(request.query_params.get(name, ""))[:200].replace("\x00", "�").strip()
