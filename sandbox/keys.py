"""API keys on the sandbox's exchanges, with the balances behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox import money

DEFAULT_BALANCE = Decimal(1_000_000)


@dataclass
class Key:
    """``exchange`` is the family that issued it (binance for binanceusdm). Currencies not named hold a million."""

    exchange: str
    api_key: str
    secret: str
    passphrase: str = ""
    account: str = ""
    revoked: bool = False
    balances: dict[str, Decimal] = field(default_factory=dict)
    starts_with: Decimal = DEFAULT_BALANCE

    def balance(self, currency: str) -> Decimal:
        return self.balances.setdefault(currency, self.starts_with)

    def move(self, currency: str, amount: Decimal) -> None:
        self.balances[currency] = self.balance(currency) + amount

    def to_json(self, *, with_secret: bool) -> dict[str, Any]:
        shown = {
            "exchange": self.exchange,
            "api_key": self.api_key,
            "account": self.account,
            "revoked": self.revoked,
            "balances": {currency: money.text(amount) for currency, amount in self.balances.items()},
            "starts_with": money.text(self.starts_with),
        }
        return shown | ({"secret": self.secret, "passphrase": self.passphrase} if with_secret else {})

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Key:
        numbers = {
            "balances": {currency: Decimal(str(amount)) for currency, amount in fields.get("balances", {}).items()},
            "starts_with": Decimal(str(fields.get("starts_with", DEFAULT_BALANCE))),
        }
        return cls(**fields | numbers)


class Keys:
    """Every key by (family, api_key)."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], Key] = {}

    def put(self, key: Key) -> Key:
        self._keys[key.exchange, key.api_key] = key
        return key

    def get(self, exchange: str, api_key: str) -> Key | None:
        return self._keys.get((exchange, api_key))

    def all(self) -> list[Key]:
        return list(self._keys.values())
