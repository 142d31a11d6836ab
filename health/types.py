"""What a check found and what was made of it, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind, RuntimeStatus


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


class ProbeOutcome(StrEnum):
    """How the look at anything else ended; the words mean what they mean for trades."""

    READ = "read"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    RATE_LIMITED = "rate_limited"
    NOT_READABLE = "not_readable"  # by design: no credentials, not carried, no such call there
    NOT_ASKED = "not_asked"  # nothing made it necessary, or its circuit is open


@dataclass(frozen=True, slots=True)
class OrdersSeen:
    """The bot's open orders on the book of its pair."""

    outcome: ProbeOutcome = ProbeOutcome.NOT_ASKED
    detail: str = ""
    count: int | None = None  # of the account on this pair
    newest_at: datetime | None = None  # when the newest of them was placed; None: not told
    is_own: bool = False  # surely this bot's: no rival trades there, or its order ids tell
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shortage:
    """A currency of which the account has less free than the bot's next order needs."""

    currency: str
    free: Decimal
    needed: Decimal | None  # None: the size of its orders is not known, and nothing is left

    @property
    def is_out(self) -> bool:
        return self.free <= 0


@dataclass(frozen=True, slots=True)
class BalanceSeen:
    """What the account has for the bot's next orders. A spot buy needs quote, a spot sell base, a contract margin."""

    outcome: ProbeOutcome = ProbeOutcome.NOT_ASKED
    detail: str = ""
    shortages: tuple[Shortage, ...] = ()
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuntimeSeen:
    """What Hummingbot showed of the bot's present run; only of bots that it runs."""

    status: RuntimeStatus
    explanation: str
    observed_at: datetime
    changed_at: datetime | None = None  # since when the status is this one
    figures_changed_at: datetime | None = None  # when the figures of its controllers last changed
    errors: tuple[str, ...] = ()  # newest lines of its error log, cut and without secrets
    errors_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExchangeSeen:
    """What is known of the exchange and of the bot's key there, apart from this bot."""

    is_reachable: bool | None = None  # None: not known
    is_key_valid: bool | None = None
    detail: str = ""  # one sentence where one of them is not so
    since: datetime | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    word: ReportedStatus
    received_at: datetime
    expires_at: datetime | None = None  # by the bot's own plan; None: the common time-out holds
    detail: str = ""  # "run 7 ended with exit code 3 after 12 s"


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
    orders: OrdersSeen = field(default_factory=OrdersSeen)
    balance: BalanceSeen = field(default_factory=BalanceSeen)
    runtime: RuntimeSeen | None = None
    exchange: ExchangeSeen = field(default_factory=ExchangeSeen)


@dataclass(frozen=True, slots=True)
class Limits:
    """Trade age below ``stale`` is healthy, up to ``stopped`` stale, beyond stopped."""

    stale: timedelta
    stopped: timedelta
    heartbeat: timedelta
    source: str = "environment"  # bot, learned, settings or environment: who set stale or stopped
    why: str = ""  # where they were learned: "quiet is normal here: longest gap this week 3 h 10 min"


@dataclass(frozen=True, slots=True)
class LearnedLimits:
    """What a bot's own trades taught, at the moment it is asked: rules/cadence.py says how."""

    stale: timedelta
    stopped: timedelta
    why: str  # one sentence: "quiet is normal here: longest gap this week 3 h 10 min"


@dataclass(frozen=True, slots=True)
class Verdict:
    status: HealthStatus
    message: str  # a sentence for an operator
    decided_by: str  # the probe that decided: trades, orders, balance, heartbeat, runtime, exchange, start, stop
    changes_when: str = ""  # a sentence: what would change its mind
    cause: str = ""  # what most likely made it so: balance, key, exchange, runtime; empty: not known


@dataclass(frozen=True, slots=True)
class Standing:
    """What a bot's health row said when it was read: a verdict is written only if this still holds."""

    status: HealthStatus
    message: str
    status_updated_at: datetime
