"""Single values of a decision: numbers and symbols in every writing that can be read in one way only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from arena.rules.loose_json import LooseArray, LooseObject, Number
from arena.rules.words import ALL_SYMBOLS
from exchanges import symbols as pairs
from ground.errors import InvalidInput

MAX_TEXT = 2000
"""Characters of a reasoning that are kept."""

_MOST = Decimal("1e15")
_PLACES = Decimal("1e-18")
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)
_NOTHING = frozenset({"", "-", "none", "null", "nil", "nan", "n/a", "na", "no", "not set", "undefined"})
_UNITS = r"(?:\s*(?:usd|usdt|usdc|\$|dollars?))?"
_DIGITS = re.compile(
    r"(?P<sign>[+-]?)\$?\s*(?:"
    r"(?P<us>[1-9][0-9]{0,2}(?P<sep>[,_ '’])[0-9]{3}(?:(?P=sep)[0-9]{3})*)(?P<us_rest>\.[0-9]*)?"  # 1,234.5
    r"|(?P<eu>[1-9][0-9]{0,2}(?:\.[0-9]{3})+),(?P<eu_rest>[0-9]+)"  # 1.234,5
    r"|(?P<comma>0|[0-9]+(?=,[0-9]{1,2}(?![0-9]))),(?P<comma_rest>[0-9]+)"  # 0,5: three digits would be thousands
    r"|(?P<plain>[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]{1,3})?|\.[0-9]+)"
    rf")(?P<thousand>\s?k)?{_UNITS}"
)
_LEVERAGE = re.compile(r"(?:x\s*)?([0-9]+(?:\.[0-9]+)?)\s*(?:x|×|:1|倍|fach)?")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_EXTRAS = re.compile(r"^(?:[A-Z]{2,12}:)|(?:\.P|[-_/ ]?PERP(?:ETUAL)?|[-_ ]SWAP)$")
_EVERYTHING = frozenset({"ALL", "*", "ALL POSITIONS", "ALL OPEN POSITIONS", "EVERYTHING", "ALLE", "TODAS", "TODOS"})
_SYMBOL = re.compile(r"[A-Z0-9.]{1,20}(?:\s?[/_:\s-]\s?[A-Z0-9.]{1,20}){0,2}")
_SEPARATORS = re.compile(r"\s?[/_\s-]\s?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that is there and cannot be read; ``why`` ends a sentence that names it."""

    why: str


def number_of(value: Any) -> Decimal | Unreadable | None:
    """An amount or a price; None: it says that there is none. A share ("10%") is no amount."""
    if value is None:
        return None
    if isinstance(value, LooseObject):
        return _number_inside(value)
    if not isinstance(value, str):
        return Unreadable("is not a number")
    text = unicodedata.normalize("NFKC", value[:100]).strip().casefold()
    if not isinstance(value, Number) and text in _NOTHING:
        return None
    if len(value) > 60:
        return Unreadable("is too long for a number")
    if _SHARE.fullmatch(text):
        return Unreadable(f"is a share, {quoted(value)}, and must be an amount")
    read = _DIGITS.fullmatch(text)
    return _exact(_plain_digits(read), value) if read else Unreadable(f"is no number that can be read: {quoted(value)}")


def leverage_of(value: Any) -> Decimal | Unreadable | None:
    """5, "5", "5x", "x5" or "5:1"."""
    text = unicodedata.normalize("NFKC", value[:40]).strip().casefold() if isinstance(value, str) else ""
    read = _LEVERAGE.fullmatch(text)
    return _exact(read.group(1), value) if read else number_of(value)


def ratio_of(value: Any) -> Decimal | Unreadable | None:
    """0.8, "80%" or 80 as 0.8."""
    share = _SHARE.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 40 else None
    ratio = Decimal(share.group(1)) / 100 if share else number_of(value)
    if isinstance(ratio, Decimal):
        ratio = ratio / 100 if 1 < ratio <= 100 and not share else ratio
        return ratio if 0 <= ratio <= 1 else Unreadable("is not between 0 and 1")
    return ratio


def symbol_of(value: Any, *, known: Collection[str]) -> str | Unreadable | None:
    """A symbol as we write it, where it can be told; ALL_SYMBOLS; else its text in capitals, which is in no market.

    ``known`` decides first: BTC alone is BTC/USDT where that is the only known pair of BTC. None: there is none.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return Unreadable(f"is {quoted(value)} and must be one pair")
    text = unicodedata.normalize("NFKC", value[:200]).strip().upper()
    if text in _EVERYTHING:
        return ALL_SYMBOLS
    text = _EXTRAS.sub("", text.removeprefix("$"), count=2).strip()
    if not _SYMBOL.fullmatch(text):
        return Unreadable(f"cannot be read: {quoted(value)}")
    text = text.partition(":")[0] if "/" in text else text
    compact = _SEPARATORS.sub("", text)
    same = {pair for pair in known if compact in (pair.replace("/", ""), pair.partition("/")[0])}
    if len(same) == 1:
        return same.pop()
    try:
        return pairs.normalize(_SEPARATORS.sub("/", text, count=1))
    except InvalidInput:
        return compact[: pairs.MAX_LENGTH]


def text_of(value: Any) -> str:
    """A text for people: no control signs, at most MAX_TEXT characters; a list's texts in one."""
    if isinstance(value, LooseArray):
        value = " ".join(item for item in value.items[:50] if isinstance(item, str))
    if not isinstance(value, str):
        return ""
    whole = cleaned(value[: 2 * MAX_TEXT])
    return whole if len(whole) <= MAX_TEXT else whole[: MAX_TEXT - 1] + "…"


def cleaned(text: str) -> str:
    """The text without what no table and no page can show: NUL, control signs, half characters, hidden directions."""
    if text.isascii() and text.isprintable():  # nearly every text there is
        return text.strip()
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL.sub(" ", text).strip()


def quoted(value: Any, most: int = 40) -> str:
    """A foreign value within a sentence: short, one line, in quotation marks."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, LooseObject | LooseArray):
        return "an object" if isinstance(value, LooseObject) else "a list"
    text = re.sub(r"\s+", " ", cleaned(str(value)[: 4 * most])).replace('"', "'")
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text if isinstance(value, Number) else f'"{text}"'


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of one key say the same."""
    if isinstance(one, str) and isinstance(other, str):
        numbers = number_of(one), number_of(other)
        if all(isinstance(number, Decimal) for number in numbers):
            return numbers[0] == numbers[1]
        return one.strip().casefold() == other.strip().casefold()
    return type(one) is type(other) and bool(one == other)


def _number_inside(value: LooseObject) -> Decimal | Unreadable | None:
    """Of {"price": 100} and its like."""
    if len(value.pairs) == 1 and not isinstance(value.pairs[0][1], LooseObject):
        return number_of(value.pairs[0][1])
    return Unreadable("is an object, not a number")


def _plain_digits(read: re.Match[str]) -> str:
    parts = read.groupdict()
    if parts["us"]:
        digits = re.sub("[^0-9]", "", parts["us"]) + (parts["us_rest"] or "")
    elif parts["eu"]:
        digits = parts["eu"].replace(".", "") + "." + parts["eu_rest"]
    elif parts["comma"]:
        digits = parts["comma"] + "." + parts["comma_rest"]
    else:
        digits = parts["plain"]
    return parts["sign"] + digits + ("e3" if parts["thousand"] and "e" not in digits else "")


def _exact(digits: str, value: Any) -> Decimal | Unreadable:
    number = Decimal(digits)
    if number and not -18 <= number.adjusted() < _MOST.adjusted():
        return Unreadable(f"is beyond what can be stored: {quoted(value)}")
    return number.quantize(_PLACES, context=_WIDE).normalize(_WIDE) + 0
