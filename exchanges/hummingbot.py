"""What Hummingbot's connectors call a key, its secret and the third value, as add-credential wants them.

Read off the configuration of every connector of Hummingbot 20260922, the version of the recorded contract. ``{c}`` is
the connector's own name.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchanges.names import resolve
from exchanges.types import Credentials
from ground.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Fields:
    """Hummingbot's field names for our three values; None: the connector has no use for that one."""

    key: str | None
    signing: str
    memo: str | None = None


_API_SECRET = Fields("{c}_api_key", "{c}_api_secret")
_SECRET_KEY = Fields("{c}_api_key", "{c}_secret_key")
_PRIVATE_KEY = Fields("{c}_api_key", "{c}_private_key")
_PASSPHRASE = Fields("{c}_api_key", "{c}_secret_key", "{c}_passphrase")
_ADDRESS = Fields("{c}_address", "{c}_secret_key")
_BACKPACK = Fields("backpack_api_key", "backpack_api_secret")
_ARCHITECT = Fields("api_key", "api_secret")
_GRVT = Fields("{c}_api_key", "{c}_private_key", "{c}_trading_account_id")
_PACIFICA = Fields("{c}_agent_wallet_public_key", "{c}_agent_wallet_private_key", "{c}_user_wallet_public_key")

_FIELDS: dict[str, Fields] = {
    "architect_perpetual": _ARCHITECT,
    "architect_perpetual_sandbox": _ARCHITECT,
    "backpack": _BACKPACK,
    "backpack_perpetual": _BACKPACK,
    "binance": _API_SECRET,
    "binance_perpetual": _API_SECRET,
    "binance_perpetual_testnet": _API_SECRET,
    "bing_x": Fields("bingx_api_key", "bingx_api_secret"),
    "bitget": _PASSPHRASE,
    "bitget_perpetual": _PASSPHRASE,
    "bitmart": Fields("{c}_api_key", "{c}_secret_key", "{c}_memo"),
    "bitmart_perpetual": Fields("{c}_api_key", "{c}_api_secret", "{c}_memo"),
    "bitrue": _API_SECRET,
    "bitstamp": _API_SECRET,
    "btc_markets": _API_SECRET,
    "bybit": _API_SECRET,
    "bybit_perpetual": _SECRET_KEY,
    "bybit_perpetual_testnet": _SECRET_KEY,
    "bybit_testnet": _API_SECRET,
    "coinbase_advanced_trade": _API_SECRET,
    "dexalot": _API_SECRET,
    "dexalot_testnet": _API_SECRET,
    "dydx_v4_perpetual": Fields("{c}_chain_address", "{c}_secret_phrase"),
    "evedex_perpetual": _PRIVATE_KEY,
    "foxbit": Fields("{c}_api_key", "{c}_api_secret", "{c}_user_id"),
    "gate_io": _SECRET_KEY,
    "gate_io_perpetual": Fields("{c}_api_key", "{c}_secret_key", "{c}_user_id"),
    "gemini": _API_SECRET,
    "grvt_perpetual": _GRVT,
    "grvt_perpetual_testnet": _GRVT,
    "htx": _SECRET_KEY,
    "hyperliquid": _ADDRESS,
    "hyperliquid_perpetual": _ADDRESS,
    "hyperliquid_perpetual_testnet": _ADDRESS,
    "hyperliquid_testnet": _ADDRESS,
    "kalshi_perpetual": _PRIVATE_KEY,
    "kraken": _SECRET_KEY,
    "kucoin": _PASSPHRASE,
    "kucoin_hft": _PASSPHRASE,
    "kucoin_perpetual": _PASSPHRASE,
    "lambdaplex": _PRIVATE_KEY,
    "mexc": _API_SECRET,
    "okx": _PASSPHRASE,
    "okx_perpetual": _PASSPHRASE,
    "pacifica_perpetual": _PACIFICA,
    "pacifica_perpetual_testnet": _PACIFICA,
    "xrpl": Fields(None, "{c}_secret_key"),
}

# Connectors whose login is more than a key, a secret and a third value: added in Hummingbot itself.
NEED_MORE = frozenset(
    {
        "aevo_perpetual",
        "aevo_perpetual_testnet",
        "decibel_perpetual",
        "decibel_perpetual_testnet",
        "derive",
        "derive_perpetual",
        "derive_perpetual_testnet",
        "derive_testnet",
        "injective_v2",
        "injective_v2_perpetual",
        "lighter",
        "lighter_perpetual",
        "lighter_perpetual_testnet",
        "lighter_testnet",
        "ndax",
        "ndax_testnet",
    }
)

# How a market is called in Hummingbot where that is neither "<ccxt id>" nor "<ccxt id>_perpetual".
_BY_MARKET = {
    ("binanceusdm", "swap"): "binance_perpetual",
    ("bingx", "spot"): "bing_x",
    ("btcmarkets", "spot"): "btc_markets",
    ("coinbase", "spot"): "coinbase_advanced_trade",
    ("dydx", "swap"): "dydx_v4_perpetual",
    ("gate", "spot"): "gate_io",
    ("gate", "swap"): "gate_io_perpetual",
    ("krakenfutures", "swap"): "kraken_perpetual",
    ("kucoinfutures", "swap"): "kucoin_perpetual",
}


def connector_name(name: str) -> str | None:
    """The name under which Hummingbot knows this connector, whoever's word it is; None if it has none of that kind."""
    market = resolve(name)
    own_swap = f"{market.exchange}_perpetual" if market.market_type == "swap" else market.exchange
    by_market = _BY_MARKET.get((market.exchange, str(market.market_type)), own_swap)
    return next((word for word in (market.name, by_market) if word in _FIELDS or word in NEED_MORE), None)


def required_connector_name(name: str) -> str:
    """The same. Raises InvalidInput where Hummingbot has none."""
    known = connector_name(name)
    if known is None:
        raise InvalidInput(f"Hummingbot has no connector named {name[:64]!r}.", code="unknown_connector")
    return known


def memo_word(name: str) -> str | None:
    """What this connector calls the third value ("passphrase", "memo", "user id"); None if it has no use for one."""
    fields = _FIELDS.get(connector_name(name) or "")
    return fields.memo.removeprefix("{c}_").replace("_", " ") if fields and fields.memo else None


def hummingbot_credentials(name: str, credentials: Credentials) -> dict[str, str]:
    """The body of add-credential for this connector. Holds the secrets in clear: for sending, never for logging.

    Raises InvalidInput when the connector is unknown there, asks for more than we keep, or a value is missing.
    """
    known = required_connector_name(name)
    if known in NEED_MORE:
        raise InvalidInput(
            f"Hummingbot's {known} needs more than a key, a secret and a memo: add its credentials in Hummingbot.",
            code="credentials_unsupported",
        )
    fields = _FIELDS[known]
    body: dict[str, str] = {}
    for field, value, ours in (
        (fields.key, credentials.api_key, "api_key"),
        (fields.signing, credentials.api_secret, "api_secret"),
        (fields.memo, credentials.memo, "memo"),
    ):
        if field is None:
            continue
        word = field.removeprefix("{c}_").replace("_", " ")
        if not value:
            sentence = f"Hummingbot's {known} also needs the {word} of the key."
            raise InvalidInput(sentence, code="credentials_incomplete", fields={ours: [sentence]})
        body[field.format(c=known)] = value
    return body
