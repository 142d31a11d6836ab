"""What somebody wants of a bot, and what was said of it by that."""

from __future__ import annotations

from datetime import datetime

from bots.models import Bot
from bots.rules.words import DesiredStatus, ReportedStatus


def store_wish(
    bot: Bot, *, desired: DesiredStatus, said: ReportedStatus, actor: str, reason: str, now: datetime
) -> None:
    """Inside the caller's transaction, which holds the bot's row."""
    bot.desired_status, bot.desired_at, bot.desired_by, bot.desired_reason = desired, now, actor, reason[:300]
    bot.reported_status, bot.reported_at, bot.reported_by = said, now, actor
    bot.save(
        update_fields=[
            "desired_status", "desired_at", "desired_by", "desired_reason",
            "reported_status", "reported_at", "reported_by",
        ]
    )  # fmt: skip
