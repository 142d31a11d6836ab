"""Raising incidents, and ending them. A rule that looks again and again tells an incident once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from alerts.models import Incident
from alerts.rules.words import Severity
from alerts.types import Trouble
from ground.errors import Conflict, NotFound
from ground.http import exact_json
from ground.scope import Scope
from ground.sql import fetch_all, run

# Rows are told in one order by everybody: two workers that raise the same incidents must not wait for each other.
_RAISE = """
    INSERT INTO incidents AS i (id, client_id, bot_id, kind, key, severity, title, details, raised_by, opened_at,
                                last_seen_at, times_seen, acknowledged_by, resolved_by, resolution)
    SELECT id, client_id, bot_id, kind, key, severity, title, details::jsonb, %(actor)s, %(now)s, %(now)s, 1, '', '', ''
      FROM unnest(%(ids)s::uuid[], %(clients)s::uuid[], %(bots)s::uuid[], %(kinds)s::text[], %(keys)s::text[],
                  %(severities)s::text[], %(titles)s::text[], %(details)s::text[])
           AS t (id, client_id, bot_id, kind, key, severity, title, details)
     ORDER BY kind, key
    ON CONFLICT (kind, key) WHERE resolved_at IS NULL DO UPDATE
       SET severity = excluded.severity, title = excluded.title, details = excluded.details,
           last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at), times_seen = i.times_seen + 1
    RETURNING i.kind, i.key, i.id
"""
_RESOLVE = """
    UPDATE incidents SET resolved_at = %(now)s, resolved_by = %(actor)s, resolution = %(resolution)s
     WHERE resolved_at IS NULL AND kind = %(kind)s AND last_seen_at <= %(now)s
       AND (%(key)s::text IS NULL OR key = %(key)s) AND NOT key = ANY(%(still_broken)s::text[])
"""


def raise_incident(
    *,
    scope: Scope,
    kind: str,
    key: str,
    title: str,
    now: datetime,
    severity: Severity = Severity.WARNING,
    client_id: UUID | None = None,
    bot_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
) -> UUID:
    """The open incident of this kind and key: a new one, or the old one seen once more, with the newest words.

    ``scope`` must be an operator's or a worker's: clients read their incidents and raise none.
    """
    trouble = Trouble(kind, key, title, severity, client_id, bot_id, details or {})
    return raise_incidents(scope=scope, troubles=[trouble], now=now)[kind, key]


def raise_incidents(*, scope: Scope, troubles: Sequence[Trouble], now: datetime) -> dict[tuple[str, str], UUID]:
    """The same for many, in one statement: ``{(kind, key): id}``. Of two with one kind and key the last is told."""
    told = list({(trouble.kind, trouble.key): trouble for trouble in troubles}.values())
    if not told:
        return {}
    with scope.transaction(reason="incident raised"):
        found = fetch_all(
            _RAISE,
            {
                "actor": scope.actor,
                "now": now,
                "ids": [uuid4() for _ in told],
                "clients": [trouble.client_id for trouble in told],
                "bots": [trouble.bot_id for trouble in told],
                "kinds": [trouble.kind for trouble in told],
                "keys": [trouble.key for trouble in told],
                "severities": [str(trouble.severity) for trouble in told],
                "titles": [trouble.title[:300] for trouble in told],
                "details": [exact_json(trouble.details) for trouble in told],
            },
        )
    return {(kind, key): incident_id for kind, key, incident_id in found}


def resolve_incidents(
    *,
    scope: Scope,
    kind: str,
    now: datetime,
    resolution: str,
    key: str | None = None,
    still_broken: Collection[str] = (),
) -> int:
    """End the open incidents of a kind that are mended: the one of ``key``, or all but the keys ``still_broken``.

    ``now`` is when the rule looked: what somebody saw broken later stays open. Returns how many ended.
    """
    with scope.transaction(reason=resolution):
        return run(
            _RESOLVE,
            {
                "kind": kind,
                "key": key,
                "still_broken": list(still_broken),
                "now": now,
                "actor": scope.actor,
                "resolution": resolution[:300],
            },
        )


def acknowledge_incident(*, scope: Scope, incident_id: UUID, now: datetime) -> None:
    """Somebody has taken it on; it stays open. Raises NotFound, Conflict when it is resolved or taken on already."""
    with scope.transaction(reason="incident acknowledged"):
        incident = _open_incident(incident_id)
        if incident.acknowledged_at:
            raise Conflict(f"{incident.acknowledged_by} has taken it on already.", code="already_acknowledged")
        incident.acknowledged_at, incident.acknowledged_by = now, scope.actor
        incident.save(update_fields=["acknowledged_at", "acknowledged_by"])


def resolve_incident(*, scope: Scope, incident_id: UUID, resolution: str, now: datetime) -> None:
    """A person says it is over. What is still broken comes back as a new incident when its rule looks next.

    Raises NotFound, Conflict when it is resolved already.
    """
    with scope.transaction(reason=resolution or "incident resolved"):
        incident = _open_incident(incident_id)
        incident.resolved_at, incident.resolved_by, incident.resolution = now, scope.actor, resolution[:300]
        incident.save(update_fields=["resolved_at", "resolved_by", "resolution"])


def _open_incident(incident_id: UUID) -> Incident:
    incident = Incident.objects.select_for_update(no_key=True).filter(id=incident_id).first()
    if incident is None:
        raise NotFound("There is no such incident.")
    if incident.resolved_at:
        raise Conflict("This incident is resolved already.", code="already_resolved")
    return incident
