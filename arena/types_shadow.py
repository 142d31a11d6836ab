"""What a replay of stored turns is made from, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from arena.types import Costs, Limits, MarketRule
from ledger.rules.words import Action, Cause


@dataclass(frozen=True, slots=True)
class HeldThen:
    """A position that the real bot held when a turn began."""

    position_id: UUID
    symbol: str
    action: Action
    quantity: Decimal  # base
    entry_price: Decimal
    leverage: Decimal
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    liquidation_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn with the stand that its bot was shown, as it was stored."""

    id: UUID
    number: int
    shown_at: datetime
    decided_at: datetime  # when what it decided was carried out
    prices: Mapping[str, Decimal]
    balance: Decimal
    positions: tuple[HeldThen, ...]
    cooldowns: Mapping[str, datetime]
    limits: Limits
    costs: Costs
    funding_rate_8h: Decimal = Decimal(0)
    peak_equity: Decimal | None = None  # None: it was not stored
    starting_balance: Decimal = Decimal(0)
    is_replayed: bool = True  # False: it only shows prices


@dataclass(frozen=True, slots=True)
class RealFill:
    """A fill of the real ledger. Stops are told with an entry."""

    at: datetime
    position_id: UUID
    symbol: str
    action: Action  # of the position
    is_entry: bool
    price: Decimal  # what it filled at
    quantity: Decimal
    leverage: Decimal
    fee: Decimal
    cause: Cause
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    liquidation_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low and last of the prices that were seen of a market in one span."""

    symbol: str
    start_at: datetime
    end_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of some turns of a bot, oldest first."""

    turns: tuple[StoredTurn, ...]
    fills: tuple[RealFill, ...] = ()
    bars: tuple[Bar, ...] = ()
    markets: Mapping[str, MarketRule] = field(default_factory=dict)  # steps, ticks and minimums; prices are the turns'


@dataclass(frozen=True, slots=True)
class OtherRules:
    """What is charged, and where stops stand, otherwise than it was; None: as it was."""

    fee_ratio: Decimal | None = None
    slippage_ratio: Decimal | None = None
    stop_loss_ratio: Decimal | None = None  # of the entry price, away from it; 0: no stop at all
    take_profit_ratio: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """Where both stand after one turn, at the prices that it was shown; None: something held had no price."""

    turn_id: UUID
    equity: Decimal | None
    real_equity: Decimal | None
    notes: tuple[str, ...]  # what happened in the simulation since the turn before, and in it


@dataclass(frozen=True, slots=True)
class Played:
    """What a book came to from the first turn's stand to the last turn's end. Quote; None: not known."""

    start_equity: Decimal | None
    equity: Decimal | None
    max_drawdown_ratio: Decimal | None  # of the equity at turns
    trades: int  # fills
    closed: int  # positions
    fees: Decimal

    @property
    def profit(self) -> Decimal | None:
        return None if self.equity is None or self.start_equity is None else self.equity - self.start_equity

    @property
    def return_ratio(self) -> Decimal | None:
        profit = self.profit
        return None if profit is None or not self.start_equity else profit / self.start_equity


@dataclass(frozen=True, slots=True)
class Simulated:
    """A replay, beside what really happened over the same turns and prices."""

    simulated: Played
    real: Played
    turns: tuple[TurnOutcome, ...]
