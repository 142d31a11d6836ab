"""Unmodified ccxt classes whose signed requests go to the sandbox: only the address changes, after signing."""

from __future__ import annotations

from typing import Any

import ccxt

from sandbox.testing import Sandbox


def exchange(sandbox: Sandbox, name: str, **credentials: str) -> Any:
    """With the key that the tests seed, unless other ``credentials`` are given."""
    base: Any = getattr(ccxt, name)

    class Rewriting(base):  # type: ignore[misc]
        def fetch(self, url: str, *args: Any, **kwargs: Any) -> Any:
            return super().fetch(f"{sandbox.exchange_base}/{url.removeprefix('https://')}", *args, **kwargs)

    known = {"apiKey": "key", "secret": "secret", "password": "pass"}
    made = Rewriting(known | credentials | {"enableRateLimit": False, "timeout": 5000})
    made.number = str
    return made
