"""What workers do for the arena. Each task only looks for what has to be done and is safe to run twice and at once."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone


@shared_task(name="arena.refresh")
def refresh() -> int:
    """Read prices when they are due, then close what reached its stop, profit or liquidation; how many prices."""
    from arena.services.exchange_gateways import exchange_gateways
    from arena.services.guard_positions import guard_positions
    from arena.services.refresh_prices import is_wanted, refresh_prices

    if not is_wanted():
        return 0
    read = refresh_prices(gateways=exchange_gateways(), now=timezone.now())
    guard_positions(now=timezone.now())
    return read or 0


@shared_task(name="arena.claim_turns")
def claim_turns() -> int:
    """Open the turns that are due and have each played by a worker of its own queue; how many."""
    from arena.services.claim_turns import claim_turns as claim

    turns = claim(now=timezone.now())
    for turn_id in turns:
        play_turn.delay(str(turn_id))
    return len(turns)


@shared_task(name="arena.play_turn", queue="arena")
def play_turn(turn_id: str) -> str | None:
    """Play one turn as far as it goes."""
    from arena.services.play_turn import play_turn as play

    status = play(UUID(turn_id))
    return str(status) if status else None
