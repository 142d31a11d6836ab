"""How what Hummingbot holds is compared with what is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.catalogue import SHIPPED
from bots.rules.drift import (
    MISSING,
    STATUS_GRACE,
    Changed,
    adopted,
    config_differences,
    is_same,
    placeholders_of,
    status_difference,
)
from bots.rules.templates import render
from bots.rules.words import BotStatus, DesiredStatus, RuntimeStatus

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.decimals(-99, 99, places=4) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Decimal("0.003"), Decimal("0.0030"), True),
        (Decimal("0.003"), "0.003", True),
        (0.003, Decimal("0.003"), True),
        (5, Decimal("5.0"), True),
        (True, 1, False),
        (False, 0, False),
        (None, "", False),
        (None, MISSING, False),
        ("spot", "SPOT", False),
        ([Decimal("0.1")], ["0.10"], True),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": Decimal("1.0")}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
    ],
)
def test_values_are_the_same_where_a_controller_reads_the_same(one: Any, other: Any, same: bool) -> None:
    assert is_same(one, other) is same
    assert is_same(other, one) is same


def test_each_difference_says_where_it_was_changed_since_the_deployment() -> None:
    found = config_differences(
        ours={"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
        deployed={"a": 0, "b": 2, "c": 0, "d": 4},
        theirs={"a": 0, "b": 9, "c": 9, "d": 4, "x": 7, "_config_name": "tb"},
    )
    assert [(d.field, d.ours, d.theirs, d.changed) for d in found] == [
        ("config.a", 1, 0, Changed.HERE),
        ("config.b", 2, 9, Changed.THERE),
        ("config.c", 3, 9, Changed.BOTH),
        ("config.e", 5, MISSING, Changed.HERE),
        ("config.x", MISSING, 7, Changed.THERE),
    ]


@given(st.dictionaries(st.text(max_size=4), values, max_size=5))
def test_nothing_differs_from_itself(config: dict[str, Any]) -> None:
    assert config_differences(ours=config, deployed=config, theirs=config) == []
    assert config_differences(ours=config, deployed=None, theirs=dict(config)) == []


@given(st.decimals("0.0001", "0.9", places=4), st.decimals(1, 10_000, places=2))
def test_what_is_adopted_renders_to_what_was_there(spread: Decimal, amount: Decimal) -> None:
    template = SHIPPED["spread"]
    theirs = {"buy_spreads": [spread], "total_amount_quote": amount}
    config: dict[str, Any] = {"bid_spread": Decimal("0.5"), "order_amount": 1}
    for key, value in theirs.items():
        found = adopted(mapping=template.mapping, key=key, theirs=value)
        assert found is not None
        assert found.keys() == placeholders_of(template.mapping, key)
        config |= found
    rendered = render(template, config, connector="kucoin", symbol="BTC/USDT", config_name="tb")
    assert all(is_same(rendered[key], value) for key, value in theirs.items())


@pytest.mark.parametrize(
    ("key", "theirs"),
    [
        ("trading_pair", "ETH-USDT"),
        ("controller_name", "pmm_dynamic"),
        ("manual_kill_switch", True),
        ("buy_spreads", [Decimal("0.1"), Decimal("0.2")]),
        ("cooldown_time", 15),
    ],
)
def test_what_no_config_of_the_bot_can_say_is_not_adopted(key: str, theirs: Any) -> None:
    assert adopted(mapping=SHIPPED["spread"].mapping, key=key, theirs=theirs) is None


@pytest.mark.parametrize(
    ("desired", "status", "runtime", "theirs"),
    [
        (DesiredStatus.RUNNING, BotStatus.ERROR, RuntimeStatus.EXITED, "exited"),
        (DesiredStatus.RUNNING, BotStatus.ERROR, None, "not deployed"),
        (DesiredStatus.RUNNING, BotStatus.RUNNING, RuntimeStatus.RUNNING, None),
        (DesiredStatus.RUNNING, BotStatus.UNKNOWN, RuntimeStatus.UNKNOWN, None),
        (DesiredStatus.RUNNING, BotStatus.STARTING, RuntimeStatus.STARTING, None),
        (DesiredStatus.STOPPED, BotStatus.STOPPING, RuntimeStatus.RUNNING, "running"),
        (DesiredStatus.STOPPED, BotStatus.STOPPING, None, None),
        (DesiredStatus.STOPPED, BotStatus.STOPPED, RuntimeStatus.EXITED, None),
    ],
)
def test_a_status_differs_only_where_it_is_known_to(
    desired: DesiredStatus, status: BotStatus, runtime: RuntimeStatus | None, theirs: str | None
) -> None:
    found = status_difference(desired=desired, status=status, runtime=runtime, since=LONG_AGO, now=NOW)
    assert (found.theirs if found else None) == theirs
    fresh = NOW - STATUS_GRACE + timedelta(seconds=1)
    assert status_difference(desired=desired, status=status, runtime=runtime, since=fresh, now=NOW) is None
