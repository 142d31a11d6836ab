"""What workers do for the ledger. Rows say what is due; a task that is lost or comes twice changes nothing."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from ground.scope import system_scope


@shared_task(name="ledger.take_snapshots")
def take_snapshots() -> None:
    """Record the state of every active bot, if a tick has come."""
    from ledger.services.take_snapshots import take_snapshots as take

    take(scope=system_scope("snapshots"), now=timezone.now())


@shared_task(name="ledger.refresh_boards")
def refresh_boards() -> None:
    """Make the leaderboards anew."""
    from ledger.services.refresh_boards import refresh_due_boards

    refresh_due_boards(scope=system_scope("leaderboard"), now=timezone.now())


@shared_task(name="ledger.refresh_intervals")
def refresh_intervals() -> None:
    """Renew how sure the oldest lines of the leaderboards are."""
    from ledger.services.refresh_intervals import refresh_intervals as refresh

    refresh(scope=system_scope("leaderboard"), now=timezone.now())


@shared_task(name="ledger.thin_snapshots")
def thin_snapshots() -> None:
    """Forget snapshots that say nothing more."""
    from ledger.services.thin_snapshots import thin_snapshots as thin

    thin(scope=system_scope("thinning"), now=timezone.now())


@shared_task(name="ledger.verify_ledger", acks_late=False, soft_time_limit=1800, time_limit=1860)
def verify_ledger() -> None:
    """Hold every rule against the rows, once a night.

    It may run for longer than the broker waits for a late acknowledgement; a worker that dies over it has not moved
    ``verified_at``, so the next tick begins it again.
    """
    from ledger.services.verify_ledger import verify_if_due

    verify_if_due(scope=system_scope("ledger"), now=timezone.now())
