"""One HTTP exchange with a provider, underneath the provider's own client: bounded, never redirected, all of it kept.

The client builds the request and later reads the answer; this sends it. What is heard is kept here before the client, or
anybody, reads it, and what became of the exchange is told by what happened on the wire, not by a library's errors.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx2

from arena.rules.provider_addresses import is_public

CONNECT_TIMEOUT_S = 5.0
RESOLVE_TIMEOUT_S = 5.0
MAX_REPLY_BYTES = 2 * 1024 * 1024
MOST_ADDRESSES = 3
# What leaves with a request; whatever else the clients send tells of our machine, or comes from its environment.
_HEADERS = {
    "accept",
    "content-type",
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "anthropic-version",
    "anthropic-beta",
}

# They print requests, and at their finest level keys.
for _name in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "anthropic", "google_genai"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Captured(BaseException):
    """The exchange is over and kept; it flies through the provider's client, which must not repeat or read anything."""


@dataclass
class Exchange:
    """One request and what was heard. With ``stored`` set nothing is sent: that answer is given to the client to read."""

    deadline: float = 0.0  # of time.monotonic
    addresses: tuple[str, ...] = ()
    has_key: bool = True
    stored: bytes | None = None
    is_sent: bool = False  # bytes of the request left
    is_timed_out: bool = False
    is_cut: bool = False  # the answer began and did not end
    is_too_large: bool = False
    is_untrusted: bool = False  # the certificate cannot be trusted
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    def remaining_s(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


class NoAddress(Exception):
    """The host has no address, or none that may be asked. ``is_private`` tells which."""

    def __init__(self, *, is_private: bool) -> None:
        super().__init__("private" if is_private else "unknown")
        self.is_private = is_private


current: ContextVar[Exchange] = ContextVar("arena_model_exchange")


class Relay(httpx2.AsyncBaseTransport):
    """Serves the exchange that is open in this context; holds no connection, so any thread and loop may use it."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = current.get()
        if exchange.stored is not None:
            return httpx2.Response(
                200, headers={"content-type": "application/json"}, content=exchange.stored, request=request
            )
        if not exchange.is_sent and exchange.status is None:  # a client that tries again gets nothing new
            await _send(exchange, request)
        raise Captured


def resolve(base_url: str, *, is_trusted: bool, timeout_s: float) -> tuple[str, ...]:
    """The IP addresses of the host, which are then the ones connected to. Raises NoAddress.

    Asking the system cannot be interrupted, so it happens in a thread that is left behind when it takes too long.
    """
    parts = urlsplit(base_url)
    found: list[str] = []

    def look_up() -> None:
        try:
            rows = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except OSError:
            return
        found.extend(dict.fromkeys(str(row[4][0]) for row in rows))

    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(min(RESOLVE_TIMEOUT_S, timeout_s))
    addresses = tuple(found)
    if not addresses:
        raise NoAddress(is_private=False)
    if not is_trusted and not all(is_public(address) for address in addresses):
        raise NoAddress(is_private=True)
    return addresses[:MOST_ADDRESSES]


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Loading them takes longer than all the rest of a call."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def _send(exchange: Exchange, request: httpx2.Request) -> None:
    """The first address that takes the connection gets the request; it is sent once."""
    for address in exchange.addresses:
        try:
            async with asyncio.timeout(exchange.remaining_s()):
                await _send_to(address, exchange, request)
        except TimeoutError:
            exchange.is_timed_out = True
        except (httpx2.HTTPError, OSError) as error:
            exchange.is_timed_out = isinstance(error, httpx2.TimeoutException)
            exchange.is_untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        if exchange.is_sent or exchange.status is not None or exchange.remaining_s() <= 0:
            break
    exchange.is_cut = exchange.is_cut or (exchange.status is not None and not exchange.headers.get(":whole"))


async def _send_to(address: str, exchange: Exchange, request: httpx2.Request) -> None:
    async with httpx2.AsyncHTTPTransport(verify=_certificates(), retries=0) as transport:
        response = await transport.handle_async_request(_addressed(address, exchange, request))
        try:
            exchange.status = response.status_code
            exchange.headers = {name.lower(): value for name, value in response.headers.items()}
            await _read(exchange, response.aiter_raw())
        finally:
            await response.aclose()


def _addressed(address: str, exchange: Exchange, request: httpx2.Request) -> httpx2.Request:
    """The same request to this very address, under the name that the certificate must bear, with our headers only."""

    async def note(event: str, info: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            exchange.is_sent = True

    headers = [(name, value) for name, value in request.headers.items() if name.lower() in _HEADERS]
    if not exchange.has_key:
        headers = [(name, value) for name, value in headers if name.lower() != "authorization"]
    remaining = exchange.remaining_s()
    timeout = {"connect": min(CONNECT_TIMEOUT_S, remaining), "read": remaining, "write": remaining, "pool": remaining}
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=[
            ("Host", request.headers["Host"]),
            *headers,
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            ("User-Agent", "Trading-Bridge"),
        ],
        content=request.content,
        extensions={"timeout": timeout, "sni_hostname": request.url.host, "trace": note},
    )


async def _read(exchange: Exchange, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        exchange.body += chunk[: MAX_REPLY_BYTES + 1 - len(exchange.body)]
        if len(exchange.body) > MAX_REPLY_BYTES:
            del exchange.body[MAX_REPLY_BYTES:]
            exchange.is_too_large = True
            return
    exchange.headers[":whole"] = "1"
