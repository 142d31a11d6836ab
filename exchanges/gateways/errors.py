"""What can go wrong at an exchange, in our own words.

ccxt's own texts are never passed on: they can hold a signed address. What a person reads is our sentence with the
exchange's name and the class of ccxt's error.
"""

from __future__ import annotations

from dataclasses import dataclass

import requests

from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable


class NotCarried(Rejected):
    """ccxt cannot talk to this exchange, or not to this kind of market: by design, no matter how often we ask."""

    code = "exchange_not_carried"


class CannotReadTrades(Rejected):
    """The exchange is carried, yet an account's own trades cannot be read there: by design, too."""

    code = "cannot_read_trades"


class UnknownMarket(Rejected):
    """The exchange has no such market."""

    code = "unknown_market"


class NoTurn(RateLimited):
    """Nothing was sent: this server's own share of what the exchange takes is used up for so long. It asked for nothing."""

    code = "no_turn"


class MissingCredentials(BadCredentials):
    """A value the exchange asks for is not there, so nothing was sent."""

    code = "credentials_incomplete"


class WrongClock(Unavailable):
    """The exchange refused the time of the request: its clock and ours differ. Nothing was done."""

    code = "exchange_clock_differs"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the wire saw of the last answer: its status (None: there was none) and whether it could be read."""

    status: int | None = None
    is_readable: bool = False
    is_html: bool = False
    is_guessed: bool = False  # ccxt went by the status alone
    can_refuse: bool = False  # an object with a code or a message: what a refusal looks like
    retry_after_s: float | None = None


_SERVER_ERROR = 500
_TOO_MANY = frozenset({418, 429})
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403

# By the name of ccxt's class, the nearest ancestor that is named here decides. A test walks all of ccxt's classes.
_KINDS: dict[str, tuple[type[GatewayError], str]] = {
    "AuthenticationError": (BadCredentials, "{title} refused the API key"),
    "CannotSign": (BadCredentials, "The API key or its secret does not have the form that {title} gives them"),
    "PermissionDenied": (
        BadCredentials,
        "{title} refused: the API key lacks a permission or this address is not on its list",
    ),
    "AccountNotEnabled": (BadCredentials, "{title} says that the account is not enabled for this"),
    "AccountSuspended": (BadCredentials, "{title} says that the account is suspended"),
    "BadSymbol": (UnknownMarket, "{title} does not know this market"),
    "NotSupported": (Rejected, "ccxt has no such call for {title}"),
    "RestrictedLocation": (Rejected, "{title} does not serve the place this server is in"),
    "ExchangeError": (Rejected, "{title} refused the request"),
    "RateLimitExceeded": (RateLimited, "{title} asks for fewer requests"),
    "DDoSProtection": (RateLimited, "{title} asks for fewer requests"),
    "RequestTimeout": (Unavailable, "{title} did not answer in time"),
    "OnMaintenance": (Unavailable, "{title} is closed for maintenance"),
    "InvalidNonce": (
        WrongClock,
        "{title} refused the time of the request: the clock of this server and the exchange's differ",
    ),
    "ChecksumError": (Unavailable, "{title} sent an answer that could not be read"),
    "BadResponse": (Unavailable, "{title} sent an answer that could not be read"),
    "NetworkError": (Unavailable, "{title} could not be reached"),
    "ExchangeNotAvailable": (Unavailable, "{title} is not available at the moment"),
    "ExchangeClosedByUser": (Unavailable, "The connection to {title} was closed"),
    "OperationFailed": (Unavailable, "{title} failed to carry out the request"),
    "BaseError": (Unavailable, "{title} gave no usable answer"),
}


def translate(error: BaseException, heard: Heard, *, exchange: str, title: str) -> GatewayError:
    """Gives the error to raise for what ccxt raised (or stumbled over) and the answer that was heard."""
    kind, sentence = _judge(error, heard)
    text = f"{sentence.format(title=title)} ({type(error).__name__})."
    return kind(text, system=exchange, retry_after_s=heard.retry_after_s)


def unreadable(exchange: str, title: str, why: str) -> Unavailable:
    """The error for an answer that came and cannot be believed; ``why`` is a few words of our own."""
    return Unavailable(f"{title} sent an answer that could not be read ({why}).", system=exchange)


def _judge(error: BaseException, heard: Heard) -> tuple[type[GatewayError], str]:
    if heard.status in _TOO_MANY:
        return _KINDS["RateLimitExceeded"]
    cause = error.__cause__
    if isinstance(cause, requests.RequestException) and not isinstance(cause, requests.HTTPError):
        return _KINDS["RequestTimeout" if isinstance(cause, requests.Timeout) else "NetworkError"]
    named = next((_KINDS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _KINDS), None)
    if named is None:  # ccxt stumbled over the shape of the answer
        return _KINDS["BadResponse"]
    return _corrected(*named, heard=heard)


def _corrected(kind: type[GatewayError], sentence: str, *, heard: Heard) -> tuple[type[GatewayError], str]:
    """What the status says where ccxt knew no code of the exchange's and only guessed."""
    status = heard.status or 0
    if heard.is_html:
        return Unavailable, "{title} answered with a web page instead of data"
    is_guess = heard.is_guessed or issubclass(kind, Rejected)
    if status >= _SERVER_ERROR and is_guess:
        return Unavailable, f"{{title}} failed with status {status}"
    if status == _UNAUTHORIZED and is_guess:
        return _KINDS["AuthenticationError"]
    if status == _FORBIDDEN and is_guess and heard.is_readable:
        return _KINDS["PermissionDenied"]
    if status == _BAD_REQUEST and heard.is_guessed and heard.is_readable:
        return _KINDS["ExchangeError"]
    if issubclass(kind, Rejected) and status and not heard.can_refuse:
        return _KINDS["BadResponse"]
    return kind, sentence
