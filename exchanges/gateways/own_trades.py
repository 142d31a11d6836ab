"""A key's own trades: the latest ones, pages of older ones, and accounts that keep them elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exchanges.gateways import accounts, client, errors, parsing
from exchanges.gateways.asking import SHAPE_ERRORS, Asker
from exchanges.paging import PagingHabit, Stretch, habit_of, narrower, stretch_read, stretch_to_ask
from exchanges.types import MarketType
from ground.errors import GatewayError, Rejected

Row = dict[str, Any]
Ask = Callable[[], list[Row]]

_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class Rows:
    """What one call brought: the market's own executions, and of every row that came the times and how many."""

    own: list[Row]
    times: list[datetime]
    count: int


class OwnTradesReader(Asker):
    market_type: MarketType
    _knows_account_kind: bool

    def _latest_rows(self, market: Row, limit: int) -> list[Row]:
        return self._of_any_account_kind(lambda: self._rows(market, limit).own)

    def _page_rows(self, market: Row, since: datetime, until: datetime) -> tuple[list[Row], Stretch]:
        """Own executions of a stretch of the time between, and that stretch; several calls only to find its end."""
        habit = self._habit()
        while True:
            asked = stretch_to_ask(habit, since, until)
            rows = self._stretch_rows(market, habit, asked)
            read = stretch_read(habit, asked, rows.times, rows.count)
            if read is not None:
                return rows.own, read
            finer = narrower(habit, asked)
            if finer is None:  # so many trades in one second, or a page that says nothing of the time asked for
                return rows.own, asked
            habit = finer

    def _stretch_rows(self, market: Row, habit: PagingHabit, asked: Stretch) -> Rows:
        since_ms = int(asked[0].timestamp() * _SECOND_MS)
        until_ms = -(-int(asked[1].timestamp() * _SECOND_MS + 1) // _SECOND_MS) * _SECOND_MS
        params = {"until": until_ms} if habit.takes_until else {}
        last: list[Rows] = []

        def ask() -> list[Row]:
            last[:] = [self._rows(market, habit.page, since_ms=since_ms, params=params)]
            return last[0].own

        self._of_any_account_kind(ask)
        return last[0]

    def _habit(self) -> PagingHabit:
        features = self._client.features or {}
        about = features.get("spot") if self.market_type == MarketType.SPOT else features.get("swap")
        if isinstance(about, dict) and self.market_type == MarketType.SWAP:
            about = about.get("linear") or about.get("inverse")
        return habit_of(self.exchange, self.market_type, (about or {}).get("fetchMyTrades"))

    def _rows(self, market: Row, limit: int, *, since_ms: int | None = None, params: Row | None = None) -> Rows:
        wire = self._client._wire
        times_ms: list[int] = []

        def call() -> Any:
            found = self._client.fetch_my_trades(market["symbol"], since_ms, limit, dict(params or {}))
            if wire.replay is None:
                times_ms[:] = wire.trade_times_ms
            return found

        rows = self._ask_signed(call, is_empty=is_empty_list)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise errors.unreadable(self.exchange, self.title, "no list of trades")
        own = [row for row in rows if self._is_of(row, market)]
        if rows and not own and not any(self._names_known_market(row) for row in rows):
            raise errors.unreadable(self.exchange, self.title, "trades of a market that cannot be told")
        times = [datetime.fromtimestamp(ms / _SECOND_MS, UTC) for ms in times_ms if 0 < ms < _LATEST_MS]
        return Rows([row for row in own if parsing.is_execution(row)], times, max(len(rows), len(times_ms)))

    def _is_of(self, row: Row, market: Row) -> bool:
        """Whether the row itself says so: ccxt takes a row of a market it does not know for one of the market asked."""
        named = self._named_market(row)
        if row.get("symbol") not in (None, market["symbol"]):
            return False
        known = self._client.markets.get(named)
        return named is None or named == market["symbol"] or (known is not None and known["id"] == market["id"])

    def _names_known_market(self, row: Row) -> bool:
        return self._named_market(row) in self._client.markets

    def _named_market(self, row: Row) -> str | None:
        info = row.get("info")
        if not isinstance(info, dict):
            return None
        try:
            named = self._client.parse_trade(dict(info)).get("symbol")
        except (*SHAPE_ERRORS, client.ccxt_module().BaseError):
            return None  # some parsers need the market: then the row cannot be asked
        return named if isinstance(named, str) else None

    # Accounts

    def _of_any_account_kind(self, ask: Ask) -> list[Row]:
        """Asks the plain way; where that finds nothing or is refused, finds out whether the rows are elsewhere."""
        refusal: Rejected | None = None
        rows: list[Row] = []
        try:
            rows = ask()
        except Rejected as error:
            refusal = error
        if not rows and not self._knows_account_kind and self._keeps_trades_elsewhere():
            return ask()
        if refusal is not None:
            raise refusal
        return rows

    def _keeps_trades_elsewhere(self) -> bool:
        """Asks, once per key, whether this account is of the kind whose trades another call gives."""
        for question in accounts.QUESTIONS[self.exchange]:
            try:
                is_elsewhere = self._ask(functools.partial(question, self._client), is_tolerant=True)
            except GatewayError:
                accounts.reset(self._client)
                raise
            if is_elsewhere:
                self._knows_account_kind = True
                return True
            accounts.reset(self._client)
        self._knows_account_kind = True
        return False


_LATEST_MS = 4_102_444_800_000  # 2100-01-01


def is_empty_list(rows: Any) -> bool:
    return isinstance(rows, list) and not rows
