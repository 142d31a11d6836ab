"""Who is calling: an API key, or an operator's admin session. A wallet address proves nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from clients.rules.words import KEY_MARKS, KeyKind
from ground.scope import CLIENT_ALIAS, OPERATOR_ALIAS, Scope, prime

_TOKEN = re.compile(r"(tb[ocp]_[a-z0-9]{10})_[A-Za-z0-9]{43}\Z")
_LOOK_UP = "SELECT prefix, kind, scope, client_id, bot_id FROM bridge_authenticate(%s, %s)"


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer tb._…``. Look-up of the key and setting the tenant are one statement."""

    def authenticate(self, request: Request) -> tuple[Scope, str] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, token = header.partition(" ")
        match = _TOKEN.match(token.strip()) if scheme.lower() == "bearer" else None
        scope = find_scope(match[1], token.strip()) if match else None
        if scope is None:
            raise AuthenticationFailed("The API key is unknown, revoked or expired.")
        return scope, "key"

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Trading Bridge"'


def find_scope(prefix: str, token: str) -> Scope | None:
    """The scope of a key, or None. Leaves its transaction open for the first use of that scope (see ``prime``)."""
    alias = OPERATOR_ALIAS if prefix.startswith(KEY_MARKS[KeyKind.OPERATOR]) else CLIENT_ALIAS
    return prime(alias, _LOOK_UP, [prefix, hashlib.sha256(token.encode()).hexdigest()], _scope_of)


def _scope_of(row: tuple[Any, ...]) -> Scope:
    prefix, _kind, scope, client_id, bot_id = row
    return Scope(actor=f"key:{prefix}", client_id=client_id, can_manage=scope == "manage", bot_id=bot_id)


class OperatorSessionAuthentication(SessionAuthentication):
    """The session of somebody signed in to the admin; changes need Django's CSRF token."""

    def authenticate(self, request: Request) -> tuple[Scope, str] | None:
        if "sessionid" not in request.COOKIES:
            return None
        found = super().authenticate(request)
        if found is None or not found[0].is_staff:
            return None
        may_change = bool(found[0].is_superuser)  # others have rights for single pages of the admin, not for the API
        return replace(operator_scope(request._request), can_manage=may_change), "session"


def operator_scope(request: HttpRequest) -> Scope:
    """The scope of the operator who is signed in to the admin."""
    return Scope(actor=f"operator:{request.user.get_username()}")


class IsKnown(BasePermission):
    """Anybody with good credentials."""

    message = "Send an API key: Authorization: Bearer <key>."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Scope)
