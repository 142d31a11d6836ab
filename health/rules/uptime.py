"""How long a bot was up: seconds of each verdict, their sums, and the share of them in which it lived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Carried:
    """Seconds for which a bot carried each verdict. ``planned``: stopped or not judged because somebody wanted it so."""

    healthy: int = 0
    stale: int = 0
    stopped: int = 0
    error: int = 0
    unknown: int = 0
    planned: int = 0

    def __add__(self, other: Carried) -> Carried:
        return Carried(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    @property
    def up(self) -> int:
        return self.healthy + self.stale

    @property
    def known(self) -> int:
        """Seconds that count: it was meant to run, and could be told."""
        return self.up + self.stopped + self.error

    @property
    def uptime_ratio(self) -> float | None:
        """0 to 1, or None where nothing counted.

        Neither what was planned nor what could not be told is part of it: an outage of an exchange says nothing of the
        bot, and must make its uptime neither better nor worse.
        """
        return round(self.up / self.known, 6) if self.known else None

    @property
    def known_ratio(self) -> float | None:
        """How much of the time it was meant to run could be told; None where it was never meant to."""
        meant = self.known + self.unknown
        return round(self.known / meant, 6) if meant else None


NAMES = tuple(field.name for field in fields(Carried))


def total(parts: Iterable[Carried]) -> Carried:
    """The sum; of nothing it is all zero."""
    return sum(parts, Carried())
