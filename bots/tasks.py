"""What workers do for bots. Each task only looks for due rows and is safe to run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from bots.gateways.connect import configured_gateway
from ground.errors import GatewayError
from ground.scope import system_scope


@shared_task(name="bots.poll_hummingbot")
def poll_hummingbot() -> bool:
    """Look at Hummingbot if that is due; whether it was."""
    from bots.services.poll_hummingbot import poll_hummingbot as poll

    gateway = configured_gateway(timeout_s=10)
    return poll(gateway=gateway) if gateway else False


@shared_task(name="bots.reconcile_bots")
def reconcile_bots() -> int:
    """Deploy again what failed and is wanted running, and work on the deployments that are due; on how many."""
    from bots.services.find_connector import link_connectors
    from bots.services.keep_running import keep_bots_running
    from bots.services.reconcile_bots import reconcile_due
    from bots.services.sync_credentials import erase_retired_credentials

    link_connectors(scope=system_scope("connectors"))
    gateway = configured_gateway(timeout_s=30)
    if gateway is None:
        return 0
    keep_bots_running(now=timezone.now())
    worked = reconcile_due(gateway=gateway)
    erase_retired_credentials(gateway=gateway)
    return worked


@shared_task(name="bots.look_for_drift")
def look_for_drift() -> int:
    """Compare running bots that are due with what Hummingbot holds, and statuses with wishes; how many were looked at."""
    from bots.services.look_for_drift import look_for_drift as look
    from bots.services.sweep_status_drift import sweep_status_drift

    sweep_status_drift(now=timezone.now())
    gateway = configured_gateway(timeout_s=10)
    return look(gateway=gateway) if gateway else 0


@shared_task(name="bots.take_surveys")
def take_surveys() -> int:
    """Look at all that Hummingbot knows where an operator asked for it; how many looks were taken."""
    from bots.services.recovery_surveys import take_surveys as take

    return take(gateway=configured_gateway(timeout_s=30), now=timezone.now())


@shared_task(name="bots.note_unmanaged")
def note_unmanaged() -> int:
    """Keep the list of what is up in Hummingbot and belongs to no definition; how many there are, 0 while it is away."""
    from bots.services.note_unmanaged import note_unmanaged as note

    gateway = configured_gateway(timeout_s=10)
    try:
        return note(gateway=gateway, now=timezone.now()) if gateway else 0
    except GatewayError:
        return 0  # the poller tells that it is away
