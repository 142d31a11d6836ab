"""By how much an exchange's clock is ahead of ours: measured now and then, and used for every request that is signed.

ccxt corrects the time only in some of its classes (``timeDifference``), so the correction lies below all of them: what
ccxt takes for the time of day is ours plus the offset.
"""

from __future__ import annotations

import time
from datetime import timedelta

_TOO_FAR_MS = 24 * 3600 * 1000  # an offset beyond a day is an answer that makes no sense
_SECOND_MS = 1000


class ExchangeClock:
    """One exchange's offset, shared by all its keys in this process. Unmeasured it is zero."""

    def __init__(self) -> None:
        self._offset_ms: int | None = None
        self._measured_at: float | None = None

    @property
    def offset_ms(self) -> int:
        return self._offset_ms or 0

    @property
    def offset(self) -> timedelta | None:
        """Positive: the exchange's clock is ahead. None: nobody has measured or told it."""
        return None if self._offset_ms is None else timedelta(milliseconds=self._offset_ms)

    def set(self, offset: timedelta) -> None:
        """What another process measured; it does not count as measured here."""
        self._offset_ms = round(offset / timedelta(milliseconds=1))

    def measured(self, offset_ms: int) -> timedelta:
        self._offset_ms, self._measured_at = offset_ms, time.monotonic()
        return timedelta(milliseconds=offset_ms)

    def age_s(self) -> float:
        """Seconds since it was measured here; infinite when it never was."""
        return float("inf") if self._measured_at is None else time.monotonic() - self._measured_at


def offset_between(server_ms: int, sent_ms: int, heard_ms: int) -> int | None:
    """The offset that an answer shows, right to half its way there and back; None when it cannot be.

    A clock that shows whole seconds is on average half a second further than it says.
    """
    further = _SECOND_MS // 2 if server_ms % _SECOND_MS == 0 else 0
    offset_ms = server_ms + further - (sent_ms + heard_ms) // 2
    return offset_ms if abs(offset_ms) <= _TOO_FAR_MS else None
