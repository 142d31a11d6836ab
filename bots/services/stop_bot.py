"""Wanting a bot to stop: the wish is stored first, then Hummingbot is asked, with a deadline."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bots.models import Bot, BotDeployment
from bots.rules.words import DeploymentStatus, DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from bots.services.ask_hummingbot import bring_there, due_after_deadline
from bots.services.deployments import open_one, schedule
from bots.services.keep_running import forget_failures
from bots.services.manage_bots import lock_bot
from bots.services.set_health import set_health
from bots.services.store_wish import store_wish
from ground.errors import Forbidden
from ground.scope import Scope

_AT_REST = (DeploymentStatus.RETIRING, DeploymentStatus.ENDED, DeploymentStatus.FAILED)


def stop_bot(*, scope: Scope, bot_id: UUID, now: datetime, reason: str = "", wait: bool = True) -> str:
    """``stopped``, ``already_stopped``, or ``stopping`` when a worker goes on with it.

    With ``wait`` false nothing is asked of Hummingbot here. Raises NotFound, Forbidden.
    """
    if not scope.can_manage:
        raise Forbidden("This key may only read.")
    with scope.transaction(reason=reason or "stop"):
        bot = lock_bot(scope, bot_id)
        forget_failures(bot.id)
        is_ours = bot.runtime_kind == RuntimeKind.HUMMINGBOT
        deployment = open_one(bot.id) if is_ours else None
        if deployment is None and _rests_already(bot, is_ours=is_ours):
            return "already_stopped"
        if bot.desired_status != DesiredStatus.STOPPED or not is_ours:
            _want_stopped(scope, bot, now, reason)
        if deployment is None:
            return "stopped"
        schedule(deployment.id, at=due_after_deadline(now) if wait else now)
    if not wait:
        return "stopping"
    return "stopped" if _rests(bring_there(deployment.id, is_there=_rests)) else "stopping"


def _rests_already(bot: Bot, *, is_ours: bool) -> bool:
    if bot.desired_status == DesiredStatus.CREATED:
        return True
    return bot.desired_status == DesiredStatus.STOPPED and (is_ours or bot.reported_status != ReportedStatus.RUNNING)


def _want_stopped(scope: Scope, bot: Bot, now: datetime, reason: str) -> None:
    store_wish(
        bot, desired=DesiredStatus.STOPPED, said=ReportedStatus.STOPPED, actor=scope.actor, reason=reason, now=now
    )
    set_health(bot, status=HealthStatus.STOPPED, message=f"stopped by {scope.actor}", now=now)


def _rests(deployment: BotDeployment) -> bool:
    return deployment.status in _AT_REST
