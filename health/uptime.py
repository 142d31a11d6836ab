"""What the API shows of a bot's uptime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from ground.http import iso
from ground.scope import Scope
from health.models import UptimeDay
from health.rules.uptime import NAMES, Carried, total

WEEK, MONTH = timedelta(days=7), timedelta(days=30)


def bot_uptime(scope: Scope, bot_id: UUID, *, today: date, days: int) -> dict[str, Any]:
    """``{bot_id, days, week, month, counted_to}``: days newest first; week and month are the last 7 and 30 days.

    A day on which the bot rested on purpose from end to end is missing.
    """
    since = min(today - timedelta(days=days - 1), today - MONTH + timedelta(days=1))
    with scope.transaction():
        found = list(UptimeDay.objects.filter(bot_id=bot_id, day__gte=since, day__lte=today).order_by("-day"))
    carried = {row.day: carried_on(row) for row in found}
    shown = [
        {"day": row.day.isoformat(), **_figures(carried[row.day]), "counted_to": iso(row.counted_to)}
        for row in found
        if row.day > today - timedelta(days=days)
    ]
    return {
        "bot_id": bot_id,
        "days": shown,
        "week": _period(carried, today, WEEK),
        "month": _period(carried, today, MONTH),
        "counted_to": max((row.counted_to for row in found), default=None),
    }


def _period(carried: Mapping[date, Carried], today: date, length: timedelta) -> dict[str, Any]:
    since = today - length + timedelta(days=1)
    inside: Iterable[Carried] = (part for day, part in carried.items() if day >= since)
    return {"from": since.isoformat(), "to": today.isoformat(), **_figures(total(inside))}


def _figures(carried: Carried) -> dict[str, Any]:
    seconds = {f"{name}_s": getattr(carried, name) for name in NAMES}
    return seconds | {"uptime_ratio": carried.uptime_ratio, "known_ratio": carried.known_ratio}


def carried_on(row: UptimeDay) -> Carried:
    """What a bot carried on one day."""
    return Carried(*(getattr(row, f"{name}_s") for name in NAMES))
