"""Figures of how a bot does. Everything is a Decimal, and None where it cannot be computed, never 0 in its place.

Returns are those of equal intervals; ``intervals_per_year`` says of which, so that an annualised figure states what it
was annualised with. Ratios are ratios: 0.01 is one percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

HOURS_PER_YEAR = Decimal(24 * 365)  # these markets never close
DAYS_PER_YEAR = Decimal(365)
MINIMUM_RETURNS = 2  # with fewer there is no deviation
PRECISE = Context(prec=60, rounding=ROUND_HALF_EVEN)
ZERO = Decimal(0)
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Closed:
    """What the closed trades with a known result come to."""

    count: int = 0
    wins: int = 0
    losses: int = 0
    gross_profit: Decimal = ZERO  # sum of the winners
    gross_loss: Decimal = ZERO  # sum of the losers, a positive number

    @property
    def pnl(self) -> Decimal:
        """All that was realised."""
        return PRECISE.subtract(self.gross_profit, self.gross_loss)

    @property
    def win_rate(self) -> Decimal | None:
        """Winners of all closed trades; one that ended at exactly 0 is no winner."""
        return _ratio(Decimal(self.wins), Decimal(self.count))

    @property
    def profit_factor(self) -> Decimal | None:
        """What was won for each unit lost; None where nothing was lost."""
        return _ratio(self.gross_profit, self.gross_loss)

    @property
    def expectancy(self) -> Decimal | None:
        """Mean result of a closed trade."""
        return _ratio(self.pnl, Decimal(self.count))

    @property
    def average_win(self) -> Decimal | None:
        return _ratio(self.gross_profit, Decimal(self.wins))

    @property
    def average_loss(self) -> Decimal | None:
        """A negative number."""
        mean = _ratio(self.gross_loss, Decimal(self.losses))
        return None if mean is None else -mean


def closed_trades(pnls: Iterable[Decimal | None]) -> Closed:
    """Sums over the trades' ``pnl``; those without one (entries, unknown cost) do not count."""
    known = [pnl for pnl in pnls if pnl is not None]
    winners = [pnl for pnl in known if pnl > 0]
    losers = [pnl for pnl in known if pnl < 0]
    with localcontext(PRECISE):
        return Closed(len(known), len(winners), len(losers), sum(winners, ZERO), -sum(losers, ZERO))


def volume(executions: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Sum of price x quantity."""
    with localcontext(PRECISE):
        return sum((price * quantity for price, quantity in executions), ZERO)


def fees_by_currency(fees: Iterable[tuple[str, Decimal | None]]) -> dict[str, Decimal]:
    """What was paid in each currency; a fee that was not told is left out."""
    paid: dict[str, Decimal] = {}
    for currency, fee in fees:
        if fee is not None:
            paid[currency] = PRECISE.add(paid.get(currency, ZERO), fee)
    return paid


def total_return(*, first: Decimal | None, last: Decimal | None) -> Decimal | None:
    """Change of a value as a ratio of where it began; None where it began at nothing."""
    if first is None or last is None or first <= 0:
        return None
    return PRECISE.divide(PRECISE.subtract(last, first), first)


def interval_returns(values: Sequence[Decimal]) -> list[Decimal] | None:
    """The return of each step between equally distant values; None where a step began at nothing or less."""
    if any(value <= 0 for value in values[:-1]):
        return None
    steps = zip(values, values[1:], strict=False)
    return [PRECISE.divide(PRECISE.subtract(later, earlier), earlier) for earlier, later in steps]


def compounded(returns: Iterable[Decimal]) -> Decimal:
    """What returns one after the other come to."""
    grown = ONE
    for one in returns:
        grown = PRECISE.multiply(grown, PRECISE.add(ONE, one))
    return PRECISE.subtract(grown, ONE)


def drawdowns(values: Sequence[Decimal]) -> list[Decimal | None]:
    """How far each value lies below the highest one until then, as a ratio of that; None before one was above 0."""
    found: list[Decimal | None] = []
    peak = ZERO
    for value in values:
        peak = max(peak, value)
        found.append(PRECISE.divide(PRECISE.subtract(peak, value), peak) if peak > 0 else None)
    return found


def max_drawdown(values: Sequence[Decimal]) -> Decimal | None:
    """The deepest fall from a running peak, 0 where there was none; None without a peak to fall from."""
    return max((fall for fall in drawdowns(values) if fall is not None), default=None)


def mean(returns: Sequence[Decimal]) -> Decimal | None:
    """Arithmetic mean."""
    with localcontext(PRECISE):
        return sum(returns, ZERO) / len(returns) if returns else None


def volatility(
    returns: Sequence[Decimal], *, intervals_per_year: Decimal, minimum: int = MINIMUM_RETURNS
) -> Decimal | None:
    """Annualised sample deviation of the returns."""
    deviation = _deviation(returns, minimum=minimum)
    return None if deviation is None else PRECISE.multiply(deviation, PRECISE.sqrt(intervals_per_year))


def sharpe_ratio(
    returns: Sequence[Decimal],
    *,
    intervals_per_year: Decimal,
    risk_free: Decimal = ZERO,
    minimum: int = MINIMUM_RETURNS,
) -> Decimal | None:
    """Mean return beyond ``risk_free`` (of one interval) for each unit of sample deviation, annualised.

    None with fewer than ``minimum`` returns, or where they do not deviate.
    """
    deviation, middle = _deviation(returns, minimum=minimum), mean(returns)
    if not deviation or middle is None:
        return None
    with localcontext(PRECISE):
        return (middle - risk_free) / deviation * intervals_per_year.sqrt()


def sortino_ratio(
    returns: Sequence[Decimal],
    *,
    intervals_per_year: Decimal,
    required: Decimal = ZERO,
    minimum: int = MINIMUM_RETURNS,
) -> Decimal | None:
    """Like Sharpe's, but only falling short of ``required`` counts as risk: root of the mean of its squares over all
    returns. None with fewer than ``minimum``, or where none fell short."""
    middle = mean(returns)
    if middle is None or len(returns) < max(minimum, 1):
        return None
    with localcontext(PRECISE):
        shortfalls = [min(one - required, ZERO) for one in returns]
        downside = (sum((short * short for short in shortfalls), ZERO) / len(returns)).sqrt()
        return (middle - required) / downside * intervals_per_year.sqrt() if downside else None


def _deviation(returns: Sequence[Decimal], *, minimum: int) -> Decimal | None:
    """Sample deviation, with n - 1; exactly 0 where all are equal."""
    middle = mean(returns)
    if middle is None or len(returns) < max(minimum, MINIMUM_RETURNS):
        return None
    if all(one == returns[0] for one in returns):
        return ZERO
    with localcontext(PRECISE):
        return (sum(((one - middle) ** 2 for one in returns), ZERO) / (len(returns) - 1)).sqrt()


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return PRECISE.divide(part, whole) if whole else None
