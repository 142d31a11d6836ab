"""What was found to differ, written into bot_drifts in one statement for many bots. A row changes only when the
difference does, so that the audit shows when it came, changed and went, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from bots.rules.drift import MISSING, Difference
from ground.http import exact_json
from ground.scope import system_scope
from ground.sql import run

DRIFT = system_scope("drift")

# Exactly one difference was accepted: where either side changes, or the date has come, somebody must look again.
_UPSERT = """
    INSERT INTO bot_drifts AS d (id, client_id, bot_id, field, ours, theirs, changed, status, found_at, chosen_by, reason,
                                 message, resolution)
    SELECT gen_random_uuid(), b.client_id, b.id, x.field, x.ours, x.theirs, x.changed, 'open', %(now)s, '', '', '', ''
      FROM jsonb_to_recordset(%(found)s::jsonb) AS x(bot_id uuid, field text, ours text, theirs text, changed text)
      JOIN bots b ON b.id = x.bot_id
     ORDER BY b.id, x.field
    ON CONFLICT (bot_id, field) WHERE NOT (status = 'closed') DO UPDATE SET
        ours = excluded.ours, theirs = excluded.theirs, changed = excluded.changed,
        found_at = CASE WHEN (d.ours, d.theirs) = (excluded.ours, excluded.theirs)
                        THEN d.found_at ELSE excluded.found_at END,
        status = CASE WHEN d.status = 'ignored' THEN 'open' ELSE d.status END,
        ignore_until = NULL
     WHERE (d.ours, d.theirs) <> (excluded.ours, excluded.theirs)
        OR (d.changed <> excluded.changed AND d.status <> 'ignored')
        OR (d.status = 'ignored' AND d.ignore_until <= %(now)s)
"""
_CLOSE = """
    UPDATE bot_drifts d SET status = 'closed', closed_at = %(now)s, message = '', ignore_until = NULL,
           resolution = CASE WHEN d.status = 'pushing' AND %(were_pushed)s THEN 'pushed' ELSE 'gone' END
     WHERE d.bot_id = ANY(%(bots)s) AND d.status <> 'closed' AND starts_with(d.field, %(prefix)s)
       AND NOT EXISTS (SELECT 1 FROM jsonb_to_recordset(%(found)s::jsonb) AS x(bot_id uuid, field text)
                        WHERE x.bot_id = d.bot_id AND x.field = d.field)
"""


def record_differences(
    found: Mapping[UUID, Iterable[Difference]],
    *,
    looked_at: Sequence[UUID],
    prefix: str,
    now: datetime,
    were_pushed: bool = True,
) -> int:
    """Store what differs now of these bots' fields that begin with ``prefix``, and close what no longer does.

    ``were_pushed``: what was being pushed and differs no more got there by that. Inside the caller's transaction;
    returns how many rows changed.
    """
    rows = [_row(bot_id, difference) for bot_id, differences in found.items() for difference in differences]
    params: dict[str, Any] = {"found": json.dumps(rows), "bots": list(looked_at), "prefix": prefix, "now": now}
    params["were_pushed"] = were_pushed
    return (run(_UPSERT, params) if rows else 0) + run(_CLOSE, params)


def as_text(value: Any) -> str:
    """A value as the table keeps it: JSON, "" for nothing there."""
    return "" if value is MISSING else exact_json(value)


def _row(bot_id: UUID, difference: Difference) -> dict[str, str]:
    return {
        "bot_id": str(bot_id),
        "field": difference.field[:200],
        "ours": as_text(difference.ours),
        "theirs": as_text(difference.theirs),
        "changed": str(difference.changed),
    }
