"""Which of Hummingbot's fields takes which part of a connector's credentials."""

from __future__ import annotations

from collections.abc import Sequence

from bots.types import ConnectorField
from ground.errors import InvalidInput

_KEY_ENDINGS = ("_api_key", "_access_key")
_SECRET_ENDINGS = ("_api_secret", "_secret_key", "_secret", "_api_private_key")
_EXTRA_ENDINGS = ("_passphrase", "_memo", "_password", "_uid")


def to_hummingbot_fields(
    fields: Sequence[ConnectorField], *, connector: str, api_key: str, api_secret: str, extra: str = ""
) -> dict[str, str]:
    """Field name to secret. ``extra`` is the memo or passphrase.

    Raises InvalidInput when Hummingbot wants something that the connector's credentials do not hold.
    """
    filled: dict[str, str] = {}
    for field in fields:
        value = _value_for(field.name, api_key=api_key, api_secret=api_secret, extra=extra)
        if value:
            filled[field.name] = value
        elif field.is_required:
            wanted = field.name.removeprefix(f"{connector}_").replace("_", " ")
            raise InvalidInput(f"Hummingbot needs a value for {wanted} that this {connector} connector does not have.")
    if api_secret not in filled.values():
        raise InvalidInput(f"Hummingbot does not take an API key and secret for {connector}.")
    return filled


def _value_for(name: str, *, api_key: str, api_secret: str, extra: str) -> str:
    if name.endswith(_SECRET_ENDINGS):
        return api_secret
    if name.endswith(_KEY_ENDINGS):
        return api_key
    return extra if name.endswith(_EXTRA_ENDINGS) else ""
