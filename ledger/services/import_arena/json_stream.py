"""A JSON text of any size, walked member by member and element by element in bounded memory.

The text is held as Latin-1, one character per byte: JSON's own marks are ASCII, so the standard library's scanner (in C)
finds each value's end and its parsed form in one go, positions are byte positions, and a stray byte spoils only the item
that holds it. Items with other characters are then parsed once more as UTF-8. A value over the limit is passed over
without ever being held.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ledger.services.import_arena.seam import NotANumber, Number, Unreadable

MAX_ITEM_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
CHUNK_BYTES = 256 * 1024

Read = Callable[[int], bytes]

_scan = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=NotANumber).scan_once  # type: ignore[attr-defined]
_SPACE = re.compile(r"[ \t\r\n]*+")
_OPENS = frozenset('{["')
_ENDS = frozenset(",]} \t\r\n")
_SCALAR = re.compile(r"[^\s,\]}]*+")
_MARK = re.compile(r'["{}\[\]]')
_STRING_REST = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
# Whole escapes only, and both halves of a surrogate pair together, so that a string can be cut where a match ends.
_WHOLE_ESCAPES = re.compile(
    r'[^"\\]*+(?:\\(?:[^u]|u(?![dD][89abAB])[0-9a-fA-F]{4}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[0-9a-fA-F]{4}|(?=[^\\])|(?=\\[^u])))[^"\\]*+)*+',
    re.DOTALL,
)


class Piece(NamedTuple):
    """One value: parsed, and its text; or the ``problem`` for which it cannot be taken."""

    value: Any
    raw: str
    problem: str = ""


class JsonStream:
    """A cursor in a JSON text. ``read(n)`` gives up to n bytes of it, none at its end."""

    def __init__(self, read: Read, *, limit: int = MAX_ITEM_BYTES) -> None:
        self._read, self._limit = read, limit
        self._text, self._at, self._before = "", 0, 0
        if self._fill() and self._text.startswith("\xef\xbb\xbf"):
            self._at = 3

    @property
    def position(self) -> int:
        """How many bytes lie behind the cursor."""
        return self._before + self._at

    def peek(self) -> str:
        """The next character that is not blank. Raises Unreadable at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                raise Unreadable(f"The JSON ends in the middle, after {self.position:,} bytes.")

    def members(self) -> Iterator[str]:
        """The keys of the object at the cursor; the caller consumes each value before it asks for the next key."""
        self._take("{")
        closes = self.peek() == "}"
        while not closes:
            if self.peek() != '"':
                raise self._wrong("a key in double quotes")
            key = self.value()
            self._take(":")
            yield "" if key.problem else key.value
            closes = self._next("}")
        self._take("}")

    def elements(self) -> Iterator[int]:
        """The indices of the array at the cursor; the caller consumes each element before it asks for the next."""
        self._take("[")
        closes, index = self.peek() == "]", 0
        while not closes:
            yield index
            index, closes = index + 1, self._next("]")
        self._take("]")

    def value(self) -> Piece:
        """The value at the cursor, which then stands behind it. Raises Unreadable where there is none."""
        first = self._text[self._at : self._at + 1]
        if first not in _OPENS:  # a blank, the end of what is held, or a scalar
            first = self.peek()
        while True:
            start = self._at
            try:
                value, end = _scan(self._text, start)
            except (StopIteration, ValueError):
                if len(self._text) - start > self._limit or not self._fill(len(self._text) - start):
                    return self._pass_over()
            except RecursionError:
                self._pass_over(too_deep=True)
                return Piece(None, "", f"It is nested deeper than {MAX_DEPTH} levels.")
            else:
                # A number ends where another character follows that cannot be part of it ("1" of "1.5" is no value).
                if first in '{["' or self._text[end : end + 1] in _ENDS or not self._fill():
                    self._at = end
                    return self._checked(value, self._text[start:end])

    def string_content(self) -> Read:
        """A ``read`` for what the string at the cursor says: JSON within a JSON string. Ends behind its closing quote."""
        self._take('"')
        return _StringContent(self).read

    def end(self) -> None:
        """Make sure that nothing follows. Raises Unreadable."""
        while self._fill() or self._at < len(self._text):
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                raise self._wrong("nothing more")

    def _checked(self, value: Any, raw: str) -> Piece:
        if len(raw) > self._limit:
            return _too_large(len(raw), self._limit)
        if not raw.isascii():
            try:
                raw = raw.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError:
                return Piece(None, "", "It is not UTF-8.")
            value, _ = _scan(raw, 0)
        if raw.count("[") + raw.count("{") > MAX_DEPTH and depth_of(raw) > MAX_DEPTH:
            return Piece(None, "", f"It is nested deeper than {MAX_DEPTH} levels.")
        if ("\\u" in raw or "NaN" in raw or "Infinity" in raw) and (problem := _unstorable(value)):
            return Piece(None, "", problem)
        return Piece(value, raw)

    def _pass_over(self, *, too_deep: bool = False) -> Piece:
        """Behind the value at the cursor, without holding it: it is too large, or no JSON at all."""
        start = self.position
        self._skip()
        size = self.position - start
        if size <= self._limit and not too_deep:
            raise Unreadable(f"This is not JSON: no value can be read at byte {start:,}.")
        return _too_large(size, self._limit)

    def _skip(self) -> None:
        if self.peek() not in '{["':
            self._run(_SCALAR)
            return
        depth = 0
        while True:
            mark = self._next_mark()
            if mark == '"':
                self._run(_STRING_REST)
                self._take('"')
            depth += (mark in "{[") - (mark in "}]")
            if depth == 0:
                return

    def _next_mark(self) -> str:
        while True:
            found = _MARK.search(self._text, self._at)
            if found:
                self._at = found.end()
                return found.group()
            self._at = len(self._text)
            if not self._fill():
                raise Unreadable(f"The JSON ends in the middle, after {self.position:,} bytes.")

    def _run(self, pattern: re.Pattern[str]) -> None:
        """To where the pattern stops although more text stands there."""
        while True:
            end = pattern.match(self._text, self._at).end()  # type: ignore[union-attr]
            self._at = end
            if end < len(self._text) and not (self._text[end] == "\\" and end + 1 == len(self._text)):
                return
            if not self._fill():
                raise Unreadable(f"The JSON ends in the middle, after {self.position:,} bytes.")

    def _next(self, closing: str) -> bool:
        if self._text.startswith(",{", self._at):  # what stands between most elements
            self._at += 1
            return False
        mark = self.peek()
        if mark == closing:
            return True
        if mark != ",":
            raise self._wrong(f"a comma or {closing}")
        self._at += 1
        if self.peek() == closing:
            raise self._wrong("another element")
        return False

    def _take(self, mark: str) -> None:
        if self.peek() != mark:
            raise self._wrong(mark)
        self._at += 1

    def _wrong(self, expected: str) -> Unreadable:
        return Unreadable(f"This is not JSON: {expected} was expected at byte {self.position:,}.")

    def _fill(self, at_least: int = 0) -> bool:
        """Let go of what lies behind the cursor and hold more of what follows. False when nothing follows."""
        chunk = self._read(max(CHUNK_BYTES, min(at_least, 4 * CHUNK_BYTES)))
        if not chunk:
            return False
        self._before += self._at
        self._text, self._at = self._text[self._at :] + chunk.decode("latin-1"), 0
        return True


class _StringContent:
    def __init__(self, outer: JsonStream) -> None:
        self._outer, self._decoder, self._is_closed = outer, codecs.getincrementaldecoder("utf-8")(), False

    def read(self, _size: int) -> bytes:
        outer = self._outer
        while not self._is_closed:
            start = outer._at
            end = _WHOLE_ESCAPES.match(outer._text, start).end()  # type: ignore[union-attr]
            outer._at = end
            self._is_closed = outer._text[end : end + 1] == '"'
            if self._is_closed:
                outer._at += 1
            if end > start:
                return self._unescaped(outer._text[start:end])
            if not self._is_closed and (len(outer._text) - end > 16 or not outer._fill()):
                raise Unreadable(f"The JSON string is cut off or wrong at byte {outer.position:,}.")
        return b""

    def _unescaped(self, text: str) -> bytes:
        try:
            whole = text if text.isascii() else self._decoder.decode(text.encode("latin-1"))
            said: str = json.loads(f'"{whole}"')
        except ValueError:
            raise Unreadable(f"The JSON string is wrong before byte {self._outer.position:,}.") from None
        return said.encode("utf-8", "surrogatepass")


def depth_of(raw: str) -> int:
    """How deep a JSON text nests."""
    depth = deepest = 0
    for mark in re.finditer(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', raw):
        depth += (mark.group() in "{[") - (mark.group() in "}]")
        deepest = max(deepest, depth)
    return deepest


def _too_large(size: int, limit: int) -> Piece:
    return Piece(None, "", f"It has {size:,} bytes; at most {limit:,} are taken.")


def _unstorable(value: Any, name: str = "It") -> str:
    """Why something in the value cannot be stored, or nothing."""
    if isinstance(value, NotANumber):
        return f"{name} is {value}, which is no number."
    if isinstance(value, str):
        return _text_problem(value, name)
    if isinstance(value, dict):
        return next(
            (p for key, part in value.items() if (p := _text_problem(key, "A key") or _unstorable(part, key))), ""
        )
    if isinstance(value, list):
        return next((p for part in value if (p := _unstorable(part, name))), "")
    return ""


def _text_problem(text: str, name: str) -> str:
    if "\x00" in text:
        return f"{name} holds a NUL character."
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{name} holds half of a surrogate pair."
    return ""
