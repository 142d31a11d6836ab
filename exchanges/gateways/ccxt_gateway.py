"""What an exchange says about one of our keys: its own trades and open orders, its balances, a ticker, the time.

Every answer is believed only if it could be read; everything else is an error of ``ground.errors``: Unavailable (no
readable answer), RateLimited, BadCredentials (a person must act), Rejected (understood and refused), and by design
NotCarried, CannotReadTrades, UnknownMarket. Nothing is sent inside a transaction, and nothing is retried, but for one
case: a request refused for its time is signed once more after the exchange was asked for its own.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from exchanges.carried import CARRIED
from exchanges.gateways import accounts, client, errors, markets, parsing
from exchanges.gateways.clock import ExchangeClock
from exchanges.gateways.errors import CannotReadTrades, MissingCredentials, NotCarried, UnknownMarket
from exchanges.gateways.limiter import Limiter
from exchanges.gateways.market_data import MarketDataReader
from exchanges.gateways.own_trades import OwnTradesReader, is_empty_list
from exchanges.gateways.turns import Turns
from exchanges.names import resolve
from exchanges.paging import rest_of, within_reach
from exchanges.symbols import normalize
from exchanges.types import Balance, Credentials, MarketType, OpenOrder, Ticker, Trade, TradePage
from ground.errors import BadCredentials
from ground.scope import assert_no_transaction

DEFAULT_TIMEOUT_S = 8.0
MAX_TRADES = 100
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def preload() -> None:
    """Imports ccxt. A worker calls this once before it forks, so that its children share the memory."""
    client.ccxt_module()


class ExchangeGateway(OwnTradesReader, MarketDataReader):
    """One key at one exchange. Its calls run one after the other, whichever thread makes them."""

    def __init__(
        self,
        exchange_id: str,
        market_type: MarketType | str,
        credentials: Credentials | None = None,
        *,
        base_url: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        markets: markets.MarketTable | None = None,
        clock: ExchangeClock | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        about = resolve(exchange_id)
        self.exchange = exchange_id
        self.title = about.title
        self.market_type = MarketType(market_type)
        if exchange_id not in CARRIED or not client.is_carried(exchange_id):
            note = about.note or f"ccxt does not carry {about.title}, so its trades cannot be read."
            raise NotCarried(note, system=exchange_id)
        if self.market_type not in CARRIED[exchange_id].types.split():
            raise NotCarried(f"ccxt carries no {self.market_type} markets of {about.title}.", system=exchange_id)
        self._credentials = credentials
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._markets = markets if markets is not None else _new_table()
        self._clock = clock or ExchangeClock()
        self._limiter = limiter
        self._lock = threading.RLock()
        self._client = self._build(credentials)
        self._knows_account_kind = exchange_id not in accounts.QUESTIONS

    def fetch_own_trades(self, symbol: str, limit: int = 50, since: datetime | None = None) -> list[Trade]:
        """The latest executions of this key in one pair, newest first; empty only if the exchange said so.

        ``since`` leaves older ones out; for everything since a moment, see ``fetch_trade_page``. Funding payments and
        the like, which some exchanges list among executions, are left out.
        """
        limit = max(1, min(limit, MAX_TRADES))
        with self._lock:
            self._require_trades()
            market = self._market(symbol)
            rows = self._latest_rows(market, limit)
        trades = self._trades(rows, market, symbol)[:limit]
        return [trade for trade in trades if since is None or trade.executed_at >= since]

    def fetch_trade_page(self, symbol: str, *, since: datetime, until: datetime) -> TradePage:
        """Own trades of a part of the time between, and which part is left: ask again for ``rest`` until there is none.

        Moments are the exchange's own (aware, both ends inclusive); pages may overlap. Usually one call.
        """
        with self._lock:
            self._require_trades()
            market = self._market(symbol)
            oldest = within_reach(self._habit(), since, now=datetime.now(UTC))
            note = (
                "" if oldest <= since else f"{self.title} gives no own trades from before {oldest:%Y-%m-%d %H:%M} UTC."
            )
            if oldest > until:
                return TradePage((), None, note)
            rows, read = self._page_rows(market, oldest, until)
        trades = self._trades(rows, market, symbol)
        wanted = tuple(trade for trade in trades if oldest <= trade.executed_at <= until)
        return TradePage(wanted, rest_of((oldest, until), read), note)

    def fetch_open_orders(self, symbol: str) -> list[OpenOrder]:
        """This key's orders in the book of one pair, newest first; empty only if the exchange said so.

        Whose they are, only the client order id can tell: another bot, or a person, may use the same key.
        """
        with self._lock:
            self._require_credentials()
            market = self._market(symbol)
            rows = self._of_any_account_kind(lambda: self._order_rows(market))
        pair = normalize(symbol)
        orders = self._read(lambda: [parsing.order(row, market, pair) for row in rows if parsing.is_in_book(row)])
        return sorted(orders, key=lambda order: (order.placed_at or _LONG_AGO, order.order_id), reverse=True)

    def fetch_ticker(self, symbol: str) -> Ticker:
        """What the market shows now. Needs no key."""
        with self._lock:
            market = self._market(symbol)
            row = self._ask(lambda: self._client.fetch_ticker(market["symbol"]))
        if not isinstance(row, dict) or row.get("symbol") != market["symbol"]:
            raise errors.unreadable(self.exchange, self.title, "another market's ticker")
        return self._read(lambda: parsing.ticker(row, normalize(symbol)))

    def fetch_balance(self, account: str | None = None) -> dict[str, Balance]:
        """Balances by currency, zeros included. ``account`` names another account of the key, such as "funding"."""
        params = {"type": account} if account else {}
        with self._lock:
            self._require_credentials()
            self._share_markets()
            if not self._knows_account_kind and self.exchange in accounts.PURSE_DEPENDS:
                self._keeps_trades_elsewhere()
            unified = self._ask_signed(lambda: self._client.fetch_balance(params), is_empty=_has_no_currency)
        return self._read(lambda: parsing.balances(unified))

    def measure_clock(self) -> timedelta | None:
        """Asks the exchange for its time and signs by it from now on, with every key of this process.

        Gives by how much its clock is ahead of ours (negative: behind), right to half the time the answer took. Where
        no time can be asked for, the date of this key's last answer serves; None while there is none.
        """
        with self._lock:
            return self._measure_clock()

    def load_markets(self) -> None:
        """Loads the markets now, if nobody has yet: worth doing once before many keys of one exchange start."""
        with self._lock:
            self._share_markets()

    # Markets

    def _market(self, symbol: str) -> dict[str, Any]:
        self._share_markets()
        market = markets.find(self._client, self.market_type, symbol)
        if market is None and self._markets.refresh(self._client, self._load_markets):
            market = markets.find(self._client, self.market_type, symbol)
        if market is None:
            kind = "spot market" if self.market_type == MarketType.SPOT else "perpetual contract"
            raise UnknownMarket(f"{self.title} has no {kind} {normalize(symbol)}.", system=self.exchange)
        return market

    def _share_markets(self) -> None:
        assert_no_transaction()
        self._markets.give(self._client, self._load_markets)

    def _load_markets(self) -> Any:
        """Loads without a key, as most exchanges allow, so that nothing is signed for public data; else with ours."""
        source = self._build(None)
        try:
            self._ask(lambda: source.load_markets(True), of=source)
        except BadCredentials:
            if self._credentials is None:
                raise
            source = self._build(self._credentials)
            self._ask(lambda: source.load_markets(True), of=source)
        if not source.markets:
            raise errors.unreadable(self.exchange, self.title, "a list of markets without a market")
        return source

    # Trades

    def _require_trades(self) -> None:
        about = resolve(self.exchange)
        if not about.reads_trades:
            raise CannotReadTrades(about.note, system=self.exchange)
        self._require_credentials()

    def _require_credentials(self) -> None:
        missing = [name for name, needed in self._client.requiredCredentials.items() if needed]
        missing = [name for name in missing if not getattr(self._client, name, None)]
        if missing:
            words = " and ".join(_WORDS.get(name, name) for name in missing)
            raise MissingCredentials(f"{self.title} also asks for the {words} of the key.", system=self.exchange)

    def _trades(self, rows: list[dict[str, Any]], market: dict[str, Any], symbol: str) -> list[Trade]:
        """Newest first."""
        pair = normalize(symbol)
        trades = self._read(lambda: [parsing.trade(row, market, pair) for row in rows])
        return sorted(trades, key=lambda trade: (trade.executed_at, trade.exchange_trade_id), reverse=True)

    def _order_rows(self, market: dict[str, Any]) -> list[dict[str, Any]]:
        rows = self._ask_signed(lambda: self._client.fetch_open_orders(market["symbol"]), is_empty=is_empty_list)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise errors.unreadable(self.exchange, self.title, "no list of orders")
        return [row for row in rows if row.get("symbol") in (None, market["symbol"])]

    # Building

    def _build(self, credentials: Credentials | None) -> Any:
        turns = None
        if self._limiter is not None:
            turns = Turns(self._limiter, self.exchange, self.title, credentials.fingerprint if credentials else "")
        return client.build(
            self.exchange,
            self.market_type,
            credentials,
            base_url=self._base_url,
            timeout_s=self._timeout_s,
            clock=self._clock,
            turns=turns,
        )


# What a person calls ccxt's credential fields.
_WORDS = {
    "apiKey": "API key",
    "secret": "secret",
    "password": "passphrase",
    "uid": "user id (memo)",
    "accountId": "account id",
    "privateKey": "private key",
    "walletAddress": "wallet address",
    "login": "login",
}


def _new_table() -> markets.MarketTable:
    return markets.MarketTable()


def _has_no_currency(unified: Any) -> bool:
    return isinstance(unified, dict) and not unified.get("total")
