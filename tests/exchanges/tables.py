"""Small tables of markets, in ccxt's unified form, and gateways that know them without asking."""

from __future__ import annotations

from typing import Any

from exchanges.gateways import client
from exchanges.gateways.ccxt_gateway import ExchangeGateway
from exchanges.gateways.markets import MarketTable
from exchanges.types import Credentials, MarketType

KEY = Credentials(api_key="an-api-key-of-ours", api_secret="c2VjcmV0LW9mLW91cnM=", memo="a-passphrase")


def spot(market_id: str, base: str, quote: str, **more: Any) -> dict[str, Any]:
    return {
        "id": market_id,
        "lowercaseId": market_id.lower(),
        "symbol": f"{base}/{quote}",
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "type": "spot",
        "spot": True,
        "swap": False,
        "future": False,
        "option": False,
        "contract": False,
        "margin": False,
        "linear": None,
        "inverse": None,
        "active": True,
        "precision": {"amount": "0.00000001", "price": "0.00000001"},
        "limits": {},
        "info": {},
        **more,
    }


def swap(market_id: str, base: str, quote: str, settle: str, contract_size: str = "1", **more: Any) -> dict[str, Any]:
    return {
        **spot(market_id, base, quote),
        "symbol": f"{base}/{quote}:{settle}",
        "settle": settle,
        "settleId": settle.lower(),
        "type": "swap",
        "spot": False,
        "swap": True,
        "contract": True,
        "linear": settle == quote,
        "inverse": settle == base,
        "contractSize": contract_size,
        **more,
    }


def gateway(
    exchange: str,
    market_type: str,
    rows: list[dict[str, Any]],
    url: str,
    *,
    key: Credentials | None = KEY,
    **about: Any,
) -> ExchangeGateway:
    """A gateway to the server at ``url`` that has these markets already."""
    table = MarketTable()
    source = client.build(exchange, MarketType(market_type), None, base_url=url, timeout_s=1)
    source.set_markets(rows)
    table.give(client.build(exchange, MarketType(market_type), None, base_url=url, timeout_s=1), lambda: source)
    return ExchangeGateway(exchange, market_type, key, base_url=url, markets=table, **about)
