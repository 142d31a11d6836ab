"""The test button: a message of kind test, sent the way every message is, and waiting for what comes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from celery import current_app
from kombu.exceptions import OperationalError
from structlog import get_logger

from alerts.models import AlertChannel, AlertDelivery
from alerts.rules.words import DeliveryStatus, MessageKind, Severity
from ground.errors import NotFound, NotReady
from ground.http import iso
from ground.scope import Scope, assert_no_transaction, on_commit

log = get_logger(__name__)

SEND_NOW = "alerts.send.now"
POLL_S = 0.1
NUDGE_LASTS_S = 60
TITLE = "Test message of Trading Bridge"


@dataclass(frozen=True, slots=True)
class TestResult:
    """What came of a test: ``error`` is one sentence, "" when the channel took the message."""

    __test__ = False  # for pytest

    status: DeliveryStatus
    error: str
    sent_at: datetime | None


def send_test(*, scope: Scope, channel_id: UUID, now: datetime) -> UUID:
    """Store a test message and nudge a worker; it goes out also when the channel is switched off, muted or silenced.

    Returns the delivery's id. Raises NotFound.
    """
    with scope.transaction(reason="channel tested"):
        channel = AlertChannel.objects.filter(id=channel_id).first()
        if channel is None:
            raise NotFound("There is no such channel.")
        delivery = AlertDelivery.objects.create(
            channel=channel,
            client_id=channel.client_id,
            kind=MessageKind.TEST,
            severity=Severity.INFO,
            title=TITLE,
            body=f"The channel “{channel.name}” works. Nothing has happened: somebody pressed its test button.",
            payload=_payload(now),
            due_at=now,
        )
        on_commit(lambda: _nudge(delivery.id))
    made: UUID = delivery.id
    return made


def await_delivery(*, scope: Scope, delivery_id: UUID, until_s: float) -> TestResult:
    """What came of it, once something did. Raises NotReady when nothing did by ``until_s`` of the monotonic clock."""
    while True:
        with scope.transaction():
            row = AlertDelivery.objects.filter(id=delivery_id).values_list("status", "error", "sent_at").first()
        if row is None:
            raise NotFound("There is no such message.")
        if row[0] not in (DeliveryStatus.WAITING, DeliveryStatus.SENDING):
            return TestResult(DeliveryStatus(row[0]), row[1], row[2])
        if time.monotonic() >= until_s:
            raise NotReady(
                "No worker has sent the test yet; it goes on, so look at the channel's messages shortly.",
                code="test_pending",
            )
        assert_no_transaction()
        time.sleep(POLL_S)


def _payload(now: datetime) -> dict[str, Any]:
    """The shape of every webhook's body, about nothing."""
    return {
        "version": 1,
        "event": str(MessageKind.TEST),
        "number": 1,
        "severity": str(Severity.INFO),
        "title": TITLE,
        "at": iso(now),
        "incident": None,
        "bots": [],
        "bots_total": 0,
    }


def _nudge(delivery_id: UUID) -> None:
    """Shorten the wait; a nudge that is lost is made up for by the sweep."""
    try:
        current_app.send_task(SEND_NOW, args=[str(delivery_id)], expires=NUDGE_LASTS_S)
    except OperationalError as error:
        log.warning("broker_unreachable", task=SEND_NOW, error=type(error).__name__)
