"""What was observed of bots, written into bot_runtime in one statement for many."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bots.rules.log_lines import newest_errors
from bots.rules.words import RuntimeStatus
from bots.types import InstanceStatus, Observation, Performance
from ground.sql import run

# Hummingbot forgets a bot's log when it restarts: what was read of this instance before stays.
# An older look never overwrites a newer one, and a look at an older deployment never overwrites a newer one's. No look is
# ten minutes late: then the clock was set back.
_UPSERT = """
    INSERT INTO bot_runtime AS r (bot_id, client_id, status, explanation, instance_name, observed_at, changed_at,
                                  misses, performance, performance_at, error_lines, errors_at, nowhere_since)
    SELECT d.bot_id, d.client_id, x.status, x.explanation, d.instance_name, x.observed_at, x.observed_at, x.misses,
           x.performance, CASE WHEN x.performance IS NULL THEN NULL ELSE x.observed_at END, x.error_lines, x.errors_at,
           x.nowhere_at
      FROM jsonb_to_recordset(%s::jsonb) AS x(
               deployment_id uuid, status text, explanation text, observed_at timestamptz, misses int,
               performance jsonb, error_lines jsonb, errors_at timestamptz, nowhere_at timestamptz)
      JOIN bot_deployments d ON d.id = x.deployment_id
     WHERE NOT EXISTS (SELECT 1 FROM bot_deployments n WHERE n.bot_id = d.bot_id AND n.sequence > d.sequence
                        AND n.instance_name <> '')
     ORDER BY d.bot_id
    ON CONFLICT (bot_id) DO UPDATE SET
        status = excluded.status, explanation = excluded.explanation, instance_name = excluded.instance_name,
        observed_at = excluded.observed_at, misses = excluded.misses,
        changed_at = CASE WHEN r.status = excluded.status AND r.instance_name = excluded.instance_name
                          THEN r.changed_at ELSE excluded.observed_at END,
        performance = CASE WHEN r.instance_name = excluded.instance_name
                           THEN coalesce(excluded.performance, r.performance) ELSE excluded.performance END,
        performance_at = CASE WHEN r.instance_name = excluded.instance_name
                                   AND (excluded.performance IS NULL OR r.performance = excluded.performance)
                              THEN r.performance_at ELSE excluded.performance_at END,
        error_lines = CASE WHEN r.instance_name = excluded.instance_name AND excluded.error_lines = '[]'
                           THEN r.error_lines ELSE excluded.error_lines END,
        errors_at = CASE WHEN r.instance_name = excluded.instance_name AND excluded.error_lines = '[]'
                         THEN r.errors_at ELSE excluded.errors_at END,
        nowhere_since = CASE WHEN r.instance_name = excluded.instance_name AND excluded.nowhere_since IS NOT NULL
                             THEN coalesce(r.nowhere_since, excluded.nowhere_since) ELSE excluded.nowhere_since END
     WHERE r.observed_at <= excluded.observed_at OR r.instance_name <> excluded.instance_name
           OR r.observed_at > excluded.observed_at + interval '10 minutes'
"""


@dataclass(frozen=True, slots=True)
class Seen:
    deployment_id: UUID
    observation: Observation
    instance: InstanceStatus | None = None


def record_observations(seen: Iterable[Seen]) -> int:
    """Store what was seen of deployed instances, inside the caller's transaction; returns how many rows changed."""
    rows = [_row(one) for one in seen]
    return run(_UPSERT, [json.dumps(rows)]) if rows else 0


def _row(one: Seen) -> dict[str, Any]:
    errors = newest_errors(one.instance.error_logs) if one.instance else ()
    return {
        "deployment_id": str(one.deployment_id),
        "status": str(one.observation.status),
        "explanation": one.observation.explanation[:500],
        "observed_at": one.observation.observed_at.isoformat(),
        "misses": one.observation.misses,
        "performance": _figures(one.instance),
        "error_lines": [line.text for line in errors],
        "errors_at": max((line.at.isoformat() for line in errors if line.at), default=None),
        "nowhere_at": one.observation.nowhere_at.isoformat() if one.observation.nowhere_at else None,
    }


def as_observation(runtime: Any, instance_name: str) -> Observation | None:
    """The stored observation of this instance, or None when it is of another, or none."""
    if runtime is None or runtime.instance_name != instance_name:
        return None
    return Observation(RuntimeStatus(runtime.status), runtime.explanation, runtime.observed_at, runtime.misses)


def _figures(instance: InstanceStatus | None) -> dict[str, Any] | None:
    reports = {r.controller: _performance(r.performance) for r in instance.reports if r.performance} if instance else {}
    return reports or None


def _performance(performance: Performance) -> dict[str, Any]:
    """Amounts as exact decimal texts."""
    amounts = {
        name: None if (value := getattr(performance, name)) is None else str(value)
        for name in ("realized_pnl", "unrealized_pnl", "global_pnl", "volume")
    }
    return {**amounts, "close_counts": dict(performance.close_counts), "positions": len(performance.positions)}
