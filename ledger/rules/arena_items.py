"""Items of the old arena as the columns of our rows take them. Pure and exact; ``arena_shape`` is the way back.

Orders came in several forms, told apart by their words:

    AUDIT       action LONG|SHORT, side entry|exit (or trade_type entry|exit), price
    POSITION    type LONG|SHORT, entryPrice, exitPrice: 0 means open
    OPEN_CLOSE  trade_type LONG|SHORT, action OPEN|CLOSE, price or entry_price and exit_price

What the columns do not hold, or hold in another form, stands word for word in ``extra``.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from ledger.rules import arena_shape
from ledger.rules.arena_shape import Number, can_be_held, leftover, log_shape, order_shape, position_shape, written
from ledger.rules.arena_values import (
    MAX_ID,
    PLAIN_SYMBOLS,
    Refused,
    amount_of,
    id_of,
    is_plain,
    is_plain_leverage,
    is_plain_ms,
    is_plain_positive,
    leverage_of,
    moment_of,
    positive_of,
    symbol_of,
    word_of,
)
from ledger.rules.arena_words import was_executed
from ledger.rules.pnl import quantity_of

DIRECTIONS = ("LONG", "SHORT")
_LIMIT = Decimal(10) ** 20
_KINDS = {"OPEN": "entry", "CLOSE": "exit", "ENTRY": "entry", "EXIT": "exit"}
_AT = ("timestamp", "executed_at", "executedAt", "time", "createdAt", "created_at")
_OPENED_AT = ("openedAt", "opened_at", *_AT)
_ENTRY = ("entryPrice", "entry_price")
_EXIT = ("exitPrice", "exit_price")


class Order(NamedTuple):
    """An order as a trade's columns take it; numbers are text with every digit."""

    source_id: str
    symbol: str
    trade_type: str
    action: str
    price: str
    entry_price: str | None  # on exits None where the order does not say
    size: str
    leverage: str
    quantity: str | None  # None: an exit that does not say at which price was entered
    pnl: str | None
    fee: str | None
    at_us: int  # microseconds since 1970
    position_ref: str | None  # the old position's id, where the order names one
    extra: str | None


class OpenPosition(NamedTuple):
    """An element of ``portfolio.positions`` as a position's columns take it."""

    source_id: str
    symbol: str
    action: str
    entry_price: str
    size: str
    leverage: str
    quantity: str
    unrealized_pnl: str | None
    stop_loss: str | None
    take_profit: str | None
    liquidation_price: str | None
    opened_us: int | None
    extra: str | None


class Log(NamedTuple):
    """An element of ``botLogs`` as a decision's columns take it."""

    source_id: str
    at_us: int
    prompt: str
    decisions: str
    notes: str
    execution_success: bool
    extra: str | None


class Snapshot(NamedTuple):
    """A row of the old ``bot_state_snapshots``."""

    bot_id: str
    at_us: int
    balance: str | None
    realized_pnl: str | None
    total_value: str | None
    trade_count: int | None
    win_rate: str | None
    extra: str | None


def read_order(item: Any) -> Order:
    """One element of ``orders``. Raises Refused."""
    if not isinstance(item, dict):
        raise Refused("An order must be an object.")
    return _read_plain(item) or _read_any(item)


def _read_any(item: dict[str, Any]) -> Order:
    form, action, kind = _form_of(item)
    source, pair = id_of(item.get("id"), "id"), symbol_of(_text(item.get("symbol"), "symbol"))
    executed, entry = _prices(item, form, kind)
    size, leverage = positive_of(item.get("size"), "size"), leverage_of(item.get("leverage", Number("1")))
    pnl = _optional(item, "pnl") if kind == "exit" else None
    fee, at_us = _optional(item, "fee"), _moment(item)
    quantity = None if entry is None else _quantity(size, leverage, entry)
    shape = order_shape(
        form, order_id=source, symbol=pair, action=action, trade_type=kind, price=Number(executed),
        entry_price=Number(entry or "0"), size=Number(size), leverage=Number(leverage), pnl=pnl and Number(pnl),
        fee=fee and Number(fee), executed_ms=at_us // 1000,
    )  # fmt: skip
    reference = item.get("position_id") or item.get("positionId")
    return Order(
        source, pair, kind, action, executed, entry, size, leverage, quantity, pnl, fee, at_us,
        reference if isinstance(reference, str) and len(reference) <= MAX_ID else None,
        _left(item, shape, form),
    )  # fmt: skip


def _read_plain(item: dict[str, Any]) -> Order | None:
    """What ``_read_any`` gives, at a third of its time, for an order written just as the arena wrote them; None for others.

    Most of a large state is such orders.
    """
    get = item.get
    size, leverage, at, symbol, source = get("size"), get("leverage"), get("timestamp"), get("symbol"), get("id")
    if not (
        type(source) is str and 0 < len(source) <= MAX_ID and type(symbol) is str and symbol in PLAIN_SYMBOLS
        and is_plain_positive(size) and is_plain_leverage(leverage) and is_plain_ms(at)
    ):  # fmt: skip
        return None
    action, kind, count = get("action"), get("side"), len(item)
    if action is not None:
        return _plain_audit(item, source, action, kind, count)
    return _plain_position(item, source, count) if count == 10 else None


def _plain_audit(item: dict[str, Any], source: str, action: Any, kind: Any, count: int) -> Order | None:
    price, pnl = item.get("price"), item.get("pnl")
    size, leverage = item["size"], item["leverage"]
    if action not in DIRECTIONS or type(action) is not str or not is_plain_positive(price):
        return None
    at_us = int(item["timestamp"]) * 1000
    if kind == "entry" and count == 8:
        return Order(source, PLAIN_SYMBOLS[item["symbol"]], kind, action, price, price, size, leverage,
                     _quantity(size, leverage, price), None, None, at_us, None, None)  # fmt: skip
    if kind == "exit" and count == 9 and is_plain(pnl):
        return Order(source, PLAIN_SYMBOLS[item["symbol"]], kind, action, price, None, size, leverage, None, pnl, None,
                     at_us, None, None)  # fmt: skip
    return None


def _plain_position(item: dict[str, Any], source: str, count: int) -> Order | None:
    get = item.get
    action, entry, leaving, pnl, fee = get("type"), get("entryPrice"), get("exitPrice"), get("pnl"), get("fee")
    if action not in DIRECTIONS or not (
        is_plain_positive(entry) and is_plain(pnl) and is_plain(fee) and is_plain(leaving)
    ):
        return None
    size, leverage, at_us = item["size"], item["leverage"], int(item["timestamp"]) * 1000
    quantity, pair = _quantity(size, leverage, entry), PLAIN_SYMBOLS[item["symbol"]]
    if leaving == "0":
        extra = f'{{"form":"{arena_shape.POSITION}","with":{{"pnl":{pnl}}}}}'
        return Order(
            source, pair, "entry", action, entry, entry, size, leverage, quantity, None, fee, at_us, None, extra
        )
    if is_plain_positive(leaving):
        return Order(source, pair, "exit", action, leaving, entry, size, leverage, quantity, pnl, fee, at_us, None,
                     f'{{"form":"{arena_shape.POSITION}"}}')  # fmt: skip
    return None


def read_position(item: Any) -> OpenPosition:
    """One element of ``portfolio.positions``. Raises Refused."""
    if not isinstance(item, dict):
        raise Refused("A position must be an object.")
    source, pair = id_of(item.get("id"), "id"), symbol_of(_text(item.get("symbol"), "symbol"))
    action = word_of(_either(item, "type", "position_type"))
    if action not in DIRECTIONS:
        raise Refused("Its type is neither LONG nor SHORT.")
    entry, size = positive_of(_either(item, *_ENTRY), "entryPrice"), positive_of(item.get("size"), "size")
    leverage = leverage_of(item.get("leverage", Number("1")))
    pnl, stop = _optional(item, "pnl", "unrealized_pnl"), _optional(item, "stopLoss", "stop_loss")
    take, end = _optional(item, "takeProfit", "take_profit"), _optional(item, "liquidationPrice", "liquidation_price")
    shape = position_shape(
        position_id=source, symbol=pair, position_type=action, entry_price=Number(entry), size=Number(size),
        leverage=Number(leverage), pnl=pnl and Number(pnl), stop_loss=stop and Number(stop),
        take_profit=take and Number(take), liquidation_price=end and Number(end),
    )  # fmt: skip
    return OpenPosition(
        source, pair, action, entry, size, leverage, _quantity(size, leverage, entry), pnl, stop, take, end,
        _moment_or_none(item), _left(item, shape),
    )  # fmt: skip


def read_log(item: Any) -> Log:
    """One element of ``botLogs``. Raises Refused."""
    if not isinstance(item, dict):
        raise Refused("A log must be an object.")
    at_us, given = _moment(item), item.get("id")
    prompt = item.get("prompt")
    prompt = prompt if type(prompt) is str else ""
    decisions, notes = _storable(item.get("decisions")), _storable(item.get("notes"))
    shape = log_shape(decided_ms=at_us // 1000, prompt=prompt, decisions=decisions, notes=notes)
    return Log(
        str(given) if isinstance(given, str) and 0 < len(given) <= MAX_ID else digest_of(item), at_us, prompt,
        written(decisions), written(notes), was_executed(decisions=decisions, notes=notes), _left(item, shape),
    )  # fmt: skip


def read_snapshot(item: Any) -> Snapshot:
    """One row of the old snapshots. Raises Refused."""
    if not isinstance(item, dict):
        raise Refused("A snapshot must be an object.")
    count = _optional(item, "trade_count")
    if count is not None and (not count.isdecimal() or len(count) > 18):
        raise Refused("trade_count is no count.")
    bot, at_us = id_of(item.get("bot_id"), "bot_id"), _moment(item)
    balance, realized = _optional(item, "balance"), _optional(item, "realized_pnl")
    value, rate = _optional(item, "total_value"), _optional(item, "win_rate")
    shape = {"bot_id": bot, "timestamp": at_us // 1000, "balance": balance and Number(balance),
             "realized_pnl": realized and Number(realized), "total_value": value and Number(value),
             "trade_count": count and Number(count), "win_rate": rate and Number(rate)}  # fmt: skip
    return Snapshot(bot, at_us, balance, realized, value, int(count) if count else None, rate, _left(item, shape))


def digest_of(item: Any) -> str:
    """The same for items that mean the same, however they are written: the name of one that has no id."""
    return hashlib.sha256(written(_meaning(item)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _meaning(value: Any) -> Any:
    """Keys in order, numbers in one form (2.40 and 24e-1 are 2.4)."""
    if type(value) is Number:
        return Number(str(Decimal(value).normalize())) if len(value) <= 300 else value
    if isinstance(value, dict):
        return {key: _meaning(value[key]) for key in sorted(value)}
    return [_meaning(part) for part in value] if isinstance(value, list) else value


def _form_of(item: dict[str, Any]) -> tuple[str, str, str]:
    """The form, LONG or SHORT, and entry or exit. Raises Refused."""
    action, kind = word_of(item.get("action")), word_of(item.get("trade_type"))
    if action in DIRECTIONS:
        said = _KINDS.get(word_of(item.get("side"))) or _KINDS.get(kind)
        if said:
            return arena_shape.AUDIT, action, said
    if kind in DIRECTIONS and action in ("OPEN", "CLOSE"):
        return arena_shape.OPEN_CLOSE, kind, _KINDS[action]
    direction = word_of(item.get("type"))
    if direction in DIRECTIONS:
        closing = _either(item, *_EXIT)
        is_exit = closing is not None and bool(amount_of(closing, "exitPrice").strip("0."))
        return arena_shape.POSITION, direction, "exit" if is_exit else "entry"
    raise Refused("It does not say LONG or SHORT and entry or exit in a form that is known.")


def _prices(item: dict[str, Any], form: str, kind: str) -> tuple[str, str | None]:
    """The price of the execution, and that of entering what it touches. Raises Refused."""
    price = None if form == arena_shape.POSITION else item.get("price")
    told = _either(item, *_ENTRY)
    if kind == "entry":
        executed = positive_of(told if price is None else price, "price")
        return executed, executed
    executed = positive_of(_either(item, *_EXIT) if price is None else price, "price")
    return executed, None if told is None else positive_of(told, "entryPrice")


def _left(item: dict[str, Any], shape: dict[str, Any], form: str = arena_shape.AUDIT) -> str | None:
    extra = leftover(item, shape, form=form)
    return None if extra is None else written(extra)


def _either(item: dict[str, Any], *keys: str) -> Any:
    return next((item[key] for key in keys if item.get(key) is not None), None)


def _optional(item: dict[str, Any], *keys: str) -> str | None:
    value = _either(item, *keys)
    return None if value is None else amount_of(value, keys[0])


def _moment(item: dict[str, Any]) -> int:
    value = _either(item, *_AT)
    if value is None:
        raise Refused("It has no timestamp.")
    return moment_of(value, "timestamp")


def _moment_or_none(item: dict[str, Any]) -> int | None:
    value = _either(item, *_OPENED_AT)
    try:
        return None if value is None else moment_of(value, "openedAt")
    except Refused:
        return None


@lru_cache(maxsize=8192)
def _quantity(size: str, leverage: str, price: str) -> str:
    exact = quantity_of(size=Decimal(size), leverage=Decimal(leverage), price=Decimal(price))
    if not 0 < exact < _LIMIT:
        raise Refused("size x leverage / price is no quantity that can be stored.")
    return format(exact, "f")


def _text(value: Any, name: str) -> str:
    if type(value) is not str or not value:
        raise Refused(f"It has no {name}." if value is None else f"Its {name} is no text.")
    return value


def _storable(value: Any) -> list[Any]:
    """A list that a JSON column can hold."""
    if not can_be_held(value):
        return []
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
