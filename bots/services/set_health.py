"""The health verdict that starting and stopping set, in the transaction of the wish."""

from __future__ import annotations

from datetime import datetime

from bots.models import Bot, BotHealth
from bots.rules.words import HealthStatus

_CHANGES_WHEN = {
    HealthStatus.UNKNOWN: "The first check decides.",
    HealthStatus.STOPPED: "Start it, and it is judged again.",
}


def set_health(
    bot: Bot, *, status: HealthStatus, message: str, now: datetime, confirmed_start_at: datetime | None = None
) -> None:
    """Replace the verdict, and with it what was said to have caused it. A known one that becomes unknown stays beside it
    as the last known."""
    row, _ = BotHealth.objects.select_for_update().get_or_create(bot=bot, defaults={"client_id": bot.client_id})
    if status == HealthStatus.UNKNOWN and row.status != HealthStatus.UNKNOWN:
        row.last_known_status, row.last_known_at = row.status, row.status_updated_at
    if row.status != status:
        row.status, row.status_updated_at = status, now
    row.cause, row.changes_when = "", _CHANGES_WHEN.get(status, "")
    row.message, row.due_at, row.confirmed_start_at = message[:500], now, confirmed_start_at
    row.save(
        update_fields=[
            "status", "message", "status_updated_at", "last_known_status", "last_known_at", "due_at",
            "confirmed_start_at", "cause", "changes_when",
        ]
    )  # fmt: skip
