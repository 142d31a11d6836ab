"""Gateways for many keys: one per key, markets shared, calls of one key in sequence, keys in parallel."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta

from exchanges.gateways.ccxt_gateway import DEFAULT_TIMEOUT_S, ExchangeGateway
from exchanges.gateways.clock import ExchangeClock
from exchanges.gateways.limiter import Limiter, open_limiter
from exchanges.gateways.markets import MarketTable
from exchanges.types import Credentials, MarketType

_MAX_GATEWAYS = 1000


class GatewayPool:
    """Keeps what is worth keeping between checks. One per process; safe to use from many threads."""

    def __init__(
        self,
        base_urls: Mapping[str, str] | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        limiter: Limiter | None = None,
    ) -> None:
        """``limiter`` is what all workers share; without one, each key only keeps ccxt's pace for itself."""
        self._base_urls = dict(base_urls or {})
        self._timeout_s = timeout_s
        self._limiter = limiter
        self._lock = threading.Lock()
        self._clocks: dict[str, ExchangeClock] = {}
        self._tables: dict[tuple[str, str], MarketTable] = {}
        self._gateways: OrderedDict[tuple[str, str, str], ExchangeGateway] = OrderedDict()

    def gateway(
        self, exchange_id: str, market_type: MarketType | str, credentials: Credentials | None = None
    ) -> ExchangeGateway:
        """The gateway of this key, always the same one; without credentials, one for public data.

        Raises NotCarried for an exchange that ccxt cannot talk to.
        """
        key = (exchange_id, str(market_type), credentials.fingerprint if credentials else "")
        with self._lock:
            if key not in self._gateways:
                self._gateways[key] = ExchangeGateway(
                    exchange_id,
                    market_type,
                    credentials,
                    base_url=self._base_urls.get(exchange_id),
                    timeout_s=self._timeout_s,
                    markets=self._tables.setdefault(key[:2], MarketTable()),
                    clock=self._clocks.setdefault(exchange_id, ExchangeClock()),
                    limiter=self._limiter,
                )
            self._gateways.move_to_end(key)
            if len(self._gateways) > _MAX_GATEWAYS:
                self._gateways.popitem(last=False)
            return self._gateways[key]

    def measure_clock(self, exchange_id: str, market_type: MarketType | str) -> timedelta | None:
        """Measures an exchange's clock without a key; see ``ExchangeGateway.measure_clock``."""
        return self.gateway(exchange_id, market_type).measure_clock()

    def clock_offset(self, exchange_id: str) -> timedelta | None:
        """By how much an exchange's clock is ahead of ours; None while nobody measured or told it."""
        with self._lock:
            return self._clocks.setdefault(exchange_id, ExchangeClock()).offset

    def set_clock_offset(self, exchange_id: str, offset: timedelta) -> None:
        """What another worker measured, to sign by until this one does."""
        with self._lock:
            self._clocks.setdefault(exchange_id, ExchangeClock()).set(offset)


def open_gateways(
    base_urls: Mapping[str, str] | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S, redis_url: str | None = None
) -> GatewayPool:
    """A pool for this process. ``base_urls`` is the setting EXCHANGE_BASE_URLS: exchange id to base address.

    With ``redis_url`` all processes that use this Redis keep the exchanges' limits together.
    """
    return GatewayPool(base_urls, timeout_s=timeout_s, limiter=open_limiter(redis_url) if redis_url else None)
