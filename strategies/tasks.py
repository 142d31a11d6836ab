"""What workers do for strategies. Each task only looks for what has to be done and is safe to run twice."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from exchanges.gateways.configured import configured_gateways


@shared_task(name="strategies.follow_bots")
def follow_bots() -> int:
    """Bring the strategies' rows up to what their bots do and are configured with; how many changed."""
    from strategies.services.follow_bots import follow_bots as follow
    from strategies.services.follow_configs import follow_configs

    return follow(now=timezone.now()) + follow_configs(now=timezone.now())


@shared_task(name="strategies.settle_history")
def settle_history() -> int:
    """Correct the figures of runs that ended lately by trades that came late; how many changed."""
    from strategies.services.close_strategies import settle_history as settle

    return settle(now=timezone.now())


@shared_task(name="strategies.restore")
def restore() -> int:
    """Notice that Hummingbot is back, and work on restore runs; on how many."""
    if not settings.HUMMINGBOT_API_URL:
        return 0
    from strategies.services.restore_runs import work_on_restores
    from strategies.services.watch_hummingbot import watch_hummingbot

    watch_hummingbot(spacing_s=settings.STRATEGY_RESTORE_SPACING_SECONDS, now=timezone.now())
    return work_on_restores(gateways=configured_gateways())


@shared_task(name="strategies.recover")
def recover() -> int:
    """Take up strategies whose rows were lost and whose bots were recovered; how many."""
    from strategies.services.recover_strategies import recover_strategies

    return recover_strategies(now=timezone.now())
