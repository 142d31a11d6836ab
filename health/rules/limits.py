"""Which limits hold for a bot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from health.types import LearnedLimits, Limits


def minutes(amount: Decimal) -> timedelta:
    """Minutes, fractions included."""
    return timedelta(seconds=float(amount * 60))


def limits_of_bot(
    limits: Limits,
    *,
    stale_minutes: Decimal | None,
    stopped_minutes: Decimal | None,
    learned: LearnedLimits | None = None,
) -> Limits:
    """The limits that hold for one bot: its own win over what was learned of it, and that over ``limits``.

    What a bot leaves open is learned or common. A stale threshold beyond the stopped one pushes that up with it.
    """
    if learned is not None:
        stopped = max(learned.stale, learned.stopped)
        limits = replace(limits, stale=learned.stale, stopped=stopped, source="learned", why=learned.why)
    stale = limits.stale if stale_minutes is None else minutes(stale_minutes)
    stopped = limits.stopped if stopped_minutes is None else minutes(stopped_minutes)
    if stopped_minutes is not None and stale_minutes is None:
        stale = min(stale, stopped)
    if stale_minutes is None and stopped_minutes is None:
        return replace(limits, stale=stale, stopped=max(stale, stopped))
    return replace(limits, stale=stale, stopped=max(stale, stopped), source="bot", why="")
