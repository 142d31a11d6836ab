"""From a strategy and a config to what Hummingbot is given, and the names it goes by there."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.catalogue import BEAR, BULL, INTERVALS, RANGE, SCALP, SHIPPED, SPREAD
from bots.rules.names import (
    account_name,
    instances_of,
    requested_by_us,
    requested_name,
)
from bots.rules.templates import render, validate_config, validate_template
from bots.rules.words import TemplateKind
from bots.types import Template
from ground.errors import InvalidInput

BOT = UUID("0f000000-0000-0000-0000-00000000abcd")
DOCUMENTED = {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}


@pytest.mark.parametrize(
    "config", [{}, DOCUMENTED, {"bid_spread": Decimal("0.001")}, {"order_amount": "12.5"}, {"stop_loss": None}]
)
def test_spread_accepts(config: dict[str, Any]) -> None:
    validate_config(SPREAD, config)


REFUSED = {
    "wrong type": ({"bid_spread": "wide"}, "config.bid_spread"),
    "a list": ({"bid_spread": [0.1]}, "config.bid_spread"),
    "a boolean": ({"order_amount": True}, "config.order_amount"),
    "zero": ({"order_amount": 0}, "config.order_amount"),
    "negative": ({"ask_spread": -0.1}, "config.ask_spread"),
    "a percentage instead of a ratio": ({"ask_spread": 30}, "config.ask_spread"),
    "null": ({"order_amount": None}, "config.order_amount"),
    "a fraction of a leverage": ({"leverage": 1.5}, "config.leverage"),
    "NUL": ({"note": "a\x00b"}, "config.note"),
    "NUL in a key": ({"a\x00b": 1}, "config"),
    "half a surrogate": ({"note": {"deep": "\ud800"}}, "config.note.deep"),
    "NaN": ({"mine": math.nan}, "config.mine"),
    "a number no column holds": ({"mine": Decimal("1e999999")}, "config.mine"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_spread_refuses_and_names_the_field(case: str) -> None:
    config, field = REFUSED[case]
    with pytest.raises(InvalidInput) as caught:
        validate_config(SPREAD, config)
    assert list(caught.value.fields or {}) == [field]
    assert "\x00" not in caught.value.message


@pytest.mark.parametrize("config", [[], "x", None, 3])
def test_config_must_be_an_object(config: object) -> None:
    with pytest.raises(InvalidInput):
        validate_config(None, config)


@pytest.mark.parametrize("key", ["api_key", "apiSecret", "secret", "passphrase", "private-key", "PASSWORD"])
def test_credential_in_a_config_is_refused_and_not_repeated(key: str) -> None:
    for config in ({key: "hush-hush"}, {"exchange": {"keys": [{key: "hush-hush"}]}}):
        with pytest.raises(InvalidInput) as refused:
            validate_config(None, config)
        assert key in refused.value.message and "hush" not in f"{refused.value.message} {refused.value.fields}"
    validate_config(None, {"token": "ETH", "secret_sauce": 1, "keys": 2})


def test_label_without_template_takes_any_object() -> None:
    validate_config(None, {"anything": ["goes", {"deep": 1}]})


def test_spread_becomes_a_pmm_simple_config() -> None:
    rendered = render(
        SPREAD, {**DOCUMENTED, "note": "opaque"}, connector="bitmart", symbol="SHARP/USDT", config_name="tb-1"
    )
    assert rendered == {
        "id": "tb-1",
        "controller_type": "market_making",
        "controller_name": "pmm_simple",
        "connector_name": "bitmart",
        "trading_pair": "SHARP-USDT",
        "total_amount_quote": 1600,
        "buy_spreads": [0.003],
        "sell_spreads": [0.003],
        "executor_refresh_time": 300,
        "leverage": 1,
        "stop_loss": 0.03,
        "take_profit": 0.02,
        "time_limit": 2700,
        "manual_kill_switch": False,
    }


PMM_SIMPLE = [template for template in SHIPPED.values() if template.controller_name == "pmm_simple"]
BANDS = [template for template in SHIPPED.values() if template.controller_name == "bollinger_v1"]


@pytest.mark.parametrize("template", PMM_SIMPLE, ids=lambda template: template.name)
def test_shipped_mappings_use_only_fields_of_the_recorded_controller(template: Template, shared: Path) -> None:
    recorded = json.loads((shared / "contracts/hummingbot-api/examples/controllers.config.template.json").read_text())[
        "body"
    ]
    required = {name for name, field in recorded.items() if field["default"] == "PydanticUndefined"}
    assert required <= set(template.mapping) <= set(recorded)


def test_shipped_templates_name_controllers_of_the_recorded_contract(shared: Path) -> None:
    recorded = json.loads((shared / "contracts/hummingbot-api/examples/controllers.list.json").read_text())["body"]
    for template in SHIPPED.values():
        assert template.controller_name in recorded[template.controller_type]
        assert template.mapping["controller_type"] == template.controller_type
        assert template.mapping["controller_name"] == template.controller_name


@pytest.mark.parametrize("template", SHIPPED.values(), ids=list(SHIPPED))
def test_shipped_templates_hold_what_they_promise(template: Template) -> None:
    validate_template(template)
    validate_config(template, {})
    assert set(template.defaults) == set(template.schema["properties"])
    json.dumps([dict(template.defaults), dict(template.schema), dict(template.mapping)])


def test_old_modes_ship() -> None:
    assert {"scalp", "bull", "bear", "range"} < set(SHIPPED)


def rendered(template: Template, **config: Any) -> dict[str, Any]:
    return render(template, config, connector="binance", symbol="BTC/USDT", config_name="tb-1")


def test_scalp_quotes_anew_at_every_interval() -> None:
    made = rendered(SCALP, interval="5m", spread=0.002)
    assert (made["executor_refresh_time"], made["buy_spreads"], made["sell_spreads"]) == (300, [0.002], [0.002])
    assert all(rendered(SCALP, interval=interval)["executor_refresh_time"] >= 60 for interval in INTERVALS)


@given(place=st.decimals(-10, 10, places=6))
def test_bull_never_sells_short_and_bear_never_buys_long(place: float) -> None:
    bull, bear = rendered(BULL, buy_below=place), rendered(BEAR, sell_above=place)
    assert (bull["bb_long_threshold"], bear["bb_short_threshold"]) == (place, place)
    assert bull["bb_short_threshold"] > 10_000
    assert bear["bb_long_threshold"] < -10_000


def test_range_trades_both_ways_at_the_edges_of_its_band() -> None:
    assert rendered(RANGE, interval="15m") == {
        "id": "tb-1",
        "controller_type": "directional_trading",
        "controller_name": "bollinger_v1",
        "connector_name": "binance",
        "trading_pair": "BTC-USDT",
        "candles_connector": "binance",
        "candles_trading_pair": "BTC-USDT",
        "interval": "15m",
        "total_amount_quote": 100,
        "max_executors_per_side": 2,
        "cooldown_time": 300,
        "bb_length": 100,
        "bb_std": 2.0,
        "bb_long_threshold": 0.0,
        "bb_short_threshold": 1.0,
        "leverage": 1,
        "stop_loss": 0.03,
        "take_profit": 0.02,
        "time_limit": 2700,
        "trailing_stop": None,
        "manual_kill_switch": False,
    }


@pytest.mark.parametrize("template", [SCALP, *BANDS], ids=lambda template: template.name)
@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"interval": "7m"}, "config.interval"),
        ({"interval": 60}, "config.interval"),
        ({"interval": None}, "config.interval"),
        ({"cooldown_seconds": 0}, "config.cooldown_seconds"),
        ({"order_amount": -1}, "config.order_amount"),
        ({"leverage": "lots"}, "config.leverage"),
        ({"stop_loss": 3}, "config.stop_loss"),
        ({"time_limit_seconds": 0}, "config.time_limit_seconds"),
    ],
)
def test_old_modes_refuse_and_name_the_field(template: Template, config: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_config(template, config)
    assert list(caught.value.fields or {}) == [field]


@pytest.mark.parametrize("template", BANDS, ids=lambda template: template.name)
def test_a_place_outside_of_any_band_is_refused(template: Template) -> None:
    place = "buy_below" if "buy_below" in template.defaults else "sell_above"
    with pytest.raises(InvalidInput, match=place):
        validate_config(template, {place: 1_000_000})


def test_seconds_of_an_interval_can_be_mapped_only_where_there_is_an_interval() -> None:
    mapping = {"refresh": "{interval.seconds}"}
    own = Template("own", TemplateKind.CONTROLLER, "generic", "x", {"interval": "90s"}, {"type": "object"}, mapping)
    validate_template(own)
    assert rendered(own) == {"refresh": 90}
    assert rendered(own, interval="2w") == {"refresh": 1_209_600}
    with pytest.raises(InvalidInput) as caught:
        rendered(own, interval="soon")
    assert list(caught.value.fields or {}) == ["config.interval"]
    with pytest.raises(InvalidInput, match="names interval.seconds"):
        validate_template(replace(own, defaults={}))


def test_template_that_names_something_unknown_is_refused() -> None:
    template = Template("t", TemplateKind.CONTROLLER, "generic", "x", {}, {"type": "object"}, {"a": ["{b}"]})
    with pytest.raises(InvalidInput, match="names b"):
        validate_template(template)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("template", SHIPPED.values(), ids=list(SHIPPED))
@given(data=st.data())
def test_config_is_either_refused_with_a_field_or_can_be_rendered(template: Template, data: st.DataObject) -> None:
    names = st.text() | st.sampled_from(list(template.defaults))
    config = data.draw(st.dictionaries(names, json_values, max_size=6))
    try:
        validate_config(template, config)
    except InvalidInput as error:
        assert error.fields
        return
    made = render(template, config, connector="kucoin", symbol="BTC/USDT", config_name="x")
    json.dumps(made, allow_nan=False)


def test_instances_are_found_by_the_name_that_was_asked_for_and_by_no_other() -> None:
    asked = requested_name(BOT, 1)
    mine = [f"{asked}-20261121-093000", f"{asked}-20261121-092900"]
    others = [f"{requested_name(BOT, 11)}-20261121-093000", asked, f"{asked}-x", f"x{mine[0]}", "orphan-from-cli"]
    assert instances_of(asked, mine + others) == sorted(mine)
    assert [requested_by_us(name) for name in (mine[0], "bridge-alpha-20261121-092737")] == [asked, None]


def test_account_of_a_reused_identifier_is_another_one() -> None:
    first, second = account_name("client_sharp", BOT), account_name("client_sharp", UUID(int=7))
    assert first != second
    assert first.replace("-", "").replace("_", "").isalnum()
