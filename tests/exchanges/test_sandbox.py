"""The gateway against the sandbox's exchanges: signatures checked, faults switched on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D

import pytest

from exchanges.gateways.pool import GatewayPool, open_gateways
from exchanges.types import Credentials
from ground.errors import BadCredentials, GatewayError, RateLimited, Unavailable
from sandbox.testing import Sandbox, start

EXCHANGES = {"kucoin": "spot", "binance": "spot", "binanceusdm": "swap", "gate": "spot", "okx": "spot"}
KEY = Credentials("key", "secret", "pass")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(speed=30, mean_interval_s=60) as running:
        for name in EXCHANGES:
            running.add_key(name, "key", "secret", passphrase="pass")
        yield running


@pytest.fixture
def pool(sandbox: Sandbox) -> Iterator[GatewayPool]:
    yield open_gateways(dict.fromkeys(EXCHANGES, sandbox.exchange_base), timeout_s=3.0)
    sandbox.clear_faults()


@pytest.mark.parametrize("name", EXCHANGES)
def test_reads_what_the_tape_says(sandbox: Sandbox, pool: GatewayPool, name: str) -> None:
    gateway = pool.gateway(name, EXCHANGES[name], KEY)
    assert gateway.fetch_own_trades("ETH/USDT") == []
    made = [
        sandbox.add_trade(name, "BTC/USDT", "key", age_s=age, side=side, price="61234.5", quantity="0.0012")
        for age, side in ((300, "buy"), (100, "sell"))
    ]
    read = gateway.fetch_own_trades("BTC/USDT")
    assert [trade.exchange_trade_id for trade in read] == [made[1]["id"], made[0]["id"]]
    assert [(trade.side, trade.price, trade.quantity) for trade in read] == [
        ("sell", D("61234.5"), D("0.0012")),
        ("buy", D("61234.5"), D("0.0012")),
    ]
    assert [round(one.executed_at.timestamp() * 1000) for one in read] == [one["at_ms"] for one in reversed(made)]
    assert gateway.fetch_ticker("BTC/USDT").last > 0
    assert gateway.fetch_balance()["USDT"].total > 900_000


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_wrong_secret_is_a_refusal_of_the_key(pool: GatewayPool, name: str) -> None:
    with pytest.raises(BadCredentials):
        pool.gateway(name, EXCHANGES[name], Credentials("key", "another", "pass")).fetch_own_trades("BTC/USDT")


FAULTS = {
    "html": Unavailable,
    "empty": Unavailable,
    "garbage": Unavailable,
    "cut": Unavailable,
    "cut_connection": Unavailable,
    "drop": Unavailable,
    "server_error": Unavailable,
    "rate_limit": RateLimited,
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_fault_is_told_apart_and_passes(sandbox: Sandbox, pool: GatewayPool, name: str) -> None:
    sandbox.add_trade(name, "BTC/USDT", "key", age_s=50, side="buy", price="61234.5", quantity="0.0012")
    gateway = pool.gateway(name, EXCHANGES[name], KEY)
    gateway.load_markets()
    seen: dict[str, type[GatewayError]] = {}
    for fault in FAULTS:
        sandbox.fault(f"exchange:{name}", fault)
        with pytest.raises(GatewayError) as caught:
            gateway.fetch_own_trades("BTC/USDT")
        seen[fault] = type(caught.value)
        sandbox.clear_faults()
    assert seen == FAULTS
    sandbox.fault(f"exchange:{name}", "clock_skew")
    with pytest.raises(Unavailable, match="clock"):
        gateway.fetch_own_trades("BTC/USDT")
    sandbox.clear_faults()
    sandbox.fault("key:key", "revoked")
    with pytest.raises(BadCredentials):
        gateway.fetch_own_trades("BTC/USDT")
    sandbox.clear_faults()
    assert gateway.fetch_own_trades("BTC/USDT")
