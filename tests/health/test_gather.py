"""What a round makes of balances and open orders, and whose trades and orders they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from exchanges.types import Balance, MarketType, OpenOrder, Side, Trade
from health.rules.attribution import Rival, attribute, attribute_orders
from health.rules.funds import Need, need_of, shortages
from tests.fixtures import Cast
from tests.health.conftest import ACME_KEY, Monitor, health_of
from tests.health.test_faults import Floor, floor

__all__ = ["floor"]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRADE = Trade("1", "o1", None, "BTC/USDT", Side.BUY, Decimal(50000), Decimal("0.002"), Decimal(100), None, None, NOW)
ORDER = OpenOrder("1", None, "BTC/USDT", Side.BUY, Decimal(50000), Decimal("0.002"), Decimal(0), NOW)
BUYS, SELLS, BOTH = frozenset({Side.BUY}), frozenset({Side.SELL}), frozenset(Side)


def held(currency: str, free: str, used: str = "0") -> Balance:
    return Balance(currency, Decimal(free), Decimal(used), Decimal(free) + Decimal(used))


@pytest.mark.parametrize(
    ("balances", "need", "market", "lacking"),
    [
        ([held("USDT", "500"), held("BTC", "1")], Need(Decimal(50), Decimal(50000), BOTH), "spot", []),
        ([held("USDT", "3.2"), held("BTC", "1")], Need(Decimal(50), Decimal(50000), BOTH), "spot", ["USDT 3.2/50"]),
        ([held("USDT", "0", "60")], Need(Decimal(50), Decimal(50000), BUYS), "spot", []),  # it rests on the book
        ([held("USDT", "0"), held("BTC", "1")], Need(Decimal(50), Decimal(50000), SELLS), "spot", []),
        ([held("USDT", "500")], Need(Decimal(50), Decimal(50000), SELLS), "spot", ["BTC 0/0.001"]),
        ([held("USDT", "500")], Need(Decimal(50), Decimal(50000)), "spot", []),  # it may be about to buy first
        ([], Need(), "spot", ["USDT 0/None", "BTC 0/None"]),
        ([held("USDT", "0.1")], Need(sides=BUYS), "spot", []),  # nobody knows how much it needs
        ([held("USDT", "20")], Need(Decimal(100), Decimal(50000), BOTH, Decimal(10)), "swap", []),
        ([held("USDT", "5")], Need(Decimal(100), Decimal(50000), BOTH, Decimal(10)), "swap", ["USDT 5/10"]),
    ],
)
def test_names_the_currency_that_the_next_order_lacks(
    balances: list[Balance], need: Need, market: str, lacking: list[str]
):
    found = shortages(
        balances={one.currency: one for one in balances}, pair="BTC/USDT", market_type=MarketType(market), need=need
    )
    assert [f"{one.currency} {one.free}/{one.needed}" for one in found] == lacking


@pytest.mark.parametrize(
    ("config", "trades", "need"),
    [
        ({"order_amount": 1600}, [], Need(Decimal(800), None, frozenset())),
        ({"order_amount": "1600", "side": "buy"}, [], Need(Decimal(1600), None, BUYS)),
        ({}, [TRADE, replace(TRADE, side=Side.SELL, notional=Decimal(40))], Need(Decimal(100), Decimal(50000), BOTH)),
        ({"order_amount": "1e400", "leverage": "NaN"}, [], Need()),
        ({"order_amount": [1], "leverage": -3, "side": "sideways"}, [], Need()),
    ],
)
def test_takes_an_orders_size_from_the_config_else_from_what_was_filled(
    config: dict[str, Any], trades: list[Trade], need: Need
):
    assert need_of(config, trades) == need


def test_a_trade_that_a_runtime_reported_is_its_bots_and_nobody_elses():
    rivals = [Rival("other")]
    trades = [TRADE, replace(TRADE, exchange_trade_id="2"), replace(TRADE, exchange_trade_id="3")]
    whose = attribute(trades, order_prefix="", rivals=rivals, now=NOW, own_ids={"1"}, foreign_ids={"2"})
    assert [trade.exchange_trade_id for trade in whose.own] == ["1"]
    assert [trade.exchange_trade_id for trade in whose.shared] == ["3"] and whose.rivals == ("other",)


def test_judges_times_by_our_clock_and_keeps_the_exchanges():
    ahead = timedelta(minutes=10)
    trade = replace(TRADE, executed_at=NOW + ahead)
    assert attribute([trade], order_prefix="", rivals=[], now=NOW).future_at == NOW + ahead
    whose = attribute([trade], order_prefix="", rivals=[], now=NOW, offset=ahead)
    assert whose.own == (trade,) and whose.future_at is None


@pytest.mark.parametrize(
    ("client_order_id", "prefix", "rival", "own", "shared"),
    [
        ("a-1", "a-", Rival("other"), 1, 0),
        (None, "", Rival("other"), 0, 1),
        (None, "", Rival("other", until=NOW - timedelta(minutes=1)), 1, 0),
        ("b-1", "", Rival("other", "b-"), 0, 0),
        ("x-1", "", Rival("other", "b-"), 1, 0),
    ],
)
def test_an_open_order_is_a_bots_own_only_where_nobody_else_can_have_placed_it(
    client_order_id: str | None, prefix: str, rival: Rival, own: int, shared: int
):
    order = replace(ORDER, client_order_id=client_order_id)
    found = attribute_orders([order], order_prefix=prefix, rivals=[rival])
    assert (len(found[0]), len(found[1])) == (own, shared)


def test_an_empty_account_is_named_as_the_cause_and_read_once_for_all_its_bots(monitor: Monitor, cast: Cast):
    monitor.sandbox.add_key(
        "kucoin", ACME_KEY["api_key"], ACME_KEY["secret"], passphrase=ACME_KEY["passphrase"], balances={"USDT": "0", "BTC": "0"}
    )  # fmt: skip
    monitor.traded(300)
    bots = [monitor.running_bot(name=f"maker {n}", pair=pair) for n, pair in enumerate(("BTC/USDT", "ETH/USDT"))]
    monitor.sandbox.control("DELETE", "/calls")
    monitor.check(*bots)
    health = health_of(bots[0])
    assert (health.status, health.cause, health.shortage) == ("stopped", "balance", "USDT")
    assert "out of USDT" in health.message
    assert len([call for call in monitor.sandbox.calls() if call["path"].endswith("/accounts")]) == 1


def test_open_orders_are_asked_for_only_where_trades_show_no_life(monitor: Monitor):
    monitor.traded(5)
    monitor.traded(300, pair="ETH/USDT")
    alive, quiet = monitor.running_bot(), monitor.running_bot(pair="ETH/USDT")
    monitor.sandbox.control("DELETE", "/calls")
    monitor.check(alive, quiet)
    asked = [call for call in monitor.sandbox.calls() if call["path"].endswith("/orders")]
    assert len(asked) >= 1
    outcomes = {bot: {row["probe"]: row["outcome"] for row in health_of(bot).evidence} for bot in (alive, quiet)}
    assert (outcomes[alive]["orders"], outcomes[quiet]["orders"]) == ("not_asked", "read")


def test_two_bots_on_one_account_and_pair_are_told_apart_by_their_own_records(floor: Floor):
    one, other = floor.deploy("one", "BTC/USDT"), floor.deploy("other", "BTC/USDT")
    histories = floor.hummingbot()

    def both_healthy() -> bool:
        floor.look(one, other)
        Monitor(floor.sandbox, floor.gateways).check(one, other, histories=histories)
        return [health_of(bot).status for bot in (one, other)] == ["healthy", "healthy"]

    floor.sandbox.wait_until(both_healthy, timeout_s=40)
    floor.sandbox.fault(f"bot:{floor.instance(one)}", "dead")

    def one_is_dead() -> bool:
        both_healthy()
        return [health_of(bot).status for bot in (one, other)] == ["stopped", "healthy"]

    floor.sandbox.wait_until(one_is_dead, timeout_s=40)
    assert health_of(other).last_trade_at > timezone.now() - timedelta(seconds=30)
