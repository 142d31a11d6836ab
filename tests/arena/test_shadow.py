"""Stored turns asked again in shadow: through the real database and the sandbox's models, and nothing trades."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connections
from django.utils import timezone

from arena.gateways.ask import ask
from arena.models import (
    ArenaTurn,
    Halt,
    LlmCall,
    LlmProvider,
    LlmSpend,
    Participant,
    PromptVersion,
    ShadowRun,
    ShadowTurn,
)
from arena.rules.statuses import ShadowKind
from arena.selectors.prompt_versions import prompt_figures
from arena.services.participants import save_prompt
from arena.services.play_shadow import is_shadow_due, play_shadow
from arena.services.reset_participant import reset_participant
from arena.services.want_shadow import (
    Wanted,
    continue_shadow,
    estimate_shadow,
    newest_turns,
    request_shadow,
    stop_shadow,
)
from arena.types_models import ModelAnswer, ModelRequest, ProviderAccess
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope
from ledger.models import BotAccount, BotDecision, Position, Trade
from tests.arena.stage import Stage
from tests.arena.test_turns import play, say
from tests.fixtures import OPERATOR

LONG = {"action": "LONG", "symbol": "BTCUSDT", "size": 100, "leverage": 3, "stopLoss": 58000, "reasoning": "stars"}
HOLD = {"action": "HOLD", "reasoning": "nothing to do"}
CLOSE = {"action": "CLOSE", "symbol": "BTC/USDT"}


@pytest.fixture
def bot_id(stage: Stage, settings: Any) -> Iterator[UUID]:
    """It bought at 61,000, held while the price rose to 62,000, and sold at 63,000."""
    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    bot_id = stage.add_bot()
    for price, decision in (("61000", LONG), ("62000", HOLD), ("63000", CLOSE)):
        stage.price("BTC/USDT", price)
        say(stage, decision)
        assert play(stage, bot_id).status == "done"
    yield bot_id


def other(stage: Stage, client_id: UUID, name: str = "other") -> LlmProvider:
    """Another account of a client's at the sandbox."""
    return LlmProvider.objects.create(
        client_id=client_id, name=name, kind="openai", model=f"gpt-{name}", api_key=f"sk-{client_id}",
        prices={"*": {"input": D("2"), "output": D("8")}},
    )  # fmt: skip


def want(stage: Stage, bot_id: UUID, **changes: Any) -> UUID:
    wanted = Wanted(**{"kind": ShadowKind.MODEL, "first_turn": 1, "last_turn": 3} | changes)
    return request_shadow(scope=OPERATOR, bot_id=bot_id, wanted=wanted, now=stage.now)


def run_all(times: int = 5) -> None:
    """What the beat and a worker do."""
    for _ in range(times):
        ShadowRun.objects.update(next_at=None)
        if is_shadow_due(now=timezone.now()):
            play_shadow(ask=ask, clock=timezone.now)


def shadow_calls(stage: Stage) -> list[LlmCall]:
    return list(LlmCall.objects.filter(purpose="shadow").order_by("asked_at"))


def facts(bot_id: UUID) -> tuple[Any, ...]:
    """All that a trade would change."""
    account = BotAccount.objects.filter(bot_id=bot_id).values_list("balance", "cash_flow", "updated_at").get()
    counted = [model.objects.count() for model in (Trade, Position, BotDecision, ArenaTurn)]
    return (*account, *counted, Participant.objects.get(pk=bot_id).refused_in_row)


def test_another_model_is_asked_the_same_and_what_it_would_have_made_stands_beside_what_was(
    stage: Stage, bot_id: UUID
) -> None:
    before, asked = facts(bot_id), list(LlmCall.objects.order_by("asked_at"))
    provider = other(stage, stage.cast.acme)
    run_id = want(stage, bot_id, provider_id=provider.id)
    # It buys too, sells a turn earlier, and is not understood at last.
    say(stage, {"action": "LONG", "symbol": "BTC/USDT", "size": 200, "leverage": 2}, CLOSE, "I would rather not.")
    run_all()
    assert facts(bot_id) == before

    run = ShadowRun.objects.get(pk=run_id)
    assert (run.status, run.message) == ("done", "")
    calls = shadow_calls(stage)
    assert [call.messages for call in calls] == [call.messages for call in asked]  # word for word the same question
    assert {(call.model, call.status, call.bot_id) for call in calls} == {("gpt-other", "answered", bot_id)}
    rows = list(ShadowTurn.objects.filter(run=run).order_by("turn__number"))
    assert [row.agrees for row in rows] == [True, False, None]
    assert [row.decisions_json[0]["action"] for row in rows[:2]] == ["LONG", "CLOSE"]
    assert rows[2].notes_json and all(row.finished_at for row in rows)

    result = run.result
    assert (result["turns"], result["readable"], result["agreement_ratio"]) == (3, 2, D("0.5"))
    quantity = D("0.00655")  # 400 / 61,000 to the step
    fees = quantity * (61_000 + 62_000) * D("0.0005")
    assert result["simulated"]["equity"] == 10_000 + quantity * 1_000 - fees
    assert (result["simulated"]["trades"], result["simulated"]["closed"], result["simulated"]["fees"]) == (2, 1, fees)
    assert result["simulated"]["profit"] == result["simulated"]["equity"] - 10_000
    assert result["real"]["equity"] == stage.balance(bot_id)  # it holds nothing any more
    assert rows[1].real_equity == 10_000 - D("0.00491") * 61_000 * D("0.0005") + D("0.00491") * 1_000
    assert "Opened LONG BTC/USDT" in rows[0].simulated_json[-1]

    spent = sum(call.cost for call in calls)
    assert result["cost"]["shadow"]["usd"] == spent > result["cost"]["real"]["usd"] > 0
    assert result["cost"]["shadow"]["input_tokens"] == sum(call.input_tokens for call in calls)
    day = LlmSpend.objects.get(bot_id=bot_id, span="day")
    assert (day.reserved, day.spent) == (0, spent + result["cost"]["real"]["usd"])  # it counts against the budgets


def test_another_prompt_stands_in_the_place_of_the_old_with_that_turns_figures(stage: Stage, bot_id: UUID) -> None:
    text = "You are bold. You have {{availableBalance}} of {{totalValue}}: {{openPositions}} {{marketData}} {{nothing}}"
    want(stage, bot_id, prompt_text=text, first_turn=2, last_turn=2)
    say(stage, HOLD)
    run_all()
    (call,) = shadow_calls(stage)
    from arena.services.model_calls import stored_request

    told = stored_request(call.pk)
    real = stored_request(LlmCall.objects.filter(turn__number=2).get().pk)
    assert told.system == real.system
    assert told.user.startswith("You are bold. You have 9900.")
    assert "Astrologer" not in told.user and "{{nothing}}" in told.user
    assert told.user.split("\n\nIt is ")[1] == real.user.split("\n\nIt is ")[1]  # the briefing, word for word
    ahead = told.user.split("\n\nIt is ")[0]
    assert '"position": "LONG"' in ahead and '["BTC/USDT", "62000"' in ahead
    assert ShadowTurn.objects.get().agrees is True


def test_a_spent_budget_stops_a_run_which_goes_on_where_it_stood(stage: Stage, bot_id: UUID) -> None:
    spent = LlmSpend.objects.get(bot_id=bot_id, span="day").spent
    run_id = want(stage, bot_id)
    Participant.objects.update(daily_budget=spent + D("0.001"))
    say(stage, LONG, HOLD, CLOSE)
    run_all()
    run = ShadowRun.objects.get()
    assert run.status == "stopped" and "budget of a day" in run.message
    assert not shadow_calls(stage)
    Participant.objects.update(daily_budget=None)
    continue_shadow(scope=OPERATOR, run_id=run_id)
    run_all()
    run.refresh_from_db()
    assert (run.status, run.result["agreement_ratio"], len(shadow_calls(stage))) == ("done", 1, 3)
    assert run.result["simulated"]["equity"] == run.result["real"]["equity"]
    with pytest.raises(Conflict):
        continue_shadow(scope=OPERATOR, run_id=run_id)


def test_switches_and_turns_that_wait_hold_shadows_and_a_bots_own_halt_does_not(stage: Stage, bot_id: UUID) -> None:
    want(stage, bot_id)
    say(stage, LONG, HOLD, CLOSE)
    for scope, client_id in (("all", None), ("client", stage.cast.acme)):
        halted = Halt.objects.create(scope=scope, client_id=client_id, reason="A test.", halted_by="tests")
        run_all()
        assert not is_shadow_due(now=stage.now) and play_shadow(ask=ask, clock=timezone.now) is None
        halted.delete()
    waits = ArenaTurn.objects.create(
        bot_id=bot_id, client_id=stage.cast.acme, number=4, created_at=stage.now - timedelta(seconds=5)
    )
    assert not is_shadow_due(now=stage.now) and play_shadow(ask=ask, clock=timezone.now) is None
    assert not shadow_calls(stage)
    waits.delete()
    Halt.objects.create(scope="bot", client_id=stage.cast.acme, bot_id=bot_id, reason="A test.", halted_by="tests")

    def pulls_the_switch(provider: ProviderAccess, request: ModelRequest, **more: Any) -> ModelAnswer:
        Halt.objects.create(scope="all", reason="while it thinks", halted_by="tests")
        return ask(provider, request, **more)

    play_shadow(ask=pulls_the_switch, clock=timezone.now)
    assert len(shadow_calls(stage)) == 1  # a bot's own halt is a reason to learn; everybody's stops the next question
    assert ShadowRun.objects.get().status == "running" and ShadowTurn.objects.get().agrees is True
    Halt.objects.all().delete()
    run_all()
    assert (ShadowRun.objects.get().status, len(shadow_calls(stage))) == ("done", 3)


def test_no_turn_is_asked_twice_by_any_number_of_workers_or_after_one_that_died(stage: Stage, bot_id: UUID) -> None:
    run_id = want(stage, bot_id)
    say(stage, LONG, HOLD, CLOSE, LONG, HOLD, CLOSE)

    class Killed(BaseException):
        """As kill -9 leaves things: nothing after it happens."""

    def dies_before(provider: ProviderAccess, request: ModelRequest, **more: Any) -> ModelAnswer:
        raise Killed

    def dies_after(provider: ProviderAccess, request: ModelRequest, **more: Any) -> ModelAnswer:
        ask(provider, request, **more)
        raise Killed

    for death in (dies_before, dies_after):
        with pytest.raises(Killed):
            play_shadow(ask=death, clock=timezone.now)
        assert play_shadow(ask=ask, clock=timezone.now) is None  # its lease stands
        ShadowRun.objects.update(lease_until=stage.now - timedelta(seconds=1))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: _closing(), range(4)))
    run_all()
    rows = list(ShadowTurn.objects.filter(run=run_id).order_by("turn__number").select_related("call"))
    assert [row.call.status for row in rows] == ["lost", "answered", "answered"]
    assert [row.agrees for row in rows] == [None, False, False]  # the answers came to other turns: one was lost
    assert "worker ended" in rows[0].notes_json[0]
    assert (LlmCall.objects.filter(purpose="shadow").count(), len(stage.sandbox.model_calls())) == (3, 3 + 2)
    assert {row.reserved for row in LlmSpend.objects.all()} == {D(0)}
    assert ShadowRun.objects.get().result["readable"] == 2


def test_a_provider_that_nobody_reaches_is_waited_for_and_one_that_refuses_stops_the_run(
    stage: Stage, bot_id: UUID
) -> None:
    provider = other(stage, stage.cast.acme)
    LlmProvider.objects.filter(pk=provider.pk).update(max_attempts=1)
    run_id = want(stage, bot_id, provider_id=provider.id)
    stage.sandbox.fault("model:gpt-other", "server_error", status=503)
    play_shadow(ask=ask, clock=timezone.now)
    run = ShadowRun.objects.get()
    assert run.status == "running" and run.message and run.next_at > stage.now + timedelta(seconds=30)
    assert not ShadowTurn.objects.exists()  # it was not asked
    stage.sandbox.clear_faults()
    stage.sandbox.fault("model:gpt-other", "server_error", status=401)
    ShadowRun.objects.update(next_at=None)
    play_shadow(ask=ask, clock=timezone.now)
    run.refresh_from_db()
    assert run.status == "stopped" and run.message
    stop = Scope(actor="client:x", client_id=stage.cast.acme)
    with pytest.raises(Conflict):
        stop_shadow(scope=stop, run_id=run_id, now=stage.now)


def test_a_run_from_now_on_follows_turns_as_they_end(stage: Stage, bot_id: UUID) -> None:
    run_id = want(stage, bot_id, first_turn=3, last_turn=4)
    say(stage, CLOSE)
    run_all()
    assert (ShadowRun.objects.get().status, ShadowTurn.objects.count()) == ("running", 1)
    run = ShadowRun.objects.get()
    assert run.result["agreement_ratio"] == 1  # what came until now is measured while it waits
    assert run.next_at > stage.now  # and it is looked at again, not again and again
    say(stage, HOLD, HOLD)
    play(stage, bot_id)
    run_all()
    assert (ShadowRun.objects.get().status, ShadowTurn.objects.count()) == ("done", 2)
    with pytest.raises(Conflict):
        stop_shadow(scope=OPERATOR, run_id=run_id, now=stage.now)


def test_a_reset_ends_a_run_and_keeps_what_came_of_it_with_the_archive(stage: Stage, bot_id: UUID) -> None:
    run_id = want(stage, bot_id, last_turn=9)
    say(stage, LONG, HOLD, CLOSE)
    run_all()
    archive = reset_participant(scope=OPERATOR, bot_id=bot_id, now=stage.now)
    run_all()
    run = ShadowRun.objects.get(pk=run_id)
    assert (run.status, run.bot_id, run.message) == ("stopped", archive, "The bot was reset.")
    assert (run.result["agreement_ratio"], ShadowTurn.objects.filter(bot_id=archive).count()) == (1, 3)
    with pytest.raises(Conflict):
        continue_shadow(scope=OPERATOR, run_id=run_id)
    with pytest.raises(InvalidInput):
        want(stage, bot_id, kind=ShadowKind.RULES)  # the new life has no turns yet


def test_what_is_wrong_is_refused_before_anything_is_stored(stage: Stage, bot_id: UUID) -> None:
    acme = Scope(actor="client:acme", client_id=stage.cast.acme)
    globex = Scope(actor="client:globex", client_id=stage.cast.globex)
    foreign = other(stage, stage.cast.globex)
    rival = PromptVersion.objects.get(bot_id=stage.add_bot("client_globex", "Rival"))

    def refused(error: Any, *, scope: Scope = acme, **changes: Any) -> str:
        wanted = Wanted(**{"kind": ShadowKind.MODEL, "first_turn": 1, "last_turn": 3} | changes)
        with pytest.raises(error) as raised:
            estimate_shadow(scope=scope, bot_id=bot_id, wanted=wanted)
        with pytest.raises(error):
            request_shadow(scope=scope, bot_id=bot_id, wanted=wanted, now=stage.now)
        return str(raised.value.message)

    refused(NotFound, scope=globex)
    assert "not for this client" in refused(Conflict, provider_id=foreign.id)
    refused(InvalidInput, prompt_id=rival.id)
    refused(InvalidInput, prompt_text="Too sho")
    refused(InvalidInput, prompt_text="x" * 10_001)
    refused(InvalidInput, first_turn=3, last_turn=2)
    refused(InvalidInput, last_turn=700)
    refused(InvalidInput, model="two words")
    refused(InvalidInput, kind=ShadowKind.RULES, rules={"leverage": 5})
    refused(InvalidInput, kind=ShadowKind.RULES, rules={"fee_rate": "much"})
    refused(InvalidInput, kind=ShadowKind.RULES, rules={}, last_turn=9)
    assert not ShadowRun.objects.exists()

    run_id = want(stage, bot_id)
    with pytest.raises(NotFound):
        stop_shadow(scope=globex, run_id=run_id, now=stage.now)
    with globex.transaction():
        assert not ShadowRun.objects.exists()
    with acme.transaction():
        assert ShadowRun.objects.exists()
    for foreign_row in ({"provider": foreign}, {"prompt": rival}):  # the database refuses what the code would let pass
        with pytest.raises(IntegrityError):
            ShadowRun.objects.filter(pk=run_id).update(**foreign_row)
    for _ in range(9):
        want(stage, bot_id)
    with pytest.raises(Conflict):
        want(stage, bot_id)


def test_what_it_would_cost_is_told_before(stage: Stage, bot_id: UUID) -> None:
    provider = other(stage, stage.cast.acme)
    wanted = Wanted(ShadowKind.MODEL, *newest_turns(scope=OPERATOR, bot_id=bot_id, count=2), provider_id=provider.id)
    assert (wanted.first_turn, wanted.last_turn) == (2, 3)
    told = estimate_shadow(scope=OPERATOR, bot_id=bot_id, wanted=wanted)
    read, said = zip(
        *LlmCall.objects.filter(turn__number__gte=2).values_list("input_tokens", "output_tokens"), strict=True
    )
    assert told.likely_cost == (sum(read) * 2 + sum(said) * 8) / D(1_000_000)
    assert told.most_cost == (sum(read) * 2 + 2 * provider.max_output_tokens * 8) / D(1_000_000)
    LlmProvider.objects.filter(pk=provider.pk).update(prices={})
    told = estimate_shadow(scope=OPERATOR, bot_id=bot_id, wanted=wanted)
    assert (told.turns, told.likely_cost, told.most_cost) == (2, None, None)


def test_the_same_rules_give_the_real_ledgers_equity_to_the_last_digit_and_others_do_not(
    stage: Stage, settings: Any
) -> None:
    """Stops, profits, closes, other prices while a model thinks, slippage and fees: whatever was, comes out again."""
    from arena.models import ArenaSettings
    from arena.services.guard_positions import guard_positions

    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    ArenaSettings.objects.update(slippage_bps=D("3.7"), fee_rate=D("0.00061"))
    bot_id = stage.add_bot(cooldown_minutes=0)
    path = [
        ("61003.17", [{**LONG, "size": 333, "leverage": 7, "takeProfit": 63011.5}]),
        ("60100.01", [{"action": "SHORT", "symbol": "ETH/USDT", "size": 77.77, "leverage": 3}]),
        ("62999.99", [HOLD]),
        ("63500.03", []),  # between turns: the profit is taken behind a gap
        ("63800.00", [{"action": "LONG", "symbol": "BTC/USDT", "size": 512.5, "leverage": 9, "stopLoss": 63300.4}]),
        ("63211.00", []),  # and the stop is hit
        ("62950.55", [{"action": "CLOSE", "symbol": "ETH/USDT"}, LONG | {"stopLoss": None}]),
        ("62001.23", [HOLD]),
    ]  # fmt: skip
    for number, (price, decisions) in enumerate(path):
        stage.price("BTC/USDT", price)
        stage.price("ETH/USDT", f"{2000 + number * 17.31:.2f}")
        stage.refresh()
        guard_positions(now=stage.now)
        if decisions:
            stage.sandbox.script_model(json.dumps(decisions))
            assert play(stage, bot_id).status == "done"
    assert set(Trade.objects.values_list("cause", flat=True)) == {"model", "take_profit", "stop_loss"}
    run_id = want(stage, bot_id, kind=ShadowKind.RULES, last_turn=6, rules={})
    dear = want(stage, bot_id, kind=ShadowKind.RULES, last_turn=6, rules={"fee_rate": D("0.002")})
    tight = want(stage, bot_id, kind=ShadowKind.RULES, last_turn=6, rules={"stop_loss_ratio": D("0.01")})
    asked = len(stage.sandbox.model_calls())
    run_all()
    assert len(stage.sandbox.model_calls()) == asked and not shadow_calls(stage)

    account = BotAccount.objects.get(bot_id=bot_id)
    held = Position.objects.filter(bot_id=bot_id, status="open")
    equity = account.balance + sum(one.size + one.unrealized_pnl for one in held)
    result = ShadowRun.objects.get(pk=run_id).result
    assert len(held) == 1
    assert result["simulated"] == result["real"]
    assert result["simulated"]["equity"] == equity  # what the ledger says now, to the last digit
    assert result["simulated"]["fees"] == sum(Trade.objects.values_list("fee", flat=True))
    assert (result["simulated"]["trades"], result["agreement_ratio"], result["cost"]["shadow"]) == (7, None, None)
    for row in ShadowTurn.objects.filter(run_id=run_id).select_related("turn"):
        assert row.equity == row.real_equity
        after = ArenaTurn.objects.filter(bot_id=bot_id, number=row.turn.number + 1).first()
        if after and row.turn.number in (2, 5):  # nothing moved but prices
            assert D(after.briefing["balance"]) == row.equity - _bound(after)

    dearer = ShadowRun.objects.get(pk=dear).result
    notional = sum(one.price * one.quantity for one in Trade.objects.all())
    difference = result["simulated"]["equity"] - dearer["simulated"]["equity"]
    assert abs(difference - notional * (D("0.002") - D("0.00061"))) < D("1e-9")
    assert dearer["real"] == result["real"]
    tighter = ShadowRun.objects.get(pk=tight)
    told = [
        note for row in ShadowTurn.objects.filter(run=tighter).order_by("turn__number") for note in row.simulated_json
    ]
    assert any("60100" in note or "60,0" in note for note in told if "stop-loss" in note), told


def _bound(turn: ArenaTurn) -> D:
    """What of equity is not in the balance when a turn begins, at the prices of the turn before: margins and gains."""
    before = ArenaTurn.objects.get(bot_id=turn.bot_id, number=turn.number - 1).briefing["prices"]
    total = D(0)
    for one in turn.briefing["positions"]:
        sign = 1 if one["action"] == "LONG" else -1
        total += D(one["size"]) + sign * D(one["quantity"]) * (D(before[one["symbol"]]) - D(one["entry_price"]))
    return total


def _closing() -> None:
    try:
        play_shadow(ask=ask, clock=timezone.now)
    finally:
        connections.close_all()


def test_each_prompt_version_answers_for_what_its_turns_opened(stage: Stage, bot_id: UUID) -> None:
    """A version opens, the next one closes: the profit is the first one's."""
    acme, path = stage.cast.acme_reads, f"/api/v2/bots/{bot_id}/prompt-versions"
    save_prompt(scope=OPERATOR, bot_id=bot_id, text="You are Bold. {{marketData}}", now=stage.now)
    stage.price("BTC/USDT", "63500")
    say(stage, {**LONG, "symbol": "ETH/USDT", "stopLoss": None}, "I would rather not.")
    play(stage, bot_id)
    play(stage, bot_id)
    save_prompt(scope=OPERATOR, bot_id=bot_id, text="You are Shy. {{marketData}}", now=stage.now)
    say(stage, {"action": "CLOSE", "symbol": "ETH/USDT"}, LONG)
    play(stage, bot_id)
    play(stage, bot_id)  # refused: BTC cools down
    save_prompt(scope=OPERATOR, bot_id=bot_id, text="You are Nobody yet.", now=stage.now)

    shown = acme.get(path)
    assert shown.status == 200, shown.body
    none, shy, bold, first = shown.body["versions"]
    assert [one["number"] for one in shown.body["versions"]] == [4, 3, 2, 1]
    assert (none["turns"]["all"], none["is_current"], none["return_ratio"], none["cost_usd"]) == (0, True, None, None)
    assert first["turns"] == {
        "all": 3, "done": 3, "executed": 3, "refused": 0, "unreadable": 0, "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert first["decisions"] == {"LONG": 1, "SHORT": 0, "CLOSE": 1, "HOLD": 1}
    pnl = {one.symbol: one.realized_pnl for one in Position.objects.all()}
    assert D(first["realized_pnl"]) == pnl["BTC/USDT"] > 0 > D(bold["realized_pnl"]) == pnl["ETH/USDT"]
    assert (D(first["win_ratio"]), D(bold["win_ratio"]), shy["win_ratio"]) == (1, 0, None)
    assert (bold["closed_trades"], shy["closed_trades"], shy["realized_pnl"]) == (1, 0, None)
    assert (bold["turns"]["unreadable"], D(shy["executed_ratio"])) == (1, D("0.5"))
    assert D(first["start_equity"]) == 10_000 and first["end_equity"] == bold["start_equity"]
    assert D(first["return_ratio"]) == pnl["BTC/USDT"] / 10_000
    assert D(shy["end_equity"]) == stage.balance(bot_id)
    spent = LlmCall.objects.filter(turn__prompt__number=1)
    assert D(first["cost_usd"]) == sum(one.cost for one in spent)
    assert first["input_tokens"] == sum(one.input_tokens for one in spent)

    assert stage.cast.globex_manages.get(path).status == 404
    assert stage.cast.nobody.get(path).status == 401
    assert prompt_figures(scope=Scope(actor="client:globex", client_id=stage.cast.globex), bot_id=bot_id) == []
