"""What each leaderboard looks back on, and with which steps its ratios are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ledger.rules.metrics import DAYS_PER_YEAR, HOURS_PER_YEAR
from ledger.rules.words import BucketSpan, Period

SPANS = {
    Period.DAILY: timedelta(hours=24),
    Period.WEEKLY: timedelta(days=7),
    Period.MONTHLY: timedelta(days=30),
    Period.ALL_TIME: None,
}
GRAINS = {
    Period.DAILY: BucketSpan.HOUR,
    Period.WEEKLY: BucketSpan.HOUR,
    Period.MONTHLY: BucketSpan.DAY,
    Period.ALL_TIME: BucketSpan.DAY,
}
INTERVALS_PER_YEAR: dict[BucketSpan, Decimal] = {BucketSpan.HOUR: HOURS_PER_YEAR, BucketSpan.DAY: DAYS_PER_YEAR}
LENGTHS = {BucketSpan.HOUR: timedelta(hours=1), BucketSpan.DAY: timedelta(hours=24)}
LEAST_RETURNS = 10  # with fewer, Sharpe, Sortino and volatility say nothing
DAWN = datetime(1970, 1, 1, tzinfo=UTC)  # before every bot


def period_begin(period: Period, *, now: datetime) -> datetime:
    """Where a period begins: at a full hour, so that whole hours add up to it. All time begins before every bot."""
    span = SPANS[period]
    if span is None:
        return DAWN
    return (now.astimezone(UTC) - span).replace(minute=0, second=0, microsecond=0)
