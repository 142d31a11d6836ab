"""What a check found and what was made of it, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind


class TradesOutcome(StrEnum):
    """How the look at a bot's own trades ended."""

    READ = "read"  # a readable answer, which may hold no trade at all
    NO_CREDENTIALS = "no_credentials"  # nothing to log in with
    NOT_READABLE = "not_readable"  # ccxt does not carry the exchange, or cannot read own trades there
    REFUSED = "refused"  # key, permission or market: a person must act
    UNREADABLE = "unreadable"  # time-out, 5xx, HTML, empty or garbage: says nothing about the bot
    RATE_LIMITED = "rate_limited"
    BROKE = "broke"  # our own check broke
    NOT_ASKED = "not_asked"


BY_DESIGN = (TradesOutcome.NO_CREDENTIALS, TradesOutcome.NOT_READABLE)
"""Trades cannot be read and no repetition changes that: only here may a heartbeat stand in for them."""


@dataclass(frozen=True, slots=True)
class TradesSeen:
    """What the exchange showed of a bot's own trades. Instants are believable: never later than the look."""

    outcome: TradesOutcome = TradesOutcome.NOT_ASKED
    detail: str = ""  # one sentence where the outcome is not READ
    where: str = ""  # "BTC/USDT at KuCoin"
    newest_at: datetime | None = None  # the newest trade that is surely this bot's
    shared_at: datetime | None = None  # the newest one that this bot or a rival made
    future_at: datetime | None = None  # the newest one, when its time lies in the future
    count: int | None = None  # trades that are surely this bot's
    rivals: tuple[str, ...] = ()  # who else may have made the shared ones, as the operator may be told
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    word: ReportedStatus
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """What was wanted of the bot, and since when it runs."""

    kind: RuntimeKind
    desired: DesiredStatus
    desired_at: datetime | None = None
    desired_by: str = ""
    confirmed_at: datetime | None = None  # when the present run was confirmed; Hummingbot bots only
    seen_running_at: datetime | None = None  # when it was last observed running; None: it is not


@dataclass(frozen=True, slots=True)
class Evidence:
    run: Run
    trades: TradesSeen = field(default_factory=TradesSeen)
    heartbeat: Heartbeat | None = None
    known_trade_at: datetime | None = None  # the newest own trade that an earlier check saw


@dataclass(frozen=True, slots=True)
class Limits:
    """Trade age below ``stale`` is healthy, up to ``stopped`` stale, beyond stopped."""

    stale: timedelta
    stopped: timedelta
    heartbeat: timedelta
    source: str = "environment"  # bot, settings or environment: who set stale or stopped


@dataclass(frozen=True, slots=True)
class Verdict:
    status: HealthStatus
    message: str  # a sentence for an operator
    decided_by: str  # the probe that decided: trades, heartbeat, start, stop


@dataclass(frozen=True, slots=True)
class Standing:
    """What a bot's health row said when it was read: a verdict is written only if this still holds."""

    status: HealthStatus
    message: str
    status_updated_at: datetime
