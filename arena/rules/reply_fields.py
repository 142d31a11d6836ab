"""One object of a reply, read as a decision; or why it cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from arena.rules.loose_json import LooseArray, LooseObject, Number
from arena.rules.reply_values import (
    Unreadable,
    leverage_of,
    number_of,
    quoted,
    ratio_of,
    same_value,
    symbol_of,
    text_of,
)
from arena.rules.reply_words import DETAILS, ENTER, FIELD_OF_KEY, action_word, key_of
from arena.rules.words import ALL_SYMBOLS, NoteKind, ReplyAction
from arena.types import Decision, Note

_NAMES = {
    "size": "size",
    "quantity": "quantity",
    "stop_loss": "stop-loss",
    "take_profit": "take-profit",
    "leverage": "leverage",
}
_RESTING = frozenset({"limit", "stop", "stoplimit", "stopmarket", "trailingstop", "conditional"})
_CLOSES_ALL = frozenset({"closeall", "exitall", "closeallpositions", "closepositions", "flattenall", "liquidateall"})
_OF_POSITIONS = frozenset({"entryprice", "pnl", "unrealizedpnl", "unrealisedpnl", "markprice", "openedat", "opentime"})
_OPENS = (ReplyAction.LONG, ReplyAction.SHORT)


@dataclass(frozen=True, slots=True)
class ReadObject:
    """What one object says: a decision with notes about how it was read, or notes that say why there is none."""

    decision: Decision | None
    notes: tuple[Note, ...] = ()
    is_example: bool = False  # a pattern of the format ("LONG|SHORT|CLOSE|HOLD"), not an answer


class _Refusal(Exception):
    """The object is no decision that can be used; the message is a sentence."""

    def __init__(self, sentence: str, kind: NoteKind = NoteKind.UNREADABLE) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.kind = kind


def has_action(found: LooseObject) -> bool:
    """Whether the object looks like a decision. One with a side but no action may be a position that is told again."""
    keys = {key_of(key): value for key, value in found.pairs}
    names = {FIELD_OF_KEY.get(key) for key, value in keys.items() if _is_scalar(value)}
    return "action" in names or ({"symbol", "direction"} <= names and not _OF_POSITIONS & keys.keys())


def read_object(found: LooseObject, *, symbols: Collection[str], symbol: str | None = None) -> ReadObject:
    """The decision that an object describes. ``symbol`` is what the object stood under, where it names none itself."""
    notes: list[Note] = []
    try:
        fields = _fields_of(found)
        if "symbol" not in fields and symbol:
            fields["symbol"] = symbol
        action = _action_of(fields, notes)
        return ReadObject(_decision_of(action, fields, symbols, notes), tuple(notes))
    except _Refusal as refusal:
        written = dict(_spelled(found)).get("action")
        is_example = isinstance(written, str) and ("|" in written or written.startswith("<"))
        return ReadObject(None, (Note(refusal.kind, refusal.sentence),), is_example)


def _decision_of(action: ReplyAction, fields: dict[str, Any], symbols: Collection[str], notes: list[Note]) -> Decision:
    symbol = symbol_of(fields.get("symbol"), known=symbols)
    if isinstance(symbol, Unreadable):
        raise _Refusal(f"A decision to {action} was left out: its symbol {symbol.why}.")
    if str(fields.get("action_all", "")):
        symbol = ALL_SYMBOLS
    if symbol == ALL_SYMBOLS and action in _OPENS:
        raise _Refusal(f"A decision to {action} was left out: it names all symbols instead of one.")
    about = symbol or "a decision without a symbol"
    if action in _OPENS:
        _refuse_other_orders(action, about, fields, notes)
    reader = _Numbers(fields, about, notes)
    decision = Decision(
        action=action,
        symbol=symbol,
        size=reader.amount("size"),
        quantity=reader.amount("quantity"),
        leverage=reader.leverage(),
        stop_loss=reader.amount("stop_loss"),
        take_profit=reader.amount("take_profit"),
        confidence=reader.confidence(),
        reasoning=text_of(fields.get("reasoning")),
    )
    if action in _OPENS and decision.size is None and decision.quantity is None and "share" in fields:
        notes.append(_read(f"{about}: its size is given as a share, and must be an amount.", NoteKind.DROPPED))
    return decision


class _Numbers:
    """Reads numbers, with a note for each that is there and cannot be read."""

    def __init__(self, fields: dict[str, Any], about: str, notes: list[Note]) -> None:
        self.fields = fields
        self.about = about
        self.notes = notes

    def amount(self, name: str) -> Decimal | None:
        """Above 0, or None: an amount of 0 is how many write that there is none."""
        return self._positive(name, number_of(self.fields.get(name)))

    def leverage(self) -> Decimal | None:
        return self._positive("leverage", leverage_of(self.fields.get("leverage")))

    def confidence(self) -> Decimal | None:
        return self._kept("confidence", ratio_of(self.fields.get("confidence")))

    def _positive(self, name: str, number: Decimal | Unreadable | None) -> Decimal | None:
        if isinstance(number, Decimal) and number < 0:
            number = Unreadable(f"is below 0: {quoted(self.fields[name])}")
        return self._kept(_NAMES[name], number) or None

    def _kept(self, name: str, number: Decimal | Unreadable | None) -> Decimal | None:
        if not isinstance(number, Unreadable):
            return number
        self.notes.append(_read(f"{self.about}: its {name} {number.why}; it was left out.", NoteKind.DROPPED))
        return None


def _action_of(fields: dict[str, Any], notes: list[Note]) -> ReplyAction:
    """Raises _Refusal where it cannot be told, or where two words contradict each other."""
    written, direction = fields.get("action"), fields.get("direction")
    if written is None:
        written, direction = direction, None
    if not isinstance(written, str) or isinstance(written, Number):
        raise _Refusal(
            f"A decision was left out: its action is {quoted(written)} and must be LONG, SHORT, CLOSE or HOLD."
        )
    if key_of(written) in _CLOSES_ALL:
        fields["action_all"] = "yes"
        return ReplyAction.CLOSE
    word, way = action_word(written), action_word(direction) if isinstance(direction, str) else None
    if word == ENTER:
        if way not in _OPENS:
            raise _Refusal(f"A decision was left out: {quoted(written)} does not say whether LONG or SHORT.")
        word = way
    elif word in _OPENS and way in _OPENS and way != word:
        raise _Refusal(f"A decision was left out: it says both {quoted(written)} and {quoted(direction)}.")
    if word is None:
        raise _Refusal(f"A decision was left out: its action {quoted(written)} is none of LONG, SHORT, CLOSE and HOLD.")
    action = ReplyAction(word)
    if written.strip().upper() != action:
        notes.append(_read(f"{quoted(written)} was read as {action}."))
    return action


def _refuse_other_orders(action: ReplyAction, about: str, fields: dict[str, Any], notes: list[Note]) -> None:
    """Orders fill at the market: one that asks to wait for a price is not that order. Raises _Refusal."""
    kind = fields.get("direction")
    if isinstance(kind, str) and key_of(kind) in _RESTING:
        sentence = f"{about}: {action} asks for a {quoted(kind)} order; only orders at the market are carried out."
        raise _Refusal(sentence, NoteKind.REFUSED)
    price = number_of(fields.get("entry_price"))
    if isinstance(price, Decimal) and price:
        notes.append(_read(f"{about}: the entry price {price:f} is not used; orders fill at the market."))


def _fields_of(found: LooseObject) -> dict[str, Any]:
    """Raises _Refusal where one thing is said twice and differently."""
    fields: dict[str, Any] = {}
    for name, value in _spelled(found):
        if name not in fields or fields[name] is None:
            fields[name] = value
        elif name == "reasoning" or value is None:
            continue
        elif name == "direction":
            fields[name] = _told_direction(fields[name], value)
        elif not same_value(fields[name], value):
            what = f"{quoted(fields[name])} and {quoted(value)}"
            raise _Refusal(f"A decision was left out: it gives two values for its {name.replace('_', ' ')}, {what}.")
    return fields


def _told_direction(one: Any, other: Any) -> Any:
    """Of two values under keys like side and type: the one that asks for a resting order, or that is a direction."""
    for value in (one, other):
        if isinstance(value, str) and key_of(value) in _RESTING:
            return value
    words = {word for value in (one, other) if isinstance(value, str) and (word := action_word(value)) in _OPENS}
    if len(words) == 2:
        raise _Refusal(f"A decision was left out: it says both {quoted(one)} and {quoted(other)}.")
    return one if isinstance(one, str) and action_word(one) in _OPENS else other


def _spelled(found: LooseObject, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The object's pairs under our names of their keys; what is not ours is left out."""
    for key, value in found.pairs:
        plain = key_of(key)
        if isinstance(value, LooseObject) and plain in DETAILS and depth < 2:
            yield from _spelled(value, depth + 1)
        elif name := FIELD_OF_KEY.get(plain):
            yield name, value


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, LooseObject | LooseArray)


def _read(sentence: str, kind: NoteKind = NoteKind.READ) -> Note:
    return Note(kind, sentence)
