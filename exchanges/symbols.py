"""Pairs: the many ways people and exchanges write one, and the one way we store it ("BTC/USDT")."""

from __future__ import annotations

import re

from ground.errors import InvalidInput

MAX_LENGTH = 40


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Quotes that end a pair written without a separator. A longer one wins ("BTCFDUSD" is BTC/FDUSD, not BTCFD/USD).
QUOTES = _words(
    "USDT USDC FDUSD USDD USDE USDS USD1 PYUSD RLUSD DAI USD EUR EURC EURI GBP AUD CAD CHF JPY KRW BRL TRY INR IDR RUB"
    " UAH MXN ARS ZAR SGD HKD NZD PLN NGN THB BTC XBT ETH BNB SOL TRX KCS OKB"
)
# Almost retired stablecoins: they count only behind a base everybody knows, so that SHIBUSD and APTUSD stay USD pairs.
RETIRED_QUOTES = _words("BUSD TUSD GUSD USDP UST")
MAJOR_BASES = _words(
    "BTC XBT ETH BNB SOL XRP ADA DOGE TRX TON DOT LTC BCH LINK AVAX MATIC POL UNI ATOM XLM ETC FIL NEAR APT ARB OP SUI"
    " SHIB PEPE AAVE EOS XTZ ALGO USDT USDC"
)

_PART = r"[A-Z0-9]{1,20}"
_SEPARATED = re.compile(rf"({_PART})[/_-]({_PART})(?::({_PART}))?")
_GLUED = re.compile(_PART + r"[A-Z0-9]{0,20}")


def normalize(text: str) -> str:
    """Gives "BTC/USDT" for BTC/USDT, BTCUSDT, BTC_USDT, btc-usdt and the contract's BTC/USDT:USDT.

    Raises InvalidInput, whose sentence says what a pair looks like.
    """
    base, quote = base_quote(text)
    return f"{base}/{quote}"


def base_quote(text: str) -> tuple[str, str]:
    """Gives ("BTC", "USDT"), accepting and refusing what ``normalize`` does."""
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise _refused("A trading pair is a text of at most 40 characters, such as BTC/USDT.")
    compact = text.strip().upper()
    separated = _SEPARATED.fullmatch(compact)
    if separated:
        base, quote = separated.group(1), separated.group(2)
    elif _GLUED.fullmatch(compact):
        base, quote = _split_glued(compact)
    else:
        raise _refused("A trading pair is two currencies of letters and digits, such as BTC/USDT, BTC-USDT or BTCUSDT.")
    if base == quote:
        raise _refused("A trading pair needs two different currencies, such as BTC/USDT.")
    return base, quote


def to_hummingbot(symbol: str) -> str:
    """Gives "BTC-USDT", as Hummingbot writes pairs, contracts included."""
    return "-".join(base_quote(symbol))


def _split_glued(compact: str) -> tuple[str, str]:
    retired = [quote for quote in RETIRED_QUOTES if compact.removesuffix(quote) in MAJOR_BASES]
    quotes = [quote for quote in QUOTES if compact.endswith(quote)] + [q for q in retired if compact.endswith(q)]
    if not quotes or compact in QUOTES | RETIRED_QUOTES:
        raise _refused(
            "It cannot be told where the first currency of this pair ends: write it with a slash, such as BTC/USDT."
        )
    quote = max(quotes, key=len)
    return compact.removesuffix(quote), quote


def _refused(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, code="invalid_symbol")
