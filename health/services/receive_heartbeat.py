"""A bot says how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from bots.models import Bot
from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from ground.errors import InvalidInput, NotFound
from ground.http import exact_json
from ground.scope import Scope
from ground.sql import fetch_one, run
from health import selectors
from health.rules.verdict import is_fresh, judge
from health.types import Evidence, Heartbeat, Limits, Run

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
    """Store what was said. ``error`` takes effect at once; any other news has the bot checked at the next tick."""
    with scope.transaction(reason=f"heartbeat said {heartbeat.word}"):
        # The bot's row first, as start and stop do: two orders of locking would deadlock.
        bot = Bot.objects.select_for_update(no_key=True).filter(id=bot_id, retired_at=None).first()
        if bot is None:
            raise NotFound("There is no such bot.")
        limits = selectors.thresholds()
        is_news = _store(bot, heartbeat, limits=limits, now=now)
        if heartbeat.word == ReportedStatus.ERROR:
            _condemn(bot, limits=limits, now=now)
        if is_news:
            run("UPDATE bot_health SET due_at = least(due_at, %s) WHERE bot_id = %s", [now, bot.id])
        if bot.reported_status != heartbeat.word:  # only the change: a row of the audit per heartbeat helps nobody
            Bot.objects.filter(id=bot.id).update(
                reported_status=heartbeat.word, reported_at=now, reported_by=f"heartbeat:{scope.actor}"[:200]
            )


def _store(bot: Bot, heartbeat: GivenHeartbeat, *, limits: Limits, now: datetime) -> bool:
    """Whether it says something new: another word, or the first one after a silence."""
    before = fetch_one("SELECT last_heartbeat_at, heartbeat_status FROM bot_health WHERE bot_id = %s", [bot.id])
    run(
        "INSERT INTO bot_health (bot_id, client_id, last_heartbeat_at, heartbeat_status, heartbeat_metadata, "
        "status, message, evidence, thresholds) "
        "VALUES (%(bot)s, %(client)s, %(now)s, %(word)s, %(metadata)s::jsonb, 'unknown', 'Not checked yet.', "
        "'[]', '{}') ON CONFLICT (bot_id) DO UPDATE SET last_heartbeat_at = excluded.last_heartbeat_at, "
        "heartbeat_status = excluded.heartbeat_status, heartbeat_metadata = excluded.heartbeat_metadata",
        {
            "bot": bot.id,
            "client": bot.client_id,
            "now": now,
            "word": str(heartbeat.word),
            "metadata": exact_json(heartbeat.metadata),
        },
    )
    at, word = before or (None, "")
    return word != heartbeat.word or at is None or not is_fresh(at, limits=limits, now=now)


def _condemn(bot: Bot, *, limits: Limits, now: datetime) -> None:
    """Let a fresh error win at once. The trigger on the table logs the transition."""
    wanted = Run(RuntimeKind(bot.runtime_kind), DesiredStatus(bot.desired_status), bot.desired_at, bot.desired_by)
    said = Evidence(wanted, heartbeat=Heartbeat(ReportedStatus.ERROR, now))
    verdict = judge(evidence=said, limits=limits, now=now)
    if verdict.status == HealthStatus.ERROR:
        run(
            "UPDATE bot_health SET status = 'error', message = %(message)s, status_updated_at = %(now)s, "
            "last_known_status = NULL, last_known_at = NULL WHERE bot_id = %(bot)s AND status <> 'error'",
            {"bot": bot.id, "now": now, "message": verdict.message},
        )
