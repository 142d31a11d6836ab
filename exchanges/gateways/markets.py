"""The markets of one exchange: loaded once per process, shared by every key, and our pairs found among them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from exchanges.symbols import base_quote
from exchanges.types import MarketType

_STALE_AFTER_S = 24 * 3600.0
_RETRY_UNKNOWN_AFTER_S = 600.0  # an unknown market may have been listed since


class MarketTable:
    """The markets of one exchange and market type. Loaded once, whoever asks; all who waited share a failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._source: Any = None
        self._loaded_at = 0.0
        self._attempts = 0
        self._last_failure: Exception | None = None

    def give(self, client: Any, load: Callable[[], Any]) -> None:
        """Lets a ccxt instance share the markets; ``load`` gives an instance that has loaded them, or raises."""
        attempts = self._attempts  # read before looking, so that a load that ends in between counts as ours
        if self._source is None or time.monotonic() - self._loaded_at > _STALE_AFTER_S:
            self._load_once(load, attempts)
        if client.markets is not self._source.markets:
            self._share(client)

    def refresh(self, client: Any, load: Callable[[], Any]) -> bool:
        """Loads again if the markets are old enough for a new one to be missing; says whether it did."""
        attempts = self._attempts
        if time.monotonic() - self._loaded_at < _RETRY_UNKNOWN_AFTER_S:
            return False
        self._load_once(load, attempts)
        self._share(client)
        return True

    def _share(self, client: Any) -> None:
        for helper in self._source.options.get("marketHelperProps", []):
            self._source.options.setdefault(helper, None)  # ccxt expects what it sets only for some market types
        client.set_markets_from_exchange(self._source)

    def _load_once(self, load: Callable[[], Any], attempts: int) -> None:
        with self._lock:
            if self._attempts != attempts:  # somebody else loaded while we waited
                if self._last_failure is not None:
                    raise self._last_failure
                return
            try:
                self._source = load()
                self._loaded_at = time.monotonic()
                self._last_failure = None
            except Exception as failure:
                self._last_failure = failure
                raise
            finally:
                self._attempts += 1


def find(client: Any, market_type: MarketType, symbol: str) -> dict[str, Any] | None:
    """ccxt's market for our pair: BTC/USDT is BTC/USDT among spot markets and BTC/USDT:USDT among contracts."""
    base, quote = base_quote(symbol)
    base, quote = client.commonCurrencies.get(base, base), client.commonCurrencies.get(quote, quote)
    if market_type == MarketType.SPOT:
        return _named(client, f"{base}/{quote}", "spot")
    names = [f"{base}/{quote}:{quote}", f"{base}/{quote}:{base}"]
    if quote == "USD":  # chains settle dollars in a stablecoin: Hummingbot's BTC-USD is BTC/USDC:USDC there
        names += [f"{base}/{coin}:{coin}" for coin in ("USDC", "USDT")]
    found = (_named(client, name, "swap") for name in names)
    return next((market for market in found if market), None) or _any_settlement(client, base, quote)


def _named(client: Any, name: str, kind: str) -> dict[str, Any] | None:
    market = client.markets.get(name)
    return market if market and market.get(kind) else None


def _any_settlement(client: Any, base: str, quote: str) -> dict[str, Any] | None:
    for market in client.markets.values():
        if market.get("swap") and market.get("base") == base and market.get("quote") == quote:
            return dict(market)
    return None
