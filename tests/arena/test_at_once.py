"""Everything that touches a bot, at the same moment: nothing waits for ever, nothing is half, and the ledger is right."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

from django.core.management import call_command
from django.db import connections

from arena.models import ArenaSettings, ArenaState, ArenaTurn, Participant
from arena.rules.statuses import HaltScope
from arena.services.claim_turns import claim_turns
from arena.services.guard_positions import guard_positions
from arena.services.halts import halt, lift_halt
from arena.services.play_turn import play_turn
from arena.services.report_health import judge_participants
from arena.services.reset_participant import reset_participant
from arena.services.steer_participant import close_position, force_turn, pause_participant
from ground.errors import Conflict, NotFound
from ground.scope import Scope
from ledger.models import Position, Trade
from ledger.services.allocate_capital import allocate_capital
from ledger.services.take_snapshots import take_snapshots
from tests.arena.stage import Stage
from tests.fixtures import OPERATOR

TIMES = 8  # each of them


def test_turns_resets_closes_guards_and_switches_at_once_meet_no_deadlock_and_leave_a_right_ledger(
    stage: Stage, settings: Any
) -> None:
    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    ArenaSettings.objects.update(funding_rate_8h=D("0.0001"), halt_after_refused=1000)
    stage.price("BTC/USDT", "61000")
    stage.refresh()
    bots = [stage.add_bot(name=f"bot {number}", cooldown_minutes=0) for number in range(3)]
    acme = Scope(actor="key:acme", client_id=stage.cast.acme)

    def turns(dice: random.Random) -> None:
        wish = {"action": dice.choice(["LONG", "SHORT"]), "symbol": "BTC/USDT", "size": 100, "leverage": 3}
        stage.sandbox.script_model(json.dumps([dice.choice([wish, wish, {"action": "CLOSE", "symbol": "ALL"}])]))
        Participant.objects.filter(pk=dice.choice(bots)).update(next_turn_at=stage.now)
        for turn_id in claim_turns(now=stage.now):
            play_turn(turn_id)

    def close(dice: random.Random) -> None:
        for one in Position.objects.filter(status="open")[:1]:
            close_position(scope=acme, bot_id=one.bot_id, position=str(one.id), now=stage.now)

    def guard(dice: random.Random) -> None:
        ArenaState.objects.update(funded_at=stage.now - timedelta(hours=9))
        stage.price("BTC/USDT", dice.choice(["61000", "45000", "80000"]))
        stage.refresh()
        guard_positions(now=stage.now)
        judge_participants(now=stage.now)

    def reset(dice: random.Random) -> None:
        reset_participant(scope=acme, bot_id=dice.choice(bots), now=stage.now)

    def steer(dice: random.Random) -> None:
        one = dice.choice(bots)
        pulled = halt(
            scope=dice.choice([acme, OPERATOR]), halt_scope=HaltScope.BOT, bot_id=one, reason="x", now=stage.now
        )
        lift_halt(scope=OPERATOR, halt_id=pulled, now=stage.now)
        for paused in (True, False):
            pause_participant(scope=acme, bot_id=one, paused=paused, now=stage.now)
        force_turn(scope=acme, bot_id=one, now=stage.now)
        allocate_capital(scope=acme, bot_id=one, capital=D(dice.choice([9_000, 10_000, 12_000])))
        take_snapshots(scope=OPERATOR, now=stage.now)

    def again_and_again(number_and_work: tuple[int, Callable[[random.Random], None]]) -> None:
        dice = random.Random(number_and_work[0])
        try:
            for _ in range(TIMES):
                with suppress(Conflict, NotFound):  # what it wanted is gone, or stands in its way, and nothing was done
                    number_and_work[1](dice)
        finally:
            connections.close_all()

    works = [turns, turns, turns, close, guard, guard, reset, steer]
    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(again_and_again, enumerate(works)))
    assert Trade.objects.exists() and ArenaTurn.objects.filter(status="done").exists()
    call_command("verify_ledger")
    call_command("recompute_statistics")
