"""JSON as language models write it: fenced, among words, with single quotes, comments, trailing commas, or cut off.

What is tolerated can be read in one way only. Where an object cannot, it is marked as broken and what follows is still
read; nothing is put in the place of what is missing. One pass, a fixed depth, and no work done twice: time and memory
grow with the length of the text, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MAX_DEPTH = 24
_MOST_TRIES_AFTER_A_CUT = 3


class State(Enum):
    """How the reading of a value ended."""

    WHOLE = "whole"
    CUT = "cut"  # the text ended before the value did
    BROKEN = "broken"  # something stands where nothing like it can


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Word(str):
    """A text without quotes around it, such as LONG, NaN or a key."""

    __slots__ = ()


@dataclass(slots=True)
class LooseObject:
    """An object's pairs in order, a key as often as it was written."""

    pairs: list[tuple[str, Any]] = field(default_factory=list)
    state: State = State.WHOLE


@dataclass(slots=True)
class LooseArray:
    """A list's values. ``broken`` counts those that could not be read and were passed over."""

    items: list[Any] = field(default_factory=list)
    state: State = State.WHOLE
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """An object or list that stands for itself in a text."""

    value: LooseObject | LooseArray
    start: int
    end: int


_SPACE = re.compile(r"(?:[\s\ufeff\u200b\x00]++|//[^\n]*+|#[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))*+")
_OPENING = re.compile(r"[\[{]")
_PLAIN_STRING = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_WORD = re.compile(r"[^\s,:;{}\[\]\"'“”‘’„][^\s,:;{}\[\]\"“”„]*+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_AFTER_KEY = re.compile(r"[\s\x00]*+(?::|\Z)")
_AFTER_VALUE = re.compile(r"[ \t\x00]*+(?:[,}\]\r\n]|//|/\*|#|\Z)")
_NEXT_IN_LIST = re.compile(r"\}\s*+,?+\s*+(?=[\[{\]])")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": " "}
_CLOSING = {'"': '"', "'": "'", "“": '”"“', "„": '”“"', "‘": "’'"}
_QUOTES = {opening: re.compile(rf"\\.|[{closing}]", re.DOTALL) for opening, closing in _CLOSING.items()}
_CONSTANTS: dict[str, Any] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


def values_in(text: str) -> Iterator[Found]:
    """Every object and list of ``text`` that does not stand inside another, in order."""
    reader, at, tries = _Reader(text), 0, 0
    while opening := _OPENING.search(text, at):
        start = opening.start()
        reader.at = start
        value = reader.value(0)
        yield Found(value, start, reader.at)
        at = max(reader.at, start + 1)
        if value.state is State.CUT and tries < _MOST_TRIES_AFTER_A_CUT:
            tries += (
                1  # perhaps a bracket or a quote that was never meant as one: what follows it may still be an answer
            )
            at = start + 1


def unquoted(text: str) -> str | None:
    """What a text that is one quoted string says; None: it is something else."""
    whole = _PLAIN_STRING.fullmatch(text.strip())
    return _unescaped(whole.group(1)) if whole else None


class _Reader:
    """Reads at ``at``, and leaves it behind what was read or where nothing could be."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.state = State.WHOLE  # of what was read last
        self._nothing_after = len(text) + 1  # from here on no next item of a list is to be found

    def value(self, depth: int) -> Any:
        opening = self.text[self.at]
        if opening == "{":
            return self._object(depth)
        if opening == "[":
            return self._array(depth)
        if opening in _CLOSING:
            return self._string(_AFTER_VALUE, is_key=False)
        return self._bare()

    def _object(self, depth: int) -> LooseObject:
        found = LooseObject()
        self.at += 1
        while self._moves_on(",;"):
            if self.text[self.at] == "}":
                self.at += 1
                return found
            key = self._key()
            if key is None or not self._value_follows(depth):
                break
            value = self.value(depth + 1)
            if self.state is State.WHOLE or isinstance(value, LooseObject | LooseArray):
                found.pairs.append((key, value))
            if self.state is not State.WHOLE:
                break
        found.state = self.state
        return found

    def _array(self, depth: int) -> LooseArray:
        found = LooseArray()
        self.at += 1
        while self._moves_on(",;"):
            if self.text[self.at] == "]":
                self.at += 1
                return found
            if self._can_begin(depth):
                value = self.value(depth + 1)
                if self.state is State.WHOLE or (
                    self.state is State.CUT and isinstance(value, LooseObject | LooseArray)
                ):
                    found.items.append(value)
            if self.state is State.BROKEN:
                found.broken += 1
                if not self._skips_to_next():
                    break
            elif self.state is State.CUT:
                break
        found.state = self.state
        return found

    def _moves_on(self, separators: str) -> bool:
        """Goes to the next thing that is no space, comment or separator; False at the text's end."""
        self.state = State.WHOLE
        while True:
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # it also matches nothing
            if self.at >= len(self.text):
                self.state = State.CUT
                return False
            if self.text[self.at] not in separators:
                return True
            self.at += 1

    def _key(self) -> str | None:
        if self.text[self.at] in _CLOSING:
            key: str | None = self._string(_AFTER_KEY, is_key=True)
        else:
            word = _WORD.match(self.text, self.at)
            key, self.at = (word.group(), word.end()) if word else (None, self.at)
            self.state = State.WHOLE if word else State.BROKEN
        return key if self.state is State.WHOLE else None

    def _value_follows(self, depth: int) -> bool:
        if not self._moves_on(""):
            return False
        if self.text[self.at] != ":":
            self.state = State.BROKEN
            return False
        self.at += 1
        return self._moves_on("") and self._can_begin(depth)

    def _can_begin(self, depth: int) -> bool:
        character = self.text[self.at]
        if (character in "[{" and depth + 1 >= MAX_DEPTH) or character in ":}],;”’":
            self.state = State.BROKEN
            return False
        return True

    def _skips_to_next(self) -> bool:
        """After an item that is broken: goes behind its end, if it can be told by what follows it."""
        following = _NEXT_IN_LIST.search(self.text, self.at) if self.at < self._nothing_after else None
        if following is None:
            self._nothing_after = min(self._nothing_after, self.at)
            return False
        self.at = following.end()
        return True

    def _string(self, follows: re.Pattern[str], *, is_key: bool) -> str:
        """A quote ends a text where what may come after it comes after it. Another belongs to the text, unless what
        comes after it is a colon: then a comma is missing somewhere, and a value would be lost in the text."""
        opening = self.text[self.at]
        plain = _PLAIN_STRING.match(self.text, self.at) if opening == '"' else None
        if plain and follows.match(self.text, plain.end()):
            self.at, self.state = plain.end(), State.WHOLE
            return _unescaped(plain.group(1))
        start = self.at + 1
        for quote in _QUOTES[opening].finditer(self.text, start):
            if quote.group()[0] == "\\":
                continue
            if follows.match(self.text, quote.end()):
                self.at, self.state = quote.end(), State.WHOLE
                return _unescaped(self.text[start : quote.start()])
            if is_key or _AFTER_KEY.match(self.text, quote.end()):
                self.at, self.state = quote.end(), State.BROKEN
                return ""
        self.at, self.state = len(self.text), State.CUT
        return ""

    def _bare(self) -> Any:
        word = _WORD.match(self.text, self.at)
        if word is None:
            self.state = State.BROKEN
            return None
        self.at = word.end()
        text = word.group()
        if self.at == len(self.text):
            self.state = State.CUT  # more of it may have followed
            return None
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        return Number(text) if _NUMBER.fullmatch(text) else Word(text)


def _unescaped(text: str) -> str:
    if "\\" in text:
        text = _ESCAPE.sub(_escaped, text)
    return text


def _escaped(escape: re.Match[str]) -> str:
    code = escape.group(1)
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)
