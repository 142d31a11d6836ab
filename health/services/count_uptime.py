"""How long each bot carried which verdict on each day of UTC, made from its transitions in one statement.

Counting is the same whoever does it and however often: a day is made anew from its transitions, and a count that reaches
further replaces one that reaches less far. Days are counted for two hours after they ended, for what was written late.
"""

from __future__ import annotations

from datetime import datetime

from ground.scope import Scope
from ground.sql import run

# Bots to count: those that are meant to run or show life, and those about which anything was noted since the last count.
# A bot that rests on purpose is counted up to the end of the day on which it was stopped, and again when it runs.
# Seconds are differences of whole seconds, so that the parts of a day add up to it exactly.
_COUNT = """
WITH watched AS MATERIALIZED (
    SELECT id FROM bots WHERE desired_status = 'running' AND retired_at IS NULL
    UNION SELECT bot_id FROM bot_health WHERE status IN ('healthy', 'stale', 'error')
    UNION SELECT bot_id FROM bot_health_transitions
     WHERE at > coalesce((SELECT uptime_counted_at FROM health_state WHERE id = 1), '-infinity') - interval '1 day'
), spans AS MATERIALIZED (
    SELECT b.id AS bot_id, b.client_id,
           CASE WHEN done.day IS NULL THEN (first.at AT TIME ZONE 'UTC')::date
                ELSE least(done.day, ((%(now)s - interval '2 hours') AT TIME ZONE 'UTC')::date) END AS from_day,
           least(%(now)s, b.retired_at, CASE WHEN last.is_planned THEN
               (date_trunc('day', last.at AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC' END) AS ends_at,
           done.counted_to
      FROM watched w JOIN bots b ON b.id = w.id
      JOIN LATERAL (SELECT t.at FROM bot_health_transitions t WHERE t.bot_id = b.id ORDER BY t.at, t.id LIMIT 1) first
           ON true
      JOIN LATERAL (SELECT t.at, t.is_planned FROM bot_health_transitions t WHERE t.bot_id = b.id
                     ORDER BY t.at DESC, t.id DESC LIMIT 1) last ON true
      LEFT JOIN LATERAL (SELECT u.day, u.counted_to FROM bot_uptime_days u WHERE u.bot_id = b.id
                          ORDER BY u.day DESC LIMIT 1) done ON true
     WHERE b.runtime_kind <> 'arena'
), due AS MATERIALIZED (
    SELECT * FROM spans
     WHERE counted_to IS NULL OR counted_to < ends_at OR ends_at > %(now)s - interval '2 hours'
), stretches AS (
    SELECT d.bot_id, t.at, t.to_status, t.is_planned,
           least(d.ends_at, lead(t.at) OVER (PARTITION BY d.bot_id ORDER BY t.at, t.id)) AS until
      FROM due d JOIN bot_health_transitions t ON t.bot_id = d.bot_id AND t.at >= coalesce((
          SELECT max(p.at) FROM bot_health_transitions p
           WHERE p.bot_id = d.bot_id AND p.at <= d.from_day::timestamp AT TIME ZONE 'UTC'), '-infinity')
), days AS (
    SELECT d.bot_id, d.client_id, d.ends_at, day::date AS day, day AT TIME ZONE 'UTC' AS begins,
           (day + interval '1 day') AT TIME ZONE 'UTC' AS ends
      FROM due d, generate_series(d.from_day::timestamp, d.ends_at AT TIME ZONE 'UTC', interval '1 day') AS day
), parts AS (
    SELECT d.bot_id, d.client_id, d.day, least(d.ends, d.ends_at) AS counted_to, s.at >= d.begins AS is_news,
           CASE WHEN s.is_planned THEN 'planned' ELSE s.to_status END AS word,
           greatest(0, floor(extract(epoch FROM least(s.until, d.ends)))
                       - floor(extract(epoch FROM greatest(s.at, d.begins))))::int AS seconds
      FROM days d JOIN stretches s ON s.bot_id = d.bot_id AND s.at < d.ends AND s.until > d.begins
)
INSERT INTO bot_uptime_days AS u (bot_id, client_id, day, healthy_s, stale_s, stopped_s, error_s, unknown_s, planned_s,
                                  counted_to)
SELECT bot_id, client_id, day,
       coalesce(sum(seconds) FILTER (WHERE word = 'healthy'), 0), coalesce(sum(seconds) FILTER (WHERE word = 'stale'), 0),
       coalesce(sum(seconds) FILTER (WHERE word = 'stopped'), 0), coalesce(sum(seconds) FILTER (WHERE word = 'error'), 0),
       coalesce(sum(seconds) FILTER (WHERE word = 'unknown'), 0), coalesce(sum(seconds) FILTER (WHERE word = 'planned'), 0),
       max(counted_to)
  FROM parts GROUP BY bot_id, client_id, day
HAVING bool_or(word <> 'planned' OR is_news)
 ORDER BY bot_id, day
ON CONFLICT (bot_id, day) DO UPDATE
   SET healthy_s = excluded.healthy_s, stale_s = excluded.stale_s, stopped_s = excluded.stopped_s,
       error_s = excluded.error_s, unknown_s = excluded.unknown_s, planned_s = excluded.planned_s,
       counted_to = excluded.counted_to
 WHERE excluded.counted_to >= u.counted_to
   AND (excluded.counted_to, excluded.healthy_s, excluded.stale_s, excluded.stopped_s, excluded.error_s,
        excluded.unknown_s, excluded.planned_s)
       IS DISTINCT FROM (u.counted_to, u.healthy_s, u.stale_s, u.stopped_s, u.error_s, u.unknown_s, u.planned_s)
"""
_COUNTED = """
    INSERT INTO health_state AS s (id, uptime_counted_at) VALUES (1, %(now)s)
    ON CONFLICT (id) DO UPDATE SET uptime_counted_at = greatest(s.uptime_counted_at, excluded.uptime_counted_at)
"""


def count_uptime(*, scope: Scope, now: datetime) -> int:
    """Bring the days of every bot up to ``now``. Returns how many rows were written. Safe twice and at the same time."""
    with scope.transaction(reason="uptime counted"):
        written = run(_COUNT, {"now": now})
        run(_COUNTED, {"now": now})
    return written
