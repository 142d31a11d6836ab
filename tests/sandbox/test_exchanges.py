"""Unmodified ccxt classes against the sandbox's exchanges, over real HTTP and with real signatures."""

from __future__ import annotations

import itertools
from typing import Any

import ccxt
import pytest

from sandbox.testing import Sandbox
from tests.sandbox.rewriting import exchange

EXCHANGES = ["kucoin", "binance", "binanceusdm", "gate", "okx"]


def symbol(name: str) -> str:
    return "BTC/USDT:USDT" if name == "binanceusdm" else "BTC/USDT"


def seeded(sandbox: Sandbox, name: str) -> Any:
    sandbox.add_key(name, "key", "secret", passphrase="pass")
    return exchange(sandbox, name)


@pytest.mark.parametrize("name", EXCHANGES)
def test_reads_back_trades_to_the_last_digit(sandbox: Sandbox, name: str) -> None:
    client = seeded(sandbox, name)
    ages = (300, 200, 100)
    made = [
        sandbox.add_trade(name, "BTC/USDT", "key", age_s=age, side=side, price="61234.5", quantity="0.0012")
        for age, side in zip(ages, ("buy", "sell", "buy"), strict=True)
    ]
    read = client.fetch_my_trades(symbol(name), limit=2)
    assert [t["id"] for t in read] == [t["id"] for t in made[1:]]
    for mine, theirs in zip(made[1:], read, strict=True):
        assert theirs["symbol"] == symbol(name)
        assert (theirs["side"], theirs["timestamp"]) == (mine["side"], mine["at_ms"])
        numbers = [theirs["price"], theirs["amount"], theirs["cost"], theirs["fee"]["cost"]]
        expected = [mine["price"], mine["quantity"], mine["notional"], mine["fee"]]
        assert [client.parse_to_numeric(n) for n in numbers] == [client.parse_to_numeric(n) for n in expected]
        assert theirs["fee"]["currency"] == "USDT"


@pytest.mark.parametrize("name", EXCHANGES)
def test_answers_the_other_reading_calls(sandbox: Sandbox, name: str) -> None:
    client = seeded(sandbox, name)
    sandbox.add_bot("maker", name, "BTC/USDT", "key", order_amount="0.01")
    market = client.load_markets()[symbol(name)]
    assert market["active"] and market["precision"]["price"]
    assert abs(client.fetch_time() - client.milliseconds()) < 5000
    assert float(client.fetch_ticker(symbol(name))["last"]) > 0
    assert symbol(name) in client.fetch_tickers()
    if name.startswith("binance"):
        bars = client.fetch_ohlcv(symbol(name), "5m", limit=50)
        assert [later[0] - earlier[0] for earlier, later in itertools.pairwise(bars)] == [300_000] * 49
        assert [earlier[4] for earlier in bars[:-1]] == [later[1] for later in bars[1:]]
        assert all(bar[3] <= min(bar[1], bar[4]) <= max(bar[1], bar[4]) <= bar[2] for bar in bars)
    book = client.fetch_order_book(symbol(name))
    assert book["bids"][0][0] < book["asks"][0][0]
    assert float(client.fetch_balance()["USDT"]["total"]) == 1_000_000
    orders = client.fetch_open_orders(symbol(name))
    assert sorted(order["side"] for order in orders) == ["buy", "sell"]
    assert {order["status"] for order in orders} == {"open"}


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize(
    "wrong", [{"secret": "other"}, {"apiKey": "unknown"}, {"password": "other"}], ids=lambda wrong: next(iter(wrong))
)
def test_refuses_what_is_not_signed_by_the_key(sandbox: Sandbox, name: str, wrong: dict[str, str]) -> None:
    if "password" in wrong and name not in ("kucoin", "okx"):
        pytest.skip("this exchange has no passphrase")
    seeded(sandbox, name)
    client = exchange(sandbox, name, **wrong)
    client.set_markets(exchange(sandbox, name, apiKey="", secret="").load_markets())
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_my_trades(symbol(name))


@pytest.mark.parametrize("name", EXCHANGES)
def test_refuses_a_call_made_too_long_ago(sandbox: Sandbox, name: str) -> None:
    client = seeded(sandbox, name)
    client.load_markets()
    sandbox.fault(f"exchange:{name}", "clock_skew", skew_ms=120_000)
    with pytest.raises((ccxt.InvalidNonce, ccxt.AuthenticationError)):
        client.fetch_my_trades(symbol(name))
    assert client.fetch_time() > client.milliseconds() + 100_000


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_revoked_key_is_refused_until_it_is_given_back(sandbox: Sandbox, name: str) -> None:
    client = seeded(sandbox, name)
    client.load_markets()
    sandbox.fault("key:key", "revoked")
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_my_trades(symbol(name))
    sandbox.fault("key:key", "revoked", on=False)
    assert client.fetch_my_trades(symbol(name)) == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_unknown_symbol_is_the_exchanges_own_refusal(sandbox: Sandbox, name: str) -> None:
    client = seeded(sandbox, name)
    markets = client.load_markets()
    known = markets[symbol(name)]
    client.set_markets([{**known, "id": str(known["id"]).replace("BTC", "NOPE")}])
    with pytest.raises(ccxt.BaseError) as refused:
        client.fetch_my_trades(symbol(name))
    assert not isinstance(refused.value, ccxt.NetworkError | ccxt.AuthenticationError)


def test_kucoins_page_of_fills_is_newest_first_with_paging(sandbox: Sandbox) -> None:
    client = seeded(sandbox, "kucoin")
    made = [sandbox.add_trade("kucoin", "BTC/USDT", "key", age_s=60 - i)["id"] for i in range(25)]
    client.load_markets()
    first = client.privateGetHfFills({"symbol": "BTC-USDT", "limit": 10})["data"]
    second = client.privateGetHfFills({"symbol": "BTC-USDT", "limit": 100, "lastId": first["lastId"]})["data"]
    assert [row["tradeId"] for row in first["items"] + second["items"]] == made[::-1]
    page = client.privateGetFills({"pageSize": 10, "currentPage": 3})["data"]
    assert (page["totalPage"], [row["tradeId"] for row in page["items"]]) == (3, made[::-1][20:])


def test_binance_gives_the_newest_without_a_start_and_the_oldest_from_one(sandbox: Sandbox) -> None:
    client = seeded(sandbox, "binance")
    made = [sandbox.add_trade("binance", "BTC/USDT", "key", age_s=60 - i) for i in range(5)]
    assert [t["id"] for t in client.fetch_my_trades("BTC/USDT", limit=2)] == [t["id"] for t in made[3:]]
    since = made[1]["at_ms"]
    assert [t["id"] for t in client.fetch_my_trades("BTC/USDT", since=since, limit=2)] == [t["id"] for t in made[1:3]]


def test_trades_of_one_key_are_not_anothers(sandbox: Sandbox) -> None:
    client = seeded(sandbox, "kucoin")
    sandbox.add_key("kucoin", "other", "secret", passphrase="pass")
    sandbox.add_trade("kucoin", "BTC/USDT", "other")
    assert client.fetch_my_trades("BTC/USDT") == []
