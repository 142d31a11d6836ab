"""What beat and the workers run. Rows say what is due; a task that is lost or comes twice changes nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_init
from django.conf import settings
from django.utils import timezone

from bots.gateways.connect import configured_gateway
from exchanges.gateways.configured import configured_gateways
from ground.scope import system_scope
from health.services import (
    ask_check,
    count_uptime,
    dead_man,
    fill_gaps,
    heartbeat_plans,
    raise_incidents,
    run_checks,
    watch,
)

HEALTH = system_scope("health")
EXPIRES_S = 300  # older than this, the bots are due again anyway


@worker_init.connect
def _preload(**_: Any) -> None:
    """Import ccxt once in the worker's parent, before it forks: half a second and 67 MB that its children share."""
    from exchanges.gateways.ccxt_gateway import preload

    preload()


@shared_task(name="health.start_due_checks")
def start_due_checks() -> None:
    """Every tick: one task per exchange for the bots that are due, and a nudge for requests that lost theirs."""
    now = timezone.now()
    watch.before_tick(scope=HEALTH, now=now)
    heartbeat_plans.wake_overdue_bots(now=now)
    for exchange, claim in run_checks.claim_due_bots(now=now).items():
        args = [exchange, [str(bot_id) for bot_id in claim.bot_ids], claim.late_s]
        check_exchange.apply_async(args=args, expires=EXPIRES_S, priority=settings.USUAL_PRIORITY)
    ask_check.nudge_lost_requests(now=now)


@shared_task(name="health.check_exchange")
def check_exchange(exchange: str, bot_ids: list[str], late_s: float = 0.0) -> None:
    """Check these bots, all of one exchange; ``late_s`` is by how much the latest of them was overdue when claimed."""
    started_at = timezone.now()
    written = run_checks.check_bots(
        bot_ids=[UUID(i) for i in bot_ids],
        gateways=configured_gateways(),
        clock=timezone.now,
        histories=configured_gateway(),
    )
    finished_at = timezone.now()
    watch.after_round(
        scope=HEALTH, exchange=exchange, started_at=started_at, finished_at=finished_at, bots=len(bot_ids),
        written=len(written), late_s=late_s, now=finished_at,
    )  # fmt: skip


@shared_task(name=ask_check.CHECK_NOW)
def check_now(request_id: str) -> None:
    """The check behind one request of a person."""
    claimed = ask_check.claim_request(request_id=UUID(request_id), now=timezone.now())
    if not claimed:
        return
    requests, bot_id = [request for request, _ in claimed], claimed[0][1]
    try:
        run_checks.check_bots(
            bot_ids=[bot_id],
            gateways=configured_gateways(),
            clock=timezone.now,
            is_scheduled=False,
            budget_s=run_checks.ASKED_BUDGET_S,
        )
    except Exception:
        sentence = "The check broke; the worker's log says why."
        ask_check.finish_requests(request_ids=requests, now=timezone.now(), error=sentence)
        raise
    ask_check.finish_requests(request_ids=requests, now=timezone.now())


@shared_task(name="health.fill_gaps")
def fill_trade_gaps() -> None:
    """Read on where the ledger may lack trades."""
    fill_gaps.fill_gaps(gateways=configured_gateways(), clock=timezone.now)


@shared_task(name="health.learn_cadence")
def learn_cadence() -> None:
    """Learn how often bots trade, of those for which that is due."""
    from health.services.learn_cadence import learn_due_cadences

    learn_due_cadences(scope=system_scope("health"), now=timezone.now())


@shared_task(name="health.sweep")
def sweep() -> None:
    """What rounds do at their end, once more: nothing is lost with a worker that died before it could."""
    now = timezone.now()
    raise_incidents.look_for_incidents(scope=HEALTH, now=now)
    watch.finish_cycle(scope=HEALTH, now=now)
    dead_man.tell_dead_man(scope=HEALTH, url=settings.DEAD_MAN_URL, now=now)


@shared_task(name="health.count_uptime")
def count_every_uptime() -> None:
    """Bring every bot's uptime up to now."""
    count_uptime.count_uptime(scope=HEALTH, now=timezone.now())
