"""What Hummingbot answered, and what the bridge makes of it, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.rules.words import RuntimeStatus, TemplateKind

# What Hummingbot answered. Money is Decimal, instants are aware UTC, None means that it did not say.


@dataclass(frozen=True, slots=True)
class ApiVersion:
    name: str
    version: str  # for people; not a feature test


@dataclass(frozen=True, slots=True)
class HeldPosition:
    connector: str
    symbol: str  # as Hummingbot writes it, BTC-USDT
    side: str  # "buy" or "sell"
    quantity: Decimal
    breakeven_price: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    fees: Decimal | None


@dataclass(frozen=True, slots=True)
class Performance:
    realized_pnl: Decimal | None  # quote
    unrealized_pnl: Decimal | None  # quote
    global_pnl: Decimal | None  # quote
    volume: Decimal | None  # quote
    positions: tuple[HeldPosition, ...] = ()
    close_counts: Mapping[str, int] = field(default_factory=dict)  # "TAKE_PROFIT" -> 3


@dataclass(frozen=True, slots=True)
class ControllerReport:
    controller: str
    word: str  # Hummingbot's; it does not say that the controller runs
    performance: Performance | None  # None: an empty report, which a stopped strategy leaves behind
    digest: str  # changes whenever the report does


@dataclass(frozen=True, slots=True)
class LogLine:
    level: str
    text: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One bot in Hummingbot's memory. ``word`` is Hummingbot's and can lie; rules/observation.py judges it."""

    name: str
    word: str
    reports: tuple[ControllerReport, ...] = ()
    recently_active: bool | None = None
    source: str | None = None
    error: str | None = None
    error_logs: tuple[LogLine, ...] = ()

    @property
    def is_reporting(self) -> bool:
        """Whether a controller holds a performance report, the only sign that a strategy ran."""
        return any(report.performance is not None for report in self.reports)


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    status: str
    image: str


@dataclass(frozen=True, slots=True)
class MessageBroker:
    is_connected: bool  # stays true after the connection was lost
    heard: tuple[str, ...]
    listed: tuple[str, ...]
    client_state: str | None


@dataclass(frozen=True, slots=True)
class BotRun:
    """A row of Hummingbot's own log of deploys; it is written once and hardly ever corrected."""

    id: int
    instance_name: str
    account: str | None
    run_status: str
    deployment_status: str
    deployed_at: datetime | None
    stopped_at: datetime | None
    controllers: tuple[str, ...] = ()
    error: str | None = None
    final: InstanceStatus | None = None
    script: str | None = None  # what was deployed, where it was a script
    script_config: str | None = None


@dataclass(frozen=True, slots=True)
class ArchivedSummary:
    pairs: tuple[str, ...]  # as Hummingbot writes them, BTC-USDT
    connectors: tuple[str, ...]
    trades: int


@dataclass(frozen=True, slots=True)
class Deployed:
    instance_name: str  # with Hummingbot's suffix
    controllers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandPublished:
    """Hummingbot put a command on its message broker. Nobody may have heard it."""

    instance_name: str
    command: str


@dataclass(frozen=True, slots=True)
class ArchiveStarted:
    instance_name: str


@dataclass(frozen=True, slots=True)
class NamedConfig:
    name: str
    content: Mapping[str, Any]
    error: str | None = None  # the stored file is malformed


@dataclass(frozen=True, slots=True)
class TemplateField:
    name: str
    type_text: str
    default: Any
    is_required: bool


@dataclass(frozen=True, slots=True)
class InstanceTrade:
    """One execution from a live bot's own records."""

    trade_id: str
    connector: str
    symbol: str  # BTC-USDT
    side: str
    price: Decimal
    quantity: Decimal
    traded_at: datetime
    fees: tuple[tuple[str, Decimal], ...] = ()  # (currency, amount)


@dataclass(frozen=True, slots=True)
class PerformanceSnapshot:
    instance_name: str
    recorded_at: datetime
    report: ControllerReport


# What the bridge makes of it.


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at Hummingbot. ``active`` and ``exited`` are None when Docker's lists could not be read."""

    statuses: Mapping[str, InstanceStatus]
    active: frozenset[str] | None
    exited: frozenset[str] | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    status: RuntimeStatus
    explanation: str
    observed_at: datetime
    misses: int = 0  # looks in a row that could not place it
    digest: str = ""  # of its reports; unchanged digests say nothing by themselves
    nowhere_at: datetime | None = None  # when this look found it in none of Hummingbot's lists, all of them read


@dataclass(frozen=True, slots=True)
class Template:
    """How a strategy label becomes something Hummingbot runs.

    ``schema`` validates the bot's config with ``defaults`` applied. ``mapping`` is the controller's (or script's)
    config: a text "{key}" in it is replaced by the config's value of that name, "{bot.connector}" and "{bot.pair}" by
    the bot's own as Hummingbot writes them, "{bot.config_name}" by the name the config is stored under.
    """

    name: str
    kind: TemplateKind
    controller_type: str
    controller_name: str  # for a script its file name without .py
    defaults: Mapping[str, Any]
    schema: Mapping[str, Any]
    mapping: Mapping[str, Any]
