"""What workers do for strategies. Each task only looks for what has to be done and is safe to run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone


@shared_task(name="strategies.follow_bots")
def follow_bots() -> int:
    """Bring the strategies' rows up to what their bots do; how many changed."""
    from strategies.services.follow_bots import follow_bots as follow

    return follow(now=timezone.now())


@shared_task(name="strategies.settle_history")
def settle_history() -> int:
    """Correct the figures of runs that ended lately by trades that came late; how many changed."""
    from strategies.services.close_strategies import settle_history as settle

    return settle(now=timezone.now())
