"""What most likely made a bot so, beside the verdict: it changes the sentence and the cause, never the status. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bots.rules.words import DesiredStatus, HealthStatus, RuntimeStatus
from health.rules.signs import newest_trade, overdue_since, start_of
from health.rules.words import Cause, span
from health.types import Evidence, Limits, ProbeOutcome, Shortage, Verdict

MOST_CHARACTERS = 500  # of a message, as its column takes them
_LOG_LINE = 160


def with_cause(verdict: Verdict, *, evidence: Evidence, limits: Limits, now: datetime) -> Verdict:
    """The verdict with what the other probes add to it, as far as there is room. Nothing is added to good news."""
    if verdict.status == HealthStatus.HEALTHY or evidence.run.desired != DesiredStatus.RUNNING:
        return _bounded(verdict)
    for cause, sentence in _remarks(verdict, evidence=evidence, limits=limits, now=now):
        if len(verdict.message) + len(sentence) + 1 <= MOST_CHARACTERS:
            verdict = replace(verdict, message=f"{verdict.message} {sentence}", cause=verdict.cause or cause)
    if verdict.cause == Cause.BALANCE:
        verdict = replace(verdict, changes_when=f"{_deposit(evidence)} {verdict.changes_when}")
    return _bounded(verdict)


def shortage_words(shortage: Shortage) -> str:
    """``short of USDT: 3.2 free, its next order needs 50, so 46.8 are missing``."""
    needed, free = shortage.needed, max(shortage.free, Decimal(0))
    if shortage.is_out:
        return f"out of {shortage.currency}" + (f": its next order needs {plain(needed)}" if needed is not None else "")
    if needed is None:
        return f"short of {shortage.currency}: {plain(free)} free"
    missing = plain(max(needed - free, Decimal(0)))
    return f"short of {shortage.currency}: {plain(free)} free, its next order needs {plain(needed)}, so {missing} are missing"


def plain(amount: Decimal) -> str:
    """A decimal without an exponent or zeros that say nothing."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def _remarks(verdict: Verdict, *, evidence: Evidence, limits: Limits, now: datetime) -> Iterator[tuple[str, str]]:
    """``(cause, sentence)``, the likeliest first."""
    if evidence.balance.outcome == ProbeOutcome.READ:
        for shortage in evidence.balance.shortages[:2]:
            yield Cause.BALANCE, f"It is {shortage_words(shortage)}."
    if _strategy_ended(evidence, now=now):
        yield Cause.RUNTIME, "Hummingbot shows its strategy stopped."
    if line := _log_line(evidence, now=now):
        yield "", f"Its log says: {line}"
    if verdict.status in (HealthStatus.STALE, HealthStatus.STOPPED) and _has_no_orders(evidence):
        yield "", "It has no open orders either."
    overdue_at = overdue_since(evidence, limits=limits, now=now)
    if overdue_at and verdict.decided_by != "heartbeat":
        yield "", f"Its heartbeat is overdue for {span(now - overdue_at)}."


def _strategy_ended(evidence: Evidence, *, now: datetime) -> bool:
    """Not believed at once: after a restart, Hummingbot shows strategies so that trade on."""
    runtime = evidence.runtime
    if runtime is None or runtime.status != RuntimeStatus.STOPPED:
        return False
    return _is_later(runtime.changed_at or runtime.observed_at, evidence, now=now)


def _log_line(evidence: Evidence, *, now: datetime) -> str:
    runtime = evidence.runtime
    if runtime is None or not runtime.errors or runtime.errors_at is None:
        return ""
    if not _is_later(runtime.errors_at, evidence, now=now):
        return ""
    line = " ".join(runtime.errors[0].split())
    return line if len(line) <= _LOG_LINE else f"{line[:_LOG_LINE]}…"


def _is_later(moment: datetime, evidence: Evidence, *, now: datetime) -> bool:
    """Whether it is of the present run, and nothing was traded since."""
    start, newest = start_of(evidence.run), newest_trade(evidence, now=now)
    return not (start and moment < start.at) and not (newest and moment < newest)


def _has_no_orders(evidence: Evidence) -> bool:
    return evidence.orders.outcome == ProbeOutcome.READ and evidence.orders.count == 0


def _deposit(evidence: Evidence) -> str:
    """What ends the shortage that is named."""
    parts = []
    for shortage in evidence.balance.shortages[:2]:
        free = max(shortage.free, Decimal(0))
        missing = "" if shortage.needed is None else f"{plain(max(shortage.needed - free, Decimal(0)))} "
        parts.append(f"{missing}{shortage.currency}")
    return f"More {' and '.join(parts)} on its account lets it place its next order."


def _bounded(verdict: Verdict) -> Verdict:
    if len(verdict.message) <= MOST_CHARACTERS:
        return verdict
    return replace(verdict, message=f"{verdict.message[: MOST_CHARACTERS - 1]}…")
