"""The gateway against the sandbox's exchanges: signatures checked, faults switched on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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
    sandbox.fault("key:key", "revoked")
    with pytest.raises(BadCredentials):
        gateway.fetch_own_trades("BTC/USDT")
    sandbox.clear_faults()
    assert gateway.fetch_own_trades("BTC/USDT")


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("skew_ms", [-90_000, 90_000])
def test_a_clock_that_differs_is_measured_and_signed_by(
    sandbox: Sandbox, pool: GatewayPool, name: str, skew_ms: int
) -> None:
    sandbox.add_trade(name, "BTC/USDT", "key", age_s=50)
    gateway = pool.gateway(name, EXCHANGES[name], KEY)
    gateway.load_markets()
    assert pool.clock_offset(name) is None
    sandbox.fault(f"exchange:{name}", "clock_skew", skew_ms=skew_ms)
    sandbox.control("DELETE", "/calls")
    assert gateway.fetch_own_trades("BTC/USDT"), "refused once, measured, and signed again"
    offset = pool.clock_offset(name)
    assert offset and abs(offset - timedelta(milliseconds=skew_ms)) < timedelta(seconds=2)
    refused_measured_answered = len(sandbox.calls(system=name))
    assert refused_measured_answered == 3
    sandbox.add_key(name, "another", "secret", passphrase="pass")
    sandbox.add_trade(name, "BTC/USDT", "another", age_s=50)
    assert pool.gateway(name, EXCHANGES[name], Credentials("another", "secret", "pass")).fetch_own_trades("BTC/USDT")
    assert len(sandbox.calls(system=name)) == 4, "what one key's call learned serves all others"
    assert gateway.fetch_balance()["USDT"].total > 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_measures_the_clock_without_a_key_and_takes_what_another_worker_measured(
    sandbox: Sandbox, pool: GatewayPool, name: str
) -> None:
    offset = pool.measure_clock(name, EXCHANGES[name])
    assert offset is not None and abs(offset) < timedelta(seconds=2)
    sandbox.fault(f"exchange:{name}", "clock_skew", skew_ms=3_600_000)
    sandbox.add_trade(name, "ETH/USDT", "key", age_s=10)
    fresh = open_gateways({name: sandbox.exchange_base})
    fresh.set_clock_offset(name, timedelta(hours=1))
    gateway = fresh.gateway(name, EXCHANGES[name], KEY)
    gateway.load_markets()
    sandbox.control("DELETE", "/calls")
    newest = gateway.fetch_own_trades("ETH/USDT")[0].executed_at
    assert len(sandbox.calls(system=name)) == 1, "nothing was refused"
    age = datetime.now(UTC) - (newest - timedelta(hours=1))
    assert timedelta(0) < age < timedelta(minutes=10), "trades bear the exchange's own times"
    sandbox.control("DELETE", "/trades", params={"api_key": "key"})


@pytest.mark.parametrize("name", EXCHANGES)
def test_reads_the_orders_in_the_book(sandbox: Sandbox, pool: GatewayPool, name: str) -> None:
    gateway = pool.gateway(name, EXCHANGES[name], KEY)
    assert gateway.fetch_open_orders("SOL/USDT") == []
    sandbox.add_bot(f"quoter of {name}", name, "SOL/USDT", "key", mean_interval_s=1_000_000, order_amount="2.5")
    bought, sold = sorted(gateway.fetch_open_orders("SOL/USDT"), key=lambda order: order.side)
    assert (bought.side, sold.side) == ("buy", "sell")
    assert bought.price and sold.price and bought.price < sold.price
    assert (bought.symbol, bought.quantity, bought.filled) == ("SOL/USDT", D("2.5"), D(0))
    assert bought.client_order_id and "sandbox" in bought.client_order_id or name == "gate"
    assert bought.placed_at and abs(datetime.now(UTC) - bought.placed_at) < timedelta(minutes=5)
    assert gateway.fetch_open_orders("XRP/USDT") == []
    sandbox.control("DELETE", f"/bots/quoter of {name}")
    assert gateway.fetch_open_orders("SOL/USDT") == []


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("fault", ["html", "empty", "garbage", "drop", "cut"])
def test_orders_and_balances_that_cannot_be_read_are_no_empty_ones(
    sandbox: Sandbox, pool: GatewayPool, name: str, fault: str
) -> None:
    gateway = pool.gateway(name, EXCHANGES[name], KEY)
    gateway.load_markets()
    sandbox.fault(f"exchange:{name}", fault)
    with pytest.raises(Unavailable):
        gateway.fetch_open_orders("BTC/USDT")
    with pytest.raises(Unavailable):
        gateway.fetch_balance()
    with pytest.raises(Unavailable):
        gateway.measure_clock()
