"""Messages before they are rows, and storing them: each is unique on its channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from alerts.rules.wording import compose
from alerts.rules.words import MessageKind
from alerts.types import Case, Reader, Silence
from ground.http import exact_json
from ground.sql import fetch_all

# In one order, so that two planners that add the same rows do not wait for each other in a circle.
_INSERT = """
    INSERT INTO alert_deliveries (id, channel_id, client_id, rule_id, incident_id, kind, number, severity, title, body,
                                  payload, status, due_at, held_at, attempts, error, may_be_double, created_at)
    SELECT id, channel_id, client_id, rule_id, incident_id, kind, number, severity, title, body, payload, 'waiting',
           due_at, held_at, 0, error, false, %(now)s
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS t (
           id uuid, channel_id uuid, client_id uuid, rule_id uuid, incident_id uuid, kind text, number int, severity text,
           title text, body text, payload jsonb, due_at timestamptz, held_at timestamptz, error text)
     ORDER BY channel_id, incident_id, kind, number
    ON CONFLICT (channel_id, incident_id, kind, number) WHERE incident_id IS NOT NULL DO NOTHING
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may become a row."""

    kind: MessageKind
    number: int
    case: Case
    channel_id: UUID
    reader: Reader
    rule_id: UUID | None
    silence: Silence | None
    planned_at: datetime
    id: UUID = field(default_factory=uuid4)

    @property
    def due_at(self) -> datetime:
        return self.silence.until if self.silence else self.planned_at


def insert_drafts(drafts: Sequence[Draft], *, now: datetime) -> set[UUID]:
    """Store those that do not exist yet, inside the caller's transaction. Returns the ids of the new ones."""
    if not drafts:
        return set()
    found = fetch_all(_INSERT, {"now": now, "rows": exact_json([_row(draft) for draft in drafts])})
    return {row[0] for row in found}


def _row(draft: Draft) -> dict[str, object]:
    words = compose(kind=draft.kind, number=draft.number, case=draft.case, reader=draft.reader, now=draft.planned_at)
    return {
        "id": draft.id,
        "channel_id": draft.channel_id,
        "client_id": draft.reader.client_id,
        "rule_id": draft.rule_id,
        "incident_id": draft.case.id,
        "kind": str(draft.kind),
        "number": draft.number,
        "severity": str(draft.case.severity),
        "title": words.title,
        "body": words.body,
        "payload": words.payload,
        "due_at": draft.due_at,
        "held_at": draft.planned_at if draft.silence else None,
        "error": draft.silence.why[:300] if draft.silence else "",
    }
