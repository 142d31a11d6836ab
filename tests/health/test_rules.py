"""Whose trades these are, what they tell of a day, and which limits hold."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exchanges.types import Side, Trade
from health.rules.attribution import Rival, attribute
from health.rules.limits import limits_of_bot
from health.rules.words import BADGES, span
from health.types import LearnedLimits, Limits

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def trade(minutes_ago: float, *, order: str | None = None, side: Side = Side.BUY, price: str = "10") -> Trade:
    return Trade(
        exchange_trade_id=f"t{minutes_ago}",
        order_id="1",
        client_order_id=order,
        symbol="BTC/USDT",
        side=side,
        price=Decimal(price),
        quantity=Decimal(2),
        notional=Decimal(price) * 2,
        fee=None,
        fee_currency=None,
        executed_at=NOW - timedelta(minutes=minutes_ago),
    )


def own_and_shared(
    trades: list[Trade], *, prefix: str = "", rivals: tuple[Rival, ...] = ()
) -> tuple[list[str], list[str]]:
    found = attribute(trades, order_prefix=prefix, rivals=rivals, now=NOW)
    return [t.exchange_trade_id for t in found.own], [t.exchange_trade_id for t in found.shared]


@pytest.mark.parametrize(
    ("prefix", "rivals", "own", "shared"),
    [
        ("", (), ["t1", "t2", "t3"], []),
        ("a-", (), ["t1", "t2", "t3"], []),
        ("", (Rival("B"),), [], ["t1", "t2", "t3"]),
        ("a-", (Rival("B"),), ["t1"], ["t3"]),
        ("", (Rival("B", "b-"),), ["t1"], ["t3"]),
        ("a-", (Rival("B", "b-"),), ["t1"], ["t3"]),
        ("", (Rival("B", until=NOW - timedelta(minutes=1.5)),), ["t1"], ["t2", "t3"]),
        ("", (Rival("B", until=NOW - timedelta(hours=9)),), ["t1", "t2", "t3"], []),
    ],
    ids=[
        "alone",
        "alone with a mark",
        "nothing tells",
        "own mark",
        "the rival's mark",
        "both marks",
        "rival stopped between",
        "rival stopped long ago",
    ],
)
def test_gives_trades_to_the_bot_that_surely_made_them(prefix, rivals, own, shared):
    trades = [trade(2, order="b-7"), trade(1, order="a-7"), trade(3)]
    assert own_and_shared(trades, prefix=prefix, rivals=rivals) == (own, shared)


def test_sets_trades_from_the_future_aside():
    found = attribute([trade(-10), trade(-0.5), trade(4)], order_prefix="", rivals=(), now=NOW)
    assert [t.exchange_trade_id for t in found.own] == ["t-0.5", "t4"]
    assert found.future_at == NOW + timedelta(minutes=10)


DEFAULT = Limits(timedelta(minutes=30), timedelta(minutes=120), timedelta(minutes=15))


@pytest.mark.parametrize(
    ("stale", "stopped", "expected"),
    [
        (None, None, (30, 120, "environment")),
        (5, None, (5, 120, "bot")),
        (None, 600, (30, 600, "bot")),
        (300, None, (300, 300, "bot")),
        (None, 10, (10, 10, "bot")),
        ("0.5", "1.5", (0.5, 1.5, "bot")),
    ],
)
def test_keeps_a_bots_limits_in_order(stale, stopped, expected):
    given = [None if value is None else Decimal(value) for value in (stale, stopped)]
    found = limits_of_bot(DEFAULT, stale_minutes=given[0], stopped_minutes=given[1])
    assert (found.stale.total_seconds() / 60, found.stopped.total_seconds() / 60, found.source) == expected


LEARNED = LearnedLimits(timedelta(minutes=200), timedelta(minutes=400), "quiet is normal here")


@pytest.mark.parametrize(
    ("stale", "stopped", "expected"),
    [
        (None, None, (200, 400, "learned", "quiet is normal here")),
        (5, None, (5, 400, "bot", "")),
        (None, 100, (100, 100, "bot", "")),
        (500, None, (500, 500, "bot", "")),
        (5, 10, (5, 10, "bot", "")),
    ],
)
def test_lets_a_bots_own_limits_win_over_learned_ones_and_these_over_the_common(stale, stopped, expected):
    given = [None if value is None else Decimal(value) for value in (stale, stopped)]
    found = limits_of_bot(DEFAULT, stale_minutes=given[0], stopped_minutes=given[1], learned=LEARNED)
    minutes = found.stale.total_seconds() / 60, found.stopped.total_seconds() / 60
    assert (*minutes, found.source, found.why) == expected
    assert found.heartbeat == DEFAULT.heartbeat


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (7860, "2 h 11 min"),
        (172800, "2 days"),
    ],
)
def test_says_spans_of_time_as_people_do(seconds, words):
    assert span(timedelta(seconds=seconds)) == words


def test_has_one_badge_for_every_verdict():
    assert {str(status): (badge.color, badge.label) for status, badge in BADGES.items()} == {
        "healthy": ("green", "Running"),
        "stale": ("yellow", "Running (stale)"),
        "stopped": ("red", "Stopped"),
        "error": ("orange", "Error"),
        "unknown": ("grey", "Unknown"),
    }


def test_keeps_the_large_libraries_out_of_web_processes():
    code = (
        "import django, sys; django.setup(); import bridge_project.urls, health.tasks, arena.services.test_provider; "
        "sys.exit(bool({'ccxt', 'pydantic_ai', 'openai', 'anthropic', 'httpx2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
