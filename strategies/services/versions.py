"""Every config a strategy had, numbered; and changing the one that runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from bots.models import Bot
from bots.rules.templates import validate_config
from bots.services.manage_bots import find_template, lock_bot
from bots.services.redeploy_bot import redeploy_bot
from bots.services.start_bot import start_bot
from bots.types import Template
from ground.errors import Conflict, Forbidden, InvalidInput, NotFound
from ground.scope import Scope
from strategies.models import ActiveStrategy, StrategyVersion
from strategies.rules.configs import from_bot, with_interval
from strategies.rules.markets import check_interval
from strategies.rules.words import StrategyStatus


def keep_version(*, bot: Bot, config: dict[str, Any], interval: str, actor: str, note: str, now: datetime) -> int:
    """The number of this config: the newest version's where nothing changed, else a new one's. The caller holds the bot."""
    newest = StrategyVersion.objects.filter(bot_id=bot.id).order_by("-number").first()
    if newest and newest.config == config and newest.interval == interval:
        return newest.number
    number = newest.number + 1 if newest else 1
    StrategyVersion.objects.create(
        client_id=bot.client_id, bot_id=bot.id, number=number, config=config, interval=interval,
        note=note[:300], made_at=now, made_by=actor,
    )  # fmt: skip
    return number


def change_strategy(
    *, scope: Scope, strategy_id: UUID, now: datetime, config: dict[str, Any] | None = None, interval: str = "",
    note: str = "", expected_version: int | None = None,
) -> int:  # fmt: skip
    """Give a strategy another config; returns its version's number. What runs is replaced by a deployment with it.

    Raises NotFound, Forbidden, InvalidInput naming the field, and Conflict while it is being stopped or deployed, or
    when somebody else changed it after ``expected_version``.
    """
    if not scope.can_manage:
        raise Forbidden("This key may only read.")
    with scope.transaction(reason=note or "strategy changed"):
        strategy = lock_strategy(scope, strategy_id)
        _check_changeable(strategy, expected_version)
        config = strategy.config if config is None else config
        interval = check_interval(interval) if interval else strategy.interval
        template = find_template(strategy.strategy_type)
        if template is None:
            raise InvalidInput(f"There is no template for the mode '{strategy.strategy_type}'.", code="unknown_mode")
        full = with_interval(template, config, interval)
        validate_config(template, full)
        bot = lock_bot(scope, strategy.bot_id)
        _check_followed(strategy, bot, template)
        version = keep_version(bot=bot, config=config, interval=interval, actor=scope.actor, note=note, now=now)
        if version == strategy.version:
            return version
        bot.config = full
        bot.save(update_fields=["config"])
        _put_to_work(scope, strategy, config=config, interval=interval, version=version, now=now)
        return version


def roll_back_strategy(*, scope: Scope, strategy_id: UUID, number: int, now: datetime) -> int:
    """Go back to the config of an earlier version, as a new one; returns its number. Raises as ``change_strategy``."""
    with scope.transaction():
        strategy = lock_strategy(scope, strategy_id)
        wanted = StrategyVersion.objects.filter(bot_id=strategy.bot_id, number=number).first()
        if wanted is None:
            raise NotFound(f"This strategy has no version {number}.")
        return change_strategy(
            scope=scope, strategy_id=strategy_id, config=wanted.config, interval=wanted.interval, now=now,
            note=f"back to version {number}",
        )  # fmt: skip


def lock_strategy(scope: Scope, strategy_id: UUID) -> ActiveStrategy:
    """The strategy's row, locked for this transaction. Raises NotFound."""
    rows = ActiveStrategy.objects.select_for_update()
    if scope.client_id:
        rows = rows.filter(client_id=scope.client_id)
    strategy: ActiveStrategy | None = rows.filter(id=strategy_id).first()
    if strategy is None:
        raise NotFound("There is no such strategy.")
    return strategy


def _check_changeable(strategy: ActiveStrategy, expected_version: int | None) -> None:
    if strategy.status == StrategyStatus.STOPPING:
        raise Conflict("The strategy is being stopped, so it cannot be changed.", code="strategy_stopping")
    if expected_version is not None and strategy.version != expected_version:
        raise Conflict(
            f"Somebody changed the strategy meanwhile: it has version {strategy.version} now.", code="strategy_changed"
        )


def _check_followed(strategy: ActiveStrategy, bot: Bot, template: Template) -> None:
    """What somebody gave the bot itself gets its version first, so that no config is overwritten unseen."""
    stands = strategy.config, strategy.interval
    if from_bot(template, bot.config, config=stands[0], interval=stands[1]) != stands:
        raise Conflict(
            "The config of its bot was just changed, and becomes a version in a moment; look at it, then try again.",
            code="strategy_changed",
        )


def _put_to_work(
    scope: Scope, strategy: ActiveStrategy, *, config: dict[str, Any], interval: str, version: int, now: datetime
) -> None:
    """What runs is replaced; what does not run, for whatever reason, is started: a person wants it so."""
    strategy.config, strategy.interval, strategy.version = config, interval, version
    if strategy.status != StrategyStatus.ACTIVE:
        strategy.status, strategy.status_at, strategy.message = StrategyStatus.ACTIVE, now, ""
    strategy.save(update_fields=["config", "interval", "version", "status", "status_at", "message"])
    if not redeploy_bot(scope=scope, bot_id=strategy.bot_id, now=now):
        start_bot(scope=scope, bot_id=strategy.bot_id, now=now, reason=f"version {version}", wait=False)
