"""Making, changing, cloning and deleting bot definitions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from bots import selectors
from bots.models import Bot, BotHealth, BotTemplate
from bots.rules.templates import validate_config
from bots.rules.words import BotStatus, DesiredStatus, RuntimeKind
from bots.services.find_connector import find_connector
from bots.types import Template
from clients.models import Client
from exchanges import symbols
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope

ONLY_AT_REST = ("runtime_kind", "connector", "connector_id", "pair", "strategy")
AT_REST = (BotStatus.CREATED, BotStatus.STOPPED)


def create_bot(
    *,
    scope: Scope,
    account: str,
    connector: str,
    pair: str,
    name: str,
    strategy: str,
    config: dict[str, Any] | None = None,
    connector_id: UUID | None = None,
    runtime_kind: str | None = None,
    stale_minutes: Any = None,
    stopped_minutes: Any = None,
) -> UUID:
    """Define a bot; it is not started. Raises InvalidInput."""
    kind = RuntimeKind(runtime_kind or default_kind())
    pair = symbols.normalize(pair)
    check_minutes(stale_minutes, stopped_minutes)
    with scope.transaction(reason="bot created"):
        client = _client_of(scope, account)
        check_config(strategy, config or {})
        found, connector_name = find_connector(client_id=client.id, name=connector, connector_id=connector_id)
        bot = Bot.objects.create(
            client=client,
            connector=found,
            connector_name=connector_name,
            name=name.strip(),
            pair=pair,
            strategy=strategy.strip(),
            config=config or {},
            runtime_kind=kind,
            stale_minutes=stale_minutes,
            stopped_minutes=stopped_minutes,
        )
        BotHealth.objects.create(bot=bot, client_id=client.id)
    return bot.id


def update_bot(*, scope: Scope, bot_id: UUID, changes: dict[str, Any]) -> None:
    """Change a definition. What decides where and how it runs changes only while it is at rest; a new config takes effect
    at the next start. Raises NotFound, Conflict, InvalidInput."""
    with scope.transaction(reason="bot changed"):
        bot = lock_bot(scope, bot_id)
        _check_at_rest(scope, bot, changes)
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


def template_of(row: BotTemplate) -> Template:
    """The row as the pure rules take it."""
    names = ("name", "kind", "controller_type", "controller_name", "defaults", "schema", "mapping")
    return Template(**{name: getattr(row, name) for name in names})


def default_kind() -> RuntimeKind:
    """What a new bot is where nobody says: Hummingbot's, if there is one."""
    return RuntimeKind.HUMMINGBOT if settings.HUMMINGBOT_API_URL else RuntimeKind.EXTERNAL


def check_minutes(stale: Any, stopped: Any) -> None:
    """Both thresholds in order. Raises InvalidInput."""
    if stale is not None and stopped is not None and stopped < stale:
        raise InvalidInput(
            "stopped_minutes must not be smaller than stale_minutes.", fields={"stopped_minutes": ["too small"]}
        )


def _client_of(scope: Scope, account: str) -> Client:
    clients = Client.objects.select_for_update(no_key=True).filter(account_identifier=account, retired_at=None)
    client = (clients.filter(id=scope.client_id) if scope.client_id else clients).first()
    if client is None:
        raise InvalidInput(
            f"No client found with account_identifier '{account}'",
            code="unknown_account",
            fields={"account": ["unknown"]},
        )
    if client.deletion_requested_at:
        raise Conflict("This client is being deleted.", code="deleting")
    return client


def _check_at_rest(scope: Scope, bot: Bot, changes: dict[str, Any]) -> None:
    changed = [name for name in ONLY_AT_REST if name in changes and not _is_same(bot, name, changes[name])]
    if changed and not is_at_rest(bot, status := selectors.bot_status(scope, bot.id)):
        raise Conflict(
            f"{', '.join(changed)} can only change while the bot is stopped; it is {status}.", code="bot_running"
        )


def _is_same(bot: Bot, name: str, value: Any) -> bool:
    stored = bot.connector_name if name == "connector" else getattr(bot, name)
    return str(stored) == str(value)
