"""What the evidence says of one bot. Pure and total: every evidence has a verdict, with a sentence that explains it.

The last own trade decides. Nothing that is not known becomes good news: no readable answer is ``unknown``, a refusal is
``error``. A trade that a rival may have made, or whose time lies in the future, can turn ``stopped`` into ``unknown``
and no more. A heartbeat stands in for trades only where these cannot be read by design.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from health.rules.words import span
from health.types import BY_DESIGN, Evidence, Heartbeat, Limits, Run, TradesOutcome, TradesSeen, Verdict

CLOCK_TOLERANCE = timedelta(seconds=60)  # clocks that differ by this much are still believed
STOP_GRACE = timedelta(minutes=2)  # a bot that was asked to stop may still trade for so long

_SHOWS_LIFE = (HealthStatus.HEALTHY, HealthStatus.STALE, HealthStatus.ERROR)
_FAILED = {
    TradesOutcome.NO_CREDENTIALS: HealthStatus.UNKNOWN,
    TradesOutcome.NOT_READABLE: HealthStatus.UNKNOWN,
    TradesOutcome.REFUSED: HealthStatus.ERROR,
    TradesOutcome.UNREADABLE: HealthStatus.UNKNOWN,
    TradesOutcome.RATE_LIMITED: HealthStatus.UNKNOWN,
    TradesOutcome.BROKE: HealthStatus.ERROR,
    TradesOutcome.NOT_ASKED: HealthStatus.UNKNOWN,
}


def judge(*, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """The verdict at ``now``: a trade younger than ``limits.stale`` is healthy, up to ``limits.stopped`` stale."""
    run = evidence.run
    heartbeat = _fresh(evidence, limits=limits, now=now)
    if run.desired == DesiredStatus.STOPPED:
        return _wanted_stopped(evidence=evidence, limits=limits, now=now)
    if heartbeat and heartbeat.word == ReportedStatus.ERROR:
        return Verdict(HealthStatus.ERROR, f"{_said(heartbeat, now)} Look at the bot's own log.", "heartbeat")
    is_said_running = heartbeat is not None and heartbeat.word == ReportedStatus.RUNNING
    verdict = _by_probes(evidence=evidence, heartbeat=heartbeat, limits=limits, now=now)
    if run.desired == DesiredStatus.CREATED and not run.seen_running_at and not is_said_running:
        return _never_started(verdict, evidence=evidence, now=now)
    return verdict


def _by_probes(*, evidence: Evidence, heartbeat: Heartbeat | None, limits: Limits, now: datetime) -> Verdict:
    if evidence.trades.outcome != TradesOutcome.READ:
        return _without_trades(evidence.trades, heartbeat=heartbeat, now=now)
    own = _by_newest(_newest(evidence, now=now), evidence=evidence, limits=limits, now=now)
    return _raised_by_doubt(_heard(own, heartbeat, now), evidence=evidence, limits=limits, now=now)


def _never_started(verdict: Verdict, *, evidence: Evidence, now: datetime) -> Verdict:
    """Nobody said here that it runs: only an external bot's own trades, or a refusal, show more than unknown."""
    if evidence.run.kind == RuntimeKind.EXTERNAL and verdict.status in _SHOWS_LIFE:
        return replace(verdict, message=f"{verdict.message} It was never started here.")
    newest = _newest(evidence, now=now)
    traded = f" Its account traded {span(now - newest)} ago." if newest else ""
    return Verdict(HealthStatus.UNKNOWN, f"It was never started.{traded}", "start")


def is_believable(moment: datetime, *, now: datetime) -> bool:
    """Whether a trade's time is not in the future, beyond what clocks may differ."""
    return moment <= now + CLOCK_TOLERANCE


def is_fresh(received_at: datetime, *, limits: Limits, now: datetime) -> bool:
    """Whether a heartbeat still says something."""
    return is_believable(received_at, now=now) and now - received_at <= limits.heartbeat


def _fresh(evidence: Evidence, *, limits: Limits, now: datetime) -> Heartbeat | None:
    """The heartbeat, if it still says something of the present run: an error from before a restart does not."""
    heartbeat, run = evidence.heartbeat, evidence.run
    if heartbeat is None or not is_fresh(heartbeat.received_at, limits=limits, now=now):
        return None
    is_of_run = not run.desired_at or heartbeat.received_at >= run.desired_at
    return heartbeat if is_of_run or heartbeat.word == ReportedStatus.RUNNING else None


def _wanted_stopped(*, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """Stopped on purpose, which is no incident; not so a bot that is seen running and trades all the same."""
    run = evidence.run
    newest, stopped = _newest(evidence, now=now), f"stopped by {run.desired_by or 'someone'}"
    if newest is None or run.desired_at is None or newest <= run.desired_at + STOP_GRACE:
        return Verdict(HealthStatus.STOPPED, stopped, "stop")
    if not run.seen_running_at:
        return Verdict(HealthStatus.STOPPED, f"{stopped}, yet its account traded {span(now - newest)} ago.", "stop")
    own = _by_age(newest, limits=limits, now=now)
    return replace(own, message=f"{stopped}, yet it still runs. {own.message}")


def _without_trades(trades: TradesSeen, *, heartbeat: Heartbeat | None, now: datetime) -> Verdict:
    """No list of trades could be had: why, and whether a heartbeat may stand in for it."""
    status, reason = _FAILED[trades.outcome], trades.detail or "Not checked yet."
    if heartbeat is None or trades.outcome not in BY_DESIGN:
        return Verdict(status, reason, "trades")
    status = HealthStatus.HEALTHY if heartbeat.word == ReportedStatus.RUNNING else HealthStatus.STOPPED
    return Verdict(status, f"{_said(heartbeat, now)} {reason} So its heartbeat alone is believed.", "heartbeat")


def _by_newest(newest: datetime | None, *, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """The verdict if ``newest`` were the bot's last trade: from it, or from the start where that is later."""
    start = _start(evidence.run)
    if start and (newest is None or newest < start.at):
        return _since_start(start, limits=limits, now=now)
    if newest is None:
        where = f" on {evidence.trades.where}" if evidence.trades.where else ""
        return Verdict(HealthStatus.STOPPED, f"No trade of its own was found{where}.", "trades")
    return _by_age(newest, limits=limits, now=now)


def _by_age(newest: datetime, *, limits: Limits, now: datetime) -> Verdict:
    age = now - newest
    if age < limits.stale:
        return Verdict(HealthStatus.HEALTHY, f"Traded {span(age)} ago.", "trades")
    if age <= limits.stopped:
        return Verdict(HealthStatus.STALE, f"No trade for {span(age)} (stale after {span(limits.stale)}).", "trades")
    return Verdict(HealthStatus.STOPPED, f"No trade for {span(age)} (stopped after {span(limits.stopped)}).", "trades")


@dataclass(frozen=True, slots=True)
class _Start:
    at: datetime
    words: str  # "Started", or "Asked to start"
    noun: str


def _start(run: Run) -> _Start | None:
    """From when a Hummingbot bot is judged; an external bot is judged by its trades alone."""
    if run.kind != RuntimeKind.HUMMINGBOT:
        return None
    if run.confirmed_at:
        return _Start(run.confirmed_at, "Started", "its start")
    if run.desired == DesiredStatus.RUNNING and run.desired_at:
        return _Start(run.desired_at, "Asked to start", "it was asked to start, which was never confirmed,")
    return None


def _since_start(start: _Start, *, limits: Limits, now: datetime) -> Verdict:
    age = now - start.at
    if age < limits.stale:
        return Verdict(HealthStatus.UNKNOWN, f"{start.words} {span(age)} ago, no trade yet.", "start")
    status, limit = HealthStatus.STALE, limits.stale
    if age > limits.stopped:
        status, limit = HealthStatus.STOPPED, limits.stopped
    return Verdict(status, f"No trade since {start.noun} {span(age)} ago ({status} after {span(limit)}).", "start")


def _heard(verdict: Verdict, heartbeat: Heartbeat | None, now: datetime) -> Verdict:
    """A fresh ``running`` lifts stopped to stale, and nothing else changes; what was said is told where it differs."""
    if heartbeat is None:
        return verdict
    if heartbeat.word == ReportedStatus.STOPPED:
        return replace(verdict, message=f"{verdict.message} {_said(heartbeat, now)}")
    if verdict.status != HealthStatus.STOPPED:
        return verdict
    return Verdict(HealthStatus.STALE, f"{verdict.message} Yet: {_said(heartbeat, now, first=False)}", "heartbeat")


def _raised_by_doubt(own: Verdict, *, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """Trades that may be this bot's: they prove nothing, but stopped can then no longer be told."""
    trades = evidence.trades
    if own.status in (HealthStatus.HEALTHY, HealthStatus.UNKNOWN):
        return own
    doubt = ""
    if trades.shared_at and is_believable(trades.shared_at, now=now):
        if_own = _by_newest(trades.shared_at, evidence=evidence, limits=limits, now=now)
        if if_own.status not in (HealthStatus.STOPPED, own.status):
            doubt = (
                f"A trade {span(now - trades.shared_at)} ago may be this bot's or that of {_listed(trades.rivals)}: "
                "they share account and pair, and their trades cannot be told apart."
            )
    if not doubt and trades.future_at:
        ahead = span(trades.future_at - now)
        doubt = f"Its newest trade carries a time {ahead} in the future, so its age cannot be told: compare the clocks."
    if not doubt:
        return own
    if own.status == HealthStatus.STALE:
        return replace(own, message=f"{own.message} {doubt}")
    return Verdict(HealthStatus.UNKNOWN, doubt, "trades")


def _newest(evidence: Evidence, *, now: datetime) -> datetime | None:
    seen = [at for at in (evidence.trades.newest_at, evidence.known_trade_at) if at and is_believable(at, now=now)]
    return max(seen, default=None)


def _said(heartbeat: Heartbeat, now: datetime, *, first: bool = True) -> str:
    return f"{'Its' if first else 'its'} heartbeat said {heartbeat.word} {span(now - heartbeat.received_at)} ago."


def _listed(names: tuple[str, ...]) -> str:
    shown = [*names[:3], *(["others"] if len(names) > 3 else [])]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown) or "another bot"
