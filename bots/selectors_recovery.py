"""Reads of bots that are wanted running and do not run: what the rule in rules/recovery.py decides on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bots.rules.recovery import NOWHERE_FOR, RAN_WELL, SILENT_ANSWERS, Past, Situation
from bots.rules.words import DeploymentStatus, RuntimeStatus
from ground.scope import Scope
from ground.sql import fetch_all

_WANTED = (
    "b.desired_status = 'running' AND b.retired_at IS NULL AND b.deletion_requested_at IS NULL "
    "AND b.runtime_kind = 'hummingbot'"
)
_FROM = """
      FROM bots b
      LEFT JOIN LATERAL (
        SELECT x.* FROM bot_deployments x WHERE x.bot_id = b.id ORDER BY x.sequence DESC LIMIT 1
      ) d ON true
      LEFT JOIN bot_runtime r ON r.bot_id = b.id AND r.instance_name = d.instance_name AND d.instance_name <> ''
      LEFT JOIN bot_recovery y ON y.bot_id = b.id
"""
_SEEMS_DOWN = """
    (d.id IS NULL OR d.status IN ('ended', 'failed') OR (d.status = 'live' AND (
        r.status IN ('exited', 'absent', 'failed')
        OR (r.status = 'stopped' AND r.changed_at <= %(now)s - %(silent)s)
        OR (r.status = 'unknown' AND r.nowhere_since <= %(now)s - %(nowhere)s))))
"""
_IS_DUE = """
    (y.bot_id IS NULL OR y.counted_sequence IS DISTINCT FROM coalesce(d.sequence, 0) OR y.next_at IS NULL
     OR y.next_at <= %(now)s)
"""
_MAY_FORGET = """
    (y.bot_id IS NOT NULL AND d.status = 'live' AND r.status = 'running' AND d.confirmed_at <= %(now)s - %(well)s)
"""
_SITUATION = """
    b.id, b.client_id, d.id, d.status, coalesce(d.sequence, 0), coalesce(d.is_refused, false), coalesce(d.message, ''),
    d.confirmed_at, d.ended_at, r.status, r.changed_at, coalesce(r.explanation, ''), r.nowhere_since,
    EXISTS (SELECT 1 FROM bot_deployments o WHERE o.bot_id = b.id AND o.status = 'retiring'),
    (SELECT h.last_heartbeat_at FROM bot_health h WHERE h.bot_id = b.id),
    (SELECT s.last_ok_at FROM hummingbot_state s WHERE s.id = 1 AND s.failures = 0),
    y.bot_id IS NOT NULL, y.failures, y.counted_sequence, y.next_at, y.is_planned, y.quarantined_at
"""
_QUARANTINED = f"""
    y.bot_id, y.client_id, y.quarantined_at, y.failures, y.reason
      FROM bot_recovery y JOIN bots b ON b.id = y.bot_id WHERE y.quarantined_at IS NOT NULL AND {_WANTED}
"""


@dataclass(frozen=True, slots=True)
class Recoverable:
    """A bot that is wanted running, its newest deployment (None: never deployed), and what is known of it."""

    bot_id: UUID
    client_id: UUID
    deployment_id: UUID | None
    situation: Situation
    past: Past | None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A bot that is wanted running and is left for a person."""

    bot_id: UUID
    client_id: UUID
    at: datetime
    failures: int
    reason: str


def bots_down(scope: Scope, *, now: datetime) -> list[Recoverable]:
    """Every bot that is wanted running without a living deployment, quarantined ones too, by bot id.

    Nothing is said here of whether Hummingbot answers at present: ``situation.looked_at`` is when it last did.
    """
    with scope.transaction():
        rows = fetch_all(
            f"SELECT {_SITUATION} {_FROM} WHERE {_WANTED} AND {_SEEMS_DOWN} "
            "AND (%(tenant)s::uuid IS NULL OR b.client_id = %(tenant)s) ORDER BY b.id",
            _spans(now) | {"tenant": scope.client_id},
        )
    return [_recoverable(row) for row in rows]


def bots_quarantined(scope: Scope) -> list[Quarantined]:
    """Bots that failed too often, or whose config was refused, oldest first. A start or stop takes one out."""
    with scope.transaction():
        rows = fetch_all(
            f"SELECT {_QUARANTINED} AND (%(tenant)s::uuid IS NULL OR b.client_id = %(tenant)s) "
            "ORDER BY y.quarantined_at, y.bot_id",
            {"tenant": scope.client_id},
        )
    return [Quarantined(*row) for row in rows]


def bots_to_look_at(scope: Scope, *, now: datetime, limit: int) -> list[UUID]:
    """Bots for which something may have to be done now, those that waited longest first."""
    with scope.transaction():
        rows = fetch_all(
            f"SELECT b.id {_FROM} WHERE {_WANTED} AND y.quarantined_at IS NULL "
            f"AND (({_SEEMS_DOWN} AND {_IS_DUE}) OR {_MAY_FORGET}) ORDER BY y.next_at NULLS FIRST, b.id LIMIT %(limit)s",
            _spans(now) | {"limit": limit},
        )
    return [row[0] for row in rows]


def locked_situation(bot_id: UUID) -> Recoverable | None:
    """One bot, its row locked for the caller's transaction; None when it is not wanted running, or somebody has it."""
    rows = fetch_all(
        f"SELECT b.id FROM bots b WHERE {_WANTED} AND b.id = %s FOR NO KEY UPDATE SKIP LOCKED",  # noqa: S608
        [bot_id],
    )
    # Read after the lock is held: what another worker has just committed must be seen.
    rows = rows and fetch_all(f"SELECT {_SITUATION} {_FROM} WHERE b.id = %s", [bot_id])
    return _recoverable(rows[0]) if rows else None


def _spans(now: datetime) -> dict[str, Any]:
    return {"now": now, "silent": SILENT_ANSWERS, "nowhere": NOWHERE_FOR, "well": RAN_WELL}


def _recoverable(row: tuple[Any, ...]) -> Recoverable:
    bot_id, client_id, deployment_id, status, sequence, is_refused, message, confirmed_at, ended_at, *rest = row
    runtime, runtime_since, explanation, nowhere_since, is_leaving, heartbeat_at, looked_at, is_known, *past = rest
    situation = Situation(
        deployment=DeploymentStatus(status) if status else None,
        sequence=sequence,
        is_refused=is_refused,
        message=message,
        confirmed_at=confirmed_at,
        ended_at=ended_at,
        runtime=RuntimeStatus(runtime) if runtime else None,
        runtime_since=runtime_since,
        explanation=explanation,
        nowhere_since=nowhere_since,
        is_leaving=is_leaving,
        last_heartbeat_at=heartbeat_at,
        looked_at=looked_at,
    )
    return Recoverable(bot_id, client_id, deployment_id, situation, Past(*past) if is_known else None)
