"""When a bot should be heard of: its own plan, set and taken back, and bots whose heartbeat has just become overdue."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bots.services.manage_bots import lock_bot
from ground.errors import NotFound
from ground.scope import Scope, system_scope
from ground.sql import fetch_one, run
from health.models import HeartbeatPlan
from health.rules.heartbeats import Plan, expires_at


def set_heartbeat_plan(*, scope: Scope, bot_id: UUID, plan: Plan, now: datetime) -> None:
    """Give the bot this plan (``rules.heartbeats.read_plan`` makes one) in place of any other. It holds from its last
    heartbeat on, and the bot is looked at with the next tick. Raises NotFound."""
    with scope.transaction(reason="heartbeat plan set"):
        bot = lock_bot(scope, bot_id)
        HeartbeatPlan.objects.update_or_create(
            bot_id=bot.id,
            defaults={
                "client_id": bot.client_id,
                "period_s": None if plan.period is None else int(plan.period.total_seconds()),
                "cron": plan.cron,
                "timezone": plan.timezone,
                "grace_s": int(plan.grace.total_seconds()),
            },
        )
        _hold(bot.id, plan, now=now)


def remove_heartbeat_plan(*, scope: Scope, bot_id: UUID, now: datetime) -> None:
    """Let the common time-out hold again. Raises NotFound, also where there is no plan."""
    with scope.transaction(reason="heartbeat plan removed"):
        bot = lock_bot(scope, bot_id)
        if not HeartbeatPlan.objects.filter(bot_id=bot.id).delete()[0]:
            raise NotFound("This bot has no heartbeat plan of its own.")
        _hold(bot.id, None, now=now)


def _hold(bot_id: UUID, plan: Plan | None, *, now: datetime) -> None:
    row = fetch_one("SELECT last_heartbeat_at FROM bot_health WHERE bot_id = %s", [bot_id])
    heard_at = row[0] if row else None
    overdue_at = expires_at(plan, heard_at) if plan and heard_at else None
    run(
        "UPDATE bot_health SET heartbeat_expires_at = %s, due_at = least(due_at, %s) WHERE bot_id = %s",
        [overdue_at, now, bot_id],
    )


# A bot that is looked at rarely would else be found silent up to an interval late.
_WAKE = """
    UPDATE bot_health h SET due_at = %(now)s
      FROM (SELECT bot_id FROM bot_health
             WHERE heartbeat_expires_at < %(now)s AND due_at > %(now)s
               AND (checked_at IS NULL OR checked_at <= heartbeat_expires_at)
             ORDER BY bot_id FOR UPDATE SKIP LOCKED) silent
     WHERE h.bot_id = silent.bot_id
"""


def wake_overdue_bots(*, now: datetime) -> int:
    """Have each bot whose heartbeat is overdue by its own plan checked now, once; returns how many."""
    with system_scope("heartbeats").transaction():
        return run(_WAKE, {"now": now})
