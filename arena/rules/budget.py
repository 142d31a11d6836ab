"""What calls of models cost: prices, what is set aside before a call, what is booked after it. US dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_UP, Decimal, InvalidOperation
from typing import Any

from arena.rules.statuses import CallStatus

ANY_MODEL = "*"
MOST_PRICE = Decimal(100_000)  # USD per million tokens; more is a slip of the pen
_PER = Decimal(1_000_000)
_PLACES = Decimal("0.0000000001")  # the columns'


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True)
class Settled:
    """How a call ended. ``cost`` None: not known, and then ``spent`` is the estimate."""

    status: CallStatus
    cost: Decimal | None
    spent: Decimal


def check_prices(value: Any) -> dict[str, dict[str, Decimal]]:
    """The price table as it is stored: model (or "*") to input and output. Raises ValueError with a sentence."""
    if not isinstance(value, Mapping):
        raise ValueError('Prices look like {"gpt-x": {"input": 1.25, "output": 10}}.')
    return {str(model)[:200]: _checked(str(model), row) for model, row in value.items()}


def price_of(prices: Mapping[str, Any], model: str) -> Price | None:
    """Of this model, else of any; None where the table has neither."""
    row = prices.get(model) or prices.get(ANY_MODEL)
    if not isinstance(row, Mapping) or "input" not in row or "output" not in row:
        return None
    return Price(Decimal(str(row["input"])), Decimal(str(row["output"])))


def cost_of(price: Price, *, input_tokens: int, output_tokens: int) -> Decimal:
    """Rounded up to what the columns hold."""
    exact = (price.input * input_tokens + price.output * output_tokens) / _PER
    return exact.quantize(_PLACES, rounding=ROUND_UP)


def settle(
    *,
    price: Price | None,
    estimate: Decimal,
    input_tokens: int | None,
    output_tokens: int | None,
    has_reply: bool,
    may_have_cost: bool,
) -> Settled:
    """What is booked for a call. One that may have been carried out and does not tell its tokens counts as estimated."""
    if not may_have_cost:
        return Settled(CallStatus.FAILED, Decimal(0), Decimal(0))
    status = CallStatus.ANSWERED if has_reply else CallStatus.LOST
    if not has_reply or price is None or input_tokens is None or output_tokens is None:
        return Settled(status, None, estimate)
    cost = cost_of(price, input_tokens=input_tokens, output_tokens=output_tokens)
    return Settled(status, cost, cost)


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def month_of(moment: datetime) -> date:
    return day_of(moment).replace(day=1)


def _checked(model: str, row: Any) -> dict[str, Decimal]:
    if not model.strip() or not isinstance(row, Mapping) or set(row) != {"input", "output"}:
        raise ValueError(
            'A price has an input and an output, in USD per million tokens: {"input": 1.25, "output": 10}.'
        )
    return {side: _figure(model, side, row[side]) for side in ("input", "output")}


def _figure(model: str, side: str, value: Any) -> Decimal:
    try:
        figure = Decimal(str(value))
    except InvalidOperation:
        figure = Decimal("NaN")
    if isinstance(value, bool) or not figure.is_finite() or not 0 <= figure <= MOST_PRICE:
        raise ValueError(f"The {side} price of {model} must be a number from 0 to {MOST_PRICE:,}.")
    return figure
