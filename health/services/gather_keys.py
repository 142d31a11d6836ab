"""The keys to ask with, and what they are asked through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from exchanges.types import Balance, Credentials, MarketType, OpenOrder, Trade, TradePage
from ground.encrypted import Undecryptable
from health.services.clocks import ClockGateways
from health.subjects import Subject
from health.types import TradesOutcome, TradesSeen


class Gateway(Protocol):
    """What is asked of one key; ``exchanges.gateways.ccxt_gateway.ExchangeGateway`` is one."""

    def fetch_own_trades(self, symbol: str, limit: int = 50) -> list[Trade]: ...

    def fetch_open_orders(self, symbol: str) -> list[OpenOrder]: ...

    def fetch_trade_page(self, symbol: str, *, since: datetime, until: datetime) -> TradePage: ...

    def fetch_balance(self) -> Mapping[str, Balance]: ...


class Gateways(ClockGateways, Protocol):
    """What ``exchanges.gateways.pool.GatewayPool`` gives; always the same gateway for the same key."""

    def gateway(
        self, exchange_id: str, market_type: MarketType | str, credentials: Credentials | None = None
    ) -> Gateway: ...


@dataclass(frozen=True, slots=True)
class Key:
    """One login at one exchange."""

    exchange: str
    market_type: MarketType
    credentials: Credentials

    @property
    def fingerprint(self) -> str:
        return self.credentials.fingerprint


def keys_of(subjects: Sequence[Subject]) -> tuple[dict[UUID, Key], dict[UUID, TradesSeen]]:
    """The key of each bot that can be asked about, and of the others why not. Opens the credentials."""
    keys: dict[UUID, Key] = {}
    unasked: dict[UUID, TradesSeen] = {}
    for subject in subjects:
        reason = _unaskable(subject)
        if reason is None and subject.keys:
            try:
                memo = subject.keys.passphrase.open() if subject.keys.passphrase else ""
                login = Credentials(subject.keys.api_key.open(), subject.keys.api_secret.open(), memo)
                keys[subject.bot_id] = Key(subject.market.exchange, subject.market.market_type, login)
            except Undecryptable as error:
                reason = TradesSeen(TradesOutcome.BROKE, error.message)
        if reason is not None:
            unasked[subject.bot_id] = reason
    return keys, unasked


def _unaskable(subject: Subject) -> TradesSeen | None:
    market = subject.market
    where = f"{subject.pair} at {market.title}"
    if not market.reads_trades:
        return TradesSeen(TradesOutcome.NOT_READABLE, market.note, where)
    if subject.keys is None:
        sentence = f"There are no credentials for {market.title}, so its trades cannot be read."
        return TradesSeen(TradesOutcome.NO_CREDENTIALS, sentence, where)
    return None
