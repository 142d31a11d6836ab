"""One gateway's place among all that ask the same exchange: its turns, and the pauses that the exchange asks for."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from exchanges.gateways.errors import NoTurn
from exchanges.gateways.limiter import Limiter
from exchanges.limits import PAUSE_S, HostLimit, limit_of
from ground.errors import RateLimited

MOST_WAIT_S = 10.0  # a turn further away is a refusal to be planned with, not a thread to keep waiting
MAX_PAUSE_S = 3600.0
_TOO_MANY = frozenset({418, 429})  # 418: Binance's word for an address that went on after 429
_FORBIDDEN = 403
_FORBIDDEN_S = 600.0  # Bybit's "access too frequent" ends after ten minutes
_MS = 1000


def asks_for_fewer(status: int, text: str) -> bool:
    """Whether an answer says that this address, or this key, sends too much."""
    return status in _TOO_MANY or (status == _FORBIDDEN and "too frequent" in text[:500].lower())


def pause_s(headers: Mapping[str, str]) -> float | None:
    """For how long an answer asks to be left alone, at most an hour; None where it does not say."""
    seconds = _retry_after_s(headers.get("Retry-After"))
    if seconds is None and (left_ms := _number(headers.get("gw-ratelimit-reset"))) is not None:  # KuCoin's
        seconds = left_ms / _MS
    if seconds is None and (at := _number(headers.get("X-Gate-RateLimit-Reset-Timestamp"))) is not None:
        seconds = at - time.time()
    return None if seconds is None else min(max(seconds, 0.0), MAX_PAUSE_S)


@dataclass(slots=True)
class Turns:
    """What one ccxt instance takes its turns with. ``key`` is its key's fingerprint, empty for public data."""

    limiter: Limiter
    exchange: str
    title: str
    key: str
    most_wait_s: float = MOST_WAIT_S

    def wait_s(self, client: Any, api: Any, units: float) -> float:
        """Takes a turn and gives how long to wait for it.

        Where that is too long: NoTurn, or RateLimited while the exchange itself wants to be left alone.
        """
        host, limit = self._limit(client, api)
        cost_s = limit.unit_s * (units if limit.is_weighted else 1.0)
        turn = self.limiter.take(host, key=self.key, cost_s=cost_s, burst_s=limit.burst_s, most_wait_s=self.most_wait_s)
        if turn.is_granted:
            return turn.wait_s
        until = f"for another {math.ceil(turn.wait_s)} s"
        asked = f"{self.title} asked for fewer requests, so nothing is sent {until}."
        busy = f"This server's share of what {self.title} takes from one address is used up {until}."
        if turn.is_pause:
            raise RateLimited(asked, system=self.exchange, retry_after_s=turn.wait_s)
        raise NoTurn(busy, system=self.exchange, retry_after_s=turn.wait_s)

    def pause(self, client: Any, api: Any, status: int, seconds: float | None) -> None:
        """Lets every worker wait: with this key where the host counts keys and this one asked, else altogether."""
        host, limit = self._limit(client, api)
        is_of_key = limit.counts_keys and bool(self.key) and status not in (_FORBIDDEN, 418)
        default_s = _FORBIDDEN_S if status == _FORBIDDEN else PAUSE_S
        self.limiter.pause(host, key=self.key if is_of_key else "", seconds=default_s if seconds is None else seconds)

    def _limit(self, client: Any, api: Any) -> tuple[str, HostLimit]:
        host = host_of(client, api)
        return host, limit_of(host, client.rateLimit / _MS)


def host_of(client: Any, api: Any) -> str:
    """The host that a call of this part of the exchange's API goes to; the exchange's id where it cannot be told."""
    address = client.urls.get("api")
    for word in api if isinstance(api, list | tuple) else [api]:
        if isinstance(address, Mapping) and word in address:
            address = address[word]
    while isinstance(address, Mapping):
        address = next(iter(address.values()), "")
    text = str(address or "").replace("{hostname}", str(getattr(client, "hostname", "") or ""))
    return urlsplit(text).hostname or str(client.id)


def _retry_after_s(value: str | None) -> float | None:
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    try:
        return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else math.nan
    except ValueError:
        return None
    return None if math.isnan(number) else number
