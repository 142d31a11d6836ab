"""From when on a bot trades as it does now: its interval, its pair or its strategy may have been changed."""

from __future__ import annotations

import math
from collections.abc import Sequence

EVIDENCE = 12.0  # logarithm of how much likelier two parts must make the gaps than one
FACTOR = math.log(1.6)  # a change that is smaller is none
FEWEST = 6  # gaps in a part
FASTER_FOR = 86400.0  # a bot that became faster is believed after a day: in a burst every bot is fast


def begin_of_present(gaps: Sequence[float], *, begins: int = 0) -> int:
    """The place of the first gap (all positive, in the order of time) of the present regime; 0 if it never changed."""
    while True:
        change = _change(gaps[begins:])
        if not change:
            return begins
        begins += change


def _change(gaps: Sequence[float]) -> int:
    """Where these gaps are best parted in two, if that is believed, else 0."""
    count = len(gaps)
    if count < 2 * FEWEST:
        return 0
    logs = _tamed([math.log(gap) for gap in gaps])
    place, gain, step = _best_split(logs)
    if not place or abs(step) < FACTOR or gain / _stickiness(logs, place) < EVIDENCE:
        return 0
    return place if step > 0 or sum(gaps[place:]) >= FASTER_FOR else 0


def _tamed(values: list[float]) -> list[float]:
    """Values drawn in to where most of them are, so that a death is not taken for a change."""
    ordered = sorted(values)
    count = len(ordered)
    low, high = ordered[count // 20], ordered[count - 1 - count // 20]
    return [min(max(value, low), high) for value in values]


def _best_split(values: list[float]) -> tuple[int, float, float]:
    """(place, gain in log likelihood, later mean minus earlier mean) of the best split, for values of one variance."""
    count, total = len(values), sum(values)
    squares = sum(value * value for value in values)
    spread = max(squares - total * total / count, 1e-9)
    best, at, step, left = 0.0, 0, 0.0, sum(values[: FEWEST - 1])
    for place in range(FEWEST, count - FEWEST + 1):
        left += values[place - 1]
        right = total - left
        between = left * left / place + right * right / (count - place) - total * total / count
        if between > best:
            best, at, step = between, place, right / (count - place) - left / place
    rest = max(spread - best, 1e-3 * spread)
    return at, count / 2 * math.log(spread / rest), step


def _stickiness(values: list[float], place: int) -> float:
    """How many neighbours tell the same story: gaps that follow each other in kind are no independent witnesses."""
    before, after = values[:place], values[place:]
    centred = [v - sum(before) / len(before) for v in before] + [v - sum(after) / len(after) for v in after]
    squares = sum(v * v for v in centred)
    if squares <= 0:
        return 1.0
    likeness = sum(a * b for a, b in zip(centred, centred[1:], strict=False)) / squares
    likeness = min(max(likeness, 0.0), 0.9)
    return (1 + likeness) / (1 - likeness)
