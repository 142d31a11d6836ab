"""Reading what the checks could not: trades between two looks that were too far apart, and those before the first one.

Slowly, and after the checks: a key that a check is using is left alone, an open circuit too, and a gap is read a few
pages at a time. How far back an exchange lets one read is its own affair; the gap's note says where that was the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from exchanges.types import TradePage
from ground.scope import system_scope
from health.rules.attribution import attribute
from health.services.ask_exchange import Answer, Caller
from health.services.circuits import open_breakers, store_circuits
from health.services.clocks import Clocks, open_clocks
from health.services.feed_ledger import executions_of
from health.services.gather_keys import Gateways, Key, keys_of
from health.services.key_locks import holding
from health.services.trade_gaps import Claimed, claim_gaps, close_gap, forget_closed_gaps, keep_gap
from health.subjects import Subject, subjects
from ledger.services.record_trades import record_executions
from ledger.services.refresh_day_figures import extend_known_time

MOST_GAPS = 5  # in one go
MOST_PAGES = 5  # of one gap in one go
BUDGET_S = 20.0
BUSY_WAIT = timedelta(seconds=5)
NEXT_PART = timedelta(seconds=2)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
GIVE_UP_AFTER = 20  # attempts in a row that read nothing


def fill_gaps(*, gateways: Gateways, clock: Callable[[], datetime], limit: int = MOST_GAPS) -> int:
    """Read on in the gaps that are due; returns how many were claimed. Safe twice, and at the same time."""
    until_s = time.monotonic() + BUDGET_S
    claimed = claim_gaps(now=clock(), limit=limit)
    for gap in claimed:
        _fill(gap, gateways=gateways, clock=clock, until_s=until_s)
    forget_closed_gaps(now=clock())
    return len(claimed)


def _fill(gap: Claimed, *, gateways: Gateways, clock: Callable[[], datetime], until_s: float) -> None:
    with system_scope("health").transaction():
        found = subjects([gap.bot_id], now=clock())
    keys, _ = keys_of(found)
    key = keys.get(gap.bot_id)
    if key is None:
        return close_gap(gap, now=clock(), note="There is no key any more to read it with.")
    with holding({key}) as busy:
        if busy:
            return keep_gap(gap, due_at=clock() + BUSY_WAIT)
        breakers = open_breakers({(key.exchange, key.fingerprint)}, now=clock())
        caller = Caller(gateways, breakers[key.exchange], clock, until_s)
        _read(gap, found[0], key, caller=caller, clocks=open_clocks(gateways, breakers.keys()))
        store_circuits(list(breakers.values()), now=clock())
    return None


def _read(gap: Claimed, subject: Subject, key: Key, *, caller: Caller, clocks: Clocks) -> None:
    """A few pages; each is stored before the next is asked for."""
    rest = (gap.rest_from, gap.rest_to)
    new, has_read, note = 0, False, ""
    for _ in range(MOST_PAGES):
        answer = _ask(key, subject.pair, rest, caller)
        if answer.value is None:
            return _put_off(gap, answer, rest=rest if has_read else None, found=new, now=caller.clock())
        page, has_read = answer.value, True
        new += _store(subject, page, clocks.offset(key.exchange), now=caller.clock())
        note = page.note or note
        if page.rest is None:
            return _finish(gap, found=new, note=note, now=caller.clock())
        rest = page.rest
        if caller.is_late():
            break
    return keep_gap(gap, due_at=caller.clock() + NEXT_PART, rest=rest, found=new, note=note)


def _ask(key: Key, pair: str, rest: tuple[datetime, datetime], caller: Caller) -> Answer[TradePage]:
    since, until = rest
    return caller.ask(key, lambda gateway: gateway.fetch_trade_page(pair, since=since, until=until), tells_of_key=False)


def _store(subject: Subject, page: TradePage, offset: timedelta, *, now: datetime) -> int:
    whose = attribute(page.trades, order_prefix=subject.order_prefix, rivals=subject.rivals, now=now, offset=offset)
    recorded = record_executions(scope=system_scope("ledger"), executions=executions_of(subject, whose), now=now)
    return recorded.new


def _put_off(
    gap: Claimed, answer: Answer[TradePage], *, rest: tuple[datetime, datetime] | None, found: int, now: datetime
) -> None:
    if gap.attempts >= GIVE_UP_AFTER and rest is None:
        return close_gap(gap, now=now, found=found, note=f"Given up: {answer.detail}")
    wait = min(FIRST_WAIT * 2 ** min(gap.attempts - 1, 10), LONGEST_WAIT)
    return keep_gap(gap, due_at=now + wait, rest=rest, found=found, note=answer.detail)


def _finish(gap: Claimed, *, found: int, note: str, now: datetime) -> None:
    """What was read to its end without a word of what is missing makes the ledger whole for so much longer."""
    close_gap(gap, now=now, found=found, note=note)
    if not note:
        extend_known_time(scope=system_scope("ledger"), bot_id=gap.bot_id, since=gap.from_at, until=gap.to_at)
