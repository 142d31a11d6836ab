"""One call to an exchange: kept back by an open circuit, repeated where that may help, and its failure told in words."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from structlog import get_logger

from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable
from health.rules.circuits import RETRIES, Circuit, Failure, pause_s, tried_next
from health.rules.words import CircuitState, span
from health.services.circuits import Breaker
from health.services.gather_keys import Gateway, Gateways, Key
from health.types import TradesOutcome

log = get_logger(__name__)

T = TypeVar("T")

REPEAT_WITHIN_S = 2.0  # a call that took longer to fail is not repeated: the others of its key wait behind it
NO_TURN = "no_turn"  # code of our own limiter's refusal
BY_DESIGN = ("exchange_not_carried", "cannot_read_trades")  # codes of refusals that were made here, without a call


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What one call brought; ``value`` is there where the outcome is READ."""

    outcome: TradesOutcome
    detail: str
    asked_at: datetime
    value: T | None = None
    is_key_refused: bool = False
    is_put_off: bool = False  # it was not this call's turn, and nothing was sent: to be asked again soon


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls of one round at one exchange. Safe to use from many threads, each with keys of its own."""

    gateways: Gateways
    breaker: Breaker
    clock: Callable[[], datetime]
    until_s: float  # monotonic; nothing is begun later

    def is_late(self) -> bool:
        return time.monotonic() >= self.until_s

    def ask(self, key: Key, call: Callable[[Gateway], T], *, tells_of_key: bool = True) -> Answer[T]:
        """Make a call with this key. ``tells_of_key`` False: that it is refused says nothing of the key as a whole."""
        if shut := self.breaker.shut(key.fingerprint):
            return self._kept_back(shut)
        began, is_calm, attempt = time.monotonic(), self.breaker.is_calm(key.fingerprint), 0
        while True:
            try:
                value = call(self.gateways.gateway(key.exchange, key.market_type, key.credentials))
            except Unavailable as error:
                attempt += 1
                pause = pause_s(attempt, luck=random.random())
                if (
                    not is_calm
                    or attempt > RETRIES
                    or time.monotonic() + pause > min(began + REPEAT_WITHIN_S, self.until_s)
                ):
                    return self._failed(key, error, tells_of_key=tells_of_key)
                time.sleep(pause)
            except GatewayError as error:
                return self._failed(key, error, tells_of_key=tells_of_key)
            except Exception as error:  # noqa: BLE001 - one broken check must not end the cycle
                return self._broke(key, error)
            else:
                now = self.clock()
                self.breaker.answered(key.fingerprint, now=now)
                return Answer(TradesOutcome.READ, "", now, value)

    def _failed(self, key: Key, error: GatewayError, *, tells_of_key: bool) -> Answer[T]:
        now, breaker = self.clock(), self.breaker
        if error.code in BY_DESIGN:
            return Answer(TradesOutcome.NOT_READABLE, error.message, now)
        if isinstance(error, BadCredentials):
            if error.code != "credentials_incomplete":  # nothing was sent
                breaker.answered(key.fingerprint, now=now, is_of_key=False)
            if tells_of_key:
                breaker.failed(key.fingerprint, Failure.REFUSED, reason=error.message, now=now)
            return Answer(TradesOutcome.REFUSED, error.message, now, is_key_refused=tells_of_key)
        if isinstance(error, Rejected):
            if error.code != "unknown_market":  # told from the list that we hold: maybe nothing was sent
                breaker.answered(key.fingerprint, now=now)
            return Answer(TradesOutcome.REFUSED, error.message, now)
        if error.code == NO_TURN:
            return Answer(TradesOutcome.RATE_LIMITED, error.message, now, is_put_off=True)
        is_limited = isinstance(error, RateLimited)
        breaker.failed(
            key.fingerprint,
            Failure.LIMITED if is_limited else Failure.UNAVAILABLE,
            reason=error.message,
            now=now,
            retry_after_s=error.retry_after_s,
        )
        return Answer(TradesOutcome.RATE_LIMITED if is_limited else TradesOutcome.UNREADABLE, error.message, now)

    def _broke(self, key: Key, error: Exception) -> Answer[T]:
        # Its text could hold a signed address, so only its class is told.
        log.error("check_broke", exchange=key.exchange, error=type(error).__name__)
        sentence = f"The check itself broke ({type(error).__name__}): this is a defect of the bridge."
        return Answer(TradesOutcome.BROKE, sentence, self.clock())

    def _kept_back(self, circuit: Circuit) -> Answer[T]:
        now = self.clock()
        reason = circuit.reason.rstrip(".")
        since = f" It has failed for {span(now - circuit.opened_at)}" if circuit.opened_at else " It has failed"
        if circuit.state == CircuitState.OPEN and circuit.retry_at is None:
            rest = "It is asked again when the key is changed, once a day, and whenever somebody asks for a check."
            return Answer(TradesOutcome.REFUSED, f"{reason}.{since}. {rest}", now, is_key_refused=True)
        rest = f"and is asked again in {span(tried_next(circuit) - now)}."
        return Answer(TradesOutcome.NOT_ASKED, f"{reason}.{since}, {rest}", now)
