"""What an exchange says about one of our keys: its latest own trades, a ticker, its balances.

Every answer is believed only if it could be read; everything else is an error of ``ground.errors``: Unavailable (no
readable answer), RateLimited, BadCredentials (a person must act), Rejected (understood and refused), and by design
NotCarried, CannotReadTrades, UnknownMarket. Nothing is retried and nothing is sent inside a transaction.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from exchanges.carried import CARRIED
from exchanges.gateways import accounts, client, emptiness, errors, markets, parsing
from exchanges.gateways.errors import CannotReadTrades, MissingCredentials, NotCarried, UnknownMarket
from exchanges.gateways.wire import Wire, quiet_logs
from exchanges.names import resolve
from exchanges.symbols import normalize
from exchanges.types import Balance, Credentials, MarketType, Ticker, Trade
from ground.errors import BadCredentials, GatewayError, Rejected
from ground.scope import assert_no_transaction

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 8.0
MAX_TRADES = 100

# What ccxt's parsers raise when they stumble over a shape they did not expect.
SHAPE_ERRORS = (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError, RecursionError)


def preload() -> None:
    """Imports ccxt. A worker calls this once before it forks, so that its children share the memory."""
    client.ccxt_module()


class ExchangeGateway:
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
        self._lock = threading.RLock()
        self._client = self._build(credentials)
        self._knows_account_kind = exchange_id not in accounts.QUESTIONS

    def fetch_own_trades(self, symbol: str, limit: int = 50) -> list[Trade]:
        """The latest executions of this key in one pair, newest first; empty only if the exchange said so."""
        limit = max(1, min(limit, MAX_TRADES))
        with self._lock:
            self._require_trades()
            market = self._market(symbol)
            rows = self._rows_of_any_account_kind(market, limit)
        pair = normalize(symbol)
        trades = self._read(lambda: [parsing.trade(row, market, pair) for row in rows])
        return sorted(trades, key=lambda trade: (trade.executed_at, trade.exchange_trade_id), reverse=True)[:limit]

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
            unified = self._ask(lambda: self._client.fetch_balance(params), is_empty=_has_no_currency)
        return self._read(lambda: parsing.balances(unified))

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

    def _rows_of_any_account_kind(self, market: dict[str, Any], limit: int) -> list[dict[str, Any]]:
        """Asks the plain way; where that finds nothing or is refused, finds out whether the trades are elsewhere."""
        refusal: Rejected | None = None
        rows: list[dict[str, Any]] = []
        try:
            rows = self._own_rows(market, limit)
        except Rejected as error:
            refusal = error
        if not rows and not self._knows_account_kind and self._keeps_trades_elsewhere():
            return self._own_rows(market, limit)
        if refusal is not None:
            raise refusal
        return rows

    def _own_rows(self, market: dict[str, Any], limit: int) -> list[dict[str, Any]]:
        rows = self._ask(lambda: self._client.fetch_my_trades(market["symbol"], None, limit), is_empty=_is_empty)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise errors.unreadable(self.exchange, self.title, "no list of trades")
        own = [row for row in rows if self._is_of(row, market)]
        if rows and not own and not any(self._names_known_market(row) for row in rows):
            raise errors.unreadable(self.exchange, self.title, "trades of a market that cannot be told")
        return own

    def _is_of(self, row: dict[str, Any], market: dict[str, Any]) -> bool:
        """Whether the row itself says so: ccxt takes a row of a market it does not know for one of the market asked."""
        named = self._named_market(row)
        if row.get("symbol") not in (None, market["symbol"]):
            return False
        known = self._client.markets.get(named)
        return named is None or named == market["symbol"] or (known is not None and known["id"] == market["id"])

    def _names_known_market(self, row: dict[str, Any]) -> bool:
        return self._named_market(row) in self._client.markets

    def _named_market(self, row: dict[str, Any]) -> str | None:
        info = row.get("info")
        if not isinstance(info, dict):
            return None
        try:
            named = self._client.parse_trade(dict(info)).get("symbol")
        except (*SHAPE_ERRORS, client.ccxt_module().BaseError):
            return None  # some parsers need the market: then the row cannot be asked
        return named if isinstance(named, str) else None

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

    # One outside call

    def _ask(
        self,
        call: Callable[[], T],
        *,
        of: Any = None,
        is_empty: Callable[[Any], bool] | None = None,
        is_tolerant: bool = False,
    ) -> T:
        """Makes one operation of ccxt's, within one deadline, and raises only our own errors.

        ``is_empty`` marks results that need proof (see ``emptiness``); a tolerant question takes a refusal for a no.
        """
        assert_no_transaction()
        quiet_logs()
        wire = (of or self._client)._wire
        wire.begin()
        problem: GatewayError | None = None
        result: Any = None
        try:
            result = call()
        except (client.ccxt_module().BaseError, *SHAPE_ERRORS) as error:
            problem = self._translate(error, wire.heard)
        if is_tolerant:
            result, problem = self._tolerated(wire, result, problem)
        elif problem is None and is_empty is not None and is_empty(result) and not self._is_honest(call):
            problem = errors.unreadable(self.exchange, self.title, "nothing where the data should be")
        wire.begin()  # lets go of the answers
        if problem is not None:
            raise problem  # outside the except block: ccxt's error, with its signed address, is not chained to it
        return result  # type: ignore[no-any-return]

    def _tolerated(self, wire: Wire, result: Any, problem: GatewayError | None) -> tuple[Any, GatewayError | None]:
        """A refusal is a no. An error that brought no answer is none, also where ccxt swallowed it."""
        lost = [failure for failure in wire.failures if _is_no_answer(failure[1])]
        if lost:
            return None, self._translate(*lost[-1])
        return (False if problem else result), None

    def _is_honest(self, call: Callable[[], Any]) -> bool:
        """Whether an empty result means that there is nothing."""
        wire, limiter = self._client._wire, self._client.enableRateLimit
        if wire.rows_of_known_markets:
            return True

        def read_again(answers: list[Any]) -> None:
            wire.replay = list(answers)
            try:
                call()
            except (client.ccxt_module().BaseError, *SHAPE_ERRORS):
                pass  # a mark is no row: stumbling over it is one way of having seen it

        self._client.enableRateLimit = False
        try:
            return emptiness.is_honest(list(wire.answers), read_again)
        finally:
            wire.replay = None
            self._client.enableRateLimit = limiter

    def _translate(self, error: BaseException, heard: errors.Heard) -> GatewayError:
        return errors.translate(error, heard, exchange=self.exchange, title=self.title)

    def _read(self, parse: Callable[[], T]) -> T:
        why = ""
        try:
            return parse()
        except parsing.Unreadable as error:
            why = str(error)
        except SHAPE_ERRORS as error:
            why = type(error).__name__
        raise errors.unreadable(self.exchange, self.title, why)

    def _build(self, credentials: Credentials | None) -> Any:
        return client.build(
            self.exchange, self.market_type, credentials, base_url=self._base_url, timeout_s=self._timeout_s
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

_SERVER_ERROR = 500
_TOO_MANY = 429


def _new_table() -> markets.MarketTable:
    return markets.MarketTable()


def _is_empty(rows: Any) -> bool:
    return isinstance(rows, list) and not rows


def _has_no_currency(unified: Any) -> bool:
    return isinstance(unified, dict) and not unified.get("total")


def _is_no_answer(heard: errors.Heard) -> bool:
    """Whether nothing readable came: a swallowed error of this kind proves nothing about the account."""
    status = heard.status
    return status is None or status >= _SERVER_ERROR or status == _TOO_MANY or not heard.is_readable
