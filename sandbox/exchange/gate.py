"""Gate spot. Signed with SHA-512 over a canonical text, seconds instead of milliseconds, errors carry a label."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote

from sandbox import money
from sandbox.exchange.venue import Desk, Refused, Venue, between, number, same, sha512_hex
from sandbox.http import Call, Reply, Routes
from sandbox.keys import Key
from sandbox.market import Market
from sandbox.tape import Order, Trade

ROUTES = Routes()
_WINDOW_S = 60


def error(label: str, message: str, status: int = 400) -> Reply:
    return Reply({"label": label, "message": message}, status=status)


def too_many() -> Reply:
    return error("TOO_MANY_REQUESTS", "Request Rate limit Exceeded", 429)


def identify(call: Call) -> str:
    return call.headers.get("key", "")


def signed(desk: Desk, call: Call) -> Key:
    """The key behind a call signed over method, path, query, the body's hash and a timestamp in seconds."""
    if not identify(call):
        raise Refused(error("MISSING_REQUIRED_HEADER", "Missing required header: KEY", 401))
    key = desk.key(identify(call))
    if key is None or desk.world.is_key_refused(key):
        raise Refused(error("INVALID_KEY", "Invalid key provided", 401))
    stamp = call.headers.get("timestamp", "")
    if not stamp.isdigit() or abs(int(stamp) - desk.now_ms() / 1000) > _WINDOW_S:
        message = f"gap between request Timestamp and server time exceeds {_WINDOW_S}"
        raise Refused(error("REQUEST_EXPIRED", message, 403))
    body_hash = hashlib.sha512(call.body).hexdigest()
    payload = "\n".join([call.method, call.path, unquote(call.raw_query), body_hash, stamp])
    if not same(call.headers.get("sign", ""), sha512_hex(key.secret, payload)):
        raise Refused(error("INVALID_SIGNATURE", "Signature mismatch", 401))
    return key


def _id(market: Market) -> str:
    return f"{market.base}_{market.quote}"


def _market(desk: Desk, call: Call) -> Market | None:
    """The market that is named, or None when none is."""
    return _named(desk, call) if call.query.get("currency_pair") else None


def _named(desk: Desk, call: Call) -> Market:
    name = call.query.get("currency_pair", "")
    market = desk.world.market(desk.exchange, name.replace("_", "/"))
    if market is None:
        raise Refused(error("INVALID_CURRENCY_PAIR", f"Invalid currency pair {name}"))
    return market


@ROUTES.on("GET", "/api/v4/spot/time")
def server_time(desk: Desk, call: Call) -> Reply:
    return Reply({"server_time": desk.now_ms()})


@ROUTES.on("GET", "/api/v4/spot/currencies")
def currencies(desk: Desk, call: Call) -> Reply:
    codes = dict.fromkeys(code for market in desk.markets() for code in (market.base, market.quote))
    flags = {"delisted": False, "withdraw_disabled": False, "deposit_disabled": False, "trade_disabled": False}
    return Reply([{"currency": code, "name": code, "chain": code, "chains": []} | flags for code in codes])


@ROUTES.on("GET", "/api/v4/spot/currency_pairs")
def currency_pairs(desk: Desk, call: Call) -> Reply:
    return Reply([_pair_row(market) for market in desk.markets()])


def _pair_row(market: Market) -> dict[str, Any]:
    return {
        "id": _id(market),
        "base": market.base,
        "base_name": market.base,
        "quote": market.quote,
        "quote_name": market.quote,
        "fee": "0.2",
        "min_base_amount": money.text(market.step),
        "min_quote_amount": "1",
        "max_quote_amount": "5000000",
        "amount_precision": money.places(market.step),
        "precision": money.places(market.tick),
        "trade_status": "tradable",
        "sell_start": 0,
        "buy_start": 0,
        "type": "normal",
    }


# Other kinds of market exist, and are empty.
@ROUTES.on("GET", "/api/v4/margin/currency_pairs")
@ROUTES.on("GET", "/api/v4/futures/{settle}/contracts")
@ROUTES.on("GET", "/api/v4/delivery/{settle}/contracts")
@ROUTES.on("GET", "/api/v4/options/underlyings")
def none_of_these(desk: Desk, call: Call) -> Reply:
    return Reply([])


@ROUTES.on("GET", "/api/v4/spot/tickers")
def tickers(desk: Desk, call: Call) -> Reply:
    market = _market(desk, call)
    return Reply([_ticker_row(row) for row in ([market] if market else desk.markets())])


def _ticker_row(market: Market) -> dict[str, Any]:
    change = (market.price - market.open_price) / market.open_price * 100
    return {
        "currency_pair": _id(market),
        "last": money.text(market.price),
        "lowest_ask": money.text(market.ask()),
        "highest_bid": money.text(market.bid()),
        "change_percentage": money.text(round(change, 2)),
        "base_volume": money.text(market.volume),
        "quote_volume": money.text(market.volume * market.price),
        "high_24h": money.text(market.high),
        "low_24h": money.text(market.low),
    }


@ROUTES.on("GET", "/api/v4/spot/order_book")
def order_book(desk: Desk, call: Call) -> Reply:
    bids, asks = _named(desk, call).book(min(number(call.query.get("limit"), 10) or 10, 100))
    sides = {
        name: [[money.text(price), money.text(size)] for price, size in rows]
        for name, rows in (("bids", bids), ("asks", asks))
    }
    return Reply({"current": desk.now_ms(), "update": desk.now_ms()} | sides)


@ROUTES.on("GET", "/api/v4/account/detail")
def account_detail(desk: Desk, call: Call) -> Reply:
    signed(desk, call)
    return Reply({"user_id": 1, "ip_whitelist": [], "currency_pairs": [], "key": {"mode": 1}, "tier": 0})


@ROUTES.on("GET", "/api/v4/spot/accounts")
def accounts(desk: Desk, call: Call) -> Reply:
    key = signed(desk, call)
    key.balance("USDT")
    wanted = call.query.get("currency")
    rows = [(code, amount) for code, amount in key.balances.items() if wanted in (None, code)]
    return Reply([{"currency": code, "available": money.text(amount), "locked": "0"} for code, amount in rows])


@ROUTES.on("GET", "/api/v4/spot/my_trades")
def my_trades(desk: Desk, call: Call) -> Reply:
    """Newest first in pages of ``limit`` (100, at most 1000); ``from`` and ``to`` in seconds; any pair by default."""
    key = signed(desk, call)
    start, end = number(call.query.get("from")), number(call.query.get("to"))
    trades = between(
        desk.fills(key, _market(desk, call)),
        start * 1000 if start is not None else None,
        end * 1000 + 999 if end is not None else None,
    )
    size = max(1, min(number(call.query.get("limit"), 100) or 100, 1000))
    page = max(1, number(call.query.get("page"), 1) or 1)
    return Reply([_trade_row(trade) for trade in trades[::-1][(page - 1) * size : page * size]])


def _trade_row(trade: Trade) -> dict[str, Any]:
    return {
        "id": trade.id,
        "create_time": str(trade.at_ms // 1000),
        "create_time_ms": f"{trade.at_ms}.000000",
        "currency_pair": trade.pair.replace("/", "_"),
        "side": trade.side,
        "role": "maker" if trade.is_maker else "taker",
        "amount": money.text(trade.quantity),
        "price": money.text(trade.price),
        "order_id": trade.order_id,
        "fee": money.text(trade.fee),
        "fee_currency": trade.fee_currency,
        "point_fee": "0",
        "gt_fee": "0",
        "amend_text": "-",
        "sequence_id": trade.id,
        "text": "t-sandbox",
    }


@ROUTES.on("GET", "/api/v4/spot/open_orders")
def open_orders(desk: Desk, call: Call) -> Reply:
    """Grouped by pair."""
    key = signed(desk, call)
    groups: dict[str, list[Order]] = {}
    for order in desk.open_orders(key, _market(desk, call)):
        groups.setdefault(order.pair.replace("/", "_"), []).append(order)
    return Reply(
        [
            {"currency_pair": pair, "total": len(orders), "orders": [_order_row(order) for order in orders]}
            for pair, orders in groups.items()
        ]
    )


def _order_row(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "text": f"t-{order.id}",
        "create_time": str(order.created_ms // 1000),
        "update_time": str(order.updated_ms // 1000),
        "create_time_ms": order.created_ms,
        "update_time_ms": order.updated_ms,
        "status": order.status,
        "currency_pair": order.pair.replace("/", "_"),
        "type": "limit",
        "account": "spot",
        "side": order.side,
        "amount": money.text(order.quantity),
        "price": money.text(order.price),
        "time_in_force": "poc",
        "iceberg": "0",
        "left": money.text(order.quantity - order.filled),
        "filled_total": money.text(order.filled * order.price),
        "fee": "0",
        "fee_currency": order.pair.split("/")[1],
        "point_fee": "0",
        "gt_fee": "0",
    }


VENUES = {"api.gateio.ws": Venue("gate", ROUTES, identify, too_many)}
