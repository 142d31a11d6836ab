"""The errors every part of the house raises, and that one table (bridge_project) turns into HTTP answers."""

from __future__ import annotations


class BridgeError(Exception):
    """Something a person can act on. ``message`` is one sentence an operator understands and holds no secret."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fields = fields


class InvalidInput(BridgeError):
    """What was sent is malformed or breaks a rule."""

    code = "invalid"


class Forbidden(BridgeError):
    """The caller is known, and may not do this."""

    code = "forbidden"


class NotFound(BridgeError):
    """No such row within the caller's scope; a row of another tenant is also this."""

    code = "not_found"


class Conflict(BridgeError):
    """The state changed under the caller, or does not allow this now."""

    code = "conflict"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fields: dict[str, list[str]] | None = None,
        candidates: list[str] | None = None,
    ) -> None:
        super().__init__(message, code=code, fields=fields)
        self.candidates = candidates


class NotReady(BridgeError):
    """Something needed cannot be reached now; the same call may succeed later."""

    code = "unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: int = 5) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class TooMany(BridgeError):
    """The caller asks more often than is served."""

    code = "too_many_requests"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: int = 5) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class GatewayError(BridgeError):
    """An outside system (an exchange, Hummingbot) did not do what was asked: a fact to record, never a reason to guess."""

    code = "gateway_error"

    def __init__(self, message: str, *, system: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.system = system
        self.retry_after_s = retry_after_s


class Unavailable(GatewayError):
    """No readable answer: refused connection, time-out, 5xx, HTML, an empty or cut body. Nothing was changed by us."""

    code = "gateway_unavailable"


class RateLimited(GatewayError):
    """The system asks for fewer calls."""

    code = "gateway_rate_limited"


class Rejected(GatewayError):
    """The system understood and said no: unknown market, unknown bot, a value it does not accept."""

    code = "gateway_rejected"


class BadCredentials(GatewayError):
    """The key is wrong, expired, or lacks a permission: a person must act."""

    code = "gateway_bad_credentials"


class UnknownOutcome(GatewayError):
    """A write was sent and no readable answer came back: it may have happened. Ask the system; never send again."""

    code = "gateway_unknown_outcome"
