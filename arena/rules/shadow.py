"""Asking a stored turn again: what is told in its place, and whether two answers agree."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from arena.rules.prompt import data_block, render
from arena.rules.steps import step_words
from arena.rules.words import ALL_SYMBOLS, ReplyAction
from arena.types import Decision
from arena.types_models import Step
from arena.types_shadow import OtherRules

TOLD_OF_TOOLS = "\nYou may look at figures before you decide: "
"""Where ``arena.rules.tools.instructions`` begin."""
RULES = {"fee_rate": 1, "slippage_bps": 1000, "stop_loss_ratio": 1, "take_profit_ratio": 100}
"""What a run of kind rules may change, and the most it may be. The ratios are distances from the entry price."""

# Where a briefing begins. Nothing inside of one can look like this: what it holds is JSON without line breaks. A prompt may,
# so the last such place counts.
_BEGINS = re.compile(
    r"(?:\A|\n\n)It is (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\.\n\n(?=Your money:\n<data name=\"portfolio\">\n)"
)
_BLOCK = r"<data name=\"{}\">\n(.*?)\n</data>"


def with_prompt(told: str, prompt: str) -> str | None:
    """What a turn was told, with another prompt in place of its own: its placeholders are filled in with the very texts of
    the stored briefing. None: no briefing is found in it."""
    found = list(_BEGINS.finditer(told))
    if not found:
        return None
    briefing = told[found[-1].start() :].lstrip("\n")
    return f"{render(prompt, _values(briefing, at=found[-1].group(1)))}\n\n{briefing}"


def without_tools(system: str) -> str:
    """The fixed instructions of a turn that thought in several steps, without what they tell of tools: a replay asks once."""
    return system.partition(TOLD_OF_TOOLS)[0]


def looked_up(steps: Sequence[Step]) -> str:
    """What the bot looked up before it decided, behind its briefing: what tools would find now is not what they found then.
    What its model said meanwhile is left out. Empty without steps."""
    found = [[one.name, one.arguments, one.result] for step in steps for one in step_words(step).lookups]
    return (
        f"\n\n{data_block('Looked up in this turn: what, with which figures, and the answer', 'looked_up', found)}"
        if found
        else ""
    )


def agrees(mine: Iterable[Mapping[str, Any]], real: Iterable[Mapping[str, Any]], *, held: Collection[str]) -> bool:
    """Whether two answers come to the same: the same symbols, and for each the same action. Sizes, leverages, stops and
    reasons do not count, and a HOLD is the same as not naming a symbol. ``held`` is what a CLOSE of everything means."""
    return _asks(mine, held) == _asks(real, held)


def _asks(decisions: Iterable[Mapping[str, Any]], held: Collection[str]) -> set[tuple[str, str]]:
    asked: set[tuple[str, str]] = set()
    for one in decisions:
        action, symbol = str(one.get("action", "")), str(one.get("symbol") or "")
        if action == ReplyAction.HOLD:
            continue
        asked |= {(name, action) for name in (held if symbol == ALL_SYMBOLS else [symbol])}
    return asked


def _values(briefing: str, *, at: str) -> dict[str, str]:
    """What each placeholder stood for in that turn, as the briefing itself tells it."""
    money = json.loads(_block(briefing, "portfolio") or "{}")
    return {
        "totalValue": str(money.get("total value", "unknown")),
        "availableBalance": str(money.get("available balance", "unknown")),
        "unrealizedPnl": str(money.get("unrealized profit", "unknown")),
        "openPositions": _block(briefing, "positions") or "none",
        "marketData": _block(briefing, "markets"),
        "currentDate": at,
    }


def _block(briefing: str, name: str) -> str:
    found = re.search(_BLOCK.format(name), briefing, re.DOTALL)
    return found.group(1) if found else ""


def decision_of(told: Mapping[str, Any]) -> Decision:
    """A decision as it was stored, back as the rules take it."""

    def number(key: str) -> Decimal | None:
        return None if told.get(key) is None else Decimal(str(told[key]))

    return Decision(
        action=ReplyAction(told["action"]), symbol=told.get("symbol"), size=number("size"), quantity=number("quantity"),
        leverage=number("leverage"), stop_loss=number("stopLoss"), take_profit=number("takeProfit"),
        confidence=number("confidence"), reasoning=str(told.get("reasoning", "")),
    )  # fmt: skip


def read_rules(given: Mapping[str, Any]) -> OtherRules:
    """The rules of a run as they are stored. Raises ValueError with a sentence."""
    unknown = sorted(set(given) - set(RULES))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: a rule is one of {', '.join(RULES)}.")
    found = {name: _ratio(name, value) for name, value in given.items() if value is not None}
    slippage = found.get("slippage_bps")
    return OtherRules(
        fee_ratio=found.get("fee_rate"), slippage_ratio=None if slippage is None else slippage / 10_000,
        stop_loss_ratio=found.get("stop_loss_ratio"), take_profit_ratio=found.get("take_profit_ratio"),
    )  # fmt: skip


def _ratio(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or not 0 <= number <= RULES[name]:
        raise ValueError(f"{name} is a number from 0 to {RULES[name]}.")
    return number
