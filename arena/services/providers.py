"""Accounts at providers of models: made, changed, tested and retired; and which of them a client's bots may use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q

from arena.models import LlmProvider, Participant
from arena.rules.budget import check_prices
from arena.rules.provider_addresses import check_base_url
from arena.rules.statuses import ProviderKind
from arena.types_models import ProviderAccess
from clients.models import Client
from clients.rules.identifiers import key_hint
from ground.encrypted import Undecryptable
from ground.errors import Conflict, InvalidInput, NotFound
from ground.hot_rows import hot_rows
from ground.scope import Scope

CHANGEABLE = (
    "name", "base_url", "model", "api_key", "is_shared", "is_enabled", "timeout_s", "max_attempts", "max_output_tokens",
    "prices",
)  # fmt: skip
_NUMBERS = {"timeout_s": (1, 600), "max_attempts": (1, 10), "max_output_tokens": (16, 1_000_000)}
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}\Z")
_KEY = re.compile(r"[\x21-\x7e]{1,500}\Z")

_USABLE = """
    WHERE t.id = %(id)s AND t.retired_at IS NULL AND (t.client_id = %(client)s OR (t.client_id IS NULL AND t.is_shared))
"""


class ProviderUnusable(Conflict):
    """This provider cannot be asked for this client now: switched off, gone, not theirs, or without a key."""

    code = "provider_unusable"


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a bot asks: in this order, the second only where the first cannot be reached."""

    provider: LlmProvider
    model: str


def create_provider(
    *,
    scope: Scope,
    name: str,
    kind: ProviderKind,
    model: str,
    api_key: str = "",
    base_url: str = "",
    client_id: UUID | None = None,
    is_shared: bool = False,
    **more: Any,
) -> UUID:
    """An account of a client's, or (without one) of the operators', for every client when it is shared.

    ``more``: timeout_s, max_attempts, max_output_tokens, prices, is_enabled. Raises InvalidInput naming the field, NotFound
    for the client.
    """
    try:
        known = ProviderKind(kind)
    except ValueError:
        raise _bad("kind", f"A provider is one of {', '.join(ProviderKind)}.") from None
    given = {"name": name, "model": model, "api_key": api_key, "base_url": base_url, "is_shared": is_shared, **more}
    fields = _checked(given, kind=known, client_id=client_id)
    try:
        with scope.transaction(reason="model provider made"):
            if client_id is not None and not Client.objects.filter(id=client_id, retired_at=None).exists():
                raise NotFound("There is no such client.")
            return LlmProvider.objects.create(kind=known, client_id=client_id, **fields).id
    except IntegrityError as error:
        raise _taken(error) from None


def change_provider(*, scope: Scope, provider_id: UUID, changes: dict[str, Any], now: datetime) -> None:
    """Change what ``changes`` names. Another address wants the key again: nobody sends a key that he does not know to an
    address of his own. Raises NotFound, InvalidInput, and Conflict where other clients' bots use what is shared no more.
    """
    try:
        with scope.transaction(reason="model provider changed"):
            provider = _locked(provider_id)
            moves = "base_url" in changes and str(changes["base_url"]).strip().rstrip("/") != provider.base_url
            if moves and provider.api_key is not None and "api_key" not in changes:
                raise _bad("api_key", "Give the key again together with another address.")
            fields = _checked(changes, kind=ProviderKind(provider.kind), client_id=provider.client_id)
            if provider.is_shared and fields.get("is_shared") is False:
                _refuse_while_used(provider_id, Q())
            LlmProvider.objects.filter(id=provider_id).update(**fields, updated_at=now)
    except IntegrityError as error:
        raise _taken(error) from None


def retire_provider(*, scope: Scope, provider_id: UUID, now: datetime) -> None:
    """Take it away: its key is erased, its calls stay on record. Raises NotFound, and Conflict while a bot uses it."""
    with scope.transaction(reason="model provider retired"):
        _locked(provider_id)
        _refuse_while_used(provider_id, Q())
        LlmProvider.objects.filter(id=provider_id).update(
            retired_at=now, api_key=None, key_hint="", is_enabled=False, is_shared=False, updated_at=now
        )


def usable_providers(*, scope: Scope, client_id: UUID) -> list[LlmProvider]:
    """What this client's bots may use now, its own first, without keys opened."""
    with scope.transaction():
        rows = LlmProvider.objects.filter(_usable_by(client_id), retired_at=None, is_enabled=True)
        return sorted(rows, key=lambda row: (row.client_id is None, row.name))


def check_may_use(*, provider_id: UUID, client_id: UUID) -> LlmProvider:
    """The provider, if it is in use and the client's own, or the operators' and shared. Within an open transaction.

    Raises ProviderUnusable with a sentence; one of another client's is, as far as anybody is told, not there.
    """
    provider = next(iter(hot_rows(LlmProvider, _USABLE, {"id": provider_id, "client": client_id})), None)
    if provider is None:
        raise ProviderUnusable("There is no such model provider, or not for this client any more: choose another.")
    if not provider.is_enabled:
        raise ProviderUnusable(f"The model provider {provider.name} is switched off.")
    return provider


def choices_of(*, scope: Scope, participant: Participant) -> list[Choice]:
    """Whom the bot may ask now, first choice first: its own provider, then the fallback that the same client chose.

    One that is switched off, retired, or no longer the client's to use is left out: never another in its place.
    """
    wanted = [participant.provider_id, participant.fallback_id]
    with scope.transaction():
        rows = LlmProvider.objects.filter(
            _usable_by(participant.client_id),
            id__in=[one for one in wanted if one is not None],
            retired_at=None,
            is_enabled=True,
        )
        found = {row.id: row for row in rows}
    chosen = [found[one] for one in dict.fromkeys(wanted) if one in found]
    return [
        Choice(one, (participant.model if one.id == participant.provider_id else "") or one.model) for one in chosen
    ]


def open_provider(*, provider: LlmProvider, model: str = "") -> ProviderAccess:
    """The provider with its key opened, for one call. Raises ProviderUnusable where there is none, or none that opens."""
    if provider.api_key is None and provider.kind != ProviderKind.OPENAI_COMPATIBLE:
        raise ProviderUnusable(f"The model provider {provider.name} has no key: give it one.")
    try:
        key = provider.api_key.open() if provider.api_key else ""
    except Undecryptable as error:
        raise ProviderUnusable(error.message) from None
    return ProviderAccess(
        name=provider.name,
        kind=ProviderKind(provider.kind),
        model=model or provider.model,
        api_key=key,
        base_url=provider.base_url,
        is_trusted=provider.client_id is None,
        max_attempts=provider.max_attempts,
    )


def find_provider(*, scope: Scope, provider_id: UUID) -> LlmProvider:
    """Raises NotFound, also for one that was retired."""
    with scope.transaction():
        provider = LlmProvider.objects.filter(id=provider_id, retired_at=None).first()
    if provider is None:
        raise NotFound("There is no such model provider.")
    return provider


def checked_model(given: Any) -> str:
    """A model's name, which may become a part of an address. Raises InvalidInput."""
    name = _text("model", given, most=200)
    if not _MODEL.match(name) or ".." in name:
        raise _bad("model", "A model's name is made of letters, digits and . _ : / @ + -")
    return name


def _usable_by(client_id: UUID) -> Q:
    return Q(client_id=client_id) | Q(client_id=None, is_shared=True)


def _locked(provider_id: UUID) -> LlmProvider:
    provider = LlmProvider.objects.select_for_update().filter(id=provider_id, retired_at=None).first()
    if provider is None:
        raise NotFound("There is no such model provider.")
    return provider


def _refuse_while_used(provider_id: UUID, whose: Q) -> None:
    using = Participant.objects.filter(
        whose & (Q(provider_id=provider_id) | Q(fallback_id=provider_id)), bot__retired_at=None
    ).count()
    if using:
        many = "1 bot asks" if using == 1 else f"{using} bots ask"
        raise Conflict(f"{many} this provider: choose another for them first.", code="provider_in_use")


def _checked(given: dict[str, Any], *, kind: ProviderKind, client_id: UUID | None) -> dict[str, Any]:
    """The columns for what was given. Raises InvalidInput naming the field."""
    unknown = sorted(set(given) - set(CHANGEABLE))
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)} cannot be set.", fields={one: ["cannot be set"] for one in unknown})
    fields = {**given}
    if "name" in given:
        fields["name"] = _text("name", given["name"], most=100)
    if "model" in given:
        fields["model"] = checked_model(given["model"])
    if "base_url" in given:
        fields["base_url"] = _address(str(given["base_url"]), kind=kind, client_id=client_id)
    if "api_key" in given:
        fields |= _key(str(given["api_key"]), kind)
    if "prices" in given:
        fields["prices"] = _prices(given["prices"])
    for name, (least, most) in _NUMBERS.items():
        if name in given and (type(given[name]) is not int or not least <= given[name] <= most):
            raise _bad(name, f"This is a whole number from {least} to {most}.")
    if given.get("is_shared") and client_id is not None:
        raise _bad("is_shared", "Only the operators' own providers can be shared.")
    return fields


def _address(address: str, *, kind: ProviderKind, client_id: UUID | None) -> str:
    if not address.strip():
        if kind == ProviderKind.OPENAI_COMPATIBLE:
            raise _bad("base_url", "A compatible provider has an address of its own.")
        return ""
    try:
        return check_base_url(address, is_trusted=client_id is None)
    except ValueError as error:
        raise _bad("base_url", str(error)) from None


def _key(key: str, kind: ProviderKind) -> dict[str, Any]:
    clean = key.strip()
    if not clean:
        if kind != ProviderKind.OPENAI_COMPATIBLE:
            raise _bad("api_key", "This provider wants a key.")
        return {"api_key": None, "key_hint": ""}
    if not _KEY.match(clean):
        raise _bad("api_key", "A key has at most 500 characters, without spaces or signs beyond ASCII.")
    return {"api_key": clean, "key_hint": key_hint(clean)}


def _prices(value: Any) -> dict[str, Any]:
    try:
        return check_prices(value)
    except ValueError as error:
        raise _bad("prices", str(error)) from None


def _text(field: str, value: Any, *, most: int) -> str:
    clean = str(value).strip()
    if not 1 <= len(clean) <= most or not clean.isprintable():
        raise _bad(field, f"This has 1 to {most} characters.")
    return clean


def _bad(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})


def _taken(error: IntegrityError) -> Exception:
    return _bad("name", "There is a provider of this name already.") if "name_key" in str(error) else error
