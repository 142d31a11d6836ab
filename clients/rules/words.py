"""The words a client, wallet or key may carry."""

from __future__ import annotations

from enum import StrEnum


class ClientStatus(StrEnum):
    ACTIVE = "active"  # the normal state
    SUSPENDED = "suspended"  # an operator switched its keys off; its rows stay
    DELETING = "deleting"  # asked with force; retired once its bots are confirmed stopped


class KeyKind(StrEnum):
    OPERATOR = "operator"  # every tenant
    CLIENT = "client"  # its own client only
    BOT = "bot"  # heartbeats of one bot only


class KeyScope(StrEnum):
    READ = "read"
    MANAGE = "manage"
    PING = "ping"


KEY_MARKS = {KeyKind.OPERATOR: "tbo", KeyKind.CLIENT: "tbc", KeyKind.BOT: "tbp"}
