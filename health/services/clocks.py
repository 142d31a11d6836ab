"""By how much each exchange's clock differs from ours: measured every ten minutes by one worker, known to all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from structlog import get_logger

from exchanges.types import MarketType
from ground.errors import GatewayError
from ground.scope import system_scope
from ground.sql import fetch_all, run

log = get_logger(__name__)

MEASURE_EVERY = timedelta(minutes=10)
NO_OFFSET = timedelta(0)
_MILLISECOND = timedelta(milliseconds=1)
_MOST_MS = 2**31 - 1

_KNOWN = """
    SELECT exchange, clock_offset_ms, clock_measured_at FROM exchange_circuits
     WHERE exchange = ANY(%s) AND fingerprint = '' AND clock_measured_at IS NOT NULL
"""
_STORE = """
    INSERT INTO exchange_circuits AS c (exchange, fingerprint, state, reason, failures, calls, errors, clock_offset_ms,
                                        clock_measured_at, updated_at)
    VALUES (%(exchange)s, '', 'closed', '', 0, 0, 0, %(offset_ms)s, %(now)s, %(now)s)
    ON CONFLICT (exchange, fingerprint) DO UPDATE
       SET clock_offset_ms = coalesce(excluded.clock_offset_ms, c.clock_offset_ms), clock_measured_at = %(now)s
"""


class ClockGateways(Protocol):
    """What ``exchanges.gateways.pool.GatewayPool`` knows of clocks."""

    def measure_clock(self, exchange_id: str, market_type: MarketType | str) -> timedelta | None: ...

    def clock_offset(self, exchange_id: str) -> timedelta | None: ...

    def set_clock_offset(self, exchange_id: str, offset: timedelta) -> None: ...


@dataclass(slots=True)
class Clocks:
    """The clocks of one round's exchanges."""

    gateways: ClockGateways
    measured_at: dict[str, datetime] = field(default_factory=dict)  # by any worker

    def offset(self, exchange: str) -> timedelta:
        """Positive: the exchange's clock is ahead of ours. Nothing where nobody could measure it."""
        return self.gateways.clock_offset(exchange) or NO_OFFSET

    def measure_if_due(self, exchange: str, market_type: MarketType, *, now: datetime) -> None:
        """Ask the exchange for its time, unless somebody did lately. Call when it has just answered."""
        last = self.measured_at.get(exchange)
        if last is not None and now - last < MEASURE_EVERY:
            return
        try:
            offset = self.gateways.measure_clock(exchange, market_type)
        except GatewayError as error:
            log.info("clock_not_measured", exchange=exchange, error=error.code)
            offset = None  # asked again when the next measurement is due
        self.measured_at[exchange] = now
        offset_ms = None if offset is None else max(-_MOST_MS, min(_MOST_MS, round(offset / _MILLISECOND)))
        with system_scope("health").transaction():
            run(_STORE, {"exchange": exchange, "offset_ms": offset_ms, "now": now})


def open_clocks(gateways: ClockGateways, exchanges: Collection[str]) -> Clocks:
    """The clocks of these exchanges, as they were measured last; what this process signs with is set by it."""
    clocks = Clocks(gateways)
    if exchanges:
        with system_scope("health").transaction():
            known = fetch_all(_KNOWN, [sorted(exchanges)])
        for exchange, offset_ms, measured_at in known:
            clocks.measured_at[exchange] = measured_at
            if offset_ms is not None:
                gateways.set_clock_offset(exchange, timedelta(milliseconds=offset_ms))
    return clocks
