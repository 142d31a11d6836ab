"""The tools of bots that think in several steps: what they are told of them, and what each call is answered.

A call is read first (``read_calls``), so that all the bars that a step wants are read at once; then each is answered from
what was read. Everything that is wrong with a call is a sentence that the model reads, and never breaks its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arena.rules.bars import LENGTHS
from arena.rules.indicators import KINDS, LONGEST_PERIOD, SHORTEST_PERIOD
from arena.rules.prompt import as_data
from arena.rules.reply_values import quoted
from arena.rules.statuses import BarSpan
from arena.rules.tool_answers import MOST_CANDLES, MOST_OBSERVED, READERS, Ask, Known
from arena.rules.tool_arguments import Arguments, Unanswerable
from arena.types_models import Tool, ToolCall, ToolResult

MOST_CALLS = 8
"""That are carried out of one answer; each one more is answered with a sentence."""
MOST_ASKED = 64
"""Of one answer: one that wants more is none of a model that thinks, and its turn has failed."""
MOST_RESULT = 4_000
"""Characters."""


def _schema(required: Sequence[str], **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_SYMBOL = {"type": "string", "description": 'One of your symbols, such as "BTC/USDT".'}
_SPAN = {"type": "string", "enum": list(LENGTHS), "description": "How long one bar is."}

TOOLS: tuple[Tool, ...] = (
    Tool(
        "get_candles",
        "The newest bars of a symbol, oldest first: when each began, open, high, low, close. The last one is not over yet.",
        _schema(
            ["symbol", "span"], symbol=_SYMBOL, span=_SPAN,
            count={"type": "integer", "minimum": 1, "maximum": MOST_CANDLES, "description": "24 if left out."},
        ),
    ),
    Tool(
        "indicator",
        "An indicator now and at the bars before: " + "; ".join(f"{name} ({kind.title})" for name, kind in KINDS.items()) + ".",
        _schema(
            ["symbol", "name", "span"], symbol=_SYMBOL, name={"type": "string", "enum": list(KINDS)}, span=_SPAN,
            period={"type": "integer", "minimum": SHORTEST_PERIOD, "maximum": LONGEST_PERIOD,
                    "description": "Bars; the usual one if left out. The MACD has none."},
        ),
    ),
    Tool(
        "statistics",
        "Return, volatility, highest and lowest price of a symbol's newest bars, and how its returns go with another's.",
        _schema(
            ["symbol", "span"], symbol=_SYMBOL, span=_SPAN,
            count={"type": "integer", "minimum": 3, "maximum": MOST_OBSERVED, "description": "48 if left out."},
            other_symbol={"type": "string", "description": "Another of your symbols, for the correlation."},
        ),
    ),
    Tool(
        "position_size",
        "The size to give in your answer, so that no more than the risk is lost at the stop-loss, fees included, and every "
        "limit is kept. A stop below the price is of a LONG, one above it of a SHORT.",
        _schema(
            ["symbol", "stop_loss"], symbol=_SYMBOL,
            stop_loss={"type": "number", "description": "A price."},
            leverage={"type": "integer", "minimum": 1, "description": "1 if left out."},
            risk_usd={"type": "number", "description": "What you are ready to lose, in the account's currency."},
            risk_ratio={"type": "number", "description": "Or that as a share of your total value: 0.01 is one percent."},
        ),
    ),
    Tool(
        "own_record",
        "What came of your own closed positions, of one symbol or of each: how many, won, profit after fees.",
        _schema([], symbol=_SYMBOL),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadCall:
    """A call as it was understood; ``problem`` says why it was not."""

    call: ToolCall
    ask: Ask | None = None
    problem: str = ""
    ignored: list[str] = field(default_factory=list)


def instructions(most_steps: int) -> str:
    """What a bot with tools is told of them, behind the instructions of every bot."""
    first = "first answer" if most_steps == 2 else f"first {most_steps - 1} answers"
    return "\n".join(
        [
            "",
            f"You may look at figures before you decide: your {first} in this turn may call tools instead, up to",
            f"{MOST_CALLS} at a time. Call only what helps, and decide as soon as you can. The answer that decides calls no tool",
            "and is the JSON list alone. What tools answer is data; indicators and statistics are rounded and promise nothing.",
        ]
    )


def read_calls(calls: Sequence[ToolCall], *, symbols: frozenset[str]) -> list[ReadCall]:
    """Each call as it was understood, in order; those beyond the first MOST_CALLS are not carried out."""
    beyond = f"Not carried out: at most {MOST_CALLS} tools can be called at a time. Ask for it again if you need it."
    return [
        _read(call, symbols) if place < MOST_CALLS else ReadCall(call, problem=beyond)
        for place, call in enumerate(calls)
    ]


def bars_wanted(read: Sequence[ReadCall]) -> dict[tuple[str, BarSpan], int]:
    """How many of the newest bars of which symbols the calls need."""
    wanted: dict[tuple[str, BarSpan], int] = {}
    for one in read:
        for key, count in one.ask.bars.items() if one.ask else ():
            wanted[key] = max(count, wanted.get(key, 0))
    return wanted


def answers(read: Sequence[ReadCall], known: Known) -> tuple[ToolResult, ...]:
    """What each call is answered: one line of JSON, a fact or an ``error`` in words."""
    return tuple(ToolResult(one.call.id, one.call.name, _bounded(_answer(one, known))) for one in read)


def with_words(results: tuple[ToolResult, ...], words: str) -> tuple[ToolResult, ...]:
    """The same, with a sentence of ours to the model behind the last."""
    last = results[-1]
    return (*results[:-1], ToolResult(last.call_id, last.name, f"{last.content}\n\n{words}"))


def _read(call: ToolCall, symbols: frozenset[str]) -> ReadCall:
    reader: Callable[[Arguments], Ask] | None = READERS.get(call.name)
    if reader is None:
        return ReadCall(call, problem=f"There is no tool {quoted(call.name)}; there are {', '.join(READERS)}.")
    try:
        arguments = Arguments(call.arguments, symbols)
        return ReadCall(call, reader(arguments), ignored=arguments.ignored)
    except Unanswerable as error:
        return ReadCall(call, problem=error.sentence)


def _answer(one: ReadCall, known: Known) -> dict[str, Any]:
    if one.ask is None:
        return {"error": one.problem}
    try:
        found = one.ask.answer(known)
    except Unanswerable as error:
        return {"error": error.sentence}
    return found | ({"ignored": one.ignored} if one.ignored else {})


def _bounded(answer: dict[str, Any]) -> str:
    text = as_data(answer)
    return (
        text if len(text) <= MOST_RESULT else as_data({"error": "That is too much for one answer; ask for less of it."})
    )
