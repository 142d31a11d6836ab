"""What somebody who raises incidents says, and what messages are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from alerts.rules.words import DeliveryStatus, MessageKind, Severity


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now. ``kind`` and ``key`` together say what it is, so that it is told once.

    ``kind`` names the rule that is broken (``ledger_balance``), ``key`` what it is about (a bot's id), ``title`` is one
    sentence for an operator. ``details`` is JSON; a list ``rows`` in it of ``{table, id, expected, found}`` is shown as
    a table with links to the rows, ``exchange`` (a ccxt id) lets maintenance windows of that exchange hold it, and
    ``client_title`` is the sentence for clients whose bots an incident of nobody touches (they see nothing else of it).
    A bot needs its client beside it; without a client only operators see it.
    """

    kind: str
    key: str
    title: str
    severity: Severity = Severity.WARNING
    client_id: UUID | None = None
    bot_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BotShown:
    """A bot as a message names it."""

    id: UUID
    client_id: UUID
    name: str
    account: str
    exchange: str  # the ccxt id
    symbol: str


@dataclass(frozen=True, slots=True)
class Case:
    """An incident as it stands, with everything that deciding and wording its messages needs."""

    id: UUID
    kind: str
    key: str
    severity: Severity
    title: str
    opened_at: datetime
    last_seen_at: datetime
    client_id: UUID | None = None
    account: str = ""
    bot: BotShown | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    touched: Mapping[UUID, tuple[BotShown, ...]] = field(default_factory=dict)  # by client, each by name
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    resolution: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a channel belongs to: operators (nothing set), a client, or a client for one bot."""

    client_id: UUID | None = None
    bot_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of the day in which messages wait. ``days`` are those on which they begin, 1 Monday; empty: every day."""

    begins: time
    ends: time  # of the next day where it is not later than ``begins``
    timezone: str = "UTC"
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """Which incidents go to a channel, when and how often."""

    id: UUID
    channel_id: UUID
    reader: Reader = Reader()
    kinds: frozenset[str] = frozenset()  # empty: all
    min_severity: Severity = Severity.WARNING
    after: timedelta = timedelta()
    repeat: timedelta | None = None
    sends_recovery: bool = True
    quiet: QuietHours | None = None
    critical_breaks_quiet: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """A time of maintenance: once from ``starts_at`` to ``ends_at``, or repeated by ``cron`` for ``duration`` each."""

    name: str
    starts_at: datetime
    ends_at: datetime | None = None
    cron: str = ""
    timezone: str = "UTC"
    duration: timedelta = timedelta()
    client_id: UUID | None = None
    bot_id: UUID | None = None
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """What keeps every message back."""

    is_muted: bool = False
    held_until: datetime | None = None  # set at each boot
    awaits_cycle: bool = False  # not every bot was looked at yet since the boot


@dataclass(frozen=True, slots=True)
class Silence:
    """Why a message does not leave now, and when to look again."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Silences:
    """Everything that can keep messages back at one moment. ``snoozes`` by kind and key: until when."""

    hold: Hold = Hold()
    windows: tuple[Window, ...] = ()
    snoozes: Mapping[tuple[str, str], datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Words:
    """A message: a line, plain text, and the JSON that a webhook sends."""

    title: str
    body: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that is due, with what the decision whether it leaves needs to know."""

    kind: MessageKind
    is_held: bool = False  # a silence kept it back before, and nobody has tried to send it
    is_channel_enabled: bool = True
    is_resolved: bool = False
    taken_on_by: str = ""
    others: tuple[
        tuple[MessageKind, DeliveryStatus, bool], ...
    ] = ()  # same channel and incident: kind, status, is newer
    is_broken_again: bool = False  # an incident of the same kind and key is open


@dataclass(frozen=True, slots=True)
class Go:
    """It leaves now."""


@dataclass(frozen=True, slots=True)
class PutOff:
    """It waits and is looked at again then."""

    until: datetime
    why: str
    is_silence: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """It is not sent at all."""

    why: str
