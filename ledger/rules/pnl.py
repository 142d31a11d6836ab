"""Profit and loss at average cost: what one execution does to one position. Exact, and the same however it arrives.

What a position cost is kept as it stood after the last entry (``basis_*``) and what a close takes out of it is the
difference of two cumulative shares, rounded to 36 decimals; an exit's pnl is the difference of two cumulative results,
rounded to 18. So an execution that arrives in parts, or again in a replay, changes no sum by a single digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from exchanges.types import Side
from ledger.rules.words import Action, TradeType

WIDE = Context(prec=240, rounding=ROUND_HALF_EVEN)  # holds any product of three columns with all its digits
AMOUNT_STEP = Decimal("1e-18")  # what a numeric(38,18) column holds
EXACT_STEP = Decimal("1e-36")  # what a numeric(76,36) column holds
ZERO = Decimal(0)


class FeeTooLarge(ValueError):
    """A fee in the base currency that is as large as the execution itself: one of the two is wrong."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What was executed, as far as profit is concerned.

    ``fee_base`` is the fee where it was charged in the coin itself, ``fee_quote`` where it was charged in the account's
    currency; both None where it was charged in a third currency or is not known, and then it is in no pnl.
    """

    side: Side
    price: Decimal  # quote per base
    quantity: Decimal  # base
    fee_quote: Decimal | None = None  # positive was paid
    fee_base: Decimal | None = None
    leverage: Decimal = Decimal(1)  # counts where the execution opens a position


@dataclass(frozen=True, slots=True)
class Position:
    """One position; its fields are the columns of that name, with every digit."""

    action: Action
    leverage: Decimal
    opened_quantity: Decimal = ZERO  # base, all that was entered
    closed_quantity: Decimal = ZERO  # base, all that was closed
    basis_quantity: Decimal = ZERO  # base held after the last entry
    basis_cost: Decimal = ZERO  # quote, what that cost before fees
    basis_entry_fees: Decimal = ZERO  # quote, the fees of entering that
    realized_exact: Decimal = ZERO  # quote, after fees
    exit_notional: Decimal = ZERO  # quote
    peak_size: Decimal = ZERO  # quote

    @property
    def quantity(self) -> Decimal:
        """Base held now; 0 when it is closed."""
        return WIDE.subtract(self.opened_quantity, self.closed_quantity)

    @property
    def open_cost(self) -> Decimal:
        """What is held now cost, before fees."""
        return WIDE.subtract(self.basis_cost, self._taken_out_of(self.basis_cost))

    @property
    def open_fees(self) -> Decimal:
        """The entry fees of what is held now."""
        return WIDE.subtract(self.basis_entry_fees, self._taken_out_of(self.basis_entry_fees))

    @property
    def basis_fees(self) -> Decimal:
        """The same as it stands in the account."""
        return amount(self.open_fees)

    @property
    def size(self) -> Decimal:
        """The margin it binds now."""
        return amount(WIDE.divide(self.open_cost, self.leverage))

    @property
    def entry_price(self) -> Decimal:
        """Average price of what is held; of a closed one, of what it held last."""
        return amount(WIDE.divide(self.basis_cost, self.basis_quantity))

    @property
    def exit_price(self) -> Decimal | None:
        """Average price of what was closed; None while nothing was."""
        if not self.closed_quantity:
            return None
        return amount(WIDE.divide(self.exit_notional, self.closed_quantity))

    @property
    def realized_pnl(self) -> Decimal:
        """Sum of the pnl of its exits."""
        return amount(self.realized_exact)

    def _taken_out_of(self, total: Decimal) -> Decimal:
        """What of ``total`` left with the part of ``basis_quantity`` that was closed since the last entry."""
        closed_since = WIDE.subtract(self.basis_quantity, self.quantity)
        return share(total, part=closed_since, whole=self.basis_quantity)


@dataclass(frozen=True, slots=True)
class Applied:
    """What an execution was, and what it left. The first fields are the trade's columns."""

    trade_type: TradeType
    action: Action
    closed_quantity: Decimal  # of the execution's quantity
    size: Decimal  # margin that it bound or freed
    leverage: Decimal
    entry_price: Decimal | None  # average, of the position it touched
    exit_price: Decimal | None
    pnl: Decimal | None
    fee_quote: Decimal | None
    position: Position | None  # the one it touched, as it is now; None: it sold what was never seen bought
    opened: Position | None = None  # a second one, opened by what was left after closing the first


def apply(position: Position | None, execution: Execution, *, is_spot: bool) -> Applied:
    """What ``execution`` does to a book that holds ``position`` (None or closed: nothing).

    On spot a sell beyond what is held leaves an unmatched rest; a contract's rest opens the other direction. Raises
    FeeTooLarge.
    """
    is_buy = execution.side == Side.BUY
    held = position if position is not None and position.quantity else None
    if held is None and is_spot and not is_buy:
        return _unmatched(execution)
    if held is None:
        return enter(None, execution, action=Action.LONG if is_buy else Action.SHORT, is_spot=is_spot)
    if is_buy == (held.action == Action.LONG):
        return enter(held, execution, action=held.action, is_spot=is_spot)
    return leave(held, execution, is_spot=is_spot)


def enter(position: Position | None, execution: Execution, *, action: Action, is_spot: bool) -> Applied:
    """Open a position, or grow it. On spot a fee in base is held back from what is received. Raises FeeTooLarge."""
    received = WIDE.subtract(execution.quantity, _fee_in_kind(execution, is_spot=is_spot))
    before = position or Position(action, execution.leverage)
    after = _grown(before, quantity=received, price=execution.price, fees=_fee_worth(execution))
    return Applied(
        trade_type=TradeType.ENTRY,
        action=action,
        closed_quantity=ZERO,
        size=WIDE.subtract(after.size, before.size if position else ZERO),
        leverage=after.leverage,
        entry_price=execution.price,
        exit_price=None,
        pnl=None,
        fee_quote=fee_worth(execution),
        position=after,
    )


def leave(position: Position, execution: Execution, *, is_spot: bool) -> Applied:
    """Close a position, or part of it, and open the opposite one with what a contract has left. Raises FeeTooLarge."""
    leaving = WIDE.add(execution.quantity, _fee_in_kind(execution, is_spot=is_spot))
    closed = min(leaving, position.quantity)
    fees = _fee_worth(execution)
    exit_fees = share(fees, part=closed, whole=leaving)
    after = _shrunk(position, quantity=closed, price=execution.price, exit_fees=exit_fees)
    rest = WIDE.subtract(leaving, closed)
    opened = None
    if rest and not is_spot:
        other = Action.SHORT if position.action == Action.LONG else Action.LONG
        rest_fees = WIDE.subtract(fees, exit_fees)
        opened = _grown(Position(other, execution.leverage), quantity=rest, price=execution.price, fees=rest_fees)
    return Applied(
        trade_type=TradeType.EXIT,
        action=position.action,
        closed_quantity=amount(WIDE.divide(WIDE.multiply(execution.quantity, closed), leaving)),
        size=WIDE.subtract(position.size, after.size),
        leverage=position.leverage,
        entry_price=position.entry_price,
        exit_price=execution.price,
        pnl=WIDE.subtract(after.realized_pnl, position.realized_pnl),
        fee_quote=fee_worth(execution),
        position=after,
        opened=opened,
    )


def unrealized_pnl(position: Position, *, mark_price: Decimal) -> Decimal:
    """What is held would gain at ``mark_price``, before the fees of entering (the account has paid them) and closing."""
    worth = WIDE.multiply(mark_price, position.quantity)
    gain = WIDE.subtract(worth, position.open_cost)
    return amount(gain if position.action == Action.LONG else WIDE.minus(gain))


def equity(
    *, balance: Decimal | None, sizes: Iterable[Decimal], unrealized_pnls: Iterable[Decimal | None]
) -> Decimal | None:
    """Balance, plus what the open positions bind, plus what they have gained; None where any of it is not known."""
    gains = list(unrealized_pnls)
    if balance is None or any(gain is None for gain in gains):
        return None
    with localcontext(WIDE):
        return balance + sum(sizes, ZERO) + sum((gain for gain in gains if gain is not None), ZERO)


def bound(position: Position) -> Decimal:
    """What an open position has taken out of its account: its margin and its entry fees."""
    return WIDE.add(position.size, position.basis_fees)


def fee_worth(execution: Execution) -> Decimal | None:
    """The fee's worth in the account's currency to 18 decimals; None: it cannot be told."""
    if execution.fee_quote is None and execution.fee_base is None:
        return None
    return amount(_fee_worth(execution))


def fee_parts(
    *, fee: Decimal | None, fee_currency: str | None, base: str, quote: str
) -> tuple[Decimal | None, Decimal | None]:
    """``(fee_quote, fee_base)`` of an Execution; both None for a third currency or an unknown fee. 0 is 0 in any."""
    if fee is None:
        return None, None
    if fee_currency == quote or not fee:
        return fee, None
    return (None, fee) if fee_currency == base else (None, None)


def quantity_of(*, size: Decimal, leverage: Decimal, price: Decimal) -> Decimal:
    """Base quantity that a margin of ``size`` moves."""
    return amount(WIDE.divide(WIDE.multiply(size, leverage), price))


def amount(value: Decimal) -> Decimal:
    """``value`` rounded to what a money column holds."""
    return value.quantize(AMOUNT_STEP, context=WIDE)


def share(total: Decimal, *, part: Decimal, whole: Decimal) -> Decimal:
    """``total`` x ``part`` / ``whole`` to 36 decimals; all of it where ``part`` is the whole."""
    if part == whole:
        return total
    if not part or not total:
        return ZERO
    return WIDE.divide(WIDE.multiply(total, part), whole).quantize(EXACT_STEP, context=WIDE)


def _unmatched(execution: Execution) -> Applied:
    return Applied(
        trade_type=TradeType.EXIT,
        action=Action.LONG,
        closed_quantity=ZERO,
        size=amount(WIDE.divide(WIDE.multiply(execution.price, execution.quantity), execution.leverage)),
        leverage=execution.leverage,
        entry_price=None,
        exit_price=execution.price,
        pnl=None,
        fee_quote=fee_worth(execution),
        position=None,
    )


def _grown(position: Position, *, quantity: Decimal, price: Decimal, fees: Decimal) -> Position:
    """The position after an entry: its basis begins anew."""
    with localcontext(WIDE):
        held = position.quantity + quantity
        grown = replace(
            position,
            opened_quantity=position.opened_quantity + quantity,
            basis_quantity=held,
            basis_cost=(position.open_cost if position.basis_quantity else ZERO) + price * quantity,
            basis_entry_fees=(position.open_fees if position.basis_quantity else ZERO) + fees,
        )
    return replace(grown, peak_size=max(position.peak_size, grown.size))


def _shrunk(position: Position, *, quantity: Decimal, price: Decimal, exit_fees: Decimal) -> Position:
    """The position after an exit: the closed part's cost and fees left with it."""
    with localcontext(WIDE):
        notional = price * quantity
        shrunk = replace(
            position,
            closed_quantity=position.closed_quantity + quantity,
            exit_notional=position.exit_notional + notional,
        )
        cost = position.open_cost - shrunk.open_cost
        gross = notional - cost if position.action == Action.LONG else cost - notional
        fees = position.open_fees - shrunk.open_fees + exit_fees
        return replace(shrunk, realized_exact=position.realized_exact + gross - fees)


def _fee_worth(execution: Execution) -> Decimal:
    """With every digit; 0 where it cannot be told."""
    if execution.fee_base is not None:
        return WIDE.multiply(execution.fee_base, execution.price)
    return execution.fee_quote or ZERO


def _fee_in_kind(execution: Execution, *, is_spot: bool) -> Decimal:
    """Base currency that left the account as a fee: coins leave, a contract cannot."""
    fee = execution.fee_base or ZERO
    if abs(fee) >= execution.quantity:
        raise FeeTooLarge(f"A fee of {fee:f} on {execution.quantity:f} of the same coin cannot be right.")
    return fee if is_spot else ZERO
