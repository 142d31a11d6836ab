"""The templates that come with the product. What an operator makes stands in the table beside them and is never touched.

Each names a controller of the recorded Hummingbot contract. ``pmm_simple``'s fields were recorded, ``bollinger_v1``'s
are those of Hummingbot's own class. ``macd_bb_v1`` and ``supertrend_v1`` were no choice: the API's check holds their
configs against the base class, since it takes the first class of their module by name, and refuses their own fields.
Hummingbot is asked before each deploy, so a version with other fields says which one it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping

from bots.rules.words import TemplateKind
from bots.types import Template

_NEVER = 1_000_000
"""A place that no price reaches, so far outside of the band does it lie: the way to switch one side off."""

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
"""The candles that Hummingbot's feeds have in common."""

_POSITIVE = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^(?=.*[1-9])[0-9]{1,20}(\.[0-9]{1,18})?$"},
    ],
    "description": "a positive number",
}
_RATIO = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "string", "pattern": r"^0?\.(?=.*[1-9])[0-9]{1,18}$"},
    ],
    "description": "a ratio between 0 and 1, 0.003 for 0.3 %",
}
_OPTIONAL_RATIO = {"anyOf": [_RATIO, {"type": "null"}], "description": "a ratio between 0 and 1, or null for none"}
_LEVERAGE = {"type": "integer", "minimum": 1, "maximum": 125}
_TIME_LIMIT = {"type": ["integer", "null"], "minimum": 1, "maximum": 31536000}
_INTERVAL = {"enum": list(INTERVALS), "description": f"one of {', '.join(INTERVALS)}"}
_PLACE = {
    "type": "number",
    "minimum": -10,
    "maximum": 10,
    "description": "a place in the band between -10 and 10: 0 is its lower edge, 0.5 its middle, 1 its upper edge",
}

SPREAD = Template(
    name="spread",
    kind=TemplateKind.CONTROLLER,
    controller_type="market_making",
    controller_name="pmm_simple",
    defaults={
        "bid_spread": 0.003,
        "ask_spread": 0.003,
        "order_amount": 100,
        "order_refresh_seconds": 300,
        "leverage": 1,
        "stop_loss": 0.03,
        "take_profit": 0.02,
        "time_limit_seconds": 2700,
    },
    schema={
        "type": "object",
        "properties": {
            "bid_spread": _RATIO,
            "ask_spread": _RATIO,
            "order_amount": _POSITIVE,
            "order_refresh_seconds": {"type": "integer", "minimum": 1, "maximum": 86400},
            "leverage": _LEVERAGE,
            "stop_loss": _OPTIONAL_RATIO,
            "take_profit": _OPTIONAL_RATIO,
            "time_limit_seconds": _TIME_LIMIT,
        },
        "required": ["bid_spread", "ask_spread", "order_amount"],
    },
    mapping={
        "id": "{bot.config_name}",
        "controller_type": "market_making",
        "controller_name": "pmm_simple",
        "connector_name": "{bot.connector}",
        "trading_pair": "{bot.pair}",
        "total_amount_quote": "{order_amount}",
        "buy_spreads": ["{bid_spread}"],
        "sell_spreads": ["{ask_spread}"],
        "executor_refresh_time": "{order_refresh_seconds}",
        "leverage": "{leverage}",
        "stop_loss": "{stop_loss}",
        "take_profit": "{take_profit}",
        "time_limit": "{time_limit_seconds}",
        "manual_kill_switch": False,
    },
)

SCALP = Template(
    name="scalp",
    kind=TemplateKind.CONTROLLER,
    controller_type="market_making",
    controller_name="pmm_simple",
    defaults={
        "interval": "1m",
        "spread": 0.0015,
        "order_amount": 100,
        "cooldown_seconds": 5,
        "leverage": 1,
        "stop_loss": 0.005,
        "take_profit": 0.003,
        "time_limit_seconds": 600,
    },
    schema={
        "type": "object",
        "properties": {
            "interval": _INTERVAL,
            "spread": _RATIO,
            "order_amount": _POSITIVE,
            "cooldown_seconds": {"type": "integer", "minimum": 1, "maximum": 86400},
            "leverage": _LEVERAGE,
            "stop_loss": _OPTIONAL_RATIO,
            "take_profit": _OPTIONAL_RATIO,
            "time_limit_seconds": _TIME_LIMIT,
        },
        "required": ["interval", "spread", "order_amount"],
    },
    mapping={
        "id": "{bot.config_name}",
        "controller_type": "market_making",
        "controller_name": "pmm_simple",
        "connector_name": "{bot.connector}",
        "trading_pair": "{bot.pair}",
        "total_amount_quote": "{order_amount}",
        "buy_spreads": ["{spread}"],
        "sell_spreads": ["{spread}"],
        "executor_refresh_time": "{interval.seconds}",
        "cooldown_time": "{cooldown_seconds}",
        "leverage": "{leverage}",
        "stop_loss": "{stop_loss}",
        "take_profit": "{take_profit}",
        "time_limit": "{time_limit_seconds}",
        "manual_kill_switch": False,
    },
)
"""Quotes close to the price on both sides, fresh at every interval, and takes small profits quickly."""


def _bands(name: str, *, places: Mapping[str, float], long: object, short: object) -> Template:
    """A template that enters by the price's place in its Bollinger band: long below ``long``, short above ``short``."""
    return Template(
        name=name,
        kind=TemplateKind.CONTROLLER,
        controller_type="directional_trading",
        controller_name="bollinger_v1",
        defaults={
            "interval": "1m",
            "order_amount": 100,
            "max_positions_per_side": 2,
            "cooldown_seconds": 300,
            "band_length": 100,
            "band_width": 2.0,
            **places,
            "leverage": 1,
            "stop_loss": 0.03,
            "take_profit": 0.02,
            "time_limit_seconds": 2700,
        },
        schema={
            "type": "object",
            "properties": {
                "interval": _INTERVAL,
                "order_amount": _POSITIVE,
                "max_positions_per_side": {"type": "integer", "minimum": 1, "maximum": 20},
                "cooldown_seconds": {"type": "integer", "minimum": 1, "maximum": 86400},
                "band_length": {"type": "integer", "minimum": 5, "maximum": 500},
                "band_width": {"type": "number", "minimum": 0.5, "maximum": 5},
                **dict.fromkeys(places, _PLACE),
                "leverage": _LEVERAGE,
                "stop_loss": _OPTIONAL_RATIO,
                "take_profit": _OPTIONAL_RATIO,
                "time_limit_seconds": _TIME_LIMIT,
            },
            "required": ["interval", "order_amount", *places],
        },
        mapping={
            "id": "{bot.config_name}",
            "controller_type": "directional_trading",
            "controller_name": "bollinger_v1",
            "connector_name": "{bot.connector}",
            "trading_pair": "{bot.pair}",
            "candles_connector": "{bot.connector}",
            "candles_trading_pair": "{bot.pair}",
            "interval": "{interval}",
            "total_amount_quote": "{order_amount}",
            "max_executors_per_side": "{max_positions_per_side}",
            "cooldown_time": "{cooldown_seconds}",
            "bb_length": "{band_length}",
            "bb_std": "{band_width}",
            "bb_long_threshold": long,
            "bb_short_threshold": short,
            "leverage": "{leverage}",
            "stop_loss": "{stop_loss}",
            "take_profit": "{take_profit}",
            "time_limit": "{time_limit_seconds}",
            # Else Hummingbot would add one of its own, which nobody finds in the bot's config.
            "trailing_stop": None,
            "manual_kill_switch": False,
        },
    )


BULL = _bands("bull", places={"buy_below": 0.3}, long="{buy_below}", short=_NEVER)
"""Long only: buys dips of a rising market."""
BEAR = _bands("bear", places={"sell_above": 0.7}, long=-_NEVER, short="{sell_above}")
"""Short only: sells rallies of a falling market. On a spot market it sells what the account holds and buys it back."""
RANGE = _bands("range", places={"buy_below": 0.0, "sell_above": 1.0}, long="{buy_below}", short="{sell_above}")
"""Both ways: buys below the band and sells above it, for a market that goes sideways."""

SHIPPED: dict[str, Template] = {template.name: template for template in (SPREAD, SCALP, BULL, BEAR, RANGE)}
"""What every start brings up to date. ``order_amount`` is the quote amount that a bot's orders use together."""
