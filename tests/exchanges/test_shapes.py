"""Exchanges whose replies were not recorded, in the shapes their documentation shows; contracts counted as base."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exchanges.types import Credentials, Side, Trade
from ground.errors import BadCredentials, Rejected, Unavailable
from tests.exchanges.fake import FakeExchange
from tests.exchanges.tables import KEY, gateway, spot, swap

MS = 1763700000777
WALLET = Credentials("0x" + "a" * 40, "0x" + "b" * 64)


def trade(identity: str, order: str | None, side: Side, price: str, quantity: str, notional: str, **more: Any) -> Trade:
    about: dict[str, Any] = {"symbol": "BTC/USDT", "client_order_id": None, "fee": None, "fee_currency": None, **more}
    about.setdefault("executed_at", datetime.fromtimestamp(MS // 1000, UTC).replace(microsecond=777000))
    return Trade(
        exchange_trade_id=identity,
        order_id=order,
        side=side,
        price=D(price),
        quantity=D(quantity),
        notional=D(notional),
        **about,
    )


SHAPES: dict[str, tuple[str, str, dict[str, Any], str, Any, Trade]] = {
    "gate spot": (
        "gate",
        "spot",
        spot("BTC_USDT", "BTC", "USDT"),
        "/spot/my_trades",
        [
            {
                "id": "2876130500",
                "create_time": "1763700000",
                "create_time_ms": "1763700000777.399200",
                "currency_pair": "BTC_USDT",
                "side": "sell",
                "role": "taker",
                "amount": "0.5",
                "price": "90000.1",
                "order_id": "125924049993",
                "fee": "0.9",
                "fee_currency": "USDT",
                "point_fee": "0",
                "gt_fee": "0",
                "text": "t-hbot-7",
            }
        ],
        trade(
            "2876130500",
            "125924049993",
            Side.SELL,
            "90000.1",
            "0.5",
            "45000.05",
            client_order_id="t-hbot-7",
            fee=D("0.9"),
            fee_currency="USDT",
        ),
    ),
    "gate swap, five contracts short": (
        "gate",
        "swap",
        swap("BTC_USDT", "BTC", "USDT", "USDT", "0.0001"),
        "/my_trades_timerange",
        [
            {
                "size": -5,
                "order_id": "130264979823",
                "trade_id": "26884791",
                "role": "taker",
                "create_time": 1763700000.777,
                "contract": "BTC_USDT",
                "price": "90000",
                "fee": "0.2",
                "text": "web",
            }
        ],
        trade("26884791", "130264979823", Side.SELL, "90000", "0.0005", "45", fee=D("0.2"), fee_currency="USDT"),
    ),
    "bybit spot": (
        "bybit",
        "spot",
        spot("BTCUSDT", "BTC", "USDT"),
        "/v5/execution/list",
        {
            "retCode": 0,
            "retMsg": "OK",
            "result": {
                "nextPageCursor": "a",
                "category": "spot",
                "list": [
                    {
                        "symbol": "BTCUSDT",
                        "orderType": "Market",
                        "orderLinkId": "x-abc",
                        "side": "Buy",
                        "orderId": "8c06",
                        "execTime": str(MS),
                        "isMaker": False,
                        "execFee": "0.0001",
                        "feeRate": "0.0006",
                        "feeCurrency": "BTC",
                        "execId": "e0cb",
                        "execPrice": "90000.5",
                        "execQty": "0.01",
                        "execValue": "900.005",
                        "execType": "Trade",
                    }
                ],
            },
            "retExtInfo": {},
            "time": MS,
        },
        trade(
            "e0cb",
            "8c06",
            Side.BUY,
            "90000.5",
            "0.01",
            "900.005",
            client_order_id="x-abc",
            fee=D("0.0001"),
            fee_currency="BTC",
        ),
    ),
    "mexc spot": (
        "mexc",
        "spot",
        spot("BTCUSDT", "BTC", "USDT"),
        "/api/v3/myTrades",
        [
            {
                "symbol": "BTCUSDT",
                "id": "fad2",
                "orderId": "bb41",
                "price": "90000",
                "qty": "0.02",
                "quoteQty": "1800",
                "commission": "0",
                "commissionAsset": "USDT",
                "time": MS,
                "isBuyer": True,
                "isMaker": False,
                "clientOrderId": "hbot-1",
            }
        ],
        trade(
            "fad2",
            "bb41",
            Side.BUY,
            "90000",
            "0.02",
            "1800",
            client_order_id="hbot-1",
            fee=D("0"),
            fee_currency="USDT",
        ),
    ),
    "mexc swap": (
        "mexc",
        "swap",
        swap("BTC_USDT", "BTC", "USDT", "USDT", "0.0001"),
        "/order/list/order_deals",
        {
            "success": True,
            "code": 0,
            "data": [
                {
                    "id": "299444585",
                    "symbol": "BTC_USDT",
                    "side": "1",
                    "vol": "10",
                    "price": "90000",
                    "feeCurrency": "USDT",
                    "fee": "0.1",
                    "timestamp": str(MS),
                    "profit": "0",
                    "category": "1",
                    "orderId": "26",
                    "positionMode": "1",
                    "taker": True,
                }
            ],
        },
        trade("299444585", "26", Side.BUY, "90000", "0.001", "90", fee=D("0.1"), fee_currency="USDT"),
    ),
    "kraken, which answers for every pair at once": (
        "kraken",
        "spot",
        spot("XBTUSDT", "BTC", "USDT"),
        "/0/private/TradesHistory",
        {
            "error": [],
            "result": {
                "trades": {
                    "T1": {
                        "ordertxid": "O1",
                        "pair": "XBTUSDT",
                        "time": 1763700000.7772,
                        "type": "sell",
                        "ordertype": "limit",
                        "price": "90000.1",
                        "cost": "900.001",
                        "fee": "0.9",
                        "vol": "0.01",
                        "margin": "0",
                        "misc": "",
                        "trade_id": 1,
                        "maker": True,
                    },
                    "T2": {
                        "ordertxid": "O2",
                        "pair": "XETHZUSD",
                        "time": 1763700005.1,
                        "type": "sell",
                        "ordertype": "limit",
                        "price": "3000",
                        "cost": "30",
                        "fee": "0.9",
                        "vol": "0.01",
                        "margin": "0",
                        "misc": "",
                        "trade_id": 2,
                        "maker": True,
                    },
                },
                "count": 2,
            },
        },
        trade("T1", "O1", Side.SELL, "90000.1", "0.01", "900.001", fee=D("0.9"), fee_currency="USDT"),
    ),
    "bitget spot": (
        "bitget",
        "spot",
        spot("BTCUSDT", "BTC", "USDT"),
        "/api/v2/spot/trade/fills",
        {
            "code": "00000",
            "msg": "success",
            "requestTime": MS,
            "data": [
                {
                    "userId": "7264631751",
                    "symbol": "BTCUSDT",
                    "orderId": "1098",
                    "tradeId": "10983",
                    "orderType": "market",
                    "side": "buy",
                    "priceAvg": "35328.71",
                    "size": "0.01",
                    "amount": "353.2871",
                    "feeDetail": {"deduction": "no", "feeCoin": "BTC", "totalFee": "-0.0000077"},
                    "tradeScope": "taker",
                    "cTime": str(MS),
                    "uTime": str(MS),
                }
            ],
        },
        trade("10983", "1098", Side.BUY, "35328.71", "0.01", "353.2871", fee=D("0.0000077"), fee_currency="BTC"),
    ),
    "bitget swap": (
        "bitget",
        "swap",
        swap("BTCUSDT", "BTC", "USDT", "USDT"),
        "/api/v2/mix/order/fills",
        {
            "code": "00000",
            "msg": "success",
            "requestTime": MS,
            "data": {
                "fillList": [
                    {
                        "tradeId": "1111",
                        "symbol": "BTCUSDT",
                        "orderId": "22",
                        "price": "37000",
                        "baseVolume": "0.001",
                        "feeDetail": [
                            {"deduction": "no", "feeCoin": "USDT", "totalDeductionFee": "", "totalFee": "-0.02"}
                        ],
                        "side": "buy",
                        "quoteVolume": "37",
                        "tradeSide": "open",
                        "posMode": "hedge_mode",
                        "cTime": str(MS),
                    }
                ],
                "endId": "1",
            },
        },
        trade("1111", "22", Side.BUY, "37000", "0.001", "37", fee=D("0.02"), fee_currency="USDT"),
    ),
    "htx spot": (
        "htx",
        "spot",
        spot("btcusdt", "BTC", "USDT"),
        "/v1/order/matchresults",
        {
            "status": "ok",
            "data": [
                {
                    "symbol": "btcusdt",
                    "fee-currency": "btc",
                    "filled-amount": "0.01",
                    "filled-fees": "0.00002",
                    "filled-points": "0",
                    "price": "90000",
                    "created-at": MS,
                    "role": "taker",
                    "order-id": 9,
                    "match-id": 8,
                    "trade-id": 7,
                    "type": "buy-limit",
                    "id": 6,
                }
            ],
        },
        trade("7", "9", Side.BUY, "90000", "0.01", "900", fee=D("0.00002"), fee_currency="BTC"),
    ),
    "okx swap, three contracts": (
        "okx",
        "swap",
        swap("BTC-USDT-SWAP", "BTC", "USDT", "USDT", "0.01"),
        "/api/v5/trade/fills-history",
        {
            "code": "0",
            "msg": "",
            "data": [
                {
                    "side": "sell",
                    "fillSz": "3",
                    "fillPx": "90000",
                    "fee": "0.1",
                    "ordId": "6",
                    "instType": "SWAP",
                    "instId": "BTC-USDT-SWAP",
                    "clOrdId": "abc",
                    "tradeId": "56",
                    "execType": "M",
                    "feeCcy": "USDT",
                    "ts": str(MS),
                }
            ],
        },
        trade(
            "56", "6", Side.SELL, "90000", "0.03", "2700", client_order_id="abc", fee=D("-0.1"), fee_currency="USDT"
        ),  # a maker is paid
    ),
    "kucoin futures": (
        "kucoinfutures",
        "swap",
        swap("XBTUSDTM", "BTC", "USDT", "USDT", "0.001"),
        "/api/v1/fills",
        {
            "code": "200000",
            "data": {
                "currentPage": 1,
                "pageSize": 50,
                "totalNum": 1,
                "totalPage": 1,
                "items": [
                    {
                        "symbol": "XBTUSDTM",
                        "tradeId": "1",
                        "orderId": "2",
                        "side": "buy",
                        "liquidity": "taker",
                        "price": "90000",
                        "size": 4,
                        "value": "360",
                        "feeRate": "0.0006",
                        "feeCurrency": "USDT",
                        "fee": "0.2",
                        "orderType": "limit",
                        "tradeType": "trade",
                        "createdAt": MS,
                        "tradeTime": MS * 1000000,
                    }
                ],
            },
        },
        trade("1", "2", Side.BUY, "90000", "0.004", "360", fee=D("0.2"), fee_currency="USDT"),
    ),
    "binance coin-margined, a contract is 100 dollars": (
        "binancecoinm",
        "swap",
        swap("BTCUSD_PERP", "BTC", "USD", "BTC", "100"),
        "/dapi/v1/userTrades",
        [
            {
                "symbol": "BTCUSD_PERP",
                "id": 6,
                "orderId": 28,
                "pair": "BTCUSD",
                "side": "SELL",
                "price": "50000",
                "qty": "5",
                "marginAsset": "BTC",
                "baseQty": "0.01",
                "commission": "0.00000499",
                "commissionAsset": "BTC",
                "time": MS,
                "positionSide": "SHORT",
                "buyer": False,
                "maker": False,
            }
        ],
        trade(
            "6",
            "28",
            Side.SELL,
            "50000",
            "0.01",
            "500",
            symbol="BTC/USD",
            fee=D("0.00000499"),
            fee_currency="BTC",
        ),
    ),
    "hyperliquid, whose dollars are USDC": (
        "hyperliquid",
        "swap",
        swap("BTC", "BTC", "USDC", "USDC", baseName="BTC"),
        "/info",
        [
            {
                "closedPnl": "0.0",
                "coin": "BTC",
                "crossed": True,
                "dir": "Close Long",
                "fee": "0.05",
                "feeToken": "USDC",
                "oid": 3929354691,
                "cloid": "0xcafe",
                "px": "90000",
                "side": "A",
                "startPosition": "0.02",
                "sz": "0.01",
                "tid": 128423918764978,
                "time": MS,
            }
        ],
        trade(
            "128423918764978",
            "3929354691",
            Side.SELL,
            "90000",
            "0.01",
            "900",
            symbol="BTC/USD",
            client_order_id="0xcafe",
            fee=D("0.05"),
            fee_currency="USDC",
        ),
    ),
    "bitstamp, whose row names the pair as a key": (
        "bitstamp",
        "spot",
        spot("btcusd", "BTC", "USD"),
        "/user_transactions/btcusd/",
        [
            {
                "fee": "0.1",
                "btc_usd": 90000.0,
                "datetime": "2025-11-21 04:40:00.777000",
                "usd": "-900.0",
                "btc": "0.01",
                "order_id": 123,
                "type": "2",
                "id": 456,
                "eur": 0.0,
            }
        ],
        trade("456", "123", Side.BUY, "90000", "0.01", "900", symbol="BTC/USD", fee=D("0.1"), fee_currency="USD"),
    ),
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_reads_the_shape_of(fake: FakeExchange, name: str) -> None:
    exchange, market_type, market, path, body, expected = SHAPES[name]
    fake.on(path, body)
    key = WALLET if exchange == "hyperliquid" else KEY
    trades = gateway(exchange, market_type, [market], fake.url, key=key).fetch_own_trades(expected.symbol)
    assert trades == [expected]
    assert len(fake.seen) == 1, "one call and nothing more"
    assert "." in fake.seen[0].host, "the exchange's own host is the first segment of the path"


def test_reads_coinbase_with_a_key_of_its_form(fake: FakeExchange) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    key = Credentials("organizations/x/apiKeys/y", pem.decode())
    fill = {
        "entry_id": "b8",
        "trade_id": "cdc3",
        "order_id": "813a",
        "trade_time": "2025-11-21T04:40:00.777377090Z",
        "trade_type": "FILL",
        "price": "90000",
        "size": "0.01",
        "commission": "0.9",
        "product_id": "BTC-USDT",
        "sequence_timestamp": "2025-11-21T04:40:00.777000Z",
        "size_in_quote": False,
        "side": "BUY",
    }
    fake.on("/orders/historical/fills", {"fills": [fill], "cursor": ""})
    client = gateway("coinbase", "spot", [spot("BTC-USDT", "BTC", "USDT")], fake.url, key=key)
    expected = trade("cdc3", "813a", Side.BUY, "90000", "0.01", "900", fee=D("0.9"), fee_currency="USDT")
    assert client.fetch_own_trades("BTCUSDT") == [expected]
    fake.on("/orders/historical/fills", {"fills": [], "cursor": ""})
    assert client.fetch_own_trades("BTCUSDT") == []
    fake.on("/orders/historical/fills", "Unauthorized", status=401, content_type="text/plain")
    with pytest.raises(BadCredentials):
        client.fetch_own_trades("BTCUSDT")


def test_contracts_are_found_for_a_pair_whatever_they_settle_in(fake: FakeExchange) -> None:
    rows = [
        swap("BTCUSDT", "BTC", "USDT", "USDT"),
        swap("BTCPERP", "BTC", "USDC", "USDC"),
        swap("BTCUSD", "BTC", "USD", "BTC"),
        swap("ETHUSD", "ETH", "USD", "USDC"),
    ]
    client = gateway("bybit", "swap", rows, fake.url)
    for written, market_id in [
        ("BTCUSDT", "BTCUSDT"),
        ("BTC-USDC", "BTCPERP"),
        ("BTC/USD", "BTCUSD"),
        ("BTC/USD:BTC", "BTCUSD"),
        ("ETH/USD", "ETHUSD"),
    ]:
        fake.seen.clear()
        fake.on("/v5/execution/list", {"retCode": 0, "retMsg": "OK", "result": {"list": []}, "time": MS})
        assert client.fetch_own_trades(written) == []
        assert fake.seen[0].query["symbol"] == market_id


def test_an_account_of_another_kind_is_asked_for_once_when_nothing_is_found(fake: FakeExchange) -> None:
    client = gateway("kucoin", "spot", [spot("BTC-USDT", "BTC", "USDT")], fake.url)
    nothing = {"code": "200000", "data": {"currentPage": 1, "pageSize": 50, "totalNum": 0, "items": []}}
    row = {
        "id": 19814995255305,
        "orderId": "6717422bd51c29000775ea03",
        "tradeId": 11029373945659392,
        "symbol": "BTC-USDT",
        "side": "buy",
        "liquidity": "taker",
        "type": "limit",
        "price": "67717.6",
        "size": "0.00001",
        "funds": "0.677176",
        "fee": "0.000677176",
        "feeRate": "0.001",
        "feeCurrency": "USDT",
        "tradeType": "TRADE",
        "createdAt": MS,
    }
    fake.on("/api/v1/fills", nothing)
    fake.on("/api/v1/hf/accounts/opened", {"code": "200000", "data": True})
    fake.on("/api/v1/hf/fills", {"code": "200000", "data": {"items": [row], "lastId": 1}})
    for _ in range(2):
        assert [one.exchange_trade_id for one in client.fetch_own_trades("BTCUSDT")] == ["11029373945659392"]
    assert len(fake.asked("/api/v1/hf/accounts/opened")) == 1
    assert len(fake.asked("/api/v1/hf/fills")) == 2
    assert len(fake.asked("/api/v1/fills")) == 1


@pytest.mark.parametrize("answer", [{"code": "200004", "msg": "the account is of another kind"}, None])
def test_a_refusal_stands_when_the_account_is_of_the_plain_kind(fake: FakeExchange, answer: Any) -> None:
    client = gateway("kucoin", "spot", [spot("BTC-USDT", "BTC", "USDT")], fake.url)
    fake.on("/api/v1/fills", {"code": "400100", "msg": "Parameter error"})
    if answer:
        fake.on("/api/v1/hf/accounts/opened", answer)
    for _ in range(2):
        with pytest.raises(Rejected):
            client.fetch_own_trades("BTCUSDT")
    assert len(fake.asked("/api/v1/hf/accounts/opened")) == 1


def test_a_question_that_got_no_answer_leaves_an_empty_list_in_doubt(fake: FakeExchange) -> None:
    client = gateway("gate", "spot", [spot("BTC_USDT", "BTC", "USDT")], fake.url)
    fake.on("/spot/my_trades", [])
    fake.on("/account/detail", "<html>", status=503)
    with pytest.raises(Unavailable):
        client.fetch_own_trades("BTCUSDT")
    fake.on("/account/detail", {"user_id": 1, "key": {"mode": 2}})
    assert client.fetch_own_trades("BTCUSDT") == []
    assert [seen.query["account"] for seen in fake.asked("/spot/my_trades")] == ["spot", "spot", "unified"]


def test_a_unified_account_is_not_shown_the_empty_purse_of_a_plain_one(fake: FakeExchange) -> None:
    client = gateway("gate", "spot", [spot("BTC_USDT", "BTC", "USDT")], fake.url)
    fake.on("/spot/accounts", [{"currency": "USDT", "available": "0", "locked": "0"}])
    fake.on("/account/detail", {"user_id": 1, "key": {"mode": 2}})
    fake.on("/unified/accounts", {"balances": {"USDT": {"available": "40.5", "freeze": "2", "borrowed": "0"}}})
    for _ in range(2):
        assert client.fetch_balance()["USDT"].free == D("40.5")
    assert fake.asked("/spot/accounts") == []
    assert len(fake.asked("/account/detail")) == 1
    fake.on("/account/detail", "<html>", status=503)
    fresh = gateway("gate", "spot", [spot("BTC_USDT", "BTC", "USDT")], fake.url)
    with pytest.raises(Unavailable):
        fresh.fetch_balance()
