"""Reads of heartbeats: the plan that holds for a bot, and what was heard of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from bots.models import BotHealth
from ground.errors import InvalidInput
from ground.keyset import NOT_OURS, Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_one
from health.models import HeartbeatPlan
from health.selectors import thresholds


def heartbeat_plan(scope: Scope, bot_id: UUID, *, now: datetime) -> dict[str, Any]:
    """The plan that holds for a bot, its own or the common time-out, and how the bot stands by it.

    ``next_at`` is when a heartbeat is expected, ``overdue_at`` when it is late; both null before the first one.
    """
    with scope.transaction():
        plan = HeartbeatPlan.objects.filter(bot_id=bot_id).first()
        heard = BotHealth.objects.filter(bot_id=bot_id).values_list("last_heartbeat_at", "heartbeat_expires_at").first()
        timeout = thresholds().heartbeat
    last_at, own_expiry = heard or (None, None)
    overdue_at = own_expiry or (last_at + timeout if last_at else None)
    grace = timedelta(seconds=plan.grace_s) if plan else timedelta()
    return {
        "bot_id": bot_id,
        "source": "bot" if plan else "common",
        "period_s": plan.period_s if plan else int(timeout.total_seconds()),
        "cron": plan.cron if plan else "",
        "timezone": plan.timezone if plan else "UTC",
        "grace_s": plan.grace_s if plan else 0,
        "last_heartbeat": last_at,
        "next_at": overdue_at - grace if overdue_at else None,
        "overdue_at": overdue_at,
        "is_overdue": overdue_at is not None and overdue_at < now,
    }


def heartbeat_history(scope: Scope, bot_id: UUID, page: Page) -> dict[str, Any]:
    """``{bot_id, heartbeats, next}``, newest first."""
    params: dict[str, Any] = {"id": bot_id, "limit": page.limit, "offset": page.offset or 0} | _before(page)
    after = "AND (l.received_at, l.id) < (%(before_at)s, %(before_id)s)" if page.cursor else ""
    statement = f"""
        SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.received_at DESC, t.id DESC), '[]')::text FROM (
            SELECT l.id, bridge_iso(l.received_at) AS received_at, l.kind, l.word AS status, l.run_id, l.exit_code,
                   l.duration_ms, l.body, l.actor
              FROM bot_heartbeats l WHERE l.bot_id = %(id)s {after}
             ORDER BY l.received_at DESC, l.id DESC LIMIT %(limit)s + 1 OFFSET %(offset)s
        ) t
    """  # noqa: S608 - made of constants
    with scope.transaction():
        row = fetch_one(statement, params)
    rows = json.loads(row[0]) if row else []
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return {
        "bot_id": bot_id,
        "heartbeats": shown,
        "next": encode_cursor(shown[-1]["received_at"], shown[-1]["id"]) if more else None,
    }


def _before(page: Page) -> dict[str, Any]:
    if page.cursor is None:
        return {}
    try:
        return {"before_at": page.instant(), "before_id": int(page.cursor[1])}
    except ValueError:
        raise InvalidInput(NOT_OURS, code="invalid_cursor") from None
