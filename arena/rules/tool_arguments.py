"""What a model gave a tool, checked: anything else than what fits is answered in words, and the turn goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from arena.rules.bars import LENGTHS
from arena.rules.reply_values import quoted
from arena.rules.statuses import BarSpan
from exchanges.symbols import normalize
from ground.errors import InvalidInput

MOST_CHARACTERS = 2_000
_MOST_NAMED = 20
_MOST_FIGURE = Decimal("1e12")


class Unanswerable(Exception):
    """A tool cannot answer; the sentence tells the model why, and what would help."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Arguments:
    """The arguments of one call. Each reader raises Unanswerable."""

    def __init__(self, written: str, symbols: frozenset[str]) -> None:
        self._symbols = symbols
        self._given = _object(written)
        self._read: set[str] = set()

    @property
    def ignored(self) -> list[str]:
        """Names that no reader asked for."""
        return [quoted(name) for name in list(self._given)[:_MOST_NAMED] if name not in self._read]

    def has(self, name: str) -> bool:
        return self._value(name) is not None

    def symbol(self, name: str = "symbol") -> str:
        """One that the bot follows or holds."""
        value = self._needed(name)
        try:
            symbol = normalize(value)
        except InvalidInput:
            symbol = ""
        if symbol not in self._symbols:
            named = sorted(self._symbols)
            more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            raise Unanswerable(
                f"{quoted(str(value)[:60])} is none of your symbols, which are {', '.join(named[:_MOST_NAMED])}{more}."
            )
        return symbol

    def span(self) -> BarSpan:
        value = self._needed("span")
        if value not in list(LENGTHS):
            raise Unanswerable(f"span is {' or '.join(LENGTHS)}.")
        return BarSpan(value)

    def word(self, name: str, known: Mapping[str, Any]) -> str:
        value = str(self._needed(name)).strip().lower()
        if value not in known:
            raise Unanswerable(f"{name} is one of {', '.join(known)}.")
        return value

    def whole(self, name: str, *, least: int, most: int, default: int) -> int:
        if not self.has(name):
            return default
        value = self.figure(name)
        if value != value.to_integral_value() or not least <= value <= most:
            raise Unanswerable(f"{name} is a whole number from {least} to {most}.")
        return int(value)

    def figure(self, name: str) -> Decimal:
        """A number above 0."""
        value = self._needed(name)
        try:
            figure = Decimal(str(value)[:40])
        except InvalidOperation:
            figure = Decimal("NaN")
        if isinstance(value, bool) or not figure.is_finite() or not 0 < figure < _MOST_FIGURE:
            raise Unanswerable(f"{name} is a number above 0.")
        return figure

    def _needed(self, name: str) -> Any:
        value = self._value(name)
        if value is None:
            raise Unanswerable(f"{name} is missing.")
        return value

    def _value(self, name: str) -> Any:
        self._read.add(name)
        return self._given.get(name)


def _object(written: str) -> dict[str, Any]:
    if len(written) > MOST_CHARACTERS:
        raise Unanswerable(f"The arguments are longer than {MOST_CHARACTERS:,} characters.")
    try:
        given = json.loads(written or "{}", parse_float=Decimal)
    except (ValueError, RecursionError):
        raise Unanswerable("The arguments are no JSON.") from None
    if not isinstance(given, dict):
        raise Unanswerable("The arguments are no JSON object.")
    return given
