"""Books made again from their executions alone: what is stored otherwise, and putting it right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

from ground.errors import NotFound
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one
from ledger.rules.books import Held
from ledger.rules.pnl import WIDE, ZERO
from ledger.services.book_rows import (
    OWN_POSITIONS,
    OWN_TRADES,
    BookKey,
    DayKey,
    Page,
    PositionRow,
    TradeRow,
    load_days,
    load_page,
)
from ledger.services.books import Owner, Stretch, changes_of_page
from ledger.services.write_books import Changes, write
from ledger.types import Difference, Rebuilt

PAGE = 5000  # executions

_BOTS = "SELECT bot_id FROM bot_accounts WHERE %(bot)s::uuid IS NULL OR bot_id = %(bot)s ORDER BY bot_id"
_ACCOUNT = "SELECT client_id, currency, cash_flow FROM bot_accounts WHERE bot_id = %s FOR NO KEY UPDATE"
_BOOKS = f"""
    SELECT t.market_type, t.symbol FROM trades t WHERE t.bot_id = %(bot)s AND {OWN_TRADES}
     UNION SELECT p.market_type, p.symbol FROM positions p WHERE p.bot_id = %(bot)s AND {OWN_POSITIONS}
     ORDER BY 1, 2
"""  # noqa: S608 - made of constants
_CASH = """
    SELECT a.balance_adjustment + a.realized_pnl_adjustment
           + coalesce((SELECT sum(t.pnl) FROM trades t WHERE t.bot_id = a.bot_id), 0)
           - coalesce((SELECT sum(p.size + p.basis_fees) FROM positions p
                        WHERE p.bot_id = a.bot_id AND p.status = 'open'), 0)
      FROM bot_accounts a WHERE a.bot_id = %s
"""


def bots_with_books(*, scope: Scope, bot_id: UUID | None = None) -> list[UUID]:
    """The bots, or the one, that have an account. Raises NotFound."""
    with scope.transaction():
        found = [row[0] for row in fetch_all(_BOTS, {"bot": bot_id})]
    if bot_id and not found:
        raise NotFound("There is no bot of this id with an account.")
    return found


def rebuild_books(*, scope: Scope, bot_id: UUID, now: datetime, fix: bool = False) -> Rebuilt:
    """Book every execution of a bot's exchanges again, compare all that follows, and with ``fix`` put right what differs.

    Its account is locked meanwhile, so nothing moves under it. Imported rows have no executions to follow from and stay
    as they are; the balance counts them. Holds some thousand executions in memory, however long the book.
    """
    with scope.transaction(reason="books made again"):
        account = fetch_one(_ACCOUNT, [bot_id])
        if account is None:
            return Rebuilt(0, 0, (), is_repaired=False)
        owner, cash_flow = Owner(account[0], account[1]), account[2]
        rebuilt = _Rebuilding(owner, bot_id)
        for market_type, symbol in fetch_all(_BOOKS, {"bot": bot_id}):
            rebuilt.book(BookKey(bot_id, market_type, symbol))
        rebuilt.balance(cash_flow)
        is_repaired = bool(rebuilt.differences) and fix
        if is_repaired:
            write(rebuilt.changes, now=now)
        return Rebuilt(rebuilt.trades, rebuilt.positions, tuple(rebuilt.differences), is_repaired)


class _Rebuilding:
    """The books of one bot, one after the other."""

    def __init__(self, owner: Owner, bot_id: UUID) -> None:
        self.owner, self.bot_id = owner, bot_id
        self.changes, self.differences = Changes(), list[Difference]()
        self.trades = self.positions = 0

    def book(self, key: BookKey) -> None:
        """From its beginning, page by page, each going on with what the one before left open."""
        held: Held | None = None
        left_open: dict[UUID, PositionRow] = {}
        page: Page | None = None
        while page is None or page.until:
            since = page.until if page else None
            page = load_page(key, after=since, size=PAGE)
            positions = page.positions | left_open
            stretch = Stretch(key, self.owner, {}, page.trades, positions, held)
            found, held = changes_of_page(stretch, is_last=page.until is None)
            left_open = {held.id: positions[held.id]} if held and held.id in positions else {}
            self._note(found, page.trades, positions)
            self._days(found, load_days(key, after=since, until=page.until))
            self.positions += len(page.positions)

    def _note(self, found: Changes, trades: Sequence[TradeRow], positions: Mapping[UUID, PositionRow]) -> None:
        self.trades += len(trades)
        self.differences += _trade_differences(found.changed_trades, trades)
        self.differences += _position_differences(found, positions)
        self.changes.changed_trades += found.changed_trades
        self.changes.positions += found.positions
        self.changes.gone_positions += found.gone_positions
        with localcontext(WIDE):
            self.changes.move_cash(self.bot_id, found.cash.get(self.bot_id, ZERO))

    def _days(self, found: Changes, kept: Mapping[DayKey, Mapping[str, Decimal]]) -> None:
        """The beginnings of days of one page."""
        again = {(columns["position_id"], columns["day_at"]): columns for columns in found.days}
        for (id_, at), state in kept.items():
            if (id_, at) not in again:
                self.changes.gone_days.append({"position_id": id_, "since": at, "until": at})
                self.differences.append(Difference("position_days", id_, "", _text(at), ""))
            elif any(again[id_, at][name] != value for name, value in state.items()):
                self.differences.append(Difference("position_days", id_, "", _text(at), "another state"))
                self.changes.days.append(again[id_, at])
        for (id_, at), columns in again.items():
            if (id_, at) not in kept:
                self.differences.append(Difference("position_days", id_, "", "", _text(at)))
                self.changes.days.append(columns)

    def balance(self, cash_flow: Decimal) -> None:
        """The account against everything that moves it, as it will be once the books are right."""
        (stored,) = fetch_one(_CASH, [self.bot_id]) or (ZERO,)
        with localcontext(WIDE):
            moved = self.changes.cash.get(self.bot_id, ZERO)
            expected = stored + moved
            self.changes.cash = {self.bot_id: expected - cash_flow}
        if expected != cash_flow:
            self.differences.append(
                Difference("bot_accounts", self.bot_id, "cash_flow", _text(cash_flow), _text(expected))
            )


def _trade_differences(changed: Sequence[Mapping[str, Any]], trades: Sequence[TradeRow]) -> Iterator[Difference]:
    stored = {row.fact.trade_id: row.derived for row in trades}
    for columns in changed:
        row = stored[columns["id"]]
        for name, value in columns.items():
            if name != "id" and getattr(row, name) != value:
                yield Difference("trades", columns["id"], name, _text(getattr(row, name)), _text(value))


def _position_differences(found: Changes, positions: Mapping[UUID, PositionRow]) -> Iterator[Difference]:
    for id_ in found.gone_positions:
        yield Difference("positions", id_, "", "a row", "none")
    for columns in found.positions:
        row = positions.get(columns["id"])
        if row is None:
            yield Difference("positions", None, "", "none", f"a row {columns['id']}")
            continue
        for name, value in columns.items():
            if name in row.columns and row.columns[name] != value:
                yield Difference("positions", columns["id"], name, _text(row.columns[name]), _text(value))


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize(WIDE):f}"
    return "" if value is None else str(value)
