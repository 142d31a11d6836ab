"""By how much an exchange's clock is ahead of ours: measured now and then, and used for every request that is signed.

ccxt corrects the time only in some of its classes (``timeDifference``), so the correction lies below all of them: what
ccxt takes for the time of day is ours plus the offset.
"""

from __future__ import annotations

import time
from datetime import timedelta
from email.utils import parsedate_to_datetime

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


def offset_between(server_ms: int, sent_ms: int, heard_ms: int, *, known_ms: int) -> int | None:
    """The offset after an answer: the known one while the answer agrees with it, else what it shows.

    The exchange read its clock somewhere between sending and hearing, and a clock that shows whole seconds may be up to
    one further than it says. None when the answer makes no sense.
    """
    further_ms = _SECOND_MS if server_ms % _SECOND_MS == 0 else 0
    least, most = server_ms - heard_ms, server_ms + further_ms - sent_ms
    if min(abs(least), abs(most)) > _TOO_FAR_MS:
        return None
    return known_ms if least <= known_ms <= most else (least + most) // 2


def date_ms(header: str | None) -> int | None:
    """The time in an answer's Date header, in whole seconds."""
    try:
        return int(parsedate_to_datetime(header or "").timestamp()) * _SECOND_MS
    except (ValueError, TypeError):
        return None
