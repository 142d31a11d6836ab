"""Saying honestly how started bots of the arena fare: in the table where every bot's verdict stands, by one statement."""

from __future__ import annotations

from datetime import datetime

from arena.services.halts import SCOPE
from arena.services.settings_row import arena_settings
from ground.sql import run

TURNS_MISSED = 3  # after so many intervals without an end of a turn it is stale

# The first that fits is told. What changes from look to look (ages, numbers) stands in no message, so that a verdict that
# stays writes nothing.
_JUDGE = """
    WITH seen AS (
        SELECT b.id AS bot_id, b.client_id, v.status, left(v.message, 500) AS message, v.changes_when,
               CASE WHEN v.status = 'error' THEN 'error' ELSE 'running' END AS reported
          FROM bots b
          LEFT JOIN arena_participants p ON p.bot_id = b.id
          LEFT JOIN llm_providers l ON l.id = p.provider_id
          LEFT JOIN LATERAL (
            SELECT t.status, t.message, t.finished_at FROM arena_turns t
             WHERE t.bot_id = b.id AND t.finished_at IS NOT NULL AND t.finished_at >= greatest(p.began_at, b.desired_at)
             ORDER BY t.created_at DESC LIMIT 1) t ON true
          LEFT JOIN LATERAL (
            SELECT h.reason FROM arena_halts h WHERE h.lifted_at IS NULL AND (h.scope = 'all'
                OR (h.scope = 'client' AND h.client_id = b.client_id) OR h.bot_id = b.id)
             ORDER BY h.scope LIMIT 1) h ON true
         CROSS JOIN LATERAL (SELECT make_interval(secs => %(missed)s * coalesce(p.turn_interval_s, %(every_s)s)
                                    + %(timeout_s)s) AS patience) w
         CROSS JOIN LATERAL (SELECT * FROM (VALUES
            (1, p.bot_id IS NULL, 'error', 'It takes no part in the arena: nothing runs it.', 'Adopt it, or stop it.'),
            (2, p.prompt_id IS NULL, 'error', 'It has no prompt.', 'Write one.'),
            (3, l.id IS NULL, 'error', 'It has no model provider.', 'Choose one.'),
            (4, l.retired_at IS NOT NULL OR NOT l.is_enabled, 'error', 'Its model provider is switched off.',
             'Switch it on, or choose another.'),
            (5, h.reason IS NOT NULL, 'error', 'Halted: ' || h.reason, 'Lift the halt.'),
            (6, p.is_paused, 'stale', 'Paused by ' || p.paused_by || '. What it holds is guarded.', 'Let it go on.'),
            (7, t.status IS NULL AND greatest(p.began_at, b.desired_at) > %(now)s - w.patience, 'unknown',
             'Started; its first turn has not ended yet.', 'The first turn decides.'),
            (8, t.status IS NULL OR t.finished_at < %(now)s - w.patience, 'stale', 'It has taken no turn for long.',
             'Its next turn.'),
            (9, t.status = 'failed', 'stale', 'Its newest turn failed: ' || t.message, 'A turn that goes well.'),
            (10, t.status = 'skipped', 'stale', 'Its newest turn was left out: ' || t.message, 'A turn that goes well.'),
            (11, true, 'healthy', 'It takes its turns.', 'It is judged every ten seconds.')
            ) x (place, holds, status, message, changes_when) WHERE x.holds ORDER BY x.place LIMIT 1) v
         WHERE b.runtime_kind = 'arena' AND b.retired_at IS NULL AND b.desired_status = 'running'
    ), spoken AS (
        UPDATE bots b SET reported_status = s.reported, reported_at = %(now)s, reported_by = %(actor)s
          FROM seen s WHERE b.id = s.bot_id AND b.desired_status = 'running' AND b.reported_status IS DISTINCT FROM s.reported
    ), judged AS (
        INSERT INTO bot_health AS h (bot_id, client_id, status, message, heartbeat_status, evidence, thresholds, changes_when,
                                     status_updated_at, checked_at)
        SELECT s.bot_id, s.client_id, s.status, s.message, '', '[]', '{}', s.changes_when, %(now)s, %(now)s
          FROM seen s ORDER BY s.bot_id
        ON CONFLICT (bot_id) DO UPDATE SET message = excluded.message, changes_when = excluded.changes_when, cause = '',
               checked_at = excluded.checked_at, status = excluded.status,
               status_updated_at = CASE WHEN h.status = excluded.status THEN h.status_updated_at
                                        ELSE excluded.status_updated_at END,
               last_known_status = CASE WHEN excluded.status = 'unknown' AND h.status <> 'unknown' THEN h.status
                                        ELSE h.last_known_status END,
               last_known_at = CASE WHEN excluded.status = 'unknown' AND h.status <> 'unknown' THEN h.status_updated_at
                                    ELSE h.last_known_at END
         WHERE (h.status, h.message) IS DISTINCT FROM (excluded.status, excluded.message)
        RETURNING h.bot_id, h.client_id, h.status, h.message
    )
    INSERT INTO arena_events (client_id, bot_id, kind, payload, happened_at)
    SELECT j.client_id, j.bot_id, 'health', jsonb_build_object('status', j.status, 'message', j.message), %(now)s
      FROM judged j ORDER BY j.bot_id
"""


def judge_participants(*, now: datetime) -> int:
    """Judge every bot of the arena that is wanted running; how many verdicts changed. Safe twice and at once."""
    with SCOPE.transaction(reason="bots of the arena judged"):
        chosen = arena_settings()
        return run(
            _JUDGE,
            {
                "now": now, "missed": TURNS_MISSED, "every_s": chosen.turn_interval_s,
                "timeout_s": chosen.turn_timeout_s, "actor": SCOPE.actor,
            },
        )  # fmt: skip
