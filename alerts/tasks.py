"""What beat and the workers run for alerts. Rows say what is due; a task that is lost or comes twice changes nothing."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from alerts.gateways.connect import open_channel
from alerts.services import send_deliveries
from alerts.services.test_channel import SEND_NOW


@shared_task(name="alerts.send")
def send() -> None:
    """Send what is due."""
    send_deliveries.send_due(open_channel=open_channel, clock=timezone.now)


@shared_task(name=SEND_NOW)
def send_now(delivery_id: str) -> None:
    """Send the message that somebody waits for."""
    send_deliveries.send_one(delivery_id=UUID(delivery_id), open_channel=open_channel, clock=timezone.now)
