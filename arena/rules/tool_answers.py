"""What each tool needs and answers. Amounts are text, rounded for reading; all times are UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from arena.rules.bars import Bar, correlation_of, moves_of, newest_run
from arena.rules.claims import Group, Sums
from arena.rules.figures import amount_text, leverage_text, price_text, ratio_text
from arena.rules.indicators import KINDS, LONGEST_PERIOD, SHORTEST_PERIOD, bars_wanted, indicator
from arena.rules.position_size import Money, NoPrice, SizeWish, position_size
from arena.rules.statuses import BarSpan
from arena.rules.tool_arguments import Arguments, Unanswerable

MOST_CANDLES = 40
MOST_OBSERVED = 300
MOST_RECORDS = 20
VALUES_SHOWN = 5
_RATIO_PLACES = 2
BarKey = tuple[str, BarSpan]


@dataclass(frozen=True, slots=True)
class Known:
    """All that the tools of one step read. ``bars`` are those that were wanted, oldest first."""

    money: Money
    bars: Mapping[BarKey, Sequence[Bar]]
    record: Mapping[Group, Sums]  # of the bot's own trades; empty where no call wants it

    @property
    def now(self) -> datetime:
        return self.money.now


class Ask(Protocol):
    """A call that was understood. ``answer`` raises Unanswerable."""

    @property
    def bars(self) -> Mapping[BarKey, int]: ...

    def answer(self, known: Known) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class CandlesAsk:
    symbol: str
    span: BarSpan
    count: int

    @classmethod
    def read(cls, given: Arguments) -> CandlesAsk:
        return cls(given.symbol(), given.span(), given.whole("count", least=1, most=MOST_CANDLES, default=24))

    @property
    def bars(self) -> Mapping[BarKey, int]:
        return {(self.symbol, self.span): self.count}

    def answer(self, known: Known) -> dict[str, Any]:
        run = _run(known, self.symbol, self.span, needs=1)[-self.count :]
        rows = [[_moment(bar.start_at), *map(_plain, (bar.open, bar.high, bar.low, bar.close))] for bar in run]
        less = {"note": _only(len(run), self.span)} if len(run) < self.count else {}
        return {"symbol": self.symbol, "span": str(self.span), **less, "candles": rows}


@dataclass(frozen=True, slots=True)
class IndicatorAsk:
    symbol: str
    span: BarSpan
    name: str
    period: int

    @classmethod
    def read(cls, given: Arguments) -> IndicatorAsk:
        name = given.word("name", KINDS)
        usual = KINDS[name].period
        period = given.whole("period", least=SHORTEST_PERIOD, most=LONGEST_PERIOD, default=usual)
        return cls(given.symbol(), given.span(), name, period if KINDS[name].has_period else usual)

    @property
    def bars(self) -> Mapping[BarKey, int]:
        return {(self.symbol, self.span): bars_wanted(self.name, self.period)}

    def answer(self, known: Known) -> dict[str, Any]:
        kind = KINDS[self.name]
        run = _run(known, self.symbol, self.span, needs=kind.needs(self.period))[-bars_wanted(self.name, self.period) :]
        if not kind.is_price and max(bar.high for bar in run) == min(bar.low for bar in run):
            raise Unanswerable(f"The price did not move in {len(run)} bars, so there is no {self.name}.")
        found = indicator(self.name, self.period, run)[-VALUES_SHOWN:]
        values = [{word: self._text(value) for word, value in one.items()} for one in found]
        return {
            "symbol": self.symbol,
            "indicator": self.name,
            "span": str(self.span),
            **({"period": self.period} if kind.has_period else {}),
            "now": values[-1],
            "at the bars before, newest last": values[:-1],
            "price": _plain(run[-1].close),
            "from bars": len(run),
        }

    def _text(self, value: float) -> str:
        return _plain(Decimal(repr(value))) if KINDS[self.name].is_price else f"{value:.{_RATIO_PLACES}f}"


@dataclass(frozen=True, slots=True)
class StatisticsAsk:
    symbol: str
    span: BarSpan
    count: int
    other: str | None

    @classmethod
    def read(cls, given: Arguments) -> StatisticsAsk:
        other = given.symbol("other_symbol") if given.has("other_symbol") else None
        return cls(given.symbol(), given.span(), given.whole("count", least=3, most=MOST_OBSERVED, default=48), other)

    @property
    def bars(self) -> Mapping[BarKey, int]:
        return {(symbol, self.span): self.count for symbol in (self.symbol, self.other) if symbol}

    def answer(self, known: Known) -> dict[str, Any]:
        run = _run(known, self.symbol, self.span, needs=3)[-self.count :]
        moves = moves_of(run, span=self.span)
        return {
            "symbol": self.symbol,
            "span": str(self.span),
            "bars": len(run),
            "since": _moment(run[0].start_at),
            "return": _percent(moves.gain_ratio),
            "volatility of a bar": _percent(moves.volatility_ratio),
            "volatility of a day": _percent(moves.daily_volatility_ratio),
            "highest": _plain(max(bar.high for bar in run)),
            "lowest": _plain(min(bar.low for bar in run)),
            "price": _plain(run[-1].close),
            "bars that rose": moves.rises,
            "bars that fell": moves.falls,
            **({"note": _only(len(run), self.span)} if len(run) < self.count else {}),
            **self._correlation(known, run),
        }

    def _correlation(self, known: Known, run: Sequence[Bar]) -> dict[str, Any]:
        if self.other is None:
            return {}
        others = _run(known, self.other, self.span, needs=3)[-self.count :]
        found, count = correlation_of(run, others)
        told = "not known: too few bars in common, or one did not move" if found is None else f"{found:.2f}"
        return {"correlation": {"with": self.other, "of returns": told, "bars in common": count}}


@dataclass(frozen=True, slots=True)
class SizeAsk:
    wish: SizeWish

    @classmethod
    def read(cls, given: Arguments) -> SizeAsk:
        risk = given.figure("risk_usd") if given.has("risk_usd") else None
        ratio = given.figure("risk_ratio") if given.has("risk_ratio") else None
        if (risk is None) == (ratio is None):
            raise Unanswerable("Give risk_usd or risk_ratio, one of them.")
        if ratio is not None and ratio > 1:
            raise Unanswerable("risk_ratio is a share of your total value, above 0 and at most 1: 0.01 is one percent.")
        leverage = given.figure("leverage") if given.has("leverage") else Decimal(1)
        return cls(SizeWish(given.symbol(), given.figure("stop_loss"), leverage, risk, ratio))

    @property
    def bars(self) -> Mapping[BarKey, int]:
        return {}

    def answer(self, known: Known) -> dict[str, Any]:
        try:
            sized = position_size(self.wish, known.money)
        except NoPrice:
            raise Unanswerable(f"{self.wish.symbol} or something you hold has no fresh price now.") from None
        told: dict[str, Any] = {"symbol": self.wish.symbol, "action": str(sized.action), "size": _money(sized.size)}
        if sized.order is not None:
            order = sized.order
            liquidation = "none" if order.liquidation_price is None else _plain(order.liquidation_price)
            told |= {
                "leverage": leverage_text(order.leverage),
                "quantity": _plain(order.quantity),
                "entry price": _plain(order.expected_price),
                "fee of opening": _money(order.expected_fee),
                "liquidation": liquidation,
                "loss at the stop, with fees": "unknown" if sized.loss is None else _money(sized.loss),
                "wished risk": _money(sized.risk),
            }
        return told | ({"notes": list(sized.notes)} if sized.notes else {})


@dataclass(frozen=True, slots=True)
class RecordAsk:
    symbol: str | None

    @classmethod
    def read(cls, given: Arguments) -> RecordAsk:
        return cls(given.symbol() if given.has("symbol") else None)

    @property
    def bars(self) -> Mapping[BarKey, int]:
        return {}

    def answer(self, known: Known) -> dict[str, Any]:
        sums = known.record.get((self.symbol, None))
        if sums is None or not sums.trades:
            return {"closed positions": 0}
        parts = {key: one for key, one in known.record.items() if None not in key and self.symbol in (None, key[0])}
        largest = sorted(parts.items(), key=lambda part: (-abs(part[1].profit), str(part[0])))[:MOST_RECORDS]
        each = [{"symbol": symbol, "way": str(way), **_record(one)} for (symbol, way), one in largest if one.trades]
        return _record(sums) | {"of each": each}


READERS: dict[str, Callable[[Arguments], Ask]] = {
    "get_candles": CandlesAsk.read,
    "indicator": IndicatorAsk.read,
    "statistics": StatisticsAsk.read,
    "position_size": SizeAsk.read,
    "own_record": RecordAsk.read,
}


def _run(known: Known, symbol: str, span: BarSpan, *, needs: int) -> Sequence[Bar]:
    """The bars up to now. Raises Unanswerable where they are old, or fewer than needed."""
    bars = known.bars.get((symbol, span), ())
    run = newest_run(bars, span=span, now=known.now)
    if not bars:
        raise Unanswerable(f"No bar of {span} is known of {symbol}.")
    if not run:
        raise Unanswerable(f"The newest bar of {span} of {symbol} is old: it began at {_moment(bars[-1].start_at)}.")
    if len(run) < needs:
        raise Unanswerable(f"{needs} bars of {span} are needed. {_only(len(run), span)}")
    return run


def _only(count: int, span: BarSpan) -> str:
    if count == 1:
        return f"Only 1 bar of {span} is known."
    return f"Only {count} bars of {span} are known without a gap until now."


def _record(sums: Sums) -> dict[str, Any]:
    return {
        "closed positions": sums.trades,
        "won": sums.wins,
        "lost": sums.losses,
        "win rate": ratio_text(Decimal(sums.wins) / sums.trades),
        "profit after fees": _money(sums.profit),
        "fees": _money(sums.fees),
        "best": "none" if sums.best is None else _money(sums.best),
        "worst": "none" if sums.worst is None else _money(sums.worst),
    }


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _plain(value: Decimal) -> str:
    return price_text(value).replace(",", "")


def _money(value: Decimal) -> str:
    return amount_text(value).replace(",", "")


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.2f} %"
