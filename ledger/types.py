"""Value objects that go in and out of the ledger's services."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from exchanges.types import MarketType, Trade
from ledger.rules.words import Cause


@dataclass(frozen=True, slots=True)
class NewExecution:
    """An execution that an exchange reported of a client's account, and the bot it is known to be of, if any."""

    client_id: UUID
    connector_id: UUID
    bot_id: UUID | None
    exchange: str
    market_type: MarketType
    trade: Trade
    cause: Cause = Cause.RUNTIME
    leverage: Decimal = Decimal(1)  # of the position it opens, where it opens one

    @property
    def key(self) -> tuple[UUID, str, str, str]:
        """What tells the same execution again."""
        return self.connector_id, str(self.market_type), self.trade.symbol, self.trade.exchange_trade_id


@dataclass(frozen=True, slots=True)
class Refused:
    """An execution that was not stored, and why: a sentence for an operator."""

    execution: NewExecution
    reason: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of the executions given; an execution counts once among the first three or is refused."""

    new: int = 0
    known: int = 0  # stored before, and nothing about it changed
    corrected: int = 0  # stored before with other facts, or without its bot
    unattributed: int = 0  # of all these, stored without a bot
    refused: tuple[Refused, ...] = ()

    def plus(self, other: Recorded) -> Recorded:
        return Recorded(
            self.new + other.new,
            self.known + other.known,
            self.corrected + other.corrected,
            self.unattributed + other.unattributed,
            self.refused + other.refused,
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored value that does not follow from the trades."""

    table: str
    row_id: UUID | None  # None: the row is missing
    column: str  # empty: the whole row
    stored: str
    computed: str

    def __str__(self) -> str:
        what = f"{self.column} is" if self.column else "there is"
        stored, computed = self.stored or "nothing", self.computed or "nothing"
        return f"{self.table} {self.row_id or ''}: {what} {stored}, its trades give {computed}"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What recomputing a bot's books from its trades found, and whether it was put right."""

    trades: int
    positions: int
    differences: tuple[Difference, ...]
    is_repaired: bool
