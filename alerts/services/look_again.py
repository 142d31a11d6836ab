"""Looking at messages that are due once more: what is silenced waits on, and what is no longer true is not sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from alerts.models import AlertDelivery, AlertRule, Incident
from alerts.rules.schedule import next_step
from alerts.rules.silence import quiet_end, silence_of, window_end
from alerts.rules.wording import compose
from alerts.rules.words import DeliveryStatus, MessageKind
from alerts.selectors.planning import load_cases, load_rules_by_id, load_silences, to_rule
from alerts.types import Case, Go, Pending, PutOff, Reader, Rule, Silences, Skip
from ground.http import exact_json
from ground.scope import Scope
from ground.sql import fetch_all, run

MOST = 500

# Of what is due only what can turn out otherwise than when it was planned: most times nothing.
_SUSPECTS = """
    SELECT d.id FROM alert_deliveries d JOIN incidents i ON i.id = d.incident_id
     WHERE d.status = 'waiting' AND d.due_at <= %(now)s AND d.kind <> 'test' AND d.id > %(after)s
       AND (%(is_any)s OR d.held_at IS NOT NULL OR d.rule_id = ANY(%(quiet)s::uuid[])
            OR EXISTS (SELECT FROM incident_snoozes s WHERE s.kind = i.kind AND s.key = i.key AND s.until_at > %(now)s)
            OR (d.kind IN ('reminder', 'escalated')
                AND (i.resolved_at IS NOT NULL OR i.acknowledged_at IS NOT NULL))
            OR (d.kind = 'resolved'
                AND NOT EXISTS (SELECT FROM alert_deliveries t
                                 WHERE t.channel_id = d.channel_id AND t.incident_id = d.incident_id
                                   AND t.kind <> 'resolved' AND (t.status = 'sent' OR t.may_be_double))))
     ORDER BY d.id LIMIT %(most)s FOR UPDATE OF d SKIP LOCKED
"""
_CHANGE = """
    UPDATE alert_deliveries d
       SET status = coalesce(t.status, d.status), due_at = t.due_at, held_at = t.held_at, error = t.error,
           severity = coalesce(t.severity, d.severity), title = coalesce(t.title, d.title),
           body = coalesce(t.body, d.body), payload = coalesce(t.payload, d.payload)
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS t (
           id uuid, status text, due_at timestamptz, held_at timestamptz, error text, severity text, title text, body text,
           payload jsonb)
     WHERE d.id = t.id
"""


def look_again(*, scope: Scope, now: datetime, most: int = MOST) -> int:
    """Put off or skip the messages that are due and shall not leave now. Returns how many were looked at.

    Call it before messages are claimed: what it is deciding about is locked, and what it passed stays due. A message that
    was held and leaves now gets the words of now.
    """
    looked, after = 0, UUID(int=0)
    while True:
        with scope.transaction(reason="messages looked at again"):
            batch = _look(now, after, most)
        looked += len(batch)
        if len(batch) < most:
            return looked
        after = batch[-1]


def _look(now: datetime, after: UUID, most: int) -> list[UUID]:
    silences = load_silences(now=now)
    values = {
        "now": now,
        "after": after,
        "most": most,
        "quiet": _quiet_rules(now),
        "is_any": _holds_everything(silences, now),
    }
    ids = [row[0] for row in fetch_all(_SUSPECTS, values)]
    if not ids:
        return []
    rows = list(AlertDelivery.objects.filter(id__in=ids).select_related("channel").order_by("created_at", "id"))
    cases = load_cases({row.incident_id for row in rows if row.incident_id})
    rules = load_rules_by_id({row.rule_id for row in rows if row.rule_id})
    others, again = _others(rows), _broken_again(cases)
    changes = []
    for row in rows:
        case = cases[row.incident_id]  # type: ignore[index]
        pending = _pending(row, case, others, is_broken_again=(case.kind, case.key) in again)
        rule = rules.get(row.rule_id) if row.rule_id else None
        changes.append(_decide(row, case, rule, pending, silences, now))
    if any(changes):
        run(_CHANGE, {"rows": exact_json([change for change in changes if change])})
    return ids


def _decide(
    row: AlertDelivery, case: Case, rule: Rule | None, pending: Pending, silences: Silences, now: datetime
) -> dict[str, object] | None:
    """What changes of the row; None: it may leave as it is."""
    reader = Reader(row.channel.client_id, row.channel.bot_id)
    silence = silence_of(case=case, reader=reader, rule=rule, silences=silences, now=now)
    change: dict[str, object] = {"id": row.id, "due_at": row.due_at, "held_at": row.held_at}
    match next_step(pending=pending, silence=silence, now=now):
        case Skip(why):
            return change | {"status": str(DeliveryStatus.SKIPPED), "error": why[:300]}
        case PutOff(until, why, is_silence):
            held_at = row.held_at or now if is_silence and not row.attempts else row.held_at
            return change | {"due_at": until, "held_at": held_at, "error": why[:300]}
        case Go() if row.held_at:
            words = compose(kind=MessageKind(row.kind), number=row.number, case=case, reader=reader, now=now)
            return change | {
                "held_at": None,
                "error": "",
                "severity": str(case.severity),
                "title": words.title,
                "body": words.body,
                "payload": words.payload,
            }
    return None


def _pending(
    row: AlertDelivery,
    case: Case,
    others: dict[tuple[UUID, UUID], list[AlertDelivery]],
    *,
    is_broken_again: bool,
) -> Pending:
    same = others[row.channel_id, case.id]
    return Pending(
        kind=MessageKind(row.kind),
        is_held=row.held_at is not None,
        is_channel_enabled=row.channel.is_enabled,
        is_resolved=case.resolved_at is not None,
        taken_on_by=case.acknowledged_by if case.acknowledged_at else "",
        others=tuple(
            (
                MessageKind(other.kind),
                DeliveryStatus(other.status),
                (other.created_at, other.id) > (row.created_at, row.id),
            )
            for other in same
            if other.id != row.id
        ),
        is_broken_again=is_broken_again,
    )


def _others(rows: Sequence[AlertDelivery]) -> dict[tuple[UUID, UUID], list[AlertDelivery]]:
    """Every message by channel and incident, of the incidents that these messages are about."""
    found: dict[tuple[UUID, UUID], list[AlertDelivery]] = defaultdict(list)
    incidents = {row.incident_id for row in rows if row.incident_id}
    columns = ("id", "channel_id", "incident_id", "kind", "status", "may_be_double", "created_at")
    for other in AlertDelivery.objects.filter(incident_id__in=incidents).only(*columns):
        found[other.channel_id, other.incident_id].append(other)  # type: ignore[index]
    return found


def _status(row: AlertDelivery) -> DeliveryStatus:
    """What was given up after an answer was lost may have arrived, so it counts as told."""
    return (
        DeliveryStatus.SENT if row.status == DeliveryStatus.FAILED and row.may_be_double else DeliveryStatus(row.status)
    )


def _broken_again(cases: dict[UUID, Case]) -> set[tuple[str, str]]:
    over = [case for case in cases.values() if case.resolved_at]
    open_ones = Incident.objects.filter(
        resolved_at=None, kind__in={case.kind for case in over}, key__in={case.key for case in over}
    )
    return set(open_ones.values_list("kind", "key")) if over else set()


def _quiet_rules(now: datetime) -> list[UUID]:
    """The rules whose quiet hours hold now."""
    rows = AlertRule.objects.filter(quiet_from__isnull=False).select_related("channel")
    return [rule.id for rule in map(to_rule, rows) if rule.quiet and _is_quiet(rule, now)]


def _is_quiet(rule: Rule, now: datetime) -> bool:
    try:
        return rule.quiet is not None and quiet_end(quiet=rule.quiet, now=now) is not None
    except (KeyError, ValueError, OSError):
        return False


def _holds_everything(silences: Silences, now: datetime) -> bool:
    """Whether something may hold any message: then each one that is due is looked at."""
    hold = silences.hold
    return (
        hold.is_muted
        or hold.awaits_cycle
        or (hold.held_until is not None and now < hold.held_until)
        or any(window_end(window=window, now=now) for window in silences.windows)
    )
