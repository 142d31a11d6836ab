"""Old strategies become ours: what ran waits for a person, what is over goes to the history as it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from bots.models import Bot, BotHealth
from bots.rules.templates import validate_config
from bots.rules.words import DesiredStatus, HealthStatus, RuntimeKind
from bots.services.find_connector import find_connector
from bots.services.manage_bots import find_template
from bridge_project.use_cases.old_data.report import KNOWN, MADE, Report
from bridge_project.use_cases.old_data.strategy_rows import ACTIVE, HISTORY
from bridge_project.use_cases.old_data.values import (
    OldRow,
    Refused,
    count_of,
    decimal_of,
    instant_of,
    new_id,
    object_of,
    text_of,
)  # fmt: skip
from clients.models import Client, Connector
from exchanges import symbols
from ground.errors import InvalidInput
from ledger.rules.pnl import amount
from strategies.models import ActiveStrategy, StrategyHistory
from strategies.rules.configs import with_interval
from strategies.rules.markets import canonical_exchange, check_interval
from strategies.rules.words import DEFAULT_INTERVAL, DEFAULT_REASON, StrategyStatus
from strategies.services.versions import keep_version

WAITING = "Imported. Start it here once the old service is off."
_RAN = {"", "active", "running", "restoring"}
_LARGEST = 10**20  # of a money column


@dataclass(frozen=True, slots=True)
class OldStrategy:
    """What a row of either table says of its strategy."""

    symbol: str  # BASE/QUOTE
    symbol_shown: str
    strategy_type: str
    exchange: str  # as it was given
    interval: str
    config: dict[str, Any]  # without mode and interval
    started_at: datetime

    @property
    def old_id(self) -> str:
        """Names the run: the old ids began anew whenever the file was lost."""
        return f"{self.symbol_shown} {self.strategy_type} {self.exchange} {self.started_at.isoformat()}"[:190]


def read_strategy(row: OldRow, report: Report) -> OldStrategy:
    """Strictly. Raises Refused."""
    shown, config = text_of(row, "symbol", limit=40), object_of(row, "config", "last_config")
    try:
        symbol = symbols.normalize(shown)
    except InvalidInput as error:
        raise Refused(error.message) from None
    started_at = instant_of(row, "started_at", "created_at")
    if started_at is None:
        raise Refused("It has no started_at.")
    mode, interval = str(config.pop("mode", "")), text_of(row, "interval") or str(config.pop("interval", ""))
    strategy_type = text_of(row, "strategy_type", "mode", limit=64) or mode[:64]
    if not strategy_type:
        raise Refused("It has no strategy_type.")
    exchange = text_of(row, "exchange", limit=64)
    if not exchange:
        exchange = settings.STRATEGY_DEFAULT_EXCHANGE
        report.note(f"Where no exchange was kept, it is taken for {exchange}.")
    try:
        interval = check_interval(interval or DEFAULT_INTERVAL)
    except InvalidInput:
        report.note(f"The interval '{interval[:40]}' of {shown} is none, and became {DEFAULT_INTERVAL}.")
        interval = DEFAULT_INTERVAL
    return OldStrategy(symbol, shown, strategy_type, exchange, interval, config, started_at)


def import_active(row: OldRow, client: Client, report: Report, *, now: datetime) -> UUID | None:
    """A strategy that ran, with its bot and first config version: it waits for a person, and its row says why. Its id
    where it is new and could run. Raises Refused."""
    word = text_of(row, "status").lower()
    if word not in _RAN:
        raise Refused(f"Its status was '{word[:40]}': nothing of it ran.")
    old = read_strategy(row, report)
    exchange = canonical_exchange(old.exchange)
    if Bot.objects.filter(client=client, source=report.source, source_id=old.old_id).exists():
        report.count(ACTIVE, KNOWN)  # also when it was stopped here since: that stands
        return None
    if ActiveStrategy.objects.filter(client=client, exchange=exchange, symbol=old.symbol).exists():
        raise Refused(f"A strategy for {old.symbol_shown} on {exchange} is here already.")
    config, problem = _fitting_config(old)
    bot = _make_bot(old, client, config, report)
    actor = f"import:{report.source}"
    version = keep_version(
        bot=bot, config=old.config, interval=old.interval, actor=actor, note="imported", now=now
    )  # fmt: skip
    strategy = ActiveStrategy.objects.create(
        client=client, bot=bot, exchange=exchange, symbol=old.symbol, symbol_shown=old.symbol_shown,
        strategy_type=old.strategy_type, interval=old.interval, config=old.config, version=version,
        status=StrategyStatus.QUARANTINED, status_at=now, message=(problem or WAITING)[:500], started_at=old.started_at,
        started_by=actor, last_active=instant_of(row, "last_active"), source=report.source, source_id=old.old_id,
    )  # fmt: skip
    report.count(ACTIVE, MADE)
    if problem:
        report.note(f"{old.symbol_shown} ({old.strategy_type}) cannot run yet: {problem}")
    return None if problem else strategy.id


def import_run(row: OldRow, client: Client, report: Report) -> None:
    """A run that is over, into the history; its figures stay what they were. Raises Refused."""
    old, stopped_at = read_strategy(row, report), instant_of(row, "stopped_at", "ended_at")
    if stopped_at is None:
        raise Refused("It has no stopped_at.")
    if stopped_at < old.started_at:
        raise Refused("It stopped before it started.")
    source_id = f"{old.old_id}"[:150] + f" {stopped_at.isoformat()}"
    if StrategyHistory.objects.filter(client=client, source=report.source, source_id=source_id).exists():
        report.count(HISTORY, KNOWN)
        return
    pnl, fees = _money(row, "pnl", "profit"), _money(row, "fees", "fee")
    StrategyHistory.objects.create(
        client=client, bot=None, exchange=canonical_exchange(old.exchange), symbol=old.symbol,
        symbol_shown=old.symbol_shown, strategy_type=old.strategy_type, interval=old.interval, config=old.config,
        started_at=old.started_at, stopped_at=stopped_at, reason=text_of(row, "reason", limit=10_000)[:300] or DEFAULT_REASON,
        pnl=pnl, fees=fees, trades_count=count_of(row, "trades_count", "trades"),
        currency=old.symbol.partition("/")[2] if pnl is not None or fees is not None else "", source=report.source,
        source_id=source_id,
    )  # fmt: skip
    report.count(HISTORY, MADE)


def _money(row: OldRow, *names: str) -> Any:
    told = decimal_of(row, *names)
    if told is not None and abs(told) >= _LARGEST:
        raise Refused(f"{names[0]} is too large.")
    return None if told is None else amount(told)


def _fitting_config(old: OldStrategy) -> tuple[dict[str, Any], str]:
    """The bot's config, and why it could not run with it; "" where it could."""
    template = find_template(old.strategy_type)
    if template is None:
        return dict(old.config), f"There is no template for the mode '{old.strategy_type}'."
    config = with_interval(template, old.config, old.interval)
    try:
        validate_config(template, config)
    except InvalidInput as error:
        return config, error.message
    return config, ""


def _make_bot(old: OldStrategy, client: Client, config: dict[str, Any], report: Report) -> Bot:
    connector, stored = _connector(old, client, report)
    bot = Bot.objects.create(
        id=new_id("bot", f"{report.source} {client.id}", old.old_id), client=client, connector=connector,
        connector_name=stored, name=f"{old.strategy_type} {old.symbol_shown}", pair=old.symbol, strategy=old.strategy_type,
        config=config, runtime_kind=RuntimeKind.HUMMINGBOT, desired_status=DesiredStatus.CREATED, source=report.source,
        source_id=old.old_id,
    )  # fmt: skip
    BotHealth.objects.create(
        bot=bot, client_id=client.id, status=HealthStatus.UNKNOWN, message="Imported, not checked yet."
    )
    return bot


def _connector(old: OldStrategy, client: Client, report: Report) -> tuple[Connector | None, str]:
    try:
        return find_connector(client_id=client.id, name=old.exchange, connector_id=None)
    except InvalidInput as error:
        if error.code != "ambiguous_connector":
            raise Refused(error.message) from None
        report.note(
            f"{old.symbol_shown} may use several connectors named {old.exchange}: choose one on its bot's page."
        )
        return None, old.exchange
