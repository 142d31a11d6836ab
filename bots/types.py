"""What the bots app says about bots: the words of their states, and what Hummingbot answered, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class RuntimeKind(StrEnum):
    HUMMINGBOT = "hummingbot"  # the bridge deploys it through Hummingbot's API
    EXTERNAL = "external"  # somebody runs it elsewhere; the bridge records what is said
    ARENA = "arena"  # paper execution inside the bridge


class DesiredStatus(StrEnum):
    RUNNING = "running"  # someone wants it to trade
    STOPPED = "stopped"  # someone wants it to rest, or it was never started


class ReportedStatus(StrEnum):
    CREATED = "created"  # nothing was ever said
    RUNNING = "running"  # the last word, by a start or a heartbeat
    STOPPED = "stopped"  # the last word, by a stop or a heartbeat
    ERROR = "error"  # the last heartbeat said so


class RuntimeStatus(StrEnum):
    RUNNING = "running"  # a controller reports performance, or a script's container is up and heard from
    IDLE = "idle"  # its container is up, nothing was heard of it for 30 s
    STOPPED = "stopped"  # its container is up, no strategy runs in it
    STOPPING = "stopping"  # Hummingbot is stopping or archiving it
    EXITED = "exited"  # its container ended
    ABSENT = "absent"  # gone everywhere, as was asked
    UNKNOWN = "unknown"  # cannot be told


class BotStatus(StrEnum):
    """The word dashboards show, derived by rules/status.py."""

    CREATED = "created"  # never started
    STARTING = "starting"  # wanted running, not yet observed
    RUNNING = "running"  # wanted running and observed (external: said)
    STOPPING = "stopping"  # wanted stopped, not yet observed
    STOPPED = "stopped"  # wanted stopped and observed (external: said)
    ERROR = "error"  # wanted running, and the runtime failed or ended
    UNKNOWN = "unknown"  # cannot be told


class DeploymentStatus(StrEnum):
    PENDING = "pending"  # wanted; nothing was sent that could create a container
    DEPLOYING = "deploying"  # the deploy call is being made; a worker that dies here leaves an unknown outcome
    UNKNOWN_OUTCOME = "unknown_outcome"  # the call's answer was lost: look it up, never send it again
    DEPLOYED = "deployed"  # Hummingbot made a container and told its name
    STOPPING = "stopping"  # the strategy was told to stop
    RETIRING = "retiring"  # the strategy has stopped; its container is to be archived
    CLOSED = "closed"  # nothing of it is left running
    FAILED = "failed"  # definitely not deployed, or refused; a person must start again


OPEN_DEPLOYMENT_STATUSES = (
    DeploymentStatus.PENDING,
    DeploymentStatus.DEPLOYING,
    DeploymentStatus.UNKNOWN_OUTCOME,
    DeploymentStatus.DEPLOYED,
    DeploymentStatus.STOPPING,
)
"""At most one of these per bot: each may trade, or come to trade."""

LIVE_DEPLOYMENT_STATUSES = (*OPEN_DEPLOYMENT_STATUSES, DeploymentStatus.RETIRING)
"""The reconciler still has something to do or to watch."""


class TemplateKind(StrEnum):
    CONTROLLER = "controller"
    SCRIPT = "script"


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
class ConnectorField:
    name: str
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


@dataclass(frozen=True, slots=True)
class Template:
    """How a strategy label becomes something Hummingbot runs.

    ``schema`` validates the bot's config with ``defaults`` applied. ``mapping`` is the controller's (or script's)
    config; the text "$name" in it is replaced by the config's value of that name, "$$connector", "$$pair" and
    "$$name" by the bot's connector and pair, as Hummingbot writes them, and by the config's own name.
    """

    name: str
    kind: TemplateKind
    controller_type: str
    controller_name: str  # for a script its file name without .py
    defaults: Mapping[str, Any]
    schema: Mapping[str, Any]
    mapping: Mapping[str, Any]
