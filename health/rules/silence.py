"""Which limits hold for the silence that a bot is in now: what was learned depends on when it began. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from health.rules.cadence import learned_limits
from health.rules.limits import limits_of_bot
from health.rules.signs import newest_trade, start_of
from health.types import Evidence, Limits


def silent_since(evidence: Evidence, *, now: datetime) -> datetime | None:
    """The bot's newest own trade, or its start where that is later; None: neither is known."""
    newest, start = newest_trade(evidence, now=now), start_of(evidence.run)
    return max((at for at in (newest, start.at if start else None) if at), default=None)


def limits_at(
    *,
    evidence: Evidence,
    common: Limits,
    stale_minutes: Decimal | None,
    stopped_minutes: Decimal | None,
    profile: Mapping[str, Any] | None = None,
    days_between_false_alarms: int = 0,
    now: datetime,
) -> Limits:
    """A bot's own limits, else those learned for this silence, else the ``common`` ones.

    ``profile``: what ``cadence.learn`` found of it; with 0 days between false alarms nothing learned is used.
    """
    learned = None
    if profile and days_between_false_alarms > 0:
        since = silent_since(evidence, now=now)
        learned = learned_limits(
            profile, last_trade_at=since, now=now, days_between_false_alarms=days_between_false_alarms
        )
    return limits_of_bot(common, stale_minutes=stale_minutes, stopped_minutes=stopped_minutes, learned=learned)
