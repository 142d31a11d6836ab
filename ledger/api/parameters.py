"""What requests to the ledger say in their query: instants, words, switches. Each is refused in a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from clients.api import text
from exchanges import symbols
from ground.errors import InvalidInput
from ledger.selectors.facts import TradeFilters

PAGE_PARAMETERS = [
    OpenApiParameter("limit", int, description="1..500, by default 100."),
    OpenApiParameter("cursor", str, description="`next` of the page before. Any page costs the same."),
    OpenApiParameter("offset", int, description="For pages that count; far offsets are slow, cursors are not."),
]
TRADE_PARAMETERS = [
    OpenApiParameter("symbol", str, description="Any spelling of a pair; the answer repeats yours."),
    OpenApiParameter("action", str, enum=["LONG", "SHORT"], description="Direction of the position that was touched."),
    OpenApiParameter(
        "startDate", str, description="ISO 8601, from then on. A date alone begins at midnight UTC; no zone means UTC."
    ),
    OpenApiParameter(
        "endDate", str, description="ISO 8601, up to and with that instant; a date alone means that whole day in UTC."
    ),
]
_TICK = timedelta(microseconds=1)  # the finest step of a stored instant
_ZONE_LOST_ITS_PLUS = re.compile(r"(T\d\d:\d\d[0-9:.]*) (\d\d:?\d\d)$")  # a + in a query means a space


def trade_filters(request: Request) -> TradeFilters:
    """From ``?symbol&action&startDate&endDate``. Raises InvalidInput."""
    symbol = text(request, "symbol")
    action = one_of_words(request, "action", ("LONG", "SHORT"), default="")
    start_at, end_at = _instant(request, "startDate", is_end=False), _instant(request, "endDate", is_end=True)
    if start_at and end_at and start_at >= end_at:
        raise InvalidInput("startDate must not be after endDate.", fields={"startDate": ["after endDate"]})
    return TradeFilters(
        symbol=symbols.normalize(symbol) if symbol else None,
        symbol_shown=symbol or None,
        action=action or None,
        start_at=start_at,
        end_at=end_at,
    )


def one_of_words(request: Request, name: str, words: Sequence[str], *, default: str) -> str:
    """A query parameter that is one of some words, in any letter case. Raises InvalidInput."""
    given = text(request, name).lower()
    if not given:
        return default
    for word in words:
        if word.lower() == given:
            return word
    raise InvalidInput(f"{name} must be one of {', '.join(words)}.", fields={name: [f"one of {', '.join(words)}"]})


def switch(request: Request, name: str) -> bool:
    """A query parameter that is true or false; without it false. Raises InvalidInput."""
    return one_of_words(request, name, ("true", "false", "1", "0"), default="false") in ("true", "1")


def _instant(request: Request, name: str, *, is_end: bool) -> datetime | None:
    """The first moment of what ``name`` says, or with ``is_end`` the first one after it. Raises InvalidInput."""
    given = text(request, name)
    if not given:
        return None
    try:
        return _read(_ZONE_LOST_ITS_PLUS.sub(r"\1+\2", given), is_end=is_end)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{name} must be a date or an instant in ISO 8601, such as 2026-03-01 or 2026-03-01T12:00:00Z.",
            fields={name: ["ISO 8601"]},
        ) from None


def _read(given: str, *, is_end: bool) -> datetime:
    if len(given) == len("2026-03-01"):
        day = datetime.combine(date.fromisoformat(given), time(), tzinfo=UTC)
        return day + timedelta(days=1) if is_end else day
    moment = datetime.fromisoformat(given)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + _TICK if is_end else moment
