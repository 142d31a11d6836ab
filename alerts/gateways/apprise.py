"""Telegram, Slack, ntfy and a hundred others, through the library apprise."""

from __future__ import annotations

import logging
import re
import threading
from functools import lru_cache
from typing import Any, NoReturn

from alerts.gateways.message import Message
from alerts.rules.words import MessageKind, Severity
from ground.errors import BadCredentials, RateLimited, Rejected, Unavailable, UnknownOutcome
from ground.scope import assert_no_transaction

SYSTEM = "apprise"
TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
_HTTP_ERROR = re.compile(r"error\s*[=:]\s*(\d{3})\b")
_loading = threading.Lock()

# Its messages name hosts and parts of addresses: they are read here (for the HTTP status) and go nowhere else.
_logger = logging.getLogger("apprise")
_logger.addHandler(logging.NullHandler())
_logger.propagate = False
_logger.setLevel(logging.WARNING)


class AppriseGateway:
    """One apprise URL. apprise itself repeats nothing, follows no redirect, stores nothing and reads no other address."""

    def __init__(self, address: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s

    def send(self, message: Message) -> str:
        assert_no_transaction()
        with _loading:  # its registry of services is read at first use, and not for several threads
            apprise, asset = _library()
            service = _service(apprise, asset, self._address)
        if service is None:
            raise Rejected("apprise does not know this address, or lacks what its service needs.", system=SYSTEM)
        sender = apprise.Apprise(services=service, asset=asset)
        result = sender.notify(
            title=message.title,
            body=message.body or message.title,
            notify_type=_look(apprise, message),
            body_format=apprise.NotifyFormat.TEXT,
            timeout=self._timeout_s,
        )
        if not result:
            _raise_for_result(apprise, result, str(service.service_name))
        return ""


def is_apprise_address(address: str) -> bool:
    """Whether apprise knows the service, and finds all that it needs in the address."""
    with _loading:
        apprise, asset = _library()
        return _service(apprise, asset, address) is not None


@lru_cache(maxsize=1)
def _library() -> tuple[Any, Any]:
    """Imported when the first message needs it: it takes a second and 50 MB."""
    import apprise

    asset = apprise.AppriseAsset(
        app_id="Trading Bridge",
        app_desc="Trading Bridge",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
        allow_templates=False,
        pgp_autogen=False,
        pem_autogen=False,
        interpret_escapes=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=TIMEOUT_S,
    )
    return apprise, asset


def _service(apprise: Any, asset: Any, address: str) -> Any:
    """The service behind an address, or None. What the address says of repeating, redirects and time limits is ours to say:
    a repetition of apprise's would double what we repeat, and "optional" would call a failure a success."""
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is not None:
        service.retry, service.optional, service.redirects = 0, False, False
        service.socket_connect_timeout = min(service.socket_connect_timeout, CONNECT_TIMEOUT_S)
        service.socket_read_timeout = min(service.socket_read_timeout, READ_TIMEOUT_S)
    return service


def _look(apprise: Any, message: Message) -> Any:
    if message.kind == MessageKind.RESOLVED:
        return apprise.NotifyType.SUCCESS
    if message.severity == Severity.CRITICAL:
        return apprise.NotifyType.FAILURE
    return apprise.NotifyType.WARNING if message.severity == Severity.WARNING else apprise.NotifyType.INFO


def _raise_for_result(apprise: Any, result: Any, name: str) -> NoReturn:
    if result.status.name == "TIMEOUT":
        raise UnknownOutcome(f"{name} did not answer in time; it may have taken the message.", system=SYSTEM)
    found = [_HTTP_ERROR.search(entry.message) for entry in result.logs()]
    status = next((int(match[1]) for match in found if match), None)
    if status is None:
        raise Unavailable(f"{name} could not be reached, or did not take the message.", system=SYSTEM)
    said = f"{name} answered HTTP {status}"
    if status == 429:
        raise RateLimited(f"{said}: it asks for fewer messages.", system=SYSTEM)
    if status in (401, 403):
        raise BadCredentials(f"{said}: it refused the key in the channel's address.", system=SYSTEM)
    if status >= 500:
        raise Unavailable(f"{said}.", system=SYSTEM)
    raise Rejected(f"{said}.", system=SYSTEM)
