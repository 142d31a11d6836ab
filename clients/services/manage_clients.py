"""Making and changing clients."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError

from clients.models import Client
from clients.rules.identifiers import account_identifier_from_name, check_account_identifier
from clients.services.manage_accounts import add_connector, add_wallet
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope

CHANGEABLE = ("name", "email", "tier", "settings", "management_mode", "status")


def create_client(
    *,
    scope: Scope,
    name: str,
    account_identifier: str = "",
    wallets: list[dict[str, str]] | None = None,
    connectors: list[dict[str, str]] | None = None,
    **fields: Any,
) -> UUID:
    """Make a client with its wallets and connectors, all or nothing. Raises InvalidInput."""
    identifier = _identifier(name, account_identifier)
    try:
        with scope.transaction(reason="client created"):
            client = Client.objects.create(name=name.strip(), account_identifier=identifier, **fields)
            for wallet in wallets or []:
                add_wallet(scope=scope, client_id=client.id, **wallet)
            for connector in connectors or []:
                add_connector(scope=scope, client_id=client.id, **connector)
    except IntegrityError as error:
        raise _taken(error, identifier) from None
    return client.id


def update_client(*, scope: Scope, client_id: UUID, changes: dict[str, Any]) -> None:
    """Change what ``changes`` names. Raises NotFound, InvalidInput."""
    unknown = sorted(set(changes) - {*CHANGEABLE, "account_identifier"})
    if unknown:
        raise InvalidInput(
            f"{', '.join(unknown)} cannot be changed.", fields={name: ["cannot be changed"] for name in unknown}
        )
    if "account_identifier" in changes:
        check_account_identifier(changes["account_identifier"])
    try:
        with scope.transaction(reason="client changed"):
            found = Client.objects.filter(id=client_id, retired_at=None).update(**changes) if changes else 1
    except IntegrityError as error:
        raise _taken(error, str(changes.get("account_identifier", ""))) from None
    if not found:
        raise NotFound("There is no such client.")


def lock_client(client_id: UUID) -> Client:
    """The client's row, locked for this transaction. Raises NotFound, or Conflict while it is being deleted."""
    client = Client.objects.select_for_update().filter(id=client_id, retired_at=None).first()
    if client is None:
        raise NotFound("There is no such client.")
    if client.deletion_requested_at:
        raise Conflict("This client is being deleted.", code="deleting")
    return client


def _identifier(name: str, given: str) -> str:
    if given:
        return check_account_identifier(given)
    made = account_identifier_from_name(name)
    if made == "client_" or len(made) > 63:
        raise InvalidInput(
            "No account_identifier can be made from this name; give one of 3 to 63 characters of a-z, 0-9 and _.",
            fields={"account_identifier": ["give one"]},
        )
    return check_account_identifier(made)


def _taken(error: IntegrityError, identifier: str) -> Exception:
    if "clients_account_identifier_key" in str(error):
        return InvalidInput(
            f"Account identifier '{identifier}' already exists",
            code="duplicate_account_identifier",
            fields={"account_identifier": ["already exists"]},
        )
    return error
