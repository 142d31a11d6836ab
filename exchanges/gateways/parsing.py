"""From ccxt's unified dictionaries to our types. What cannot be believed is refused, never guessed.

Every function raises ``Unreadable`` with a few words of our own when a value is missing or makes no sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from exchanges.types import Balance, Candle, OpenOrder, Side, Ticker, Trade

Row = Mapping[str, Any]

_EARLIEST_MS = 1_230_768_000_000  # 2009-01-01: no execution is older than Bitcoin
_LATEST_MS = 4_102_444_800_000  # 2100-01-01
_TOO_BIG = Decimal("1e20")  # numeric(38,18) holds no more
_MAX_ID_LENGTH = 200

# What stands beside the currencies in ccxt's balance.
_NO_CURRENCIES = frozenset({"info", "free", "used", "total", "debt", "timestamp", "datetime"})

# Where exchanges keep the caller's own order id in a trade's row, if they say it.
_CLIENT_ORDER_IDS = (
    "clientOrderId",
    "clOrdId",
    "clientOid",
    "orderLinkId",
    "client_order_id",
    "client_oid",
    "cliOrdId",
    "cl_ord_id",
    "clientOrderID",
    "cloid",
)


# Rows that some exchanges list among executions though nobody traded: funding payments, settlements, transfers.
_KIND_WORDS = frozenset(
    "exectype tradetype type filltype category subtype tradekind recordtype dir bustype kind reason".split()
)
_NO_EXECUTIONS = frozenset(
    "funding fundingfee fundingrate fundingpayment settlefunding fundingsettlement settle settlement delivery transfer"
    " sessionsettlepnl moveposition interest rebate".split()
)

# What ccxt calls an order that is no longer in the book, should it list one.
_OVER = frozenset({"closed", "canceled", "cancelled", "expired", "rejected"})


class Unreadable(Exception):
    """A value in an answer is missing or impossible."""


def is_execution(row: Row) -> bool:
    """Whether somebody traded. A funding payment has a price, a quantity and a time too, yet proves no activity."""
    info = row.get("info")
    if not isinstance(info, Mapping):
        return True
    kinds = (value for key, value in info.items() if _letters(key) in _KIND_WORDS)
    return not any(isinstance(kind, str) and _letters(kind) in _NO_EXECUTIONS for kind in kinds)


def _letters(text: Any) -> str:
    return "".join(char for char in str(text).lower() if char.isalpha())


def trade(row: Row, market: Row, symbol: str) -> Trade:
    """One execution. ``market`` is ccxt's, for the size of a contract; ``symbol`` is how we name the pair."""
    identity = _text(row.get("id"))
    if not identity or len(identity) > _MAX_ID_LENGTH:
        raise Unreadable("a trade without an id")
    price = _positive(row.get("price"), "price")
    quantity, notional = _sizes(row, market, price)
    fee, fee_currency = _fee(row)
    return Trade(
        exchange_trade_id=identity,
        order_id=_text(row.get("order")),
        client_order_id=_client_order_id(row),
        symbol=symbol,
        side=_side(row.get("side")),
        price=price,
        quantity=quantity,
        notional=notional,
        fee=fee,
        fee_currency=fee_currency,
        executed_at=_instant(row.get("timestamp")),
    )


def ticker(row: Row, symbol: str) -> Ticker:
    """What a market shows. Without a last price there is no ticker."""
    percentage = number_or_none(row.get("percentage"))
    return Ticker(
        symbol=symbol,
        last=_positive(row.get("last"), "last price"),
        bid=_price_or_none(row.get("bid")),
        ask=_price_or_none(row.get("ask")),
        change_24h_ratio=None if percentage is None else percentage / 100,
        volume_24h=number_or_none(row.get("baseVolume")),
        quote_volume_24h=number_or_none(row.get("quoteVolume")),
        observed_at=None if row.get("timestamp") is None else _instant(row["timestamp"]),
    )


def candle(row: Any) -> Candle:
    """One bar: when it began, open, high, low, close, and whatever stands behind."""
    if not isinstance(row, list | tuple) or len(row) < 5:
        raise Unreadable("a candle that is none")
    first, high, low, last = (_positive(value, "price of a candle") for value in row[1:5])
    if not low <= min(first, last) <= max(first, last) <= high:
        raise Unreadable("a candle whose prices contradict each other")
    return Candle(_instant(row[0]), first, high, low, last)


def is_in_book(row: Row) -> bool:
    """Whether an order of a list of open ones is open: some exchanges list those that just ended."""
    return row.get("status") not in _OVER


def order(row: Row, market: Row, symbol: str) -> OpenOrder:
    """One order in the book. Without an id and a side it cannot be believed; a price it may lack."""
    identity = _text(row.get("id"))
    if not identity or len(identity) > _MAX_ID_LENGTH:
        raise Unreadable("an order without an id")
    price = _price_or_none(row.get("price"))
    return OpenOrder(
        order_id=identity,
        client_order_id=_client_order_id(row),
        symbol=symbol,
        side=_side(row.get("side")),
        price=price,
        quantity=_base_or_none(row.get("amount"), market, price),
        filled=_base_or_none(row.get("filled"), market, price),
        placed_at=None if row.get("timestamp") is None else _instant(row["timestamp"]),
    )


def _base_or_none(value: Any, market: Row, price: Decimal | None) -> Decimal | None:
    amount = number_or_none(value)
    if amount is None or amount < 0 or not market.get("contract"):
        return amount if amount is None or amount >= 0 else None
    contract_size = market.get("contractSize")
    worth = amount * (Decimal(1) if contract_size is None else _positive(contract_size, "contract size"))
    if not market.get("inverse"):
        return worth
    return worth / price if price else None


def balances(unified: Row) -> dict[str, Balance]:
    """Every currency the answer names, zeros included, by its code."""
    found = {}
    for currency, about in unified.items():
        if currency in _NO_CURRENCIES or not isinstance(about, dict):
            continue
        free, used, total = (number_or_none(about.get(word)) for word in ("free", "used", "total"))
        found[currency] = _balance(currency, free, used, total)
    return found


def _balance(currency: str, free: Decimal | None, used: Decimal | None, total: Decimal | None) -> Balance:
    if total is None and free is not None:
        total = free + (used or 0)
    if free is None and total is not None:
        free = total - (used or 0)
    if free is None or total is None:
        raise Unreadable("a balance without an amount")
    return Balance(currency, free, total - free if used is None else used, total)


def _sizes(row: Row, market: Row, price: Decimal) -> tuple[Decimal, Decimal]:
    """Base quantity and quote notional; exchanges count contracts, whose size the market tells."""
    amount = _positive(row.get("amount"), "quantity")
    if not market.get("contract"):
        cost = number_or_none(row.get("cost"))
        return amount, cost if cost is not None and cost > 0 else amount * price
    contract_size = market.get("contractSize")
    value = amount * (Decimal(1) if contract_size is None else _positive(contract_size, "contract size"))
    if market.get("inverse"):  # a contract is worth so much quote, not base
        return value / price, value
    return value, value * price


def _fee(row: Row) -> tuple[Decimal | None, str | None]:
    listed = [fee for fee in row.get("fees") or [] if isinstance(fee, dict)]
    for fee in [row.get("fee") or {}, *listed]:
        cost = number_or_none(fee.get("cost"))
        if cost is not None:
            return cost, _text(fee.get("currency"))
    return None, None


def _client_order_id(row: Row) -> str | None:
    own = _text(row.get("clientOrderId"))
    info = row.get("info")
    if own or not isinstance(info, dict):
        return own
    named = next((text for name in _CLIENT_ORDER_IDS if (text := _text(info.get(name)))), None)
    custom = _text(info.get("text"))  # Gate's, where a caller's own text starts with "t-"
    return named or (custom if custom and custom.startswith("t-") else None)


def _side(value: Any) -> Side:
    if value not in (Side.BUY, Side.SELL):
        raise Unreadable("a row without a side")
    return Side(value)


def _instant(value: Any) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unreadable("a row without a time")
    milliseconds = _number(value, "time")
    if not _EARLIEST_MS < milliseconds < _LATEST_MS:
        raise Unreadable("a time that cannot be")
    seconds, rest = divmod(int(milliseconds), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bool | dict | list):
        return None
    return str(value).strip().replace("\0", "") or None


def _number(value: Any, what: str) -> Decimal:
    if value is None or isinstance(value, bool | dict | list):
        raise Unreadable(f"no {what}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Unreadable(f"a {what} that is no number") from None
    if not number.is_finite() or abs(number) >= _TOO_BIG:
        raise Unreadable(f"a {what} that cannot be")
    return number


def _positive(value: Any, what: str) -> Decimal:
    number = _number(value, what)
    if number <= 0:
        raise Unreadable(f"a {what} that is not positive")
    return number


def number_or_none(value: Any) -> Decimal | None:
    return None if value is None else _number(value, "number")


def _price_or_none(value: Any) -> Decimal | None:
    """A bid or ask; exchanges write 0 where a side of the book is empty."""
    number = number_or_none(value)
    return number if number is not None and number > 0 else None
