"""How many requests exchanges take from one address, as they publish it.

Most exchanges count signed requests per account and public ones per address. ccxt paces each key on its own; what all
keys and all workers of one server send together is counted here, per host, and shared through Redis
(``exchanges.gateways.limiter``). A host without a line gets the pace that ccxt's class has for one key, as if it were
the pace of the whole address: slow, and safe.

Units: where an exchange counts weights, ccxt knows the weight of each call, and a line counts in ccxt's units.
"""

from __future__ import annotations

from dataclasses import dataclass

# What is left to others behind the same address: Hummingbot, a person's browser, another program.
SHARE = 0.8
# A pause after "too many requests" that comes without a time.
PAUSE_S = 10.0
# The tenth of a period's requests that may go at once after a quiet while.
BURST = 0.1


@dataclass(frozen=True, slots=True)
class HostLimit:
    """``units`` in ``period_s`` from one address. ``counts_keys``: refusals of signed requests are about the key."""

    units: float
    period_s: float
    is_weighted: bool = False  # a request is worth what ccxt says, else one unit
    counts_keys: bool = False

    @property
    def unit_s(self) -> float:
        """Seconds between two units at our share of the pace."""
        return self.period_s / (self.units * SHARE)

    @property
    def burst_s(self) -> float:
        """How far ahead of the pace a burst may run, in seconds of it."""
        return self.period_s * BURST / SHARE

    def least_s(self, requests: int, *, units: float = 1.0) -> float:
        """How long so many requests take at least after a quiet while, each worth ``units`` where units are counted."""
        cost_s = self.unit_s * (units if self.is_weighted else 1.0)
        return max(0.0, (requests - 1) * cost_s - self.burst_s)


def _weights(units: float, period_s: float) -> HostLimit:
    return HostLimit(units, period_s, is_weighted=True)


def _keys(requests: float, period_s: float) -> HostLimit:
    return HostLimit(requests, period_s, counts_keys=True)


LIMITS: dict[str, HostLimit] = {
    # 6,000 weight a minute and address; a unit of ccxt's is 5 of it (own trades of a pair: weight 20, 4 units).
    # developers.binance.com/docs/binance-spot-api-docs/rest-api/limits, and rateLimits of /api/v3/exchangeInfo
    "api.binance.com": _weights(1200, 60),
    # 2,400 weight a minute and address; a unit of ccxt's is 1.
    # developers.binance.com/docs/derivatives/usds-margined-futures/general-info, /coin-margined-futures/general-info
    "fapi.binance.com": _weights(2400, 60),
    "dapi.binance.com": _weights(2400, 60),
    # 1,200 weight a minute and address; a unit is 1. docs.binance.us, "API Limits"
    "api.binance.us": _weights(1200, 60),
    # Signed requests count per account (spot 4,000 in 30 s), public ones per address (2,000 in 30 s); above both stands
    # the address itself. kucoin.com/docs-new/rate-limit; the older kucoin.com/docs/basic-info/request-rate-limit/rest-api
    # speaks of 500 in 10 s for one address, all calls together.
    "api.kucoin.com": _keys(500, 10),
    "api-futures.kucoin.com": _keys(500, 10),
    # Per account and call for signed requests, per address and call for public ones (20 in 2 s the common ones); no
    # number for an address as a whole, so this is ten calls' worth. okx.com/docs-v5, "Rate Limits"
    "www.okx.com": _keys(200, 2),
    "us.okx.com": _keys(200, 2),
    "eea.okx.com": _keys(200, 2),
    # 200 in 10 s per call, signed ones per account, public ones per address; ten calls' worth.
    # gate.com/docs/developers/apiv4, "Rate Limiting"
    "api.gateio.ws": _keys(2000, 10),
    # 600 in 5 s from one address, then 403 "access too frequent" for ten minutes; besides, per account and call.
    # bybit-exchange.github.io/docs/v5/rate-limit
    "api.bybit.com": _keys(600, 5),
    # 6,000 a minute from one address; besides, per account and call. bitget.com/api-doc/common/signature-samples/interface-limits
    "api.bitget.com": _keys(6000, 60),
    # 500 in 10 s per call, per address and per account. mexc.com/api-docs/spot-v3/general-info, "LIMITS"
    "api.mexc.com": _keys(500, 10),
    # 1,200 weight a minute and address; own trades weigh 20, which ccxt counts as 10 units, so a unit is 2 of it.
    # hyperliquid.gitbook.io, "Rate limits and user limits"
    "api.hyperliquid.xyz": _weights(600, 60),
    # Signed requests wear down a counter of the key's own, public ones count per address and pair; no number for an
    # address as a whole, so five a second is ours.
    # docs.kraken.com/api/docs/guides/spot-rest-ratelimits
    "api.kraken.com": _keys(15, 3),
    # 30 a second and account, 10 a second and address for public ones. docs.cdp.coinbase.com, "Advanced Trade REST API
    # rate limits"
    "api.coinbase.com": _keys(30, 1),
    # 10 a second and address for public ones, 15 a second and profile. docs.cdp.coinbase.com/exchange, "Rate limits"
    "api.exchange.coinbase.com": _keys(15, 1),
}


def limit_of(host: str, ccxt_pace_s: float) -> HostLimit:
    """The limit of a host; for one without a line, ccxt's pace for one key as that of the whole address."""
    known = LIMITS.get(host)
    if known is not None:
        return known
    return HostLimit(units=1 / max(ccxt_pace_s, 0.001) / SHARE, period_s=1.0, is_weighted=True)
