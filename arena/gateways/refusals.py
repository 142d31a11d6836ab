"""What a provider's answers mean, in the house's five errors. Their sentences hold no key, no address and no header."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from arena.gateways.wire import Exchange
from arena.types_models import ProviderAccess
from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable, UnknownOutcome

_WORDS = 200
_NO_MONEY = re.compile(
    r"insufficient_quota|billing|credit balance|credits? (?:are|is) depleted|prepayment", re.IGNORECASE
)
_BAD_KEY = re.compile(r"API_KEY_INVALID|api key not valid|invalid_api_key|authentication_error", re.IGNORECASE)
_DURATION = re.compile(r"(\d{1,6}(?:\.\d+)?)s")
_KEYLIKE = re.compile(r"\b(?:sk|pk|xai|gsk|AIza|key)[-_A-Za-z0-9*]{8,}", re.IGNORECASE)


def error_of(provider: ProviderAccess, exchange: Exchange, *, now: datetime) -> GatewayError | None:
    """What an exchange that did not bring a whole 2xx answer means; None for one that did."""
    if exchange.status is None:
        return _unanswered(provider, exchange)
    if 200 <= exchange.status < 300:
        return _unreadable(provider, exchange)
    return _refused(provider, exchange, now=now)


def is_transient(error: GatewayError, exchange: Exchange) -> bool:
    """Whether the same may be asked again: nothing was sent, or the provider said that it did not do it.

    A lost or broken answer may have been paid for, so it is never asked for twice.
    """
    if isinstance(error, RateLimited):
        return True
    is_answered_badly = exchange.status is not None and (exchange.status >= 500 or exchange.status == 408)
    return isinstance(error, Unavailable) and (is_answered_badly or not exchange.is_sent) and not exchange.is_untrusted


def unreadable(provider: ProviderAccess) -> Unavailable:
    return Unavailable(f"{provider.name} answered with something that cannot be read.", system=system(provider))


def system(provider: ProviderAccess) -> str:
    return str(provider.kind)


def blacked_out(provider: ProviderAccess, text: str) -> str:
    """The text without the provider's key, should anybody repeat it."""
    return text.replace(provider.api_key, "…") if len(provider.api_key) >= 6 else text


def _unanswered(provider: ProviderAccess, exchange: Exchange) -> GatewayError:
    name, where = provider.name, system(provider)
    if exchange.is_untrusted:
        return Unavailable(f"The certificate of {name} cannot be trusted.", system=where)
    if not exchange.is_sent:
        why = "did not take the connection in time" if exchange.is_timed_out else "cannot be reached"
        return Unavailable(f"{name} {why}.", system=where)
    if exchange.is_timed_out:
        return UnknownOutcome(f"{name} did not answer in time; it may have been paid for.", system=where)
    return UnknownOutcome(f"{name} broke off without an answer; it may have been paid for.", system=where)


def _unreadable(provider: ProviderAccess, exchange: Exchange) -> GatewayError | None:
    name, where = provider.name, system(provider)
    if exchange.is_too_large:
        return Unavailable(f"{name} sent an answer that is too large to be read.", system=where)
    if exchange.is_cut:
        why = "took too long to send its answer" if exchange.is_timed_out else "broke off in the middle of its answer"
        return UnknownOutcome(f"{name} {why}; it may have been paid for.", system=where)
    return None if body_of(exchange) else unreadable(provider)


def _refused(provider: ProviderAccess, exchange: Exchange, *, now: datetime) -> GatewayError:
    status, name, where = exchange.status or 0, provider.name, system(provider)
    text = exchange.body.decode("utf-8", "replace")[:20_000]
    if (
        status == 402
        or (status in (400, 403, 429) and _NO_MONEY.search(text) and status != 429)
        or _has_no_money(status, text)
    ):
        return Rejected(f"The account at {name} has no money left (HTTP {status}).", system=where)
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(text)):
        return BadCredentials(f"{name} refused the key (HTTP {status}).", system=where)
    wait_s = retry_after_s(exchange, now=now)
    if status == 429:
        return RateLimited(f"{name} asks for fewer calls (HTTP 429).", system=where, retry_after_s=wait_s)
    if status >= 500 or status == 408:
        return Unavailable(f"{name} failed (HTTP {status}).", system=where, retry_after_s=wait_s)
    if 300 <= status < 400:
        words = "answered with a redirect, which is not followed: give its final address"
        return Rejected(f"{name} {words} (HTTP {status}).", system=where)
    said = _words_of(provider, exchange)
    if status == 404:
        what = f"knows no model {provider.model}, or its address is wrong"
        return Rejected(f"{name} {what} (HTTP 404).", system=where)
    return Rejected(f"{name} refused the request (HTTP {status}){f': {said}' if said else '.'}", system=where)


def _has_no_money(status: int, text: str) -> bool:
    """OpenAI and Google say 429 also for this; waiting does not help."""
    return (
        status == 429 and re.search(r"insufficient_quota|credits? (?:are|is) depleted", text, re.IGNORECASE) is not None
    )


def retry_after_s(exchange: Exchange, *, now: datetime) -> float | None:
    """The wait that the provider asks for: a header in seconds, milliseconds or as a date, or Google's own among the details."""
    value = exchange.headers.get("retry-after", "")
    if re.fullmatch(r"\d{1,6}(\.\d+)?", exchange.headers.get("retry-after-ms", "")):
        return float(exchange.headers["retry-after-ms"]) / 1000
    if re.fullmatch(r"\d{1,6}(\.\d+)?", value):
        return float(value)
    if value:
        try:
            return max(0.0, (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None
    error = body_of(exchange).get("error")
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        match = _DURATION.fullmatch(str(detail.get("retryDelay", ""))) if isinstance(detail, dict) else None
        if match:
            return float(match[1])
    return None


def body_of(exchange: Exchange) -> dict[str, Any]:
    """The answer's JSON object; empty where it is none."""
    return json_object(bytes(exchange.body))


def json_object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _words_of(provider: ProviderAccess, exchange: Exchange) -> str:
    """The provider's own words, on one line and short; none at all where a piece of the key stands in them."""
    error = body_of(exchange).get("error")
    said = error.get("message") if isinstance(error, dict) else error
    if not isinstance(said, str):
        return ""
    key = provider.api_key
    if any(key[start : start + 6] in said for start in range(max(0, len(key) - 5))):
        return ""
    plain = _KEYLIKE.sub("…", re.sub(r"https?://\S+", "(address)", said))
    line = re.sub(r"\s+", " ", "".join(sign if sign.isprintable() else " " for sign in plain)).strip()
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"
