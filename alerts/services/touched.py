"""Which bots an incident of many touches."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from ground.scope import Scope
from ground.sql import fetch_one

# A bot that is new in it may be the first of its client, or have a channel of its own: what was told already is planned
# once more for them. The messages that exist stay as they are, since each is unique on its channel.
_SET = """
    WITH incident AS MATERIALIZED (
        SELECT id FROM incidents WHERE kind = %(kind)s AND key = %(key)s AND resolved_at IS NULL FOR NO KEY UPDATE
    ), ended AS (
        UPDATE incident_bots t SET until_at = %(now)s FROM incident
         WHERE t.incident_id = incident.id AND t.until_at IS NULL AND NOT t.bot_id = ANY(%(bots)s::uuid[])
    ), set AS (
        INSERT INTO incident_bots AS t (incident_id, bot_id, client_id, since_at)
        SELECT incident.id, b.id, b.client_id, %(now)s FROM incident, bots b
         WHERE b.id = ANY(%(bots)s::uuid[]) ORDER BY b.id
        ON CONFLICT (incident_id, bot_id) DO UPDATE SET until_at = NULL WHERE t.until_at IS NOT NULL
        RETURNING xmax = 0 AS is_new
    ), added AS MATERIALIZED (
        SELECT count(*) AS number FROM set WHERE is_new
    ), again AS (
        UPDATE incident_events e SET planned_at = NULL FROM incident, added
         WHERE e.incident_id = incident.id AND e.kind IN ('opened', 'worsened') AND added.number > 0
    )
    SELECT number FROM added
"""


def set_touched(*, scope: Scope, incident_key: tuple[str, str], bot_ids: Collection[UUID], now: datetime) -> int:
    """Say which bots the open incident of this kind and key touches now; those it touched before and no longer does end.

    Returns how many are new in it. Nothing happens where no such incident is open. Call it in the transaction that
    raises the incident, so that its first message names them:

        with scope.transaction():
            raise_incidents(scope=scope, troubles=[trouble], now=now)
            set_touched(scope=scope, incident_key=(trouble.kind, trouble.key), bot_ids=touched, now=now)
    """
    kind, key = incident_key
    with scope.transaction(reason="bots touched"):
        row = fetch_one(_SET, {"kind": kind, "key": key, "bots": sorted(set(bot_ids)), "now": now})
    return int(row[0]) if row else 0
