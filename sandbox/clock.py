"""Two times: the wall (what answers and trades carry) and the world's own seconds (what habits and cadences count)."""

from __future__ import annotations

import time


class Clock:
    """``speed`` 10 lets the 30 s silence of a bot pass in 3 s; stamps on trades stay real, so recency can be tested."""

    def __init__(self, *, speed: float = 1.0, start_s: float = 0.0) -> None:
        self._speed = speed
        self._base_s = start_s
        self._since = time.monotonic()

    @property
    def speed(self) -> float:
        return self._speed

    def wall(self) -> float:
        """Epoch seconds, real."""
        return time.time()

    def wall_ms(self) -> int:
        return int(time.time() * 1000)

    def world(self) -> float:
        """Seconds of the simulated world; never goes back, survives a restart through the state file."""
        return self._base_s + (time.monotonic() - self._since) * self._speed

    def set_speed(self, speed: float) -> None:
        self._base_s, self._since, self._speed = self.world(), time.monotonic(), speed

    def advance(self, seconds: float) -> None:
        """Jump ahead: every habit that waits (silence, archiving, scripts) sees the seconds as passed."""
        self._base_s += seconds

    def real_s(self, world_s: float) -> float:
        """How long ``world_s`` takes on the wall."""
        return world_s / self._speed
