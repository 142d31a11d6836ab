"""What every kind of channel is given to send, and the time that it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from alerts.rules.words import MessageKind, Severity
from ground.errors import UnknownOutcome
from ground.scope import assert_no_transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``delivery_id`` stays the same when it has to be sent again, so that a receiver can drop a repetition."""

    delivery_id: UUID
    incident_id: UUID | None
    kind: MessageKind
    severity: Severity
    title: str
    body: str
    payload: Mapping[str, Any]


class ChannelGateway(Protocol):
    """One way out. ``send`` returns when the other side has taken the message, with a remark or "".

    It raises Unavailable (nothing was taken), RateLimited, Rejected, BadCredentials, or UnknownOutcome (it may have been
    taken). No error of it names the address, a password or a key.
    """

    def send(self, message: Message) -> str: ...


def within(seconds: float, call: Callable[[], T], *, system: str) -> T:
    """What ``call`` returns or raises; UnknownOutcome when it is not done in time, however slowly the other side drips.

    A time limit of a socket is one for each read, so a side that sends a byte every few seconds never meets it. The call
    therefore runs in a thread of its own, which is left behind.
    """
    assert_no_transaction()
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            failed.append(error)

    thread = threading.Thread(target=run, name=f"send-{system}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if done:
        return done[0]
    raise UnknownOutcome(
        f"The {system} did not answer within {seconds:g} s; it may have taken the message.", system=system
    )
