"""The cycle: which bots are due, and checking a set of them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from exchanges.names import resolve
from ground.scope import system_scope
from ground.sql import fetch_all, run
from health import selectors
from health.rules.silence import limits_at, silent_since
from health.rules.verdict import STOP_GRACE, judge
from health.rules.words import CircuitState
from health.services.ask_runtime import Histories, own_trade_ids
from health.services.circuits import Breaker, open_breakers, store_circuits
from health.services.clocks import open_clocks
from health.services.feed_ledger import feed_ledger
from health.services.gather_evidence import Gathered, gather
from health.services.gather_keys import Gateways, Key, keys_of
from health.services.key_locks import holding
from health.services.record_verdicts import Checked, record_verdicts
from health.services.watch import after_checks
from health.subjects import SEEN_RUNNING, Subject, subjects
from health.types import Evidence, TradesSeen

MOST_AT_ONCE = 5000
CYCLE_BUDGET_S = 45.0  # a key whose pairs take longer goes on at the next tick
ASKED_BUDGET_S = 10.0  # nothing is begun later where a person waits
BUSY_KEY_WAIT = timedelta(seconds=5)

# Checked is every bot wanted or seen running; and once more one whose verdict still says that it lives or fails though
# it is neither, so that no such word outlasts its reason. ``watched`` finds them by indexes: most bots rest.
_CLAIM = f"""
WITH watched AS MATERIALIZED (
    SELECT id FROM bots WHERE retired_at IS NULL AND desired_status = 'running'
    UNION SELECT bot_id FROM bot_health WHERE status IN ('healthy', 'stale', 'error')
    UNION SELECT bot_id FROM bot_health WHERE last_heartbeat_at > %(now)s - %(heartbeat)s
    UNION SELECT bot_id FROM bot_health WHERE heartbeat_expires_at > %(now)s
    UNION SELECT bot_id FROM bot_runtime WHERE status = 'running'
), due AS MATERIALIZED (
    SELECT h.bot_id, b.connector_name,
           extract(epoch FROM %(now)s - greatest(h.due_at, b.desired_at, h.status_updated_at)) AS late_s
      FROM watched w JOIN bot_health h ON h.bot_id = w.id JOIN bots b ON b.id = w.id
      LEFT JOIN bot_runtime r ON r.bot_id = w.id
     WHERE h.due_at <= %(now)s AND b.retired_at IS NULL AND b.runtime_kind <> 'arena'
       AND (b.desired_status = 'running' OR h.status IN ('healthy', 'stale', 'error') OR ({SEEN_RUNNING})
            OR (b.desired_status = 'created' AND h.heartbeat_status = 'running'
                AND (h.last_heartbeat_at > %(now)s - %(heartbeat)s OR h.heartbeat_expires_at > %(now)s)))
     ORDER BY h.due_at LIMIT %(limit)s FOR UPDATE OF h SKIP LOCKED
)
UPDATE bot_health h SET due_at = %(now)s + %(interval)s FROM due WHERE h.bot_id = due.bot_id
RETURNING h.bot_id, due.connector_name, due.late_s
"""  # noqa: S608 - made of constants


@dataclass(slots=True)
class Claim:
    """Bots of one exchange to look at, and by how much the latest of them was overdue."""

    bot_ids: list[UUID] = field(default_factory=list)
    late_s: float = 0.0


def claim_due_bots(*, now: datetime, limit: int = MOST_AT_ONCE) -> dict[str, Claim]:
    """The bots that are due, by exchange; they are due again one interval later, whoever else looks."""
    groups: dict[str, Claim] = defaultdict(Claim)
    with system_scope("health").transaction():
        interval = timedelta(seconds=selectors.check_interval_s())
        params = {
            "now": now,
            "interval": interval,
            "limit": limit,
            "stop_grace": STOP_GRACE,
            "heartbeat": selectors.thresholds().heartbeat,
        }
        # An interval that was made shorter acts at once.
        run("UPDATE bot_health SET due_at = %(now)s + %(interval)s WHERE due_at > %(now)s + %(interval)s", params)
        for bot_id, connector_name, late_s in fetch_all(_CLAIM, params):
            claim = groups[resolve(connector_name).exchange]
            claim.bot_ids.append(bot_id)
            claim.late_s = max(claim.late_s, float(late_s))
    return dict(groups)


def check_bots(
    *,
    bot_ids: Sequence[UUID],
    gateways: Gateways,
    clock: Callable[[], datetime],
    actor: str = "system:health",
    is_scheduled: bool = True,
    histories: Histories | None = None,
    budget_s: float = CYCLE_BUDGET_S,
) -> set[UUID]:
    """Look at these bots and store the verdicts; returns the bots whose row was written.

    ``is_scheduled`` False: a person asked, so that the call is always made, once, whatever another worker or an open
    circuit says. Otherwise a key that another worker is using makes its bots due again shortly. ``histories`` is
    Hummingbot, where there is one, to tell apart the trades of bots that share account and pair.
    """
    until_s = time.monotonic() + budget_s
    with system_scope("health").transaction():
        found = subjects(bot_ids, now=clock())
    keys, unasked = keys_of(found)
    with holding(set(keys.values()) if is_scheduled else set()) as busy:
        free = {bot_id: key for bot_id, key in keys.items() if key not in busy}
        names = {(key.exchange, key.fingerprint) for key in free.values()}
        breakers = open_breakers(names, now=clock(), is_minded=is_scheduled)
        clocks = open_clocks(gateways, breakers.keys())
        gathered = gather(
            subjects=found, keys=free, gateways=gateways, breakers=breakers, clocks=clocks,
            own_trade_ids=lambda doubtful: own_trade_ids(doubtful, histories), clock=clock, until_s=until_s,
        )  # fmt: skip
        checks = [
            _check(subject, gathered.get(subject.bot_id), keys.get(subject.bot_id), unasked, clock)
            for subject in found
            if subject.bot_id in gathered or subject.bot_id in unasked
        ]
        store_circuits(list(breakers.values()), now=clock())
        written = record_verdicts(checks, actor=actor)
        feed_ledger(subjects=found, gathered=gathered, now=clock())
    _look_again([bot_id for bot_id in free if bot_id not in gathered], at=clock())
    _look_again([bot_id for bot_id in keys if bot_id not in free], at=clock() + BUSY_KEY_WAIT)
    _try_again(free, breakers)
    after_checks(scope=system_scope("health"), now=clock())
    return written


def _check(
    subject: Subject,
    gathered: Gathered | None,
    key: Key | None,
    unasked: Mapping[UUID, TradesSeen],
    clock: Callable[[], datetime],
) -> Checked:
    if gathered is None:
        evidence = Evidence(
            subject.run, unasked[subject.bot_id], subject.heartbeat, subject.known_trade_at, runtime=subject.runtime
        )
        checked_at = clock()
    else:
        evidence = Evidence(
            subject.run, gathered.seen, subject.heartbeat, subject.known_trade_at, gathered.orders, gathered.balance,
            subject.runtime, gathered.exchange,
        )  # fmt: skip
        checked_at = gathered.asked_at
    # What was learned depends on when the silence began, which this check may have found anew.
    since = silent_since(evidence, now=checked_at)
    subject = replace(subject, limits=limits_at(subject.choice, since=since, now=checked_at))
    verdict = judge(evidence=evidence, limits=subject.limits, now=checked_at)
    return Checked(subject, evidence, verdict, checked_at, key.fingerprint if key else "")


def _look_again(bot_ids: list[UUID], *, at: datetime) -> None:
    if bot_ids:
        with system_scope("health").transaction():
            run("UPDATE bot_health SET due_at = least(due_at, %s) WHERE bot_id = ANY(%s)", [at, bot_ids])


def _try_again(keys: Mapping[UUID, Key], breakers: Mapping[str, Breaker]) -> None:
    """One bot of each circuit that opened is due when that may be tried, so that nobody waits for the next cycle."""
    first: dict[tuple[str, str], UUID] = {}
    for bot_id, key in keys.items():
        first.setdefault((key.exchange, ""), bot_id)
        first.setdefault((key.exchange, key.fingerprint), bot_id)
    for exchange, breaker in breakers.items():
        for circuit in breaker.changed():
            if circuit.state == CircuitState.OPEN and circuit.retry_at:
                _look_again([first[exchange, circuit.fingerprint]], at=circuit.retry_at)
