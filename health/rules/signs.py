"""What else than trades tells of a bot's life: heartbeats, open orders, Hummingbot. Pure and total.

A sign of life lifts ``stopped`` to ``stale`` and no more. A container that has ended since the last trade is the end of
a run, which no heartbeat from beside it and no order left on the book takes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bots.rules.observation import START_GRACE
from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind, RuntimeStatus
from health.rules.words import span
from health.types import Evidence, Heartbeat, Limits, OrdersSeen, ProbeOutcome, Run, RuntimeSeen

CLOCK_TOLERANCE = timedelta(seconds=60)  # clocks that differ by this much are still believed
LOOK_GRACE = timedelta(minutes=2)  # Hummingbot is looked at every few seconds: a look older than this is out of date

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_ENDED = {
    RuntimeStatus.EXITED: HealthStatus.STOPPED,
    RuntimeStatus.ABSENT: HealthStatus.STOPPED,
    RuntimeStatus.FAILED: HealthStatus.ERROR,
}


@dataclass(frozen=True, slots=True)
class Start:
    """From when a Hummingbot bot is judged."""

    at: datetime
    words: str  # "Started", or "Asked to start"
    noun: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of life, believed through ``until``."""

    probe: str
    words: str  # "its heartbeat said running 60 s ago"
    until: datetime


@dataclass(frozen=True, slots=True)
class End:
    """The end of the present run, as Hummingbot showed it."""

    status: HealthStatus
    words: str


def is_believable(moment: datetime, *, now: datetime) -> bool:
    """Whether a time is not in the future, beyond what clocks may differ."""
    return moment <= now + CLOCK_TOLERANCE


def is_fresh(received_at: datetime, *, limits: Limits, now: datetime, expires_at: datetime | None = None) -> bool:
    """Whether a heartbeat still says something: through ``expires_at``, or else for the common time-out."""
    if not is_believable(received_at, now=now):
        return False
    return now <= expires_at if expires_at else now - received_at <= limits.heartbeat


def newest_trade(evidence: Evidence, *, now: datetime) -> datetime | None:
    """The bot's own newest trade, of this check or an earlier one, whose time can be believed."""
    seen = [at for at in (evidence.trades.newest_at, evidence.known_trade_at) if at and is_believable(at, now=now)]
    return max(seen, default=None)


def start_of(run: Run) -> Start | None:
    """From when a Hummingbot bot is judged; an external bot is judged by its trades alone."""
    if run.kind != RuntimeKind.HUMMINGBOT:
        return None
    if run.confirmed_at:
        return Start(run.confirmed_at, "Started", "its start")
    if run.desired == DesiredStatus.RUNNING and run.desired_at:
        return Start(run.desired_at, "Asked to start", "it was asked to start, which was never confirmed,")
    return None


def fresh_heartbeat(evidence: Evidence, *, limits: Limits, now: datetime) -> Heartbeat | None:
    """The heartbeat, if it still says something of the present run: an error from before a restart does not."""
    heartbeat, run = evidence.heartbeat, evidence.run
    if heartbeat is None:
        return None
    if not is_fresh(heartbeat.received_at, limits=limits, now=now, expires_at=heartbeat.expires_at):
        return None
    is_of_run = not run.desired_at or heartbeat.received_at >= run.desired_at
    return heartbeat if is_of_run or heartbeat.word == ReportedStatus.RUNNING else None


def heartbeat_until(heartbeat: Heartbeat, *, limits: Limits) -> datetime:
    """Through when it is believed."""
    return heartbeat.expires_at or heartbeat.received_at + limits.heartbeat


def overdue_since(evidence: Evidence, *, limits: Limits, now: datetime) -> datetime | None:
    """Since when a heartbeat is missing that the bot's own plan promised; a start gets the common time-out first."""
    heartbeat, run = evidence.heartbeat, evidence.run
    if heartbeat is None or heartbeat.expires_at is None or run.desired != DesiredStatus.RUNNING:
        return None
    due = max(heartbeat.expires_at, run.desired_at + limits.heartbeat if run.desired_at else _LONG_AGO)
    return due if due < now else None


def said(heartbeat: Heartbeat, *, now: datetime) -> str:
    """``heartbeat said running 60 s ago``, with what came along."""
    detail = f" ({heartbeat.detail[:120]})" if heartbeat.detail else ""
    return f"heartbeat said {heartbeat.word} {span(now - heartbeat.received_at)} ago{detail}"


def signs_of_life(evidence: Evidence, *, heartbeat: Heartbeat | None, limits: Limits, now: datetime) -> list[Sign]:
    """What speaks for life beside trades; ``heartbeat`` is the fresh one."""
    signs = []
    if heartbeat and heartbeat.word == ReportedStatus.RUNNING:
        until = heartbeat_until(heartbeat, limits=limits)
        signs.append(Sign("heartbeat", f"its {said(heartbeat, now=now)}", until))
    if quoted_at := _quoted_at(evidence.orders, limits=limits, now=now):
        age, count = span(now - quoted_at), evidence.orders.count
        placed = f"the newest of its {count} open orders was placed" if count and count > 1 else "an order was placed"
        signs.append(
            Sign("orders", f"it quotes ({placed} {age} ago), but nothing was filled", quoted_at + limits.stale)
        )
    if moved_at := _figures_moved_at(evidence, limits=limits, now=now):
        age = span(now - moved_at)
        words = f"Hummingbot shows it running, and its figures changed {age} ago"
        signs.append(Sign("runtime", words, moved_at + limits.heartbeat))
    return signs


def end_of_run(evidence: Evidence, *, limits: Limits, now: datetime) -> End | None:
    """What Hummingbot showed of a run's end, unless something later shows that it lives on."""
    runtime, run = evidence.runtime, evidence.run
    if runtime is None or run.kind != RuntimeKind.HUMMINGBOT or run.desired != DesiredStatus.RUNNING:
        return None
    status = _ENDED.get(runtime.status)
    if status is None or _lived_on(evidence, runtime, limits=limits, now=now):
        return None
    since, newest = runtime.changed_at or runtime.observed_at, newest_trade(evidence, now=now)
    traded = f" It last traded {span(now - newest)} ago." if newest else ""
    return End(status, f"{_end_words(runtime, span(now - since))}{traded}")


def _end_words(runtime: RuntimeSeen, ago: str) -> str:
    if runtime.status == RuntimeStatus.FAILED:
        return (runtime.explanation or "Hummingbot could not run it.")[:300]
    if runtime.status == RuntimeStatus.ABSENT:
        return f"It is gone from Hummingbot, seen {ago} ago."
    return f"Its container ended {ago} ago."


def _lived_on(evidence: Evidence, runtime: RuntimeSeen, *, limits: Limits, now: datetime) -> bool:
    """Whether the end is of an earlier run, or was seen too long before a later sign of life."""
    start, newest = start_of(evidence.run), newest_trade(evidence, now=now)
    if start and (runtime.changed_at or runtime.observed_at) <= start.at:
        return True
    if _may_be_earlier_run(evidence.run, runtime, now=now):
        return True
    if newest and newest >= runtime.observed_at:
        return True
    quoted_at = _quoted_at(evidence.orders, limits=limits, now=now)
    if quoted_at and quoted_at >= runtime.observed_at + LOOK_GRACE:
        return True
    heartbeat = evidence.heartbeat
    if heartbeat is None or heartbeat.word != ReportedStatus.RUNNING:
        return False
    return heartbeat.received_at >= runtime.observed_at + LOOK_GRACE


def _may_be_earlier_run(run: Run, runtime: RuntimeSeen, *, now: datetime) -> bool:
    """After a stop and a quick start, the old container ends while the new one is not there yet."""
    if run.confirmed_at or run.desired_at is None or runtime.status == RuntimeStatus.FAILED:
        return False
    return now - run.desired_at < START_GRACE


def _quoted_at(orders: OrdersSeen, *, limits: Limits, now: datetime) -> datetime | None:
    """When the bot surely placed an order that still stands, if that was lately."""
    if orders.outcome != ProbeOutcome.READ or not orders.is_own or orders.newest_at is None:
        return None
    is_late = is_believable(orders.newest_at, now=now) and now - orders.newest_at < limits.stale
    return orders.newest_at if is_late else None


def _figures_moved_at(evidence: Evidence, *, limits: Limits, now: datetime) -> datetime | None:
    """When the figures of its controllers last changed, if that was lately and Hummingbot still shows it running."""
    runtime = evidence.runtime
    if runtime is None or runtime.status != RuntimeStatus.RUNNING or runtime.figures_changed_at is None:
        return None
    moved_at = runtime.figures_changed_at
    is_late = is_believable(moved_at, now=now) and now - moved_at <= limits.heartbeat
    return moved_at if is_late and evidence.run.kind == RuntimeKind.HUMMINGBOT else None
