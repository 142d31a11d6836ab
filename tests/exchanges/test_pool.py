from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import transaction

from exchanges.gateways import markets as markets_module
from exchanges.gateways.errors import UnknownMarket
from exchanges.gateways.pool import open_gateways
from exchanges.types import Credentials
from ground.errors import GatewayError, Unavailable
from tests.exchanges.fake import FakeExchange
from tests.exchanges.tables import KEY, gateway, spot
from tests.exchanges.test_recorded import MARKETS

TRADES = "/api/v3/myTrades"
INFO = "/api/v3/exchangeInfo"


def keys(count: int) -> list[Credentials]:
    return [Credentials(api_key=f"key-{n}", api_secret=f"secret-{n}") for n in range(count)]


@pytest.fixture
def binance(fake: FakeExchange) -> FakeExchange:
    fake.on(INFO, MARKETS["binance"][INFO])
    fake.on(TRADES, [])
    return fake


def test_many_keys_in_parallel_load_the_markets_once(binance: FakeExchange) -> None:
    pool = open_gateways({"binance": binance.url})
    with ThreadPoolExecutor(8) as threads:
        results = list(
            threads.map(lambda key: pool.gateway("binance", "spot", key).fetch_own_trades("BTCUSDT"), keys(16))
        )
    assert results == [[]] * 16
    assert len(binance.asked(INFO)) == 1
    assert len(binance.asked(TRADES)) == 16
    assert {seen.headers.get("X-MBX-APIKEY") for seen in binance.asked(TRADES)} == {f"key-{n}" for n in range(16)}
    assert "X-MBX-APIKEY" not in binance.asked(INFO)[0].headers, "public data is asked for without a key"


def test_a_key_keeps_its_gateway_and_another_key_gets_another(binance: FakeExchange) -> None:
    pool = open_gateways({"binance": binance.url})
    first, second = keys(2)
    assert pool.gateway("binance", "spot", first) is pool.gateway("binance", "spot", first)
    assert pool.gateway("binance", "spot", first) is not pool.gateway("binance", "spot", second)
    changed = Credentials(api_key=first.api_key, api_secret="rotated")
    assert pool.gateway("binance", "spot", changed) is not pool.gateway("binance", "spot", first)


def test_calls_of_one_key_never_overlap(binance: FakeExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most, guard = 0, 0, threading.Lock()
    reply_to = binance.reply_to

    def counted(seen: Any) -> Any:
        nonlocal under_way, most
        with guard:
            under_way += 1
            most = max(most, under_way)
        threading.Event().wait(0.02)
        with guard:
            under_way -= 1
        return reply_to(seen)

    monkeypatch.setattr(binance, "reply_to", counted)
    pool = open_gateways({"binance": binance.url})
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: pool.gateway("binance", "spot", KEY).fetch_own_trades("BTCUSDT"), range(6)))
    assert len(binance.asked(TRADES)) == 6
    assert most == 1


def test_those_who_wait_for_markets_share_the_failure_and_the_next_asks_again(fake: FakeExchange) -> None:
    hold = threading.Event()
    fake.on(INFO, "<html>", status=503, hold=hold)
    pool = open_gateways({"binance": fake.url})

    def ask(key: Credentials) -> str:
        try:
            pool.gateway("binance", "spot", key).fetch_own_trades("BTCUSDT")
        except GatewayError as error:
            return type(error).__name__
        return "answered"

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, key) for key in keys(8)]
        threading.Timer(0.5, hold.set).start()
        assert {future.result() for future in asked} == {"Unavailable"}
    assert len(fake.asked(INFO)) < 8
    fake.on(INFO, MARKETS["binance"][INFO])
    fake.on(TRADES, [])
    assert ask(keys(1)[0]) == "answered"


def test_a_market_listed_since_is_found_after_a_while(binance: FakeExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    client = open_gateways({"binance": binance.url}).gateway("binance", "spot", KEY)
    with pytest.raises(UnknownMarket):
        client.fetch_own_trades("NEWUSDT")
    symbols = MARKETS["binance"][INFO]["symbols"]
    listed = symbols[0] | {"symbol": "NEWUSDT", "baseAsset": "NEW"}
    binance.on(INFO, {"timezone": "UTC", "symbols": [*symbols, listed]})
    with pytest.raises(UnknownMarket):
        client.fetch_own_trades("NEWUSDT")  # not asked again so soon
    assert len(binance.asked(INFO)) == 1
    monkeypatch.setattr(markets_module, "_RETRY_UNKNOWN_AFTER_S", 0.0)
    assert client.fetch_own_trades("NEWUSDT") == []


def test_a_public_gateway_reads_tickers_and_refuses_what_needs_a_key(binance: FakeExchange) -> None:
    binance.on("/api/v3/ticker/24hr", {"symbol": "BTCUSDT", "lastPrice": "90000.5", "bidPrice": "0", "closeTime": None})
    client = open_gateways({"binance": binance.url}).gateway("binance", "spot")
    ticker = client.fetch_ticker("BTCUSDT")
    assert (str(ticker.last), ticker.bid, ticker.change_24h_ratio, ticker.observed_at) == ("90000.5", None, None, None)
    with pytest.raises(GatewayError, match="also asks for the API key and secret"):
        client.fetch_own_trades("BTCUSDT")


def test_no_call_is_made_while_a_transaction_is_open(database: None, binance: FakeExchange) -> None:
    client = gateway("binance", "spot", [spot("BTCUSDT", "BTC", "USDT")], binance.url)
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        client.fetch_own_trades("BTCUSDT")
    assert binance.seen == []
    assert client.fetch_own_trades("BTCUSDT") == []


def test_the_same_failure_is_a_fresh_error_for_each(fake: FakeExchange) -> None:
    fake.on(INFO, "<html>", status=503)
    client = open_gateways({"binance": fake.url}).gateway("binance", "spot", KEY)
    for _ in range(2):
        with pytest.raises(Unavailable):
            client.fetch_own_trades("BTCUSDT")
    assert len(fake.asked(INFO)) == 2
