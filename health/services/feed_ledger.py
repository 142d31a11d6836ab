"""Every trade that a check reads goes into the ledger: of the bot it is surely of, else of its client's account alone.

Where a full page of trades does not reach back to what is known, a gap is noted for ``fill_gaps``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from structlog import get_logger

from exchanges.types import Trade
from ground.scope import Scope, system_scope
from health.rules.attribution import Attributed
from health.services.gather_evidence import Gathered
from health.services.trade_gaps import FIRST_LOOK_BACK, Gap, note_gaps
from health.subjects import Subject
from health.types import TradesOutcome
from ledger.selectors.known import known_exchange_trades
from ledger.services.record_trades import record_executions
from ledger.services.refresh_day_figures import DAY, Reading, refresh_day_figures
from ledger.types import NewExecution

log = get_logger(__name__)

LOOK_BACK = timedelta(
    hours=1
)  # a trade this much older than the newest one known is offered again, in case it was late


def feed_ledger(*, subjects: Sequence[Subject], gathered: Mapping[UUID, Gathered], now: datetime) -> None:
    """Store what was read, and bring the day's figures of these bots up to ``now``. Safe to run twice."""
    scope = system_scope("ledger")
    read = [
        (subject, found)
        for subject in subjects
        if (found := gathered.get(subject.bot_id)) and found.seen.outcome == TradesOutcome.READ
    ]
    readings = _readings(scope, read, now=now)
    gaps = [
        gap
        for (subject, found), reading in zip(read, readings, strict=True)
        if (gap := _gap(subject, found, reading, now=now))
    ]
    executions = [execution for subject, found in read for execution in _executions(subject, found)]
    for refused in record_executions(scope=scope, executions=executions, now=now).refused:
        one = refused.execution
        log.warning(
            "trade_refused", connector=str(one.connector_id), trade=one.trade.exchange_trade_id, why=refused.reason
        )
    refresh_day_figures(scope=scope, readings=readings, now=now)
    note_gaps(gaps=gaps, now=now)


def executions_of(subject: Subject, whose: Attributed, *, since: datetime | None = None) -> list[NewExecution]:
    """The executions to offer to the ledger, those before ``since`` left out."""
    if subject.connector_id is None:
        return []
    return [
        NewExecution(
            client_id=subject.client_id, connector_id=subject.connector_id, bot_id=bot_id,
            exchange=subject.market.exchange, market_type=subject.market.market_type, trade=trade,
        )
        for bot_id, trades in ((subject.bot_id, whose.own), (None, whose.shared))
        for trade in trades
        if since is None or trade.executed_at >= since
    ]  # fmt: skip


def _executions(subject: Subject, found: Gathered) -> list[NewExecution]:
    since = subject.ledger_until - LOOK_BACK if subject.ledger_until else None
    return executions_of(subject, found.attributed, since=since)


def _readings(scope: Scope, read: Sequence[tuple[Subject, Gathered]], *, now: datetime) -> list[Reading]:
    """What each look shows of the day before. Asked before its trades are stored: whether they join what was known."""
    oldest = {subject.bot_id: _oldest(found) for subject, found in read}
    keys = {
        subject.bot_id: (subject.connector_id, str(subject.market.market_type), trade.symbol, trade.exchange_trade_id)
        for subject, _ in read
        if (trade := oldest[subject.bot_id]) and subject.connector_id
    }
    with scope.transaction():
        known = known_exchange_trades(keys.values())
    return [
        Reading(
            bot_id=subject.bot_id,
            client_id=subject.client_id,
            known_since=_known_since(found, oldest[subject.bot_id], joins=keys.get(subject.bot_id) in known, now=now),
            is_told_apart=_is_told_apart(found, now=now),
        )
        for subject, found in read
    ]


def _gap(subject: Subject, found: Gathered, reading: Reading, *, now: datetime) -> Gap | None:
    """What lies between this look and the one before; before a bot's first look, its last week."""
    oldest = _oldest(found)
    if not found.was_page_full or reading.known_since is None or oldest is None or subject.connector_id is None:
        return None
    since, is_first = subject.ledger_until or now - FIRST_LOOK_BACK, subject.ledger_until is None
    if since >= oldest.executed_at:
        return None
    return Gap(subject.bot_id, subject.client_id, since, oldest.executed_at, is_first)


def _oldest(found: Gathered) -> Trade | None:
    trades = (*found.attributed.own, *found.attributed.shared)
    return min(trades, key=lambda trade: (trade.executed_at, trade.exchange_trade_id)) if trades else None


def _known_since(found: Gathered, oldest: Trade | None, *, joins: bool, now: datetime) -> datetime | None:
    """An exchange that gave fewer trades than were asked for has no other of the last day; a full page reaches as far as
    its oldest one, unless that was known before."""
    if not found.was_page_full:
        return now - DAY
    if joins:
        return None
    return oldest.executed_at if oldest else now


def _is_told_apart(found: Gathered, *, now: datetime) -> bool:
    whose = found.attributed
    return not whose.future_at and not any(trade.executed_at > now - DAY for trade in whose.shared)
