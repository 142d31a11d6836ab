"""Turns and pauses that all workers share: real processes, the real broker, and calls counted where they arrive."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import ccxt
import pytest
import redis

from bridge_project.up.urls import redis_client_url
from exchanges.gateways import client, turns
from exchanges.gateways.errors import NoTurn
from exchanges.gateways.limiter import Limiter, LocalLimiter, SharedLimiter, open_limiter
from exchanges.gateways.pool import GatewayPool
from exchanges.limits import LIMITS, limit_of
from exchanges.types import Credentials, MarketType
from ground.errors import RateLimited
from sandbox.testing import Sandbox, start

HOST = "api.binance.com"
TRADES = "/api/v3/myTrades"
OWN_TRADES_UNITS = 4  # ccxt's count of a call for own trades of one pair
ROOT = Path(__file__).resolve().parents[2]


def redis_url() -> str:
    return redis_client_url(os.environ["REDIS_URL"])


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[Sandbox]:
    with start(mean_interval_s=100_000) as running:
        yield running


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    running_sandbox.control("DELETE", "/calls")
    yield running_sandbox
    running_sandbox.clear_faults()


@pytest.fixture(params=["local", "shared"])
def limiter(request: pytest.FixtureRequest, broker: redis.Redis) -> Limiter:
    return LocalLimiter() if request.param == "local" else SharedLimiter(broker)


def take(limiter: Limiter, *, key: str = "", cost_s: float = 1.0, burst_s: float = 0.0, most_wait_s: float = 60.0):
    return limiter.take("host", key=key, cost_s=cost_s, burst_s=burst_s, most_wait_s=most_wait_s)


def worker(sandbox: Sandbox, keys: list[str], exchange: str = "binance") -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.exchanges.limited_worker"]
    words += [redis_url(), sandbox.exchange_base, exchange, ",".join(keys)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def outcomes(process: subprocess.Popen[str]) -> list[str]:
    return json.loads(process.communicate(timeout=120)[0])


def test_turns_stand_in_line_beyond_the_burst(limiter: Limiter) -> None:
    waits = [take(limiter, burst_s=3.0).wait_s for _ in range(6)]
    assert waits[:4] == [0.0, 0.0, 0.0, pytest.approx(0.0, abs=0.1)], "three seconds of pace at once, and the next one"
    assert waits[4:] == [pytest.approx(1.0, abs=0.5), pytest.approx(2.0, abs=0.5)]


def test_a_turn_too_far_away_is_refused_and_costs_nothing(limiter: Limiter) -> None:
    take(limiter, cost_s=30.0)
    for _ in range(3):
        refused = take(limiter, most_wait_s=10.0)
        assert not refused.is_granted
        assert not refused.is_pause
        assert 20 < refused.wait_s <= 30, "refusals do not push one another away"


def test_a_pause_of_the_host_stops_everybody_and_ends_one_by_one(limiter: Limiter) -> None:
    limiter.pause("host", key="", seconds=30)
    limiter.pause("host", key="", seconds=5)  # a shorter one does not lift the longer
    for key in ("", "first", "second"):
        stopped = take(limiter, key=key, most_wait_s=10.0)
        assert (stopped.is_granted, stopped.is_pause) == (False, True)
        assert 25 < stopped.wait_s <= 30
    waits = [take(limiter, burst_s=5.0).wait_s for _ in range(3)]
    assert waits == [pytest.approx(30, abs=3), pytest.approx(31, abs=3), pytest.approx(32, abs=3)]


def test_a_pause_of_a_key_stops_that_key_alone(limiter: Limiter) -> None:
    limiter.pause("host", key="first", seconds=30)
    assert not take(limiter, key="first", most_wait_s=10.0).is_granted
    assert take(limiter, key="second", cost_s=0.0).wait_s == 0.0
    assert take(limiter, cost_s=0.0).wait_s == 0.0


def test_several_processes_with_many_keys_keep_one_pace(sandbox: Sandbox, broker: redis.Redis) -> None:
    keys = [f"key-{n}" for n in range(21)]
    for key in keys:
        sandbox.add_key("binance", key, "secret")
    limit = LIMITS[HOST]
    cost_s = limit.unit_s * OWN_TRADES_UNITS
    open_limiter(redis_url()).take(HOST, key="", cost_s=limit.burst_s, burst_s=limit.burst_s, most_wait_s=0)
    emptied_at_ms = time.time() * 1000
    processes = [worker(sandbox, keys[n::3]) for n in range(3)]
    assert [outcomes(process) for process in processes] == [["answered"] * 7] * 3
    arrived = sorted(call["at_ms"] for call in sandbox.calls(system="binance", path=TRADES))
    assert len(arrived) == 21
    for n, at_ms in enumerate(arrived):  # a call may come late, but none may come before its turn
        assert at_ms - emptied_at_ms > n * cost_s * 1000 - 50


def test_one_worker_told_to_slow_down_stops_the_others(sandbox: Sandbox, broker: redis.Redis) -> None:
    for key in ("first", "second", "third"):
        sandbox.add_key("binance", key, "secret")
    pool = GatewayPool({"binance": sandbox.exchange_base}, limiter=open_limiter(redis_url()))
    gateway = pool.gateway("binance", "spot", Credentials("first", "secret"))
    gateway.load_markets()
    sandbox.fault("exchange:binance", "rate_limit", retry_after_s=25, path=TRADES, count=1)
    with pytest.raises(RateLimited) as told:
        gateway.fetch_own_trades("BTC/USDT")
    assert told.value.retry_after_s == 25
    sandbox.control("DELETE", "/calls")
    assert outcomes(worker(sandbox, ["second", "third"])) == ["RateLimited"] * 2
    with pytest.raises(RateLimited, match=r"asked for fewer requests, so nothing is sent for another \d+ s") as held:
        gateway.fetch_own_trades("BTC/USDT")
    assert held.value.retry_after_s is not None
    assert 0 < held.value.retry_after_s <= 25
    assert sandbox.calls(system="binance") == [], "nothing was sent meanwhile"
    broker.flushdb()
    assert outcomes(worker(sandbox, ["second", "third"])) == ["answered"] * 2


def test_where_keys_are_counted_a_busy_key_stops_itself_alone(sandbox: Sandbox, broker: redis.Redis) -> None:
    for key in ("busy", "calm"):
        sandbox.add_key("kucoin", key, "secret", passphrase="pass")
    sandbox.fault("key:busy", "rate_limit", retry_after_s=25, count=1)
    assert outcomes(worker(sandbox, ["busy"], "kucoin")) == ["RateLimited"]
    assert outcomes(worker(sandbox, ["busy", "calm"], "kucoin")) == ["RateLimited", "answered"]


@pytest.mark.parametrize("reply_after", [0, None], ids=["refuses", "hangs"])
def test_checks_go_on_while_redis_is_away(sandbox: Sandbox, reply_after: int | None) -> None:
    sandbox.add_key("binance", "first", "secret")
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        if reply_after is None:  # it takes connections and says nothing
            threading.Thread(target=accept, daemon=True).start()
        else:
            server.close()
        pool = GatewayPool({"binance": sandbox.exchange_base}, limiter=open_limiter(f"redis://127.0.0.1:{port}/0"))
        gateway = pool.gateway("binance", "spot", Credentials("first", "secret"))
        assert gateway.fetch_own_trades("BTC/USDT") == []
        assert gateway.fetch_own_trades("ETH/USDT") == []
        sandbox.fault("exchange:binance", "rate_limit", retry_after_s=25, path=TRADES, count=1)
        for _ in range(2):
            with pytest.raises(RateLimited):
                gateway.fetch_own_trades("BTC/USDT")
    for connection in connections:
        connection.close()
    asked = sandbox.calls(system="binance", path=TRADES)
    assert len(asked) == 3, "alone, this process still keeps to the pause"


def test_a_share_that_is_used_up_is_said_and_is_no_refusal_of_the_exchange(
    sandbox: Sandbox, broker: redis.Redis
) -> None:
    limiter = open_limiter(redis_url())
    gateway = GatewayPool({"gate": sandbox.exchange_base}, limiter=limiter).gateway("gate", "spot")
    gateway.load_markets()
    sandbox.control("DELETE", "/calls")
    limiter.take("api.gateio.ws", key="", cost_s=90, burst_s=0, most_wait_s=60)
    with pytest.raises(NoTurn, match="share of what Gate takes from one address is used up for another") as kept_back:
        gateway.fetch_ticker("BTC/USDT")
    assert kept_back.value.code == "no_turn"
    assert kept_back.value.retry_after_s
    assert sandbox.calls(system="gate") == []


def test_every_host_of_the_table_is_one_that_ccxt_calls() -> None:
    hosts = set()
    for exchange in ccxt.exchanges:
        instance = getattr(ccxt, exchange)()
        words = [[name] for name in instance.urls.get("api", {})] if isinstance(instance.urls.get("api"), dict) else []
        hosts |= {turns.host_of(instance, word) for word in [*words, "public"]}
    assert set(LIMITS) <= hosts


@pytest.mark.parametrize(
    ("exchange", "market_type", "api", "host"),
    [
        ("binance", "spot", "private", "api.binance.com"),
        ("binance", "spot", ["fapiPrivate", "GET"], "fapi.binance.com"),
        ("kucoin", "spot", "private", "api.kucoin.com"),
        ("kucoinfutures", "swap", "futuresPrivate", "api-futures.kucoin.com"),
        ("gate", "spot", ["private", "spot"], "api.gateio.ws"),
        ("okx", "spot", "private", "www.okx.com"),
        ("bybit", "spot", "private", "api.bybit.com"),
        ("kraken", "spot", "private", "api.kraken.com"),
        ("hyperliquid", "swap", "public", "api.hyperliquid.xyz"),
    ],
)
def test_tells_the_host_of_a_call(exchange: str, market_type: str, api: object, host: str) -> None:
    instance = client.build(exchange, MarketType(market_type), None, base_url=None, timeout_s=1)
    assert turns.host_of(instance, api) == host


def test_an_unknown_host_gets_the_pace_of_one_key() -> None:
    limit = limit_of("api.example.com", 0.2)
    assert limit.unit_s == pytest.approx(0.2)
    assert not limit.counts_keys


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "999999"}, 3600.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"gw-ratelimit-reset": "1500"}, 1.5),
        ({}, None),
    ],
)
def test_reads_how_long_an_exchange_wants_to_be_left_alone(headers: dict[str, str], seconds: float | None) -> None:
    assert turns.pause_s(headers) == seconds


@pytest.mark.parametrize(
    ("status", "text", "asks"),
    [
        (429, "", True),
        (418, "", True),
        (403, "403, Access too frequent", True),
        (403, "Forbidden", False),
        (200, "", False),
    ],
)
def test_tells_a_request_for_fewer_requests(status: int, text: str, asks: bool) -> None:
    assert turns.asks_for_fewer(status, text) == asks
