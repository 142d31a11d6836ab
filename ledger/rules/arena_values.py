"""Single values of old items: amounts, instants, pairs and ids, each read strictly."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeGuard

from exchanges import symbols
from ground.errors import InvalidInput
from ledger.rules.arena_shape import Number
from ledger.rules.pnl import WIDE, amount

MAX_ID = 190  # of the column's 200: an exit that came under its entry's id gets a suffix
_MOST_PLACES = 15  # an amount of a quadrillion is a mistake, and sums of such would not fit their columns
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,18})?")
_LEVERAGE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,4})?")
_CLEAN = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?")
_MAX_DIGITS = 400
_LEVERAGE_STEP = Decimal("0.0001")
# An instant is told in seconds, milliseconds or microseconds: between 1973 and 5138 the three do not overlap.
_FIRST_S, _FIRST_MS, _FIRST_US, _END_US = 100_000_000, 100_000_000_000, 100_000_000_000_000, 100_000_000_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


PLAIN_SYMBOLS: dict[str, str] = {}
"""Pairs that were met as the arena wrote them (``BTCUSDT``), as we write them. At most so many as one import has."""
_MOST_SYMBOLS = 10_000
_PLAIN = _AMOUNT.fullmatch
_PLAIN_LEVERAGE = _LEVERAGE.fullmatch


class Refused(ValueError):
    """The item cannot be taken; the message is the reason, one sentence."""


def amount_of(value: Any, name: str) -> str:
    """A number as a money column takes it: rounded to 18 decimals where it has more. Raises Refused."""
    if type(value) is Number and _AMOUNT.fullmatch(value):
        return str(value)
    exact = _decimal(value, name)
    if exact and exact.adjusted() >= _MOST_PLACES:
        raise Refused(f"{name} is too large: {_short(value)}.")
    return format(amount(exact) if exact and exact.adjusted() > -60 else Decimal(0), "f")


def positive_of(value: Any, name: str) -> str:
    """The same, above 0. Raises Refused."""
    text = amount_of(value, name)
    if text[0] == "-" or not text.strip("0."):
        raise Refused(f"{name} must be above 0 and is {_short(value)}.")
    return text


def leverage_of(value: Any) -> str:
    """A leverage, rounded to 4 decimals where it has more. Raises Refused."""
    if type(value) is Number and _LEVERAGE.fullmatch(value) and value.strip("0."):
        return str(value)
    exact = _decimal(value, "leverage")
    if exact.adjusted() >= 6 or exact < _LEVERAGE_STEP:
        raise Refused(f"leverage is not between 0.0001 and 999999: {_short(value)}.")
    return format(exact.quantize(_LEVERAGE_STEP, context=WIDE), "f")


def moment_of(value: Any, name: str) -> int:
    """Microseconds since 1970 of an instant told in seconds, milliseconds, microseconds, or as ISO 8601 (without a zone it
    is UTC). Raises Refused."""
    if type(value) is Number and len(value) == 13 and value.isdecimal() and value[0] != "0":
        return int(value) * 1000
    if type(value) is str and not _CLEAN.fullmatch(value):
        return _moment_of_text(value, name)
    told = _decimal(value, name)
    if told.adjusted() < 17:
        if _FIRST_S <= told < _FIRST_MS:
            return int(told * 1_000_000)
        if _FIRST_MS <= told < _FIRST_US:
            return int(told * 1000)
        if _FIRST_US <= told < _END_US:
            return int(told)
    raise Refused(f"{name} is no instant after 1973: {_short(value)}.")


def id_of(value: Any, name: str) -> str:
    """An id as text. Raises Refused."""
    if isinstance(value, str) and 0 < len(value) <= MAX_ID:
        return str(value)
    if value is None or value == "":
        raise Refused(f"It has no {name}.")
    if isinstance(value, str):
        raise Refused(f"Its {name} is longer than {MAX_ID} characters.")
    raise Refused(f"Its {name} is no text: {_short(value)}.")


def is_plain(value: Any) -> TypeGuard[Number]:
    """Whether it is a number that a money column gives back as it was written."""
    return type(value) is Number and _PLAIN(value) is not None


def is_plain_positive(value: Any) -> TypeGuard[Number]:
    """The same, above 0."""
    return type(value) is Number and _PLAIN(value) is not None and value[0] != "-" and value.strip("0.") != ""


def is_plain_leverage(value: Any) -> TypeGuard[Number]:
    """Whether it is a leverage that its column gives back as it was written."""
    return type(value) is Number and _PLAIN_LEVERAGE(value) is not None and value.strip("0.") != ""


def is_plain_ms(value: Any) -> TypeGuard[Number]:
    """Whether it is an instant in milliseconds, after 2001."""
    return type(value) is Number and len(value) == 13 and value.isdecimal() and value[0] != "0"


@lru_cache(maxsize=4096)
def symbol_of(text: str) -> str:
    """The pair as we write it. Raises Refused."""
    try:
        pair = symbols.normalize(text)
        if pair.replace("/", "") == text and len(PLAIN_SYMBOLS) < _MOST_SYMBOLS:
            PLAIN_SYMBOLS[text] = pair
        return pair
    except InvalidInput as error:
        raise Refused(f"The symbol {_short(text)} cannot be read. {error.message}") from None


def word_of(value: Any) -> str:
    """A word in capitals, or nothing where there is none."""
    return value.upper() if isinstance(value, str) and len(value) <= 20 else ""


def _decimal(value: Any, name: str) -> Decimal:
    if value is None:
        raise Refused(f"It has no {name}.")
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and _CLEAN.fullmatch(value):
        return Decimal(value)
    raise Refused(f"{name} is not a number that can be stored: {_short(value)}.")


def _moment_of_text(text: str, name: str) -> int:
    try:
        read = datetime.fromisoformat(text) if len(text) <= 40 else None
        since = None if read is None else (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC) - _EPOCH
    except (ValueError, OverflowError):
        since = None
    if since is None:
        raise Refused(f"{name} is no instant: {_short(text)}.")
    us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if us < _FIRST_US:
        raise Refused(f"{name} is no instant after 1973: {_short(text)}.")
    return us


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = str(value) if len(str(value)) <= 40 else str(value)[:39] + "…"
    return text if isinstance(value, Number) else f"'{text}'"
