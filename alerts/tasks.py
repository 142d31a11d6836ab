"""What beat and the workers run for alerts. Rows say what is due; a task that is lost or comes twice changes nothing."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from alerts.gateways.connect import open_channel
from alerts.services import send_deliveries
from alerts.services.look_again import look_again
from alerts.services.plan_deliveries import plan_deliveries
from alerts.services.raise_quarantines import raise_quarantines
from alerts.services.test_channel import SEND_NOW
from ground.scope import system_scope

SCOPE = system_scope("alerts")


@shared_task(name="alerts.plan")
def plan() -> None:
    """Make messages of what happened; the next tick of ``send`` would find them too, a nudge is sooner."""
    raise_quarantines(scope=SCOPE, now=timezone.now())
    if plan_deliveries(scope=SCOPE, now=timezone.now()):
        send.apply_async(expires=10)


@shared_task(name="alerts.send")
def send() -> None:
    """Send what is due, and hold what a silence keeps back."""
    send_deliveries.send_due(
        open_channel=open_channel, clock=timezone.now, look_again=lambda now: look_again(scope=SCOPE, now=now)
    )


@shared_task(name=SEND_NOW)
def send_now(delivery_id: str) -> None:
    """Send the message that somebody waits for."""
    send_deliveries.send_one(delivery_id=UUID(delivery_id), open_channel=open_channel, clock=timezone.now)
