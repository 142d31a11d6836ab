"""What workers do for the arena. Each task only looks for what has to be done and is safe to run twice and at once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from exchanges.gateways.configured import configured_gateways
from ground.scope import Scope


@shared_task(name="arena.refresh")
def refresh() -> int:
    """Read prices when they are due, then close what reached its stop, profit or liquidation; how many prices."""
    from arena.services.guard_positions import guard_positions
    from arena.services.refresh_prices import is_wanted, refresh_prices

    if not is_wanted():
        return 0
    read = refresh_prices(gateways=configured_gateways(), now=timezone.now())
    guard_positions(now=timezone.now())
    return read or 0


@shared_task(name="arena.judge")
def judge() -> int:
    """Say anew how every started bot fares; how many verdicts changed."""
    from arena.services.report_health import judge_participants

    return judge_participants(now=timezone.now())


@shared_task(name="arena.claim_turns")
def claim_turns() -> int:
    """Open the turns that are due and have each played by a worker of its own queue; how many."""
    from arena.services.claim_turns import claim_turns as claim

    turns = claim(now=timezone.now())
    for turn_id in turns:
        play_turn.delay(str(turn_id))
    return len(turns)


@shared_task(name="arena.end_abandoned_calls")
def end_abandoned_calls() -> int:
    """Book what calls whose worker is gone may have cost, so that nothing stays set aside for ever; how many."""
    from arena.services.claim_turns import SCOPE
    from arena.services.model_calls import end_abandoned_calls as end
    from arena.services.settings_row import arena_settings

    with SCOPE.transaction():
        longest = timedelta(seconds=arena_settings().turn_timeout_s)
    return end(scope=SCOPE, now=timezone.now(), older_than=longest + timedelta(minutes=15))


@shared_task(name="arena.play_turn")
def play_turn(turn_id: str) -> str | None:
    """Play one turn as far as it goes."""
    from arena.services.play_turn import play_turn as play

    status = play(UUID(turn_id))
    return str(status) if status else None


@shared_task(name="arena.summarise")
def summarise(summary_id: str) -> str | None:
    """Make one summary of a bot's history as far as it goes."""
    from arena.gateways.ask import ask
    from arena.services.summarise import summarise as make

    status = make(UUID(summary_id), ask=ask, clock=timezone.now)
    return str(status) if status else None


@shared_task(name="arena.nudge_summaries")
def nudge_summaries() -> int:
    """Have summaries made that nobody works on: their nudge was lost, or their worker is gone; how many."""
    from arena.services.want_summary import nudge_lost_summaries

    return nudge_lost_summaries(now=timezone.now())


@shared_task(name="arena.nudge_shadows")
def nudge_shadows() -> bool:
    """Have a worker of the arena play a slice of a replay, if one is due and no turn waits; whether it was asked for.

    A nudge that no worker takes up in time is dropped, so they never queue before turns.
    """
    from arena.services.play_shadow import is_shadow_due

    if not is_shadow_due(now=timezone.now()):
        return False
    play_shadow.apply_async(expires=4)
    return True


@shared_task(name="arena.play_shadow")
def play_shadow() -> str | None:
    """Play a slice of the replay in shadow that has waited longest."""
    from arena.gateways.ask import ask
    from arena.services.play_shadow import play_shadow as play

    run_id = play(ask=ask, clock=timezone.now)
    return str(run_id) if run_id else None


@shared_task(name="arena.read_history")
def read_history() -> int:
    """Read bars from before the arena was there, for a few markets that lack them; how many."""
    from arena.services.read_history import read_history as read
    from exchanges.gateways.configured import configured_gateways

    return read(gateways=configured_gateways(), now=timezone.now())


@shared_task(name="arena.thin_events")
def thin_events() -> int:
    """Drop events of the stream that nobody can resume from any more, and old bars of prices; how many of both."""
    from arena.services.thin_bars import thin_bars
    from arena.services.thin_events import thin_events as thin

    return thin(now=timezone.now()) + thin_bars(now=timezone.now())


@shared_task(name="arena.test_provider")
def test_provider(provider_id: str, actor: str) -> str:
    """Ask a provider something small in the name of ``actor``; what came of it, which stands beside the provider too."""
    from arena.gateways.ask import ask
    from arena.services.test_provider import test_provider as test

    return test(scope=Scope(actor=actor), provider_id=UUID(provider_id), ask=ask, clock=timezone.now).message
