"""How verdicts and spans of time read (one map for API, admin and badges), and the words of health's own tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bots.rules.words import HealthStatus


class CircuitState(StrEnum):
    """Whether an exchange or a key is asked by the schedule."""

    CLOSED = "closed"  # it answers
    OPEN = "open"  # it failed too often, or the key was refused: not asked until retry_at
    HALF_OPEN = "half_open"  # one call tries whether it answers again


class PingKind(StrEnum):
    """What a heartbeat says."""

    SUCCESS = "success"  # it runs, or a run has ended well
    START = "start"  # a run began
    FAIL = "fail"  # something is wrong, or a run has ended badly
    LOG = "log"  # words to keep; says nothing of how it is


class Cause(StrEnum):
    """What most likely made a bot's verdict what it is, where that can be told."""

    BALANCE = "balance"  # its account lacks what its next order needs
    KEY = "key"  # the exchange refuses its API key
    EXCHANGE = "exchange"  # the exchange gives no readable answer
    RUNTIME = "runtime"  # its container or strategy has ended in Hummingbot
    BRIDGE = "bridge"  # our own check broke


@dataclass(frozen=True, slots=True)
class Badge:
    color: str
    label: str
    meaning: str


BADGES: dict[HealthStatus, Badge] = {
    HealthStatus.HEALTHY: Badge("green", "Running", "It traded within the stale threshold."),
    HealthStatus.STALE: Badge("yellow", "Running (stale)", "No trade for a while; normal for a quiet pair."),
    HealthStatus.STOPPED: Badge("red", "Stopped", "No trade beyond the stopped threshold, or stopped on purpose."),
    HealthStatus.ERROR: Badge("orange", "Error", "Refused, or the bot reports an error: a person must act."),
    HealthStatus.UNKNOWN: Badge("grey", "Unknown", "It cannot be told; the message says why."),
}

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def span(length: timedelta) -> str:
    """A length of time as people say it: "45 s", "12 min", "2 h 10 min", "3 days". Below zero counts as nothing."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 2 * _MINUTE:
        return f"{seconds} s"
    if seconds < 2 * _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < 2 * _DAY:
        hours, minutes = divmod(seconds // _MINUTE, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds // _DAY} days"


def moment(at: datetime, *, now: datetime) -> str:
    """An instant as people say it: "12:25 UTC", "22 Nov 12:25 UTC" on another day, with its year in another year."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    if at.date() == now.date():
        return f"{at:%H:%M} UTC"
    return f"{at:%-d %b %H:%M} UTC" if at.year == now.year else f"{at:%-d %b %Y %H:%M} UTC"
