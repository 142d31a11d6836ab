"""Which exchange a connector's name means: Hummingbot's names and ccxt's ids, mapped to a ccxt id and a market type.

Plain data, no ccxt import. A name that ccxt does not carry says why in one sentence; a name that nobody knows is not
an error here: the caller decides what to say about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exchanges.carried import CARRIED, NEEDS_MORE
from exchanges.types import MarketType

__all__ = ["Market", "known_connectors", "resolve"]

_CLEAN = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_PERPETUAL = "_perpetual"
_TEST_SUFFIXES = ("_testnet", "_sandbox")
_PAPER = "_paper_trade"

# Names whose ccxt id is spelled otherwise. "<ccxt id>" and "<ccxt id>_perpetual" need no line.
_ALIASES: dict[str, tuple[str, MarketType]] = {
    "ascendex_perpetual": ("ascendex", MarketType.SWAP),
    "binance_perpetual": ("binanceusdm", MarketType.SWAP),
    "binance_us": ("binanceus", MarketType.SPOT),
    "bing_x": ("bingx", MarketType.SPOT),
    "bing_x_perpetual": ("bingx", MarketType.SWAP),
    "bitfinex2": ("bitfinex", MarketType.SPOT),
    "btc_markets": ("btcmarkets", MarketType.SPOT),
    "coinbase_advanced_trade": ("coinbase", MarketType.SPOT),
    "coinbase_pro": ("coinbaseexchange", MarketType.SPOT),
    "coinbasepro": ("coinbaseexchange", MarketType.SPOT),
    "crypto_com": ("cryptocom", MarketType.SPOT),
    "dydx_perpetual": ("dydx", MarketType.SWAP),
    "dydx_v4_perpetual": ("dydx", MarketType.SWAP),
    "gate_io": ("gate", MarketType.SPOT),
    "gate_io_perpetual": ("gate", MarketType.SWAP),
    "gateio": ("gate", MarketType.SPOT),
    "huobi": ("htx", MarketType.SPOT),
    "kraken_perpetual": ("krakenfutures", MarketType.SWAP),
    "kucoin_hft": ("kucoin", MarketType.SPOT),
    "kucoin_perpetual": ("kucoinfutures", MarketType.SWAP),
    "okex": ("okx", MarketType.SPOT),
    "okex_perpetual": ("okx", MarketType.SWAP),
    "one_trading": ("onetrading", MarketType.SPOT),
    "woo_x": ("woo", MarketType.SPOT),
    "woo_x_perpetual": ("woo", MarketType.SWAP),
}

# Exchanges that exist (or existed) under this name and that ccxt does not carry: a title, and why, in a sentence.
_BITMART_CLOSED = "BitMart closed in 2026 and ccxt no longer carries it, so its trades cannot be read."
_NOT_CARRIED: dict[str, tuple[str, str]] = {
    "aevo": ("Aevo", "ccxt does not carry Aevo, so its trades cannot be read."),
    "architect": ("Architect", "ccxt does not carry Architect, so its trades cannot be read."),
    "ascend_ex": ("AscendEX", "ccxt no longer carries AscendEX, so its trades cannot be read."),
    "ascendex": ("AscendEX", "ccxt no longer carries AscendEX, so its trades cannot be read."),
    "bitmart": ("BitMart", _BITMART_CLOSED),
    "decibel": ("Decibel", "ccxt does not carry Decibel, a chain, so its trades cannot be read."),
    "dexalot": ("Dexalot", "ccxt does not carry Dexalot, a chain, so its trades cannot be read."),
    "evedex": ("EVEDEX", "ccxt does not carry EVEDEX, so its trades cannot be read."),
    "injective_v2": ("Injective", "ccxt does not carry Injective, a chain, so its trades cannot be read."),
    "kalshi": ("Kalshi", "ccxt does not carry Kalshi, so its trades cannot be read."),
    "lambdaplex": ("Lambdaplex", "ccxt does not carry Lambdaplex, so its trades cannot be read."),
    "probit": ("ProBit", "ccxt no longer carries ProBit, so its trades cannot be read."),
    "vertex": ("Vertex", "ccxt no longer carries Vertex, so its trades cannot be read."),
    "xrpl": ("XRP Ledger", "The XRP Ledger is a chain that ccxt does not carry, so its trades cannot be read."),
}


@dataclass(frozen=True, slots=True)
class Market:
    """Where a connector trades."""

    name: str  # the connector's name, in lower case with underscores
    exchange: str  # the ccxt id, or our own word for an exchange that ccxt does not carry
    market_type: MarketType
    known: bool  # False: nobody has heard of this name
    carried: bool  # False: ccxt cannot talk to it
    reads_trades: bool  # False: an account's own trades cannot be read, by design
    title: str  # as a person writes it: "KuCoin"
    note: str  # one sentence when trades cannot be read, else empty


def resolve(name: str) -> Market:
    """Says what a connector's name means, in any letter case, Hummingbot's or ccxt's. Never raises."""
    clean = _clean(name)
    for suffix in _TEST_SUFFIXES:
        if clean.endswith(suffix) and (real := resolve(clean.removesuffix(suffix))).known:
            return _not_carried(clean, real, f"This is a test network of {real.title}, whose trades are not read.")
    if clean.endswith(_PAPER) and (real := resolve(clean.removesuffix(_PAPER))).known:
        return _not_carried(clean, real, "Paper trades happen inside Hummingbot and never reach the exchange.")
    exchange, market_type = _ALIASES.get(clean) or _by_rule(clean)
    if exchange in CARRIED:
        return _carried(clean, exchange, market_type)
    if exchange in _NOT_CARRIED:
        title, note = _NOT_CARRIED[exchange]
        return Market(clean, exchange, market_type, True, False, False, title, note)
    note = "No exchange of this name is known, so its trades cannot be read."
    return Market(clean, exchange, market_type, False, False, False, clean, note)


def known_connectors() -> list[str]:
    """Every connector name we would offer in a choice, in order: ccxt's ids and Hummingbot's names."""
    perpetual = [f"{exchange}{_PERPETUAL}" for exchange, about in CARRIED.items() if about.types == "spot swap"]
    return sorted({*CARRIED, *perpetual, *_ALIASES, *_NOT_CARRIED})


def _clean(name: str) -> str:
    clean = re.sub(r"[\s.\-]+", "_", name.strip().lower()) if isinstance(name, str) else ""
    return clean if _CLEAN.fullmatch(clean) else "unknown"


def _by_rule(clean: str) -> tuple[str, MarketType]:
    base = clean.removesuffix(_PERPETUAL)
    if base != clean:
        return base, MarketType.SWAP
    about = CARRIED.get(clean)
    return clean, MarketType.SWAP if about and about.types == "swap" else MarketType.SPOT


def _carried(clean: str, exchange: str, market_type: MarketType) -> Market:
    about = CARRIED[exchange]
    if market_type not in about.types.split():
        note = f"ccxt does not carry the {market_type} markets of {about.title}, so its trades cannot be read."
        return Market(clean, exchange, market_type, True, False, False, about.title, note)
    note = ""
    if not about.reads_trades:
        note = f"ccxt cannot read an account's own trades at {about.title}."
    elif exchange in NEEDS_MORE:
        note = f"{about.title} lets ccxt read trades only with a login and its password, which are not kept here."
    return Market(clean, exchange, market_type, True, True, not note, about.title, note)


def _not_carried(clean: str, real: Market, note: str) -> Market:
    return Market(clean, real.exchange, real.market_type, True, False, False, real.title, note)
