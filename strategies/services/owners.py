"""Whose strategies a request means: an account that it names, else the client's own, else the desk's."""

from __future__ import annotations

from uuid import UUID

from clients.models import Client
from clients.services.manage_clients import create_client
from ground.errors import InvalidInput
from ground.scope import Scope
from strategies.rules.words import DESK


def find_owner(*, scope: Scope, account: str) -> UUID | None:
    """The client whose strategies are meant; None for an unknown or foreign account, and for a desk never used."""
    if not account and scope.client_id:
        return scope.client_id
    with scope.transaction():
        found = Client.objects.filter(account_identifier=account or DESK, retired_at=None)
        if scope.client_id:
            found = found.filter(id=scope.client_id)
        client_id: UUID | None = found.values_list("id", flat=True).first()
        return client_id


def owner_to_start(*, scope: Scope, account: str) -> UUID:
    """The same for a start, which makes the desk at its first use. Raises InvalidInput for an unknown account."""
    found = find_owner(scope=scope, account=account)
    if found is None and account in ("", DESK) and scope.is_operator:
        found = _make_desk(scope)
    if found is None:
        raise InvalidInput(
            f"No client found with account_identifier '{account[:63]}'", code="unknown_account",
            fields={"account": ["unknown"]},
        )  # fmt: skip
    return found


def _make_desk(scope: Scope) -> UUID | None:
    try:
        return create_client(scope=scope, name="Desk", account_identifier=DESK)
    except InvalidInput:  # somebody else was faster
        return find_owner(scope=scope, account=DESK)
