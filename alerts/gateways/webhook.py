"""A signed POST of JSON to somebody's own address. ``docs/webhook/verify_webhook.py`` is the other side of it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from alerts.gateways.message import Message, within
from ground.errors import BadCredentials, RateLimited, Rejected, Unavailable, UnknownOutcome
from ground.http import exact_json

SYSTEM = "webhook"
TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0


def sign(*, timestamp: str, delivery_id: str, body: bytes, signing_key: str) -> str:
    """The value of ``Bridge-Signature``: HMAC-SHA256 in hex over ``<timestamp>.<delivery id>.<body>``."""
    signed = f"{timestamp}.{delivery_id}.".encode() + body
    return "v1=" + hmac.new(signing_key.encode(), signed, hashlib.sha256).hexdigest()


class WebhookGateway:
    """One address. Redirects are not followed and nothing of the answer's body is read: the status says enough.

    ``clock`` gives the time that is signed: the moment of sending, also when it is sent again.
    """

    def __init__(
        self, address: str, signing_key: str, *, clock: Callable[[], datetime], timeout_s: float = TIMEOUT_S
    ) -> None:
        self._address = address
        self._signing_key = signing_key
        self._clock = clock
        self._timeout_s = timeout_s

    def send(self, message: Message) -> str:
        body = exact_json(message.payload).encode()
        headers = self._headers(message, body)
        status, retry_after_s = within(self._timeout_s, lambda: self._post(body, headers), system=SYSTEM)
        if not 200 <= status < 300:
            _raise_for_status(status, retry_after_s)
        return ""

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        timestamp, delivery_id = str(int(self._clock().timestamp())), str(message.delivery_id)
        return {
            "Content-Type": "application/json",
            "User-Agent": "Trading-Bridge",
            "Connection": "close",
            "Bridge-Timestamp": timestamp,
            "Bridge-Delivery": delivery_id,
            "Bridge-Signature": sign(
                timestamp=timestamp, delivery_id=delivery_id, body=body, signing_key=self._signing_key
            ),
        }

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, float | None]:
        with requests.Session() as session:
            session.trust_env = False  # no .netrc and no proxy from the environment
            try:
                with session.post(
                    self._address,
                    data=body,
                    headers=headers,
                    timeout=(min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    return response.status_code, _retry_after_s(response)
            except (requests.RequestException, HTTPError, ValueError) as error:
                _raise_for_exception(error)


def _retry_after_s(response: requests.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if re.fullmatch(r"\d{1,5}", value) else None


def _raise_for_status(status: int, retry_after_s: float | None) -> NoReturn:
    said = f"The webhook answered HTTP {status}"
    if status == 429:
        raise RateLimited(f"{said}: it asks for fewer messages.", system=SYSTEM, retry_after_s=retry_after_s)
    if status in (401, 403):
        raise BadCredentials(f"{said}: it refused us.", system=SYSTEM)
    if 300 <= status < 400:
        raise Rejected(f"{said}, a redirect, which is not followed: give the channel the final address.", system=SYSTEM)
    if status >= 500:
        raise Unavailable(f"{said}.", system=SYSTEM, retry_after_s=retry_after_s)
    raise Rejected(f"{said}.", system=SYSTEM)


def _raise_for_exception(error: Exception) -> NoReturn:
    """``from None`` everywhere: these errors hold the address."""
    if isinstance(error, requests.exceptions.SSLError):
        raise Unavailable("The webhook's certificate cannot be trusted.", system=SYSTEM) from None
    if _was_never_sent(error):
        raise Unavailable("Nothing accepts connections at the webhook's address.", system=SYSTEM) from None
    if isinstance(error, requests.Timeout):
        raise UnknownOutcome(
            "The webhook did not answer in time; it may have taken the message.", system=SYSTEM
        ) from None
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        raise UnknownOutcome(
            "The webhook closed the connection without an answer; it may have taken the message.", system=SYSTEM
        ) from None
    raise Rejected("The webhook's address cannot be used.", system=SYSTEM) from None


def _was_never_sent(error: Exception) -> bool:
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError | ConnectTimeoutError)
