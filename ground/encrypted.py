"""A text field whose column holds only ciphertext, with keys that can be rotated."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from ground.errors import BridgeError


class Undecryptable(BridgeError):
    """The stored ciphertext was made with a key that BRIDGE_ENCRYPTION_KEYS no longer holds."""

    code = "undecryptable"


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    """The text as a Fernet token, made with the newest key."""
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """The text of a token made with any of the known keys. Raises Undecryptable."""
    try:
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken:
        raise Undecryptable(
            "A stored credential cannot be decrypted: the key it was encrypted with is missing from BRIDGE_ENCRYPTION_KEYS."
        ) from None


def rotate(token: str) -> str:
    """The same secret, encrypted with the newest key."""
    return encrypt(decrypt(token))


def fingerprints() -> list[str]:
    """A short one-way mark of each key, newest first; safe to store and show."""
    return [
        hashlib.sha256(b"bridge encryption key " + key.encode()).hexdigest()[:16] for key in settings.ENCRYPTION_KEYS
    ]


class Sealed:
    """A stored secret that stays closed until somebody who needs it calls ``open()``; printing it shows nothing."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def seal(cls, text: str) -> Sealed:
        return cls(encrypt(text))

    def open(self) -> str:
        return decrypt(self.token)

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__


class EncryptedTextField(models.TextField):
    """Text whose column holds ciphertext; reads as ``Sealed``. Assign a plain str to store a new secret."""

    _pyi_private_set_type: Any  # for django-stubs
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, Sealed):
            return value.token if value else None
        return encrypt(str(value))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Any:
        return value
