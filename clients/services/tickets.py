"""Tickets: who is calling, signed, for a minute. A browser's EventSource and WebSocket send no headers, and an address must
not hold a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core import signing

from ground.scope import Scope

GOOD_FOR = timedelta(minutes=1)  # until its bearer is connected
RESUMES_FOR = timedelta(hours=1)  # browsers come back to the address they were sent to, with the ticket it holds
_SALT = "bridge.stream"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose rows may be seen: one client's, or (None) all. ``actor`` is looked at again while the connection lasts."""

    actor: str
    client_id: UUID | None


def issue_ticket(scope: Scope) -> str:
    """A ticket for what this scope may read; not for ping keys, which read nothing."""
    if scope.bot_id is not None:
        raise ValueError("A ping key reads nothing.")
    return signing.dumps([scope.actor, str(scope.client_id or "")], salt=_SALT)


def read_ticket(text: str, *, is_resuming: bool = False) -> Bearer | None:
    """Whom a ticket was given to; None when it is not ours or too old. Whether its bearer may still see anything is for the
    caller to look up."""
    try:
        actor, client = signing.loads(text, salt=_SALT, max_age=RESUMES_FOR if is_resuming else GOOD_FOR)
    except signing.BadSignature:
        return None
    return Bearer(actor, UUID(client) if client else None)
