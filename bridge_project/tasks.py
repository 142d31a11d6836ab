"""Tasks that belong to no single app."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import before_task_publish
from django.utils import timezone

from alerts.services.forget import forget_alerts
from bridge_project.pulse import beat_pulse
from bridge_project.use_cases.delete import finish_deletions
from bridge_project.use_cases.last_trades import read_last_trades
from bridge_project.use_cases.preflight import keep_preflight, preflight
from clients.idempotency import forget_old_answers
from exchanges.gateways.configured import configured_gateways
from ground.scope import system_scope
from health.services.forget_heartbeats import forget_heartbeats
from health.services.thin_checks import thin_checks

PULSE = "bridge_project.pulse"


@shared_task(name=PULSE)
def pulse() -> None:
    """Run by a worker every two seconds: that it ran is the sign of life."""
    beat_pulse("worker")


@before_task_publish.connect(sender=PULSE)
def _beat_lives(**_: Any) -> None:
    beat_pulse("beat")


@shared_task(name="bridge_project.finish_deletions")
def finish_deletions_task() -> None:
    finish_deletions(scope=system_scope("deletion"), now=timezone.now())


@shared_task(name="bridge_project.read_last_trades")
def read_last_trades_task() -> int:
    """Have what strategies traded just before they stopped read; of how many."""
    return read_last_trades(scope=system_scope("strategies"), now=timezone.now())


@shared_task(name="bridge_project.thin_records")
def thin_records() -> None:
    forget_old_answers(scope=system_scope("thinning"))
    thin_checks(scope=system_scope("thinning"), now=timezone.now())
    forget_alerts(scope=system_scope("thinning"), now=timezone.now())
    forget_heartbeats(scope=system_scope("thinning"), now=timezone.now())


@shared_task(name="bridge_project.preflight.now", soft_time_limit=110)
def preflight_task() -> None:
    """What a redeploy would mean, for the page where somebody asked."""
    keep_preflight(preflight(scope=system_scope("preflight"), gateways=configured_gateways(), now=timezone.now()))
