"""When the next heartbeat of a bot is overdue, by its own plan, and what a ping says. Pure.

A plan is an interval ("every 5 minutes") or a cron expression in a time zone. A cron expression follows the wall clock, as
Debian's cron does: a time that a zone skips in spring comes at the end of the gap, one that comes twice in autumn counts
once, and what runs every hour or minute keeps its distance.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from bots.rules.words import ReportedStatus
from ground.errors import InvalidInput
from health.rules.words import PingKind, span

MOST_SECONDS = 31_536_000  # a year
DEFAULT_GRACE_S = 60
MOST_CRON_CHARACTERS = 100
_RUN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Plan:
    """Either ``period`` or ``cron`` is given."""

    grace: timedelta
    period: timedelta | None = None
    cron: str = ""
    timezone: str = "UTC"


def read_plan(*, period_s: int | None, cron: str, timezone: str, grace_s: int | None) -> Plan:
    """A plan from what a person gave. Raises InvalidInput naming the field."""
    cron, grace_s = " ".join(cron.split()), DEFAULT_GRACE_S if grace_s is None else grace_s
    if (period_s is None) == (cron == ""):
        sentence = "Give either period_s, seconds between two heartbeats, or a cron expression."
        raise InvalidInput(sentence, fields={"period_s": ["this or cron"], "cron": ["this or period_s"]})
    for name, seconds in (("period_s", period_s), ("grace_s", grace_s)):
        if seconds is not None and not 1 <= seconds <= MOST_SECONDS:
            raise InvalidInput(f"{name} must be 1 to {MOST_SECONDS} seconds.", fields={name: ["out of range"]})
    if timezone not in _zones():
        sentence = "timezone must be a name such as UTC or Europe/Berlin."
        raise InvalidInput(sentence, fields={"timezone": ["unknown"]})
    plan = Plan(timedelta(seconds=grace_s), timedelta(seconds=period_s) if period_s else None, cron, timezone)
    if cron:
        _check_cron(plan)
    return plan


def next_expected(plan: Plan, after: datetime) -> datetime | None:
    """When the heartbeat after one at ``after`` is expected, in UTC; None where the plan cannot be read (any more)."""
    if plan.period is not None:
        return after.astimezone(UTC) + plan.period
    try:
        return next(moment for moment in _moments(plan, after) if moment > after)
    except (CronSimError, StopIteration, KeyError, ValueError, OverflowError, OSError):
        return None  # never, or a zone that this machine does not know


def expires_at(plan: Plan, received_at: datetime) -> datetime | None:
    """Until when a heartbeat says something: the next one is overdue after this instant. None: by the common time-out."""
    expected = next_expected(plan, received_at)
    return None if expected is None else expected + plan.grace


def _moments(plan: Plan, after: datetime) -> Iterator[datetime]:
    """In the second pass of an hour that comes twice, cron's first answer lies in the first pass, which is over."""
    zone = UTC if plan.timezone == "UTC" else ZoneInfo(plan.timezone)
    for moment in CronSim(plan.cron, after.astimezone(zone)):
        yield moment.astimezone(UTC)


def _check_cron(plan: Plan) -> None:
    said = {"cron": ["five fields: minute, hour, day of month, month, day of week"]}
    if len(plan.cron) > MOST_CRON_CHARACTERS or len(plan.cron.split(" ")) != 5:
        raise InvalidInput("cron must be an expression of five fields, such as */5 * * * *.", fields=said)
    try:
        CronSim(plan.cron, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise InvalidInput(f"The cron expression cannot be read: {error}.", fields=said) from None
    if next_expected(plan, datetime(2026, 1, 1, tzinfo=UTC)) is None:
        raise InvalidInput("The cron expression names a day that never comes.", fields=said)


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


# What a ping says.


@dataclass(frozen=True, slots=True)
class Signal:
    kind: PingKind
    exit_code: int | None = None

    @property
    def word(self) -> ReportedStatus | None:
        """What it makes of the bot's heartbeat status; None for words to keep, which change nothing."""
        if self.kind == PingKind.LOG:
            return None
        return ReportedStatus.ERROR if self.kind == PingKind.FAIL else ReportedStatus.RUNNING


def read_signal(text: str) -> Signal | None:
    """What stands behind the key in a ping's address: nothing, ``start``, ``fail``, ``log`` or an exit code."""
    if text in ("", "start", "fail", "log"):
        return Signal(PingKind(text or "success"))
    if re.fullmatch(r"[0-9]{1,3}", text) and int(text) <= 255:
        return Signal(PingKind.FAIL if int(text) else PingKind.SUCCESS, int(text))
    return None


def is_run_id(text: str) -> bool:
    """Whether it may name a run: up to 64 letters, digits and ``_ . : -``."""
    return _RUN_ID.match(text) is not None


def tell_ping(signal: Signal, *, run_id: str = "", duration: timedelta | None = None) -> str:
    """``run 7 ended with exit code 3 after 12 s``, for the evidence; empty where there is nothing more to tell."""
    run = f"run {run_id}" if run_id else "its run"
    if signal.kind == PingKind.START:
        return f"{run} began"
    after = f" after {span(duration)}" if duration is not None else ""
    if signal.exit_code is not None:
        return f"{run} ended with exit code {signal.exit_code}{after}"
    if not run_id and not after:
        return ""
    return f"{run} failed{after}" if signal.kind == PingKind.FAIL else f"{run} was well{after}"
