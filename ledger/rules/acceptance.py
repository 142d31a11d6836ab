"""Which reported executions the ledger can hold, and in what form."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from exchanges.symbols import base_quote, normalize
from exchanges.types import Trade
from ground.errors import InvalidInput
from ledger.rules.pnl import amount
from ledger.types import NewExecution

MOST = Decimal(10) ** 18  # of a price or a quantity; sums of many of these fit a money column
MOST_WORTH = Decimal(10) ** 15  # in quote
LONGEST_ID = 100
LONGEST_CURRENCY = 20
LONGEST_EXCHANGE = 64
LEVERAGE_STEP = Decimal("0.0001")
MOST_LEVERAGE = Decimal(1000)


def accept(execution: NewExecution) -> NewExecution:
    """The execution as the tables hold it: numbers rounded to 18 decimals. Raises InvalidInput with the reason."""
    trade = execution.trade
    _names(execution)
    if trade.executed_at.tzinfo is None:
        raise InvalidInput("Its time has no time zone.")
    if not execution.leverage.is_finite() or not LEVERAGE_STEP <= execution.leverage <= MOST_LEVERAGE:
        raise InvalidInput("Its leverage is not a positive number.")
    price, quantity = _number("price", trade.price), _number("quantity", trade.quantity)
    if price * quantity >= MOST_WORTH:
        raise InvalidInput("Its worth is too large to be right.")
    fee = None if trade.fee is None else _fee(trade.fee)
    if fee and abs(fee) >= quantity and trade.fee_currency == base_quote(trade.symbol)[0]:
        raise InvalidInput("Its fee is as large as what it traded.")
    held = replace(trade, price=price, quantity=quantity, fee=fee, fee_currency=_fee_currency(trade))
    return replace(execution, leverage=execution.leverage.quantize(LEVERAGE_STEP), trade=held)


def _names(execution: NewExecution) -> None:
    trade = execution.trade
    if not 0 < len(trade.exchange_trade_id) <= LONGEST_ID or len(trade.order_id or "") > LONGEST_ID:
        raise InvalidInput("It has no id, or one that is too long.")
    if len(execution.exchange) > LONGEST_EXCHANGE:
        raise InvalidInput("Its exchange is no exchange's name.")
    if "\0" in trade.exchange_trade_id + (trade.order_id or "") + (trade.fee_currency or ""):
        raise InvalidInput("One of its texts holds a NUL character.")
    if normalize(trade.symbol) != trade.symbol:
        raise InvalidInput("Its symbol is not written as BASE/QUOTE.")
    if len(trade.fee_currency or "") > LONGEST_CURRENCY:
        raise InvalidInput("The currency of its fee is no currency's name.")


def _number(name: str, value: Decimal) -> Decimal:
    if not value.is_finite() or not 0 < value < MOST:
        raise InvalidInput(f"Its {name} is not a positive number.")
    rounded = amount(value)
    if not rounded:
        raise InvalidInput(f"Its {name} is too small to be held.")
    return rounded


def _fee(fee: Decimal) -> Decimal:
    if not fee.is_finite() or abs(fee) >= MOST_WORTH:
        raise InvalidInput("Its fee is not a number that a fee can be.")
    return amount(fee)


def _fee_currency(trade: Trade) -> str:
    return "" if trade.fee is None else trade.fee_currency or ""
