"""The exchange's clock: what an answer shows of it, and that every class of ccxt signs by it."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from email.utils import formatdate

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.carried import CARRIED
from exchanges.gateways import client
from exchanges.gateways.clock import ExchangeClock, date_ms, offset_between
from exchanges.gateways.errors import WrongClock
from exchanges.types import MarketType
from ground.errors import Unavailable
from tests.exchanges.fake import FakeExchange, Reply, Seen
from tests.exchanges.tables import gateway, spot

NOW_MS = 1_763_700_000_777


@pytest.mark.parametrize(
    ("server_ms", "took_ms", "known_ms", "offset_ms"),
    [
        (NOW_MS + 50, 100, 0, 0),  # somewhere on its way: nothing differs
        (NOW_MS + 60_050, 100, 0, 60_000),
        (NOW_MS - 59_950, 100, 0, -60_000),
        (NOW_MS + 60_050, 100, 59_980, 59_980),  # a known offset that still fits does not tremble
        (NOW_MS + 60_050, 100, 30_000, 60_000),
        (NOW_MS + 48 * 3_600_000, 100, 0, None),
        (0, 100, 0, None),
    ],
)
def test_tells_the_offset_from_one_answer(server_ms: int, took_ms: int, known_ms: int, offset_ms: int | None) -> None:
    assert offset_between(server_ms, NOW_MS, NOW_MS + took_ms, known_ms=known_ms) == offset_ms


@given(
    offset_ms=st.integers(-3_600_000, 3_600_000),
    there_ms=st.integers(0, 4_000),
    back_ms=st.integers(0, 4_000),
    counts_seconds=st.booleans(),
    known_ms=st.integers(-3_600_000, 3_600_000),
)
def test_is_right_to_the_time_the_answer_took(
    offset_ms: int, there_ms: int, back_ms: int, counts_seconds: bool, known_ms: int
) -> None:
    shown_ms = NOW_MS + there_ms + offset_ms
    shown_ms = shown_ms // 1000 * 1000 if counts_seconds else shown_ms
    told = offset_between(shown_ms, NOW_MS, NOW_MS + there_ms + back_ms, known_ms=known_ms)
    assert told is not None
    assert abs(told - offset_ms) <= there_ms + back_ms + 1000


@pytest.mark.parametrize("text", [None, "", "yesterday", "Fri, 99 Nov 2025 25:00:00 GMT"])
def test_a_date_that_cannot_be_read_is_none(text: str | None) -> None:
    assert date_ms(text) is None


@pytest.mark.parametrize("exchange", sorted(CARRIED))
def test_every_class_of_ccxt_takes_the_time_from_the_exchanges_clock(exchange: str) -> None:
    clock = ExchangeClock()
    market_type = MarketType(CARRIED[exchange].types.split()[0])
    instance = client.build(exchange, market_type, None, base_url=None, timeout_s=1, clock=clock)
    assert not instance.options.get("timeDifference"), "corrected once, not twice"
    assert not instance.options.get("adjustForTimeDifference")
    instance.options.setdefault("timeDifference", 0)  # dydx's class wants a number
    before = instance.milliseconds(), instance.seconds(), instance.microseconds(), instance.nonce()
    clock.set(timedelta(hours=5))
    after = instance.milliseconds(), instance.seconds(), instance.microseconds(), instance.nonce()
    for was, now in zip(before, after, strict=True):
        a_second = 10 ** (len(str(int(was))) - 10)  # seconds since 1970 have ten digits
        assert (now - was) / a_second == pytest.approx(5 * 3600, abs=60)


def test_an_offset_that_jumps_makes_nobody_wait() -> None:
    clock = ExchangeClock()
    instance = client.build("binance", MarketType.SPOT, None, base_url=None, timeout_s=1, clock=clock)
    clock.set(timedelta(hours=5))
    instance.throttle(1)
    clock.set(timedelta(hours=-5))
    instance.throttle(1)  # by ccxt's own throttle this would take ten hours


def test_a_refusal_for_another_reason_than_the_time_is_not_repeated(
    fake: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kraken's word for a nonce that was used already is the same."""
    fake.on("/TradesHistory", {"error": ["EAPI:Invalid nonce"]})
    reply_to = fake.reply_to

    def in_time(seen: Seen) -> Reply:
        now = {"error": [], "result": {"unixtime": int(time.time()), "rfc1123": ""}}
        return Reply(now) if seen.path.endswith("/Time") else reply_to(seen)

    monkeypatch.setattr(fake, "reply_to", in_time)
    market = spot("XBTUSDT", "BTC", "USDT")
    client_ = gateway("kraken", "spot", [market], fake.url)
    for _ in range(2):
        with pytest.raises(WrongClock):
            client_.fetch_own_trades("BTC/USDT")
    assert len(fake.asked("/TradesHistory")) == 2
    assert len(fake.asked("/Time")) == 1, "the clock was measured a moment ago"


def test_where_no_time_can_be_asked_for_the_date_of_the_refusal_serves(fake: FakeExchange) -> None:
    assert not ccxt.cryptocom().has.get("fetchTime")
    client_ = gateway("cryptocom", "spot", [spot("BTC_USDT", "BTC", "USDT")], fake.url)
    assert client_.measure_clock() is None, "nothing was heard yet"
    ahead = {"Date": formatdate(time.time() + 120, usegmt=True)}
    fake.on("/get-trades", {"id": 1, "code": 40102, "message": "INVALID_NONCE"}, status=400, headers=ahead)
    with pytest.raises(WrongClock):
        client_.fetch_own_trades("BTC/USDT")
    first, second = (json.loads(seen.body)["nonce"] for seen in fake.asked("/get-trades"))
    assert 110_000 < int(second) - int(first) < 140_000, "signed again by the exchange's time"


def test_an_exchange_whose_time_makes_no_sense_is_not_followed(fake: FakeExchange) -> None:
    fake.on("/api/v3/time", {"serverTime": 5})
    client_ = gateway("binance", "spot", [spot("BTCUSDT", "BTC", "USDT")], fake.url)
    with pytest.raises(Unavailable, match="a time that cannot be"):
        client_.measure_clock()
