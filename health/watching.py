"""What can be told of the watcher itself: when every bot was last looked at, and how late the next such look is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from alerts.models import AlertsState
from health import selectors
from health.models import HealthState

AWAY_AFTER = timedelta(seconds=120)  # workers that hang on slow exchanges tick late, too


@dataclass(frozen=True, slots=True)
class CycleSeen:
    """``word``: healthy, waiting (no cycle was finished yet since the schedule began) or late."""

    word: str
    last_at: datetime | None
    length_s: Decimal | None
    bots: int | None
    late_s: float  # beyond when the next cycle was to have ended


def cycle_seen(*, now: datetime) -> CycleSeen:
    """How the cycle stands. Each begins one interval after the one before and takes about as long; a whole interval of
    patience more allows for bots that are due at other moments. Run it where an operator looks."""
    state = HealthState.objects.filter(id=1).first()
    if state is None or state.last_tick_at is None:
        return CycleSeen("waiting", None, None, None, 0.0)
    booted = AlertsState.objects.filter(id=1).values_list("booted_at", flat=True).first()
    interval = timedelta(seconds=selectors.check_interval_s())
    length = timedelta(seconds=float(state.last_cycle_s or 0))
    began = max((at for at in (state.last_cycle_at, booted) if at), default=state.last_tick_at)
    late = max(timedelta(), now - began - interval - length)
    ticked = max(at for at in (state.last_tick_at, booted) if at)
    is_late = late > max(interval, AWAY_AFTER) or now - ticked > AWAY_AFTER
    word = "late" if is_late else "healthy" if state.last_cycle_at == began else "waiting"
    return CycleSeen(word, state.last_cycle_at, state.last_cycle_s, state.last_cycle_bots, late.total_seconds())
