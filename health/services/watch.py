"""Watching the watcher: what each round of checks leaves behind, when every bot was looked at, and who is told of it."""

from __future__ import annotations

from datetime import datetime

from ground.scope import Scope
from health.services.raise_incidents import look_for_incidents


def after_checks(*, scope: Scope, now: datetime) -> None:
    """Called when verdicts were written, by whomever: troubles become incidents, and those that are over end."""
    look_for_incidents(scope=scope, now=now)


def after_round(
    *,
    scope: Scope,
    exchange: str,
    started_at: datetime,
    finished_at: datetime,
    bots: int,
    written: int,
    late_s: float,
    now: datetime,
) -> None:
    """Called at the end of one exchange's round: notes it, and finds out whether every bot has been looked at."""


def before_tick(*, scope: Scope, now: datetime) -> None:
    """Called at each tick of the schedule, before bots are claimed: notices that nobody ticked for a while."""
