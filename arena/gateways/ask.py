"""Asking a language model. Nothing here is imported by processes that ask none: the library behind it is large."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings

from arena.rules.provider_addresses import PUBLISHED, check_base_url
from arena.types_models import Heard, ModelAnswer, ModelRequest, ProviderAccess
from ground.errors import GatewayError, RateLimited, Rejected, Unavailable
from ground.scope import assert_no_transaction

if TYPE_CHECKING:
    from arena.gateways.wire import Exchange

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
_LEAST_S = 0.2


def ask(
    provider: ProviderAccess,
    request: ModelRequest,
    *,
    timeout_s: float,
    keep: Callable[[Heard], None] = lambda heard: None,
) -> ModelAnswer:
    """What the model says. ``timeout_s`` is for everything: all attempts and the waits between them.

    ``keep`` is called once with what was heard, before anything reads it. Nothing is raised for a provider's failures:
    the answer then bears the error, and all that was heard beside it, which is to be stored in any case.
    """
    heard = hear(provider, request, timeout_s=timeout_s)
    keep(heard)
    return read_answer(provider, request, heard)


def hear(provider: ProviderAccess, request: ModelRequest, *, timeout_s: float) -> Heard:
    """Ask, and again where it is safe and there is time; what came back, unread."""
    assert_no_transaction()
    from arena.gateways.refusals import is_transient

    base_url, error = _prepared(provider)
    if error is not None:
        return Heard(error=error)
    began, attempts = time.monotonic(), 0
    deadline = began + timeout_s
    while True:
        attempts += 1
        heard, exchange = _attempt(provider, base_url, request, deadline=deadline)
        error = heard.error
        if error is None or exchange is None or attempts >= provider.max_attempts or not is_transient(error, exchange):
            break
        wait_s = _wait_s(error, attempts)
        if wait_s is None or time.monotonic() + wait_s + _LEAST_S >= deadline:
            break
        time.sleep(wait_s)
    return replace(heard, attempts=attempts, duration_ms=round((time.monotonic() - began) * 1000))


def read_answer(provider: ProviderAccess, request: ModelRequest, heard: Heard) -> ModelAnswer:
    """The same answer each time for the same words, without asking anybody: also of a reply that was stored long ago."""
    if heard.reply is None:
        return ModelAnswer(heard, error=heard.error)
    from arena.gateways import library, refusals, usage

    raw = heard.reply.encode()
    body = refusals.json_object(raw)
    counted = usage.counted(provider.kind, body) if heard.status and 200 <= heard.status < 300 else usage.NOTHING
    known = ModelAnswer(
        heard, model=counted.model, input_tokens=counted.input_tokens, output_tokens=counted.output_tokens
    )
    if heard.error is not None:
        return replace(known, error=heard.error)
    if not body:
        return replace(known, error=refusals.unreadable(provider))
    try:
        response = library.read(provider, _base_url(provider), request, raw)
        text, calls = library.text_of(response), library.calls_of(response)
        said, finish = library.said_of(response), library.finish_of(response)
    except Exception:  # noqa: BLE001 - a foreign library over foreign words: whatever it stumbles over, they are unreadable
        return usage.refusal_of(known, body) or replace(known, error=refusals.unreadable(provider))
    return replace(known, text=text, tool_calls=calls, said=said, finish=finish)


def _prepared(provider: ProviderAccess) -> tuple[str, GatewayError | None]:
    """The address, with the provider's client loaded; or why that cannot be."""
    from arena.gateways import library

    try:
        base_url = check_base_url(_base_url(provider), is_trusted=_is_trusted(provider))
    except ValueError as error:
        return "", Rejected(str(error), system=str(provider.kind))
    try:
        library.prepare(provider, base_url)
    except Exception as error:  # noqa: BLE001 - its errors are of any kind and may repeat what they were given
        return "", _unwritten(provider, error)
    return base_url, None


def _attempt(
    provider: ProviderAccess, base_url: str, request: ModelRequest, *, deadline: float
) -> tuple[Heard, Exchange | None]:
    """What was heard, and the exchange where trying again may help."""
    from arena.gateways import library, refusals, wire

    try:
        remaining_s = deadline - time.monotonic()
        addresses = wire.resolve(base_url, is_trusted=_is_trusted(provider), timeout_s=remaining_s)
    except wire.NoAddress as nowhere:
        return Heard(error=_nowhere(provider, nowhere.is_private)), None if nowhere.is_private else wire.Exchange()
    exchange = wire.Exchange(deadline=deadline, addresses=addresses, has_key=bool(provider.api_key))
    try:
        library.send(provider, base_url, request, exchange)
    except Exception as error:  # noqa: BLE001 - its errors are of any kind and may repeat the request
        if exchange.is_sent:  # something interrupted us after that, and not the library before it
            return _heard(provider, exchange, refusals.error_of(provider, exchange, now=datetime.now(UTC))), None
        return Heard(error=_unwritten(provider, error)), None
    return _heard(provider, exchange, refusals.error_of(provider, exchange, now=datetime.now(UTC))), exchange


def _unwritten(provider: ProviderAccess, error: Exception) -> GatewayError:
    """Only the kind of the library's error is told: its words may hold the prompt or the key."""
    words = f"A request to {provider.name} could not be written ({type(error).__name__})."
    return Rejected(words, system=str(provider.kind))


def _heard(provider: ProviderAccess, exchange: Exchange, error: GatewayError | None) -> Heard:
    from arena.gateways.refusals import blacked_out

    text = exchange.body.decode("utf-8", "replace").replace("\x00", "\ufffd")
    return Heard(
        reply=None if exchange.status is None else blacked_out(provider, text),
        status=exchange.status,
        may_have_cost=exchange.is_sent and (exchange.status is None or 200 <= exchange.status < 300),
        error=error,
    )


def _wait_s(error: GatewayError, attempts: int) -> float | None:
    """What the provider asks for, else twice as long each time; None where it asks for more than anybody waits."""
    if error.retry_after_s is None:
        return min(FIRST_WAIT_S * 2.0 ** (attempts - 1), LONGEST_WAIT_S)
    asked_s = max(error.retry_after_s, FIRST_WAIT_S)
    return asked_s if isinstance(error, RateLimited | Unavailable) and asked_s <= LONGEST_WAIT_S else None


def _nowhere(provider: ProviderAccess, is_private: bool) -> GatewayError:
    if is_private:
        words = f"The address of {provider.name} leads into a private network, which only an operator's provider may."
        return Rejected(words, system=str(provider.kind))
    return Unavailable(f"The host of {provider.name} has no address now.", system=str(provider.kind))


def _configured() -> Mapping[str, str]:
    stands_for: Mapping[str, str] = getattr(settings, "MODEL_BASE_URLS", {})
    return stands_for


def _base_url(provider: ProviderAccess) -> str:
    """Its own, else the one that the installation names for its kind, else the published one."""
    return provider.base_url or _configured().get(str(provider.kind), "") or PUBLISHED.get(provider.kind, "")


def _is_trusted(provider: ProviderAccess) -> bool:
    """The installation's own addresses are its operator's."""
    return provider.is_trusted or (not provider.base_url and str(provider.kind) in _configured())


def published(kind: Any) -> str:
    """The address that is asked where a provider names none."""
    return PUBLISHED.get(kind, "")
