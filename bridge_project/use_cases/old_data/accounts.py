"""Old clients, their wallets and connectors become ours; what an operator deleted here stays deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from bridge_project.use_cases.old_data.report import KNOWN, LINKED, MADE, Report
from bridge_project.use_cases.old_data.values import (
    OldRow,
    Refused,
    instant_of,
    new_id,
    object_of,
    old_id,
    text_of,
)  # fmt: skip
from clients.models import Client, Connector, Wallet
from clients.rules.identifiers import (
    BASE58_CHAINS,
    account_identifier_from_name,
    address_key,
    check_account_identifier,
    check_wallet,
    key_hint,
)  # fmt: skip
from clients.rules.words import ClientStatus
from clients.services.manage_accounts import connector_name
from ground.errors import InvalidInput
from ground.sql import fetch_one

_DELETED = "It was deleted here since it was imported."
_FERNET = "gAAAAA"  # how a text begins that was encrypted as ours are
_SWITCHED_OFF = {"suspended", "inactive", "disabled", "false"}


class Clients:
    """Whose the imported rows are: old ids and account identifiers, and the client here that they mean."""

    def __init__(self) -> None:
        self._by_id: dict[str, Client] = {}
        self._by_account: dict[str, Client] = {}

    def add(self, client: Client, *, given_id: str, account: str) -> None:
        self._by_id[given_id] = client
        self._by_account[account] = client

    def owner(self, row: OldRow) -> Client:
        """The client of a wallet, connector or bot. Raises Refused."""
        given, account = text_of(row, "client_id"), text_of(row, "account", "account_identifier")
        found = self._by_id.get(given) or self._by_account.get(account)
        if found is None:
            what = f"client {given}" if given else f"client with account_identifier '{account}'"
            raise Refused(f"No {what} was imported.")
        return found


def import_client(row: OldRow, clients: Clients, report: Report) -> None:
    """Find or make the client of an old row. Raises Refused."""
    given, account = old_id(row), text_of(row, "account_identifier", "account")
    name = text_of(row, "name") or account or f"Client {given[:8]}"
    client = Client.objects.filter(source=report.source, source_id=given).first() or _same_id(given)
    outcome = KNOWN
    if client is None and account:
        client, outcome = Client.objects.filter(account_identifier=account, retired_at=None).first(), LINKED
    if client is None:
        client, outcome = _make_client(row, given, name, _identifier(account, name, report), report), MADE
    if client.retired_at or client.deletion_requested_at:
        raise Refused(_DELETED)
    if not client.source_id:
        client.source, client.source_id = report.source, given
        client.save(update_fields=["source", "source_id"])
    clients.add(client, given_id=given, account=account or client.account_identifier)
    report.count("clients", outcome)


def _same_id(given: str) -> Client | None:
    own = new_id("client", "", given)
    return Client.objects.filter(id=own).first() if str(own) == given.lower() else None


def _make_client(row: OldRow, given: str, name: str, identifier: str, report: Report) -> Client:
    is_off = {text_of(row, "status").lower(), text_of(row, "is_active").lower()} & _SWITCHED_OFF
    fields: dict[str, Any] = {
        "status": ClientStatus.SUSPENDED if is_off else ClientStatus.ACTIVE, "email": text_of(row, "email", limit=254),
        "settings": object_of(row, "settings"), "tier": text_of(row, "tier", limit=50) or "standard",
        "management_mode": text_of(row, "management_mode", limit=50) or "managed",
    }  # fmt: skip
    if made_at := instant_of(row, "created_at"):
        fields["created_at"] = made_at
    return Client.objects.create(
        id=new_id("client", report.source, given), name=name, account_identifier=identifier, source=report.source,
        source_id=given, **fields,
    )  # fmt: skip


def _identifier(account: str, name: str, report: Report) -> str:
    """The old one where it is allowed here, else one that is made from it or from the name. Raises Refused."""
    cleaned = account_identifier_from_name(account).removeprefix("client_")
    for candidate in filter(None, (account, cleaned, account_identifier_from_name(name))):
        try:
            check_account_identifier(candidate)
        except InvalidInput:
            continue
        if not Client.objects.filter(account_identifier=candidate, retired_at=None).exists():
            if candidate != account:
                report.note(f"The account_identifier '{account}' is not allowed here and became '{candidate}'.")
            return candidate
    raise Refused(f"Its account_identifier '{account}' is not allowed here, and none that could stand for it is free.")


def import_wallet(row: OldRow, clients: Clients, report: Report) -> None:
    """Give the client its wallet. Raises Refused."""
    given, client = old_id(row), clients.owner(row)
    wallet_id = new_id("wallet", report.source, given)
    address = text_of(row, "address", "wallet_address")
    chain = text_of(row, "chain", "wallet_type") or ("evm" if address[:2].lower() == "0x" else "")
    chain, address = _checked_wallet(chain, address)
    held = Wallet.objects.filter(address_key=address_key(address)).first()
    if held is not None and held.client_id != client.id:
        raise Refused("Its address belongs to another client here.")
    if held is not None or Wallet.objects.filter(id=wallet_id).exists():
        report.count("wallets", KNOWN)
        return
    if _was_deleted("wallets", wallet_id):
        raise Refused(_DELETED)
    fields = {"created_at": made_at} if (made_at := instant_of(row, "created_at")) else {}
    Wallet.objects.create(
        id=wallet_id, client=client, chain=chain, address=address, address_key=address_key(address), **fields
    )
    report.count("wallets", MADE)


def _checked_wallet(chain: str, address: str) -> tuple[str, str]:
    if chain.lower() in BASE58_CHAINS and address == address.lower():
        # It may still be base58 of 32 bytes, but of another account: hardly any real address has no capital.
        raise Refused(
            "The old bridge kept Solana addresses in lower case, which cannot be undone: add it again as it is written."
        )
    try:
        return check_wallet(chain, address)
    except InvalidInput as error:
        raise Refused(error.message) from None


def _was_deleted(table: str, row_id: UUID) -> bool:
    return bool(
        fetch_one(
            "SELECT 1 FROM audit_log WHERE table_name = %s AND row_id = %s AND action = 'DELETE' LIMIT 1",
            [table, str(row_id)],
        )
    )


def import_connector(row: OldRow, clients: Clients, report: Report) -> None:
    """Give the client its account on an exchange, its credentials encrypted. Raises Refused."""
    given, client = old_id(row), clients.owner(row)
    connector_id = new_id("connector", report.source, given)
    try:
        name = connector_name(text_of(row, "name", "connector", "connector_name", "exchange", limit=64))
    except InvalidInput as error:
        raise Refused(error.message) from None
    known = Connector.objects.filter(id=connector_id).first()
    if known is not None and known.retired_at:
        raise Refused(_DELETED)
    secrets = _secrets(row, given, report)
    label = text_of(row, "label", limit=64)
    same = Connector.objects.filter(client=client, name=name, retired_at=None)
    twin = None if known else _twin(list(same.filter(label=label)), secrets)
    if known is not None or twin is not None:
        if twin is not None and twin.api_key is None and secrets:
            Connector.objects.filter(id=twin.id).update(**_stored(secrets))
        report.count("connectors", KNOWN if known is not None else LINKED)
        return
    label = _free_label(label, given, set(same.values_list("label", flat=True)))
    fields: dict[str, Any] = {"created_at": made_at} if (made_at := instant_of(row, "created_at")) else {}
    fields |= _stored(secrets) if secrets else {}
    Connector.objects.create(id=connector_id, client=client, name=name, label=label, **fields)
    report.count("connectors", MADE)


def _secrets(row: OldRow, given: str, report: Report) -> dict[str, str]:
    """The credentials, whole or none."""
    limit = 10_000  # of a key in PEM
    key, secret = text_of(row, "api_key", limit=limit), text_of(row, "api_secret", "secret", limit=limit)
    extra = text_of(row, "passphrase", "memo", limit=limit)
    if secret.startswith(_FERNET):
        report.note(f"connectors[{given}] had credentials that only the old bridge can read; give them again.")
        return {}
    if key and secret:
        return {"api_key": key, "api_secret": secret} | ({"passphrase": extra} if extra else {})
    if key or secret or extra:
        report.note(f"connectors[{given}] had only a part of its credentials; it came without them.")
    return {}


def _stored(secrets: dict[str, str]) -> dict[str, Any]:
    """The columns of credentials that are the connector's first."""
    return {
        **secrets, "credentials_version": 1, "key_hint": key_hint(secrets["api_key"]), "credentials_updated_at": Now()
    }  # fmt: skip


def _twin(same: list[Connector], secrets: dict[str, str]) -> Connector | None:
    """The same account, added here by hand: of the same name and label, with the same key or none to compare."""
    for connector in same:
        if not secrets or connector.api_key is None or connector.api_key.open() == secrets["api_key"]:
            return connector
    return None


def _free_label(label: str, given: str, taken: set[str]) -> str:
    """Several of one exchange are told apart by label, which the old bridge did not have."""
    return label if label not in taken else f"{label} {given}".strip()[:64]
