"""An analyst: where it is offered the arena's tools it looks at figures first, asks how much it may risk, and then decides by
what it was told. A model named ``sandbox-analyst`` is one."""

from __future__ import annotations

import random
from typing import Any

import orjson

from sandbox.model.trader import Quote, chance_of, held_in, quotes_in
from sandbox.model.words import Asked, Said, ToolCall

TOOLS = {"indicator", "statistics", "position_size"}
STOP_RATIO = 0.02
RISK_RATIO = 0.01
LEVERAGE = 3


def can_look(asked: Asked) -> bool:
    """Whether it is offered its tools, or has used them."""
    return {tool.name for tool in asked.tools} >= TOOLS or bool(asked.tool_rounds)


def decide(asked: Asked, *, seed: int) -> Said:
    """Figures of two markets, then a size for the one that moved more, then the decision."""
    rng = chance_of(asked, seed=seed)
    read = asked.said_by("system", "user")
    quotes, held, found = quotes_in(read), held_in(read), results_in(asked)
    chosen = sorted(quotes, key=lambda one: (-abs(one.change), one.symbol))[:2]
    if asked.tools and asked.tool_rounds == 0 and chosen:
        calls = [_look(quote.symbol) for quote in chosen]
        return Said("I look at the indicators first.", [*calls, _statistics(chosen)])
    free = [one for one in chosen if one.symbol not in held]
    if asked.tools and asked.tool_rounds == 1 and free:
        return Said("Now how much I may risk.", [_size(free[0], is_long=_is_long(free[0], found, rng))])
    return Said(orjson.dumps([_decision(found, held, rng)], option=orjson.OPT_INDENT_2).decode())


def results_in(asked: Asked) -> list[dict[str, Any]]:
    """What tools answered so far, read as JSON as far as it can be."""
    found = []
    for role, text in asked.turns:
        value = _read(text) if role == "tool" else None
        if isinstance(value, dict) and isinstance(value.get("return_value"), str):  # as one of the libraries wraps it
            value = _read(value["return_value"])
        if isinstance(value, dict):
            found.append(value)
    return found


def _read(text: str) -> Any:
    try:
        return orjson.loads(text.partition("\n")[0])
    except orjson.JSONDecodeError:
        return None


def _look(symbol: str) -> ToolCall:
    return ToolCall("indicator", {"symbol": symbol, "name": "rsi", "span": "5m", "period": 14})


def _statistics(chosen: list[Quote]) -> ToolCall:
    other = {"other_symbol": chosen[1].symbol} if len(chosen) > 1 else {}
    return ToolCall("statistics", {"symbol": chosen[0].symbol, "span": "5m", "count": 24, **other})


def _size(quote: Quote, *, is_long: bool) -> ToolCall:
    stop = float(quote.price) * (1 - STOP_RATIO if is_long else 1 + STOP_RATIO)
    wish = {"symbol": quote.symbol, "stop_loss": float(f"{stop:.5g}"), "risk_ratio": RISK_RATIO, "leverage": LEVERAGE}
    return ToolCall("position_size", wish)


def _is_long(quote: Quote, found: list[dict[str, Any]], rng: random.Random) -> bool:
    """Against what is overbought or oversold; without an indicator, with the day."""
    told = next((one for one in found if one.get("indicator") == "rsi" and one.get("symbol") == quote.symbol), None)
    if told is None:
        return quote.change >= 0
    rsi = float(told["now"]["rsi"])
    return rng.random() < 0.5 if 45 <= rsi <= 55 else rsi < 50


def _decision(found: list[dict[str, Any]], held: dict[str, str], rng: random.Random) -> dict[str, Any]:
    sized = next((one for one in found if "size" in one), None)
    if sized is not None and float(sized["size"]) > 0:
        sign = 1 if sized["action"] == "LONG" else -1
        price = float(sized["entry price"])
        return {
            "action": sized["action"],
            "symbol": sized["symbol"],
            "size": float(sized["size"]),
            "leverage": LEVERAGE,
            "stopLoss": float(f"{price * (1 - sign * STOP_RATIO):.5g}"),
            "takeProfit": float(f"{price * (1 + sign * 2 * STOP_RATIO):.5g}"),
            "confidence": round(rng.uniform(0.55, 0.85), 2),
            "reasoning": f"The size risks {RISK_RATIO:.0%} of what I have at a stop {STOP_RATIO:.0%} away.",
        }
    if held and rng.random() < 0.4:
        symbol = rng.choice(sorted(held))
        return {
            "action": "CLOSE",
            "symbol": symbol,
            "reasoning": f"The figures of {symbol} say no more; I take what there is.",
        }
    return {"action": "HOLD", "reasoning": "The figures are no reason to do anything now."}
