"""Value objects of the arena: what a model asks for, what a bot holds, what markets and limits allow, what is ordered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from arena.rules.words import NoteKind, ReplyAction, ReplyProblem
from ledger.rules.words import Action


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence about a decision. It is stored beside the decision and told to the model in its next briefing."""

    kind: NoteKind
    text: str
    index: int | None = None  # of the decision in the reply, from 0; None: about the reply as a whole
    symbol: str | None = None

    @property
    def is_failure(self) -> bool:
        """Whether something that was asked for did not happen."""
        return self.kind in (NoteKind.REFUSED, NoteKind.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one object of a reply asks for, as it was written: nothing of it is checked against anything yet."""

    action: ReplyAction
    symbol: str | None = None  # "BTC/USDT" where it could be told; ALL_SYMBOLS; None: it names none
    size: Decimal | None = None  # quote, the margin to bind
    quantity: Decimal | None = None  # base, where it says that instead of a size
    leverage: Decimal | None = None
    stop_loss: Decimal | None = None  # quote per base
    take_profit: Decimal | None = None
    confidence: Decimal | None = None  # a ratio, 0 to 1
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was read in a model's words. ``problem`` is one sentence where nothing can be used, and then there are no
    decisions; a reply that decides nothing (an empty list) has neither."""

    decisions: tuple[Decision, ...] = ()
    notes: tuple[Note, ...] = ()
    problem: str = ""
    problem_kind: ReplyProblem | None = None


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """One open paper position, as the ledger has it."""

    position_id: UUID
    symbol: str
    action: Action
    quantity: Decimal  # base
    entry_price: Decimal  # quote per base
    size: Decimal  # quote, the margin it binds
    leverage: Decimal
    opened_at: datetime
    mark_price: Decimal | None = None
    unrealized_pnl: Decimal | None = None  # at the mark, before the exit's fee
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    liquidation_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A bot's money and what it holds."""

    balance: Decimal  # quote, free to be bound: the account's balance
    equity: Decimal | None  # balance + margins + unrealised; None: a position has no mark
    peak_equity: Decimal | None  # the highest since the start or the last reset; None: not kept yet, the start counts
    starting_balance: Decimal
    positions: tuple[OpenPosition, ...] = ()  # oldest first
    realized_pnl: Decimal = Decimal(0)
    currency: str = "USDT"

    @property
    def unrealized_pnl(self) -> Decimal | None:
        """Of all positions; None where one has no mark."""
        gains = [position.unrealized_pnl for position in self.positions]
        return (
            None
            if any(gain is None for gain in gains)
            else sum((gain for gain in gains if gain is not None), Decimal(0))
        )


@dataclass(frozen=True, slots=True)
class MarketRule:
    """One market: its price now and what an order there must keep."""

    symbol: str
    price: Decimal | None  # quote per base; None: none that is fresh enough to trade on
    price_tick: Decimal | None  # the smallest difference of two prices
    quantity_step: Decimal | None  # base; None: not known, so nothing can be opened
    min_quantity: Decimal | None = None  # base; None: the exchange states none
    min_notional: Decimal | None = None  # quote; None: the exchange states none
    max_leverage: Decimal | None = None  # None: the exchange states none, the bot's own limit holds alone
    priced_at: datetime | None = None
    change_24h_ratio: Decimal | None = None  # 0.01 is one percent up
    quote_volume_24h: Decimal | None = None  # quote


@dataclass(frozen=True, slots=True)
class Costs:
    """What paper execution charges."""

    fee_ratio: Decimal = Decimal("0.0005")  # of the notional, on entering and on leaving
    slippage_ratio: Decimal = Decimal(0)  # of the price, always to the bot's disadvantage
    maintenance_ratio: Decimal = Decimal("0.005")  # of the notional: margin below which a position is liquidated


@dataclass(frozen=True, slots=True)
class Limits:
    """What a bot may do, from its row and the arena's settings. No prompt and no reply changes it."""

    symbols: frozenset[str]  # what it may open; it may close whatever it holds
    min_size: Decimal = Decimal(50)  # quote, margin
    max_leverage: Decimal = Decimal(10)
    max_leverage_by_symbol: Mapping[str, Decimal] = field(default_factory=dict)  # narrower for these
    max_open_positions: int = 10
    max_exposure_ratio: Decimal = Decimal(5)  # notional of all positions / equity
    max_drawdown_ratio: Decimal = Decimal("0.5")  # below the peak equity: nothing is opened from there on
    cooldown: timedelta = timedelta(minutes=30)  # after a close, before the symbol may be opened again
    allows_adding: bool = False  # to a position of the same symbol and direction


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """A position to open, or to add to, at the market. Every limit is kept at the price it was checked at."""

    index: int  # of the decision
    symbol: str
    action: Action
    size: Decimal  # quote, the margin that quantity binds at expected_price
    leverage: Decimal
    quantity: Decimal  # base, a multiple of the market's step
    checked_price: Decimal  # the market's
    expected_price: Decimal  # what it fills at, slippage included
    expected_fee: Decimal  # quote
    liquidation_price: Decimal | None  # None: it cannot be liquidated
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    adds_to: UUID | None = None  # an open position; None: a new one
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """An open position to close at the market, all of it."""

    index: int  # of the decision
    position_id: UUID
    symbol: str
    checked_price: Decimal
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Validated:
    """What of a reply is carried out, closes first, and a note for all that is not or is otherwise than asked."""

    closes: tuple[CloseOrder, ...] = ()
    entries: tuple[EntryOrder, ...] = ()
    holds: int = 0  # decisions that say HOLD
    notes: tuple[Note, ...] = ()

    @property
    def orders(self) -> tuple[CloseOrder | EntryOrder, ...]:
        """In the order in which they are to be carried out."""
        return (*self.closes, *self.entries)

    @property
    def is_success(self) -> bool:
        """Whether, once the orders are carried out, all that was asked for happened: never for an answer that holds
        nothing, and never where a note says that something was refused."""
        return bool(self.closes or self.entries or self.holds) and not any(note.is_failure for note in self.notes)
