"""One operation of ccxt's at a time: within a deadline, believed only if it could be read, and only our own errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from exchanges.gateways import client, emptiness, errors, parsing
from exchanges.gateways.clock import ExchangeClock, date_ms, offset_between
from exchanges.gateways.errors import WrongClock
from exchanges.gateways.wire import Wire, quiet_logs
from ground.errors import GatewayError
from ground.scope import assert_no_transaction

T = TypeVar("T")

# What ccxt's parsers raise when they stumble over a shape they did not expect.
SHAPE_ERRORS = (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError, RecursionError)

_MEASURED_LATELY_S = 20.0  # an offset this young is not measured again for a refusal
_WORTH_ASKING_AGAIN_MS = 200
_SERVER_ERROR = 500
_TOO_MANY = 429


class Asker:
    """What a gateway to one exchange asks with. Whoever calls holds the gateway's lock."""

    exchange: str
    title: str
    _client: Any
    _clock: ExchangeClock

    def _ask_signed(self, call: Callable[[], T], *, is_empty: Callable[[Any], bool] | None = None) -> T:
        """As ``_ask``; refused for its time, it is signed once more when the exchange's clock turns out to differ."""
        try:
            return self._ask(call, is_empty=is_empty)
        except WrongClock:
            if not self._learned_the_time():
                raise
        return self._ask(call, is_empty=is_empty)

    def _learned_the_time(self) -> bool:
        """Whether asking for the exchange's time showed that we had a wrong one."""
        before_ms = self._clock.offset_ms
        try:
            was_measured = self._clock.age_s() > _MEASURED_LATELY_S and self._measure_clock() is not None
        except GatewayError:
            return False  # the refusal says more
        return was_measured and abs(self._clock.offset_ms - before_ms) > _WORTH_ASKING_AGAIN_MS

    def _measure_clock(self) -> timedelta | None:
        """By what the exchange says when asked for its time; where none can be asked, by the date of its last answer."""
        heard = self._date_heard()
        if self._client.has.get("fetchTime"):
            heard = self._ask(self._time_told)
        if heard is None:
            return None
        offset_ms = offset_between(*heard, known_ms=self._clock.offset_ms)
        if offset_ms is None:
            raise errors.unreadable(self.exchange, self.title, "a time that cannot be")
        return self._clock.measured(offset_ms)

    def _time_told(self) -> tuple[int, int, int]:
        told, wire = self._client.fetch_time(), self._client._wire
        return int(told), wire.sent_ms, wire.heard_ms

    def _date_heard(self) -> tuple[int, int, int] | None:
        wire = self._client._wire
        at_ms = date_ms(wire.date)
        return None if at_ms is None else (at_ms, wire.sent_ms, wire.heard_ms)

    def _ask(
        self,
        call: Callable[[], T],
        *,
        of: Any = None,
        is_empty: Callable[[Any], bool] | None = None,
        is_tolerant: bool = False,
    ) -> T:
        """Makes one operation of ccxt's, within one deadline, and raises only our own errors.

        ``is_empty`` marks results that need proof (see ``emptiness``); a tolerant question takes a refusal for a no.
        """
        assert_no_transaction()
        quiet_logs()
        wire = (of or self._client)._wire
        wire.begin()
        problem: GatewayError | None = None
        result: Any = None
        try:
            result = call()
        except GatewayError as error:  # our own wire would not send it
            problem = error
        except (client.ccxt_module().BaseError, *SHAPE_ERRORS) as error:
            problem = self._translate(error, wire.heard)
        if is_tolerant:
            result, problem = self._tolerated(wire, result, problem)
        elif problem is None and is_empty is not None and is_empty(result) and not self._is_honest(call):
            problem = errors.unreadable(self.exchange, self.title, "nothing where the data should be")
        wire.begin()  # lets go of the answers
        if problem is not None:
            raise problem  # outside the except block: ccxt's error, with its signed address, is not chained to it
        return result  # type: ignore[no-any-return]

    def _tolerated(self, wire: Wire, result: Any, problem: GatewayError | None) -> tuple[Any, GatewayError | None]:
        """A refusal is a no. An error that brought no answer is none, also where ccxt swallowed it."""
        lost = [failure for failure in wire.failures if _is_no_answer(failure[1])]
        if lost:
            return None, self._translate(*lost[-1])
        return (False if problem else result), None

    def _is_honest(self, call: Callable[[], Any]) -> bool:
        """Whether an empty result means that there is nothing."""
        wire, limiter = self._client._wire, self._client.enableRateLimit
        if wire.rows_of_known_markets:
            return True

        def read_again(answers: list[Any]) -> None:
            wire.replay = list(answers)
            try:
                call()
            except (client.ccxt_module().BaseError, *SHAPE_ERRORS):
                pass  # a mark is no row: stumbling over it is one way of having seen it

        self._client.enableRateLimit = False
        try:
            return emptiness.is_honest(list(wire.answers), read_again)
        finally:
            wire.replay = None
            self._client.enableRateLimit = limiter

    def _translate(self, error: BaseException, heard: errors.Heard) -> GatewayError:
        if isinstance(error, GatewayError):
            return error
        return errors.translate(error, heard, exchange=self.exchange, title=self.title)

    def _read(self, parse: Callable[[], T]) -> T:
        why = ""
        try:
            return parse()
        except parsing.Unreadable as error:
            why = str(error)
        except SHAPE_ERRORS as error:
            why = type(error).__name__
        raise errors.unreadable(self.exchange, self.title, why)


def _is_no_answer(heard: errors.Heard) -> bool:
    """Whether nothing readable came: a swallowed error of this kind proves nothing about the account."""
    status = heard.status
    return status is None or status >= _SERVER_ERROR or status == _TOO_MANY or not heard.is_readable
