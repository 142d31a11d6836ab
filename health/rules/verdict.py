"""What the evidence says of one bot. Pure and total: every evidence has a verdict, with a sentence that explains it.

The last own trade decides. Nothing that is not known becomes good news: no readable answer is ``unknown``, a refusal is
``error``. A trade that a rival may have made, or whose time lies in the future, can turn ``stopped`` into ``unknown``
and no more. Other signs of life (``signs.py``) lift ``stopped`` to ``stale`` and no more; a container that has ended
since is believed at once. A heartbeat stands in for trades only where these cannot be read by design. What most likely
made a bot so (``causes.py``) is named beside the verdict and never changes it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from health.rules.causes import with_cause
from health.rules.signs import (
    CLOCK_TOLERANCE,
    Sign,
    Start,
    end_of_run,
    fresh_heartbeat,
    heartbeat_until,
    is_believable,
    is_fresh,
    newest_trade,
    overdue_since,
    said,
    signs_of_life,
    start_of,
)
from health.rules.unread import without_trades
from health.rules.words import Cause, moment, span
from health.types import BY_DESIGN, Evidence, Heartbeat, Limits, TradesOutcome, Verdict

__all__ = ["CLOCK_TOLERANCE", "STOP_GRACE", "is_believable", "is_fresh", "judge"]

STOP_GRACE = timedelta(minutes=2)  # a bot that was asked to stop may still trade for so long

_SHOWS_LIFE = (HealthStatus.HEALTHY, HealthStatus.STALE, HealthStatus.ERROR)


def judge(*, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """The verdict at ``now``: a trade younger than ``limits.stale`` is healthy, up to ``limits.stopped`` stale."""
    if evidence.run.desired == DesiredStatus.STOPPED:
        return _wanted_stopped(evidence=evidence, limits=limits, now=now)
    heartbeat = fresh_heartbeat(evidence, limits=limits, now=now)
    verdict = _wanted(evidence=evidence, heartbeat=heartbeat, limits=limits, now=now)
    return with_cause(verdict, evidence=evidence, limits=limits, now=now)


def _wanted(*, evidence: Evidence, heartbeat: Heartbeat | None, limits: Limits, now: datetime) -> Verdict:
    run = evidence.run
    if heartbeat and heartbeat.word == ReportedStatus.ERROR:
        return _says_error(heartbeat, limits=limits, now=now)
    if end := end_of_run(evidence, limits=limits, now=now):
        then = "A new start, or an own trade after this, shows that it lives."
        return Verdict(end.status, end.words, "runtime", then, Cause.RUNTIME)
    is_said_running = heartbeat is not None and heartbeat.word == ReportedStatus.RUNNING
    verdict = _by_probes(evidence=evidence, heartbeat=heartbeat, limits=limits, now=now)
    if run.desired == DesiredStatus.CREATED and not run.seen_running_at and not is_said_running:
        return _never_started(verdict, evidence=evidence, now=now)
    return verdict


def _by_probes(*, evidence: Evidence, heartbeat: Heartbeat | None, limits: Limits, now: datetime) -> Verdict:
    if evidence.trades.outcome in BY_DESIGN:
        return _by_heartbeat(evidence=evidence, heartbeat=heartbeat, limits=limits, now=now)
    if evidence.trades.outcome != TradesOutcome.READ:
        return without_trades(evidence, now=now)
    own = _by_newest(newest_trade(evidence, now=now), evidence=evidence, limits=limits, now=now)
    signs = signs_of_life(evidence, heartbeat=heartbeat, limits=limits, now=now)
    heard = _heard(_lifted(own, signs, now), heartbeat, now)
    return _raised_by_doubt(heard, evidence=evidence, limits=limits, now=now)


def _says_error(heartbeat: Heartbeat, *, limits: Limits, now: datetime) -> Verdict:
    until = moment(heartbeat_until(heartbeat, limits=limits), now=now)
    then = f"A heartbeat that says running; or none until {until}, when the other evidence decides again."
    return Verdict(HealthStatus.ERROR, f"{_said(heartbeat, now)} Look at the bot's own log.", "heartbeat", then)


def _never_started(verdict: Verdict, *, evidence: Evidence, now: datetime) -> Verdict:
    """Nobody said here that it runs: only an external bot's own trades, or a refusal, show more than unknown."""
    if evidence.run.kind == RuntimeKind.EXTERNAL and verdict.status in _SHOWS_LIFE:
        return replace(verdict, message=f"{verdict.message} It was never started here.")
    newest = newest_trade(evidence, now=now)
    traded = f" Its account traded {span(now - newest)} ago." if newest else ""
    return Verdict(HealthStatus.UNKNOWN, f"It was never started.{traded}", "start", "Start it, and it is judged.")


def _wanted_stopped(*, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """Stopped on purpose, which is no incident; not so a bot that is seen running and trades all the same."""
    run, then = evidence.run, "Start it, and it is judged again."
    newest, stopped = newest_trade(evidence, now=now), f"stopped by {run.desired_by or 'someone'}"
    if newest is None or run.desired_at is None or newest <= run.desired_at + STOP_GRACE:
        return Verdict(HealthStatus.STOPPED, stopped, "stop", then)
    if not run.seen_running_at:
        traded = f"{stopped}, yet its account traded {span(now - newest)} ago."
        return Verdict(HealthStatus.STOPPED, traded, "stop", then)
    own = _by_age(newest, limits=limits, now=now)
    return replace(own, message=f"{stopped}, yet it still runs. {own.message}")


def _by_heartbeat(*, evidence: Evidence, heartbeat: Heartbeat | None, limits: Limits, now: datetime) -> Verdict:
    """Trades cannot be read, now or ever: a heartbeat alone is believed, and the silence of one that was promised."""
    unread = without_trades(evidence, now=now)
    if heartbeat is None:
        overdue_at = overdue_since(evidence, limits=limits, now=now)
        if overdue_at is None or evidence.heartbeat is None:
            return unread
        missing = (
            f"Its heartbeat is overdue for {span(now - overdue_at)}: the last {_last_said(evidence.heartbeat, now)}."
        )
        return Verdict(HealthStatus.STOPPED, f"{missing} {unread.message}", "heartbeat", "Its next heartbeat decides.")
    lives = heartbeat.word == ReportedStatus.RUNNING
    until = moment(heartbeat_until(heartbeat, limits=limits), now=now)
    after = "stopped" if heartbeat.expires_at else "unknown"
    then = f"Its next heartbeat decides; without one it is {after} after {until}."
    message = f"{_said(heartbeat, now)} {unread.message} So its heartbeat alone is believed."
    return Verdict(HealthStatus.HEALTHY if lives else HealthStatus.STOPPED, message, "heartbeat", then)


def _by_newest(newest: datetime | None, *, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """The verdict if ``newest`` were the bot's last trade: from it, or from the start where that is later."""
    start = start_of(evidence.run)
    if start and (newest is None or newest < start.at):
        return _since_start(start, limits=limits, now=now)
    if newest is None:
        where = f" on {evidence.trades.where}" if evidence.trades.where else ""
        return Verdict(HealthStatus.STOPPED, f"No trade of its own was found{where}.", "trades", _A_TRADE)
    return _by_age(newest, limits=limits, now=now)


_A_TRADE = "An own trade makes it healthy."


def _by_age(newest: datetime, *, limits: Limits, now: datetime) -> Verdict:
    age = now - newest
    if age < limits.stale:
        then = f"Without another own trade it is stale from {moment(newest + limits.stale, now=now)}."
        return Verdict(HealthStatus.HEALTHY, f"Traded {span(age)} ago.", "trades", then)
    status, limit, then = _silent(age, newest, limits=limits, now=now)
    return Verdict(status, f"No trade for {span(age)} ({status} after {span(limit)}).", "trades", then)


def _since_start(start: Start, *, limits: Limits, now: datetime) -> Verdict:
    age = now - start.at
    if age < limits.stale:
        then = f"{_A_TRADE[:-1]}; without one it is stale from {moment(start.at + limits.stale, now=now)}."
        return Verdict(HealthStatus.UNKNOWN, f"{start.words} {span(age)} ago, no trade yet.", "start", then)
    status, limit, then = _silent(age, start.at, limits=limits, now=now)
    return Verdict(
        status, f"No trade since {start.noun} {span(age)} ago ({status} after {span(limit)}).", "start", then
    )


def _silent(age: timedelta, since: datetime, *, limits: Limits, now: datetime) -> tuple[HealthStatus, timedelta, str]:
    """The word for a silence beyond ``limits.stale``, the limit that it passed, and what ends it."""
    if age > limits.stopped:
        return HealthStatus.STOPPED, limits.stopped, _A_TRADE
    then = f"{_A_TRADE[:-1]}; without one it is stopped after {moment(since + limits.stopped, now=now)}."
    return HealthStatus.STALE, limits.stale, then


def _lifted(verdict: Verdict, signs: list[Sign], now: datetime) -> Verdict:
    """Signs of life lift stopped to stale, and nothing else changes."""
    if verdict.status != HealthStatus.STOPPED or not signs:
        return verdict
    until = moment(max(sign.until for sign in signs), now=now)
    then = f"{_A_TRADE[:-1]}; without a new sign of life it is stopped after {until}."
    message = f"{verdict.message} Yet: {'; '.join(sign.words for sign in signs)}."
    return Verdict(HealthStatus.STALE, message, signs[0].probe, then)


def _heard(verdict: Verdict, heartbeat: Heartbeat | None, now: datetime) -> Verdict:
    """A heartbeat that says stopped proves nothing beside trades, but is told."""
    if heartbeat is None or heartbeat.word != ReportedStatus.STOPPED:
        return verdict
    return replace(verdict, message=f"{verdict.message} {_said(heartbeat, now)}")


def _raised_by_doubt(own: Verdict, *, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """Trades that may be this bot's: they prove nothing, but stopped can then no longer be told."""
    if own.status in (HealthStatus.HEALTHY, HealthStatus.UNKNOWN):
        return own
    doubt, then = _shared(own, evidence=evidence, limits=limits, now=now), _TELL_APART
    if not doubt and evidence.trades.future_at:
        ahead = span(evidence.trades.future_at - now)
        doubt = f"Its newest trade carries a time {ahead} in the future, so its age cannot be told: compare the clocks."
        then = "Clocks that agree, or an own trade whose time can be believed."
    if not doubt:
        return own
    if own.status == HealthStatus.STALE:
        return replace(own, message=f"{own.message} {doubt}")
    return Verdict(HealthStatus.UNKNOWN, doubt, "trades", then)


_TELL_APART = "An own trade makes it healthy; give each bot a client_order_id_prefix to tell their trades apart."


def _shared(own: Verdict, *, evidence: Evidence, limits: Limits, now: datetime) -> str:
    """The doubt that trades raise which this bot or a rival made; empty: none that matters."""
    shared_at = evidence.trades.shared_at
    if not shared_at or not is_believable(shared_at, now=now):
        return ""
    if_own = _by_newest(shared_at, evidence=evidence, limits=limits, now=now)
    if if_own.status in (HealthStatus.STOPPED, own.status):
        return ""
    return (
        f"A trade {span(now - shared_at)} ago may be this bot's or that of {_listed(evidence.trades.rivals)}: "
        "they share account and pair, and their trades cannot be told apart."
    )


def _said(heartbeat: Heartbeat, now: datetime) -> str:
    return f"Its {said(heartbeat, now=now)}."


def _last_said(heartbeat: Heartbeat, now: datetime) -> str:
    return f"one said {heartbeat.word} {span(now - heartbeat.received_at)} ago"


def _listed(names: tuple[str, ...]) -> str:
    shown = [*names[:3], *(["others"] if len(names) > 3 else [])]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown) or "another bot"
