"""A seeded trader: reads the prices and positions in a prompt and decides, the same each time for the same prompt."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from sandbox.model.words import Asked, Said, Tool, ToolCall

MOST_ROUNDS = 3
_SYMBOL = re.compile(r"\b([A-Z0-9]{2,12})[/_-]?(USDT|USDC|USD)\b(?::[A-Z]+)?")
_FIGURE = re.compile(r"(?<![\w.])\$?(-?\d[\d,]*(?:\.\d+)?(?:[eE]-?\d+)?)(\s?%)?")
_SIDE = re.compile(r"\b(LONG|SHORT)\b", re.IGNORECASE)
_HEADING = re.compile(r"^\s*(#+\s*\S.*|\*\*[^*]+\*\*:?|[A-Z][^:.!?]{1,60}:|[A-Z][A-Z0-9 ,()/_-]{3,60})\s*$")
_BLOCK = re.compile(r'<data name="(\w+)">\n(.*?)\n</data>', re.DOTALL)
_DECISION_ID = re.compile(r'"id": "([0-9a-f-]{6,36})"')

STYLES = ("plain", "fenced", "chatty", "truncated", "object", "mixed", "analyst")


@dataclass(frozen=True)
class Quote:
    symbol: str
    price: Decimal
    change: float = 0.0


def decide(asked: Asked, *, seed: int, style: str) -> Said:
    """The answer to this prompt; tools first, where there are any, at most in three rounds."""
    rng = chance_of(asked, seed=seed)
    read = asked.said_by("system", "user")
    quotes, held = quotes_in(read), held_in(read)
    if asked.tools and asked.tool_rounds < MOST_ROUNDS and rng.random() < (1.0 if asked.tool_rounds == 0 else 0.35):
        return Said(
            "Let me look at the figures first.", [_call(rng, tool, quotes) for tool in _chosen(rng, asked.tools)]
        )
    if '"claims"' in asked.said_by("system"):
        return Said(_summary(read, rng))
    return Said(_styled(decisions(quotes, held, rng), style, rng))


def chance_of(asked: Asked, *, seed: int) -> random.Random:
    """The same for the same prompt."""
    prompt = "\n".join(f"{role}: {text}" for role, text in asked.turns)
    return random.Random(hashlib.sha256(f"{seed}|{asked.seed}|{asked.model}|{prompt}".encode()).digest())


def quotes_in(text: str) -> list[Quote]:
    """Every symbol with the first figure beside it as its price, from the part about the market if there is one."""
    found: dict[str, Quote] = {}
    for line in _part(text, "market"):
        for match in _SYMBOL.finditer(line):
            figures = _FIGURE.findall(line[match.end() : match.end() + 160])
            prices = [Decimal(figure.replace(",", "")) for figure, percent in figures if not percent]
            changes = [float(figure.replace(",", "")) for figure, percent in figures if percent]
            symbol = f"{match[1]}/{match[2]}"
            if prices and prices[0] > 0:
                found.setdefault(symbol, Quote(symbol, prices[0], changes[0] if changes else 0.0))
    return list(found.values())


def held_in(text: str) -> dict[str, str]:
    """Symbol to LONG or SHORT, from the part about open positions."""
    held = {}
    for line in _part(text, "position", strict=True):
        symbol, side = _SYMBOL.search(line), _SIDE.search(line)
        if symbol and side:
            held[f"{symbol[1]}/{symbol[2]}"] = side[1].upper()
    return held


def decisions(quotes: list[Quote], held: dict[str, str], rng: random.Random) -> list[dict[str, Any]]:
    """One to three decisions about symbols that it saw; HOLD where there is nothing to decide about."""
    made = []
    for quote in rng.sample(quotes, min(len(quotes), rng.randint(1, 3))):
        side = held.get(quote.symbol)
        if side:
            made.append(_close(quote, side) if rng.random() < 0.4 else _hold(quote.symbol))
        elif rng.random() < 0.6:
            made.append(_open(quote, rng))
        else:
            made.append(_hold(quote.symbol))
    return made or [_hold(None)]


def _open(quote: Quote, rng: random.Random) -> dict[str, Any]:
    is_long = rng.random() < (0.7 if quote.change >= 0 else 0.35)
    sign = 1 if is_long else -1
    stop = quote.price * (1 - sign * Decimal(rng.randint(10, 40)) / 1000)
    take = quote.price * (1 + sign * Decimal(rng.randint(15, 60)) / 1000)
    trend = "rising" if quote.change >= 0 else "falling"
    return {
        "action": "LONG" if is_long else "SHORT",
        "symbol": quote.symbol,
        "size": rng.randint(5, 40) * 10,
        "leverage": rng.randint(1, 5),
        "stopLoss": _rounded(stop),
        "takeProfit": _rounded(take),
        "confidence": round(rng.uniform(0.5, 0.9), 2),
        "reasoning": f"{quote.symbol} is {trend} ({quote.change:+.2f}% in 24 h); a small position with a close stop.",
    }


def _close(quote: Quote, side: str) -> dict[str, Any]:
    return {"action": "CLOSE", "symbol": quote.symbol, "reasoning": f"The {side.lower()} position has done its work."}


def _hold(symbol: str | None) -> dict[str, Any]:
    named = {"symbol": symbol} if symbol else {}
    return {"action": "HOLD", **named, "reasoning": "Nothing here is worth the fee now."}


def _rounded(price: Decimal) -> float:
    """Five figures that matter, as a model would write it."""
    return float(f"{price:.5g}")


def _styled(made: list[dict[str, Any]], style: str, rng: random.Random) -> str:
    if style == "mixed":
        style = rng.choice(["plain", "plain", "plain", "fenced", "chatty", "object"])
    body = orjson.dumps(made, option=orjson.OPT_INDENT_2).decode()
    if style == "object":
        return orjson.dumps({"decisions": made}).decode()
    if style == "fenced":
        return f"```json\n{body}\n```"
    if style == "chatty":
        return f"Looking at the market as it is now, I would do this:\n\n{body}\n\nI will look again next turn."
    return body[: max(1, len(body) * 2 // 3)] if style == "truncated" else body


def _summary(text: str, rng: random.Random) -> str:
    """What it remembers: a claim for some of the symbols it decided about, citing the decisions that name them."""
    named: dict[str, list[str]] = {}
    for line in _part(text, "decisions"):
        found = _DECISION_ID.search(line)
        for symbol in dict.fromkeys(f"{one[1]}/{one[2]}" for one in _SYMBOL.finditer(line)) if found else ():
            named.setdefault(symbol, []).append(found[1] if found else "")
    chosen = rng.sample(sorted(named), min(len(named), 4))
    words = ("It kept positions in {} small and their stops close.", "It was patient with {} and closed in time.")
    claims = [{"text": rng.choice(words).format(symbol), "decisions": named[symbol][:3]} for symbol in chosen]
    return orjson.dumps({"claims": claims}).decode()


def _chosen(rng: random.Random, tools: list[Tool]) -> list[Tool]:
    return rng.sample(tools, min(len(tools), rng.randint(1, 2)))


def _call(rng: random.Random, tool: Tool, quotes: list[Quote]) -> ToolCall:
    """Arguments that fit the tool's schema."""
    fields = tool.schema.get("properties", {})
    wanted = tool.schema.get("required", list(fields))
    return ToolCall(tool.name, {name: _value(rng, name, fields.get(name, {}), quotes) for name in wanted})


def _value(rng: random.Random, name: str, schema: dict[str, Any], quotes: list[Quote]) -> Any:
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    kind = schema.get("type", "string")
    kind = next((word for word in kind if word != "null"), "null") if isinstance(kind, list) else kind
    least, most = schema.get("minimum", 5), schema.get("maximum", 50)
    if kind == "integer":
        return rng.randint(int(least), max(int(least), int(most)))
    if kind == "number":
        return round(rng.uniform(float(least), max(float(least), float(most))), 2)
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "array":
        return [_value(rng, name, schema.get("items", {}), quotes)]
    if kind == "object":
        fields = schema.get("properties", {})
        return {one: _value(rng, one, fields.get(one, {}), quotes) for one in schema.get("required", [])}
    return (
        rng.choice(quotes).symbol
        if quotes and "symbol" in name.lower()
        else "BTC/USDT"
        if "symbol" in name.lower()
        else "1h"
    )


def _part(text: str, about: str, *, strict: bool = False) -> list[str]:
    """The lines of the blocks of data, or under the headings, that name it; all lines where none does, unless ``strict``."""
    blocks = [body for name, body in _BLOCK.findall(text) if about in name]
    if blocks:
        return "\n".join(blocks).splitlines()
    lines, inside, found = text.splitlines(), False, []
    for line in lines:
        if _HEADING.match(line) and not _SYMBOL.search(line):
            inside = about in line.lower()
        elif inside:
            found.append(line)
    return found if found or strict else lines
