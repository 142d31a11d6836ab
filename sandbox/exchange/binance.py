"""Binance spot and USD-margined futures. Signed in the query, numbers are strings, errors have negative codes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from sandbox import money
from sandbox.exchange.venue import Desk, Refused, Venue, between, fixed, number, same, sha256_hex
from sandbox.http import Call, Reply, Routes
from sandbox.keys import Key
from sandbox.market import Market
from sandbox.tape import Order, Trade

SPOT = Routes()
FUTURES = Routes()
INVERSE = Routes()
_DAY_MS = 86_400_000
_AHEAD_MS = 1_000
_INTERVALS_MS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "1d": _DAY_MS}


def error(code: int, msg: str, status: int = 400) -> Reply:
    return Reply({"code": code, "msg": msg}, status=status)


def too_many() -> Reply:
    return error(-1003, "Too much request weight used; current limit is 1200 request weight per 1 MINUTE.", 429)


def identify(call: Call) -> str:
    return call.headers.get("x-mbx-apikey", "")


def signed(desk: Desk, call: Call) -> Key:
    """The key behind a call with a right signature, made within its receive window."""
    sent = call.raw_query or call.body.decode()
    payload, _, signature = sent.rpartition("&signature=")
    params = dict(parse_qsl(payload))
    if not identify(call):
        raise Refused(error(-2014, "API-key format invalid.", 401))
    key = desk.key(identify(call))
    if key is None or desk.world.is_key_refused(key):
        raise Refused(error(-2015, "Invalid API-key, IP, or permissions for action.", 401))
    if "timestamp" not in params:
        raise Refused(error(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."))
    window, age = min(number(params.get("recvWindow"), 5000) or 5000, 60_000), desk.now_ms() - int(params["timestamp"])
    if age > window or age < -_AHEAD_MS:
        ahead = "Timestamp for this request was 1000ms ahead of the server's time."
        late = "Timestamp for this request is outside of the recvWindow."
        raise Refused(error(-1021, late if age > window else ahead))
    if not same(signature, sha256_hex(key.secret, payload)):
        raise Refused(error(-1022, "Signature for this request is not valid."))
    return key


def _id(market: Market) -> str:
    return market.base + market.quote


def _market(desk: Desk, call: Call) -> Market | None:
    """The market that is named, or None when none is."""
    symbol = call.query.get("symbol")
    if symbol is None:
        return None
    found = next((market for market in desk.markets() if _id(market) == symbol), None)
    if found is None:
        raise Refused(error(-1121, "Invalid symbol."))
    return found


def _named(desk: Desk, call: Call) -> Market:
    if (market := _market(desk, call)) is None:
        raise Refused(error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."))
    return market


@SPOT.on("GET", "/api/v3/ping")
@FUTURES.on("GET", "/fapi/v1/ping")
def ping(desk: Desk, call: Call) -> Reply:
    return Reply({})


@SPOT.on("GET", "/api/v3/time")
@FUTURES.on("GET", "/fapi/v1/time")
@INVERSE.on("GET", "/dapi/v1/time")
def server_time(desk: Desk, call: Call) -> Reply:
    return Reply({"serverTime": desk.now_ms()})


@SPOT.on("GET", "/api/v3/exchangeInfo")
@FUTURES.on("GET", "/fapi/v1/exchangeInfo")
def exchange_info(desk: Desk, call: Call) -> Reply:
    rows = [_symbol_row(market) for market in desk.markets()]
    common = {"timezone": "UTC", "serverTime": desk.now_ms(), "rateLimits": [], "exchangeFilters": []}
    return Reply(common | {"symbols": rows})


@INVERSE.on("GET", "/dapi/v1/exchangeInfo")
def inverse_info(desk: Desk, call: Call) -> Reply:
    return Reply({"timezone": "UTC", "serverTime": desk.now_ms(), "symbols": []})


def _symbol_row(market: Market) -> dict[str, Any]:
    tick, step = money.text(market.tick), money.text(market.step)
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000", "stepSize": step},
        {"filterType": "MIN_NOTIONAL" if market.is_swap else "NOTIONAL", "minNotional": "5", "notional": "5"},
    ]
    row = {
        "symbol": _id(market),
        "status": "TRADING",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "pricePrecision": money.places(market.tick),
        "quantityPrecision": money.places(market.step),
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "filters": filters,
    }
    if market.is_swap:
        contract = {"pair": _id(market), "contractType": "PERPETUAL", "deliveryDate": 4133404800000}
        return row | contract | {"marginAsset": market.quote, "underlyingType": "COIN"}
    return row | {"isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": ["SPOT"]}


@SPOT.on("GET", "/sapi/v1/capital/config/getall")
def coins(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    codes = dict.fromkeys(code for market in desk.markets() for code in (market.base, market.quote))
    flags = {"depositAllEnable": True, "withdrawAllEnable": True, "trading": True, "isLegalMoney": False}
    rows = [{"coin": code, "name": code, "free": money.text(key.balances.get(code, key.starts_with))} for code in codes]
    return Reply([row | flags | {"locked": "0", "networkList": []} for row in rows])


@SPOT.on("GET", "/sapi/v1/margin/allPairs")
@SPOT.on("GET", "/sapi/v1/margin/isolated/allPairs")
def margin_pairs(desk: Desk, call: Call) -> Reply:
    signed(desk, call)
    return Reply([])


@SPOT.on("GET", "/api/v3/ticker/24hr")
@FUTURES.on("GET", "/fapi/v1/ticker/24hr")
def ticker(desk: Desk, call: Call) -> Reply:
    if market := _market(desk, call):
        return Reply(_ticker_row(market, desk.now_ms()))
    return Reply([_ticker_row(market, desk.now_ms()) for market in desk.markets()])


@SPOT.on("GET", "/api/v3/klines")
@FUTURES.on("GET", "/fapi/v1/klines")
def klines(desk: Desk, call: Call) -> Reply:
    """Bars up to now. Those before the last are made up, the same each time, around where the price opened."""
    market = _named(desk, call)
    length_ms = _INTERVALS_MS.get(call.query.get("interval", ""))
    if length_ms is None:
        raise Refused(error(-1120, "Invalid interval."))
    count = min(max(number(call.query.get("limit"), 500) or 500, 1), 1000)
    newest = desk.now_ms() // length_ms
    return Reply(
        [_kline(market, place, length_ms, is_last=place == newest) for place in range(newest - count + 1, newest + 1)]
    )


def _kline(market: Market, place: int, length_ms: int, *, is_last: bool) -> list[Any]:
    first = market.past_price(place - 1, length_ms)
    last = market.price if is_last else market.past_price(place, length_ms)
    high, low = max(first, last) + market.tick, max(market.tick, min(first, last) - market.tick)
    prices = [money.text(price) for price in (first, high, low, last)]
    return [place * length_ms, *prices, "12.5", (place + 1) * length_ms - 1, "1000", 40, "6", "500", "0"]


def _ticker_row(market: Market, now_ms: int) -> dict[str, Any]:
    change = market.price - market.open_price
    return {
        "symbol": _id(market),
        "priceChange": fixed(change),
        "priceChangePercent": fixed(change / market.open_price * 100, 3),
        "weightedAvgPrice": fixed(market.price),
        "prevClosePrice": fixed(market.open_price),
        "lastPrice": fixed(market.price),
        "lastQty": fixed(market.step),
        "bidPrice": fixed(market.bid()),
        "bidQty": fixed(market.step * 1000),
        "askPrice": fixed(market.ask()),
        "askQty": fixed(market.step * 1000),
        "openPrice": fixed(market.open_price),
        "highPrice": fixed(market.high),
        "lowPrice": fixed(market.low),
        "volume": fixed(market.volume),
        "quoteVolume": fixed(market.volume * market.price),
        "openTime": now_ms - _DAY_MS,
        "closeTime": now_ms,
        "firstId": 1,
        "lastId": 2,
        "count": 2,
    }


@SPOT.on("GET", "/api/v3/depth")
@FUTURES.on("GET", "/fapi/v1/depth")
def order_book(desk: Desk, call: Call) -> Reply:
    bids, asks = _named(desk, call).book(min(number(call.query.get("limit"), 20) or 20, 100))
    sides = {
        name: [[fixed(price), fixed(size)] for price, size in rows] for name, rows in (("bids", bids), ("asks", asks))
    }
    return Reply({"lastUpdateId": desk.now_ms(), "E": desk.now_ms(), "T": desk.now_ms()} | sides)


@SPOT.on("GET", "/api/v3/account")
def account(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    key.balance("USDT")
    rows = [{"asset": code, "free": fixed(amount), "locked": "0.00000000"} for code, amount in key.balances.items()]
    rights = {"canTrade": True, "canWithdraw": False, "canDeposit": True, "accountType": "SPOT"}
    return Reply(rights | {"updateTime": desk.now_ms(), "balances": rows, "permissions": ["SPOT"]})


@FUTURES.on("GET", "/fapi/v2/account")
@FUTURES.on("GET", "/fapi/v3/account")
def futures_account(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    amount = fixed(key.balance("USDT"))
    same_names = ("walletBalance", "marginBalance", "maxWithdrawAmount", "crossWalletBalance", "availableBalance")
    asset = {"asset": "USDT", "unrealizedProfit": "0.00000000", "initialMargin": "0.00000000"}
    assets = [asset | dict.fromkeys(same_names, amount)]
    totals = {"totalWalletBalance": amount, "totalMarginBalance": amount, "availableBalance": amount}
    return Reply(totals | {"assets": assets, "positions": []})


@SPOT.on("GET", "/api/v3/myTrades")
def my_trades(desk: Desk, call: Call) -> Reply:
    """Oldest first. ``limit`` newest; from ``startTime`` or ``fromId`` the oldest instead. At most 24 hours between."""
    key, market = signed(desk, call), _named(desk, call)
    return Reply([_trade_row(trade) for trade in _choose(desk, call, key, market, 500, _DAY_MS, "24 hours")])


@FUTURES.on("GET", "/fapi/v1/userTrades")
def user_trades(desk: Desk, call: Call) -> Reply:
    """As for spot, with a week between; without a time the last seven days."""
    key, market = signed(desk, call), _named(desk, call)
    return Reply([_futures_row(trade) for trade in _choose(desk, call, key, market, 500, 7 * _DAY_MS, "7 days")])


def _choose(desk: Desk, call: Call, key: Key, market: Market, default: int, longest_ms: int, words: str) -> list[Trade]:
    limit = min(number(call.query.get("limit"), default) or default, 1000)
    start, end = number(call.query.get("startTime")), number(call.query.get("endTime"))
    from_id = number(call.query.get("fromId"))
    if start is not None and end is not None and end - start > longest_ms:
        raise Refused(error(-1127, f"More than {words} between startTime and endTime."))
    trades = between(desk.fills(key, market), start, end)
    if from_id is not None:
        trades = [trade for trade in trades if int(trade.id) >= from_id]
    return trades[:limit] if start is not None or from_id is not None else trades[-limit:]


def _trade_row(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.pair.replace("/", ""),
        "id": int(trade.id),
        "orderId": int(trade.order_id),
        "orderListId": -1,
        "price": fixed(trade.price),
        "qty": fixed(trade.quantity),
        "quoteQty": fixed(trade.notional),
        "commission": money.text(trade.fee),
        "commissionAsset": trade.fee_currency,
        "time": trade.at_ms,
        "isBuyer": trade.side == "buy",
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def _futures_row(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.pair.replace("/", ""),
        "id": int(trade.id),
        "orderId": int(trade.order_id),
        "side": trade.side.upper(),
        "price": money.text(trade.price),
        "qty": money.text(trade.quantity),
        "realizedPnl": money.text(trade.realized_pnl),
        "marginAsset": trade.fee_currency,
        "quoteQty": money.text(trade.notional),
        "commission": money.text(trade.fee),
        "commissionAsset": trade.fee_currency,
        "time": trade.at_ms,
        "positionSide": "BOTH",
        "maker": trade.is_maker,
        "buyer": trade.side == "buy",
    }


@SPOT.on("GET", "/api/v3/openOrders")
@FUTURES.on("GET", "/fapi/v1/openOrders")
def open_orders(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    return Reply([_order_row(order) for order in desk.open_orders(key, _market(desk, call))])


def _order_row(order: Order) -> dict[str, Any]:
    status = {"open": "NEW", "closed": "FILLED", "canceled": "CANCELED"}[order.status]
    return {
        "symbol": order.pair.replace("/", ""),
        "orderId": int(order.id),
        "orderListId": -1,
        "clientOrderId": f"sandbox-{order.id}",
        "price": fixed(order.price),
        "origQty": fixed(order.quantity),
        "executedQty": fixed(order.filled),
        "cummulativeQuoteQty": fixed(order.filled * order.price),
        "status": status,
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": order.side.upper(),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "origQuoteOrderQty": "0.00000000",
    }


VENUES = {
    "api.binance.com": Venue("binance", SPOT, identify, too_many),
    "fapi.binance.com": Venue("binanceusdm", FUTURES, identify, too_many),
    "dapi.binance.com": Venue("binance", INVERSE, identify, too_many),
}
