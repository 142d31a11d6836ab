"""Which message is sent next, and by whom: a worker has it until its lease ends, and then another may take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from alerts.gateways.message import Message
from alerts.rules.words import ChannelKind, MessageKind, Severity
from ground.encrypted import Sealed
from ground.fields import ExactJSONField
from ground.scope import system_scope
from ground.sql import fetch_all, run

LEASE = timedelta(seconds=60)  # longer than any gateway takes, so that it only ends when the worker has died
MOST_ATTEMPTS = 5
_DUE = "((d.status = 'waiting' AND d.due_at <= %(now)s) OR (d.status = 'sending' AND d.lease_until <= %(now)s))"
_BUSY = "EXISTS (SELECT FROM alert_deliveries b WHERE b.channel_id = {} AND b.status = 'sending' AND b.lease_until > %(now)s)"

# One message at a time for each channel, so that its messages arrive in their order and one that hangs costs one worker.
# Whoever holds the row of the channel looks for its next message; the look is a second statement, so that it sees what
# the one before has claimed.
_LOCK_CHANNELS = f"""
    WITH due AS (SELECT d.channel_id, min(d.due_at) AS since FROM alert_deliveries d WHERE {_DUE} GROUP BY d.channel_id)
    SELECT c.id FROM alert_channels c JOIN due ON due.channel_id = c.id
     WHERE NOT {_BUSY.format("c.id")}
     ORDER BY due.since, c.id LIMIT %(most)s FOR NO KEY UPDATE OF c SKIP LOCKED
"""  # noqa: S608 - constants
# What nobody may send any more: its channel was switched off, or it took five workers down with it.
_GIVE_UP = f"""
    UPDATE alert_deliveries d
       SET status = CASE WHEN d.status = 'waiting' THEN 'skipped' ELSE 'failed' END, lease_token = NULL, lease_until = NULL,
           error = CASE WHEN c.is_enabled OR d.kind = 'test' THEN %(worn_out)s ELSE 'The channel is switched off.' END
      FROM alert_channels c
     WHERE c.id = d.channel_id AND c.id = ANY(%(channels)s::uuid[]) AND {_DUE}
       AND ((NOT c.is_enabled AND d.kind <> 'test') OR (d.status = 'sending' AND d.attempts >= %(most_attempts)s))
"""  # noqa: S608 - constants
# An earlier message about the same incident goes first, even when it waits for its next attempt.
_NEXT_OF_EACH = f"""
    SELECT d.id FROM unnest(%(channels)s::uuid[]) AS c (id) CROSS JOIN LATERAL (
        SELECT d.id FROM alert_deliveries d
         WHERE d.channel_id = c.id AND {_DUE} AND NOT {_BUSY.format("c.id")}
           AND NOT EXISTS (SELECT FROM alert_deliveries e
                            WHERE e.channel_id = d.channel_id AND e.incident_id = d.incident_id
                              AND e.status IN ('waiting', 'sending')
                              AND (e.created_at, e.kind = 'resolved', e.id) < (d.created_at, d.kind = 'resolved', d.id))
         ORDER BY d.due_at, d.created_at, d.id LIMIT 1 FOR UPDATE OF d SKIP LOCKED) d
"""  # noqa: S608 - constants
_LEASE = f"""
    UPDATE alert_deliveries d
       SET status = 'sending', attempts = d.attempts + 1, lease_token = %(token)s, lease_until = %(lease_until)s,
           may_be_double = d.may_be_double OR d.status = 'sending', error = ''
      FROM alert_channels c
     WHERE c.id = d.channel_id AND d.id = ANY(%(ids)s::uuid[]) AND {_DUE}
    RETURNING d.id, d.channel_id, d.incident_id, d.kind, d.severity, d.title, d.body, d.payload, d.attempts,
              c.kind, c.address, c.signing_key
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to send until the lease ends; ``token`` proves it. The channel's secrets are sealed."""

    message: Message
    token: UUID
    attempt: int
    channel_id: UUID
    channel_kind: ChannelKind
    address: Sealed
    signing_key: Sealed | None


def claim_next(*, now: datetime, most: int, lease: timedelta = LEASE) -> list[Claimed]:
    """The next due message of up to ``most`` channels that nobody is sending on, the longest waiting first."""
    with system_scope("alerts").transaction():
        channels = [row[0] for row in fetch_all(_LOCK_CHANNELS, {"now": now, "most": most})]
        if not channels:
            return []
        values = {
            "now": now,
            "channels": channels,
            "most_attempts": MOST_ATTEMPTS,
            "worn_out": f"Its worker died while sending it, {MOST_ATTEMPTS} times.",
        }
        run(_GIVE_UP, values)
        return _lease([row[0] for row in fetch_all(_NEXT_OF_EACH, values)], now=now, lease=lease)


def claim_one(*, delivery_id: UUID, now: datetime, lease: timedelta = LEASE) -> list[Claimed]:
    """This message alone, whatever its channel is busy with; empty when it is not due or somebody has it."""
    with system_scope("alerts").transaction():
        return _lease([delivery_id], now=now, lease=lease)


def _lease(ids: Sequence[UUID], *, now: datetime, lease: timedelta) -> list[Claimed]:
    token = uuid4()
    values = {"ids": list(ids), "now": now, "token": token, "lease_until": now + lease}
    return [_claimed(row, token) for row in fetch_all(_LEASE, values)]


def _claimed(row: tuple[Any, ...], token: UUID) -> Claimed:
    delivery, channel, incident, kind, severity, title, body, payload, attempt, channel_kind, address, key = row
    return Claimed(
        message=Message(
            delivery_id=delivery,
            incident_id=incident,
            kind=MessageKind(kind),
            severity=Severity(severity),
            title=title,
            body=body,
            payload=ExactJSONField().from_db_value(payload, None, None),  # type: ignore[arg-type]
        ),
        token=token,
        attempt=attempt,
        channel_id=channel,
        channel_kind=ChannelKind(channel_kind),
        address=Sealed(address),
        signing_key=Sealed(key) if key else None,
    )
