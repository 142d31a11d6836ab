"""Making and changing channels. An address is checked, stored encrypted, and never shown again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from alerts.gateways.apprise import is_apprise_address
from alerts.models import AlertChannel, AlertRule
from alerts.rules.addresses import check_apprise, check_mail, check_webhook
from alerts.rules.words import ChannelKind
from bots.models import Bot
from clients.models import Client
from ground.errors import InvalidInput, NotFound
from ground.scope import Scope

CHANGEABLE = ("name", "address", "is_enabled")
KEY_MARK = "tbw_"
FIRST_RULE = "what needs a look, at once"


@dataclass(frozen=True, slots=True)
class NewChannel:
    """``signing_key`` is a webhook's, shown this once; None for other kinds."""

    id: UUID
    signing_key: str | None = None


def create_channel(
    *,
    scope: Scope,
    name: str,
    kind: ChannelKind,
    address: str,
    client_id: UUID | None = None,
    bot_id: UUID | None = None,
    is_enabled: bool = True,
    with_rule: bool = True,
) -> NewChannel:
    """A channel for operators, for a client, or for one bot (whose client is then its owner).

    ``with_rule`` gives it a first rule, warnings and worse at once: without any rule a channel gets nothing.
    Raises InvalidInput naming the field, NotFound for the client or bot.
    """
    stored, hint = check_address(kind, address)
    key = _new_key() if kind == ChannelKind.WEBHOOK else None
    try:
        with scope.transaction(reason="channel created"):
            channel = AlertChannel.objects.create(
                name=_name(name),
                kind=ChannelKind(kind),
                address=stored,
                address_hint=hint,
                signing_key=key,
                client_id=_owner(client_id, bot_id),
                bot_id=bot_id,
                is_enabled=is_enabled,
            )
            if with_rule:
                AlertRule.objects.create(channel=channel, client_id=channel.client_id, name=FIRST_RULE)
    except IntegrityError as error:
        raise _taken(error) from None
    return NewChannel(channel.id, key)


def change_channel(*, scope: Scope, channel_id: UUID, changes: dict[str, Any]) -> None:
    """Change its name, address or whether it is in use. Raises NotFound, InvalidInput."""
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise InvalidInput(
            f"{', '.join(unknown)} cannot be changed.", fields={name: ["cannot be changed"] for name in unknown}
        )
    kind = find_channel(scope=scope, channel_id=channel_id).kind
    wanted = dict(changes)
    if "name" in wanted:
        wanted["name"] = _name(wanted["name"])
    if "address" in wanted:
        wanted["address"], wanted["address_hint"] = check_address(ChannelKind(kind), wanted["address"])
        wanted |= {"last_error": "", "last_error_at": None}
    try:
        with scope.transaction(reason="channel changed"):
            AlertChannel.objects.filter(id=channel_id).update(**wanted)
    except IntegrityError as error:
        raise _taken(error) from None


def renew_signing_key(*, scope: Scope, channel_id: UUID) -> str:
    """A new key for a webhook, shown this once; the old one signs nothing any more. Raises NotFound, InvalidInput."""
    key = _new_key()
    with scope.transaction(reason="signing key renewed"):
        if not AlertChannel.objects.filter(id=channel_id, kind=ChannelKind.WEBHOOK).update(signing_key=key):
            raise NotFound("There is no such webhook.")
    return key


def delete_channel(*, scope: Scope, channel_id: UUID) -> None:
    """The channel goes with its rules and the list of its messages. Raises NotFound."""
    with scope.transaction(reason="channel deleted"):
        _, gone = AlertChannel.objects.filter(id=channel_id).delete()
    if not gone:
        raise NotFound("There is no such channel.")


def find_channel(*, scope: Scope, channel_id: UUID) -> AlertChannel:
    """Raises NotFound."""
    with scope.transaction():
        channel = AlertChannel.objects.filter(id=channel_id).first()
    if channel is None:
        raise NotFound("There is no such channel.")
    return channel


def check_address(kind: ChannelKind, address: str) -> tuple[str, str]:
    """(the address as it is stored, what may be shown of it). Raises InvalidInput with a sentence that shows none of it."""
    check = {
        ChannelKind.WEBHOOK: check_webhook,
        ChannelKind.EMAIL: check_mail,
        ChannelKind.APPRISE: check_apprise,
    }.get(kind)
    if check is None:
        raise _bad("kind", "A channel is apprise, webhook or email.")
    try:
        stored, hint = check(address)
    except ValueError as error:
        raise _bad("address", str(error)) from None
    if kind == ChannelKind.APPRISE and not is_apprise_address(stored):
        raise _bad("address", "apprise does not know this address, or something that its service needs is missing.")
    return stored, hint


def _owner(client_id: UUID | None, bot_id: UUID | None) -> UUID | None:
    if bot_id is not None:
        bot = Bot.objects.filter(id=bot_id, retired_at=None).first()
        if bot is None or client_id not in (None, bot.client_id):
            raise NotFound("There is no such bot of this client.")
        return bot.client_id
    if client_id is not None and not Client.objects.filter(id=client_id, retired_at=None).exists():
        raise NotFound("There is no such client.")
    return client_id


def _new_key() -> str:
    return KEY_MARK + secrets.token_urlsafe(32)


def _name(name: str) -> str:
    clean = str(name).strip()
    if not 1 <= len(clean) <= 100:
        raise _bad("name", "A name has 1 to 100 characters.")
    return clean


def _bad(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})


def _taken(error: IntegrityError) -> Exception:
    return _bad("name", "There is a channel of this name already.") if "name_key" in str(error) else error
