"""Every word of the ledger, with what it means."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    LIVE = "live"  # executed by an exchange, with money
    PAPER = "paper"  # executed inside this product, with none


class TradeType(StrEnum):
    """What an execution did to the position it touched."""

    ENTRY = "entry"  # opened or grew it
    EXIT = "exit"  # closed all or part of it


class Action(StrEnum):
    """The direction of the position that an execution touched."""

    LONG = "LONG"  # gains when the price rises
    SHORT = "SHORT"  # gains when the price falls


class Cause(StrEnum):
    """Why an execution happened."""

    MODEL = "model"  # a language model decided it
    OPERATOR = "operator"  # a person did
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    LIQUIDATION = "liquidation"
    RUNTIME = "runtime"  # the bot's own strategy, in Hummingbot or elsewhere
    IMPORT = "import"  # an old system recorded it and did not say why


class PositionStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class BucketSpan(StrEnum):
    """How long a stretch of equity a bucket sums up."""

    HOUR = "hour"
    DAY = "day"


class TradeSpan(StrEnum):
    """What hours of trades are added up to."""

    DAY = "day"
    MONTH = "month"


class Period(StrEnum):
    """What a leaderboard looks back on."""

    DAILY = "daily"  # 24 hours
    WEEKLY = "weekly"  # 7 days
    MONTHLY = "monthly"  # 30 days
    ALL_TIME = "all_time"


class ImportStatus(StrEnum):
    STAGING = "staging"  # being read; nothing of it is in the ledger yet
    DONE = "done"  # moved into the ledger, all of it at once
    FAILED = "failed"  # could not be read; nothing was written
