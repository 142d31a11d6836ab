"""A client's wallets and connectors."""

from __future__ import annotations

import re
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from clients.models import Connector, Wallet
from clients.rules.identifiers import address_key, check_wallet, key_hint
from ground.errors import InvalidInput, NotFound
from ground.scope import Scope

_CONNECTOR_NAME = re.compile(r"[a-z0-9][a-z0-9_]{1,63}\Z")


def add_wallet(*, scope: Scope, client_id: UUID, chain: str, address: str) -> UUID:
    """Give the client a wallet. Raises InvalidInput for a bad address or one that somebody has."""
    chain, address = check_wallet(chain, address)
    try:
        with scope.transaction(reason="wallet added"):
            wallet = Wallet.objects.create(
                client_id=client_id, chain=chain, address=address, address_key=address_key(address)
            )
    except IntegrityError as error:
        raise _explain(error) from None
    return wallet.id


def put_wallet(*, scope: Scope, client_id: UUID, chain: str, address: str) -> None:
    """Make sure that the client has this wallet. Raises InvalidInput, also when it is another client's."""
    with scope.transaction():
        if not Wallet.objects.filter(client_id=client_id, address_key=address_key(address)).exists():
            add_wallet(scope=scope, client_id=client_id, chain=chain, address=address)


def change_wallet(*, scope: Scope, client_id: UUID, wallet_id: UUID, chain: str, address: str) -> None:
    """Replace a wallet's chain and address. Raises NotFound, InvalidInput."""
    chain, address = check_wallet(chain, address)
    try:
        with scope.transaction(reason="wallet changed"):
            found = Wallet.objects.filter(id=wallet_id, client_id=client_id).update(
                chain=chain, address=address, address_key=address_key(address)
            )
    except IntegrityError as error:
        raise _explain(error) from None
    if not found:
        raise NotFound("There is no such wallet.")


def remove_wallet(*, scope: Scope, client_id: UUID, wallet_id: UUID) -> None:
    """Take a wallet away; its address is free again. Raises NotFound."""
    with scope.transaction(reason="wallet removed"):
        found, _ = Wallet.objects.filter(id=wallet_id, client_id=client_id).delete()
    if not found:
        raise NotFound("There is no such wallet.")


def add_connector(
    *,
    scope: Scope,
    client_id: UUID,
    name: str,
    label: str = "",
    api_key: str = "",
    api_secret: str = "",
    memo: str = "",
    passphrase: str = "",
) -> UUID:
    """Give the client an account on an exchange, with or without its credentials. Raises InvalidInput."""
    secrets = _secrets(api_key, api_secret, memo, passphrase)
    try:
        with scope.transaction(reason="connector added"):
            connector = Connector.objects.create(
                client_id=client_id, name=connector_name(name), label=label.strip(), **secrets
            )
    except IntegrityError as error:
        raise _explain(error, name=name, label=label) from None
    return connector.id


def put_connector(*, scope: Scope, client_id: UUID, name: str, label: str = "", **credentials: str) -> None:
    """Make sure that the client has this connector with these credentials. Raises InvalidInput."""
    same = {"client_id": client_id, "name": connector_name(name), "label": label.strip(), "retired_at": None}
    with scope.transaction():
        existing = Connector.objects.filter(**same).values_list("id", flat=True).first()
        if existing is None:
            add_connector(scope=scope, client_id=client_id, name=name, label=label, **credentials)
        else:
            change_connector(scope=scope, client_id=client_id, connector_id=existing, **credentials)


def change_connector(
    *,
    scope: Scope,
    client_id: UUID,
    connector_id: UUID,
    name: str | None = None,
    label: str | None = None,
    api_key: str = "",
    api_secret: str = "",
    memo: str = "",
    passphrase: str = "",
) -> None:
    """Change a connector's name, label or credentials; credentials only change as a whole. Raises NotFound, InvalidInput."""
    changes = _secrets(api_key, api_secret, memo, passphrase)
    if changes:
        changes["credentials_version"] = F("credentials_version") + 1
    if name is not None:
        changes["name"] = connector_name(name)
    if label is not None:
        changes["label"] = label.strip()
    try:
        with scope.transaction(reason="connector changed"):
            mine = Connector.objects.filter(id=connector_id, client_id=client_id, retired_at=None)
            found = mine.update(**changes) if changes else mine.count()
    except IntegrityError as error:
        raise _explain(error, name=name or "", label=label or "") from None
    if not found:
        raise NotFound("There is no such connector.")


def remove_connector(*, scope: Scope, client_id: UUID, connector_id: UUID) -> None:
    """Retire a connector and erase its credentials; what points at its row keeps doing so. Raises NotFound."""
    with scope.transaction(reason="connector removed"):
        found = Connector.objects.filter(id=connector_id, client_id=client_id, retired_at=None).update(**erased())
    if not found:
        raise NotFound("There is no such connector.")


def erased() -> dict[str, object]:
    """What a retired connector's columns hold."""
    return {
        "api_key": None,
        "api_secret": None,
        "passphrase": None,
        "key_hint": "",
        "retired_at": timezone.now(),
        "credentials_version": F("credentials_version") + 1,
    }


def connector_name(name: str) -> str:
    """An exchange's name in the one way it is stored. Raises InvalidInput."""
    clean = re.sub(r"[\s.\-]+", "_", name.strip().lower())
    if not _CONNECTOR_NAME.match(clean):
        raise InvalidInput(
            "A connector's name is an exchange's short name, such as kucoin or binance_perpetual.",
            fields={"name": ["2..64 of a-z 0-9 _"]},
        )
    return clean


def _secrets(api_key: str, api_secret: str, memo: str, passphrase: str) -> dict[str, object]:
    """The credential columns to write: whole, or nothing."""
    api_key, api_secret, extra = api_key.strip(), api_secret.strip(), (passphrase or memo).strip()
    if memo and passphrase and memo != passphrase:
        raise InvalidInput("Give memo or passphrase, not both.", fields={"memo": ["or passphrase, not both"]})
    if not (api_key or api_secret or extra):
        return {}
    if not (api_key and api_secret):
        missing = "api_key" if not api_key else "api_secret"
        raise InvalidInput(f"{missing} is missing: credentials are stored whole.", fields={missing: ["is missing"]})
    return {
        "api_key": api_key,
        "api_secret": api_secret,
        "passphrase": extra or None,
        "key_hint": key_hint(api_key),
        "credentials_version": 1,
        "credentials_updated_at": timezone.now(),
    }


def _explain(error: IntegrityError, *, name: str = "", label: str = "") -> Exception:
    text = str(error)
    if "address_key" in text:
        return InvalidInput(
            "This wallet address already belongs to a client.", code="wallet_taken", fields={"address": ["taken"]}
        )
    if "connectors_name_label_key" in text:
        labelled = f" with the label '{label}'" if label else ""
        return InvalidInput(
            f"The client already has a connector '{name}'{labelled}; tell several of one exchange apart by label.",
            code="duplicate_connector",
            fields={"label": ["already taken"]},
        )
    return error
