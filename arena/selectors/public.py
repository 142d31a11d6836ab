"""What anybody may see of the arena, without signing in.

The only reads of tenants' rows that no key asked for: in a transaction that may write nothing and lasts a few seconds at
most, of rows that ``public_sql.PUBLIC`` lets through. docs/arena.md says what is public and what never is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from arena.rules.statuses import BarSpan
from arena.selectors import public_sql as sql
from ground.errors import NotFound
from ground.http import ExactJSONDecoder
from ground.keyset import Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one
from ledger.rules.periods import period_begin
from ledger.rules.words import Period

NOBODY = Scope(actor="public:arena", can_manage=False)
"""Every tenant's rows, since the public arena is made of them; that it stays with public ones is the statements' doing."""

BOTS_A_PAGE = 100
CURVES = 20  # more lines in one chart tell nobody anything
NEWS = 24
DECISIONS = 20
TRADES = 30
MOST_BARS = 1500
MOST_MARKS = 500
_LOOKED_AT = 2000  # newest turns of all, among which are those of public bots
_LONGEST_S = "5s"
_ONLY_READS = "SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', %s, true)"

# How far each range goes back, and the bars it is drawn with.
RANGES: Mapping[Period, tuple[timedelta, BarSpan]] = {
    Period.DAILY: (timedelta(days=1), BarSpan.FIVE_MINUTES),
    Period.WEEKLY: (timedelta(days=7), BarSpan.HOUR),
    Period.MONTHLY: (timedelta(days=30), BarSpan.HOUR),
    Period.ALL_TIME: (timedelta(days=62), BarSpan.HOUR),
}
BAR_LENGTHS = {BarSpan.FIVE_MINUTES: timedelta(minutes=5), BarSpan.HOUR: timedelta(hours=1)}
_NOT_THERE = "There is no public bot of that id."


@dataclass(frozen=True, slots=True)
class Line:
    """A bot's line on the board, in the order of the statement."""

    id: UUID
    name: str
    model: str
    kind: str  # of provider; empty: it has none
    state: str  # plays, paused, halted, stopped
    currency: str | None
    equity: Decimal | None
    start_value: Decimal | None
    profit: Decimal | None
    return_pct: Decimal | None
    total_trades: int | None
    win_rate: Decimal | None
    max_drawdown: Decimal | None
    sharpe_ratio: Decimal | None
    opened_at: datetime | None
    total: int
    rank: int | None


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as it is on record; ``prompt`` is its version's number, never its text."""

    bot_id: UUID
    bot_name: str
    id: UUID
    decided_at: datetime
    decisions: Any
    notes: Any
    is_success: bool
    turn: int | None
    turn_status: str | None
    prompt: int | None


@dataclass(frozen=True, slots=True)
class BotFigures:
    """A public bot as it stands."""

    id: UUID
    name: str
    model: str
    kind: str
    state: str
    currency: str | None
    balance: Decimal | None
    equity: Decimal | None
    unrealized: Decimal | None
    capital: Decimal | None
    opened_at: datetime | None
    symbols: list[str]  # empty: all of the arena
    turn_interval_s: int
    min_size: Decimal
    max_leverage: Decimal
    max_open_positions: int
    max_exposure_ratio: Decimal
    max_drawdown_ratio: Decimal
    cooldown_minutes: int
    is_advanced: bool
    next_turn_at: datetime
    turns: int
    began_at: datetime
    prompt: int | None
    trades: int
    fees: Decimal | None
    exchange: str


@dataclass(frozen=True, slots=True)
class Candles:
    """All oldest first."""

    bars: list[tuple[Any, ...]]  # (seconds, open, high, low, close)
    trades: list[tuple[Any, ...]]  # (seconds of its bar, direction, entry or exit, price, pnl, cause)
    held: list[tuple[Any, ...]]  # (entry price, stop-loss, take-profit, liquidation price) of what is open


Points = list[tuple[int, Decimal]]
"""(seconds since 1970, equity), oldest first."""


def is_public() -> bool:
    """Whether an operator lets anybody watch."""
    with _reading():
        return _is_public()


def board(*, period: Period, page: int, now: datetime) -> tuple[list[Line], dict[UUID, Points], list[Decided]]:
    """A page of the leaderboard, the curve of each bot on it, and the newest decisions of all. Raises NotFound."""
    with _reading():
        _must_be_public()
        lines = _lines(period, page, BOTS_A_PAGE)
        curves = _curves(lines, period, points=32, now=now)
        news = fetch_all(sql.NEWS, {"looked_at": _LOOKED_AT, "most": NEWS})
    return lines, curves, [_decided(row) for row in news]


def leaders(*, period: Period, now: datetime) -> tuple[list[Line], dict[UUID, Points]]:
    """The first bots of the board with their curves in detail. Raises NotFound."""
    with _reading():
        _must_be_public()
        lines = _lines(period, 1, CURVES)
        return lines, _curves(lines, period, points=150, now=now)


def bot_page(bot_id: UUID, *, now: datetime) -> dict[str, Any]:
    """Everything of a bot's page but its charts. Raises NotFound, the same for what is not there and not public."""
    with _reading():
        figures = _bot(bot_id)
        params = {"bot": bot_id, "now": now, "today": now.astimezone(UTC).date(), "most": TRADES}
        decided, more = _decisions(bot_id, Page(limit=DECISIONS))
        return {
            "bot": figures,
            "periods": {row[0]: row[1:] for row in fetch_all(sql.PERIODS, params)},
            "positions": fetch_all(sql.POSITIONS, params),
            "trades": fetch_all(sql.TRADES, params),
            "decisions": decided,
            "more": more,
            "spent": fetch_one(sql.SPENT, params),
            "tokens": fetch_one(sql.TOKENS, params),
            "symbols": _symbols(figures),
        }


def decisions(bot_id: UUID, page: Page) -> tuple[BotFigures, list[Decided], str | None]:
    """The bot, a page of its decisions, and where the next page begins. Raises NotFound, InvalidInput."""
    with _reading():
        figures = _bot(bot_id)
        return figures, *_decisions(bot_id, page)


def equity(bot_id: UUID, *, period: Period, now: datetime) -> tuple[BotFigures, Points]:
    """The bot's curve, with what it is worth now at its end. Raises NotFound."""
    with _reading():
        one = _bot(bot_id)
        found = _points([(one.id, one.opened_at)], period, points=300, now=now).get(one.id, [])
        is_new = one.opened_at is not None and one.opened_at > period_begin(period, now=now)
        begin = (one.opened_at, one.capital) if one.opened_at and is_new else None
        return one, _whole(found, begin, one.equity, now=now)


def candles(bot_id: UUID, *, symbol: str, period: Period, now: datetime) -> Candles:
    """A market of the arena, and what the bot traded and holds of it. Raises NotFound."""
    with _reading():
        params = _market_params(bot_id, symbol, period, now=now)
        bars = fetch_all(sql.BARS, {**params, "most": MOST_BARS})
        marks = fetch_all(sql.MARKS, {**params, "most": MOST_MARKS})
        return Candles(bars[::-1], marks[::-1], fetch_all(sql.LEVELS, params))


def newest_bars(bot_id: UUID, *, symbol: str, period: Period, count: int, now: datetime) -> list[tuple[Any, ...]]:
    """(seconds, open, high, low, close) of the newest bars, oldest first. Raises NotFound."""
    with _reading():
        params = _market_params(bot_id, symbol, period, now=now)
        return fetch_all(sql.BARS, {**params, "most": count})[::-1]


def _market_params(bot_id: UUID, symbol: str, period: Period, *, now: datetime) -> dict[str, Any]:
    back, span = RANGES[period]
    if symbol not in _symbols(_bot(bot_id)):
        raise NotFound(_NOT_THERE)
    return {"bot": bot_id, "symbol": symbol, "span": str(span), "since": now - back, "step": BAR_LENGTHS[span]}


@contextmanager
def _reading() -> Iterator[None]:
    with NOBODY.transaction():
        fetch_one(_ONLY_READS, [_LONGEST_S])
        yield


def _is_public() -> bool:
    return bool((fetch_one(sql.IS_PUBLIC) or (False,))[0])


def _must_be_public() -> None:
    if not _is_public():
        raise NotFound("The arena is not public.")


def _lines(period: Period, page: int, most: int) -> list[Line]:
    rows = fetch_all(sql.BOARD, {"period": str(period), "most": most, "skip": (page - 1) * most})
    return [Line(*row) for row in rows]


def _bot(bot_id: UUID) -> BotFigures:
    row = fetch_one(sql.BOT, {"bot": bot_id})
    if row is None:
        raise NotFound(_NOT_THERE)
    return BotFigures(*row)


def _decisions(bot_id: UUID, page: Page) -> tuple[list[Decided], str | None]:
    after = {"after_id": None, "after_at": None, **page.after()}
    rows = fetch_all(sql.DECISIONS, {"bot": bot_id, "most": page.limit + 1, **after})
    shown = [_decided(row) for row in rows[: page.limit]]
    more = encode_cursor(shown[-1].decided_at.isoformat(), shown[-1].id) if len(rows) > page.limit else None
    return shown, more


def _decided(row: tuple[Any, ...]) -> Decided:
    bot_id, name, decision_id, at, decisions, notes, *rest = row
    return Decided(bot_id, name, decision_id, at, _json(decisions), _json(notes), *rest)


def _json(text: str) -> Any:
    return json.loads(text, cls=ExactJSONDecoder)


def _symbols(one: BotFigures) -> list[str]:
    found = fetch_all(sql.SYMBOLS, {"bot": one.id, "exchange": one.exchange, "symbols": one.symbols})
    return [row[0] for row in found]


def _curves(lines: Sequence[Line], period: Period, *, points: int, now: datetime) -> dict[UUID, Points]:
    found = _points([(one.id, one.opened_at) for one in lines], period, points=points, now=now)
    since = period_begin(period, now=now)
    begins = {one.id: (max(since, one.opened_at or now), one.start_value) for one in lines}
    return {one.id: _whole(found.get(one.id, []), begins[one.id], one.equity, now=now) for one in lines}


def _points(
    bots: Sequence[tuple[UUID, datetime | None]], period: Period, *, points: int, now: datetime
) -> dict[UUID, Points]:
    """Recorded equity since the period began. Hours and days are read where they are fine enough: they are far fewer."""
    began = min((at for _, at in bots if at is not None), default=now)
    since = max(period_begin(period, now=now), began)
    length = max(now - since, timedelta(minutes=points))
    params: dict[str, Any] = {"bots": [bot for bot, _ in bots], "since": since, "step": length / points}
    if length <= timedelta(days=2):
        rows = fetch_all(sql.CURVES_OF_SNAPSHOTS, params)
    else:
        rows = fetch_all(sql.CURVES_OF_BUCKETS, {**params, "span": "hour" if length <= timedelta(days=31) else "day"})
    found: dict[UUID, Points] = {}
    for bot_id, at, value in rows:
        found.setdefault(bot_id, []).append((at, value))
    return found


def _whole(
    points: Points, begin: tuple[datetime, Decimal | None] | None, equity: Decimal | None, *, now: datetime
) -> Points:
    """With what it began with before, and what it is worth now behind."""
    last = int(now.timestamp())
    first = int(begin[0].timestamp()) if begin else 0
    head = [(first, begin[1])] if begin and begin[1] is not None else []
    inner = [(at, value) for at, value in points if first < at < last]
    return [*head, *inner, *([(last, equity)] if equity is not None else [])]
