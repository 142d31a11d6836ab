"""Whatever a server does, it is one of our errors, and never an empty list."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any

import pytest

from exchanges.gateways import wire
from exchanges.gateways.ccxt_gateway import ExchangeGateway
from exchanges.gateways.errors import CannotReadTrades, MissingCredentials, NotCarried, UnknownMarket, WrongClock
from exchanges.types import Credentials
from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable
from tests.exchanges.fake import FakeExchange
from tests.exchanges.tables import KEY, gateway, spot, swap

T = 1763700000000
HTML = "<!DOCTYPE html><html><body>Just a moment...</body></html>"

SPOT = {
    "binance": ("/api/v3/myTrades", spot("BTCUSDT", "BTC", "USDT")),
    "bitget": ("/api/v2/spot/trade/fills", spot("BTCUSDT", "BTC", "USDT")),
    "bybit": ("/v5/execution/list", spot("BTCUSDT", "BTC", "USDT")),
    "gate": ("/spot/my_trades", spot("BTC_USDT", "BTC", "USDT")),
    "htx": ("/v1/order/matchresults", spot("btcusdt", "BTC", "USDT")),
    "kraken": ("/0/private/TradesHistory", spot("XBTUSDT", "BTC", "USDT")),
    "kucoin": ("/api/v1/fills", spot("BTC-USDT", "BTC", "USDT")),
    "mexc": ("/api/v3/myTrades", spot("BTCUSDT", "BTC", "USDT")),
    "okx": ("/api/v5/trade/fills-history", spot("BTC-USDT", "BTC", "USDT")),
}
LISTS = {"binance", "gate", "mexc"}  # their answer is the list itself

EMPTY: dict[str, Any] = {
    "binance": [],
    "bitget": {"code": "00000", "msg": "success", "requestTime": T, "data": []},
    "bybit": {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": []}, "retExtInfo": {}, "time": T},
    "gate": [],
    "htx": {"status": "ok", "data": []},
    "kraken": {"error": [], "result": {"trades": {}, "count": 0}},
    "kucoin": {"code": "200000", "data": {"currentPage": 1, "pageSize": 50, "totalNum": 0, "items": []}},
    "mexc": [],
    "okx": {"code": "0", "msg": "", "data": []},
}


def ask(fake: FakeExchange, exchange: str, **about: Any) -> list[Any]:
    _, market = SPOT[exchange]
    return gateway(exchange, "spot", [market], fake.url, **about).fetch_own_trades("BTC/USDT")


def refusal(fake: FakeExchange, exchange: str, **about: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        ask(fake, exchange, **about)
    assert caught.value.__context__ is None and caught.value.__cause__ is None, "ccxt's own error is not chained"
    assert caught.value.system == exchange
    return caught.value


@pytest.mark.parametrize("exchange", sorted(SPOT))
def test_an_empty_list_is_believed_where_the_exchange_really_sends_one(fake: FakeExchange, exchange: str) -> None:
    fake.on(SPOT[exchange][0], EMPTY[exchange])
    assert ask(fake, exchange) == []


UNREADABLE: dict[str, Any] = {
    "html": HTML,
    "nothing": "",
    "null": "null",
    "a number": "5",
    "a text": '"ok"',
    "a cut object": '{"code": "200000", "data": {"items": [',
    "a cut list": '[{"symbol": "BTCUSDT", "id": 1',
    "an empty object": {},
    "another object": {"foo": 1},
    "a list of null": [None],
    "a list of numbers": [1, 2],
    "a list of lists": [[], []],
    "text before the list": "ok []",
    "binary": b"\xff\xfe\x00\x01",
}


@pytest.mark.parametrize("exchange", sorted(SPOT))
@pytest.mark.parametrize("what", sorted(UNREADABLE))
def test_an_unreadable_answer_with_status_200_is_unavailable(fake: FakeExchange, exchange: str, what: str) -> None:
    fake.on(SPOT[exchange][0], UNREADABLE[what], content_type="text/html" if what == "html" else "application/json")
    error = refusal(fake, exchange)
    assert type(error) is Unavailable
    assert ("web page" in error.message) == (what == "html")


@pytest.mark.parametrize("exchange", sorted(set(SPOT) - LISTS))
@pytest.mark.parametrize("place", ["a list for an object", "no data", "null data"])
def test_a_list_that_is_not_where_it_belongs_is_not_an_empty_one(fake: FakeExchange, exchange: str, place: str) -> None:
    body = EMPTY[exchange]
    if place == "a list for an object":
        body = []
    else:
        body = {k: v for k, v in body.items() if k not in ("data", "result")}
        body |= {} if place == "no data" else {"result" if "result" in EMPTY[exchange] else "data": None}
    fake.on(SPOT[exchange][0], body)
    assert type(refusal(fake, exchange)) is Unavailable


@pytest.mark.parametrize("exchange", ["binance", "gate", "kraken", "kucoin", "okx"])
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, '{"code": "429000", "msg": "Too many requests"}', RateLimited),
        (429, HTML, RateLimited),
        (500, '{"msg": "oops"}', Unavailable),
        (500, "Internal Server Error", Unavailable),
        (502, HTML, Unavailable),
        (503, "", Unavailable),
        (504, HTML, Unavailable),
        (403, HTML, Unavailable),
        (404, HTML, Unavailable),
        (302, "", Unavailable),
        (204, "", Unavailable),
    ],
)
def test_statuses_mean_what_they_say(fake: FakeExchange, exchange: str, status: int, body: str, kind: type) -> None:
    headers = {"Location": f"{fake.url}/elsewhere", "Retry-After": "7"} if status in (302, 429) else {}
    fake.on(SPOT[exchange][0], body, status=status, headers=headers)
    error = refusal(fake, exchange)
    assert type(error) is kind
    assert not fake.asked("/elsewhere"), "a signed request follows no redirect"
    if kind is RateLimited:
        assert error.retry_after_s == 7.0


WORDED: list[tuple[str, int, Any, type[GatewayError]]] = [
    ("binance", 401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, BadCredentials),
    ("binance", 400, {"code": -2014, "msg": "API-key format invalid."}, BadCredentials),
    ("binance", 400, {"code": -1022, "msg": "Signature for this request is not valid."}, BadCredentials),
    ("binance", 400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, WrongClock),
    ("binance", 400, {"code": -1121, "msg": "Invalid symbol."}, UnknownMarket),
    ("binance", 418, {"code": -1003, "msg": "Way too many requests; IP banned until 1."}, RateLimited),
    ("kucoin", 200, {"code": "400003", "msg": "KC-API-KEY not exists"}, BadCredentials),
    ("kucoin", 401, {"code": "400003", "msg": "KC-API-KEY not exists"}, BadCredentials),
    ("kucoin", 400, {"code": "400004", "msg": "Invalid KC-API-PASSPHRASE"}, BadCredentials),
    ("kucoin", 400, {"code": "400005", "msg": "Invalid KC-API-SIGN"}, BadCredentials),
    ("kucoin", 400, {"code": "400002", "msg": "KC-API-TIMESTAMP Invalid"}, WrongClock),
    ("kucoin", 200, {"code": "429000", "msg": "Too Many Requests"}, RateLimited),
    ("okx", 401, {"code": "50113", "msg": "Invalid Sign", "data": []}, BadCredentials),
    ("okx", 401, {"code": "50111", "msg": "Invalid OK-ACCESS-KEY", "data": []}, BadCredentials),
    ("okx", 200, {"code": "50102", "msg": "Timestamp request expired", "data": []}, WrongClock),
    ("okx", 200, {"code": "50011", "msg": "Too Many Requests", "data": []}, RateLimited),
    ("okx", 200, {"code": "50001", "msg": "Service temporarily unavailable", "data": []}, Unavailable),
    ("gate", 401, {"label": "INVALID_KEY", "message": "Invalid key provided"}, BadCredentials),
    ("gate", 401, {"label": "INVALID_SIGNATURE", "message": "Signature mismatch"}, BadCredentials),
    ("gate", 403, {"label": "FORBIDDEN", "message": "IP not in whitelist"}, BadCredentials),
    ("gate", 403, {"label": "REQUEST_EXPIRED", "message": "gap between request and server time"}, WrongClock),
    ("okx", 401, {"code": "50112", "msg": "Invalid OK-ACCESS-TIMESTAMP", "data": []}, WrongClock),
    ("mexc", 400, {"code": 700006, "msg": "IP [10.0.0.1] not in the ip white list"}, BadCredentials),
    ("mexc", 400, {"code": 700003, "msg": "Timestamp for this request is outside of the recvWindow."}, WrongClock),
    ("bybit", 200, {"retCode": 10003, "retMsg": "API key is invalid.", "result": {}, "time": T}, BadCredentials),
    ("bybit", 200, {"retCode": 10004, "retMsg": "error sign!", "result": {}, "time": T}, BadCredentials),
    ("bybit", 200, {"retCode": 33004, "retMsg": "Your api key has expired.", "result": {}}, BadCredentials),
    ("bybit", 200, {"retCode": 10006, "retMsg": "Too many visits!", "result": {}, "time": T}, RateLimited),
    ("bitget", 400, {"code": "40006", "msg": "Invalid ACCESS_KEY", "data": None}, BadCredentials),
    ("bitget", 400, {"code": "40009", "msg": "sign signature error", "data": None}, BadCredentials),
    ("kraken", 200, {"error": ["EAPI:Invalid key"]}, BadCredentials),
    ("kraken", 200, {"error": ["EGeneral:Permission denied"]}, BadCredentials),
    ("kraken", 200, {"error": ["EAPI:Invalid nonce"]}, WrongClock),
    ("kraken", 200, {"error": ["EAPI:Rate limit exceeded"]}, RateLimited),
    ("kraken", 200, {"error": ["EService:Unavailable"]}, Unavailable),
    (
        "htx",
        200,
        {"status": "error", "err-code": "api-signature-not-valid", "err-msg": "Signature not valid", "data": None},
        BadCredentials,
    ),
    ("mexc", 400, {"code": 10072, "msg": "Api key info invalid"}, BadCredentials),
    ("mexc", 400, {"code": 700002, "msg": "Signature for this request is not valid."}, BadCredentials),
]


@pytest.mark.parametrize(("exchange", "status", "body", "kind"), WORDED)
def test_each_exchange_is_understood_in_its_own_words(
    fake: FakeExchange, exchange: str, status: int, body: Any, kind: type[GatewayError]
) -> None:
    fake.on(SPOT[exchange][0], body, status=status)
    error = refusal(fake, exchange)
    assert type(error) is kind
    for text in (KEY.api_key, KEY.api_secret, KEY.memo, "ignature=", "http"):
        assert text not in error.message


TRADE = {
    "symbol": "BTCUSDT",
    "id": "309",
    "orderId": "37",
    "price": "69000.5",
    "qty": "0.2",
    "quoteQty": "13800.1",
    "commission": "0.1",
    "commissionAsset": "USDT",
    "time": T,
    "isBuyer": True,
}
BROKEN: dict[str, dict[str, Any]] = {
    "no id": {"id": None},
    "an empty id": {"id": ""},
    "no time": {"time": None},
    "a time of 1970": {"time": 0},
    "seconds for milliseconds": {"time": T // 1000},
    "a time in the far future": {"time": T * 1000},
    "a time that is a word": {"time": "yesterday"},
    "no price": {"price": None},
    "price NaN": {"price": "NaN"},
    "price infinite": {"price": "Infinity"},
    "price zero": {"price": "0"},
    "price negative": {"price": "-1"},
    "a price beyond all numbers": {"price": "1e400"},
    "quantity NaN": {"qty": "NaN"},
    "quantity a word": {"qty": "many"},
    "quantity an object": {"qty": {"a": 1}},
    "fee NaN": {"commission": "NaN"},
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_a_trade_that_cannot_be_believed_makes_the_whole_answer_unreadable(fake: FakeExchange, what: str) -> None:
    fake.on("/api/v3/myTrades", [TRADE, TRADE | {"id": "310"} | BROKEN[what]])
    assert type(refusal(fake, "binance")) is Unavailable


def test_trades_come_newest_first_and_no_more_than_asked(fake: FakeExchange) -> None:
    rows = [TRADE | {"id": str(n), "time": T + n * 1000} for n in (3, 1, 2, 5, 4)]
    fake.on("/api/v3/myTrades", rows)
    trades = gateway("binance", "spot", [SPOT["binance"][1]], fake.url).fetch_own_trades("BTCUSDT", limit=3)
    assert [trade.exchange_trade_id for trade in trades] == ["5", "4", "3"]
    asked = fake.asked("/api/v3/myTrades")[0].query
    assert asked["limit"] == "3" and "startTime" not in asked


def test_trades_of_another_market_in_the_answer_are_not_ours(fake: FakeExchange) -> None:
    ours, other = SPOT["binance"][1], spot("ETHUSDT", "ETH", "USDT")
    client = gateway("binance", "spot", [ours, other], fake.url)
    fake.on("/api/v3/myTrades", [TRADE, TRADE | {"id": "310", "symbol": "ETHUSDT"}])
    assert [trade.exchange_trade_id for trade in client.fetch_own_trades("BTCUSDT")] == ["309"]
    fake.on("/api/v3/myTrades", [TRADE | {"symbol": "ETHUSDT"}])
    assert client.fetch_own_trades("BTCUSDT") == []
    fake.on("/api/v3/myTrades", [TRADE | {"symbol": "NOSUCHPAIR"}])
    with pytest.raises(Unavailable, match="market that cannot be told"):
        client.fetch_own_trades("BTCUSDT")


def test_a_dropped_connection_and_a_closed_port_are_unavailable(fake: FakeExchange) -> None:
    fake.on("/api/v3/myTrades", [TRADE], drop_after=20)
    assert type(refusal(fake, "binance")) is Unavailable
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(Unavailable):
        gateway("binance", "spot", [SPOT["binance"][1]], f"http://127.0.0.1:{port}").fetch_own_trades("BTCUSDT")


def test_a_server_that_does_not_answer_is_left_in_time(fake: FakeExchange) -> None:
    hold = threading.Event()
    fake.on("/api/v3/myTrades", [TRADE], hold=hold)
    try:
        error = refusal(fake, "binance", timeout_s=0.3)
    finally:
        hold.set()
    assert type(error) is Unavailable
    assert "in time" in error.message


def test_a_server_that_drips_bytes_is_left_at_the_deadline() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"[")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        try:
            with pytest.raises(Unavailable, match="in time"):
                gateway("binance", "spot", [SPOT["binance"][1]], url, timeout_s=0.5).fetch_own_trades("BTCUSDT")
        finally:
            stop.set()
            thread.join(5)


def test_an_answer_without_end_is_not_read_to_its_end(fake: FakeExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", 10_000)
    fake.on("/api/v3/myTrades", [TRADE] * 1000)
    assert type(refusal(fake, "binance")) is Unavailable


def test_deeply_nested_json_is_unavailable(fake: FakeExchange) -> None:
    fake.on("/api/v3/myTrades", "[" * 100_000 + "]" * 100_000)
    assert type(refusal(fake, "binance")) is Unavailable


def test_what_cannot_be_asked_by_design_says_so_without_a_call(fake: FakeExchange) -> None:
    for name, market_type in (("ascendex", "spot"), ("ghostex", "spot"), ("kraken", "swap"), ("binanceusdm", "spot")):
        with pytest.raises(NotCarried):
            ExchangeGateway(name, market_type, KEY, base_url=fake.url)
    with pytest.raises(CannotReadTrades) as by_design:
        gateway("upbit", "spot", [spot("USDT-BTC", "BTC", "USDT")], fake.url).fetch_own_trades("BTC/USDT")
    assert by_design.value.code == "cannot_read_trades"
    with pytest.raises(MissingCredentials, match="passphrase") as missing:
        ask(fake, "kucoin", key=Credentials(api_key="k", api_secret="s"))
    assert isinstance(missing.value, BadCredentials)
    with pytest.raises(MissingCredentials):
        ask(fake, "binance", key=None)
    with pytest.raises(UnknownMarket, match="Binance has no spot market FOO/USDT") as unknown:
        gateway("binance", "spot", [SPOT["binance"][1]], fake.url).fetch_own_trades("FOOUSDT")
    assert isinstance(unknown.value, Rejected) and unknown.value.code == "unknown_market"
    with pytest.raises(UnknownMarket, match="perpetual contract BTC/USDT"):
        gateway("okx", "swap", [swap("X", "ETH", "USDT", "USDT")], fake.url).fetch_own_trades("BTCUSDT")
    assert fake.seen == []


def test_a_secret_of_the_wrong_form_is_a_refusal_of_the_key(fake: FakeExchange) -> None:
    bad = Credentials(api_key="organizations/x/apiKeys/y", api_secret="not a private key")
    with pytest.raises(BadCredentials, match="does not have the form"):
        gateway("coinbase", "spot", [spot("BTC-USDT", "BTC", "USDT")], fake.url, key=bad).fetch_own_trades("BTCUSDT")
    assert fake.seen == []


def test_markets_that_cannot_be_read_are_unavailable(fake: FakeExchange) -> None:
    for body in (HTML, [], {}, {"symbols": []}, "null"):
        fake.on("/api/v3/exchangeInfo", body)
        with pytest.raises(Unavailable):
            ExchangeGateway("binance", "spot", KEY, base_url=fake.url).fetch_own_trades("BTCUSDT")
    assert not fake.asked("/api/v3/myTrades")


def test_tickers_and_balances_are_as_careful(fake: FakeExchange) -> None:
    client = gateway("kucoin", "spot", [SPOT["kucoin"][1]], fake.url)
    for body in (HTML, [], {}, {"code": "200000"}, {"code": "200000", "data": None}, {"code": "200000", "data": {}}):
        fake.on("/api/v1/market/stats", body)
        fake.on("/api/v1/accounts", body)
        with pytest.raises(Unavailable):
            client.fetch_ticker("BTCUSDT")
        with pytest.raises(Unavailable):
            client.fetch_balance()
    fake.on("/api/v1/accounts", {"code": "200000", "data": []})
    assert client.fetch_balance() == {}


def test_no_secret_and_no_signed_address_is_logged_at_debug(
    fake: FakeExchange, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for exchange, (path, _) in SPOT.items():
        fake.on(path, {"code": -2015, "msg": "no"}, status=401)
        error = refusal(fake, exchange)
        assert KEY.api_secret not in repr(error)
    assert fake.seen
    for text in (KEY.api_key, KEY.api_secret, KEY.memo, "ignature"):
        assert text not in caplog.text
    assert KEY.api_secret not in repr(KEY) and KEY.api_key not in str(KEY) and KEY.memo not in f"{KEY}"
    assert KEY.fingerprint not in ("", KEY.api_key) and len(KEY.fingerprint) == 16
