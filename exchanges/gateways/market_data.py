"""What markets show anybody: many tickers in one call, and the rules of orders. Needs no key."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from exchanges.gateways import errors, markets, parsing
from exchanges.gateways.asking import Asker
from exchanges.symbols import normalize
from exchanges.types import Candle, MarketRules, MarketType, Ticker

_DECIMAL_PLACES, _SIGNIFICANT_DIGITS = 2, 3  # ccxt's words for what a precision counts; else it is the step itself

_SPAN_WORDS = {timedelta(minutes=5): "5m", timedelta(hours=1): "1h"}


class MarketDataReader(Asker):
    """The part of a gateway that reads public data."""

    market_type: MarketType
    _lock: AbstractContextManager[Any]

    def _share_markets(self) -> None:
        raise NotImplementedError

    def fetch_tickers(self, symbols: Collection[str]) -> dict[str, Ticker]:
        """What these markets show now, by our pair. A pair that the exchange does not list, or whose ticker cannot be
        read, is left out: it has no price. One call for all where the exchange offers that."""
        with self._lock:
            self._share_markets()
            wanted = {market["symbol"]: pair for pair, market in self._listed(symbols).items()}
            if self._client.has.get("fetchTickers"):
                rows = self._ask(self._client.fetch_tickers)
            else:
                rows = {name: self._one_ticker(name) for name in wanted}
        if not isinstance(rows, dict):
            raise errors.unreadable(self.exchange, self.title, "no list of tickers")
        found: dict[str, Ticker] = {}
        for name, pair in wanted.items():
            row = rows.get(name)
            if isinstance(row, dict) and row.get("symbol") == name:
                try:
                    found[pair] = parsing.ticker(row, pair)
                except parsing.Unreadable:
                    continue
        return found

    def fetch_candles(self, symbol: str, *, span: timedelta, count: int) -> list[Candle]:
        """The newest bars of a pair, oldest first, the last one not over yet; those that cannot be read are left out. None
        where the exchange does not list the pair or has no bars of that length. One call."""
        word = _SPAN_WORDS.get(span, "")
        with self._lock:
            self._share_markets()
            names = [market["symbol"] for market in self._listed([symbol]).values()]
            if not names or not self._client.has.get("fetchOHLCV") or word not in (self._client.timeframes or {}):
                return []
            rows = self._ask(lambda: self._client.fetch_ohlcv(names[0], word, limit=count))
        if not isinstance(rows, list):
            raise errors.unreadable(self.exchange, self.title, "no list of candles")
        found = []
        for row in rows:
            try:
                found.append(parsing.candle(row))
            except parsing.Unreadable:
                continue
        return sorted(found, key=lambda one: one.start_at)[-count:]

    def fetch_market_rules(self, symbols: Collection[str]) -> dict[str, MarketRules]:
        """The rules of orders of these markets, by our pair; a pair that is not listed or not traded is left out."""
        with self._lock:
            self._share_markets()
            found = self._listed(symbols)
        mode = self._client.precisionMode
        traded = {pair: market for pair, market in found.items() if market.get("active") is not False}
        return self._read(lambda: {pair: _rules(pair, market, mode) for pair, market in traded.items()})

    def most_traded(self, *, quote: str, count: int) -> list[str]:
        """The pairs against ``quote`` with the highest turnover of 24 hours, most first. One call."""
        with self._lock:
            self._share_markets()
            names = {
                f"{market['base']}/{market['quote']}": market["symbol"]
                for market in self._client.markets.values()
                if market.get("quote") == quote
                and market.get(str(self.market_type))
                and market.get("active") is not False
                and (self.market_type == MarketType.SPOT or market.get("settle") == quote)
            }
        tickers = self.fetch_tickers(names)
        ranked = sorted(tickers.values(), key=lambda one: (-(one.quote_volume_24h or Decimal(0)), one.symbol))
        return [one.symbol for one in ranked[:count]]

    def _one_ticker(self, name: str) -> Any:
        return self._ask(lambda: self._client.fetch_ticker(name))

    def _listed(self, symbols: Collection[str]) -> dict[str, dict[str, Any]]:
        found = {normalize(symbol): markets.find(self._client, self.market_type, symbol) for symbol in symbols}
        return {pair: market for pair, market in found.items() if market is not None}


def _rules(pair: str, market: dict[str, Any], mode: int) -> MarketRules:
    precision, limits = market.get("precision") or {}, market.get("limits") or {}
    contract = parsing.number_or_none(market.get("contractSize")) or Decimal(1)
    unit = contract if market.get("contract") else Decimal(1)
    step = _step(precision.get("amount"), mode)
    least = _limit(limits, "amount")
    return MarketRules(
        symbol=pair,
        price_tick=_step(precision.get("price"), mode),
        quantity_step=None if step is None else step * unit,
        min_quantity=None if least is None else least * unit,
        min_notional=_limit(limits, "cost"),
        max_leverage=_limit(limits, "leverage", "max"),
    )


def _step(precision: Any, mode: int) -> Decimal | None:
    """The smallest difference, whatever way ccxt states it; significant digits name none."""
    value = parsing.number_or_none(precision)
    if value is None or mode == _SIGNIFICANT_DIGITS:
        return None
    if mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(value))
    return value if value > 0 else None


def _limit(limits: dict[str, Any], name: str, end: str = "min") -> Decimal | None:
    value = parsing.number_or_none((limits.get(name) or {}).get(end))
    return value if value is not None and value > 0 else None
