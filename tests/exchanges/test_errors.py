from __future__ import annotations

import ccxt
import pytest
import requests

from exchanges.gateways.errors import Heard, UnknownMarket, WrongClock, translate
from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable

# Every class of the installed ccxt, by what a person would do about it.
EXPECTED: dict[type[GatewayError], set[str]] = {
    BadCredentials: {"AuthenticationError", "PermissionDenied", "AccountNotEnabled", "AccountSuspended"},
    RateLimited: {"RateLimitExceeded", "DDoSProtection"},
    Unavailable: {
        "BaseError",
        "OperationFailed",
        "NetworkError",
        "ExchangeNotAvailable",
        "OnMaintenance",
        "RequestTimeout",
        "ChecksumError",
        "BadResponse",
        "NullResponse",
        "CancelPending",
        "UnsubscribeError",
        "ExchangeClosedByUser",
    },
    UnknownMarket: {"BadSymbol"},
    Rejected: {
        "ExchangeError",
        "ArgumentsRequired",
        "BadRequest",
        "OperationRejected",
        "NoChange",
        "MarginModeAlreadySet",
        "MarketClosed",
        "ManualInteractionNeeded",
        "RestrictedLocation",
        "InsufficientFunds",
        "InvalidAddress",
        "AddressPending",
        "InvalidOrder",
        "OrderNotFound",
        "OrderNotCached",
        "OrderImmediatelyFillable",
        "OrderNotFillable",
        "DuplicateOrderId",
        "ContractUnavailable",
        "NotSupported",
        "InvalidProxySettings",
    },
}
# its own kind, because asking for the exchange's time heals it
EXPECTED[WrongClock] = {"InvalidNonce"}
KIND_OF = {name: kind for kind, names in EXPECTED.items() for name in names}


def _walk(kind: type[Exception]) -> list[type[Exception]]:
    found = [sub for child in kind.__subclasses__() for sub in _walk(child)]
    return [kind, *(sub for sub in found if sub.__module__.startswith("ccxt"))]


CLASSES = {kind.__name__: kind for kind in _walk(ccxt.BaseError)}
SECRET = "https://api.example.com/private?apiKey=LEAK&signature=LEAK"


def _translate(error: BaseException, heard: Heard | None = None) -> GatewayError:
    return translate(error, heard or Heard(200, True, can_refuse=True), exchange="kucoin", title="KuCoin")


def test_the_table_has_every_class_of_ccxt() -> None:
    assert set(KIND_OF) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_class_of_ccxt_becomes_what_a_person_can_act_on(name: str) -> None:
    error = _translate(CLASSES[name](SECRET))
    assert type(error) is KIND_OF[name]
    assert error.system == "kucoin"
    assert error.message.endswith(f"({name}).")
    assert "LEAK" not in error.message and "http" not in error.message
    assert "KuCoin" in error.message


def test_a_wrong_clock_is_said_to_be_one() -> None:
    assert "clock" in _translate(ccxt.InvalidNonce("x")).message


@pytest.mark.parametrize(
    ("heard", "raised", "kind"),
    [
        (Heard(429, True, can_refuse=True), ccxt.ExchangeError, RateLimited),
        (Heard(418, False), ccxt.ExchangeNotAvailable, RateLimited),
        (Heard(500, True, can_refuse=True), ccxt.ExchangeError, Unavailable),
        (Heard(503, False, is_html=True), ccxt.ExchangeNotAvailable, Unavailable),
        (Heard(500, True, can_refuse=True), ccxt.AuthenticationError, BadCredentials),  # the exchange's own code
        (Heard(401, True, can_refuse=True), ccxt.ExchangeError, BadCredentials),
        (Heard(401, False, is_html=True, is_guessed=True), ccxt.AuthenticationError, Unavailable),
        (Heard(401, False, is_guessed=True), ccxt.AuthenticationError, BadCredentials),
        (Heard(403, True, is_guessed=True, can_refuse=True), ccxt.ExchangeNotAvailable, BadCredentials),
        (Heard(403, False, is_html=True, is_guessed=True), ccxt.ExchangeNotAvailable, Unavailable),
        (Heard(400, True, is_guessed=True, can_refuse=True), ccxt.ExchangeNotAvailable, Rejected),
        (Heard(404, True, is_guessed=True, can_refuse=True), ccxt.ExchangeNotAvailable, Unavailable),
        (Heard(200, True, can_refuse=False), ccxt.ExchangeError, Unavailable),  # [] or {} is no refusal
        (Heard(200, False, is_html=True), ccxt.BadResponse, Unavailable),
    ],
)
def test_the_status_corrects_what_ccxt_only_guessed(
    heard: Heard, raised: type[Exception], kind: type[GatewayError]
) -> None:
    assert type(_translate(raised(SECRET), heard)) is kind


@pytest.mark.parametrize("cause", [requests.exceptions.SSLError(), requests.TooManyRedirects(), requests.Timeout()])
def test_a_connection_that_failed_is_no_refusal(cause: Exception) -> None:
    error = ccxt.ExchangeError(SECRET)
    error.__cause__ = cause
    assert type(_translate(error, Heard())) is Unavailable


@pytest.mark.parametrize("stumble", [TypeError("x"), KeyError("y"), RecursionError()])
def test_a_parser_that_stumbles_makes_the_answer_unreadable(stumble: Exception) -> None:
    assert type(_translate(stumble)) is Unavailable


def test_the_time_to_wait_is_passed_on() -> None:
    assert _translate(ccxt.RateLimitExceeded("x"), Heard(429, retry_after_s=7.0)).retry_after_s == 7.0
