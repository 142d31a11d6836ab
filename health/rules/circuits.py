"""When an exchange, or one key at it, is asked again after it failed. Pure: the clock and the dice are arguments.

Three failures in a row open a circuit. It then waits, longer each time, until one call may try; what that call meets
closes it or opens it again. A key that was refused waits until it is changed (a changed key is another circuit), and is
tried once a day in case the exchange was told to accept it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from health.rules.words import CircuitState

OPENS_AFTER = 3  # failures in a row
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=10)
REFUSED_WAIT = timedelta(days=1)
TRY_LASTS = timedelta(seconds=60)  # whoever tries has told what it met by then, or another one may try
RETRIES = 2  # of one call, where nothing failed before it
_FIRST_RETRY_S = 0.25


class Failure(StrEnum):
    """How a call failed, as far as its circuit goes."""

    UNAVAILABLE = "unavailable"  # no readable answer: it may pass
    LIMITED = "limited"  # fewer calls were asked for
    REFUSED = "refused"  # the key: a person must act


class Admission(StrEnum):
    """Whether the schedule may call."""

    ASK = "ask"  # closed
    TRY = "try"  # open, and its wait is over: one call may find out
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Circuit:
    """Of an exchange (no ``fingerprint``) or of one key there. ``calls`` and ``errors`` count from when it was read."""

    exchange: str
    fingerprint: str = ""
    state: CircuitState = CircuitState.CLOSED
    reason: str = ""
    failures: int = 0  # in a row
    opened_at: datetime | None = None
    retry_at: datetime | None = None  # None while open: a refused key
    last_ok_at: datetime | None = None
    last_failed_at: datetime | None = None
    calls: int = 0
    errors: int = 0


def admission(circuit: Circuit, *, now: datetime) -> Admission:
    """Whether ``circuit`` lets a call through at ``now``. A try that was never told of may be made again."""
    if circuit.state == CircuitState.CLOSED:
        return Admission.ASK
    return Admission.TRY if tried_next(circuit) <= now else Admission.WAIT


def tried_next(circuit: Circuit) -> datetime:
    """When an open circuit may be tried."""
    if circuit.retry_at is not None:
        return circuit.retry_at
    last = circuit.last_failed_at or circuit.opened_at
    return last + REFUSED_WAIT if last else datetime.min.replace(tzinfo=UTC)


def trying(circuit: Circuit, *, now: datetime) -> Circuit:
    """The circuit while one call tries."""
    return replace(circuit, state=CircuitState.HALF_OPEN, retry_at=now + TRY_LASTS)


def succeeded(circuit: Circuit, *, now: datetime) -> Circuit:
    """After an answer, which ends every failure before it."""
    return replace(
        circuit, state=CircuitState.CLOSED, reason="", failures=0, opened_at=None, retry_at=None, last_ok_at=now,
        calls=circuit.calls + 1,
    )  # fmt: skip


def failed(
    circuit: Circuit,
    *,
    failure: Failure,
    reason: str,
    now: datetime,
    luck: float,
    retry_after_s: float | None = None,
) -> Circuit:
    """After a failed call. ``luck`` (0 to 1) spreads the waits, so that not all circuits are tried at one moment."""
    counted = replace(circuit, last_failed_at=now, calls=circuit.calls + 1, errors=circuit.errors + 1)
    if circuit.state == CircuitState.OPEN:
        return counted  # a call that was under way when it opened: it does not lengthen the wait
    failures = circuit.failures + 1
    counted = replace(counted, failures=failures, reason=reason[:300])
    if failures < OPENS_AFTER and failure != Failure.LIMITED and circuit.state == CircuitState.CLOSED:
        return counted
    retry_at = None if failure == Failure.REFUSED else now + _wait(failures, luck=luck, at_least_s=retry_after_s)
    return replace(counted, state=CircuitState.OPEN, opened_at=circuit.opened_at or now, retry_at=retry_at)


def pause_s(attempt: int, *, luck: float) -> float:
    """Seconds to wait before repeating a call for the ``attempt``-th time, from 1."""
    return float(_FIRST_RETRY_S * 2 ** (attempt - 1) * (0.5 + luck))


def _wait(failures: int, *, luck: float, at_least_s: float | None) -> timedelta:
    times: int = 2 ** min(max(failures - OPENS_AFTER, 0), 10)
    wait = min(FIRST_WAIT * times, LONGEST_WAIT) * (0.75 + luck / 2)
    return max(wait, timedelta(seconds=at_least_s or 0))
