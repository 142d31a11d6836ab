"""What was heard of a bot, written down: the line in its history, and what it changes about the bot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from bots.models import Bot
from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from ground.errors import NotFound
from ground.http import exact_json
from ground.scope import Scope
from ground.sql import fetch_one, run
from health import selectors
from health.models import HeartbeatLog, HeartbeatPlan
from health.rules.heartbeats import Plan, expires_at
from health.rules.verdict import is_fresh, judge
from health.rules.words import PingKind
from health.types import Evidence, Heartbeat, Run

MOST_IN_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Heard:
    """``word`` None changes nothing about the bot. ``detail`` says what the run did, for the evidence."""

    kind: PingKind
    word: ReportedStatus | None
    detail: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    body: str = ""
    run_id: str = ""
    exit_code: int | None = None
    duration: timedelta | None = None


def lock_heard_bot(bot_id: UUID) -> Bot:
    """The bot's row first, as start and stop do: two orders of locking would deadlock. Raises NotFound."""
    bot = Bot.objects.select_for_update(no_key=True).filter(id=bot_id, retired_at=None).first()
    if bot is None:
        raise NotFound("There is no such bot.")
    return bot


def has_room(bot: Bot, kind: PingKind, *, now: datetime) -> bool:
    """Whether the history takes one more now. Failures are counted by themselves, so that chatter does not hide one."""
    since, is_fail = now - timedelta(minutes=1), kind == PingKind.FAIL
    row = fetch_one(
        "SELECT count(*) FROM (SELECT 1 FROM bot_heartbeats WHERE bot_id = %s AND received_at > %s "
        "AND (kind = 'fail') = %s LIMIT %s) t",
        [bot.id, since, is_fail, MOST_IN_A_MINUTE],
    )
    return row is None or row[0] < MOST_IN_A_MINUTE


def log_heartbeat(bot: Bot, heard: Heard, *, scope: Scope, now: datetime) -> None:
    """One line in the bot's history."""
    HeartbeatLog.objects.create(
        bot_id=bot.id,
        client_id=bot.client_id,
        received_at=now,
        kind=heard.kind,
        word=heard.word,
        run_id=heard.run_id,
        exit_code=heard.exit_code,
        duration_ms=None if heard.duration is None else int(heard.duration / timedelta(milliseconds=1)),
        body=heard.body,
        actor=scope.actor[:200],
    )


def apply_heartbeat(bot: Bot, heard: Heard, *, scope: Scope, now: datetime) -> None:
    """``error`` takes effect at once; any other news has the bot checked at the next tick; what comes late is history."""
    if heard.word is None:
        return
    plan = plan_of(bot.id)
    heartbeat = Heartbeat(heard.word, now, expires_at(plan, now) if plan else None, heard.detail)
    before = fetch_one(
        "SELECT last_heartbeat_at, heartbeat_status, heartbeat_expires_at FROM bot_health WHERE bot_id = %s", [bot.id]
    )
    if not _store(bot, heartbeat, heard.metadata):
        return
    if heard.word == ReportedStatus.ERROR:
        _condemn(bot, heartbeat, now=now)
    if before is None or _is_news(heartbeat, before, now=now):
        run("UPDATE bot_health SET due_at = least(due_at, %s) WHERE bot_id = %s", [now, bot.id])
    if bot.reported_status != heard.word:  # only the change: a row of the audit per heartbeat helps nobody
        Bot.objects.filter(id=bot.id).update(
            reported_status=heard.word, reported_at=now, reported_by=f"heartbeat:{scope.actor}"[:200]
        )


def plan_of(bot_id: UUID) -> Plan | None:
    """The bot's own plan, or None: then the common time-out holds."""
    row = HeartbeatPlan.objects.filter(bot_id=bot_id).first()
    return as_plan(row) if row else None


def as_plan(row: HeartbeatPlan) -> Plan:
    """A stored plan as the rules take it."""
    period = None if row.period_s is None else timedelta(seconds=row.period_s)
    return Plan(timedelta(seconds=row.grace_s), period, row.cron, row.timezone)


def _store(bot: Bot, heartbeat: Heartbeat, metadata: Mapping[str, Any]) -> bool:
    """Whether it is the newest that was heard of the bot."""
    changed = run(
        "INSERT INTO bot_health AS h (bot_id, client_id, last_heartbeat_at, heartbeat_status, heartbeat_metadata, "
        "heartbeat_detail, heartbeat_expires_at, status, message, evidence, thresholds) "
        "VALUES (%(bot)s, %(client)s, %(now)s, %(word)s, %(metadata)s::jsonb, %(detail)s, %(expires_at)s, 'unknown', "
        "'Not checked yet.', '[]', '{}') ON CONFLICT (bot_id) DO UPDATE SET "
        "last_heartbeat_at = excluded.last_heartbeat_at, heartbeat_status = excluded.heartbeat_status, "
        "heartbeat_metadata = excluded.heartbeat_metadata, heartbeat_detail = excluded.heartbeat_detail, "
        "heartbeat_expires_at = excluded.heartbeat_expires_at "
        "WHERE h.last_heartbeat_at IS NULL OR h.last_heartbeat_at <= excluded.last_heartbeat_at",
        {
            "bot": bot.id,
            "client": bot.client_id,
            "now": heartbeat.received_at,
            "word": str(heartbeat.word),
            "metadata": exact_json(metadata),
            "detail": heartbeat.detail[:300],
            "expires_at": heartbeat.expires_at,
        },
    )
    return changed > 0


def _is_news(heartbeat: Heartbeat, before: tuple[Any, ...], *, now: datetime) -> bool:
    """Another word than before, or the first one after a silence."""
    at, word, expiry = before
    return (
        word != heartbeat.word
        or at is None
        or not is_fresh(at, limits=selectors.thresholds(), now=now, expires_at=expiry)
    )


def _condemn(bot: Bot, heartbeat: Heartbeat, *, now: datetime) -> None:
    """Let a fresh error win at once. The trigger on the table logs the transition."""
    wanted = Run(RuntimeKind(bot.runtime_kind), DesiredStatus(bot.desired_status), bot.desired_at, bot.desired_by)
    verdict = judge(evidence=Evidence(wanted, heartbeat=heartbeat), limits=selectors.thresholds(), now=now)
    if verdict.status == HealthStatus.ERROR:
        run(
            "UPDATE bot_health SET status = 'error', message = %(message)s, status_updated_at = %(now)s, "
            "last_known_status = NULL, last_known_at = NULL, cause = '', changes_when = %(changes_when)s "
            "WHERE bot_id = %(bot)s AND status <> 'error'",
            {"bot": bot.id, "now": now, "message": verdict.message[:500], "changes_when": verdict.changes_when[:500]},
        )
