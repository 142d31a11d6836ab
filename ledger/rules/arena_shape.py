"""The old arena's objects as our columns alone would give them, and what is left over of an original beside that.

An import stores the leftover in ``extra``; an export makes the object from the columns and puts the leftover back. So the
round trip is exact by construction, whatever an old system wrote, and a column that changed since is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from ledger.rules.words import TradeType

Shape = dict[str, Any]
Amount = Decimal | int | str | None
"""An amount in a shape: a Decimal, an int, or a ``Number``."""

# The ways in which orders were written.
AUDIT = "audit"  # {"action": "LONG", "side": "entry", "price": 2.45, ...}
POSITION = "position"  # {"type": "LONG", "entryPrice": 2.45, "exitPrice": 0, ...}: an exit price of 0 means still open
OPEN_CLOSE = "open_close"  # {"trade_type": "LONG", "action": "OPEN", "price": 2.45, ...}

LIVING = frozenset({"entryPrice", "size", "leverage", "pnl", "stopLoss", "takeProfit", "liquidationPrice"})
"""The amounts of an open position that change while it is open."""

_STORED = Decimal("1e-18")
_WIDE = Context(prec=80)
_MOST_DIGITS = 300  # of a number in a JSON column, before or behind the point


class Number(str):
    """A JSON number as it was written: ``2.40`` stays ``2.40``."""

    __slots__ = ()


class NotANumber(str):
    """What some writers put where a number has no value: ``NaN``, ``Infinity``, ``-Infinity``."""

    __slots__ = ()


class JsonText(str):
    """A value that is JSON text already and is written as it stands."""

    __slots__ = ()


def order_shape(
    form: str, *, order_id: str, symbol: str, action: str, trade_type: str, price: Amount, entry_price: Amount,
    size: Amount, leverage: Amount, pnl: Amount, fee: Amount, executed_ms: int | str,
) -> Shape:  # fmt: skip
    """An order in one of the three forms. ``symbol`` is ours, ``executed_ms`` counts from 1970; what is None is not there."""
    shape: Shape = {"id": order_id, "symbol": symbol.replace("/", "")}
    if form == AUDIT:
        shape |= {"action": action, "side": trade_type, "price": price}
    elif form == POSITION:
        is_exit = trade_type == TradeType.EXIT
        shape["type"] = action
        shape["entryPrice"] = entry_price if is_exit else price
        shape["exitPrice"] = price if is_exit else 0
        if shape["entryPrice"] is None:
            del shape["entryPrice"]
    else:
        shape |= {"trade_type": action, "action": "CLOSE" if trade_type == TradeType.EXIT else "OPEN", "price": price}
    shape |= {"size": size, "leverage": leverage, "timestamp": executed_ms}
    if pnl is not None:
        shape["pnl"] = pnl
    if fee is not None:
        shape["fee"] = fee
    return shape


def position_shape(
    *, position_id: str, symbol: str, position_type: str, entry_price: Amount, size: Amount, leverage: Amount,
    pnl: Amount, stop_loss: Amount, take_profit: Amount, liquidation_price: Amount,
) -> Shape:  # fmt: skip
    """An open position; ``pnl`` is the unrealised one."""
    shape: Shape = {
        "id": position_id, "symbol": symbol.replace("/", ""), "type": position_type, "entryPrice": entry_price,
        "size": size, "leverage": leverage,
    }  # fmt: skip
    known = {"pnl": pnl, "stopLoss": stop_loss, "takeProfit": take_profit, "liquidationPrice": liquidation_price}
    return shape | {key: value for key, value in known.items() if value is not None}


def log_shape(*, decided_ms: int | str, prompt: str, decisions: Any, notes: Any) -> Shape:
    """A cycle of a bot that decides."""
    return {"timestamp": decided_ms, "prompt": prompt, "decisions": decisions, "notes": notes}


def leftover(original: Mapping[str, Any], shaped: Shape, *, form: str = AUDIT) -> Shape | None:
    """What ``extra`` has to hold so that ``restored(shaped, extra)`` is the original; None: nothing.

    ``with`` are values that the columns do not give, ``text`` those that a JSON column cannot hold (NaN, endless numbers),
    as JSON text, ``without`` what the original does not have, ``form`` how an order was written, unless as in the audit.
    """
    given = {key: value for key, value in original.items() if key not in shaped or not _is_same(value, shaped[key])}
    absent = [key for key in shaped if key not in original]
    if not given and not absent and form == AUDIT:
        return None
    extra: Shape = {} if form == AUDIT else {"form": form}
    held = {key: value for key, value in given.items() if can_be_held(value)}
    if held:
        extra["with"] = held
    if len(held) != len(given):
        extra["text"] = {key: written(value) for key, value in given.items() if key not in held}
    if absent:
        extra["without"] = absent
    return extra or None


def restored(shaped: Shape, extra: Mapping[str, Any] | None, *, can_change: Collection[str] = ()) -> Shape:
    """The original again. ``can_change``: keys of amounts that live on, as those of open positions do: where the column says
    something else than what was left over for it, the column is right."""
    if not extra:
        return shaped
    absent = extra.get("without", ())
    found = {key: value for key, value in shaped.items() if key not in absent}
    for key, value in extra.get("with", {}).items():
        if key not in can_change or key not in found or _reads_as(value, found[key]):
            found[key] = value
    for key, text in extra.get("text", {}).items():
        if key not in can_change or key not in found:
            found[key] = JsonText(text)
    return found


def written(value: Any) -> str:
    """Compact JSON text; numbers as they were written, Decimals plainly and without trailing zeroes."""
    kind = type(value)
    if kind is Number or kind is JsonText or kind is NotANumber:
        return str.__str__(value)
    if kind is Decimal:
        return plain(value)
    if kind is dict:
        return "{" + ",".join(f"{_quoted(key)}:{written(item)}" for key, item in value.items()) + "}"
    if kind is list:
        return "[" + ",".join(map(written, value)) + "]"
    return _quoted(value)


def plain(amount: Decimal) -> str:
    """A Decimal as the export writes it."""
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) if amount else "0"


def exact_value(text: str) -> Any:
    """A JSON text parsed so that ``written`` gives its numbers back digit by digit."""
    return _exact.decode(text)


def _is_same(original: Any, shaped: Any) -> bool:
    if original is shaped:
        return True
    kind = type(original)
    if kind is Number:
        return type(shaped) in (Number, Decimal, int) and _is_equal(original, shaped)
    if kind is dict and isinstance(shaped, dict):
        return original.keys() == shaped.keys() and all(_is_same(value, shaped[key]) for key, value in original.items())
    if kind is list and isinstance(shaped, list):
        return len(original) == len(shaped) and all(map(_is_same, original, shaped))
    return (kind is type(shaped) or (kind is str and isinstance(shaped, str) and type(shaped) is not Number)) and bool(
        original == shaped
    )


def _is_equal(one: str, other: Amount) -> bool:
    return str.__eq__(one, str(other)) or Decimal(one) == Decimal(str(other))


def _reads_as(value: Any, column: Any) -> bool:
    """Whether the column can have been made from the value."""
    if value == column:
        return True
    try:
        return Decimal(str(value)).quantize(_STORED, context=_WIDE) == Decimal(str(column)).quantize(
            _STORED, context=_WIDE
        )
    except InvalidOperation:
        return False


def can_be_held(value: Any) -> bool:
    """Whether a JSON column gives the value back."""
    kind = type(value)
    if kind is Number:
        return len(value) <= _MOST_DIGITS and abs(Decimal(value).adjusted()) <= _MOST_DIGITS
    if kind is NotANumber:
        return False
    if kind is dict:
        return all(map(can_be_held, value.values()))
    return all(map(can_be_held, value)) if kind is list else True


_quoted = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_exact = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=NotANumber)
