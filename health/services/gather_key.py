"""What one key shows: trades of each of its pairs, its balances once, and open orders where trades show no life.

A key's calls come one after the other, in this order, so that what decides most is known first when time runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchanges.types import Balance, OpenOrder, Trade
from health.services.ask_exchange import Answer, Caller
from health.services.gather_keys import Key
from health.types import TradesOutcome

NEWEST = 100  # trades asked for: the more, the fewer gaps in the ledger
GIVE_UP_AFTER = 3  # calls of one key that fail in a row; the rest of its pairs are not asked in this round

Trades = tuple[Trade, ...]
# Whether these trades show every bot of the pair alive, so that its open orders need not be asked for.
ShowsLife = Callable[[str, Trades, datetime], bool]

# Outcomes that the next pair of the same key would meet too, where no circuit minds them already.
_WEIGHT = {
    TradesOutcome.UNREADABLE: 1,
    TradesOutcome.REFUSED: 1,
    TradesOutcome.RATE_LIMITED: GIVE_UP_AFTER,
}


@dataclass(slots=True)
class KeySeen:
    """The answers of one key. A pair whose turn did not come is missing."""

    trades: dict[str, Answer[Trades]] = field(default_factory=dict)
    orders: dict[str, Answer[Sequence[OpenOrder]]] = field(default_factory=dict)
    balance: Answer[Mapping[str, Balance]] | None = None


def ask_key(key: Key, pairs: Sequence[str], *, caller: Caller, shows_life: ShowsLife, known: KeySeen) -> KeySeen:
    """Everything that this round wants of the key, beside what is ``known`` already."""
    _ask_trades(key, pairs, caller, known)
    alive = any(answer.outcome == TradesOutcome.READ for answer in known.trades.values())
    if not alive or caller.is_late():
        return known
    known.balance = caller.ask(key, lambda gateway: gateway.fetch_balance(), tells_of_key=False)
    for pair, answer in known.trades.items():
        if caller.is_late():
            break
        if answer.value is not None and not shows_life(pair, answer.value, answer.asked_at):
            known.orders[pair] = caller.ask(key, _orders_of(pair), tells_of_key=False)
    return known


def ask_trades(key: Key, pair: str, caller: Caller) -> Answer[Trades]:
    """The newest own trades of one pair."""
    return caller.ask(key, lambda gateway: tuple(gateway.fetch_own_trades(pair, NEWEST)))


def _ask_trades(key: Key, pairs: Sequence[str], caller: Caller, known: KeySeen) -> None:
    failures = 0
    for pair in pairs:
        if pair in known.trades:
            continue
        if caller.is_late():
            return
        if failures >= GIVE_UP_AFTER:
            known.trades[pair] = next(reversed(known.trades.values()))
            continue
        answer = ask_trades(key, pair, caller)
        if answer.is_put_off and caller.breaker.is_minded:
            return
        known.trades[pair] = answer
        if answer.outcome == TradesOutcome.READ:
            failures = 0
        elif answer.outcome != TradesOutcome.REFUSED or answer.is_key_refused:
            failures += _WEIGHT.get(answer.outcome, 0)


def _orders_of(pair: str) -> Callable[..., Sequence[OpenOrder]]:
    return lambda gateway: gateway.fetch_open_orders(pair)
