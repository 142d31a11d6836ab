"""Asking the exchanges for the bots' own trades: keys in parallel, calls of one key in sequence, one per pair."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from structlog import get_logger

from exchanges.types import Credentials, MarketType, Trade
from ground.encrypted import Undecryptable
from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected
from health.rules.attribution import Attributed, attribute
from health.subjects import Subject
from health.types import TradesOutcome, TradesSeen

log = get_logger(__name__)

NEWEST = 100  # trades asked for: the more, the fewer gaps in the ledger
MAY_BE_CUT = 50  # some exchanges give no more at a time whatever is asked for, so that as many may not be all
MOST_THREADS = 32
GIVE_UP_AFTER = 3  # calls of one key that fail in a row; the rest of its pairs are not asked in this cycle


class Gateway(Protocol):
    def fetch_own_trades(self, symbol: str, limit: int = 50) -> list[Trade]: ...


class Gateways(Protocol):
    """What ``exchanges.gateways.pool.GatewayPool`` gives; always the same gateway for the same key."""

    def gateway(
        self, exchange_id: str, market_type: MarketType | str, credentials: Credentials | None = None
    ) -> Gateway: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call for one pair of one key brought."""

    outcome: TradesOutcome
    detail: str
    asked_at: datetime
    trades: tuple[Trade, ...] = ()
    tells_of_key: bool = True  # False: about this pair alone, so that the key's other pairs are asked all the same


@dataclass(frozen=True, slots=True)
class Key:
    """One login at one exchange, with the pairs to ask for."""

    exchange: str
    market_type: MarketType
    credentials: Credentials

    @property
    def fingerprint(self) -> str:
        return self.credentials.fingerprint


@dataclass(frozen=True, slots=True)
class Gathered:
    seen: TradesSeen
    attributed: Attributed
    was_page_full: bool
    asked_at: datetime


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


def gather(
    *,
    subjects: Sequence[Subject],
    keys: dict[UUID, Key],
    gateways: Gateways,
    clock: Callable[[], datetime],
    until_s: float,
) -> dict[UUID, Gathered]:
    """What was seen of each bot that has a key; a bot whose turn did not come by ``until_s`` (monotonic) is missing."""
    pairs: dict[Key, dict[str, None]] = defaultdict(dict)
    for subject in subjects:
        if subject.bot_id in keys:
            pairs[keys[subject.bot_id]][subject.pair] = None
    answers: dict[tuple[Key, str], Answer] = {}
    if pairs:
        with ThreadPoolExecutor(max_workers=min(MOST_THREADS, len(pairs)), thread_name_prefix="key") as threads:
            asked = [threads.submit(_ask_key, key, tuple(of), gateways, clock, until_s) for key, of in pairs.items()]
            for (key, _), future in zip(pairs.items(), asked, strict=True):
                answers |= {(key, pair): answer for pair, answer in future.result().items()}
    asked_for = [subject for subject in subjects if subject.bot_id in keys]
    found = ((subject, answers.get((keys[subject.bot_id], subject.pair))) for subject in asked_for)
    return {subject.bot_id: _of_bot(subject, answer) for subject, answer in found if answer}


def _unaskable(subject: Subject) -> TradesSeen | None:
    market = subject.market
    where = f"{subject.pair} at {market.title}"
    if not market.reads_trades:
        return TradesSeen(TradesOutcome.NOT_READABLE, market.note, where)
    if subject.keys is None:
        sentence = f"There are no credentials for {market.title}, so its trades cannot be read."
        return TradesSeen(TradesOutcome.NO_CREDENTIALS, sentence, where)
    return None


def _ask_key(
    key: Key, pairs: Iterable[str], gateways: Gateways, clock: Callable[[], datetime], until_s: float
) -> dict[str, Answer]:
    """One thread: the pairs of one key, one after the other."""
    answers: dict[str, Answer] = {}
    failures = 0
    for pair in pairs:
        if time.monotonic() >= until_s:
            break
        if failures >= GIVE_UP_AFTER:
            answers[pair] = next(reversed(answers.values()))
            continue
        answers[pair] = answer = _ask(key, pair, gateways, clock)
        if answer.tells_of_key:
            failures = 0 if answer.outcome == TradesOutcome.READ else failures + _WEIGHT.get(answer.outcome, 0)
    return answers


# Outcomes that the next pair of the same key would meet too.
_WEIGHT = {TradesOutcome.UNREADABLE: 1, TradesOutcome.REFUSED: 1, TradesOutcome.RATE_LIMITED: GIVE_UP_AFTER}


def _ask(key: Key, pair: str, gateways: Gateways, clock: Callable[[], datetime]) -> Answer:
    try:
        trades = gateways.gateway(key.exchange, key.market_type, key.credentials).fetch_own_trades(pair, NEWEST)
    except GatewayError as error:
        return Answer(_outcome(error), error.message, clock(), tells_of_key=not isinstance(error, Rejected))
    except Exception as error:  # noqa: BLE001 - one broken check must not end the cycle
        # Its text could hold a signed address, so only its class is told.
        log.error("check_broke", exchange=key.exchange, pair=pair, error=type(error).__name__)
        sentence = f"The check itself broke ({type(error).__name__}): this is a defect of the bridge."
        return Answer(TradesOutcome.BROKE, sentence, clock())
    return Answer(TradesOutcome.READ, "", clock(), tuple(trades))


def _outcome(error: GatewayError) -> TradesOutcome:
    if error.code in ("exchange_not_carried", "cannot_read_trades"):
        return TradesOutcome.NOT_READABLE
    if isinstance(error, BadCredentials | Rejected):
        return TradesOutcome.REFUSED
    return TradesOutcome.RATE_LIMITED if isinstance(error, RateLimited) else TradesOutcome.UNREADABLE


def _of_bot(subject: Subject, answer: Answer) -> Gathered:
    where = f"{subject.pair} at {subject.market.title}"
    if answer.outcome != TradesOutcome.READ:
        seen = TradesSeen(answer.outcome, answer.detail, where, asked_at=answer.asked_at)
        return Gathered(seen, Attributed(), False, answer.asked_at)
    whose = attribute(answer.trades, order_prefix=subject.order_prefix, rivals=subject.rivals, now=answer.asked_at)
    seen = TradesSeen(
        TradesOutcome.READ,
        "",
        where,
        newest_at=_newest(whose.own),
        shared_at=_newest(whose.shared),
        future_at=whose.future_at,
        count=len(whose.own),
        rivals=whose.rivals,
        asked_at=answer.asked_at,
    )
    return Gathered(seen, whose, len(answer.trades) >= MAY_BE_CUT, answer.asked_at)


def _newest(trades: tuple[Trade, ...]) -> datetime | None:
    return trades[0].executed_at if trades else None
