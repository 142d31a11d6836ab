"""A connector's credentials at Hummingbot: the only place where a secret leaves the bridge, and only from a worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from structlog import get_logger

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import HummingbotCredential
from bots.rules.names import account_name
from clients.models import Connector
from exchanges.hummingbot import connector_name, hummingbot_credentials, required_connector_name
from exchanges.types import Credentials
from ground.errors import BadCredentials, GatewayError, InvalidInput, Rejected, UnknownOutcome
from ground.scope import system_scope

log = get_logger(__name__)

CREDENTIALS = system_scope("hummingbot-credentials")


@dataclass(frozen=True, slots=True)
class _Plain:
    client_id: UUID
    account: str
    connector: str
    version: int
    keys: Credentials = field(repr=False)


def is_synced(connector: Connector) -> bool:
    """Whether Hummingbot holds this connector's present credentials. Inside the caller's transaction."""
    return HummingbotCredential.objects.filter(
        connector_id=connector.id,
        synced_version=connector.credentials_version,
        refused_version__lt=connector.credentials_version,
    ).exists()


def account_of(connector: Connector) -> str:
    """The Hummingbot account for a connector: its client's. One account holds one set of keys per exchange, so a
    further connector of the same exchange, told apart by its label, gets an account of its own."""
    base = account_name(connector.client.account_identifier, connector.client_id)
    known = (
        HummingbotCredential.objects.filter(connector_id=connector.id).values_list("account_name", flat=True).first()
    )
    if known:
        return str(known)
    is_first = not connector.label and connector.name == required_connector_name(connector.name)
    return base if is_first else f"{base}-{connector.id.hex[:8]}"


def sync_credentials(*, connector_id: UUID, gateway: HummingbotGateway, now: datetime) -> None:
    """Give Hummingbot the credentials unless it has this version of them.

    Raises InvalidInput, BadCredentials or Rejected when they cannot be used (the sentence is stored), Unavailable,
    RateLimited or UnknownOutcome when it could not be told: the same call later is safe.
    """
    plain = _read(connector_id)
    if plain is None:
        return
    try:
        _ensure_account(gateway, plain.account)
        gateway.add_credentials(plain.account, plain.connector, hummingbot_credentials(plain.connector, plain.keys))
    except (InvalidInput, BadCredentials, Rejected) as error:
        _record(connector_id, plain, message=error.message, refused_version=plain.version)
        raise
    _record(connector_id, plain, message="", synced_version=plain.version, synced_at=now, refused_version=0)


def erase_retired_credentials(*, gateway: HummingbotGateway) -> int:
    """Have Hummingbot forget the keys of connectors that were removed here; returns of how many. Safe to run twice.

    One that cannot be asked for stays, with its row, for the next run.
    """
    with CREDENTIALS.transaction():
        retired = HummingbotCredential.objects.select_related("connector").filter(connector__retired_at__isnull=False)
        found = [(row.connector_id, row.account_name, connector_name(row.connector.name)) for row in retired[:50]]
    erased = 0
    for connector_id, account, name in found:
        try:
            if name:
                gateway.delete_credentials(account, name)
        except GatewayError as error:
            log.warning("hummingbot_keeps_retired_credentials", connector=str(connector_id), reason=error.message)
            continue
        with CREDENTIALS.transaction(reason="credentials erased in Hummingbot"):
            erased += HummingbotCredential.objects.filter(connector_id=connector_id).delete()[0]
    return erased


def _read(connector_id: UUID) -> _Plain | None:
    """The credentials to send; None when Hummingbot has them. Raises InvalidInput when there are none."""
    with CREDENTIALS.transaction():
        connector = Connector.objects.select_related("client").filter(id=connector_id, retired_at=None).first()
        if connector is None or not connector.api_key or not connector.api_secret:
            raise InvalidInput(
                "The connector has no credentials: add its API key and secret, then start the bot again."
            )
        if is_synced(connector):
            return None
        return _Plain(
            client_id=connector.client_id,
            account=account_of(connector),
            connector=required_connector_name(connector.name),
            version=connector.credentials_version,
            keys=Credentials(
                api_key=connector.api_key.open(),
                api_secret=connector.api_secret.open(),
                memo=connector.passphrase.open() if connector.passphrase else "",
            ),
        )


def _ensure_account(gateway: HummingbotGateway, account: str) -> None:
    if account in gateway.accounts():
        return
    try:
        gateway.add_account(account)
    except (Rejected, UnknownOutcome):
        # Another worker made it meanwhile, or this call did after all.
        if account not in gateway.accounts():
            raise


def _record(connector_id: UUID, plain: _Plain, *, message: str, **changes: object) -> None:
    with CREDENTIALS.transaction():
        HummingbotCredential.objects.update_or_create(
            connector_id=connector_id,
            defaults={"message": message[:500], **changes},
            create_defaults={
                "client_id": plain.client_id,
                "account_name": plain.account,
                "message": message[:500],
                **changes,
            },  # fmt: skip
        )
