"""Making messages of what happened: one row for each on each channel, however many planners run.

Three sweeps: what happened to incidents (opened, worsened, resolved), what nobody has taken on in time (escalations), and
what is open still (reminders). A row is unique by channel, incident, kind and number, so a second planner adds nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from alerts.rules.matching import matches
from alerts.rules.silence import silence_of
from alerts.rules.words import EventKind, MessageKind, Severity
from alerts.selectors.planning import load_cases, load_rules, load_rules_by_id, load_silences
from alerts.services.draft_messages import Draft, insert_drafts
from alerts.types import Case, Reader, Rule, Silences
from ground.scope import Scope
from ground.sql import fetch_all, run

MOST_INCIDENTS = 100  # in one transaction
MOST_BATCHES = 100

# An incident's planner holds its row, so that its events are planned in their order; another planner takes others.
_LOCK = """
    SELECT i.id FROM incidents i
     WHERE i.id IN (SELECT incident_id FROM incident_events WHERE planned_at IS NULL)
     ORDER BY i.id LIMIT %(most)s FOR NO KEY UPDATE OF i SKIP LOCKED
"""
_EVENTS = """
    SELECT * FROM (
        SELECT e.id, e.incident_id, e.kind, e.severity, e.planned_at,
               row_number() OVER (PARTITION BY e.incident_id, e.kind ORDER BY e.id) AS number
          FROM incident_events e WHERE e.incident_id = ANY(%(incidents)s::uuid[])) AS numbered
     WHERE planned_at IS NULL ORDER BY id
"""
_PLANNED = "UPDATE incident_events SET planned_at = %(now)s WHERE id = ANY(%(events)s::bigint[])"
# What a silence kept back and nobody has seen: a newer message says it (of one channel), or it is over (of all).
_SKIP_HELD = """
    UPDATE alert_deliveries d SET status = 'skipped', error = %(why)s
      FROM (SELECT o.id FROM alert_deliveries o
              JOIN unnest(%(incidents)s::uuid[], %(channels)s::uuid[], %(but)s::uuid[]) AS t (incident, channel, but)
                ON o.incident_id = t.incident AND (t.channel IS NULL OR (o.channel_id = t.channel AND o.id <> t.but))
             WHERE o.status = 'waiting' AND o.held_at IS NOT NULL AND o.kind <> 'resolved'
             ORDER BY o.id FOR UPDATE OF o) held
     WHERE d.id = held.id
"""
# A recovery goes where it was, or may have been, or still may be told that something is wrong. The rule of then says
# whether it goes at all.
_TOLD = """
    SELECT d.incident_id, c.id, c.client_id, c.bot_id,
           (array_agg(r.id ORDER BY d.created_at DESC) FILTER (WHERE r.id IS NOT NULL))[1]
      FROM alert_deliveries d JOIN alert_channels c ON c.id = d.channel_id AND c.is_enabled
      LEFT JOIN alert_rules r ON r.id = d.rule_id
     WHERE d.incident_id = ANY(%(incidents)s::uuid[]) AND d.kind NOT IN ('resolved', 'test')
       AND (d.status IN ('waiting', 'sending', 'sent') OR d.may_be_double)
     GROUP BY d.incident_id, c.id
    HAVING bool_or(r.id IS NULL OR (r.is_enabled AND r.sends_recovery))
"""
_LEVELS = "ARRAY['info', 'warning', 'critical']"
_WANTED = f"""
    r.is_enabled AND (r.kinds = '[]'::jsonb OR r.kinds ? i.kind)
    AND array_position({_LEVELS}, i.severity::text) >= array_position({_LEVELS}, r.min_severity::text)
"""
# An escalation's number is its minutes: a channel may have several, and two rules that say the same say it once.
_ESCALATIONS = f"""
    SELECT i.id, r.id, r.after_minutes
      FROM incidents i
      JOIN alert_rules r ON r.after_minutes > 0 AND {_WANTED}
       AND i.opened_at <= %(now)s - r.after_minutes * interval '1 minute'
      JOIN alert_channels c ON c.id = r.channel_id AND c.is_enabled
       AND (c.client_id IS NULL OR c.client_id = i.client_id
            OR EXISTS (SELECT FROM incident_bots t WHERE t.incident_id = i.id AND t.client_id = c.client_id))
     WHERE i.resolved_at IS NULL AND i.acknowledged_at IS NULL
       AND NOT EXISTS (SELECT FROM alert_deliveries d
                        WHERE d.channel_id = c.id AND d.incident_id = i.id AND d.kind = 'escalated'
                          AND d.number = r.after_minutes)
"""  # noqa: S608 - constants
# Counted from the last message, whatever it was, and only once that is done with: what waits is not said twice.
_REMINDERS = f"""
    SELECT i.id, (array_agg(r.id ORDER BY r.repeat_minutes, r.id))[1],
           coalesce(max(d.number) FILTER (WHERE d.kind = 'reminder'), 0) + 1
      FROM incidents i
      JOIN alert_deliveries d ON d.incident_id = i.id AND d.kind NOT IN ('resolved', 'test')
      JOIN alert_channels c ON c.id = d.channel_id AND c.is_enabled
      LEFT JOIN alert_rules r ON r.id = d.rule_id AND r.repeat_minutes > 0 AND {_WANTED}
     WHERE i.resolved_at IS NULL AND i.acknowledged_at IS NULL
     GROUP BY i.id, c.id
    HAVING NOT bool_or(d.status IN ('waiting', 'sending'))
       AND max(coalesce(d.sent_at, d.due_at)) + min(r.repeat_minutes) * interval '1 minute' <= %(now)s
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class _Event:
    id: int
    incident_id: UUID
    kind: EventKind
    severity: Severity
    number: int


def plan_deliveries(*, scope: Scope, now: datetime, most: int = MOST_INCIDENTS) -> int:
    """Make the messages of all that happened and of all that is due to be said again. Returns how many are new.

    Each batch of ``most`` incidents is a transaction of its own. Safe twice and at the same time.
    """
    made = 0
    for _ in range(MOST_BATCHES):
        with scope.transaction(reason="messages planned"):
            found, new = _plan_events(now=now, most=most)
        made += new
        if not found:
            break
    return made + plan_follow_ups(scope=scope, now=now)


def plan_follow_ups(*, scope: Scope, now: datetime) -> int:
    """Make the escalations and reminders that are due. Returns how many are new."""
    made = 0
    for sql, kind in ((_ESCALATIONS, MessageKind.ESCALATED), (_REMINDERS, MessageKind.REMINDER)):
        with scope.transaction(reason="messages planned"):
            rows = fetch_all(sql, {"now": now})
            for start in range(0, len(rows), MOST_INCIDENTS):
                made += _plan_follow_ups(kind, rows[start : start + MOST_INCIDENTS], now)
    return made


def _plan_events(*, now: datetime, most: int) -> tuple[int, int]:
    """How many incidents were looked at, and how many messages are new."""
    incidents = [row[0] for row in fetch_all(_LOCK, {"most": most})]
    if not incidents:
        return 0, 0
    events = [
        _Event(event, incident, EventKind(kind), Severity(severity), number)
        for event, incident, kind, severity, _, number in fetch_all(_EVENTS, {"incidents": incidents})
    ]
    cases, silences = load_cases(incidents), load_silences(now=now)
    rules = [rule for rule in load_rules(cases.values()) if not rule.after]
    drafts = [draft for event in events for draft in _of_event(event, cases[event.incident_id], rules, silences, now)]
    made = _insert(drafts, now)
    made += _plan_recoveries([event for event in events if event.kind == EventKind.RESOLVED], cases, silences, now)
    run(_PLANNED, {"now": now, "events": [event.id for event in events]})
    return len(incidents), made


def _of_event(event: _Event, case: Case, rules: Sequence[Rule], silences: Silences, now: datetime) -> list[Draft]:
    """One message for each channel that wants to hear of it; of several rules the one that keeps it back least."""
    kinds = {EventKind.OPENED: MessageKind.OPENED, EventKind.WORSENED: MessageKind.WORSENED}
    if event.kind not in kinds:
        return []
    by_channel: dict[UUID, list[Draft]] = defaultdict(list)
    for rule in rules:
        if matches(rule=rule, case=case, severity=event.severity):
            by_channel[rule.channel_id].append(
                _draft(kinds[event.kind], event.number, case, rule, silences=silences, now=now)
            )
    return [min(drafts, key=lambda draft: draft.due_at) for drafts in by_channel.values()]


def _plan_recoveries(events: Sequence[_Event], cases: dict[UUID, Case], silences: Silences, now: datetime) -> int:
    if not events:
        return 0
    _skip_held([(event.incident_id, None, None) for event in events], why="It was over before this could be told.")
    told = fetch_all(_TOLD, {"incidents": [event.incident_id for event in events]})
    rules = load_rules_by_id({row[4] for row in told if row[4]})
    drafts = []
    for incident, channel, client, bot, rule_id in told:
        rule, case, reader = rules.get(rule_id), cases[incident], Reader(client, bot)
        silence = silence_of(case=case, reader=reader, rule=rule, silences=silences, now=now)
        drafts.append(Draft(MessageKind.RESOLVED, 1, case, channel, reader, rule_id, silence, now))
    return len(insert_drafts(drafts, now=now))


def _plan_follow_ups(kind: MessageKind, rows: Sequence[tuple[UUID, UUID, int]], now: datetime) -> int:
    cases, silences = load_cases({row[0] for row in rows}), load_silences(now=now)
    rules = load_rules_by_id({row[1] for row in rows})
    return _insert(
        [
            _draft(kind, number, case, rule, silences=silences, now=now)
            for incident, rule_id, number in rows
            if (rule := rules.get(rule_id))
            and (case := cases.get(incident))
            and matches(rule=rule, case=case, severity=case.severity)
        ],
        now,
    )


def _draft(kind: MessageKind, number: int, case: Case, rule: Rule, *, silences: Silences, now: datetime) -> Draft:
    silence = silence_of(case=case, reader=rule.reader, rule=rule, silences=silences, now=now)
    return Draft(kind, number, case, rule.channel_id, rule.reader, rule.id, silence, now)


def _insert(drafts: Sequence[Draft], now: datetime) -> int:
    """Store messages that tell of something wrong; what leaves now makes older ones that are held superfluous."""
    made = insert_drafts(drafts, now=now)
    leaving = [d for d in drafts if d.id in made and d.kind != MessageKind.OPENED and d.silence is None]
    _skip_held([(d.case.id, d.channel_id, d.id) for d in leaving], why="A newer message says it.")
    return len(made)


def _skip_held(which: Sequence[tuple[UUID, UUID | None, UUID | None]], *, why: str) -> None:
    """``which``: incident, and its channel with the message that stays, or None for all of its channels."""
    if which:
        incidents, channels, but = map(list, zip(*which, strict=True))
        run(_SKIP_HELD, {"why": why, "incidents": incidents, "channels": channels, "but": but})
