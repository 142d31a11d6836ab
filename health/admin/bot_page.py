"""What a bot's health page shows: the verdict with what made it and what would change it, and what came before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils.dateparse import parse_datetime

from alerts.admin import severity_badge
from alerts.models import Incident
from alerts.selectors import incidents_of_bot
from bots.models import Bot
from clients.admin_base import NOTHING, ago, badge
from ground.scope import Scope
from health.admin.badges import health_badge
from health.admin.facts import PING_COLORS
from health.models import BotCadence, HealthTransition, HeartbeatLog, HeartbeatPlan, UptimeDay
from health.rules.uptime import total
from health.rules.words import PingKind, span
from health.selectors import bot_health
from health.uptime import carried_on

DAYS = 30
SHOWN = 12
MOST_INCIDENTS = 6
PARTS = (
    ("healthy_s", "green", "healthy"), ("stale_s", "yellow", "stale"), ("stopped_s", "red", "stopped"),
    ("error_s", "orange", "error"), ("unknown_s", "grey", "unknown"), ("planned_s", "none", "stopped on purpose"),
)  # fmt: skip


def health_page(scope: Scope, bot: Bot, *, now: datetime) -> dict[str, Any]:
    """The context of ``admin/bridge/bot_health.html``: at most eight queries, each for few rows."""
    found = bot_health(scope, bot.pk, now=now)
    days = list(UptimeDay.objects.filter(bot=bot, day__gt=now.date() - timedelta(days=DAYS)))
    return {
        "bot": bot,
        "found": found,
        "verdict": health_badge(found["health_status"]),
        "since": ago(_moment(found["status_updated_at"])),
        "checked": ago(_moment(found["checked_at"])),
        "evidence": [{**row, "age": ago(_moment(row["observed_at"]))} for row in found["evidence"]],
        "limits": found["thresholds"],
        "cadence": BotCadence.objects.filter(bot=bot).first(),
        "plan": _plan(HeartbeatPlan.objects.filter(bot=bot).first()),
        "days": _bars(days, today=now.date()),
        "uptime": [(name, _ratio(days, today=now.date(), back=back)) for name, back in _SPANS],
        "transitions": [_transition(row) for row in HealthTransition.objects.filter(bot=bot)[:SHOWN]],
        "heartbeats": [_heartbeat(row) for row in HeartbeatLog.objects.filter(bot=bot).defer("body")[:SHOWN]],
        "incidents": [_incident(row) for row in incidents_of_bot(bot.pk)[:MOST_INCIDENTS]],
        "links": [
            (title, f"{reverse(f'admin:health_{name}_changelist')}?q={bot.name}") for title, name in _LISTS
        ],
    }  # fmt: skip


_SPANS = (("today", 1), ("7 days", 7), ("30 days", 30))
_LISTS = (("All changes", "healthtransition"), ("All checks", "bothealthlog"), ("All heartbeats", "heartbeatlog"))


def _moment(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None


def _plan(plan: HeartbeatPlan | None) -> str:
    if plan is None:
        return ""
    expected = f"by {plan.cron} ({plan.timezone})" if plan.cron else f"every {_seconds(plan.period_s or 0)}"
    return f"expected {expected}, at most {_seconds(plan.grace_s)} late"


def _seconds(amount: int) -> str:
    return span(timedelta(seconds=amount))


def _bars(days: Sequence[UptimeDay], *, today: date) -> list[dict[str, Any]]:
    """A bar a day, oldest first: how much of the time counted the bot carried each verdict; empty where none was."""
    known = {row.day: row for row in days}
    bars = []
    for back in range(DAYS - 1, -1, -1):
        day = today - timedelta(days=back)
        row = known.get(day)
        parts = [(color, getattr(row, name), word) for name, color, word in PARTS if row and getattr(row, name)]
        says = ", ".join(f"{word} {_seconds(length)}" for _, length, word in parts) or "nothing known"
        counted = sum(length for _, length, _ in parts)
        heights = [(color, round(100 * length / counted, 2)) for color, length, _ in parts]
        bars.append({"day": day, "says": f"{day}: {says}", "parts": heights})
    return bars


def _ratio(days: Sequence[UptimeDay], *, today: date, back: int) -> str:
    """How much of the time in which it should have run, and could be told, it was alive."""
    since = today - timedelta(days=back)
    ratio = total(carried_on(row) for row in days if row.day > since).uptime_ratio
    return NOTHING if ratio is None else f"{100 * ratio:.2f} %"


def _transition(row: HealthTransition) -> dict[str, Any]:
    return {
        "at": f"{row.at:%Y-%m-%d %H:%M:%S}",
        "before": health_badge(row.from_status) if row.from_status else NOTHING,
        "after": health_badge(row.to_status),
        "reason": row.reason,
        "actor": row.actor,
        "link": reverse("admin:health_healthtransition_change", args=[row.pk]),
    }


def _heartbeat(row: HeartbeatLog) -> dict[str, Any]:
    took = "" if row.duration_ms is None else f"{row.duration_ms / 1000:.1f} s"
    return {
        "at": f"{row.received_at:%Y-%m-%d %H:%M:%S}",
        "said": badge(row.kind, PING_COLORS[PingKind(row.kind)]),
        "run": row.run_id,
        "exit_code": NOTHING if row.exit_code is None else row.exit_code,
        "took": took,
        "link": reverse("admin:health_heartbeatlog_change", args=[row.pk]),
    }


def _incident(row: Incident) -> dict[str, Any]:
    return {
        "title": row.title,
        "level": severity_badge(row.severity),
        "opened": ago(row.opened_at),
        "state": badge("resolved", "green") if row.resolved_at else badge("open", "orange"),
        "link": reverse("admin:alerts_incident_change", args=[row.pk]),
    }
