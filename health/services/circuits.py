"""The circuits of one round of checks: read before it, minded by all of its threads, stored after it in one statement."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ground.http import exact_json
from ground.scope import system_scope
from ground.sql import fetch_all, run
from health.rules import circuits as rule
from health.rules.circuits import Admission, Circuit, Failure
from health.rules.words import CircuitState

CIRCUITS = system_scope("health")
OF_EXCHANGE = ""  # the fingerprint of a circuit that is no key's

_COLUMNS = "exchange, fingerprint, state, reason, failures, opened_at, retry_at, last_ok_at, last_failed_at"
_LOAD = f"""
    SELECT {_COLUMNS} FROM exchange_circuits
     WHERE exchange = ANY(%(exchanges)s) AND (fingerprint = '' OR fingerprint = ANY(%(fingerprints)s))
"""  # noqa: S608 - made of constants
# Of many workers that see a wait end, one tries.
_CLAIM_TRY = """
    UPDATE exchange_circuits SET state = 'half_open', retry_at = %(until)s, updated_at = %(now)s
     WHERE exchange = %(exchange)s AND fingerprint = %(fingerprint)s AND state = %(state)s
       AND retry_at IS NOT DISTINCT FROM %(retry_at)s
"""
# Two rounds may tell of one exchange at once: calls add up, and of the rest the later word stands.
_STORE = """
    INSERT INTO exchange_circuits AS c (exchange, fingerprint, state, reason, failures, opened_at, retry_at, last_ok_at,
                                        last_failed_at, calls, errors, updated_at)
    SELECT x.*, %(now)s FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(
        exchange text, fingerprint text, state text, reason text, failures int, opened_at timestamptz,
        retry_at timestamptz, last_ok_at timestamptz, last_failed_at timestamptz, calls bigint, errors bigint)
     ORDER BY x.exchange, x.fingerprint
    ON CONFLICT (exchange, fingerprint) DO UPDATE SET
        (state, reason, failures, opened_at, retry_at) = (
            SELECT n.state, n.reason, n.failures, n.opened_at, n.retry_at
              FROM (VALUES (excluded.state, excluded.reason, excluded.failures, excluded.opened_at, excluded.retry_at,
                            greatest(excluded.last_ok_at, excluded.last_failed_at), 1),
                           (c.state, c.reason, c.failures, c.opened_at, c.retry_at,
                            greatest(c.last_ok_at, c.last_failed_at), 2))
                   AS n(state, reason, failures, opened_at, retry_at, told_at, place)
             ORDER BY n.told_at DESC NULLS LAST, n.place LIMIT 1),
        last_ok_at = greatest(c.last_ok_at, excluded.last_ok_at),
        last_failed_at = greatest(c.last_failed_at, excluded.last_failed_at),
        calls = c.calls + excluded.calls, errors = c.errors + excluded.errors, updated_at = excluded.updated_at
"""


class Breaker:
    """The circuits of one exchange and its keys during one round. Its methods may be called from many threads."""

    def __init__(self, exchange: str, circuits: Iterable[Circuit] = (), *, is_minded: bool = True) -> None:
        """``is_minded`` False: a person asked, so that no open circuit keeps a call back; what is met still counts."""
        self.exchange = exchange
        self._lock = threading.Lock()
        self.is_minded = is_minded
        self._at_first = {circuit.fingerprint: circuit for circuit in circuits}
        self._now = dict(self._at_first)
        self._ours: set[str] = set()  # open circuits that this round may try

    def of_exchange(self) -> Circuit:
        return self._circuit(OF_EXCHANGE)

    def of_key(self, fingerprint: str) -> Circuit:
        return self._circuit(fingerprint)

    def due_tries(self, *, now: datetime) -> list[Circuit]:
        """The open circuits whose wait is over."""
        known = self._now.values()
        return [one for one in known if self.is_minded and rule.admission(one, now=now) == Admission.TRY]

    def take_try(self, circuit: Circuit) -> None:
        """This round tries ``circuit``, which says so."""
        self._now[circuit.fingerprint] = self._at_first[circuit.fingerprint] = circuit
        self._ours.add(circuit.fingerprint)

    @property
    def tries_exchange(self) -> bool:
        """Whether one call alone is to find out first if the exchange answers again."""
        return OF_EXCHANGE in self._ours

    def shut(self, fingerprint: str) -> Circuit | None:
        """The circuit that keeps a call of this key back, or None."""
        for circuit in (self.of_exchange(), self.of_key(fingerprint)):
            may_try = circuit.state == CircuitState.HALF_OPEN and circuit.fingerprint in self._ours
            if self.is_minded and circuit.state != CircuitState.CLOSED and not may_try:
                return circuit
        return None

    def is_calm(self, fingerprint: str) -> bool:
        """Whether nothing failed lately: only then is a failed call worth a second one at once."""
        return self.is_minded and self.of_exchange().failures == 0 and self.of_key(fingerprint).failures == 0

    def answered(self, fingerprint: str, *, now: datetime, is_of_key: bool = True) -> None:
        """An answer came; ``is_of_key`` False: it proves that the exchange is there, and nothing of the key."""
        with self._lock:
            for one in [OF_EXCHANGE, fingerprint][: 2 if is_of_key else 1]:
                self._now[one] = rule.succeeded(self._circuit(one), now=now)

    def failed(
        self, fingerprint: str, failure: Failure, *, reason: str, now: datetime, retry_after_s: float | None = None
    ) -> None:
        """A call of this key failed. That no answer came is the exchange's failure, and the key's own only as long as
        the exchange answers others: what an outage did is over when the exchange is back."""
        with self._lock:
            is_away = False
            if failure == Failure.UNAVAILABLE:
                away = self._fail(OF_EXCHANGE, failure, reason=reason, now=now)
                is_away = away.state != CircuitState.CLOSED
            if not is_away:
                self._fail(fingerprint, failure, reason=reason, now=now, retry_after_s=retry_after_s)

    def _fail(
        self, fingerprint: str, failure: Failure, *, reason: str, now: datetime, retry_after_s: float | None = None
    ) -> Circuit:
        self._now[fingerprint] = circuit = rule.failed(
            self._circuit(fingerprint), failure=failure, reason=reason, now=now, luck=random.random(),
            retry_after_s=retry_after_s,
        )  # fmt: skip
        return circuit

    def changed(self) -> list[Circuit]:
        """What is to be stored."""
        return [one for print_, one in self._now.items() if one != self._at_first.get(print_)]

    def _circuit(self, fingerprint: str) -> Circuit:
        return self._now.get(fingerprint) or Circuit(self.exchange, fingerprint)


def open_breakers(keys: Collection[tuple[str, str]], *, now: datetime, is_minded: bool = True) -> dict[str, Breaker]:
    """By exchange, the breaker of these keys ``(exchange, fingerprint)``, with the tries that are this round's to make."""
    exchanges = sorted({exchange for exchange, _ in keys})
    if not exchanges:
        return {}
    params = {"exchanges": exchanges, "fingerprints": sorted({fingerprint for _, fingerprint in keys})}
    with CIRCUITS.transaction():
        found = [_read(row) for row in fetch_all(_LOAD, params)]
        breakers = {
            exchange: Breaker(exchange, [one for one in found if one.exchange == exchange], is_minded=is_minded)
            for exchange in exchanges
        }
        for breaker in breakers.values():
            _claim_tries(breaker, now=now)
    return breakers


def store_circuits(breakers: Collection[Breaker], *, now: datetime) -> None:
    """Store what was met. The bots of an exchange that answers again are made due by ``raise_incidents``."""
    rows = [asdict(circuit) for breaker in breakers for circuit in breaker.changed()]
    if not rows:
        return
    with CIRCUITS.transaction():
        run(_STORE, {"rows": exact_json(rows), "now": now})


def _claim_tries(breaker: Breaker, *, now: datetime) -> None:
    for circuit in breaker.due_tries(now=now):
        taken = rule.trying(circuit, now=now)
        params = {
            "exchange": circuit.exchange,
            "fingerprint": circuit.fingerprint,
            "state": str(circuit.state),
            "retry_at": circuit.retry_at,
            "until": taken.retry_at,
            "now": now,
        }
        if run(_CLAIM_TRY, params):
            breaker.take_try(taken)


def _read(row: tuple[Any, ...]) -> Circuit:
    exchange, fingerprint, state, *rest = row
    return Circuit(exchange, fingerprint, CircuitState(state), *rest)
