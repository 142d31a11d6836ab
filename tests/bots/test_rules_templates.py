"""From a strategy and a config to what Hummingbot is given, and the names it goes by there."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.names import (
    account_name,
    instances_of,
    requested_by_us,
    requested_name,
)
from bots.rules.templates import SHIPPED, SPREAD, render, validate_config, validate_template
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


def test_shipped_mappings_use_only_fields_of_the_recorded_controller(shared: Path) -> None:
    recorded = json.loads((shared / "contracts/hummingbot-api/examples/controllers.config.template.json").read_text())[
        "body"
    ]
    required = {name for name, field in recorded.items() if field["default"] == "PydanticUndefined"}
    assert required <= set(SPREAD.mapping) <= set(recorded)


@pytest.mark.parametrize("template", SHIPPED.values(), ids=list(SHIPPED))
def test_shipped_templates_hold_what_they_promise(template: Template) -> None:
    validate_template(template)
    validate_config(template, {})
    json.dumps([dict(template.defaults), dict(template.schema), dict(template.mapping)])


def test_template_that_names_something_unknown_is_refused() -> None:
    template = Template("t", TemplateKind.CONTROLLER, "generic", "x", {}, {"type": "object"}, {"a": ["{b}"]})
    with pytest.raises(InvalidInput, match="names b"):
        validate_template(template)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text() | st.sampled_from(list(SPREAD.defaults)), json_values, max_size=6))
def test_config_is_either_refused_with_a_field_or_can_be_rendered(config: dict[str, Any]) -> None:
    try:
        validate_config(SPREAD, config)
    except InvalidInput as error:
        assert error.fields
        return
    rendered = render(SPREAD, config, connector="kucoin", symbol="BTC/USDT", config_name="x")
    json.dumps(rendered, allow_nan=False)


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
