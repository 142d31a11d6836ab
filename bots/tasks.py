"""What workers do for bots. Each task only looks for due rows and is safe to run twice."""

from __future__ import annotations

from celery import shared_task

from bots.gateways.connect import configured_gateway


@shared_task(name="bots.poll_hummingbot")
def poll_hummingbot() -> bool:
    """Look at Hummingbot if that is due; whether it was."""
    from bots.services.poll_hummingbot import poll_hummingbot as poll

    gateway = configured_gateway(timeout_s=10)
    return poll(gateway=gateway) if gateway else False


@shared_task(name="bots.reconcile_bots")
def reconcile_bots() -> int:
    """Work on the deployments that are due; on how many."""
    from bots.services.reconcile_bots import reconcile_due

    gateway = configured_gateway(timeout_s=30)
    return reconcile_due(gateway=gateway) if gateway else 0
