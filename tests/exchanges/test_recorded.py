"""Every recorded reply of a call we make, over HTTP through the gateway, against a table reviewed by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchanges.gateways.ccxt_gateway import ExchangeGateway
from exchanges.gateways.errors import NotCarried
from exchanges.types import Balance, Side, Ticker, Trade
from tests.exchanges.fake import FakeExchange
from tests.exchanges.tables import KEY

D = Decimal

MARKETS: dict[str, dict[str, Any]] = {
    "binance": {
        "/api/v3/exchangeInfo": {
            "timezone": "UTC",
            "symbols": [
                {
                    "symbol": f"{base}USDT",
                    "status": "TRADING",
                    "baseAsset": base,
                    "quoteAsset": "USDT",
                    "baseAssetPrecision": 8,
                    "quotePrecision": 8,
                    "isSpotTradingAllowed": True,
                    "permissions": ["SPOT"],
                    "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}],
                }
                for base in ("BTC", "LTC")
            ],
        }
    },
    "binanceusdm": {
        "/fapi/v1/exchangeInfo": {
            "timezone": "UTC",
            "symbols": [
                {
                    "symbol": "BTCUSDT",
                    "pair": "BTCUSDT",
                    "contractType": "PERPETUAL",
                    "status": "TRADING",
                    "baseAsset": "BTC",
                    "quoteAsset": "USDT",
                    "marginAsset": "USDT",
                    "deliveryDate": 4133404800000,
                    "onboardDate": 1569398400000,
                    "filters": [],
                }
            ],
        }
    },
    "kucoin": {
        "/api/v2/symbols": {
            "code": "200000",
            "data": [
                {
                    "symbol": f"{base}-USDT",
                    "name": f"{base}-USDT",
                    "baseCurrency": base,
                    "quoteCurrency": "USDT",
                    "enableTrading": True,
                    "baseIncrement": "0.00000001",
                    "priceIncrement": "0.01",
                    "quoteIncrement": "0.01",
                }
                for base in ("BTC", "LTC")
            ],
        }
    },
    "okx": {
        "/api/v5/public/instruments": {
            "code": "0",
            "msg": "",
            "data": [
                {
                    "instType": "SPOT",
                    "instId": f"{base}-USDT",
                    "baseCcy": base,
                    "quoteCcy": "USDT",
                    "lotSz": "0.00000001",
                    "tickSz": "0.01",
                    "minSz": "0.00001",
                    "state": "live",
                }
                for base in ("BTC", "LTC")
            ],
        }
    },
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# (file, case) -> exchange, market type, path, how it is asked, what must come out.
REVIEWED: dict[tuple[str, str], tuple[str, str, str, tuple[Any, ...], Any]] = {
    ("binance", "Spot private trade"): (
        "binance",
        "spot",
        "/api/v3/myTrades",
        ("fetch_own_trades", "LTC/USDT"),
        [
            Trade(
                exchange_trade_id="309520010",
                order_id="3784695242",
                client_order_id=None,
                symbol="LTC/USDT",
                side=Side.SELL,
                price=D("69.63"),
                quantity=D("0.2"),
                notional=D("13.926"),
                fee=D("0.013926"),
                fee_currency="USDT",
                executed_at=at("2023-10-24T09:16:32.358"),
            )
        ],
    ),
    ("binance", "Swap private trade"): (
        "binanceusdm",
        "swap",
        "/fapi/v1/userTrades",
        ("fetch_own_trades", "BTC-USDT"),
        [
            Trade(
                exchange_trade_id="272536245",
                order_id="3524852987",
                client_order_id=None,
                symbol="BTC/USDT",
                side=Side.BUY,
                price=D("36567.1"),
                quantity=D("0.01"),
                notional=D("365.671"),
                fee=D("0.1462684"),
                fee_currency="USDT",
                executed_at=at("2023-11-14T14:40:36.419"),
            )
        ],
    ),
    ("binance", "public spot ticker"): (
        "binance",
        "spot",
        "/api/v3/ticker/24hr",
        ("fetch_ticker", "BTCUSDT"),
        Ticker(
            symbol="BTC/USDT",
            last=D("73369.84"),
            bid=D("73369.83"),
            ask=D("73369.84"),
            change_24h_ratio=D("0.01647"),
            volume_24h=D("72140.348628"),
            quote_volume_24h=D("5167027510.68728707"),
            observed_at=at("2024-03-13T11:10:45.391"),
        ),
    ),
    ("kucoin", "Fetch spot trade"): (
        "kucoin",
        "spot",
        "/api/v1/fills",
        ("fetch_own_trades", "LTC_USDT"),
        [
            Trade(
                exchange_trade_id="3607194733924353",
                order_id="65560a018b40f60007d5fe93",
                client_order_id=None,
                symbol="LTC/USDT",
                side=Side.BUY,
                price=D("72.8"),
                quantity=D("0.010055"),
                notional=D("0.732004"),
                fee=D("0.000732004"),
                fee_currency="USDT",
                executed_at=at("2023-11-16T12:24:33"),
            )
        ],
    ),
    ("kucoin", "fetch ticker"): (
        "kucoin",
        "spot",
        "/api/v1/market/stats",
        ("fetch_ticker", "btc-usdt"),
        Ticker(
            symbol="BTC/USDT",
            last=D("67400"),
            bid=D("67399.9"),
            ask=D("67400"),
            change_24h_ratio=D("0.0089"),
            volume_24h=D("6442.17728633"),
            quote_volume_24h=D("433203364.463489651"),
            observed_at=at("2024-03-08T11:35:10.012"),
        ),
    ),
    ("kucoin", "fetch balance"): (
        "kucoin",
        "spot",
        "/api/v1/accounts",
        ("fetch_balance",),
        {
            "USDT": Balance("USDT", D("40.12618754"), D("0"), D("40.12618754")),
            "LTC": Balance("LTC", D("0.171021"), D("0"), D("0.171021")),
            "BTC": Balance("BTC", D("0"), D("0"), D("0")),
            "TRX": Balance("TRX", D("0"), D("0"), D("0")),
        },
    ),
    ("okx", "Fetch spot trade (no symbol)"): (
        "okx",
        "spot",
        "/api/v5/trade/fills-history",
        ("fetch_own_trades", "LTCUSDT"),
        [
            Trade(
                exchange_trade_id="56181695",
                order_id="639895991331667968",
                client_order_id="e847386590ce4dBCff0cf9a74b5f3bcf",
                symbol="LTC/USDT",
                side=Side.BUY,
                price=D("67.84"),
                quantity=D("0.1"),
                notional=D("6.784"),
                fee=D("0.0001"),
                fee_currency="LTC",
                executed_at=at("2023-11-01T10:38:13.028"),
            )
        ],
    ),
    ("okx", "public spot ticker"): (
        "okx",
        "spot",
        "/api/v5/market/ticker",
        ("fetch_ticker", "BTC/USDT"),
        Ticker(
            symbol="BTC/USDT",
            last=D("73384.8"),
            bid=D("73384.7"),
            ask=D("73384.8"),
            # (73384.8 - 72166.8) / 72166.8
            change_24h_ratio=D("0.01687756696985317348143467633"),
            volume_24h=D("21266.19145051"),
            quote_volume_24h=D("1519926359.597266598"),
            observed_at=at("2024-03-13T11:10:43.709"),
        ),
    ),
    ("okx", "funding balance"): (
        "okx",
        "spot",
        "/api/v5/asset/balances",
        ("fetch_balance", "funding"),
        {"TUSD": Balance("TUSD", D("100"), D("0"), D("100"))},
    ),
}

CALLS = {"fetchMyTrades", "fetchTicker", "fetchBalance"}


def recorded(shared: Path, name: str) -> dict[str, Any]:
    return json.loads((shared / "contracts" / "ccxt" / f"{name}.json").read_text())


def test_every_recorded_case_is_in_the_table(shared: Path) -> None:
    files = [json.loads(path.read_text()) for path in sorted((shared / "contracts" / "ccxt").glob("*.json"))]
    cases = {
        (about["exchange"], case["description"])
        for about in files
        for case in about["cases"]
        if case["method"] in CALLS and about["exchange"] != "bitmart"
    }
    assert cases == set(REVIEWED)


@pytest.mark.parametrize(("name", "description"), list(REVIEWED))
def test_reads_the_recorded_reply_as_reviewed(shared: Path, fake: FakeExchange, name: str, description: str) -> None:
    exchange, market_type, path, (method, *arguments), expected = REVIEWED[name, description]
    case = next(case for case in recorded(shared, name)["cases"] if case["description"] == description)
    for market_path, body in MARKETS[exchange].items():
        fake.on(market_path, body)
    fake.on(path, case["httpResponse"])
    gateway = ExchangeGateway(exchange, market_type, KEY, base_url=fake.url)
    result = getattr(gateway, method)(*arguments)
    if isinstance(expected, Ticker):
        assert abs(result.change_24h_ratio - expected.change_24h_ratio) < D("1e-15")
        result = result.__class__(**{**_fields(result), "change_24h_ratio": expected.change_24h_ratio})
    assert result == expected
    markets = len(MARKETS[exchange])
    assert len(fake.seen) == markets + 1, "one call for the markets and one for the answer, nothing more"


def test_says_clearly_that_bitmart_is_no_longer_carried(shared: Path, fake: FakeExchange) -> None:
    assert recorded(shared, "bitmart")["cases"]
    with pytest.raises(NotCarried) as refusal:
        ExchangeGateway("bitmart", "spot", KEY, base_url=fake.url)
    assert refusal.value.code == "exchange_not_carried"
    assert refusal.value.message.startswith("BitMart closed in 2026 and ccxt no longer carries it")
    assert fake.seen == []


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
