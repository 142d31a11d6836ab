"""Verdicts become incidents: what is wrong is raised, what is over ends, and bots that come back are looked at again.

Everything is read from the tables and decided anew each time, so that it does not matter who calls this, how often, or
which worker died before it could: the next one sees the same rows and says the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings

from alerts.services.incidents import raise_incidents, resolve_incidents
from alerts.services.touched import set_touched
from bots.models import HummingbotState
from bots.rules.words import HealthStatus
from bots.selectors import SILENT_POLLS, poll_seconds
from exchanges.names import resolve
from ground.scope import Scope
from ground.sql import fetch_all, run
from health import selectors
from health.rules.outages import (
    HUMMINGBOT,
    OF_ONE_BOT,
    BotSeen,
    CircuitSeen,
    Found,
    HummingbotSeen,
    Outage,
    Over,
    Told,
    find_troubles,
    spread,
    what_is_over,
)

OF_MANY = tuple(kind for kind in Outage if kind not in OF_ONE_BOT)
SAY_AGAIN_AFTER = timedelta(minutes=5)  # an open incident whose words are the same is told as seen this often
SPREAD_OVER = timedelta(seconds=60)

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('health incidents'))"

# Bots that are well and were so before are not read: of 1,000 that trade none is.
_BOTS = """
    WITH told AS (
        SELECT i.bot_id FROM incidents i WHERE i.resolved_at IS NULL AND i.kind = ANY(%(kinds)s) AND i.bot_id IS NOT NULL
        UNION SELECT t.bot_id FROM incident_bots t JOIN incidents i ON i.id = t.incident_id
         WHERE i.resolved_at IS NULL AND i.kind = ANY(%(kinds)s) AND t.until_at IS NULL
    ), ailing AS (
        SELECT h.bot_id FROM bot_health h JOIN bots b ON b.id = h.bot_id
         WHERE b.retired_at IS NULL AND b.desired_status = 'running' AND b.runtime_kind <> 'arena'
           AND (h.status IN ('stopped', 'error') OR h.cause <> '' OR h.shortage <> ''
                OR (%(hummingbot_fails)s AND b.runtime_kind = 'hummingbot'))
        UNION SELECT bot_id FROM told
    )
    SELECT b.id, b.client_id, c.account_identifier, b.name, b.pair, b.connector_name, b.runtime_kind = 'hummingbot',
           b.desired_status = 'running', b.retired_at IS NOT NULL, h.status, h.message, h.cause, h.key_fingerprint,
           coalesce(k.key_hint, ''), h.status_updated_at, h.checked_at, h.shortage,
           CASE WHEN h.status IN ('stopped', 'error') THEN (
               SELECT max(coalesce(t.until_at, i.resolved_at, %(now)s)) FROM incident_bots t
                 JOIN incidents i ON i.id = t.incident_id WHERE t.bot_id = b.id AND i.key = %(hummingbot)s) END
      FROM ailing a JOIN bots b ON b.id = a.bot_id JOIN bot_health h ON h.bot_id = b.id JOIN clients c ON c.id = b.client_id
      LEFT JOIN connectors k ON k.id = b.connector_id
     ORDER BY b.id
"""
_FIELDS = (
    "bot_id", "client_id", "account", "name", "pair", "connector_name", "is_hummingbot", "is_wanted", "is_retired",
    "status", "message", "cause", "fingerprint", "key_hint", "changed_at", "checked_at", "shortage", "released_at",
)  # fmt: skip
_OPEN = """
    SELECT id, kind, key, severity, title, last_seen_at FROM incidents
     WHERE resolved_at IS NULL AND kind = ANY(%(kinds)s)
"""
_CIRCUITS = "SELECT exchange, reason, opened_at FROM exchange_circuits WHERE fingerprint = '' AND state <> 'closed'"
_TOUCHED = "SELECT bot_id FROM incident_bots WHERE incident_id = ANY(%s) AND until_at IS NULL ORDER BY bot_id"
# A bot that is due sooner anyway stays so, and one whose row somebody holds is being looked at: nobody waits here.
_SPREAD = """
    WITH again AS MATERIALIZED (
        SELECT h.bot_id, t.at FROM bot_health h JOIN unnest(%s::uuid[], %s::timestamptz[]) AS t (bot_id, at)
               ON t.bot_id = h.bot_id
         WHERE h.due_at > t.at FOR NO KEY UPDATE OF h SKIP LOCKED
    )
    UPDATE bot_health h SET due_at = a.at FROM again a WHERE a.bot_id = h.bot_id
"""


class _Open(NamedTuple):
    """A row of _OPEN."""

    id: UUID
    kind: str
    key: str
    severity: str
    title: str
    last_seen_at: datetime

    @property
    def name(self) -> tuple[str, str]:
        return self.kind, self.key


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many troubles there are, how many incidents ended, and how many bots are looked at again for it."""

    troubles: int
    ended: int
    rechecked: int


def look_for_incidents(*, scope: Scope, now: datetime) -> Outcome:
    """Raise what is wrong, end what is over. One at a time looks: who comes second sees what the first one wrote."""
    with scope.transaction(reason="health looked at"):
        run(_LOCK)
        hummingbot = _hummingbot(now)
        bots = _bots(hummingbot, now)
        circuits = [CircuitSeen(*row) for row in fetch_all(_CIRCUITS)]
        standing = {row.name: row for row in (_Open(*row) for row in fetch_all(_OPEN, _kinds()))}
        found = find_troubles(bots=bots, circuits=circuits, hummingbot=hummingbot, now=now)
        _raise(scope, found, standing, now)
        over = what_is_over(found=found, open_incidents=list(standing), bots=bots)
        rechecked = _end(scope, over, standing, now)
    return Outcome(len(found.troubles), len(over), rechecked)


def _kinds() -> dict[str, Any]:
    return {"kinds": [str(kind) for kind in Outage]}


def _hummingbot(now: datetime) -> HummingbotSeen:
    """Away after as many polls without a readable answer, in the time that so many take while it answers; never where
    none is configured."""
    if not settings.HUMMINGBOT_API_URL:
        return HummingbotSeen()
    state = HummingbotState.objects.filter(id=1).first()
    if state is None:
        return HummingbotSeen()
    patience = timedelta(seconds=SILENT_POLLS * poll_seconds())
    if state.failures >= SILENT_POLLS and (state.last_ok_at is None or now - state.last_ok_at >= patience):
        return HummingbotSeen(state.last_ok_at or state.polled_at or now, state.error)
    return HummingbotSeen(silent_since=state.broker_suspect_since)


def _bots(hummingbot: HummingbotSeen, now: datetime) -> list[BotSeen]:
    params = _kinds() | {"hummingbot_fails": hummingbot.failing_since(now) is not None, "hummingbot": HUMMINGBOT}
    found = []
    for row in fetch_all(_BOTS, params | {"now": now}):
        fields: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
        market = resolve(fields.pop("connector_name"))
        status = HealthStatus(fields.pop("status"))
        found.append(BotSeen(**fields, exchange=market.exchange, exchange_title=market.title, status=status))
    return found


def _raise(scope: Scope, found: Found, standing: dict[tuple[str, str], _Open], now: datetime) -> None:
    news = [told for told in found.troubles if _is_news(told, standing.get(told.name), now)]
    raise_incidents(scope=scope, troubles=[told.trouble for told in news], now=now)
    touched = {told.name: told.touched for told in found.troubles}
    for name in touched.keys() | (found.undecided.keys() & standing.keys()):
        if Outage(name[0]) in OF_MANY:
            set_touched(
                scope=scope, incident_key=name, bot_ids=touched.get(name, found.undecided.get(name, ())), now=now
            )


def _is_news(told: Told, standing: _Open | None, now: datetime) -> bool:
    """An incident that is seen with the same words every few seconds is not written each time."""
    if standing is None or now - standing.last_seen_at >= SAY_AGAIN_AFTER:
        return True
    return (standing.title, standing.severity) != (told.trouble.title, told.trouble.severity)


def _end(scope: Scope, over: Sequence[Over], standing: dict[tuple[str, str], _Open], now: datetime) -> int:
    """End what is over, one statement for each kind and reason; the bots of outages come due. Says how many."""
    of_many = [standing[end.kind, end.key].id for end in over if Outage(end.kind) in OF_MANY]
    released = [row[0] for row in fetch_all(_TOUCHED, [of_many])] if of_many else []
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for end in over:
        groups[end.kind, end.resolution].add(end.key)
    for (kind, resolution), keys in groups.items():
        stays = [key for of, key in standing if of == kind and key not in keys]
        resolve_incidents(scope=scope, kind=kind, now=now, resolution=resolution, still_broken=stays)
    return spread_rechecks(bot_ids=released, now=now)


def spread_rechecks(*, bot_ids: Sequence[UUID], now: datetime) -> int:
    """These bots are due soon, not all at once: evenly over a minute, or an interval where that is shorter.

    Their ids are random, so that each moment has bots of many keys. Says how many come due sooner for it.
    """
    if not bot_ids:
        return 0
    over = min(SPREAD_OVER, timedelta(seconds=selectors.check_interval_s()))
    due = [now + wait for wait in spread(count=len(bot_ids), over=over)]
    return run(_SPREAD, [sorted(bot_ids), due])
