"""Bars from before the arena was there, read from the exchange: once for each market, and again where ours have a hole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from arena.models import ArenaMarket
from arena.rules.bars import LENGTHS
from arena.rules.statuses import BarSpan
from arena.services.settings_row import arena_settings
from exchanges.names import resolve
from exchanges.types import Candle, MarketType
from ground.errors import GatewayError, Rejected
from ground.scope import system_scope
from ground.sql import fetch_one, run
from ledger.services.book_rows import as_json

SCOPE = system_scope("arena")
COUNT = 300  # bars of each length: what every exchange gives in one answer
MOST_AT_ONCE = 3  # markets; the others wait for the next look, so that prices never wait for them
AGAIN = timedelta(hours=1)
SOON = timedelta(minutes=5)  # after an exchange could not be reached; other markets come first

# A market that is followed now is claimed by moving its moment on. Where nobody read prices for twenty minutes an hour ago,
# there is a hole.
_CLAIM = """
    UPDATE arena_markets SET history_at = %(now)s WHERE id = (
        SELECT m.id FROM arena_markets m
         WHERE m.exchange = %(exchange)s AND m.is_traded AND m.fetched_at > %(now)s - interval '10 minutes'
           AND (m.history_at IS NULL OR (m.history_at < %(now)s - %(again)s AND NOT EXISTS (
                SELECT FROM arena_price_bars b WHERE b.market_id = m.id AND b.span = '5m'
                   AND b.start_at BETWEEN %(now)s - interval '70 minutes' AND %(now)s - interval '50 minutes')))
         ORDER BY m.quote_volume_24h DESC NULLS LAST, m.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, symbol
"""
# What we saw ourselves counts too: of the bar that is not over, the close is ours.
_STORE = """
    INSERT INTO arena_price_bars AS b (market_id, span, start_at, open, high, low, close, prices)
    SELECT %(market)s, x.span, x.start_at, x.open, x.high, x.low, x.close, 0
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(span text, start_at timestamptz, open numeric, high numeric, low numeric,
           close numeric) ORDER BY x.span, x.start_at
    ON CONFLICT (market_id, span, start_at) DO UPDATE SET open = excluded.open, high = greatest(b.high, excluded.high),
           low = least(b.low, excluded.low),
           close = CASE WHEN excluded.start_at + %(length)s <= %(now)s THEN excluded.close ELSE b.close END
"""


class CandleGateway(Protocol):
    def fetch_candles(self, symbol: str, *, span: timedelta, count: int) -> list[Candle]: ...


class CandleGateways(Protocol):
    def gateway(self, exchange_id: str, market_type: MarketType | str) -> CandleGateway: ...


def read_history(*, gateways: CandleGateways, now: datetime) -> int:
    """Read the older bars of a few markets that lack them; how many bars. The exchange is asked outside any transaction; what
    it could not answer is asked again after five minutes, what it refused after an hour."""
    read = 0
    for _ in range(MOST_AT_ONCE):
        with SCOPE.transaction():
            exchange = arena_settings().exchange
            row = fetch_one(_CLAIM, {"exchange": exchange, "now": now, "again": AGAIN})
        if row is None:
            break
        market_id, symbol = row
        venue = resolve(exchange)
        try:
            gateway = gateways.gateway(venue.exchange, venue.market_type)
            found = {span: gateway.fetch_candles(symbol, span=length, count=COUNT) for span, length in LENGTHS.items()}
        except Rejected:
            continue
        except GatewayError:
            with SCOPE.transaction():
                ArenaMarket.objects.filter(pk=market_id, history_at=now).update(history_at=now - AGAIN + SOON)
            break
        read += sum(_store(market_id, span, candles, now=now) for span, candles in found.items())
    return read


def _store(market_id: int, span: BarSpan, candles: Sequence[Candle], *, now: datetime) -> int:
    """Bars on the grid and not of a time to come; how many."""
    length = LENGTHS[span]
    rows = [
        {
            "span": str(span),
            "start_at": one.start_at,
            "open": one.open,
            "high": one.high,
            "low": one.low,
            "close": one.close,
        }
        for one in candles
        if one.start_at <= now and not one.start_at.timestamp() % length.total_seconds()
    ]
    values = {"market": market_id, "rows": as_json(rows), "length": length, "now": now}
    with SCOPE.transaction(reason="bars from the exchange's history"):
        return run(_STORE, values) if rows else 0
