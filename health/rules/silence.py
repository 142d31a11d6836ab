"""Which limits hold for the silence that a bot is in now: what was learned depends on when it began. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from health.rules.cadence import away_during, learned_limits
from health.rules.limits import limits_of_bot
from health.rules.signs import newest_trade, start_of
from health.types import Evidence, Limits


@dataclass(frozen=True, slots=True)
class LimitChoice:
    """What decides which limits hold for a bot.

    ``profile``: what ``cadence.learn`` found of it; with 0 days between false alarms nothing learned is used. ``away``:
    from when until when its exchange gave no readable answer.
    """

    common: Limits
    stale_minutes: Decimal | None = None
    stopped_minutes: Decimal | None = None
    profile: Mapping[str, Any] | None = None
    days_between_false_alarms: int = 0
    away: tuple[tuple[datetime, datetime], ...] = ()
    note: str = ""  # why nothing was learned of it


def silent_since(evidence: Evidence, *, now: datetime) -> datetime | None:
    """The bot's newest own trade, or its start where that is later; None: neither is known."""
    newest, start = newest_trade(evidence, now=now), start_of(evidence.run)
    return max((at for at in (newest, start.at if start else None) if at), default=None)


def limits_at(choice: LimitChoice, *, since: datetime | None, now: datetime) -> Limits:
    """A bot's own limits, else those learned for a silence that began then, else the common ones."""
    learned = None
    if choice.profile and choice.days_between_false_alarms > 0:
        learned = learned_limits(
            choice.profile,
            last_trade_at=since,
            now=now,
            days_between_false_alarms=choice.days_between_false_alarms,
            away=away_during(choice.away, since=since, now=now),
        )
    limits = limits_of_bot(
        choice.common, stale_minutes=choice.stale_minutes, stopped_minutes=choice.stopped_minutes, learned=learned
    )
    return noted(limits, choice.note if choice.days_between_false_alarms > 0 else "")


def noted(limits: Limits, note: str) -> Limits:
    """Where the common limits hold for a bot: with the sentence that says why nothing learned does, if there is one."""
    return replace(limits, why=note) if note and limits.source in ("settings", "environment") else limits
