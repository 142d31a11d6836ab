"""Indicators, by the library talipp, which is loaded at first use: only workers that play turns need it.

They are computed in floats, which is enough: they inform a model, and nothing is ever booked or limited by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from arena.rules.bars import Bar

MOST_BARS = 500
SHORTEST_PERIOD, LONGEST_PERIOD = 2, 100
FAST, SLOW, SIGNAL = 12, 26, 9  # of the MACD, as everybody has them
DEVIATIONS = 2.0
SMOOTHING = 3  # of the stochastic's second line
Values = dict[str, float]


@dataclass(frozen=True, slots=True)
class Kind:
    """One indicator. ``parts`` names the library's fields by our words; ``is_price``: its values are prices."""

    title: str
    period: int  # the usual one
    parts: dict[str, str]
    needs: Callable[[int], int]  # bars, for its first value
    made: Callable[[Any, int, Sequence[Bar]], Any]  # of the library
    is_smoothed: bool = False  # what came before its first value keeps telling for a while
    is_price: bool = True
    has_period: bool = True


KINDS: dict[str, Kind] = {
    "sma": Kind("simple moving average", 20, {}, lambda n: n, lambda lib, n, bars: lib.SMA(n, _closes(bars))),
    "ema": Kind("exponential moving average", 20, {}, lambda n: n, lambda lib, n, bars: lib.EMA(n, _closes(bars)),
                is_smoothed=True),
    "rsi": Kind("relative strength index, 0 to 100", 14, {}, lambda n: n + 1,
                lambda lib, n, bars: lib.RSI(n, _closes(bars)), is_smoothed=True, is_price=False),
    "macd": Kind(f"moving average convergence divergence, {FAST}, {SLOW} and {SIGNAL}", SLOW,
                 {"macd": "macd", "signal": "signal", "histogram": "histogram"}, lambda n: SLOW + SIGNAL - 1,
                 lambda lib, n, bars: lib.MACD(FAST, SLOW, SIGNAL, _closes(bars)), is_smoothed=True, has_period=False),
    "bollinger": Kind(f"Bollinger bands, {DEVIATIONS:.0f} deviations", 20, {"lower": "lb", "middle": "cb", "upper": "ub"},
                      lambda n: n, lambda lib, n, bars: lib.BB(n, DEVIATIONS, _closes(bars))),
    "atr": Kind("average true range", 14, {}, lambda n: n, lambda lib, n, bars: lib.ATR(n, _candles(bars)),
                is_smoothed=True),
    "adx": Kind("average directional index, 0 to 100", 14, {"adx": "adx", "plus_di": "plus_di", "minus_di": "minus_di"},
                lambda n: 2 * n, lambda lib, n, bars: lib.ADX(n, n, _candles(bars)), is_smoothed=True, is_price=False),
    "stochastic": Kind("stochastic oscillator, 0 to 100", 14, {"k": "k", "d": "d"}, lambda n: n + SMOOTHING - 1,
                       lambda lib, n, bars: lib.Stoch(n, SMOOTHING, _candles(bars)), is_price=False),
}  # fmt: skip


def bars_wanted(name: str, period: int) -> int:
    """How many bars to compute an indicator from: where what came earlier is smoothed in, some more than it needs."""
    kind = KINDS[name]
    return min(kind.needs(period) + (4 * period if kind.is_smoothed else 0) + 5, MOST_BARS)


def indicator(name: str, period: int, bars: Sequence[Bar]) -> list[Values]:
    """The values at each bar from its first on, newest last; a single one is named as the indicator. Empty: too few bars."""
    import talipp.indicators as library

    kind = KINDS[name]
    if len(bars) < kind.needs(period):
        return []
    found = list(kind.made(library, period, bars))[kind.needs(period) - 1 :]
    if not kind.parts:
        return [{name: float(value)} for value in found]
    return [{word: float(getattr(value, field)) for word, field in kind.parts.items()} for value in found]


def _closes(bars: Sequence[Bar]) -> list[float]:
    return [float(bar.close) for bar in bars]


def _candles(bars: Sequence[Bar]) -> list[Any]:
    from talipp.ohlcv import OHLCV

    return [OHLCV(float(bar.open), float(bar.high), float(bar.low), float(bar.close)) for bar in bars]
