"""A curve as small as a word, as the points of an SVG polyline."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

WIDTH, HEIGHT, EDGE = 192, 56, 4
"""Of the box, in whole units: twice as many as it has points on a page, so that none need a fraction."""


def spark_points(points: Sequence[tuple[int, Decimal]]) -> str:
    """``"4,28 188,6"``: (seconds, value) pairs, oldest first, over the whole width and height; empty with fewer than two
    moments. A curve that never moved lies in the middle."""
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return ""
    first, length = points[0][0], points[-1][0] - points[0][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    wide, tall = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE

    def height(value: Decimal) -> int:
        share = float((value - low) / (high - low)) if high > low else 0.5
        return round(EDGE + tall * (1 - share))

    return " ".join(f"{round(EDGE + wide * (at - first) / length)},{height(value)}" for at, value in points)
