"""Reading prices: one call for all bots, stored with their age. A failure is recorded; the old prices stay, and grow old."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from django.db.models import QuerySet

from arena.models import ArenaMarket, ArenaSettings, ArenaState
from arena.rules.statuses import BarSpan
from arena.services.settings_row import arena_settings
from exchanges.names import resolve
from exchanges.symbols import base_quote, normalize
from exchanges.types import MarketRules, MarketType, Ticker
from ground.errors import GatewayError
from ground.hot_rows import hot_rows
from ground.scope import system_scope
from ground.sql import fetch_all, fetch_one, run
from ledger.services.book_rows import as_json
from ledger.services.record_paper import mark_positions

SCOPE = system_scope("arena")
QUOTE = "USDT"
RULES_AGE = timedelta(hours=1)
MOST_AHEAD = timedelta(seconds=5)  # an exchange's clock may be ahead of ours; a price from further on is not believed
_SPANS = {BarSpan.FIVE_MINUTES: timedelta(minutes=5), BarSpan.HOUR: timedelta(hours=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MarketGateway(Protocol):
    """What the arena asks an exchange; ``exchanges.gateways.ccxt_gateway.ExchangeGateway`` is one."""

    def fetch_tickers(self, symbols: Collection[str]) -> dict[str, Ticker]: ...

    def fetch_market_rules(self, symbols: Collection[str]) -> dict[str, MarketRules]: ...

    def most_traded(self, *, quote: str, count: int) -> list[str]: ...


class MarketGateways(Protocol):
    """What ``exchanges.gateways.pool.GatewayPool`` gives."""

    def gateway(self, exchange_id: str, market_type: MarketType | str) -> MarketGateway: ...


# Of many workers one moves the moment on; the others find it moved.
_CLAIM = """
    INSERT INTO arena_state AS s (id, prices_at, prices_error) VALUES (1, %(now)s, '')
    ON CONFLICT (id) DO UPDATE SET prices_at = excluded.prices_at
     WHERE s.prices_at IS NULL OR s.prices_at <= %(now)s - %(every)s OR s.prices_at > %(now)s + %(every)s
"""
_HELD = "SELECT DISTINCT symbol FROM positions WHERE mode = 'paper' AND status = 'open'"
_OF_BOTS = """
    SELECT DISTINCT s.symbol FROM arena_participants p
      JOIN bots b ON b.id = p.bot_id AND b.retired_at IS NULL
     CROSS JOIN LATERAL jsonb_array_elements_text(p.symbols) s (symbol)
"""
_OF_EXCHANGE = """
    WHERE t.exchange = %(exchange)s AND (%(symbols)s::text[] IS NULL OR t.symbol = ANY(%(symbols)s::text[]))
    ORDER BY t.exchange, t.symbol
"""
_IS_WANTED = f"SELECT EXISTS (SELECT FROM arena_participants) OR EXISTS ({_HELD})"  # noqa: S608 - made of constants
_RULES = """
    INSERT INTO arena_markets AS m (exchange, symbol, base, quote, is_traded, price_tick, quantity_step, minimum_quantity,
                                    minimum_notional, max_leverage, rules_at)
    SELECT %(exchange)s, x.symbol, x.base, x.quote, true, x.price_tick, x.quantity_step, x.min_quantity, x.min_notional,
           x.max_leverage, %(now)s
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(symbol text, base text, quote text, price_tick numeric,
           quantity_step numeric, min_quantity numeric, min_notional numeric, max_leverage numeric) ORDER BY x.symbol
    ON CONFLICT (exchange, symbol) DO UPDATE SET price_tick = excluded.price_tick, quantity_step = excluded.quantity_step,
           minimum_quantity = excluded.minimum_quantity, minimum_notional = excluded.minimum_notional,
           max_leverage = excluded.max_leverage, rules_at = excluded.rules_at, is_traded = true
"""
# A market that the exchange no longer lists opens nothing; what is held of it stays guarded by what prices there are.
_NOT_LISTED = """
    UPDATE arena_markets SET is_traded = false WHERE exchange = %(exchange)s AND is_traded AND NOT symbol = ANY(%(listed)s)
"""
_PRICES = """
    UPDATE arena_markets m SET price = x.price, bid = x.bid, ask = x.ask, change_24h_ratio = x.change,
           quote_volume_24h = x.volume, observed_at = x.at, fetched_at = %(now)s
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(symbol text, price numeric, bid numeric, ask numeric, change numeric,
           volume numeric, at timestamptz)
     WHERE m.exchange = %(exchange)s AND m.symbol = x.symbol
       AND (m.observed_at IS NULL OR m.observed_at <= x.at OR m.observed_at > %(now)s + %(ahead)s)
"""
_BARS = """
    INSERT INTO arena_price_bars AS b (market_id, span, start_at, open, high, low, close, prices)
    SELECT m.id, x.span, x.start_at, x.price, x.price, x.price, x.price, 1
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(symbol text, span text, start_at timestamptz, price numeric)
      JOIN arena_markets m ON m.exchange = %(exchange)s AND m.symbol = x.symbol
     ORDER BY m.id, x.span
    ON CONFLICT (market_id, span, start_at) DO UPDATE SET high = greatest(b.high, excluded.high),
           low = least(b.low, excluded.low), close = excluded.close, prices = b.prices + 1
"""


def refresh_prices(*, gateways: MarketGateways, now: datetime) -> int | None:
    """Read the prices of every market that bots follow or hold; how many, None when it was not due or the reading failed.

    Marks what is held at them. The exchange is asked outside any transaction.
    """
    with SCOPE.transaction():
        chosen = arena_settings()
        if not run(_CLAIM, {"now": now, "every": timedelta(seconds=chosen.refresh_s)}):
            return None
        rules_due = _rules_are_due(now)
        followed = _followed(chosen, is_chosen_anew=rules_due)
        needed = {normalize(row[0]) for row in [*fetch_all(_OF_BOTS), *fetch_all(_HELD)]}
        known = set(_markets(chosen).filter(rules_at__isnull=False).values_list("symbol", flat=True))
    venue = resolve(chosen.exchange)
    try:
        gateway = gateways.gateway(venue.exchange, venue.market_type)
        symbols = sorted({*(followed or gateway.most_traded(quote=QUOTE, count=chosen.most_symbols)), *needed})
        rules = gateway.fetch_market_rules(symbols) if rules_due or not known.issuperset(symbols) else None
        tickers = gateway.fetch_tickers(symbols)
    except GatewayError as error:
        with SCOPE.transaction():
            ArenaState.objects.filter(pk=1).update(prices_error=error.message[:500])
        return None
    return _store(chosen.exchange, rules, tickers, is_chosen_anew=rules_due, now=now)


def is_wanted() -> bool:
    """Whether anybody needs prices: a bot of the arena exists, or something is held on paper."""
    with SCOPE.transaction():
        return bool((fetch_one(_IS_WANTED) or (False,))[0])


def fresh_prices(symbols: Collection[str] | None, *, now: datetime) -> dict[str, ArenaMarket]:
    """The markets of the arena's exchange, of some symbols or (None) all, whose price is fresh enough to trade on."""
    chosen = arena_settings()
    return {row.symbol: row for row in markets_of(chosen, symbols) if is_fresh(row, chosen, now=now)}


def markets_of(chosen: ArenaSettings, symbols: Collection[str] | None = None) -> list[ArenaMarket]:
    """The markets of the arena's exchange, of some symbols or (None) all, however old their prices are."""
    given = {"exchange": chosen.exchange, "symbols": None if symbols is None else list(symbols)}
    return hot_rows(ArenaMarket, _OF_EXCHANGE, given)


def is_fresh(market: ArenaMarket, chosen: ArenaSettings, *, now: datetime) -> bool:
    """Whether it has a price, and one fresh enough to trade on."""
    at = market.observed_at
    if market.price is None or at is None:
        return False
    return now - timedelta(seconds=chosen.stale_after_s) <= at <= now + MOST_AHEAD


def _markets(chosen: ArenaSettings) -> QuerySet[ArenaMarket]:
    return ArenaMarket.objects.filter(exchange=chosen.exchange)


def _followed(chosen: ArenaSettings, *, is_chosen_anew: bool) -> set[str]:
    """The markets that the settings name, or those that were the most traded; empty: to be found out."""
    if chosen.symbols:
        return {normalize(symbol) for symbol in chosen.symbols}
    return set() if is_chosen_anew else set(_markets(chosen).filter(is_traded=True).values_list("symbol", flat=True))


def _rules_are_due(now: datetime) -> bool:
    """Whether the rules of markets, and which are the most traded, are to be read again."""
    at = ArenaState.objects.filter(pk=1).values_list("markets_at", flat=True).first()
    return at is None or at <= now - RULES_AGE


def _store(
    exchange: str, rules: Mapping[str, MarketRules] | None, tickers: Mapping[str, Ticker], *, is_chosen_anew: bool,
    now: datetime,
) -> int:  # fmt: skip
    prices = [_price_row(one, now) for one in tickers.values()]
    believed = [row for row in prices if row["at"] <= now + MOST_AHEAD]
    with SCOPE.transaction(reason="prices refreshed"):
        # First, as whoever books funding locks this row before the positions.
        ArenaState.objects.filter(pk=1).update(
            prices_error=_doubt(len(prices) - len(believed)), **({"markets_at": now} if is_chosen_anew else {})
        )
        if rules is not None:
            run(_RULES, {"exchange": exchange, "rows": as_json([_rule_row(one) for one in rules.values()]), "now": now})
            run(_NOT_LISTED, {"exchange": exchange, "listed": list(rules)})
        run(_PRICES, {"exchange": exchange, "rows": as_json(believed), "now": now, "ahead": MOST_AHEAD})
        bars = [
            {"symbol": row["symbol"], "span": str(span), "start_at": row["at"] - (row["at"] - _EPOCH) % length,
             "price": row["price"]}
            for row in believed for span, length in _SPANS.items()
        ]  # fmt: skip
        run(_BARS, {"exchange": exchange, "rows": as_json(bars)})
        mark_positions({row["symbol"]: (row["price"], row["at"]) for row in believed}, now=now)
    return len(believed)


def _doubt(count: int) -> str:
    """What is said of prices that carry a time which has not come yet."""
    return f"The times of {count} prices are ahead of our clock, so they count for nothing: set it." if count else ""


def _price_row(ticker: Ticker, now: datetime) -> dict[str, Any]:
    return {
        "symbol": ticker.symbol, "price": ticker.last, "bid": ticker.bid, "ask": ticker.ask,
        "change": ticker.change_24h_ratio, "volume": _held_by_column(ticker.quote_volume_24h),
        "at": ticker.observed_at or now,
    }  # fmt: skip


def _rule_row(rules: MarketRules) -> dict[str, Any]:
    base, quote = base_quote(rules.symbol)
    return {
        "symbol": rules.symbol, "base": base, "quote": quote, "price_tick": rules.price_tick,
        "quantity_step": rules.quantity_step, "min_quantity": rules.min_quantity, "min_notional": rules.min_notional,
        "max_leverage": rules.max_leverage,
    }  # fmt: skip


def _held_by_column(value: Decimal | None) -> Decimal | None:
    return value if value is not None and abs(value) < Decimal("1e30") else None
