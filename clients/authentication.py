"""Who is calling: an API key, or an operator's admin session. A wallet address proves nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from clients.rules.words import KEY_MARKS, KeyKind
from ground.scope import CLIENT_ALIAS, OPERATOR_ALIAS, Scope, ask, prime

_TOKEN = re.compile(r"(tb[ocp]_[a-z0-9]{10})_[A-Za-z0-9]{43}\Z")
_LOOK_UP = "SELECT prefix, kind, scope, client_id, bot_id FROM bridge_authenticate(%s, %s)"
# The function has set the tenant before the read begins, since the read stands on the inner side of the join. Were it
# otherwise, row-level security would show nothing.
_LOOK_UP_AND_READ = """
    SELECT k.prefix, k.kind, k.scope, k.client_id, k.bot_id, p.*
      FROM (SELECT * FROM bridge_authenticate(%(prefix)s, %(digest)s) LIMIT 1) k
      LEFT JOIN LATERAL ({read}) p ON true
"""


@dataclass(slots=True)
class ReadAlong:
    """A read that runs in one statement with the look-up of the key, and its row once it did.

    ``sql`` is a statement of one row with named parameters, in which ``%(tenant)s`` is the caller's client or null.
    """

    sql: str
    params: dict[str, Any]
    row: tuple[Any, ...] | None = None
    is_done: bool = False


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer tb._…``. Look-up of the key and setting the tenant are one statement."""

    def authenticate(self, request: Request) -> tuple[Scope, str] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, token = header.partition(" ")
        match = _TOKEN.match(token.strip()) if scheme.lower() == "bearer" else None
        along = getattr((request.parser_context or {}).get("view"), "along", None)
        scope = find_scope(match[1], token.strip(), along) if match else None
        if scope is None:
            raise AuthenticationFailed("The API key is unknown, revoked or expired.")
        return scope, "key"

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Trading Bridge"'


def find_scope(prefix: str, token: str, along: ReadAlong | None = None) -> Scope | None:
    """The scope of a key, or None. Leaves its transaction open for the first use of that scope (see ``prime``), unless a
    read came along, which then has its row."""
    alias = OPERATOR_ALIAS if prefix.startswith(KEY_MARKS[KeyKind.OPERATOR]) else CLIENT_ALIAS
    digest = hashlib.sha256(token.encode()).hexdigest()
    if along is None:
        return prime(alias, _LOOK_UP, [prefix, digest], _scope_of)
    sql = _LOOK_UP_AND_READ.format(read=along.sql.replace("%(tenant)s", "k.client_id"))
    row = ask(alias, sql, {**along.params, "prefix": prefix, "digest": digest})
    if row is None:
        return None
    along.row, along.is_done = row[5:], True
    return _scope_of(row[:5])


def ping_scope(token: str) -> Scope | None:
    """The scope of a ping key that stands in an address, or None. Other keys are never taken from there."""
    match = _TOKEN.match(token)
    if match is None or not token.startswith(KEY_MARKS[KeyKind.BOT]):
        return None
    return find_scope(match[1], token)


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
