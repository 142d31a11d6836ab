"""This process's gateways to exchanges; ccxt is imported here, at first use, and never by a web process."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Protocol

from django.conf import settings

from exchanges.types import MarketRules, MarketType, Ticker


class MarketGateway(Protocol):
    """What the arena asks an exchange."""

    def fetch_tickers(self, symbols: Collection[str]) -> dict[str, Ticker]: ...

    def fetch_market_rules(self, symbols: Collection[str]) -> dict[str, MarketRules]: ...

    def most_traded(self, *, quote: str, count: int) -> list[str]: ...


class MarketGateways(Protocol):
    def gateway(self, exchange_id: str, market_type: MarketType | str) -> MarketGateway: ...


@functools.cache
def exchange_gateways() -> MarketGateways:
    """Always the same ones, which keep the exchanges' limits together with those of every other process."""
    from exchanges.gateways.pool import open_gateways

    return open_gateways(
        settings.EXCHANGE_BASE_URLS, timeout_s=settings.EXCHANGE_TIMEOUT_SECONDS, redis_url=settings.REDIS_URL
    )
