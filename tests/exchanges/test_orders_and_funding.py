"""Open orders in the shapes that exchanges document, and rows among own trades that are no trades."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from exchanges.gateways import parsing
from exchanges.types import OpenOrder, Side
from ground.errors import BadCredentials, Unavailable
from tests.exchanges.fake import FakeExchange
from tests.exchanges.tables import KEY, gateway, spot, swap
from tests.exchanges.test_shapes import MS

AT = datetime.fromtimestamp(MS // 1000, UTC).replace(microsecond=777000)
EXECUTIONS = "/v5/execution/list"
BTC = swap("BTCUSDT", "BTC", "USDT", "USDT", "1")


def execution(identity: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "side": "Sell",
        "orderId": "",
        "orderLinkId": "",
        "execId": identity,
        "execType": kind,
        "execTime": str(MS),
        "execFee": "0.01",
        "feeRate": "0.0001",
        "execPrice": "90000",
        "execQty": "0.01",
        "execValue": "900",
        "orderType": "UNKNOWN",
        **more,
    }


def listed(*rows: dict[str, Any]) -> dict[str, Any]:
    result = {"category": "linear", "list": list(rows), "nextPageCursor": ""}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": MS}


def test_a_funding_payment_is_no_own_trade(fake: FakeExchange) -> None:
    client = gateway("bybit", "swap", [BTC], fake.url)
    fake.on(EXECUTIONS, listed(execution("f1", "Funding"), execution("t1", "Trade", orderId="7", side="Buy")))
    assert [trade.exchange_trade_id for trade in client.fetch_own_trades("BTCUSDT")] == ["t1"]
    fake.on(EXECUTIONS, listed(execution("f1", "Funding"), execution("f2", "Settle"), execution("f3", "Delivery")))
    assert client.fetch_own_trades("BTCUSDT") == [], "an account that only pays for its position does not trade"


def test_a_page_full_of_funding_is_still_a_full_page(fake: FakeExchange) -> None:
    client = gateway("bybit", "swap", [BTC], fake.url)
    fake.on(EXECUTIONS, listed(*(execution(f"f{n}", "Funding", execTime=str(MS + n)) for n in range(100))))
    until = datetime.fromtimestamp((MS + 60_000) / 1000, UTC)
    page = client.fetch_trade_page("BTCUSDT", since=datetime.fromtimestamp((MS - 60_000) / 1000, UTC), until=until)
    assert page.trades == ()
    assert page.rest is not None
    assert page.rest[1] == AT, "what came before the oldest row was not read"


@pytest.mark.parametrize(
    ("info", "is_execution"),
    [
        ({"execType": "Trade"}, True),
        ({"execType": "AdlTrade"}, True),
        ({"execType": "BustTrade"}, True),
        ({"execType": "Funding"}, False),
        ({"execType": "SessionSettlePnL"}, False),
        ({"execType": "MovePosition"}, False),
        ({"exec_type": "funding"}, False),
        ({"tradeType": "settlement"}, False),
        ({"tradeType": "trade", "type": "limit"}, True),
        ({"fill_type": "TRANSFER"}, False),
        ({"fill_type": "LIQUIDATION"}, True),
        ({"dir": "Settlement"}, False),
        ({"dir": "Open Long"}, True),
        ({"type": "FUNDING_FEE"}, False),
        ({"trade_type": "FILL"}, True),
        ({"category": "normal", "text": "funding"}, True),
        ({"type": 2}, True),
        ([1, 2, 3], True),
        (None, True),
    ],
)
def test_tells_an_execution_by_what_its_row_calls_itself(info: Any, is_execution: bool) -> None:
    assert parsing.is_execution({"id": "1", "info": info}) is is_execution


def order(identity: str, side: Side, price: str | None, quantity: str | None, filled: str, **more: Any) -> OpenOrder:
    about: dict[str, Any] = {"symbol": "BTC/USDT", "client_order_id": None, "placed_at": AT} | more
    return OpenOrder(
        order_id=identity,
        side=side,
        price=None if price is None else D(price),
        quantity=None if quantity is None else D(quantity),
        filled=D(filled),
        **about,
    )


BYBIT_ORDER = {
    "orderId": "fd4300ae",
    "orderLinkId": "x-abc",
    "symbol": "BTCUSDT",
    "price": "89000.5",
    "qty": "0.4",
    "side": "Buy",
    "orderStatus": "PartiallyFilled",
    "leavesQty": "0.3",
    "cumExecQty": "0.1",
    "cumExecValue": "8900",
    "cumExecFee": "0",
    "timeInForce": "GTC",
    "orderType": "Limit",
    "createdTime": str(MS),
    "updatedTime": str(MS),
}
ORDERS: dict[str, tuple[str, str, dict[str, Any], str, Any, OpenOrder]] = {
    "bybit": (
        "bybit",
        "spot",
        spot("BTCUSDT", "BTC", "USDT"),
        "/v5/order/realtime",
        listed(BYBIT_ORDER),
        order("fd4300ae", Side.BUY, "89000.5", "0.4", "0.1", client_order_id="x-abc"),
    ),
    "okx swap, five contracts of a hundredth": (
        "okx",
        "swap",
        swap("BTC-USDT-SWAP", "BTC", "USDT", "USDT", "0.01"),
        "/api/v5/trade/orders-pending",
        {
            "code": "0",
            "msg": "",
            "data": [
                {
                    "instType": "SWAP",
                    "instId": "BTC-USDT-SWAP",
                    "ordId": "301835739059335168",
                    "clOrdId": "abc",
                    "px": "90000",
                    "sz": "5",
                    "accFillSz": "1",
                    "ordType": "limit",
                    "side": "sell",
                    "state": "partially_filled",
                    "cTime": str(MS),
                    "uTime": str(MS),
                }
            ],
        },
        order("301835739059335168", Side.SELL, "90000", "0.05", "0.01", client_order_id="abc"),
    ),
    "binance coin-margined, a contract is 100 dollars": (
        "binancecoinm",
        "swap",
        swap("BTCUSD_PERP", "BTC", "USD", "BTC", "100"),
        "/dapi/v1/openOrders",
        [
            {
                "orderId": 1917641,
                "clientOrderId": "abc",
                "symbol": "BTCUSD_PERP",
                "price": "50000",
                "origQty": "10",
                "executedQty": "0",
                "status": "NEW",
                "timeInForce": "GTC",
                "type": "LIMIT",
                "side": "BUY",
                "stopPrice": "0",
                "time": MS,
                "updateTime": MS,
            }
        ],
        order("1917641", Side.BUY, "50000", "0.02", "0", client_order_id="abc", symbol="BTC/USD"),
    ),
}


@pytest.mark.parametrize("name", list(ORDERS))
def test_reads_open_orders_in_the_shape_of(fake: FakeExchange, name: str) -> None:
    exchange, market_type, market, path, body, expected = ORDERS[name]
    fake.on(path, body)
    assert gateway(exchange, market_type, [market], fake.url).fetch_open_orders(expected.symbol) == [expected]
    assert len(fake.seen) == 1, "one call and nothing more"


def test_leaves_out_orders_that_just_ended_and_other_pairs(fake: FakeExchange) -> None:
    markets = [spot("BTCUSDT", "BTC", "USDT"), spot("ETHUSDT", "ETH", "USDT")]
    gone = BYBIT_ORDER | {"orderId": "gone", "orderStatus": "Cancelled"}
    fake.on("/v5/order/realtime", listed(gone, BYBIT_ORDER, BYBIT_ORDER | {"orderId": "eth", "symbol": "ETHUSDT"}))
    orders = gateway("bybit", "spot", markets, fake.url).fetch_open_orders("BTC/USDT")
    assert [order.order_id for order in orders] == ["fd4300ae"]


def test_an_order_that_waits_for_a_trigger_may_have_no_price(fake: FakeExchange) -> None:
    waiting = BYBIT_ORDER | {"cumExecQty": "0", "cumExecValue": "0", "leavesQty": "0.4"}
    row = waiting | {"price": "0", "orderType": "Market", "orderStatus": "Untriggered", "createdTime": ""}
    fake.on("/v5/order/realtime", listed(row))
    [found] = gateway("bybit", "spot", [spot("BTCUSDT", "BTC", "USDT")], fake.url).fetch_open_orders("BTC/USDT")
    assert (found.price, found.placed_at) == (None, None)


@pytest.mark.parametrize("missing", ["orderId", "side"])
def test_an_order_without_an_id_or_a_side_is_not_believed(fake: FakeExchange, missing: str) -> None:
    fake.on("/v5/order/realtime", listed({key: value for key, value in BYBIT_ORDER.items() if key != missing}))
    with pytest.raises(Unavailable, match="without an id|without a side"):
        gateway("bybit", "spot", [spot("BTCUSDT", "BTC", "USDT")], fake.url).fetch_open_orders("BTC/USDT")


@pytest.mark.parametrize(
    "body",
    [{"retCode": 0, "retMsg": "OK", "result": {}}, {"retCode": 0, "retMsg": "OK"}, []],
    ids=["bare", "none", "[]"],
)
def test_a_list_of_orders_that_is_not_there_is_no_empty_book(fake: FakeExchange, body: Any) -> None:
    fake.on("/v5/order/realtime", body)
    client = gateway("bybit", "spot", [spot("BTCUSDT", "BTC", "USDT")], fake.url)
    with pytest.raises(Unavailable):
        client.fetch_open_orders("BTC/USDT")
    fake.on("/v5/order/realtime", listed())
    assert client.fetch_open_orders("BTC/USDT") == []


def test_orders_of_a_high_frequency_account_are_asked_for_where_it_keeps_them(fake: FakeExchange) -> None:
    client = gateway("kucoin", "spot", [spot("BTC-USDT", "BTC", "USDT")], fake.url)
    nothing = {"code": "200000", "data": {"currentPage": 1, "pageSize": 50, "totalNum": 0, "totalPage": 0, "items": []}}
    row = {
        "id": "67120bbef094e200070976f6",
        "clientOid": "5c52e11203aa677f33e493fb",
        "symbol": "BTC-USDT",
        "type": "limit",
        "side": "buy",
        "price": "50000",
        "size": "0.01",
        "dealSize": "0",
        "dealFunds": "0",
        "fee": "0",
        "feeCurrency": "USDT",
        "active": True,
        "createdAt": MS,
    }
    fake.on("/api/v1/orders", nothing)
    fake.on("/api/v1/hf/accounts/opened", {"code": "200000", "data": True})
    fake.on("/api/v1/hf/orders/active", {"code": "200000", "data": [row]})
    expected = order(
        "67120bbef094e200070976f6", Side.BUY, "50000", "0.01", "0", client_order_id="5c52e11203aa677f33e493fb"
    )
    assert client.fetch_open_orders("BTC/USDT") == [expected]
    assert client.fetch_open_orders("BTC/USDT") == [expected]
    assert len(fake.asked("/api/v1/orders")) == 1


def test_a_key_that_may_not_read_orders_is_a_refusal_of_the_key(fake: FakeExchange) -> None:
    fake.on("/v5/order/realtime", {"retCode": 10005, "retMsg": "Permission denied, please check your API key"})
    with pytest.raises(BadCredentials):
        gateway("bybit", "spot", [spot("BTCUSDT", "BTC", "USDT")], fake.url, key=KEY).fetch_open_orders("BTC/USDT")
