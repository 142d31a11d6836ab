"""Wanting a bot to run: the wish is stored first, then Hummingbot is asked, with a deadline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from bots.gateways.connect import configured_gateway
from bots.models import Bot, BotDeployment
from bots.rules.words import DeploymentStatus, DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind, RuntimeStatus
from bots.services.ask_hummingbot import bring_there, due_after_deadline
from bots.services.deployments import current_deployment, open_deployment, schedule
from bots.services.keep_running import forget_failures
from bots.services.manage_bots import find_template, lock_bot
from bots.services.set_health import set_health
from bots.services.store_wish import store_wish
from ground.errors import Conflict, Forbidden, NotReady
from ground.scope import Scope

# Who runs bots of a kind says here what one needs before it is started, and raises Conflict where that is missing.
MAY_START: dict[RuntimeKind, Callable[[Bot], None]] = {}

_OVER = (DeploymentStatus.ENDED, DeploymentStatus.FAILED, DeploymentStatus.RETIRING)

_NOT_RUNNING = (RuntimeStatus.STOPPED, RuntimeStatus.FAILED, RuntimeStatus.ABSENT, RuntimeStatus.UNKNOWN)


def start_bot(*, scope: Scope, bot_id: UUID, now: datetime, reason: str = "", wait: bool = True) -> str:
    """``started``, ``already_running``, or ``starting`` when a worker goes on with it.

    With ``wait`` false nothing is asked of Hummingbot here. Raises NotFound, Forbidden, NotReady when the bot needs a
    Hummingbot and none is configured, and Conflict with the reason when Hummingbot refused at once; the wish then
    stays, and the bot's status is error.
    """
    if not scope.can_manage:
        raise Forbidden("This key may only read.")
    with scope.transaction(reason=reason or "start"):
        bot = lock_bot(scope, bot_id)
        if bot.runtime_kind in MAY_START:
            MAY_START[RuntimeKind(bot.runtime_kind)](bot)
        if bot.runtime_kind != RuntimeKind.HUMMINGBOT:
            return _say_started(scope, bot, now, reason)
        _check_can_start(bot)
        forget_failures(bot.id)
        deployment = _wanted_deployment(scope, bot, now)
        if deployment is None:
            return "already_running"
        if bot.desired_status != DesiredStatus.RUNNING or deployment.due_at == now:
            _want(scope, bot, now, reason, confirmed_start_at=deployment.confirmed_at)
            schedule(deployment.id, at=due_after_deadline(now) if wait else now)
    if not wait:
        return "started" if _is_confirmed(deployment) else "starting"
    return _answer(bring_there(deployment.id, is_there=_is_confirmed))


def _say_started(scope: Scope, bot: Bot, now: datetime, reason: str) -> str:
    """Nothing is sent: somebody else runs it."""
    if bot.desired_status == DesiredStatus.RUNNING and bot.reported_status == ReportedStatus.RUNNING:
        return "already_running"
    _want(scope, bot, now, reason)
    return "started"


def _want(scope: Scope, bot: Bot, now: datetime, reason: str, *, confirmed_start_at: datetime | None = None) -> None:
    store_wish(
        bot, desired=DesiredStatus.RUNNING, said=ReportedStatus.RUNNING, actor=scope.actor, reason=reason, now=now
    )
    message = f"started by {scope.actor}, not checked yet"
    set_health(bot, status=HealthStatus.UNKNOWN, message=message, now=now, confirmed_start_at=confirmed_start_at)


def _check_can_start(bot: Bot) -> None:
    if configured_gateway() is None:
        raise NotReady(
            "No Hummingbot is configured: set HUMMINGBOT_API_URL, or make the bot external.",
            code="hummingbot_not_configured",
            retry_after_s=60,
        )
    if find_template(bot.strategy) is None:
        raise Conflict(f"No template is named {bot.strategy}, so Hummingbot cannot run this bot.", code="no_template")


def _wanted_deployment(scope: Scope, bot: Bot, now: datetime) -> BotDeployment | None:
    """The deployment that is to run: the open one, or a new one (due now); None when it runs already."""
    latest = current_deployment(bot.id)
    if latest is None or latest.status in _OVER:
        return open_deployment(bot, requested_by=scope.actor, now=now)
    if latest.status != DeploymentStatus.LIVE or bot.desired_status != DesiredStatus.RUNNING:
        return latest
    runtime = getattr(bot, "runtime", None)
    seen = runtime.status if runtime and runtime.instance_name == latest.instance_name else None
    if seen == RuntimeStatus.EXITED:
        BotDeployment.objects.filter(id=latest.id).update(status=DeploymentStatus.ENDED, ended_at=now)
        return open_deployment(bot, requested_by=scope.actor, now=now)
    if seen in _NOT_RUNNING:
        # It is taken down first, so that never two of them trade; a new one follows with the current config.
        latest.status, latest.due_at, latest.confirmed_at = DeploymentStatus.STOPPING, now, None
        latest.save(update_fields=["status", "due_at", "confirmed_at"])
        return latest
    return None if latest.confirmed_at else latest


def _is_confirmed(deployment: BotDeployment) -> bool:
    return deployment.status == DeploymentStatus.LIVE and deployment.confirmed_at is not None


def _answer(deployment: BotDeployment) -> str:
    if deployment.status == DeploymentStatus.FAILED:
        raise Conflict(deployment.message, code="deployment_failed")
    return "started" if _is_confirmed(deployment) else "starting"
