"""How ccxt reaches the network here: bounded in time and size, to the configured address, never logged, never HTML."""

from __future__ import annotations

import logging
import math
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3

from exchanges.gateways.errors import Heard

MAX_ANSWER_BYTES = 48 * 1024 * 1024  # the largest list of markets is near 20 MB
_CHUNK_BYTES = 64 * 1024
_MAX_RETRY_AFTER_S = 3600.0
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
    rows_of_known_markets: int = 0  # trades ccxt parsed, also those that it then filters out
    replay: list[Any] | None = None  # when set, nothing is sent and these are the answers

    def begin(self) -> None:
        """Starts an operation: one deadline for all its requests, nothing remembered."""
        self.deadline = None
        self.heard = Heard()
        self.answers = []
        self.failures = []
        self.rows_of_known_markets = 0

    def remaining_s(self) -> float:
        """Seconds left for this operation, counted from its first request."""
        now = time.monotonic()
        if self.deadline is None:
            self.deadline = now + self.timeout_s
        return self.deadline - now

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
    _wire: Wire
    _bad_response: type[Exception]
    _ccxt_error: type[Exception]
    _cannot_sign: type[Exception]

    def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """Sends a signed request to where it is meant to go and gives a dict or a list, or raises."""
        wire = self._wire
        if wire.replay is not None:
            return wire.replay.pop(0) if wire.replay else {}
        wire.heard = Heard()
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
        """Remembers what came, before ccxt looks at it."""
        text = text.strip()
        is_html = text[:1] == "<" or "text/html" in str(headers.get("Content-Type", "")).lower()
        self._wire.heard = Heard(status=code, is_html=is_html, retry_after_s=_retry_after_s(headers.get("Retry-After")))
        return text

    def parse_json(self, text: str) -> Any:
        """Parses an answer. One with a good status that is neither an object nor a list is refused here."""
        value = super().parse_json(text)  # type: ignore[misc]
        heard = self._wire.heard
        is_readable = isinstance(value, dict | list)
        self._wire.heard = replace(
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
        if isinstance(trade, dict) and trade.get("symbol") in (self.markets or {}):
            self._wire.rows_of_known_markets += 1
        return trade

    def handle_http_status_code(self, *args: Any) -> Any:
        """ccxt knew no code of the exchange's and goes by the status: worth knowing, for it guesses coarsely."""
        self._wire.heard = replace(self._wire.heard, is_guessed=True)
        return super().handle_http_status_code(*args)  # type: ignore[misc]


def quiet_logs() -> None:
    """ccxt and urllib3 write signed addresses, headers and bodies at DEBUG: never below INFO."""
    for name in ("ccxt", "ccxt.base.exchange", "urllib3", "urllib3.connectionpool"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)


def _retry_after_s(value: str | None) -> float | None:
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)
