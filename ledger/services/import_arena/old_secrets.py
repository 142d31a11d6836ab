"""What is never read from an old database, or left out of what was read: passwords, keys and the like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ledger.rules.arena_shape import NotANumber, Number, written

# Of people only these columns are read: a password hash may stand under any other name.
OF_USERS = frozenset({
    "id", "username", "name", "display_name", "email", "role", "tier", "status", "is_active", "is_admin", "created_at",
    "updated_at", "last_login", "last_login_at",
})  # fmt: skip
_SECRET = re.compile(
    r"pass(?:word|wd|phrase|code)|pwd|secret|token(?!s|_?count|_?limit|_?usage)|api_?key|private_?key|secret_?key|access_?key|"
    r"encrypt|credential|(?:^|_)(?:hash|salt|otp|totp|pin|key|auth|jwt|cookie|mnemonic|seed_phrase)(?:$|_)|authorization|"
    r"bearer|signature",
    re.IGNORECASE,
)
_HARMLESS = frozenset({"key", "max_tokens", "maxtokens", "token_count"})
_IN_ADDRESS = re.compile(r"([?&](?:api_?key|key|access_?token|token|secret|sig|signature)=)[^&\s\"']+", re.IGNORECASE)
_LOGIN = re.compile(r"(//)[^/@\s\"']+@")


def is_secret(name: str) -> bool:
    """Whether a column, a setting or a JSON key of that name is taken for a secret."""
    return name.lower() not in _HARMLESS and bool(_SECRET.search(name))


def readable(table: str, columns: Iterable[str]) -> tuple[list[str], list[str]]:
    """The columns of a table that are read, and those that are not."""
    names = list(columns)
    good = [n for n in names if (n.lower() in OF_USERS if table == "users" else not is_secret(n))]
    return good, [name for name in names if name not in good]


def without_secrets(value: Any) -> Any:
    """A value without what its keys call a secret, also within JSON that stands in a text, and without logins in
    addresses."""
    if isinstance(value, dict):
        return {key: without_secrets(part) for key, part in value.items() if not is_secret(key)}
    if isinstance(value, list):
        return [without_secrets(part) for part in value]
    if type(value) is str:
        return _text_without(value)
    return value


def _text_without(text: str) -> str:
    if text[:1] in ("{", "["):
        try:
            inner = json.loads(text, parse_float=Number, parse_int=Number, parse_constant=NotANumber)
        except (ValueError, RecursionError):
            inner = None
        if inner is not None:
            clean = without_secrets(inner)
            return text if clean == inner else written(clean)
    if "://" not in text:
        return text
    return _LOGIN.sub(r"\1", _IN_ADDRESS.sub(r"\1", text))
