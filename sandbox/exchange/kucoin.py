"""KuCoin spot. Signed with three headers, errors are codes inside an answer with a matching status."""

from __future__ import annotations

from typing import Any

from sandbox import money
from sandbox.exchange.venue import Desk, Refused, Venue, between, number, same, sha256_base64
from sandbox.http import Call, Reply, Routes
from sandbox.keys import Key
from sandbox.market import Market
from sandbox.tape import Order, Trade

ROUTES = Routes()
FUTURES_ROUTES = Routes()
_WINDOW_MS = 5_000
_WEEK_MS = 7 * 86_400_000


def ok(data: Any) -> Reply:
    return Reply({"code": "200000", "data": data})


def error(code: str, msg: str, status: int = 200) -> Reply:
    return Reply({"code": code, "msg": msg}, status=status)


def too_many() -> Reply:
    return error("429000", "Too Many Requests", 429)


def identify(call: Call) -> str:
    return call.headers.get("kc-api-key", "")


def signed(desk: Desk, call: Call) -> Key:
    """The key behind a call whose three secrets and timestamp are right; KuCoin's own refusal otherwise."""
    headers = call.headers
    if not identify(call):
        raise Refused(error("400001", "Please check the header of your request for KC-API-KEY, KC-API-SIGN.", 401))
    key = desk.key(identify(call))
    if key is None or desk.world.is_key_refused(key):
        raise Refused(error("400003", "KC-API-KEY not exists", 401))
    stamp = headers.get("kc-api-timestamp", "")
    if not stamp.isdigit() or abs(int(stamp) - desk.now_ms()) > _WINDOW_MS:
        raise Refused(error("400002", "Invalid KC-API-TIMESTAMP", 401))
    payload = stamp + call.method + call.target + call.body.decode()
    if not same(headers.get("kc-api-sign", ""), sha256_base64(key.secret, payload)):
        raise Refused(error("400005", "Invalid KC-API-SIGN", 401))
    if not same(headers.get("kc-api-passphrase", ""), sha256_base64(key.secret, key.passphrase)):
        raise Refused(error("400004", "Invalid KC-API-PASSPHRASE", 401))
    return key


def _market(desk: Desk, call: Call) -> Market | None:
    """The market that is named, or None when none is."""
    return _named(desk, call) if call.query.get("symbol") else None


def _named(desk: Desk, call: Call) -> Market:
    market = desk.world.market(desk.exchange, call.query.get("symbol", "").replace("-", "/"))
    if market is None:
        raise Refused(error("900001", "symbol not exists"))
    return market


def _id(market: Market) -> str:
    return market.pair.replace("/", "-")


@ROUTES.on("GET", "/api/v1/timestamp")
def timestamp(desk: Desk, call: Call) -> Reply:
    return ok(desk.now_ms())


@ROUTES.on("GET", "/api/v1/status")
def status(desk: Desk, call: Call) -> Reply:
    return ok({"status": "open", "msg": ""})


@ROUTES.on("GET", "/api/v3/currencies")
def currencies(desk: Desk, call: Call) -> Reply:
    codes = dict.fromkeys(code for market in desk.markets() for code in (market.base, market.quote))
    common: dict[str, Any] = {
        "precision": 8,
        "confirms": None,
        "contractAddress": None,
        "isMarginEnabled": False,
        "chains": [],
    }
    return ok([{"currency": code, "name": code, "fullName": code, "isDebitEnabled": False} | common for code in codes])


@ROUTES.on("GET", "/api/v2/symbols")
def symbols(desk: Desk, call: Call) -> Reply:
    return ok([_symbol_row(market) for market in desk.markets()])


def _symbol_row(market: Market) -> dict[str, Any]:
    return {
        "symbol": _id(market),
        "name": _id(market),
        "baseCurrency": market.base,
        "quoteCurrency": market.quote,
        "feeCurrency": market.quote,
        "market": "USDS",
        "baseMinSize": money.text(market.step),
        "quoteMinSize": "0.1",
        "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999",
        "baseIncrement": money.text(market.step),
        "quoteIncrement": "0.000001",
        "priceIncrement": money.text(market.tick),
        "priceLimitRate": "0.1",
        "minFunds": "0.1",
        "isMarginEnabled": False,
        "enableTrading": True,
    }


@ROUTES.on("GET", "/api/v1/market/allTickers")
def all_tickers(desk: Desk, call: Call) -> Reply:
    return ok({"time": desk.now_ms(), "ticker": [_ticker_row(market) for market in desk.markets()]})


@ROUTES.on("GET", "/api/v1/market/stats")
def ticker(desk: Desk, call: Call) -> Reply:
    market = _named(desk, call)
    return ok({"time": desk.now_ms()} | _ticker_row(market))


def _ticker_row(market: Market) -> dict[str, Any]:
    change = market.price - market.open_price
    return {
        "symbol": _id(market),
        "symbolName": _id(market),
        "buy": money.text(market.bid()),
        "sell": money.text(market.ask()),
        "changeRate": money.text(round(change / market.open_price, 4)),
        "changePrice": money.text(change),
        "high": money.text(market.high),
        "low": money.text(market.low),
        "vol": money.text(market.volume),
        "volValue": money.text(market.volume * market.price),
        "last": money.text(market.price),
        "averagePrice": money.text(market.price),
        "takerFeeRate": "0.001",
        "makerFeeRate": money.text(market.maker_fee_rate),
        "takerCoefficient": "1",
        "makerCoefficient": "1",
    }


@ROUTES.on("GET", "/api/v3/market/orderbook/level2")
@ROUTES.on("GET", "/api/v1/market/orderbook/level2_20")
@ROUTES.on("GET", "/api/v1/market/orderbook/level2_100")
def order_book(desk: Desk, call: Call) -> Reply:
    market = _named(desk, call)
    bids, asks = market.book(20)
    sides = {
        name: [[money.text(price), money.text(size)] for price, size in rows]
        for name, rows in (("bids", bids), ("asks", asks))
    }
    return ok({"time": desk.now_ms(), "sequence": str(desk.now_ms())} | sides)


@ROUTES.on("GET", "/api/ua/v1/account/mode")
def account_mode(desk: Desk, call: Call) -> Reply:
    signed(desk, call)
    return ok({"selfAccountMode": "CLASSIC"})


@ROUTES.on("GET", "/api/v3/margin/symbols")
def margin_symbols(desk: Desk, call: Call) -> Reply:
    signed(desk, call)
    return ok({"timestamp": desk.now_ms(), "items": []})


@ROUTES.on("GET", "/api/v1/isolated/symbols")
def isolated_symbols(desk: Desk, call: Call) -> Reply:
    signed(desk, call)
    return ok([])


@ROUTES.on("GET", "/api/v1/hf/accounts/opened")
def hf_opened(desk: Desk, call: Call) -> Reply:
    """Accounts of today are high-frequency ones, so ccxt asks hf/fills after loading markets with a key."""
    signed(desk, call)
    return ok(True)


@ROUTES.on("GET", "/api/v1/accounts")
def accounts(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    kind, wanted = call.query.get("type", "trade"), call.query.get("currency")
    for market in desk.markets():
        key.balance(market.quote)
    rows = []
    for currency, amount in key.balances.items():
        if wanted in (None, currency):
            text = money.text(amount)
            row = {"id": f"{currency.lower()}-{kind}", "currency": currency, "type": kind}
            rows.append(row | {"balance": text, "available": text, "holds": "0"})
    return ok(rows)


@ROUTES.on("GET", "/api/v1/fills")
def fills(desk: Desk, call: Call) -> Reply:
    """Newest first, in pages; without a symbol every market's. At most one week, from ``startAt`` or up to now."""
    key = signed(desk, call)
    trades = _window(desk, call, desk.fills(key, _market(desk, call)))
    size = max(10, min(number(call.query.get("pageSize"), 50) or 50, 500))
    page = max(1, number(call.query.get("currentPage"), 1) or 1)
    rows = trades[(page - 1) * size : page * size]
    total_pages = -(-len(trades) // size)
    paging = {"currentPage": page, "pageSize": size, "totalNum": len(trades), "totalPage": total_pages}
    return ok(paging | {"items": [_fill_row(trade) for trade in rows]})


@ROUTES.on("GET", "/api/v1/hf/fills")
def hf_fills(desk: Desk, call: Call) -> Reply:
    """Newest first, ``limit`` of them (20, at most 100); ``lastId`` goes on below that id."""
    key = signed(desk, call)
    trades = _window(desk, call, desk.fills(key, _named(desk, call)))
    if last_id := number(call.query.get("lastId")):
        trades = [trade for trade in trades if int(trade.id) < last_id]
    rows = trades[: max(1, min(number(call.query.get("limit"), 20) or 20, 100))]
    items = [_fill_row(trade) | {"id": int(trade.id)} for trade in rows]
    return ok({"items": items, "lastId": int(rows[-1].id) if rows else 0})


def _window(desk: Desk, call: Call, trades: list[Trade]) -> list[Trade]:
    start, end = number(call.query.get("startAt")), number(call.query.get("endAt"))
    if start is not None and end is None:
        end = start + _WEEK_MS
    if start is None:
        start = (end if end is not None else desk.now_ms()) - _WEEK_MS
    if end is not None and end - start > _WEEK_MS:
        raise Refused(error("400100", "The time range must not exceed 7 days"))
    side = call.query.get("side")
    return [trade for trade in reversed(between(trades, start, end)) if side in (None, trade.side)]


def _fill_row(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.pair.replace("/", "-"),
        "tradeId": trade.id,
        "orderId": f"{int(trade.order_id):024x}",
        "counterOrderId": f"{int(trade.order_id) + 1:024x}",
        "side": trade.side,
        "liquidity": "maker" if trade.is_maker else "taker",
        "forceTaker": False,
        "price": money.text(trade.price),
        "size": money.text(trade.quantity),
        "funds": money.text(trade.notional),
        "fee": money.text(trade.fee),
        "feeRate": money.text(trade.fee_rate),
        "feeCurrency": trade.fee_currency,
        "stop": "",
        "tradeType": "TRADE",
        "type": "limit",
        "createdAt": trade.at_ms,
    }


@ROUTES.on("GET", "/api/v1/orders")
def orders(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    active = call.query.get("status") == "active"
    rows = desk.open_orders(key, _market(desk, call)) if active else []
    items = [_order_row(order) for order in reversed(rows)]
    return ok({"currentPage": 1, "pageSize": 50, "totalNum": len(items), "totalPage": 1, "items": items})


@ROUTES.on("GET", "/api/v1/hf/orders/active")
def hf_orders(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    return ok([_order_row(order) for order in reversed(desk.open_orders(key, _named(desk, call)))])


def _order_row(order: Order) -> dict[str, Any]:
    return {
        "id": f"{int(order.id):024x}",
        "symbol": order.pair.replace("/", "-"),
        "opType": "DEAL",
        "type": "limit",
        "side": order.side,
        "price": money.text(order.price),
        "size": money.text(order.quantity),
        "funds": "0",
        "dealFunds": money.text(order.price * order.filled),
        "dealSize": money.text(order.filled),
        "fee": "0",
        "feeCurrency": order.pair.split("/")[1],
        "stp": "",
        "stop": "",
        "stopTriggered": False,
        "stopPrice": "0",
        "timeInForce": "GTC",
        "postOnly": True,
        "hidden": False,
        "iceberg": False,
        "visibleSize": "0",
        "cancelAfter": 0,
        "channel": "API",
        "clientOid": f"sandbox-{order.id}",
        "remark": None,
        "tags": None,
        "isActive": order.status == "open",
        "active": order.status == "open",
        "cancelExist": False,
        "createdAt": order.created_ms,
        "tradeType": "TRADE",
    }


@FUTURES_ROUTES.on("GET", "/api/v1/contracts/active")
def contracts(desk: Desk, call: Call) -> Reply:
    return ok([])


@FUTURES_ROUTES.on("GET", "/api/v1/timestamp")
def futures_timestamp(desk: Desk, call: Call) -> Reply:
    return ok(desk.now_ms())


VENUES = {
    "api.kucoin.com": Venue("kucoin", ROUTES, identify, too_many),
    "api-futures.kucoin.com": Venue("kucoin", FUTURES_ROUTES, identify, too_many),
}
