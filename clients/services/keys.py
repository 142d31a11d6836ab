"""API keys: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
import string
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from clients.models import ApiKey, Client
from clients.rules.words import KEY_MARKS, KeyKind, KeyScope
from ground.errors import NotFound
from ground.scope import Scope

_PREFIX_ALPHABET = string.ascii_lowercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits


def create_api_key(
    *,
    scope: Scope,
    kind: KeyKind,
    key_scope: KeyScope,
    name: str = "",
    client_id: UUID | None = None,
    bot_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Make a key and return its token: the only time that anybody sees it. Raises NotFound for an unknown client."""
    prefix = f"{KEY_MARKS[kind]}_{_random(_PREFIX_ALPHABET, 10)}"
    token = f"{prefix}_{_random(_SECRET_ALPHABET, 43)}"
    with scope.transaction(reason=f"API key made ({kind}, {key_scope})"):
        if client_id and not Client.objects.filter(id=client_id, retired_at=None).exists():
            raise NotFound("There is no such client.")
        ApiKey.objects.create(
            prefix=prefix,
            digest=hashlib.sha256(token.encode()).hexdigest(),
            kind=kind,
            scope=key_scope,
            name=name,
            client_id=client_id,
            bot_id=bot_id,
            expires_at=expires_at,
            created_by=scope.actor,
        )
    return token


def revoke_api_keys(*, scope: Scope, ids: list[UUID]) -> int:
    """Switch keys off for good; returns how many were on."""
    with scope.transaction(reason="API keys revoked"):
        return ApiKey.objects.filter(id__in=ids, revoked_at=None).update(revoked_at=timezone.now())


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
