"""Turns through the real database and the sandbox's models: what is decided is done together, once, or not at all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections

from arena.models import ArenaEvent, ArenaMarket, ArenaTurn, Halt, LlmCall, LlmProvider, LlmSpend, Participant
from arena.services.claim_turns import claim_turns, take_turn
from arena.services.play_turn import play_turn
from arena.services.reset_participant import reset_participant
from bots.services.stop_bot import stop_bot
from ledger.models import BotDecision, Position, Trade
from tests.arena.stage import Stage
from tests.fixtures import OPERATOR


def say(stage: Stage, *decisions: dict[str, Any] | str) -> None:
    """What the model answers next, each to one question."""
    stage.sandbox.script_model(*(one if isinstance(one, str) else json.dumps([one]) for one in decisions))


def play(stage: Stage, bot_id: UUID) -> ArenaTurn:
    """The bot's next turn, as beat and a worker do it."""
    stage.refresh()
    Participant.objects.filter(bot_id=bot_id).update(next_turn_at=stage.now)
    for turn_id in claim_turns(now=stage.now):
        play_turn(turn_id)
    return ArenaTurn.objects.filter(bot_id=bot_id).latest("number")


LONG = {"action": "LONG", "symbol": "BTCUSDT", "size": 100, "leverage": 3, "stopLoss": 58000, "reasoning": "stars"}


@pytest.fixture
def bot_id(stage: Stage, settings: Any) -> UUID:
    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    stage.price("BTC/USDT", "61000")
    return stage.add_bot()


def test_a_decision_becomes_a_position_a_trade_and_a_balance(stage: Stage, bot_id: UUID) -> None:
    say(stage, LONG)
    turn = play(stage, bot_id)
    assert (turn.status, turn.message, turn.number) == ("done", "", 1)
    decision = BotDecision.objects.get()
    position, trade = Position.objects.get(), Trade.objects.get()
    assert (decision.execution_success, decision.decisions_json[0]["symbol"]) == (True, "BTC/USDT")
    assert (trade.decision_id, trade.position_id, turn.decision_id) == (decision.id, position.id, decision.id)
    assert (position.quantity, position.stop_loss) == (D("0.00491"), D(58000))  # 300 / 61000 to the step
    assert trade.fee == D("0.00491") * 61000 * D("0.0005") > 0  # the entry's fee was once recorded and not deducted
    assert stage.balance(bot_id) == 10_000 - position.size - trade.fee
    call = LlmCall.objects.get()
    assert (call.status, call.turn_id, call.cost is not None) == ("answered", turn.id, True)
    assert call.reply is not None
    assert "LONG" in call.reply
    assert {row.reserved for row in LlmSpend.objects.all()} == {D(0)}
    assert sorted(event.kind for event in ArenaEvent.objects.all()) == ["decision", "trade"]

    say(stage, {"action": "CLOSE", "symbol": "BTC/USDT"}, LONG)
    assert play(stage, bot_id).status == "done"
    assert Trade.objects.get(trade_type="exit").cause == "model"
    refused = play(stage, bot_id)  # 30 minutes must pass after a close
    decision = BotDecision.objects.get(turn=refused)
    assert not decision.execution_success  # once, what was refused counted as a success
    assert any("minutes" in note or "cool" in note.lower() for note in decision.notes_json)
    call_command("verify_ledger")


@pytest.mark.parametrize(
    ("words", "status"),
    [("I would rather not.", "failed"), ("", "failed"), ('[{"action": "HOLD"}]', "done"), ("[]", "done")],
)
def test_what_cannot_be_read_is_on_record_and_no_success(stage: Stage, bot_id: UUID, words: str, status: str) -> None:
    say(stage, words)
    assert play(stage, bot_id).status == status
    assert Trade.objects.count() == 0
    decision = BotDecision.objects.first()
    assert (decision is not None and decision.execution_success) == ("HOLD" in words)
    assert Participant.objects.get().unreadable_in_row == (0 if status == "done" else 1)


def test_the_newest_decisions_are_shown_with_what_came_of_them(stage: Stage, bot_id: UUID) -> None:
    for number in range(17):
        say(stage, {"action": "HOLD", "reasoning": f"thought number {number}."})
        play(stage, bot_id)
    sent = BotDecision.objects.latest("decided_at").prompt_sent
    assert "thought number 15." in sent
    assert "thought number 1." in sent
    assert "thought number 0." not in sent  # fifteen are shown, and the old arena showed the oldest


def test_stale_prices_switches_and_spent_budgets_stop_a_turn_before_it_asks(stage: Stage, bot_id: UUID) -> None:
    stage.refresh()
    ArenaMarket.objects.update(observed_at=stage.now - timedelta(minutes=2))
    for turn_id in claim_turns(now=stage.now):
        assert play_turn(turn_id) == "skipped"
    Participant.objects.update(daily_budget=D(0), monthly_budget=D(0))
    assert play(stage, bot_id).status == "skipped"
    Participant.objects.update(daily_budget=None, monthly_budget=None)
    halted = Halt.objects.create(scope="all", reason="A test of the switch.", halted_by="tests")
    assert play(stage, bot_id).number == 2  # none was opened
    halted.delete()
    assert stage.sandbox.model_calls() == []
    say(stage, LONG)
    assert play(stage, bot_id).status == "done"


@pytest.mark.parametrize("means", ["switch", "stop"])
def test_who_halts_or_stops_a_bot_while_the_model_thinks_stops_what_it_says(
    stage: Stage, bot_id: UUID, means: str
) -> None:
    say(stage, LONG)
    stage.refresh()
    stage.sandbox.fault("model:all", "latency", seconds=2)
    (turn_id,) = claim_turns(now=stage.now)
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(_closing, turn_id)
        stage.sandbox.wait_until(lambda: ArenaTurn.objects.filter(status="asked").exists())
        if means == "stop":
            stop_bot(scope=OPERATOR, bot_id=bot_id, now=stage.now)
        else:
            Halt.objects.create(scope="all", reason="A test of the switch.", halted_by="tests")
        assert playing.result() == "done"
    assert Trade.objects.count() == 0
    assert "halted" in BotDecision.objects.get().notes_json[0]


def test_a_reset_while_the_model_thinks_leaves_the_new_life_untouched(stage: Stage, bot_id: UUID) -> None:
    say(stage, LONG)
    stage.refresh()
    stage.sandbox.fault("model:all", "latency", seconds=2)
    (turn_id,) = claim_turns(now=stage.now)
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(_closing, turn_id)
        stage.sandbox.wait_until(lambda: ArenaTurn.objects.filter(status="asked").exists())
        archive_id = reset_participant(scope=OPERATOR, bot_id=bot_id, now=stage.now)
        assert playing.result() is None
    turn = ArenaTurn.objects.get(pk=turn_id)
    assert (turn.bot_id, turn.status, turn.message) == (archive_id, "failed", "The bot was reset.")
    assert not BotDecision.objects.exists() and not Trade.objects.exists()
    assert stage.balance(bot_id) == stage.balance(archive_id) == 10_000
    stage.sandbox.clear_faults()
    say(stage, LONG)
    assert (play(stage, bot_id).number, Trade.objects.get().bot_id) == (1, bot_id)


def test_a_turn_is_played_once_by_any_number_of_workers(stage: Stage, bot_id: UUID) -> None:
    say(stage, LONG, LONG, LONG, LONG)
    stage.refresh()
    now = stage.now
    with ThreadPoolExecutor(4) as pool:
        claimed = [turn for found in pool.map(lambda _: _closing_claim(now), range(4)) for turn in found]
        list(pool.map(_closing, claimed * 4))
    assert [turn.status for turn in ArenaTurn.objects.all()] == ["done"]
    assert (LlmCall.objects.count(), Trade.objects.count(), BotDecision.objects.count()) == (1, 1, 1)


def test_a_worker_that_dies_leaves_a_turn_that_is_finished_or_ended_and_never_asks_again(
    stage: Stage, bot_id: UUID
) -> None:
    say(stage, LONG)
    turn = play(stage, bot_id)
    # After its answer was stored: as if the worker had died before it read it.
    Trade.objects.all().delete()
    for died_at, expected in (("asked", "failed"),):
        Participant.objects.update(next_turn_at=stage.now)
        (turn_id,) = claim_turns(now=stage.now)
        assert take_turn(turn_id, lasts=timedelta(seconds=0), now=stage.now - timedelta(seconds=1))
        ArenaTurn.objects.filter(pk=turn_id).update(status=died_at, asked_at=stage.now)
        assert turn_id in claim_turns(now=stage.now)  # offered again
        assert play_turn(turn_id) == expected
    assert LlmCall.objects.filter(turn=turn).count() == 1
    assert len(stage.sandbox.model_calls()) == 1


def test_the_fallback_that_the_client_chose_is_asked_where_nobody_answers_and_no_other(
    stage: Stage, bot_id: UUID
) -> None:
    """The old arena fell back to whatever provider had a key, also another tenant's."""
    own = Participant.objects.get().provider
    stage.provider(stage.cast.globex)
    stage.sandbox.fault("model:gpt-sandbox", "server_error", status=401)
    assert play(stage, bot_id).status == "failed"
    assert LlmCall.objects.count() == 1
    assert own is not None
    fallback = LlmProvider.objects.create(
        client_id=own.client_id, name="second", kind="openai", model="gpt-second", api_key=f"sk-{own.client_id}",
        prices=own.prices,
    )  # fmt: skip
    Participant.objects.update(fallback=fallback)
    say(stage, LONG)
    turn = play(stage, bot_id)
    assert (turn.status, turn.provider_id, turn.model) == ("done", fallback.id, "gpt-second")
    assert [call.status for call in LlmCall.objects.filter(turn=turn).order_by("step")] == ["failed", "answered"]
    with pytest.raises(IntegrityError):
        Participant.objects.update(fallback=LlmProvider.objects.get(client_id=stage.cast.globex))


def test_an_error_of_the_database_is_swallowed_nowhere_leaves_nothing_half_and_ends_the_turn_after_some_tries(
    stage: Stage, bot_id: UUID
) -> None:
    """The old arena went on as if nothing had happened."""
    say(stage, LONG)
    stage.refresh()
    (turn_id,) = claim_turns(now=stage.now)
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE trades ADD CONSTRAINT a_test_of_errors CHECK (mode <> 'paper') NOT VALID")
    try:
        for _ in range(3):
            with pytest.raises(IntegrityError):
                play_turn(turn_id)
            ArenaTurn.objects.update(lease_until=stage.now - timedelta(seconds=1))
    finally:
        with connections["default"].cursor() as cursor:
            cursor.execute("ALTER TABLE trades DROP CONSTRAINT a_test_of_errors")
    assert (BotDecision.objects.count(), Position.objects.count(), stage.balance(bot_id)) == (0, 0, 10_000)
    assert play_turn(turn_id) == "failed"
    assert "3 times" in ArenaTurn.objects.get().message
    assert len(stage.sandbox.model_calls()) == 1


def test_the_first_turns_of_a_new_arena_wait_for_the_first_prices(stage: Stage, bot_id: UUID) -> None:
    """They were left out, and the next came an interval later."""
    say(stage, LONG)
    assert claim_turns(now=stage.now) == []
    stage.refresh()
    (turn_id,) = claim_turns(now=stage.now)
    assert play_turn(turn_id) == "done"
    assert ArenaTurn.objects.get().number == 1


def test_turns_are_fair_to_clients_and_come_once_an_interval(stage: Stage, bot_id: UUID) -> None:
    for number in range(3):
        stage.add_bot(name=f"another {number}")
    lone = stage.add_bot("client_globex", name="lone")
    stage.refresh()
    first = claim_turns(now=stage.now, most=2)
    assert lone in ArenaTurn.objects.filter(id__in=first).values_list("bot_id", flat=True)
    rest = claim_turns(now=stage.now)
    assert len({*first, *rest}) == 5
    assert claim_turns(now=stage.now) == []
    assert Participant.objects.filter(next_turn_at__gt=stage.now + timedelta(seconds=150)).count() == 5


def test_a_turn_that_waits_for_a_worker_is_offered_again_now_and_then_and_not_at_each_tick(
    stage: Stage, bot_id: UUID
) -> None:
    stage.refresh()
    (turn_id,) = claim_turns(now=stage.now)
    later = stage.now + timedelta(seconds=16)
    assert claim_turns(now=stage.now) == []
    assert claim_turns(now=later) == [turn_id]
    assert claim_turns(now=later + timedelta(seconds=2)) == []
    assert take_turn(turn_id, lasts=timedelta(minutes=5), now=later) is not None
    assert take_turn(turn_id, lasts=timedelta(minutes=5), now=later) is None
    assert claim_turns(now=later + timedelta(seconds=60)) == []


def test_a_clock_set_back_or_a_shorter_interval_keeps_no_bot_from_its_turns(stage: Stage, bot_id: UUID) -> None:
    stage.refresh()
    ahead = stage.now + timedelta(hours=1)
    assert len(claim_turns(now=ahead)) == 1  # our clock was an hour ahead when it was claimed and taken
    assert take_turn(ArenaTurn.objects.get().id, lasts=timedelta(minutes=5), now=ahead)
    assert len(claim_turns(now=stage.now)) == 1  # its lease ends in an hour and five minutes
    ArenaTurn.objects.update(status="skipped", finished_at=ahead)
    assert len(claim_turns(now=stage.now)) == 1
    assert ArenaTurn.objects.count() == 2
    ArenaTurn.objects.update(status="skipped", finished_at=stage.now)
    assert claim_turns(now=stage.now) == []
    Participant.objects.update(next_turn_at=stage.now + timedelta(seconds=150), turn_interval_s=100)
    assert len(claim_turns(now=stage.now)) == 1


def test_a_forced_turn_leaves_the_next_one_where_it_was(stage: Stage, bot_id: UUID) -> None:
    stage.refresh()
    planned = stage.now + timedelta(seconds=90)
    Participant.objects.update(next_turn_at=planned, forced_at=stage.now, forced_by="key:acme")
    assert len(claim_turns(now=stage.now)) == 1
    assert Participant.objects.get().next_turn_at == planned


def test_only_turns_in_which_everything_was_refused_count_towards_a_halt(stage: Stage, bot_id: UUID) -> None:
    def counted(*decisions: dict[str, Any]) -> int:
        say(stage, json.dumps(decisions))
        play(stage, bot_id)
        return Participant.objects.get().refused_in_row

    greedy = {"action": "LONG", "symbol": "ETHUSDT", "size": 900_000, "leverage": 1}
    assert counted(greedy) == 1
    assert counted(greedy, greedy | {"symbol": "DOGEUSDT"}) == 2
    stage.refresh()
    (turn_id,) = _due(stage)
    say(stage, json.dumps([greedy]))
    stage.sandbox.fault("model:all", "latency", seconds=1)
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(_closing, turn_id)
        stage.sandbox.wait_until(lambda: ArenaTurn.objects.filter(status="asked").exists())
        ArenaMarket.objects.update(observed_at=stage.now - timedelta(minutes=5))
        assert playing.result() == "done"
    stage.sandbox.clear_faults()
    assert Participant.objects.get().refused_in_row == 2, "that nothing was done was not its doing"
    assert counted(LONG, greedy) == 0, "something of it was done"


def _due(stage: Stage) -> list[UUID]:
    Participant.objects.update(next_turn_at=stage.now)
    return claim_turns(now=stage.now)


def _closing(turn_id: UUID) -> str | None:
    try:
        return play_turn(turn_id)
    finally:
        connections.close_all()


def _closing_claim(now: Any) -> list[UUID]:
    try:
        return claim_turns(now=now)
    finally:
        connections.close_all()
