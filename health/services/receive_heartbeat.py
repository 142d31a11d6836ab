"""A bot says how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from bots.rules.words import ReportedStatus
from ground.errors import InvalidInput
from ground.http import exact_json
from ground.scope import Scope
from health.rules.words import PingKind
from health.services.heartbeat_records import Heard, apply_heartbeat, has_room, lock_heard_bot, log_heartbeat

MAX_METADATA_BYTES = 8192
MAX_EXPONENT = 60
WORDS = [str(word) for word in ReportedStatus]


@dataclass(frozen=True, slots=True)
class GivenHeartbeat:
    """What was sent, read and bounded."""

    bot: str
    word: ReportedStatus = ReportedStatus.RUNNING
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_heartbeat(body: Mapping[str, Any]) -> GivenHeartbeat:
    """A heartbeat from a request's body. Without a status it says running. Raises InvalidInput."""
    bot, word, metadata = body.get("bot_id"), body.get("status"), body.get("metadata")
    if isinstance(bot, bool) or not isinstance(bot, str | int) or not str(bot).strip():
        raise InvalidInput("bot_id must be the bot's id, as a text or a whole number.", fields={"bot_id": ["required"]})
    if len(str(bot)) > 200:
        raise InvalidInput("bot_id is too long to be an id.", fields={"bot_id": ["too long"]})
    word = "running" if word is None else word
    if not isinstance(word, str) or word.strip().lower() not in WORDS:
        raise InvalidInput(f"status must be one of {', '.join(WORDS)}.", fields={"status": ["unknown word"]})
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict):
        raise InvalidInput("metadata must be a JSON object.", fields={"metadata": ["not an object"]})
    if _has_huge_number(metadata):
        raise InvalidInput("metadata holds a number beyond reason.", fields={"metadata": ["number too large"]})
    if len(exact_json(metadata).encode()) > MAX_METADATA_BYTES:
        raise InvalidInput("metadata may take at most 8 KB of JSON.", fields={"metadata": ["too large"]})
    return GivenHeartbeat(str(bot).strip(), ReportedStatus(word.strip().lower()), metadata)


def _has_huge_number(value: Any) -> bool:
    """A short text such as 1e999999999 would be written out in full."""
    if isinstance(value, Decimal):
        return abs(value.adjusted()) > MAX_EXPONENT
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_huge_number(item) for item in items)


def receive_heartbeat(*, scope: Scope, bot_id: UUID, heartbeat: GivenHeartbeat, now: datetime) -> None:
    """Store what was said. ``error`` takes effect at once; any other news has the bot checked at the next tick.

    None is refused for coming too often; the history then leaves some out.
    """
    body = exact_json(heartbeat.metadata) if heartbeat.metadata else ""
    kind = PingKind.FAIL if heartbeat.word == ReportedStatus.ERROR else PingKind.SUCCESS
    heard = Heard(kind, heartbeat.word, metadata=heartbeat.metadata, body=body)
    with scope.transaction(reason=f"heartbeat said {heartbeat.word}"):
        bot = lock_heard_bot(bot_id)
        if has_room(bot, kind, now=now):
            log_heartbeat(bot, heard, scope=scope, now=now)
        apply_heartbeat(bot, heard, scope=scope, now=now)
