"""Starting a strategy: its bot is found or made, and the wish stands before Hummingbot is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from structlog import get_logger

from bots.gateways.connect import configured_gateway
from bots.models import Bot, BotDeployment
from bots.rules.drift import is_same
from bots.rules.templates import applied, validate_config
from bots.rules.words import DeploymentStatus, DesiredStatus, RuntimeKind
from bots.services.ask_hummingbot import bring_there, due_after_deadline
from bots.services.define_bot import define_bot
from bots.services.deployments import open_one, schedule
from bots.services.manage_bots import find_template, lock_bot
from bots.services.recover_definitions import SOURCE as RECOVERED
from bots.services.redeploy_bot import redeploy_bot
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from bots.types import Template
from clients.services.manage_accounts import connector_name
from clients.services.manage_clients import lock_client
from exchanges import symbols
from ground.errors import Conflict, Forbidden, InvalidInput, NotReady
from ground.scope import Scope
from strategies.models import ActiveStrategy
from strategies.rules.configs import with_interval
from strategies.rules.markets import canonical_exchange, check_interval
from strategies.rules.words import DEFAULT_INTERVAL, DEFAULT_MODE, DEFAULT_REASON, StrategyStatus, sources_of
from strategies.services.close_strategies import close_strategy
from strategies.services.owners import owner_to_start
from strategies.services.stop_strategy import STOP_FIELDS
from strategies.services.versions import keep_version

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """A strategy as somebody wants it, with everything that was left out filled in."""

    symbol: str  # BASE/QUOTE
    symbol_shown: str
    mode: str
    interval: str
    connector: str  # as it was given
    exchange: str  # canonical
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Started:
    strategy: ActiveStrategy
    is_new: bool
    deployment_id: UUID | None = None


def start_strategy(
    *, scope: Scope, symbol: str, now: datetime, mode: str = "", interval: str = "", exchange: str = "",
    account: str = "", config: dict[str, Any] | None = None, wait: bool = True,
) -> Started:  # fmt: skip
    """Want a strategy running; ``is_new`` is False where one runs on that market already, and nothing was changed.

    The strategy, its bot, its config version and the wish are stored together or not at all; then Hummingbot is asked,
    with a deadline. Raises InvalidInput, NotReady without a Hummingbot, Forbidden, and Conflict with the reason when
    Hummingbot refused at once; the strategy then stays, to be stopped or started again.
    """
    if not scope.can_manage:
        raise Forbidden("This key may only read.")
    wish, template = read_wish(symbol=symbol, mode=mode, interval=interval, exchange=exchange, config=config or {})
    if configured_gateway() is None:
        raise NotReady(
            "No Hummingbot is configured: set HUMMINGBOT_API_URL to run strategies.",
            code="hummingbot_not_configured",
            retry_after_s=60,
        )
    started = _store(scope, wish, template, owner_to_start(scope=scope, account=account), now, wait)
    if started.is_new:
        shown = started.strategy
        log.info(f"Saved strategy: {shown.symbol_shown} ({shown.strategy_type})", strategy=str(shown.id))
    if wait and started.deployment_id:
        _bring_up(started.deployment_id)
    return started


def read_wish(*, symbol: str, mode: str, interval: str, exchange: str, config: dict[str, Any]) -> tuple[Wish, Template]:
    """What somebody wants, complete, and its template. Raises InvalidInput naming what is wrong."""
    if not symbol.strip():
        raise InvalidInput("symbol required", code="symbol_required", fields={"symbol": ["required"]})
    mode, interval = mode.strip() or DEFAULT_MODE, check_interval(interval.strip() or DEFAULT_INTERVAL)
    given = exchange.strip() or settings.STRATEGY_DEFAULT_EXCHANGE
    pair = _checked("symbol", symbols.normalize, symbol)
    _checked("exchange", connector_name, given)
    template = find_template(mode)
    if template is None:
        raise InvalidInput(
            f"There is no template for the mode '{mode[:64]}'.", code="unknown_mode", fields={"mode": ["no template"]}
        )
    full = with_interval(template, config, interval)
    validate_config(template, full)
    return Wish(pair, symbol.strip(), mode, interval, given, canonical_exchange(given), config), template


def _checked(field: str, check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except InvalidInput as error:
        raise InvalidInput(error.message, code=error.code, fields={field: [error.message]}) from None


def _store(scope: Scope, wish: Wish, template: Template, client_id: UUID, now: datetime, wait: bool) -> Started:
    with scope.transaction(reason="strategy started"):
        client = lock_client(client_id)
        present = (
            ActiveStrategy.objects.select_for_update()
            .filter(client_id=client_id, exchange=wish.exchange, symbol=wish.symbol)
            .first()
        )
        if present:
            _take_up_stop(present, now)
        if present and present.status in (StrategyStatus.ACTIVE, StrategyStatus.RESTORING):
            return Started(present, is_new=False)
        if present:
            _make_room(scope, present, wish, now)
        bot = _own_bot(scope, wish, template, client.account_identifier, client_id)
        version = keep_version(bot=bot, config=wish.config, interval=wish.interval, actor=scope.actor, note="", now=now)
        strategy = ActiveStrategy.objects.create(
            client_id=client_id, bot_id=bot.id, exchange=wish.exchange, symbol=wish.symbol,
            symbol_shown=wish.symbol_shown, strategy_type=wish.mode, interval=wish.interval, config=wish.config,
            version=version, status_at=now, started_at=now, started_by=scope.actor,
        )  # fmt: skip
        _take_down_old_config(scope, bot, template, now)
        start_bot(scope=scope, bot_id=bot.id, now=now, reason=f"strategy {strategy}", wait=False)
        deployment = open_one(bot.id)
        if deployment and wait:
            schedule(deployment.id, at=due_after_deadline(now))
        return Started(strategy, is_new=True, deployment_id=deployment.id if deployment else None)


def _take_up_stop(present: ActiveStrategy, now: datetime) -> None:
    """Somebody stopped its bot just before, which the next look would have told: what is wanted now came after that."""
    bot = Bot.objects.get(id=present.bot_id)
    if bot.desired_status != DesiredStatus.STOPPED or present.status not in sources_of(StrategyStatus.STOPPING):
        return
    present.status, present.status_at, present.message = StrategyStatus.STOPPING, now, ""
    present.stop_requested_at, present.stop_requested_by = bot.desired_at or now, bot.desired_by
    present.stop_reason = (bot.desired_reason or DEFAULT_REASON)[:300]
    present.save(update_fields=[*STOP_FIELDS])


def _take_down_old_config(scope: Scope, bot: Bot, template: Template, now: datetime) -> None:
    """What is still up or under way from before runs with the config that was wanted then: it is replaced, unless the
    template makes the same of both. A definition that was recovered from Hummingbot has its defaults written out."""
    left = open_one(bot.id)
    if left is not None and not is_same(applied(template, left.config), applied(template, bot.config)):
        redeploy_bot(scope=scope, bot_id=bot.id, now=now)


def _make_room(scope: Scope, present: ActiveStrategy, wish: Wish, now: datetime) -> None:
    """The run that stands there is over: it was being stopped, or may not run until a person starts it, as now."""
    if present.strategy_type != wish.mode:
        if open_one(present.bot_id) and present.status == StrategyStatus.QUARANTINED:
            raise Conflict(
                f"The strategy {present} is quarantined, and something of it is still up: stop it first.",
                code="strategy_quarantined",
            )
        if open_one(present.bot_id):
            raise Conflict(
                f"The strategy {present} is still being stopped; try again in a moment.", code="strategy_stopping"
            )
        stop_bot(scope=scope, bot_id=present.bot_id, now=now, reason="another strategy takes its place", wait=False)
    close_strategy(scope=scope, strategy=present, reason="started again", now=now)


def _own_bot(scope: Scope, wish: Wish, template: Template, account: str, client_id: UUID) -> Bot:
    """The bot that ran this strategy on this market before, with the config that is wanted now; else a new one."""
    config = with_interval(template, wish.config, wish.interval)
    known = (
        Bot.objects.filter(
            client_id=client_id, pair=wish.symbol, strategy=wish.mode, retired_at=None, deletion_requested_at=None,
            runtime_kind=RuntimeKind.HUMMINGBOT, strategy_history__exchange=wish.exchange, strategy_active=None,
        )
        .order_by("-created_at")
        .values_list("id", flat=True)
        .first()
    )  # fmt: skip
    known = known or _recovered_bot(wish, client_id)
    if known is None:
        made = define_bot(
            scope=scope, account=account, connector=wish.connector, pair=wish.symbol, strategy=wish.mode,
            name=f"{wish.mode} {wish.symbol_shown}", config=config, runtime_kind=RuntimeKind.HUMMINGBOT,
        )  # fmt: skip
        return lock_bot(scope, made.id)
    bot = lock_bot(scope, known)
    if bot.config != config:
        bot.config = config
        bot.save(update_fields=["config"])
    return bot


def _recovered_bot(wish: Wish, client_id: UUID) -> UUID | None:
    """A bot of this strategy and market that was recovered from Hummingbot, without its history: never two of them."""
    lost = Bot.objects.filter(
        client_id=client_id, pair=wish.symbol, strategy=wish.mode, source=RECOVERED, retired_at=None,
        deletion_requested_at=None, runtime_kind=RuntimeKind.HUMMINGBOT, strategy_active=None,
    ).order_by("-created_at")  # fmt: skip
    return next((bot.id for bot in lost if canonical_exchange(bot.connector_name) == wish.exchange), None)


def _bring_up(deployment_id: UUID) -> None:
    deployment = bring_there(deployment_id, is_there=_is_confirmed)
    if deployment.status == DeploymentStatus.FAILED:
        raise Conflict(deployment.message, code="deployment_failed")


def _is_confirmed(deployment: BotDeployment) -> bool:
    return deployment.status == DeploymentStatus.LIVE and deployment.confirmed_at is not None
