"""Making, changing, cloning and deleting bot definitions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from bots import selectors
from bots.models import Bot, BotTemplate
from bots.rules.templates import validate_config
from bots.rules.words import BotStatus, DesiredStatus, RuntimeKind
from bots.services.define_bot import check_minutes, define_bot, template_of
from bots.services.find_connector import find_connector
from bots.types import Template
from exchanges import symbols
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope

ONLY_AT_REST = ("runtime_kind", "connector", "connector_id", "pair", "strategy")
AT_REST = (BotStatus.CREATED, BotStatus.STOPPED)


def create_bot(*, scope: Scope, **definition: Any) -> UUID:
    """Define a bot (what it takes: ``define_bot``); it is not started. Raises InvalidInput, Conflict."""
    return define_bot(scope=scope, **definition).id


def update_bot(*, scope: Scope, bot_id: UUID, changes: dict[str, Any], reason: str = "bot changed") -> None:
    """Change a definition. What decides where and how it runs changes only while it is at rest; a new config takes effect
    at the next start. Raises NotFound, Conflict, InvalidInput."""
    with scope.transaction(reason=reason):
        bot = lock_bot(scope, bot_id)
        _check_at_rest(scope, bot, changes)
        kind = changes.get("runtime_kind", bot.runtime_kind)
        if kind != bot.runtime_kind and RuntimeKind.ARENA in (kind, bot.runtime_kind):
            raise InvalidInput("A bot of the arena stays one.", fields={"runtime_kind": ["fixed"]})
        if "pair" in changes:
            changes["pair"] = symbols.normalize(changes["pair"])
        if "config" in changes or "strategy" in changes:
            check_config(changes.get("strategy", bot.strategy), changes.get("config", bot.config))
        if "connector" in changes or "connector_id" in changes:
            bot.connector, bot.connector_name = find_connector(
                client_id=bot.client_id,
                name=changes.pop("connector", bot.connector_name),
                connector_id=changes.pop("connector_id", None),
            )
        for name, value in changes.items():
            setattr(bot, name, value)
        check_minutes(bot.stale_minutes, bot.stopped_minutes)
        bot.save()


def clone_bot(*, scope: Scope, bot_id: UUID, name: str = "") -> UUID:
    """A new bot with the same definition, never started. Raises NotFound."""
    with scope.transaction(reason=f"bot cloned from {bot_id}"):
        bot = lock_bot(scope, bot_id)
        return create_bot(
            scope=scope,
            account=bot.client.account_identifier,
            connector=bot.connector_name,
            pair=bot.pair,
            name=name or f"{bot.name} (copy)"[:200],
            strategy=bot.strategy,
            config=bot.config,
            connector_id=bot.connector_id if bot.connector and not bot.connector.retired_at else None,
            runtime_kind=bot.runtime_kind,
            stale_minutes=bot.stale_minutes,
            stopped_minutes=bot.stopped_minutes,
        )


def delete_bot(*, scope: Scope, bot_id: UUID, now: datetime) -> None:
    """Retire a bot that is at rest. Raises NotFound, Conflict while it runs or may still run."""
    with scope.transaction(reason="bot deleted"):
        bot = lock_bot(scope, bot_id)
        status = selectors.bot_status(scope, bot_id)
        if not is_at_rest(bot, status):
            raise Conflict(f"The bot is {status}; stop it first.", code="bot_running")
        retire_bot(bot, now=now)


def retire_bot(bot: Bot, *, now: datetime) -> None:
    """Take the bot out of every answer; its row stays for ledger and audit."""
    bot.retired_at = now
    bot.save(update_fields=["retired_at"])


def is_at_rest(bot: Bot, status: str) -> bool:
    """Whether nothing of the bot runs, may run, or is wanted to run."""
    return status in AT_REST or (status == BotStatus.ERROR and bot.desired_status != DesiredStatus.RUNNING)


def lock_bot(scope: Scope, bot_id: UUID) -> Bot:
    """The bot's row, locked for this transaction. Raises NotFound."""
    bots = Bot.objects.select_for_update(of=("self",)).select_related("client", "connector")
    if scope.client_id:
        bots = bots.filter(client_id=scope.client_id)
    bot: Bot | None = bots.filter(id=bot_id, retired_at=None).first()
    if bot is None:
        raise NotFound("There is no such bot.")
    return bot


def check_config(strategy: str, config: dict[str, Any]) -> None:
    """Hold a config against its template, if the strategy has one. Raises InvalidInput naming each field."""
    validate_config(find_template(strategy), config)


def find_template(strategy: str) -> Template | None:
    """The enabled template that a strategy label names, or None."""
    row = BotTemplate.objects.filter(name=strategy, is_enabled=True).first()
    return template_of(row) if row else None


def _check_at_rest(scope: Scope, bot: Bot, changes: dict[str, Any]) -> None:
    changed = [name for name in ONLY_AT_REST if name in changes and not _is_same(bot, name, changes[name])]
    if changed and not is_at_rest(bot, status := selectors.bot_status(scope, bot.id)):
        raise Conflict(
            f"{', '.join(changed)} can only change while the bot is stopped; it is {status}.", code="bot_running"
        )


def _is_same(bot: Bot, name: str, value: Any) -> bool:
    stored = bot.connector_name if name == "connector" else getattr(bot, name)
    return str(stored) == str(value)
