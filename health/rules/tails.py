"""How long a gap may become, from gaps that were: the tail of their distribution, with what is not known of it.

Gaps above a threshold follow a generalised Pareto distribution (Pickands, Balkema and de Haan). Its shape and scale are
averaged over all values that the gaps leave open, each by its posterior weight, so few gaps give a wide tail: that is
what keeps the promised rate of false alarms where little is known.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

SHAPES = ((0.0, 0.30), (0.06, 0.18), (0.12, 0.18), (0.22, 0.16), (0.36, 0.11), (0.55, 0.07))  # with prior weights
SCALES = 13  # values of the scale that are weighed for each shape
PLAUSIBLE = 0.02  # a gap that so many gaps would outgrow less often than this was no gap between trades
EVENNESS = 0.05  # no bot is believed to be more regular than this share of its usual gap
FARTHEST = 1e-7  # a tail is told down to this probability


@dataclass(frozen=True, slots=True)
class Tail:
    """``rows``: (natural logarithm of the probability that a gap is longer, its length), the lengths growing."""

    rows: tuple[tuple[float, float], ...]

    def log_beyond(self, length: float) -> float:
        """The logarithm of the probability that a gap is longer than ``length``. Falls with it, straight between rows."""
        lengths = [row[1] for row in self.rows]
        return _straight(length, lengths, [row[0] for row in self.rows])

    def length_at(self, log_beyond: float) -> float:
        """The length that a gap outgrows with this probability, given as its logarithm."""
        return _straight(-log_beyond, [-row[0] for row in self.rows], [row[1] for row in self.rows])


def tail_of(gaps: Sequence[float], *, cut: int = 0) -> Tail:
    """The tail of these gaps (positive, ascending, two or more). Of the longest ``cut`` it is only believed that they
    are at least as long as the longest of the others."""
    count = len(gaps)
    known = gaps[: count - cut]
    above = _how_many_above(count)
    start = count - above
    threshold = gaps[start - 1] if start else 0.0
    excesses = [gap - threshold for gap in known[start:]]
    least = EVENNESS * gaps[count // 2]
    weighed = _posterior(excesses, cut=cut, span=known[-1] - threshold, least=least)
    mean = sum(w * sigma / (1 - xi) for w, xi, sigma in weighed)
    beyond = [(math.log(above / count), threshold), *_far(weighed, math.log(above / count), threshold, mean)]
    return Tail(tuple(_rising(_body(gaps, start) + beyond)))


def without_deaths(gaps: Sequence[float], *, most: int) -> tuple[Tail, int]:
    """The tail of gaps (ascending), and how many of the longest are no gaps of a living bot; ``most`` of them at most.

    The longest are set aside, and taken back from the shortest on as long as they fit what the others say.
    """
    rest = tail_of(gaps, cut=most)
    limit = math.log(PLAUSIBLE / len(gaps))
    deaths = next((most - n for n in range(most) if rest.log_beyond(gaps[len(gaps) - most + n]) < limit), 0)
    return tail_of(gaps[: len(gaps) - deaths]), deaths


def _how_many_above(count: int) -> int:
    """Of few gaps all, of many the longest twentieth: what is told of rare gaps must come from long ones."""
    return min(count, max(12, min(100, count // 5, max(40, count // 20))))


def _posterior(excesses: Sequence[float], *, cut: int, span: float, least: float) -> list[tuple[float, float, float]]:
    """(weight, shape, scale) of the generalised Pareto distributions that these excesses leave open."""
    known = len(excesses)
    mean = max((sum(excesses) + cut * span) / max(known, 1), least)
    reach = 4.0 / math.sqrt(max(known, 2))
    found = []
    for xi, prior in SHAPES:
        for n in range(SCALES):
            sigma = mean * (1 - xi) * math.exp(reach * (2 * n / (SCALES - 1) - 1))
            likelihood = _log_likelihood(excesses, xi, sigma) + cut * _log_survival(span, xi, sigma)
            found.append((math.log(prior) + likelihood, xi, sigma))
    best = max(row[0] for row in found)
    weights = [math.exp(row[0] - best) for row in found]
    total = sum(weights)
    return [(w / total, xi, sigma) for w, (_, xi, sigma) in zip(weights, found, strict=True) if w > 1e-5 * total]


def _log_likelihood(excesses: Sequence[float], xi: float, sigma: float) -> float:
    if xi == 0.0:
        return -len(excesses) * math.log(sigma) - sum(excesses) / sigma
    slope = xi / sigma
    return -len(excesses) * math.log(sigma) - (1 + 1 / xi) * sum(math.log1p(slope * x) for x in excesses)


def _log_survival(excess: float, xi: float, sigma: float) -> float:
    return -excess / sigma if xi == 0.0 else -math.log1p(xi * excess / sigma) / xi


def _far(
    weighed: list[tuple[float, float, float]], log_share: float, threshold: float, mean: float
) -> list[tuple[float, float]]:
    rows, excess = [], mean / 4
    while excess < 1e6 * mean:
        beyond = log_share + math.log(sum(w * math.exp(_log_survival(excess, xi, s)) for w, xi, s in weighed) or 1e-300)
        rows.append((beyond, threshold + excess))
        if beyond < math.log(FARTHEST):
            break
        excess *= 1.25
    return rows


def _body(gaps: Sequence[float], start: int) -> list[tuple[float, float]]:
    """What is below the threshold, as it was found: ten steps."""
    count = len(gaps)
    places = sorted({start * n // 10 for n in range(1, 10)} - {0}) if start > 10 else []
    return [(0.0, 0.0), *((math.log((count - place) / count), gaps[place - 1]) for place in places)]


def _rising(rows: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The rows whose length grows while the probability falls."""
    kept: list[tuple[float, float]] = []
    for row in rows:
        if kept and (row[0] >= kept[-1][0] or row[1] <= kept[-1][1]):
            if row[0] < kept[-1][0]:
                kept[-1] = (row[0], kept[-1][1])
            continue
        kept.append(row)
    return kept


def _straight(x: float, xs: list[float], ys: list[float]) -> float:
    """What stands at ``x`` on the line through points with rising ``xs``; beyond its ends the line goes on."""
    place = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    x0, x1, y0, y1 = xs[place - 1], xs[place], ys[place - 1], ys[place]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
