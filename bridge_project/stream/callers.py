"""Who listens: by a ticket or an API key, and whether that still holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from bridge_project.stream.database import Databases
from clients.rules.words import KEY_MARKS, KeyKind
from clients.services.tickets import Bearer, read_ticket

_KEY = re.compile(r"(tb[oc]_[a-z0-9]{10})_[A-Za-z0-9]{43}\Z")
_LOOK_UP = "SELECT prefix, client_id FROM bridge_authenticate(%(prefix)s, %(digest)s) WHERE bot_id IS NULL"
_STILL_GOOD = """
    SELECT 'key:' || k.prefix, k.client_id::text FROM api_keys k LEFT JOIN clients c ON c.id = k.client_id
     WHERE k.prefix = ANY(%(keys)s::text[]) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
       AND (k.client_id IS NULL OR (c.retired_at IS NULL AND c.status <> 'suspended'))
     UNION ALL
    SELECT 'operator:' || u.username, NULL FROM auth_user u
     WHERE u.username = ANY(%(people)s::text[]) AND u.is_active AND u.is_staff
"""


async def find_bearer(token: str, *, databases: Databases, is_resuming: bool = False) -> Bearer | None:
    """Whose a ticket or key is; None: unknown, revoked, too old, or a ping key, which reads nothing."""
    found = _KEY.match(token)
    if found is None:
        bearer = read_ticket(token, is_resuming=is_resuming)
        return bearer if bearer and bearer.actor in await still_good([bearer], databases=databases) else None
    is_operator = token.startswith(KEY_MARKS[KeyKind.OPERATOR])
    given = {"prefix": found[1], "digest": hashlib.sha256(token.encode()).hexdigest()}
    database = databases.operator if is_operator else databases.client
    rows = await database.rows(_LOOK_UP, given)
    return Bearer(f"key:{rows[0][0]}", rows[0][1]) if rows else None


async def still_good(bearers: Iterable[Bearer], *, databases: Databases) -> set[str]:
    """The actors among these whose keys and accounts are still good."""
    actors = {bearer.actor for bearer in bearers}
    named = {
        kind: [actor.partition(":")[2] for actor in actors if actor.startswith(f"{kind}:")]
        for kind in ("key", "operator")
    }
    rows = await databases.operator.rows(_STILL_GOOD, {"keys": named["key"], "people": named["operator"]})
    return {row[0] for row in rows}
