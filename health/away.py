"""When nothing could be told of bots because their exchange gave no readable answer: such a time is no silence of theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ground.sql import fetch_all

Spells = tuple[tuple[datetime, datetime], ...]
LOOK_BACK = timedelta(days=7)  # longer than the longest silence that learned limits let pass

# Only what a check found: a start makes a bot unknown too, and so does a trade that may be another bot's.
NO_ANSWER = """
    (t.to_status = 'unknown' AND t.actor = 'system:health' AND EXISTS (
        SELECT FROM jsonb_array_elements(t.evidence) e
         WHERE e ->> 'probe' = 'trades' AND e ->> 'outcome' IN ('unreadable', 'rate_limited', 'not_asked')))
"""

_SPELLS = f"""
    SELECT t.bot_id, t.at, coalesce(later.at, %(now)s)
      FROM bot_health_transitions t LEFT JOIN LATERAL (
          SELECT n.at FROM bot_health_transitions n
           WHERE n.bot_id = t.bot_id AND (n.at, n.id) > (t.at, t.id) ORDER BY n.at, n.id LIMIT 1) later ON true
     WHERE t.bot_id = ANY(%(ids)s::uuid[]) AND t.at > %(since)s AND {NO_ANSWER}
     ORDER BY t.bot_id, t.at
"""  # noqa: S608 - made of constants


def away_spells(bot_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, Spells]:
    """(from, until) of each time of the last week in which a bot's exchange did not answer; one that lasts ends ``now``.

    Call within a scope that sees these bots.
    """
    found: defaultdict[UUID, list[tuple[datetime, datetime]]] = defaultdict(list)
    for bot_id, since, until in fetch_all(_SPELLS, {"ids": list(bot_ids), "since": now - LOOK_BACK, "now": now}):
        found[bot_id].append((since, until))
    return {bot_id: tuple(spells) for bot_id, spells in found.items()}
