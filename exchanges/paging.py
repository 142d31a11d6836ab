"""How far back exchanges let one page through an account's own trades, and what one page of them proves.

One call gives a page: an unbroken stretch of the history, from the oldest trade on ("oldest first") or back from the
newest one ("newest first"). A full page may have been cut; which end is then missing, only the exchange's habit tells.
Where it is not known, the stretch asked for is halved until a page is not full, which proves that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from exchanges.types import MarketType

Stretch = tuple[datetime, datetime]  # from and until, both inclusive

_TICK = timedelta(milliseconds=1)
# Exchanges that count whole seconds get the next one; a stretch stays that much below what they allow.
_SLACK = timedelta(seconds=2)
_NARROWEST = timedelta(seconds=1)
_MAX_PAGE = 1000
_UNTOLD_PAGE = 100
_UNTOLD_FULL = 20  # exchanges give fewer than they are asked for; few give less than this


class PageOrder(StrEnum):
    """Which end of a stretch a page that was cut still holds."""

    NEWEST_FIRST = "newest_first"  # the newest trades before its end
    OLDEST_FIRST = "oldest_first"  # the oldest trades after its beginning
    UNTOLD = "untold"  # not known


@dataclass(frozen=True, slots=True)
class PagingHabit:
    order: PageOrder = PageOrder.UNTOLD
    page: int = _UNTOLD_PAGE  # rows to ask for
    full_from: int = _UNTOLD_FULL  # so many rows may be a page that was cut
    longest: timedelta | None = None  # between from and until of one call; None: as long as one likes
    takes_until: bool = False  # else a call only says from when on
    keeps: timedelta | None = None  # how far back trades can be asked for at all


_NEWEST, _OLDEST = PageOrder.NEWEST_FIRST, PageOrder.OLDEST_FIRST
_WEEK = timedelta(days=7)


def _newest(page: int, full_from: int | None = None, **more: Any) -> PagingHabit:
    return PagingHabit(_NEWEST, page, full_from or page, takes_until=True, **more)


# Seen in the exchanges' documentation of the call behind ccxt's fetchMyTrades.
_HABITS: dict[tuple[str, MarketType], PagingHabit] = {
    # GET /api/v3/myTrades: from startTime on the oldest come first, and without endTime no stretch is too long.
    ("binance", MarketType.SPOT): PagingHabit(_OLDEST, 1000, 1000),
    ("binanceus", MarketType.SPOT): PagingHabit(_OLDEST, 1000, 1000),
    # GET /fapi/v1/userTrades: a week at most; trades of six months.
    ("binance", MarketType.SWAP): PagingHabit(_OLDEST, 1000, 1000, _WEEK, True, timedelta(days=180)),
    ("binanceusdm", MarketType.SWAP): PagingHabit(_OLDEST, 1000, 1000, _WEEK, True, timedelta(days=180)),
    # GET /api/v1/fills gives 50 whatever ccxt is asked for, /api/v1/hf/fills at most 100; a week at most.
    ("kucoin", MarketType.SPOT): _newest(100, 50, longest=_WEEK),
    ("kucoin", MarketType.SWAP): _newest(100, 50, longest=_WEEK),
    ("kucoinfutures", MarketType.SWAP): _newest(100, 50, longest=_WEEK),
    # GET /api/v4/spot/my_trades and /futures/{settle}/my_trades_timerange: from and to in seconds, 30 days at most.
    ("gate", MarketType.SPOT): _newest(1000, longest=timedelta(days=30)),
    ("gate", MarketType.SWAP): _newest(1000, longest=timedelta(days=30)),
    # GET /api/v5/trade/fills-history: at most 100, of three months.
    ("okx", MarketType.SPOT): _newest(100, keeps=timedelta(days=90)),
    ("okx", MarketType.SWAP): _newest(100, keeps=timedelta(days=90)),
    # GET /v5/execution/list: at most 100, a week at most, of two years.
    ("bybit", MarketType.SPOT): _newest(100, longest=_WEEK, keeps=timedelta(days=730)),
    ("bybit", MarketType.SWAP): _newest(100, longest=_WEEK, keeps=timedelta(days=730)),
    # GET /api/v2/spot/trade/fills: at most 100, 90 days at most; /api/v2/mix/order/fills: a week at most.
    ("bitget", MarketType.SPOT): _newest(100, longest=timedelta(days=90)),
    ("bitget", MarketType.SWAP): _newest(100, longest=_WEEK),
    # POST /0/private/TradesHistory: 50 of every pair together; ccxt sends no end.
    ("kraken", MarketType.SPOT): PagingHabit(_NEWEST, 50, 50),
    # userFillsByTime: at most 2,000, the oldest first.
    ("hyperliquid", MarketType.SPOT): PagingHabit(_OLDEST, 1000, 1000),
    ("hyperliquid", MarketType.SWAP): PagingHabit(_OLDEST, 1000, 1000),
}


def habit_of(exchange: str, market_type: MarketType, features: Mapping[str, Any] | None) -> PagingHabit:
    """The habit of an exchange (a ccxt id); where we have none written down, from what ccxt says of the call."""
    known = _HABITS.get((exchange, market_type))
    if known is not None:
        return known
    said = features or {}
    until_days, days_back = said.get("untilDays"), said.get("daysBack")
    return PagingHabit(
        page=min(int(said.get("limit") or _UNTOLD_PAGE), _MAX_PAGE),
        longest=_days(until_days),
        takes_until=until_days is not None,
        keeps=_days(days_back),
    )


def within_reach(habit: PagingHabit, since: datetime, *, now: datetime) -> datetime:
    """``since``, or the oldest moment that can be asked for, whichever is later."""
    return since if habit.keeps is None else max(since, now - habit.keeps + _SLACK)


def stretch_to_ask(habit: PagingHabit, since: datetime, until: datetime) -> Stretch:
    """The part of the time between that one call can ask for: its end, or its beginning where the oldest come first."""
    if habit.longest is None or until - since <= habit.longest - _SLACK:
        return since, until
    if habit.order == _OLDEST or not habit.takes_until:
        return since, since + habit.longest - _SLACK
    return until - habit.longest + _SLACK, until


def narrower(habit: PagingHabit, asked: Stretch) -> PagingHabit | None:
    """The habit with half the stretch; None when it cannot help or cannot be halved any more."""
    half = (asked[1] - asked[0]) / 2
    if habit.order != PageOrder.UNTOLD or not habit.takes_until or half < _NARROWEST:
        return None
    return replace(habit, longest=half + _SLACK)


def stretch_read(habit: PagingHabit, asked: Stretch, times: Sequence[datetime], rows: int) -> Stretch | None:
    """The part of the stretch of which nothing is missing after this page; None: nothing is certain.

    ``times`` are those of all its rows, also of other pairs; ``rows`` is their number.
    """
    if rows < habit.full_from or not times:
        return asked
    since, until = asked
    oldest, newest = max(min(times), since), min(max(times), until)
    if habit.order == _NEWEST and habit.takes_until:
        return oldest, until
    if habit.order == _OLDEST:
        return since, newest
    if habit.takes_until:
        return None
    if max(times) < until:  # a cut page that ends before the end holds the oldest
        return since, newest
    return (oldest, until) if min(times) <= until else None


def rest_of(wanted: Stretch, read: Stretch) -> Stretch | None:
    """What of the wanted time is left to ask for. Never all of it, so that paging always comes to an end."""
    since, until = wanted
    if read[0] <= since and read[1] >= until:
        return None
    left = (since, min(read[0], until - _TICK)) if read[1] >= until else (max(read[1], since + _TICK), until)
    return left if left[0] <= left[1] else None


def _days(value: Any) -> timedelta | None:
    return None if value is None else timedelta(days=min(float(value), 36_500))
