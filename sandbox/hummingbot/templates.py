"""The fields a controller's config may have. Only pmm_simple was recorded.

Those of directional controllers are read off Hummingbot's classes. Like the original, a controller whose class stands
after its base class in the alphabet answers with the base class's fields, and refuses its own.
"""

from __future__ import annotations

from typing import Any

_UNDEFINED = "PydanticUndefined"
_DECIMAL = "<class 'decimal.Decimal'>"
_OPTIONAL_DECIMAL = "typing.Optional[decimal.Decimal]"
_FLOATS = "typing.List[float]"
_AMOUNTS = "typing.Optional[typing.List[decimal.Decimal]]"
_V2 = "hummingbot.strategy_v2"

_PMM_SIMPLE: dict[str, tuple[Any, str]] = {
    "id": (_UNDEFINED, "<class 'str'>"),
    "controller_name": (_UNDEFINED, "<class 'str'>"),
    "controller_type": ("market_making", "<class 'str'>"),
    "total_amount_quote": ("100", _DECIMAL),
    "manual_kill_switch": (False, "<class 'bool'>"),
    "initial_positions": ([], f"typing.List[{_V2}.models.position_config.InitialPositionConfig]"),
    "connector_name": ("binance_perpetual", "<class 'str'>"),
    "trading_pair": ("WLD-USDT", "<class 'str'>"),
    "buy_spreads": ("0.01,0.02", _FLOATS),
    "sell_spreads": ("0.01,0.02", _FLOATS),
    "buy_amounts_pct": (None, _AMOUNTS),
    "sell_amounts_pct": (None, _AMOUNTS),
    "executor_refresh_time": (300, "<class 'int'>"),
    "cooldown_time": (15, "<class 'int'>"),
    "leverage": (20, "<class 'int'>"),
    "position_mode": ("HEDGE", "<enum 'PositionMode'>"),
    "stop_loss": ("0.03", _OPTIONAL_DECIMAL),
    "take_profit": ("0.02", _OPTIONAL_DECIMAL),
    "time_limit": (2700, "typing.Optional[int]"),
    "take_profit_order_type": ("OrderType.LIMIT", "<enum 'OrderType'>"),
    "trailing_stop": (None, f"typing.Optional[{_V2}.executors.position_executor.data_types.TrailingStop]"),
    "position_rebalance_threshold_pct": ("0.05", _DECIMAL),
    "skip_rebalance": (False, "<class 'bool'>"),
}
_COMMON = ("id", "controller_name", "controller_type", "total_amount_quote", "manual_kill_switch", "initial_positions")
_MARKET = ("connector_name", "trading_pair", "leverage", "position_mode")
_BARRIERS = ("stop_loss", "take_profit", "time_limit", "take_profit_order_type", "trailing_stop")
_DIRECTIONAL = {field: _PMM_SIMPLE[field] for field in (*_COMMON, *_MARKET, *_BARRIERS)} | {
    "max_executors_per_side": (2, "<class 'int'>"),
    "cooldown_time": (300, "<class 'int'>"),
}
_BOLLINGER = _DIRECTIONAL | {
    "controller_name": ("bollinger_v1", "<class 'str'>"),
    "candles_connector": (None, "<class 'str'>"),
    "candles_trading_pair": (None, "<class 'str'>"),
    "interval": ("3m", "<class 'str'>"),
    "bb_length": (100, "<class 'int'>"),
    "bb_std": (2.0, "<class 'float'>"),
    "bb_long_threshold": (0.0, "<class 'float'>"),
    "bb_short_threshold": (1.0, "<class 'float'>"),
}
_ABOVE_ZERO = ("stop_loss", "take_profit", "time_limit")


def fields(kind: str, name: str) -> dict[str, Any]:
    """As the API shows them; ``required`` is always false, a field is required when its default is undefined."""
    known = _PMM_SIMPLE if kind != "directional_trading" else _BOLLINGER if name == "bollinger_v1" else _DIRECTIONAL
    rows = {field: {"default": value, "type": text, "required": False} for field, (value, text) in known.items()}
    rows["controller_type"]["default"] = kind
    return rows


def class_name(kind: str, name: str) -> str:
    """Of the class that a config is held against."""
    if kind != "directional_trading":
        return "MarketMakingControllerConfigBase"
    return "BollingerV1ControllerConfig" if name == "bollinger_v1" else "DirectionalTradingControllerConfigBase"


def problems(config: dict[str, Any], known: dict[str, Any]) -> list[tuple[str, str, str, Any]]:
    """(field, sentence, kind, value) for whatever pydantic would refuse."""
    found: list[tuple[str, str, str, Any]] = []
    for field, row in known.items():
        if field not in config:
            if row["default"] == _UNDEFINED:
                found.append((field, "Field required", "missing", config))
        elif problem := _type_problem(row["type"], config[field]) or _range_problem(field, config[field]):
            found.append((field, *problem, config[field]))
    extra = "Extra inputs are not permitted"
    return found + [(field, extra, "extra_forbidden", config[field]) for field in config if field not in known]


def _type_problem(kind: str, value: Any) -> tuple[str, str] | None:
    if value is None and kind.startswith("typing.Optional"):
        return None
    if "'int'" in kind or kind == "typing.Optional[int]":
        return _number_problem(value, int, "integer", "int_parsing", "int_type")
    if "Decimal" in kind and "List" not in kind:
        return _number_problem(value, float, "decimal", "decimal_parsing", "decimal_type")
    if "'float'" in kind:
        return _number_problem(value, float, "number", "float_parsing", "float_type")
    if "'str'" in kind and not isinstance(value, str):
        return "Input should be a valid string", "string_type"
    if "'bool'" in kind and not isinstance(value, bool):
        return "Input should be a valid boolean", "bool_type"
    return None


def _range_problem(field: str, value: Any) -> tuple[str, str] | None:
    """After its type was found right."""
    if field in _ABOVE_ZERO and value is not None and float(value) <= 0:
        return "Input should be greater than 0", "greater_than"
    return None


def _number_problem(value: Any, reads: type, word: str, parsing: str, typing: str) -> tuple[str, str] | None:
    if isinstance(value, str):
        try:
            reads(value)
        except ValueError:
            return f"Input should be a valid {word}, unable to parse string as an {word}", parsing
        return None
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return None if numeric else (f"Input should be a valid {word}", typing)


def as_pydantic_text(found: list[tuple[str, str, str, Any]], checked_by: str) -> str:
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} for {checked_by}"
    lines = [count]
    for field, sentence, kind, value in found:
        lines.append(field)
        lines.append(f"  {sentence} [type={kind}, input_value={value!r}, input_type={type(value).__name__}]")
        lines.append(f"    For further information visit https://errors.pydantic.dev/2.14/v/{kind}")
    return "\n".join(lines)
