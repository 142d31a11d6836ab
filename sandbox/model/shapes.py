"""What a request may look like, written as checks that say exactly what is wrong and where.

Each API puts a ``Wrong`` into words of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Path = tuple[str | int, ...]
Check = Callable[[Any, Path], None]

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


class Wrong(Exception):
    """``kind``: missing, unknown, type, value. ``expected`` says what would be right; ``got`` is what was sent."""

    def __init__(self, kind: str, path: Path, expected: str = "", got: Any = None) -> None:
        super().__init__(f"{kind} at {path}")
        self.kind, self.path, self.expected, self.got = kind, path, expected, got


def kind_of(value: Any) -> str:
    """JSON's own word for what this is."""
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "null")


def _expect(value: Any, kinds: tuple[type, ...], word: str, path: Path) -> None:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise Wrong("type", path, word, value)


def text(*, least: int = 0, most: int | None = None, pattern: str = "") -> Check:
    def check(value: Any, path: Path) -> None:
        _expect(value, (str,), "a string", path)
        if len(value) < least:
            raise Wrong("value", path, f"a string with at least {least} characters", value)
        if most is not None and len(value) > most:
            raise Wrong("value", path, f"a string with at most {most} characters", value)
        if pattern and not re.fullmatch(pattern, value):
            raise Wrong("value", path, f"a string that matches the pattern '^{pattern}$'", value)

    return check


def number(*, least: float | None = None, most: float | None = None, is_whole: bool = False) -> Check:
    def check(value: Any, path: Path) -> None:
        _expect(value, (int,) if is_whole else (int, float), "an integer" if is_whole else "a number", path)
        if least is not None and value < least:
            raise Wrong("value", path, f"a value >= {least}", value)
        if most is not None and value > most:
            raise Wrong("value", path, f"a value <= {most}", value)

    return check


def whole(*, least: float | None = None, most: float | None = None) -> Check:
    return number(least=least, most=most, is_whole=True)


def boolean(value: Any, path: Path) -> None:
    _expect(value, (bool,), "a boolean", path)


def anything(value: Any, path: Path) -> None:
    """Not looked at."""


def free_object(value: Any, path: Path) -> None:
    _expect(value, (dict,), "an object", path)


def one_of(*words: str) -> Check:
    def check(value: Any, path: Path) -> None:
        _expect(value, (str,), "a string", path)
        if value not in words:
            raise Wrong("value", path, "one of " + ", ".join(f"'{word}'" for word in words), value)

    return check


def null_or(inner: Check) -> Check:
    def check(value: Any, path: Path) -> None:
        if value is not None:
            inner(value, path)

    return check


def list_of(inner: Check, *, least: int = 0, most: int | None = None) -> Check:
    def check(value: Any, path: Path) -> None:
        _expect(value, (list,), "an array", path)
        if len(value) < least or (most is not None and len(value) > most):
            raise Wrong("value", path, f"an array with {least} to {most or 'any number of'} items", value)
        for index, item in enumerate(value):
            inner(item, (*path, index))

    return check


def shape(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields and no others."""
    known = {**required, **(optional or {})}

    def check(value: Any, path: Path) -> None:
        _expect(value, (dict,), "an object", path)
        for name in required:
            if name not in value:
                raise Wrong("missing", (*path, name))
        for name in value:
            if name not in known:
                raise Wrong("unknown", (*path, name))
        for name, item in value.items():
            known[name](item, (*path, name))

    return check


def by(field: str, shapes: Mapping[str, Check]) -> Check:
    """An object whose ``field`` says which of the shapes it has."""

    def check(value: Any, path: Path) -> None:
        _expect(value, (dict,), "an object", path)
        if field not in value:
            raise Wrong("missing", (*path, field))
        one_of(*shapes)(value[field], (*path, field))
        shapes[value[field]](value, path)

    return check


def text_or(inner: Check, *, least: int = 0) -> Check:
    """A plain string, or what ``inner`` takes."""

    def check(value: Any, path: Path) -> None:
        if isinstance(value, str):
            text(least=least)(value, path)
        else:
            inner(value, path)

    return check
