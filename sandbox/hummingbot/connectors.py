"""The connectors Hummingbot lists, the credentials each asks for, and which of them the sandbox can serve."""

from __future__ import annotations

from typing import Any

# In the order the original answered with.
# fmt: off
NAMES = [
    "hyperliquid_perpetual", "hyperliquid_perpetual_testnet", "injective_v2_perpetual", "aevo_perpetual",
    "aevo_perpetual_testnet", "pacifica_perpetual", "pacifica_perpetual_testnet", "okx_perpetual",
    "derive_perpetual", "derive_perpetual_testnet", "backpack_perpetual", "architect_perpetual",
    "architect_perpetual_sandbox", "bitget_perpetual", "kucoin_perpetual", "decibel_perpetual",
    "decibel_perpetual_testnet", "lighter_perpetual", "lighter_perpetual_testnet", "evedex_perpetual",
    "grvt_perpetual", "grvt_perpetual_testnet", "kalshi_perpetual", "bybit_perpetual", "bybit_perpetual_testnet",
    "gate_io_perpetual", "bitmart_perpetual", "binance_perpetual", "binance_perpetual_testnet", "dydx_v4_perpetual",
    "gate_io", "lighter", "lighter_testnet", "coinbase_advanced_trade", "xrpl", "htx", "ndax", "ndax_testnet",
    "bitmart", "hyperliquid", "hyperliquid_testnet", "bitstamp", "okx", "bybit", "bybit_testnet", "kucoin",
    "kucoin_hft", "mexc", "bitget", "gemini", "bing_x", "lambdaplex", "kraken", "btc_markets", "dexalot",
    "dexalot_testnet", "backpack", "bitrue", "foxbit", "injective_v2", "derive", "derive_testnet", "binance",
]
# fmt: on

# Connector to (the exchange played for it, the host its credentials are checked at).
PLAYED = {
    "kucoin": ("kucoin", "api.kucoin.com"),
    "kucoin_hft": ("kucoin", "api.kucoin.com"),
    "binance": ("binance", "api.binance.com"),
    "binance_perpetual": ("binanceusdm", "fapi.binance.com"),
    "gate_io": ("gate", "api.gateio.ws"),
    "okx": ("okx", "www.okx.com"),
}

_FIELDS = {
    "kucoin": ("api_key", "secret_key", "passphrase"),
    "kucoin_hft": ("api_key", "secret_key", "passphrase"),
    "okx": ("api_key", "secret_key", "passphrase"),
    "okx_perpetual": ("api_key", "secret_key", "passphrase"),
    "kucoin_perpetual": ("api_key", "secret_key", "passphrase"),
    "bitget": ("api_key", "secret_key", "passphrase"),
    "bitget_perpetual": ("api_key", "secret_key", "passphrase"),
    "gate_io": ("api_key", "secret_key"),
    "gate_io_perpetual": ("api_key", "secret_key", "user_id"),
    "bitmart": ("api_key", "secret_key", "memo"),
    "bitmart_perpetual": ("api_key", "secret_key", "memo"),
    "htx": ("api_key", "secret_key"),
    "kraken": ("api_key", "secret_key"),
}


_BY_EXCHANGE = {exchange: connector for connector, (exchange, _) in PLAYED.items() if connector != "kucoin_hft"}


def name_of(exchange: str) -> str:
    """The connector that trades on a played exchange."""
    return _BY_EXCHANGE[exchange]


def fields(connector: str) -> list[str]:
    """The names its credentials carry on the wire. Those of connectors nobody recorded are a guess."""
    return [f"{connector}_{field}" for field in _FIELDS.get(connector, ("api_key", "api_secret"))]


def config_map(connector: str) -> dict[str, Any]:
    return {field: {"type": "SecretStr", "required": True} for field in fields(connector)}


def parts(connector: str, credentials: dict[str, Any]) -> tuple[str, str, str]:
    """API key, secret and passphrase out of a connector's credentials; "" for what is not there."""
    values = [str(credentials.get(field, "")) for field in fields(connector)]
    return values[0], values[1], values[2] if len(values) > 2 else ""
