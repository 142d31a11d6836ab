"""The controllers that shipped templates name: what their check refuses, and that they trade the way they are meant to."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest

from bots.rules.catalogue import SHIPPED
from bots.rules.templates import render
from sandbox.testing import Sandbox, start

DIRECTIONAL = "/controllers/directional_trading"


def config_of(mode: str, **config: Any) -> dict[str, Any]:
    return render(SHIPPED[mode], config, connector="binance", symbol="BTC/USDT", config_name=f"tb-{mode}")


@pytest.mark.parametrize("mode", SHIPPED)
def test_what_a_shipped_template_renders_is_accepted(sandbox: Sandbox, mode: str) -> None:
    config = config_of(mode)
    path = f"/controllers/{config['controller_type']}/{config['controller_name']}/config/validate"
    answer = sandbox.hummingbot("POST", path, json=config)
    assert (answer.status_code, answer.json()) == (200, {"message": "Configuration is valid"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bb_std": "wide"}, ["bb_std", "valid number"]),
        ({"bb_length": 1.5, "nope": 1}, ["nope", "Extra inputs are not permitted"]),
        ({"stop_loss": 0}, ["stop_loss", "greater than 0"]),
        ({"interval": 60}, ["interval", "valid string"]),
    ],
)
def test_a_refusal_names_the_field(sandbox: Sandbox, change: dict[str, Any], words: list[str]) -> None:
    answer = sandbox.hummingbot("POST", f"{DIRECTIONAL}/bollinger_v1/config/validate", json=config_of("range") | change)
    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert "for BollingerV1ControllerConfig" in detail
    assert all(word in detail for word in words)


def test_a_controller_that_is_held_against_its_base_class_refuses_its_own_fields(sandbox: Sandbox) -> None:
    config = config_of("range") | {"controller_name": "macd_bb_v1"}
    answer = sandbox.hummingbot("POST", f"{DIRECTIONAL}/macd_bb_v1/config/validate", json=config)
    assert answer.status_code == 400
    assert "bb_length\n  Extra inputs are not permitted" in answer.json()["detail"]


def positions(sandbox: Sandbox, mode: str) -> list[Decimal]:
    """What the mode's bot held after each of its trades."""
    sandbox.add_key("binance", "key", "secret")
    sandbox.add_account("desk", binance={"binance_api_key": "key", "binance_api_secret": "secret"})
    config = config_of(mode) | {"_config_name": f"tb-{mode}"}
    sandbox.add_container(mode, account="desk", configs=[config])
    for _ in range(60):
        sandbox.advance(20)
    trades = sorted(sandbox.tape(bot=mode)["trades"], key=lambda trade: trade["at_ms"])
    signed = [Decimal(trade["quantity"]) * (1 if trade["side"] == "buy" else -1) for trade in trades]
    return list(accumulate(signed))


def test_bull_only_ever_holds_and_bear_only_ever_owes() -> None:
    held = {}
    for mode in ("bull", "bear", "range", "scalp"):
        with start(speed=0.001, mean_interval_s=10) as sandbox:
            held[mode] = positions(sandbox, mode)
    assert all(len(steps) > 20 for steps in held.values())
    assert min(held["bull"]) == 0 < max(held["bull"])
    assert min(held["bear"]) < 0 == max(held["bear"])
    assert min(held["range"]) < 0 or max(held["range"]) > 0
