"""Building ccxt instances. The only place where ccxt is imported, and only when a worker asks for it."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

from exchanges.carried import credential_names
from exchanges.gateways.clock import ExchangeClock
from exchanges.gateways.turns import Turns
from exchanges.gateways.wire import BoundedSession, Transport, Wire, quiet_logs
from exchanges.types import Credentials, MarketType

# What each market type is called in the options that say which markets ccxt loads.
_TYPE_WORDS = {MarketType.SPOT: {"spot"}, MarketType.SWAP: {"swap", "linear", "inverse", "hip3"}}

# Answers ccxt would otherwise ask the exchange for before a call of ours. Where it matters (see ``accounts.py``) the
# question is asked later, when the plain call found nothing.
_ANSWERED: dict[str, dict[str, Any]] = {
    "bitget": {"uta": False},
    "bybit": {"enableUnifiedMargin": False, "enableUnifiedAccount": True, "unifiedMarginStatus": 6},
    "gate": {"unifiedAccount": False},
    "kucoin": {"uta": False, "hf": False},
    "kucoinfutures": {"uta": False, "hf": False},
}


# Codes that ccxt takes for something else: a wrong clock is no refusal of the key, an unknown key is one.
_CODES: dict[str, dict[str, str]] = {
    "gate": {"REQUEST_EXPIRED": "InvalidNonce"},
    "gemini": {"InvalidTimestampInPayload": "InvalidNonce"},
    "mexc": {
        "10072": "AuthenticationError",  # invalid access key
        "700006": "PermissionDenied",  # address not on the key's list
        "730706": "AuthenticationError",  # no such key
    },
    "okx": {"50112": "InvalidNonce"},  # invalid OK-ACCESS-TIMESTAMP
}


@functools.cache
def ccxt_module() -> ModuleType:
    """ccxt itself; takes half a second the first time, so workers call this once before they fork."""
    quiet_logs()
    return importlib.import_module("ccxt")


@functools.cache
def _client_class(exchange: str) -> Any:
    ccxt = ccxt_module()
    errors = {
        "_bad_response": ccxt.BadResponse,
        "_ccxt_error": ccxt.BaseError,
        "_cannot_sign": type("CannotSign", (ccxt.AuthenticationError,), {}),
    }
    return type(f"Bridge{exchange.title()}", (Transport, getattr(ccxt, exchange)), errors)


def is_carried(exchange: str) -> bool:
    """Whether the installed ccxt has this id."""
    return exchange in ccxt_module().exchanges


def build(
    exchange: str,
    market_type: MarketType,
    credentials: Credentials | None,
    *,
    base_url: str | None,
    timeout_s: float,
    clock: ExchangeClock | None = None,
    turns: Turns | None = None,
) -> Any:
    """Gives a ccxt instance that sends through our wire and makes no call that was not asked for.

    It takes the time from ``clock`` and waits for ``turns``; without these, our own clock and only its own pace.
    """
    wire = Wire(base_url=base_url, timeout_s=timeout_s, clock=clock or ExchangeClock(), turns=turns)
    settings = {
        "timeout": int(timeout_s * 1000),
        "enableRateLimit": True,
        "number": str,
        "session": BoundedSession(wire),
        "verbose": False,
        "enableLastHttpResponse": False,
        "enableLastJsonResponse": False,
        "enableLastResponseHeaders": False,
        **_login(exchange, credentials),
    }
    client = _client_class(exchange)(settings)
    client._wire = wire
    client.has["fetchCurrencies"] = False  # a second, often signed, call that trades and tickers do not need
    _narrow(client, exchange, market_type)
    for code, error in _CODES.get(exchange, {}).items():
        client.exceptions["exact"][code] = getattr(ccxt_module(), error)
    return client


def _login(exchange: str, credentials: Credentials | None) -> dict[str, str]:
    if credentials is None:
        return {}
    names = credential_names(exchange)
    pairs = (
        (names.key, credentials.api_key),
        (names.signing, credentials.api_secret),
        (names.memo, credentials.memo),
    )
    return {name: value for name, value in pairs if name and value}


def _narrow(client: Any, exchange: str, market_type: MarketType) -> None:
    """Loads only the markets of our type, and answers what ccxt would otherwise ask."""
    options = client.options
    options.update(_ANSWERED.get(exchange, {}))
    if options.get("adjustForTimeDifference"):
        options["adjustForTimeDifference"] = False  # the wire corrects the time, of every class
    if client.has.get("spot") and client.has.get("swap"):
        options["defaultType"] = market_type.value
    words = _TYPE_WORDS[market_type]
    fetch_markets = options.get("fetchMarkets")
    if not isinstance(fetch_markets, dict):
        return
    types = fetch_markets.get("types")
    if isinstance(types, list) and words & set(types):
        fetch_markets["types"] = [word for word in types if word in words]
    elif isinstance(types, dict) and words & set(types):
        fetch_markets["types"] = {word: about if word in words else False for word, about in types.items()}
    if "fetchTickersFees" in fetch_markets:
        fetch_markets["fetchTickersFees"] = False
