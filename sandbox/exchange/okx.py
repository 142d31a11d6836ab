"""OKX spot. Signed with an ISO timestamp, everything is a string, errors are codes inside the answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox import money
from sandbox.exchange.venue import Desk, Refused, Venue, between, number, same, sha256_base64
from sandbox.http import Call, Reply, Routes
from sandbox.keys import Key
from sandbox.market import Market
from sandbox.tape import Order, Trade

ROUTES = Routes()
_WINDOW_MS = 30_000


def ok(data: list[Any]) -> Reply:
    return Reply({"code": "0", "data": data, "msg": ""})


def error(code: str, msg: str, status: int = 400) -> Reply:
    return Reply({"code": code, "data": [], "msg": msg}, status=status)


def too_many() -> Reply:
    return error("50011", "Too Many Requests", 429)


def identify(call: Call) -> str:
    return call.headers.get("ok-access-key", "")


def signed(desk: Desk, call: Call) -> Key:
    """The key behind a call whose passphrase, timestamp and signature are right."""
    headers = call.headers
    if not identify(call):
        raise Refused(error("50103", 'Request header "OK-ACCESS-KEY" can\'t be empty.', 401))
    key = desk.key(identify(call))
    if key is None or desk.world.is_key_refused(key):
        raise Refused(error("50111", "Invalid OK-ACCESS-KEY", 401))
    stamp = headers.get("ok-access-timestamp", "")
    if abs(_ms(stamp) - desk.now_ms()) > _WINDOW_MS:
        raise Refused(error("50102", "Timestamp request expired", 401))
    if headers.get("ok-access-passphrase", "") != key.passphrase:
        raise Refused(error("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401))
    payload = stamp + call.method + call.target + call.body.decode()
    if not same(headers.get("ok-access-sign", ""), sha256_base64(key.secret, payload)):
        raise Refused(error("50113", "Invalid Sign", 401))
    return key


def _ms(stamp: str) -> int:
    """0, and so expired, when it cannot be read."""
    try:
        return int(datetime.fromisoformat(stamp).timestamp() * 1000)
    except ValueError:
        return 0


def _id(market: Market) -> str:
    return market.pair.replace("/", "-")


def _market(desk: Desk, call: Call) -> Market | None:
    """The market that is named, or None when none is."""
    return _named(desk, call) if call.query.get("instId") else None


def _named(desk: Desk, call: Call) -> Market:
    market = desk.world.market(desk.exchange, call.query.get("instId", "").replace("-", "/"))
    if market is None:
        raise Refused(error("51001", "Instrument ID doesn't exist."))
    return market


@ROUTES.on("GET", "/api/v5/public/time")
def server_time(desk: Desk, call: Call) -> Reply:
    return ok([{"ts": str(desk.now_ms())}])


@ROUTES.on("GET", "/api/v5/asset/currencies")
def currencies(desk: Desk, call: Call) -> Reply:
    signed(desk, call)
    codes = dict.fromkeys(code for market in desk.markets() for code in (market.base, market.quote))
    common = {"canDep": True, "canWd": True, "canInternal": True, "minFee": "0", "maxFee": "0", "wdTickSz": "8"}
    return ok([{"ccy": code, "name": code, "chain": f"{code}-{code}", "minWd": "0"} | common for code in codes])


@ROUTES.on("GET", "/api/v5/public/instruments")
def instruments(desk: Desk, call: Call) -> Reply:
    """Only spot is played; the other kinds are empty."""
    return ok([_instrument(market) for market in desk.markets()] if call.query.get("instType") == "SPOT" else [])


def _instrument(market: Market) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("ctMult", "ctType", "ctVal", "ctValCcy", "expTime", "optType", "settleCcy", "stk", "uly"), ""
    )
    return empty | {
        "alias": "",
        "baseCcy": market.base,
        "category": "1",
        "instFamily": "",
        "instId": _id(market),
        "instType": "SPOT",
        "lever": "",
        "listTime": "1600000000000",
        "lotSz": money.text(market.step),
        "maxLmtSz": "99999999",
        "maxMktSz": "1000000",
        "minSz": money.text(market.step),
        "quoteCcy": market.quote,
        "state": "live",
        "tickSz": money.text(market.tick),
    }


@ROUTES.on("GET", "/api/v5/market/tickers")
def tickers(desk: Desk, call: Call) -> Reply:
    return ok([_ticker_row(market, desk.now_ms()) for market in desk.markets()])


@ROUTES.on("GET", "/api/v5/market/ticker")
def ticker(desk: Desk, call: Call) -> Reply:
    return ok([_ticker_row(_named(desk, call), desk.now_ms())])


def _ticker_row(market: Market, now_ms: int) -> dict[str, Any]:
    size = money.text(market.step * 1000)
    return {
        "instType": "SPOT",
        "instId": _id(market),
        "last": money.text(market.price),
        "lastSz": money.text(market.step),
        "askPx": money.text(market.ask()),
        "askSz": size,
        "bidPx": money.text(market.bid()),
        "bidSz": size,
        "open24h": money.text(market.open_price),
        "high24h": money.text(market.high),
        "low24h": money.text(market.low),
        "volCcy24h": money.text(market.volume * market.price),
        "vol24h": money.text(market.volume),
        "ts": str(now_ms),
        "sodUtc0": money.text(market.open_price),
        "sodUtc8": money.text(market.open_price),
    }


@ROUTES.on("GET", "/api/v5/market/books")
def order_book(desk: Desk, call: Call) -> Reply:
    bids, asks = _named(desk, call).book(min(number(call.query.get("sz"), 20) or 20, 100))
    sides = {
        name: [[money.text(price), money.text(size), "0", "1"] for price, size in rows]
        for name, rows in (("bids", bids), ("asks", asks))
    }
    return ok([sides | {"ts": str(desk.now_ms())}])


@ROUTES.on("GET", "/api/v5/account/balance")
def balance(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    key.balance("USDT")
    details = []
    for code, amount in key.balances.items():
        text = money.text(amount)
        same_amount = dict.fromkeys(("eq", "availEq", "availBal", "cashBal"), text)
        details.append({"ccy": code, "frozenBal": "0", "ordFrozen": "0", "uTime": str(desk.now_ms())} | same_amount)
    return ok([{"uTime": str(desk.now_ms()), "totalEq": "", "details": details}])


@ROUTES.on("GET", "/api/v5/trade/fills")
@ROUTES.on("GET", "/api/v5/trade/fills-history")
def fills(desk: Desk, call: Call) -> Reply:
    """Newest first, at most 100; ``begin`` and ``end`` in milliseconds; ``after`` and ``before`` are bill ids."""
    key = signed(desk, call)
    trades = between(
        desk.fills(key, _market(desk, call)), number(call.query.get("begin")), number(call.query.get("end"))
    )
    if after := number(call.query.get("after")):
        trades = [trade for trade in trades if int(trade.id) < after]
    if before := number(call.query.get("before")):
        trades = [trade for trade in trades if int(trade.id) > before]
    if call.query.get("instType", "SPOT") != "SPOT":
        trades = []
    size = max(1, min(number(call.query.get("limit"), 100) or 100, 100))
    return ok([_fill_row(trade) for trade in trades[::-1][:size]])


def _fill_row(trade: Trade) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("fillPxVol", "fillFwdPx", "fillPxUsd", "fillMarkVol", "fillIdxPx", "fillMarkPx", "clOrdId", "tag"), ""
    )
    return empty | {
        "side": trade.side,
        "fillSz": money.text(trade.quantity),
        "fillPx": money.text(trade.price),
        "fee": money.text(-trade.fee),
        "fillPnl": "0",
        "ordId": trade.order_id,
        "feeRate": money.text(-trade.fee_rate),
        "instType": "SPOT",
        "instId": trade.pair.replace("/", "-"),
        "posSide": "net",
        "billId": trade.id,
        "fillTime": str(trade.at_ms),
        "execType": "M" if trade.is_maker else "T",
        "tradeId": trade.id,
        "feeCcy": trade.fee_currency,
        "ts": str(trade.at_ms),
    }


@ROUTES.on("GET", "/api/v5/trade/orders-pending")
def open_orders(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    return ok([_order_row(order) for order in desk.open_orders(key, _market(desk, call))])


def _order_row(order: Order) -> dict[str, Any]:
    empty = dict.fromkeys(("avgPx", "fillPx", "fillTime", "tradeId", "slTriggerPx", "tpTriggerPx", "ccy", "tag"), "")
    return empty | {
        "instType": "SPOT",
        "instId": order.pair.replace("/", "-"),
        "ordId": order.id,
        "clOrdId": f"sandbox{order.id}",
        "px": money.text(order.price),
        "sz": money.text(order.quantity),
        "accFillSz": money.text(order.filled),
        "fillSz": "0",
        "ordType": "post_only",
        "side": order.side,
        "posSide": "net",
        "tdMode": "cash",
        "state": {"open": "live", "closed": "filled", "canceled": "canceled"}[order.status],
        "lever": "",
        "fee": "0",
        "feeCcy": order.pair.split("/")[1],
        "rebate": "0",
        "rebateCcy": "",
        "category": "normal",
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


VENUES = {"www.okx.com": Venue("okx", ROUTES, identify, too_many)}
