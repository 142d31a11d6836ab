"""Asking the exchanges about the bots: keys in parallel, and what their answers say of each bot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from exchanges.types import Balance, OpenOrder
from health.rules.attribution import Attributed, attribute, attribute_orders
from health.rules.funds import need_of, shortages
from health.rules.words import CircuitState
from health.services.ask_exchange import Answer, Caller
from health.services.circuits import Breaker
from health.services.clocks import NO_OFFSET, Clocks
from health.services.gather_key import KeySeen, Trades, ask_key, ask_trades
from health.services.gather_keys import Gateways, Key
from health.subjects import Subject
from health.types import BalanceSeen, ExchangeSeen, OrdersSeen, ProbeOutcome, TradesOutcome, TradesSeen

MAY_BE_CUT = 50  # some exchanges give no more at a time whatever is asked for, so that as many may not be all
MOST_THREADS = 64
MOST_TRIES = 5  # pairs that are tried until one call tells whether an exchange is back

_OUTCOMES = {
    TradesOutcome.READ: ProbeOutcome.READ,
    TradesOutcome.REFUSED: ProbeOutcome.REFUSED,
    TradesOutcome.RATE_LIMITED: ProbeOutcome.RATE_LIMITED,
    TradesOutcome.NOT_READABLE: ProbeOutcome.NOT_READABLE,
    TradesOutcome.NOT_ASKED: ProbeOutcome.NOT_ASKED,
}


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one bot's exchange showed of it. The trades carry the exchange's own times."""

    seen: TradesSeen
    attributed: Attributed
    was_page_full: bool
    asked_at: datetime
    orders: OrdersSeen = field(default_factory=OrdersSeen)
    balance: BalanceSeen = field(default_factory=BalanceSeen)
    exchange: ExchangeSeen = field(default_factory=ExchangeSeen)
    offset: timedelta = NO_OFFSET  # by how much the exchange's clock is ahead of ours


def gather(
    *,
    subjects: Sequence[Subject],
    keys: Mapping[UUID, Key],
    gateways: Gateways,
    breakers: Mapping[str, Breaker],
    clocks: Clocks,
    own_trade_ids: Callable[[Collection[Subject]], Mapping[UUID, frozenset[str]]],
    clock: Callable[[], datetime],
    until_s: float,
) -> dict[UUID, Gathered]:
    """What was seen of each bot that has a key; a bot whose turn did not come by ``until_s`` (monotonic) is missing.

    ``own_trade_ids`` is asked for bots whose trades cannot be told from a rival's.
    """
    asked = [subject for subject in subjects if subject.bot_id in keys]
    by_key: dict[Key, dict[str, list[Subject]]] = defaultdict(lambda: defaultdict(list))
    for subject in asked:
        by_key[keys[subject.bot_id]][subject.pair].append(subject)
    callers = {name: Caller(gateways, breaker, clock, until_s) for name, breaker in breakers.items()}
    found = _ask_all(by_key, callers, clocks)
    _measure_clocks(found, clocks, now=clock())
    told = own_trade_ids([s for s in asked if _is_ambiguous(s, found[keys[s.bot_id]], clocks)]) if asked else {}
    gathered = {}
    for subject in asked:
        key = keys[subject.bot_id]
        answer = found[key].trades.get(subject.pair)
        if answer is not None:
            others = [told.get(one.bot_id, frozenset()) for one in by_key[key][subject.pair] if one is not subject]
            own_ids = told.get(subject.bot_id, frozenset())
            reader = _Reader(subject, clocks.offset(key.exchange), own_ids, frozenset().union(*others))
            gathered[subject.bot_id] = reader.gathered(answer, found[key], breakers[key.exchange], key)
    return gathered


def _ask_all(
    by_key: Mapping[Key, Mapping[str, Sequence[Subject]]],
    callers: Mapping[str, Caller],
    clocks: Clocks,
) -> dict[Key, KeySeen]:
    found = {key: KeySeen() for key in by_key}
    if not by_key:
        return found
    for exchange, caller in callers.items():
        if caller.breaker.tries_exchange:
            _try_exchange({key: pairs for key, pairs in by_key.items() if key.exchange == exchange}, caller, found)

    def ask(key: Key) -> None:
        of_pair = by_key[key]

        def shows_life(pair: str, trades: Trades, at: datetime) -> bool:
            offset = clocks.offset(key.exchange)
            return all(_Reader(subject, offset).shows_life(trades, at) for subject in of_pair[pair])

        ask_key(key, list(of_pair), caller=callers[key.exchange], shows_life=shows_life, known=found[key])

    with ThreadPoolExecutor(max_workers=min(MOST_THREADS, len(by_key)), thread_name_prefix="key") as threads:
        for asked in [threads.submit(ask, key) for key in by_key]:
            asked.result()
    return found


def _try_exchange(
    by_key: Mapping[Key, Mapping[str, Sequence[Subject]]], caller: Caller, found: Mapping[Key, KeySeen]
) -> None:
    """One call alone finds out whether an exchange that was away answers again, before all keys ask."""
    tries = [(key, pair) for key, pairs in by_key.items() for pair in pairs]
    for key, pair in tries[:MOST_TRIES]:
        answer = ask_trades(key, pair, caller)
        if not answer.is_put_off:
            found[key].trades[pair] = answer
        if caller.breaker.of_exchange().state != CircuitState.HALF_OPEN:
            return


def _measure_clocks(found: Mapping[Key, KeySeen], clocks: Clocks, *, now: datetime) -> None:
    """Of the exchanges that have just answered, before the times that they told are judged."""
    for key, seen in found.items():
        if any(answer.value is not None for answer in seen.trades.values()):
            clocks.measure_if_due(key.exchange, key.market_type, now=now)


def _is_ambiguous(subject: Subject, seen: KeySeen, clocks: Clocks) -> bool:
    answer = seen.trades.get(subject.pair)
    if answer is None or answer.value is None or not subject.rivals:
        return False
    offset = clocks.offset(subject.market.exchange)
    return bool(_Reader(subject, offset).attributed(answer.value, answer.asked_at).shared)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a key's answers for one bot."""

    subject: Subject
    offset: timedelta
    own_ids: frozenset[str] = frozenset()
    foreign_ids: frozenset[str] = frozenset()

    def attributed(self, trades: Trades, at: datetime) -> Attributed:
        return attribute(
            trades, order_prefix=self.subject.order_prefix, rivals=self.subject.rivals, now=at,
            offset=self.offset, own_ids=self.own_ids, foreign_ids=self.foreign_ids,
        )  # fmt: skip

    def shows_life(self, trades: Trades, at: datetime) -> bool:
        """Whether an own trade is young enough for the best verdict, so that nothing else need be asked."""
        newest = self._newest(self.attributed(trades, at).own)
        latest = max((one for one in (newest, self.subject.known_trade_at) if one), default=None)
        return latest is not None and at - latest < self.subject.limits.stale

    def gathered(self, answer: Answer[Trades], seen: KeySeen, breaker: Breaker, key: Key) -> Gathered:
        exchange = _exchange_seen(answer, breaker, key)
        where = f"{self.subject.pair} at {self.subject.market.title}"
        if answer.value is None:
            trades = TradesSeen(answer.outcome, answer.detail, where, asked_at=answer.asked_at)
            return Gathered(trades, Attributed(), False, answer.asked_at, exchange=exchange, offset=self.offset)
        whose = self.attributed(answer.value, answer.asked_at)
        trades = TradesSeen(
            TradesOutcome.READ,
            "",
            where,
            newest_at=self._newest(whose.own),
            shared_at=self._newest(whose.shared),
            future_at=whose.future_at,
            count=len(whose.own),
            rivals=whose.rivals,
            asked_at=answer.asked_at,
        )
        return Gathered(
            trades,
            whose,
            len(answer.value) >= MAY_BE_CUT,
            answer.asked_at,
            self._orders(seen.orders.get(self.subject.pair)),
            self._balance(seen.balance, whose),
            exchange,
            self.offset,
        )

    def _newest(self, trades: Trades) -> datetime | None:
        return trades[0].executed_at - self.offset if trades else None

    def _orders(self, answer: Answer[Sequence[OpenOrder]] | None) -> OrdersSeen:
        if answer is None:
            return OrdersSeen()
        if answer.value is None:
            return OrdersSeen(_outcome(answer.outcome), answer.detail, asked_at=answer.asked_at)
        own, shared = attribute_orders(
            answer.value, order_prefix=self.subject.order_prefix, rivals=self.subject.rivals, offset=self.offset
        )
        shown = own or shared
        newest = max((order.placed_at for order in shown if order.placed_at), default=None)
        return OrdersSeen(
            ProbeOutcome.READ,
            "",
            len(shown),
            newest - self.offset if newest else None,
            is_own=bool(own),
            asked_at=answer.asked_at,
        )

    def _balance(self, answer: Answer[Mapping[str, Balance]] | None, whose: Attributed) -> BalanceSeen:
        if answer is None:
            return BalanceSeen()
        if answer.value is None:
            return BalanceSeen(_outcome(answer.outcome), answer.detail, asked_at=answer.asked_at)
        lacking = shortages(
            balances=answer.value,
            pair=self.subject.pair,
            market_type=self.subject.market.market_type,
            need=need_of(self.subject.order_config, whose.own),
        )
        return BalanceSeen(ProbeOutcome.READ, "", lacking, answer.asked_at)


def _outcome(outcome: TradesOutcome) -> ProbeOutcome:
    return _OUTCOMES.get(outcome, ProbeOutcome.UNREADABLE)


def _exchange_seen(answer: Answer[Trades], breaker: Breaker, key: Key) -> ExchangeSeen:
    """What this answer says of the exchange and of the key, and since when a failure lasts."""
    at, of_exchange, of_key = answer.asked_at, breaker.of_exchange(), breaker.of_key(key.fingerprint)
    if answer.value is not None:
        return ExchangeSeen(True, True, asked_at=at)
    if answer.is_key_refused:
        since = of_key.opened_at or of_key.last_failed_at
        return ExchangeSeen(True, False, answer.detail, since, at)
    if answer.outcome in (TradesOutcome.UNREADABLE, TradesOutcome.NOT_ASKED, TradesOutcome.RATE_LIMITED):
        is_away = answer.outcome != TradesOutcome.RATE_LIMITED and of_exchange.failures > 0
        since = of_exchange.opened_at or of_key.opened_at or of_key.last_failed_at
        return ExchangeSeen(False if is_away else None, None, answer.detail, since, at)
    return ExchangeSeen(True if answer.outcome == TradesOutcome.REFUSED else None, None, asked_at=at)
