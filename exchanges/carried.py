"""The exchanges that our ccxt carries, as data: importing ccxt takes half a second, never to happen in a web process.

A test compares every line with the installed ccxt, so that an update of ccxt shows what changed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Carried:
    """What ccxt can do with one exchange. ``types`` are the market types, spot first where there are both."""

    title: str
    types: str
    reads_trades: bool = True  # False: ccxt has no call for an account's own trades there


@dataclass(frozen=True, slots=True)
class CredentialNames:
    """Which of ccxt's fields our key, secret and memo become; None: the exchange has no use for it."""

    key: str | None = "apiKey"
    signing: str | None = "secret"
    memo: str | None = None


CARRIED: dict[str, Carried] = {
    "alpaca": Carried("Alpaca", "spot"),
    "apex": Carried("Apex", "swap"),
    "aster": Carried("Aster", "spot swap"),
    "backpack": Carried("Backpack", "spot swap"),
    "bequant": Carried("Bequant", "spot"),
    "bigone": Carried("BigONE", "spot swap"),
    "binance": Carried("Binance", "spot swap"),
    "binancecoinm": Carried("Binance COIN-M", "swap"),
    "binanceus": Carried("Binance US", "spot"),
    "binanceusdm": Carried("Binance USD-M", "swap"),
    "bingx": Carried("BingX", "spot swap"),
    "bit2c": Carried("Bit2C", "spot"),
    "bitbank": Carried("bitbank", "spot"),
    "bitbns": Carried("Bitbns", "spot"),
    "bitfinex": Carried("Bitfinex", "spot swap"),
    "bitflyer": Carried("bitFlyer", "spot"),
    "bitget": Carried("Bitget", "spot swap"),
    "bithumb": Carried("Bithumb", "spot", reads_trades=False),
    "bitopro": Carried("BitoPro", "spot"),
    "bitrue": Carried("Bitrue", "spot swap"),
    "bitso": Carried("Bitso", "spot"),
    "bitstamp": Carried("Bitstamp", "spot swap"),
    "bitteam": Carried("BIT.TEAM", "spot"),
    "bittrade": Carried("BitTrade", "spot"),
    "bitvavo": Carried("Bitvavo", "spot"),
    "blockchaincom": Carried("Blockchain.com", "spot"),
    "blofin": Carried("BloFin", "swap"),
    "btcbox": Carried("BtcBox", "spot", reads_trades=False),
    "btcmarkets": Carried("BTC Markets", "spot"),
    "btcturk": Carried("BTCTurk", "spot"),
    "btse": Carried("BTSE", "spot swap"),
    "bullish": Carried("Bullish", "spot swap"),
    "bybit": Carried("Bybit", "spot swap"),
    "bybiteu": Carried("Bybit EU", "spot"),
    "bybitid": Carried("Bybit Indonesia", "spot swap"),
    "bydfi": Carried("BYDFi", "swap"),
    "cex": Carried("CEX.IO", "spot", reads_trades=False),
    "coinbase": Carried("Coinbase Advanced", "spot swap"),
    "coinbaseexchange": Carried("Coinbase Exchange", "spot"),
    "coinbaseinternational": Carried("Coinbase International", "spot swap"),
    "coincheck": Carried("Coincheck", "spot"),
    "coinmate": Carried("CoinMate", "spot"),
    "coinone": Carried("CoinOne", "spot"),
    "coinsph": Carried("Coins.ph", "spot"),
    "coinspot": Carried("CoinSpot", "spot"),
    "cryptocom": Carried("Crypto.com", "spot swap"),
    "cryptomus": Carried("Cryptomus", "spot", reads_trades=False),
    "deepcoin": Carried("DeepCoin", "spot swap"),
    "delta": Carried("Delta Exchange", "spot swap"),
    "deribit": Carried("Deribit", "spot swap"),
    "derive": Carried("Derive", "spot swap"),
    "digifinex": Carried("DigiFinex", "spot swap"),
    "dydx": Carried("dYdX", "swap", reads_trades=False),
    "extended": Carried("Extended", "swap"),
    "fmfwio": Carried("FMFW.io", "spot swap"),
    "foxbit": Carried("Foxbit", "spot"),
    "gate": Carried("Gate", "spot swap"),
    "gateeu": Carried("Gate EU", "spot"),
    "gemini": Carried("Gemini", "spot swap"),
    "grvt": Carried("GRVT", "swap"),
    "hashkey": Carried("HashKey Global", "spot swap"),
    "hibachi": Carried("Hibachi", "swap"),
    "hitbtc": Carried("HitBTC", "spot swap"),
    "hollaex": Carried("HollaEx", "spot"),
    "htx": Carried("HTX", "spot swap"),
    "hyperliquid": Carried("Hyperliquid", "spot swap"),
    "independentreserve": Carried("Independent Reserve", "spot"),
    "indodax": Carried("INDODAX", "spot", reads_trades=False),
    "kraken": Carried("Kraken", "spot"),
    "krakenfutures": Carried("Kraken Futures", "swap"),
    "kucoin": Carried("KuCoin", "spot swap"),
    "kucoinfutures": Carried("KuCoin Futures", "swap"),
    "latoken": Carried("Latoken", "spot"),
    "lbank": Carried("LBank", "spot"),
    "lighter": Carried("Lighter", "spot swap"),
    "luno": Carried("Luno", "spot"),
    "mercado": Carried("Mercado Bitcoin", "spot"),
    "mexc": Carried("MEXC Global", "spot swap"),
    "modetrade": Carried("Mode Trade", "swap"),
    "mudrex": Carried("Mudrex", "swap"),
    "myokx": Carried("MyOKX (EEA)", "spot swap"),
    "nado": Carried("Nado", "spot swap"),
    "ndax": Carried("NDAX", "spot"),
    "okx": Carried("OKX", "spot swap"),
    "okxus": Carried("OKX (US)", "spot"),
    "onetrading": Carried("One Trading", "spot swap"),
    "p2b": Carried("p2b", "spot"),
    "pacifica": Carried("Pacifica", "spot swap"),
    "paradex": Carried("Paradex", "swap"),
    "paymium": Carried("Paymium", "spot", reads_trades=False),
    "phemex": Carried("Phemex", "spot swap"),
    "poloniex": Carried("Poloniex", "spot swap"),
    "polymarket": Carried("Polymarket", "swap"),
    "revolutx": Carried("Revolut X", "spot"),
    "tokocrypto": Carried("Tokocrypto", "spot"),
    "toobit": Carried("Toobit", "spot swap"),
    "upbit": Carried("Upbit", "spot", reads_trades=False),
    "weex": Carried("Weex", "spot swap"),
    "whitebit": Carried("WhiteBit", "spot swap"),
    "woo": Carried("WOO X", "spot swap"),
    "woofipro": Carried("WOOFI PRO", "swap"),
    "xt": Carried("XT", "spot swap"),
    "zaif": Carried("Zaif", "spot", reads_trades=False),
    "zebpay": Carried("Zebpay", "spot swap"),
}

_KEY_AND_SECRET = CredentialNames()
_PASSPHRASE = CredentialNames(memo="password")
_USER_ID = CredentialNames(memo="uid")
_ACCOUNT_ID = CredentialNames(memo="accountId")
_WALLET = CredentialNames(key="walletAddress", signing="privateKey")
_PRIVATE_KEY = CredentialNames(signing="privateKey")

# Every exchange that is not here takes a key and a secret.
_CREDENTIALS: dict[str, CredentialNames] = {
    "apex": _PASSPHRASE,
    "aster": _PRIVATE_KEY,
    "bitget": _PASSPHRASE,
    "blofin": _PASSPHRASE,
    "coinbaseexchange": _PASSPHRASE,
    "coinmate": _USER_ID,
    "cryptomus": CredentialNames(key="uid"),
    "deepcoin": _PASSPHRASE,
    "derive": _WALLET,
    "extended": _PRIVATE_KEY,
    "grvt": _PRIVATE_KEY,
    "hibachi": CredentialNames(signing="privateKey", memo="accountId"),
    "hyperliquid": _WALLET,
    "kucoin": _PASSPHRASE,
    "kucoinfutures": _PASSPHRASE,
    "lighter": _PRIVATE_KEY,
    "modetrade": _ACCOUNT_ID,
    "myokx": _PASSPHRASE,
    "nado": _WALLET,
    "ndax": _USER_ID,
    "okx": _PASSPHRASE,
    "okxus": _PASSPHRASE,
    "pacifica": _PRIVATE_KEY,
    "paradex": _WALLET,
    "polymarket": _PRIVATE_KEY,
    "revolutx": _PRIVATE_KEY,
    "weex": _PASSPHRASE,
    "woofipro": _ACCOUNT_ID,
}

# Exchanges whose ccxt class asks for more than a key, a secret and a third value.
NEEDS_MORE = frozenset({"ndax"})  # also a login and its password


def credential_names(exchange: str) -> CredentialNames:
    """Which of ccxt's fields a key, a secret and a memo become at this exchange (a ccxt id)."""
    return _CREDENTIALS.get(exchange, _KEY_AND_SECRET)
