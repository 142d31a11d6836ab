"""How ccxt reaches the network here: bounded in time and size, by the exchange's clock, in turn with every other worker,
to the configured address, never logged, never HTML."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field, replace
from typing import Any

import requests
import urllib3

from exchanges.gateways.clock import ExchangeClock
from exchanges.gateways.errors import Heard
from exchanges.gateways.turns import Turns, asks_for_fewer, pause_s

MAX_ANSWER_BYTES = 48 * 1024 * 1024  # the largest list of markets is near 20 MB
_CHUNK_BYTES = 64 * 1024
_ERROR_STATUS = 400
# What the keys of a refusal are called: code, retCode, err-code, errorMessage, msg, label, status, success, reason.
_REFUSAL = re.compile("code|msg|message|err|label|status|success|reason|detail|ret", re.IGNORECASE)


@dataclass
class Wire:
    """What one ccxt instance sends through, and what it remembers of the operation under way."""

    base_url: str | None
    timeout_s: float
    deadline: float | None = None
    heard: Heard = field(default_factory=Heard)
    answers: list[Any] = field(default_factory=list)  # the parsed answers of this operation, in order
    failures: list[tuple[Exception, Heard]] = field(default_factory=list)  # also those that ccxt swallows
    rows_of_known_markets: int = 0  # trades and orders ccxt parsed, also those that it then filters out
    trade_times_ms: list[int] = field(default_factory=list)  # of all trades it parsed
    clock: ExchangeClock = field(default_factory=ExchangeClock)
    turns: Turns | None = None  # None: only ccxt's own pace for this instance
    sent_ms: int = 0  # by our own clock, of the last request
    heard_ms: int = 0
    date: str | None = None  # what the last answer said of its time
    replay: list[Any] | None = None  # when set, nothing is sent and these are the answers

    def begin(self) -> None:
        """Starts an operation: one deadline for all its requests, nothing remembered."""
        self.deadline = None
        self.heard = Heard()
        self.answers = []
        self.failures = []
        self.rows_of_known_markets = 0
        self.trade_times_ms = []

    def remaining_s(self) -> float:
        """Seconds left for this operation, counted from its first request."""
        now = time.monotonic()
        if self.deadline is None:
            self.deadline = now + self.timeout_s
        return self.deadline - now

    def wait(self, seconds: float) -> None:
        """Waits for a turn; that is no time the exchange took."""
        if seconds > 0:
            time.sleep(seconds)
            self.deadline = None if self.deadline is None else self.deadline + seconds

    def rewrite(self, url: str) -> str:
        """Puts the configured server in front: https://api.gateio.ws/x becomes BASE/api.gateio.ws/x."""
        if not self.base_url:
            return url
        return f"{self.base_url.rstrip('/')}/{url.partition('://')[2]}"


class BoundedSession(requests.Session):
    """A session whose answers end at a deadline and at a size, and that follows no redirect with a signed request."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.trust_env = False
        self.wire = wire

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        remaining_s = self.wire.remaining_s()
        if remaining_s <= 0:
            raise requests.Timeout("no time left")
        kwargs.update(timeout=remaining_s, stream=True, allow_redirects=False)
        response = super().request(method, url, **kwargs)
        try:
            response._content = self._read(response)  # what requests itself keeps the body in
        except requests.RequestException:
            raise
        except urllib3.exceptions.ReadTimeoutError:
            raise requests.ReadTimeout("the body did not arrive in time") from None
        except (urllib3.exceptions.HTTPError, OSError):
            raise requests.ConnectionError("the body broke off") from None
        finally:
            response.close()
        return response

    def _read(self, response: requests.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise requests.exceptions.ContentDecodingError("the body is too long")
            if self.wire.remaining_s() <= 0:
                raise requests.ReadTimeout("the body did not arrive in time")
            parts.append(chunk)
        return b"".join(parts)


class Transport:
    """Laid over a ccxt exchange class (see ``client.build``): its fetch, with what the wire adds."""

    markets: Any
    rateLimit: float
    _wire: Wire
    _api: Any = "public"
    _began_s = 0.0
    _bad_response: type[Exception]
    _ccxt_error: type[Exception]
    _cannot_sign: type[Exception]

    # The time of day, by the exchange's clock: what ccxt signs with.

    def milliseconds(self) -> int:
        return super().milliseconds() + self._offset_ms()  # type: ignore[misc,no-any-return]

    def seconds(self) -> int:
        return self.milliseconds() // 1000

    def microseconds(self) -> int:
        return super().microseconds() + self._offset_ms() * 1000  # type: ignore[misc,no-any-return]

    def _offset_ms(self) -> int:
        wire: Wire | None = getattr(self, "_wire", None)  # it comes when the instance is built
        return wire.clock.offset_ms if wire else 0

    # Turns

    def fetch2(self, path: str, api: Any = "public", *args: Any, **kwargs: Any) -> Any:
        """Notes which of the exchange's hosts a request is for, before ccxt paces it."""
        self._api = api
        return super().fetch2(path, api, *args, **kwargs)  # type: ignore[misc]

    def throttle(self, cost: float | None = None) -> None:
        """Waits for this key's pace, as ccxt does but by a clock that never jumps, then for the host's."""
        wire, units = self._wire, 1.0 if cost is None else float(cost)
        wire.wait(self._began_s + self.rateLimit * units / 1000 - time.monotonic())
        if wire.turns:
            wire.wait(wire.turns.wait_s(self, self._api, units))
        self._began_s = time.monotonic()

    # Requests

    def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """Sends a signed request to where it is meant to go and gives a dict or a list, or raises."""
        wire = self._wire
        if wire.replay is not None:
            return wire.replay.pop(0) if wire.replay else {}
        wire.heard, wire.date = Heard(), None
        wire.sent_ms = time.time_ns() // 1_000_000
        try:
            answer = super().fetch(wire.rewrite(url), method, headers, body)  # type: ignore[misc]
        except Exception as error:  # noted and raised again: ccxt swallows some of them
            wire.failures.append((error, wire.heard))
            raise
        wire.answers.append(answer)
        return answer

    def sign(self, *args: Any, **kwargs: Any) -> Any:
        """Signs a request; a key or secret of the wrong form is a refusal of the key, however the library fails."""
        try:
            return super().sign(*args, **kwargs)  # type: ignore[misc]
        except self._ccxt_error:
            raise
        except Exception:  # noqa: BLE001 - its words may hold a part of the secret: none of them goes on, not even as a cause
            raise self._cannot_sign("the request could not be signed") from None

    def on_rest_response(self, code: int, reason: str, url: str, method: str, headers: Any, text: str, *_: Any) -> str:
        """Remembers what came, before ccxt looks at it, and lets everybody pause whom the exchange asks to."""
        wire, text = self._wire, text.strip()
        wire.heard_ms, wire.date = time.time_ns() // 1_000_000, headers.get("Date")
        is_html = text[:1] == "<" or "text/html" in str(headers.get("Content-Type", "")).lower()
        wire.heard = Heard(status=code, is_html=is_html, retry_after_s=pause_s(headers))
        if wire.turns and asks_for_fewer(code, text):
            wire.turns.pause(self, self._api, code, wire.heard.retry_after_s)
        return text

    def parse_json(self, text: str) -> Any:
        """Parses an answer. One with a good status that is neither an object nor a list is refused here."""
        value = super().parse_json(text)  # type: ignore[misc]
        wire = self._wire
        heard = wire.heard
        is_readable = isinstance(value, dict | list)
        wire.heard = replace(
            heard,
            is_readable=is_readable,
            is_html=heard.is_html and not is_readable,
            can_refuse=isinstance(value, dict) and any(_REFUSAL.search(str(key)) for key in value),
        )
        if not is_readable and (heard.status or 0) < _ERROR_STATUS:
            raise self._bad_response("neither an object nor a list")
        return value

    def parse_trade(self, *args: Any, **kwargs: Any) -> Any:
        """Parses a row, and notes that there was one: ccxt filters rows of other markets out without a word."""
        trade = super().parse_trade(*args, **kwargs)  # type: ignore[misc]
        self._note(trade)
        if isinstance(trade, dict) and isinstance(trade.get("timestamp"), int):
            self._wire.trade_times_ms.append(trade["timestamp"])
        return trade

    def parse_order(self, *args: Any, **kwargs: Any) -> Any:
        """The same for an order."""
        order = super().parse_order(*args, **kwargs)  # type: ignore[misc]
        self._note(order)
        return order

    def _note(self, row: Any) -> None:
        if isinstance(row, dict) and row.get("symbol") in (self.markets or {}):
            self._wire.rows_of_known_markets += 1

    def handle_http_status_code(self, *args: Any) -> Any:
        """ccxt knew no code of the exchange's and goes by the status: worth knowing, for it guesses coarsely."""
        wire = self._wire
        wire.heard = replace(wire.heard, is_guessed=True)
        return super().handle_http_status_code(*args)  # type: ignore[misc]


def quiet_logs() -> None:
    """ccxt and urllib3 write signed addresses, headers and bodies at DEBUG: never below INFO."""
    for name in ("ccxt", "ccxt.base.exchange", "urllib3", "urllib3.connectionpool"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)
