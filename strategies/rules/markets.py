"""One name for each market, whatever it was called; and what an interval looks like."""

from __future__ import annotations

import re

from exchanges.names import resolve
from exchanges.types import MarketType
from ground.errors import InvalidInput

_INTERVAL = re.compile(r"[1-9][0-9]{0,2}(s|m|h|d|w|M)")


def canonical_exchange(name: str) -> str:
    """The one name of the market that ``name`` means: ``gate`` for gate_io, gateio and gate, ``gate_perpetual`` for its
    contracts. A test network and an exchange that ccxt does not carry keep their own. Never raises."""
    market = resolve(name)
    if not market.carried:
        return market.name
    if market.market_type == resolve(market.exchange).market_type:
        return market.exchange
    return f"{market.exchange}_perpetual" if market.market_type == MarketType.SWAP else market.name


def check_interval(text: str) -> str:
    """The interval, if it is one. Raises InvalidInput."""
    if not _INTERVAL.fullmatch(text):
        raise InvalidInput(
            "interval must be a number and a unit, such as 1m, 15m, 4h or 1d.", fields={"interval": ["such as 1m"]}
        )
    return text
