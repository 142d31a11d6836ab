"""One decision to open a position, against everything that limits it: an order, or the sentence that refuses it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal, localcontext

from arena.rules.execution import entry_side, fee, fill_price, liquidation_price, on_grid
from arena.rules.figures import amount_text, duration_text, leverage_text, price_text, ratio_text
from arena.rules.reply_values import quoted
from arena.rules.risk import (
    ONE,
    Books,
    Holding,
    affordable_quantity,
    exposable_quantity,
    floor_to,
    leverage_limit,
    margin_of,
)
from arena.rules.words import NoteKind
from arena.types import Costs, Decision, EntryOrder, Limits, MarketRule
from ledger.rules.pnl import WIDE
from ledger.rules.words import Action

Said = list[tuple[NoteKind, str]]


class Refusal(Exception):
    """It is not carried out; ``sentence`` says why, with numbers."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision to open, and all that it is held against."""

    index: int
    decision: Decision
    action: Action
    books: Books
    market: MarketRule | None
    limits: Limits
    costs: Costs
    currency: str
    cooling_until: datetime | None
    now: datetime

    @property
    def name(self) -> str:
        """How sentences begin."""
        return f"{self.action} {self.decision.symbol}"

    def refusal(self, why: str) -> Refusal:
        return Refusal(f"{self.name} was refused: {why}")


@dataclass(frozen=True, slots=True)
class _Sized:
    """How much, at what price."""

    quantity: Decimal
    leverage: Decimal
    fill: Decimal  # the price it fills at
    size: Decimal  # what it binds


def plan_entry(entry: Entry) -> tuple[EntryOrder, Said]:
    """The order, with the notes on what of it is otherwise than asked. Raises Refusal."""
    notes: Said = []
    market, price = _tradable(entry)
    _refuse_by_state(entry)
    held = _held(entry)
    leverage = _leverage(entry, market, held, notes)
    fill = fill_price(
        side=entry_side(entry.action), price=price, slippage_ratio=entry.costs.slippage_ratio, tick=market.price_tick
    )
    sized = _sized(entry, market, price, leverage, fill, notes)
    liquidation = _liquidation(entry, price, sized, held)
    order = EntryOrder(
        index=entry.index,
        symbol=market.symbol,
        action=entry.action,
        size=sized.size,
        leverage=leverage,
        quantity=sized.quantity,
        checked_price=price,
        expected_price=fill,
        expected_fee=fee(notional=WIDE.multiply(sized.quantity, fill), fee_ratio=entry.costs.fee_ratio),
        liquidation_price=liquidation,
        stop_loss=_stop_loss(entry, market, price, fill, liquidation, notes),
        take_profit=_take_profit(entry, market, price, fill, notes),
        adds_to=held.position_id if held else None,
        reasoning=entry.decision.reasoning,
    )
    return order, notes


def _tradable(entry: Entry) -> tuple[MarketRule, Decimal]:
    symbol, market = entry.decision.symbol, entry.market
    if not symbol:
        raise Refusal(f"{entry.action} was refused: it names no symbol.")
    if symbol not in entry.limits.symbols:
        raise Refusal(f"{entry.action} was refused: {quoted(symbol)} is none of the symbols that this bot may trade.")
    if market is None or market.symbol != symbol:
        raise entry.refusal("nothing is known of this market.")
    if symbol.partition("/")[2] != entry.currency:
        raise entry.refusal(f"the bot's money is {entry.currency}.")
    price = entry.books.prices.get(symbol)
    if price is None:
        raise entry.refusal("there is no price of it that is fresh.")
    if not market.quantity_step or market.quantity_step <= 0:
        raise entry.refusal("the step of its quantities is not known.")
    return market, price


def _refuse_by_state(entry: Entry) -> None:
    """By what holds for the bot or the symbol, however much is asked for."""
    books, limits = entry.books, entry.limits
    equity, drawdown = books.equity, books.drawdown_ratio
    if equity is None:
        raise entry.refusal(f"the bot's equity is not known, since {', '.join(books.unpriced)} has no fresh price.")
    if equity <= 0 or drawdown is None:
        raise entry.refusal(f"the bot's equity is {amount_text(equity, entry.currency)}.")
    if drawdown >= limits.max_drawdown_ratio:
        raise entry.refusal(
            f"equity is {amount_text(equity, entry.currency)}, {ratio_text(drawdown)} below its peak of "
            f"{amount_text(books.peak_equity)}; from {ratio_text(limits.max_drawdown_ratio)} on nothing is opened."
        )
    if entry.cooling_until is not None and entry.cooling_until > entry.now:
        left = duration_text(entry.cooling_until - entry.now)
        raise entry.refusal(f"a position in it was closed; it cools down for another {left}.")


def _held(entry: Entry) -> Holding | None:
    """The position that it adds to; None: it is a new one."""
    held = [h for h in entry.books.holdings if h.symbol == entry.decision.symbol]
    if not held:
        count, most = len(entry.books.holdings), entry.limits.max_open_positions
        if count >= most:
            raise entry.refusal(f"{count} position{' is' if count == 1 else 's are'} open, and at most {most} may be.")
        return None
    first = held[0]
    if first.action != entry.action:
        raise entry.refusal(f"a {first.action} position in it is open; close that first.")
    if not entry.limits.allows_adding:
        raise entry.refusal(f"a {first.action} position in it is open already, and it is not added to.")
    if first.position_id is None or len(held) > 1:
        raise entry.refusal("an earlier decision of the same reply opens it.")
    return first


def _leverage(entry: Entry, market: MarketRule, held: Holding | None, notes: Said) -> Decimal:
    """Whole, at least 1, within the limit; of an addition, its position's."""
    asked, most = entry.decision.leverage, leverage_limit(entry.limits, market)
    if held is not None:
        if held.leverage > most:
            raise entry.refusal(
                f"the open position has {leverage_text(held.leverage)}, and {leverage_text(most)} is allowed."
            )
        if asked != held.leverage:
            was = "no leverage was given, so it is" if asked is None else f"leverage {leverage_text(asked)} became"
            text = f"{entry.name}: {was} {leverage_text(held.leverage)}, the open position's."
            notes.append((NoteKind.CORRECTED, text))
        return held.leverage
    if asked is None:
        notes.append((NoteKind.CORRECTED, f"{entry.name}: no leverage was given, so it is 1x."))
        return ONE
    whole = max(asked.to_integral_value(ROUND_FLOOR), ONE)
    if whole > most:
        text = f"{entry.name}: leverage {leverage_text(asked)} became {leverage_text(most)}, the most that is allowed."
        notes.append((NoteKind.CORRECTED, text))
        return most
    if whole != asked:
        text = f"{entry.name}: leverage {leverage_text(asked)} became {leverage_text(whole)}; it is a whole number."
        notes.append((NoteKind.CORRECTED, text))
    return whole


def _sized(entry: Entry, market: MarketRule, price: Decimal, leverage: Decimal, fill: Decimal, notes: Said) -> _Sized:
    asked = _asked_size(entry, leverage, fill, notes)
    with localcontext(WIDE):
        wanted = asked * leverage / fill
    affordable = affordable_quantity(entry.books.balance, leverage=leverage, fill=fill, costs=entry.costs)
    exposable = exposable_quantity(entry.books, entry.limits, price=price, fill=fill, costs=entry.costs)
    most = min(wanted, affordable, exposable)
    why = _why_less(entry, is_by_exposure=exposable < affordable) if most < wanted else ""
    if why and (left := margin_of(most, price=fill, leverage=leverage)) < entry.limits.min_size:
        raise entry.refusal(
            f"of its size {amount_text(asked)} only {amount_text(left, entry.currency)} would fit, since {why}; the least is "
            f"{amount_text(entry.limits.min_size)}."
        )
    step = market.quantity_step or ONE
    quantity = floor_to(step, most)
    while quantity > 0 and not _fits(entry, quantity, leverage, fill):
        quantity = WIDE.subtract(quantity, step)
    _refuse_too_little(entry, market, quantity, min(price, fill))
    size = margin_of(quantity, price=fill, leverage=leverage)
    if size != asked:
        kind = NoteKind.CORRECTED if why else NoteKind.ROUNDED
        grid = f"quantities there are multiples of {price_text(step)}: {price_text(quantity)}"
        became = amount_text(size, entry.currency)
        if amount_text(asked, entry.currency) == became:
            became = f"a little less than {became}" if size < asked else f"a little more than {became}"
        text = f"{entry.name}: size {amount_text(asked)} became {became}, since {why or grid}."
        notes.append((kind, text))
    return _Sized(quantity, leverage, fill, size)


def _asked_size(entry: Entry, leverage: Decimal, fill: Decimal, notes: Said) -> Decimal:
    """The margin asked for, which must reach the minimum and be there."""
    decision, balance = entry.decision, entry.books.balance
    size = decision.size
    if size is None and decision.quantity is not None:
        size = margin_of(decision.quantity, price=fill, leverage=leverage)
        text = f"{entry.name}: a quantity of {price_text(decision.quantity)} was read as {amount_text(size, entry.currency)}."
        notes.append((NoteKind.READ, text))
    elif decision.quantity is not None:
        text = f"{entry.name}: the quantity {price_text(decision.quantity)} is not used; its size counts."
        notes.append((NoteKind.DROPPED, text))
    if size is None or size <= 0:
        raise entry.refusal("it gives no size.")
    if size < entry.limits.min_size:
        least = amount_text(entry.limits.min_size, entry.currency)
        raise entry.refusal(f"its size is {amount_text(size)}, and the least is {least}.")
    if size > balance:
        raise entry.refusal(
            f"its size is {amount_text(size)}, and {amount_text(balance, entry.currency)} is available."
        )
    return size


def _why_less(entry: Entry, *, is_by_exposure: bool) -> str:
    if is_by_exposure:
        return f"all positions together may be worth {price_text(entry.limits.max_exposure_ratio)} times the equity"
    return "the fee of opening has to be paid too"


def _fits(entry: Entry, quantity: Decimal, leverage: Decimal, fill: Decimal) -> bool:
    """Whether the balance covers it to the last digit, roundings included."""
    charged = fee(notional=WIDE.multiply(quantity, fill), fee_ratio=entry.costs.fee_ratio)
    return WIDE.add(margin_of(quantity, price=fill, leverage=leverage), charged) <= entry.books.balance


def _refuse_too_little(entry: Entry, market: MarketRule, quantity: Decimal, price: Decimal) -> None:
    """What is below a minimum of the market."""
    base = market.symbol.partition("/")[0]
    if quantity <= 0:
        raise entry.refusal(
            f"it comes to less than the market's step of {price_text(market.quantity_step or ONE)} {base}."
        )
    if market.min_quantity is not None and quantity < market.min_quantity:
        least = f"{price_text(market.min_quantity)} {base}"
        raise entry.refusal(f"it comes to {price_text(quantity)} {base}, and the market's least is {least}.")
    notional = WIDE.multiply(quantity, price)
    if market.min_notional is not None and notional < market.min_notional:
        least = amount_text(market.min_notional, entry.currency)
        raise entry.refusal(f"it is worth {amount_text(notional)}, and the market's least is {least}.")


def _liquidation(entry: Entry, price: Decimal, sized: _Sized, held: Holding | None) -> Decimal | None:
    """Where it would be liquidated; of an addition, the whole position. Raises Refusal where that is at once."""
    entry_price = sized.fill
    if held is not None:
        with localcontext(WIDE):
            cost = held.quantity * held.entry_price + sized.quantity * sized.fill
            entry_price = cost / (held.quantity + sized.quantity)
    level = liquidation_price(
        action=entry.action,
        entry_price=entry_price,
        leverage=sized.leverage,
        maintenance_ratio=entry.costs.maintenance_ratio,
    )
    if level is not None and (level >= price if entry.action == Action.LONG else level <= price):
        raise entry.refusal(
            f"at {leverage_text(sized.leverage)} it would be liquidated at once, at {price_text(level)}."
        )
    return level


def _stop_loss(
    entry: Entry, market: MarketRule, price: Decimal, fill: Decimal, liquidation: Decimal | None, notes: Said
) -> Decimal | None:
    """On the losing side of the price, and before the liquidation."""
    level = _on_tick(entry, market, "stop-loss", entry.decision.stop_loss, notes)
    if level is None:
        return None
    is_long = entry.action == Action.LONG
    if level >= min(price, fill) if is_long else level <= max(price, fill):
        _drop(
            entry,
            "stop-loss",
            level,
            f"must be {'below' if is_long else 'above'} the price, {price_text(price)}",
            notes,
        )
        return None
    if liquidation is not None and (level <= liquidation if is_long else level >= liquidation):
        _drop(entry, "stop-loss", level, f"lies behind the liquidation at {price_text(liquidation)}", notes)
        return None
    return level


def _take_profit(entry: Entry, market: MarketRule, price: Decimal, fill: Decimal, notes: Said) -> Decimal | None:
    """On the winning side of the price."""
    level = _on_tick(entry, market, "take-profit", entry.decision.take_profit, notes)
    if level is None:
        return None
    is_long = entry.action == Action.LONG
    if level <= max(price, fill) if is_long else level >= min(price, fill):
        _drop(
            entry,
            "take-profit",
            level,
            f"must be {'above' if is_long else 'below'} the price, {price_text(price)}",
            notes,
        )
        return None
    return level


def _on_tick(entry: Entry, market: MarketRule, name: str, asked: Decimal | None, notes: Said) -> Decimal | None:
    if asked is None:
        return None
    level = on_grid(asked, market.price_tick, up=False)
    if level <= 0:
        _drop(entry, name, asked, "is less than the market's smallest price", notes)
        return None
    if level != asked:
        text = f"{entry.name}: {name} {price_text(asked)} became {price_text(level)}, the market's next price below."
        notes.append((NoteKind.ROUNDED, text))
    return level


def _drop(entry: Entry, name: str, level: Decimal, why: str, notes: Said) -> None:
    notes.append((NoteKind.DROPPED, f"{entry.name}: its {name} {price_text(level)} {why}; it was left out."))
