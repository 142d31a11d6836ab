"""Every status word of the arena's tables, with what it means."""

from __future__ import annotations

from enum import StrEnum


class ProviderKind(StrEnum):
    """Whose way of asking a provider speaks."""

    OPENAI = "openai"
    OPENAI_COMPATIBLE = "compatible"  # chat completions at an address of its own: local servers, Grok, DeepSeek, ...
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


class TurnCause(StrEnum):
    SCHEDULE = "schedule"
    FORCED = "forced"  # a person asked for it


class TurnStatus(StrEnum):
    CLAIMED = "claimed"  # a worker has it; nothing was asked yet
    ASKED = "asked"  # the model was, or may have been, asked; it is never asked again in this turn
    ANSWERED = "answered"  # its words are stored; nothing has read them yet
    DONE = "done"  # the decision stands, with all that came of it
    FAILED = "failed"  # no readable answer, or it came too late
    SKIPPED = "skipped"  # nobody was asked: stale prices, a budget that is spent, a stop


OPEN_TURNS = (TurnStatus.CLAIMED, TurnStatus.ASKED, TurnStatus.ANSWERED)

TURN_MOVES: dict[TurnStatus, frozenset[TurnStatus]] = {
    TurnStatus.CLAIMED: frozenset({TurnStatus.ASKED, TurnStatus.SKIPPED, TurnStatus.FAILED}),
    TurnStatus.ASKED: frozenset({TurnStatus.ANSWERED, TurnStatus.FAILED, TurnStatus.SKIPPED}),
    TurnStatus.ANSWERED: frozenset({TurnStatus.DONE, TurnStatus.FAILED, TurnStatus.ASKED, TurnStatus.SKIPPED}),
    TurnStatus.DONE: frozenset(),
    TurnStatus.FAILED: frozenset(),
    TurnStatus.SKIPPED: frozenset(),
}
"""ANSWERED goes back to ASKED where a bot thinks in several steps."""


class CallPurpose(StrEnum):
    TURN = "turn"
    SUMMARY = "summary"
    SHADOW = "shadow"  # a stored turn asked again, without trades
    TEST = "test"  # the button beside a provider


class CallStatus(StrEnum):
    RESERVED = "reserved"  # its estimate is set aside; it may be on its way
    ANSWERED = "answered"  # the reply is stored
    FAILED = "failed"  # refused, or never sent: it cost nothing
    LOST = "lost"  # whether it was carried out is not known: its estimate counts as spent


class SpendSpan(StrEnum):
    DAY = "day"
    MONTH = "month"


class HaltScope(StrEnum):
    """What stands still."""

    ALL = "all"
    CLIENT = "client"
    BOT = "bot"


class HaltKind(StrEnum):
    SWITCH = "switch"  # a person pulled it
    UNREADABLE = "unreadable"  # too many answers in a row that nobody could read
    REFUSED = "refused"  # too many decisions in a row that validation refused
    DRAWDOWN = "drawdown"  # its equity fell too far


class SummaryStatus(StrEnum):
    WANTED = "wanted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ShadowStatus(StrEnum):
    WANTED = "wanted"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"  # by a person, or because the budget is spent


class ShadowKind(StrEnum):
    MODEL = "model"  # the stored turns asked again of another provider or prompt
    RULES = "rules"  # the same decisions under another fee or stop rule; asks nobody


class BarSpan(StrEnum):
    """How long a bar of prices is."""

    FIVE_MINUTES = "5m"
    HOUR = "1h"


class EventKind(StrEnum):
    """What listeners of the stream are told of."""

    DECISION = "decision"
    TRADE = "trade"
    STATE = "state_update"  # balance, equity, pause, halt: something of the bot's state moved
    HEALTH = "health"
