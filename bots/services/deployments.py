"""A deployment's row: opened once, worked on by whoever holds its lease, changed only by them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from celery import current_app
from django.db.models import Max, Q
from kombu.exceptions import OperationalError

from bots.models import Bot, BotDeployment
from bots.rules.names import requested_name
from bots.rules.words import OPEN_DEPLOYMENTS, DeploymentStatus
from ground.scope import system_scope

LEASE = timedelta(seconds=60)  # losing it is safe: whoever is slower changes nothing, and a deploy is marked first
_LONGEST_LEASE = timedelta(minutes=10)
_LATEST_DUE = timedelta(hours=2)  # nothing is put off for so long: the clock was set back
SETTLED = (DeploymentStatus.ENDED, DeploymentStatus.FAILED)
RECONCILER = system_scope("reconciler")


@dataclass(frozen=True, slots=True)
class Lease:
    """``step`` is what its holder does just now: the audit shows it beside each change."""

    deployment_id: UUID
    token: UUID
    step: str = ""


def open_deployment(bot: Bot, *, requested_by: str, now: datetime) -> BotDeployment:
    """A new deployment to work on. The caller holds the bot's row; a second open one violates a constraint."""
    last = BotDeployment.objects.filter(bot_id=bot.id).aggregate(last=Max("sequence"))["last"] or 0
    return BotDeployment.objects.create(
        bot_id=bot.id,
        client_id=bot.client_id,
        sequence=last + 1,
        status=DeploymentStatus.WANTED,
        requested_name=requested_name(bot.id, last + 1),
        config=bot.config,
        requested_by=requested_by,
        due_at=now,
    )


def current_deployment(bot_id: UUID) -> BotDeployment | None:
    """The newest deployment of a bot; an open one is always the newest."""
    return BotDeployment.objects.filter(bot_id=bot_id).order_by("-sequence").first()


def open_one(bot_id: UUID) -> BotDeployment | None:
    return BotDeployment.objects.filter(bot_id=bot_id, status__in=OPEN_DEPLOYMENTS).first()


def claim(deployment_id: UUID, *, now: datetime, lease: timedelta = LEASE) -> Lease | None:
    """The right to work on a deployment for a while, or None while somebody else has it."""
    token = uuid4()
    with RECONCILER.transaction():
        taken = (
            BotDeployment.objects.filter(_is_free(now), id=deployment_id)
            .exclude(status__in=SETTLED)
            .update(lease_until=now + lease, lease_token=token)
        )
    return Lease(deployment_id, token) if taken else None


def release(lease: Lease) -> None:
    with RECONCILER.transaction():
        _held(lease).update(lease_until=None, lease_token=None)


def change(lease: Lease, *, only: tuple[DeploymentStatus, ...], **changes: Any) -> bool:
    """Change the row if the lease is still held and the status still one of ``only``. Joins an open transaction."""
    with RECONCILER.transaction(reason=lease.step):
        return bool(_held(lease).filter(status__in=only).update(**changes))


def due_deployments(*, now: datetime, limit: int) -> list[UUID]:
    """Deployments that somebody should look at, longest waiting first."""
    with RECONCILER.transaction():
        return list(
            BotDeployment.objects.filter(_is_free(now), Q(due_at__lte=now) | Q(due_at__gt=now + _LATEST_DUE))
            .exclude(status__in=SETTLED)
            .order_by("due_at")
            .values_list("id", flat=True)[:limit]
        )


def schedule(deployment_id: UUID, *, at: datetime) -> None:
    """When a worker looks at it next. Inside the caller's transaction."""
    BotDeployment.objects.filter(id=deployment_id).update(due_at=at)


def nudge_workers() -> None:
    """Shorten the wait for the next tick; without a broker the tick finds the row all the same."""
    with suppress(OperationalError):
        current_app.send_task("bots.reconcile_bots", expires=10, retry=False)


def _is_free(now: datetime) -> Q:
    """Nobody's lease holds. One that would last longer than any is given was taken before a clock was set back."""
    return Q(lease_until=None) | Q(lease_until__lte=now) | Q(lease_until__gt=now + _LONGEST_LEASE)


def _held(lease: Lease) -> Any:
    return BotDeployment.objects.filter(id=lease.deployment_id, lease_token=lease.token)
