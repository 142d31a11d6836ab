"""One JSON call to Hummingbot's API: sent once, bounded in time and size, and every failure named."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable, UnknownOutcome
from ground.http import exact_json
from ground.scope import assert_no_transaction

SYSTEM = "hummingbot"
MAX_BODY_BYTES = 32 * 1024 * 1024
_DETAIL_CHARACTERS = 200
_LEAST_S = 0.2
_HEADERS = {"Accept": "application/json", "Connection": "close"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A readable answer: JSON of any shape, with its HTTP status."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str  # already quoted
    query: Mapping[str, str] | None = None
    body: Any = None

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


class JsonTransport:
    """Sends calls to one base address. A call never follows a redirect and is never repeated.

    Each call opens its own connection: a kept connection that the other side closed meanwhile looks, for a write,
    like an answer that was lost.
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        timeout_s: float,
        connect_timeout_s: float,
        deadline: float | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._auth = HTTPBasicAuth(username.encode(), password.encode())
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._deadline = deadline

    def remaining_s(self) -> float:
        """Seconds until this transport's own deadline, of time.monotonic; infinite without one."""
        return math.inf if self._deadline is None else self._deadline - time.monotonic()

    def send(self, call: Call, *, timeout_s: float | None = None) -> Answer:
        """The answer, 2xx or 4xx/5xx that carries JSON.

        Raises Unavailable when nothing was asked or a read went unanswered, UnknownOutcome when a write was sent and no
        readable answer came, BadCredentials on 401 and 403, RateLimited on 429.
        """
        assert_no_transaction()
        allowed_s = min(timeout_s or self._timeout_s, self.remaining_s())
        if allowed_s < _LEAST_S:
            raise Unavailable("Hummingbot was too slow to be asked for more in this moment.", system=SYSTEM)
        deadline = time.monotonic() + allowed_s
        with requests.Session() as session:
            session.trust_env = False  # no .netrc and no proxy from the environment
            try:
                response = session.request(
                    call.method,
                    self._base_url + call.path,
                    params=call.query,
                    data=None if call.body is None else exact_json(call.body),
                    auth=self._auth,
                    headers={**_HEADERS, **({} if call.body is None else _JSON)},
                    timeout=(min(self._connect_timeout_s, allowed_s), allowed_s),
                    allow_redirects=False,
                    stream=True,
                )
                raw = _read_bounded(response, call, deadline)
            except requests.RequestException as error:
                _raise_for_exception(error, call)
        return _readable(response, raw, call)


def lost(call: Call, why: str) -> GatewayError:
    """The error for an answer that cannot be used: a lost read is Unavailable, a lost write an UnknownOutcome."""
    if call.is_write:
        return UnknownOutcome(f"Hummingbot {why}; the request may have been carried out.", system=SYSTEM)
    return Unavailable(f"Hummingbot {why}.", system=SYSTEM)


def detail_of(body: object) -> str:
    """Hummingbot's own words for a refusal, on one line and shortened; "" when it gave none."""
    detail = body.get("detail") or body.get("message") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(_validation_line(item) for item in detail[:5])
    if not isinstance(detail, str):
        return ""
    said = _of_validation(detail)
    line = re.sub(r"\s+", " ", re.sub(r"https?://\S+", "(address)", said)).strip()
    return line if len(line) <= _DETAIL_CHARACTERS else line[: _DETAIL_CHARACTERS - 1] + "…"


def _of_validation(detail: str) -> str:
    """Each field with what is wrong with it, where pydantic wrote the text; else the text."""
    first, _, rest = detail.partition("\n")
    if not re.match(r"\d+ validation errors? for ", first):
        return detail
    found = re.findall(r"^(?:(\S.*)\n)?  (\S.*?) \[type=", rest, re.MULTILINE)
    return "; ".join(f"{field}: {said}" if field else said for field, said in found[:5]) or detail


def _validation_line(item: object) -> str:
    if not isinstance(item, dict):
        return ""
    location = item.get("loc")
    where = ".".join(str(part) for part in location) if isinstance(location, list) else ""
    return f"{where}: {item.get('msg', '')}".strip(": ")


def _read_bounded(response: requests.Response, call: Call, deadline: float) -> bytes:
    received = bytearray()
    for chunk in response.iter_content(64 * 1024):
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            raise lost(call, "sent an answer that is too large")
        if time.monotonic() > deadline:
            raise lost(call, "took too long to send its answer")
    return bytes(received)


def _raise_for_exception(error: requests.RequestException, call: Call) -> NoReturn:
    if _was_never_sent(error):
        raise Unavailable(
            "Hummingbot's API cannot be reached: nothing accepts connections there.", system=SYSTEM
        ) from None
    if isinstance(error, requests.Timeout):
        raise lost(call, "did not answer in time") from None
    raise lost(call, "broke off the connection before its answer was complete") from None


def _was_never_sent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    if isinstance(
        error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL | requests.exceptions.MissingSchema
    ):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError | ConnectTimeoutError)


def _readable(response: requests.Response, raw: bytes, call: Call) -> Answer:
    status = response.status_code
    if status in (401, 403):
        raise BadCredentials(
            "Hummingbot's API refused the bridge's user name or password: "
            "check HUMMINGBOT_API_USERNAME and HUMMINGBOT_API_PASSWORD.",
            system=SYSTEM,
        )
    if status == 429:
        raise RateLimited(
            "Hummingbot's API asks for fewer calls.", system=SYSTEM, retry_after_s=_retry_after_s(response)
        )
    if 300 <= status < 400:
        # A redirect was answered by something in front of the API: nothing was carried out.
        raise Unavailable("Hummingbot's API answered with a redirect: check HUMMINGBOT_API_URL.", system=SYSTEM)
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        if 400 <= status < 500:
            raise Rejected(f"Hummingbot's API refused the request (HTTP {status}).", system=SYSTEM)
        raise lost(call, f"answered HTTP {status} with something that is not JSON")
    try:
        body = json.loads(raw.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise lost(call, f"answered HTTP {status} with JSON that cannot be read") from None
    return Answer(status=status, body=body)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _retry_after_s(response: requests.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if re.fullmatch(r"\d{1,5}", value) else None
