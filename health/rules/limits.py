"""Which limits hold for a bot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from health.types import Limits


def minutes(amount: Decimal) -> timedelta:
    """Minutes, fractions included."""
    return timedelta(seconds=float(amount * 60))


def limits_of_bot(limits: Limits, *, stale_minutes: Decimal | None, stopped_minutes: Decimal | None) -> Limits:
    """The limits with a bot's own thresholds. A stale threshold beyond the stopped one pushes that up with it."""
    stale = limits.stale if stale_minutes is None else minutes(stale_minutes)
    stopped = limits.stopped if stopped_minutes is None else minutes(stopped_minutes)
    if stopped_minutes is not None and stale_minutes is None:
        stale = min(stale, stopped)
    is_own = stale_minutes is not None or stopped_minutes is not None
    return replace(limits, stale=stale, stopped=max(stale, stopped), source="bot" if is_own else limits.source)
