"""Summaries of history through the real database, the sandbox's models and the API."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.utils import timezone

from arena.gateways.ask import ask
from arena.models import ArenaSettings, HistorySummary, LlmCall, LlmSpend, Participant
from arena.rules.history import is_due
from arena.services import want_summary
from arena.services.claim_turns import SCOPE, claim_turns
from arena.services.history import newest_decisions, summary_in_force
from arena.services.play_turn import play_turn
from arena.services.steer_participant import clear_learning
from arena.services.summarise import summarise
from arena.services.summary_material import rhythm_of, waiting_of
from arena.services.want_summary import ask_for_summary, nudge_lost_summaries, want_summary_if_due
from arena.tasks import summarise as task
from ledger.models import BotDecision
from tests.arena.stage import Stage
from tests.fixtures import OPERATOR, Cast


@pytest.fixture
def bot_id(stage: Stage, settings: Any) -> UUID:
    settings.MODEL_BASE_URLS = {"openai": f"{stage.sandbox.model_base}/openai/v1"}
    stage.price("BTC/USDT", "61000")
    ArenaSettings.objects.update(summary_tokens=1000, summary_keep=15, summary_again_after=10)
    return stage.add_bot()


def decide(bot_id: UUID, count: int, *, words: str = "wait for volume " * 8) -> list[UUID]:
    """So many decisions as turns and imports leave them, until now; their ids, oldest first."""
    client_id = Participant.objects.get(bot_id=bot_id).client_id
    now = timezone.now()
    rows = [
        BotDecision(
            id=uuid4(), client_id=client_id, bot_id=bot_id, decided_at=now - timedelta(microseconds=count - place),
            prompt_sent="...", decisions_json=[{"action": "HOLD", "reasoning": f"thought {place}: {words}"}],
            notes_json=[], execution_success=True,
        )
        for place in range(count)
    ]  # fmt: skip
    BotDecision.objects.bulk_create(rows)
    return [row.id for row in rows]


def say(stage: Stage, *claims: tuple[str, UUID | str]) -> None:
    """What the model claims next, with the decision that each claim cites."""
    rows = [{"text": text, "decisions": [str(cited)[:8]]} for text, cited in claims]
    stage.sandbox.script_model(f"Looking back:\n```json\n{json.dumps({'claims': rows})}\n```")


def make(summary_id: UUID, **options: Any) -> str | None:
    try:
        status = summarise(summary_id, ask=options.get("ask", ask), clock=timezone.now)
        return str(status) if status else None
    finally:
        connections.close_all()


def shown(bot_id: UUID) -> tuple[str, datetime | None]:
    with SCOPE.transaction():
        return summary_in_force(bot_id)


def is_wanted(bot_id: UUID) -> bool:
    with SCOPE.transaction():
        return is_due(waiting_of(bot_id), rhythm_of(ArenaSettings.objects.get()))


def test_a_turn_has_older_decisions_summarised_and_the_next_is_shown_what_the_ledger_bears_out(
    stage: Stage, bot_id: UUID
) -> None:
    ids = decide(bot_id, 17)
    play(stage, bot_id)  # the 18th
    row = HistorySummary.objects.get()
    assert (row.status, row.is_forced, row.number) == ("wanted", False, 1)
    say(stage, ("Patience was right.", ids[0]), ("It won 90 % of its trades.", ids[1]), ("Made up.", "deadbeef"),
        ("Not asked about.", ids[10]))  # fmt: skip
    assert make(row.id) == "done"
    row.refresh_from_db()
    assert (row.summary, row.summarized_count) == ("- Patience was right.", 3)  # fifteen stay word for word
    assert row.claims[0]["decisions"] == [str(ids[0])]
    assert [one["why"][:11] for one in row.refused_claims] == [
        "It says 90 ",
        'It cites "d',
        'It cites "' + str(ids[10])[0],
    ]
    call = LlmCall.objects.get(purpose="summary")
    assert (call.status, call.bot_id, row.call_id) == ("answered", bot_id, call.id)
    assert {one.reserved for one in LlmSpend.objects.all()} == {D(0)}

    sent = play(stage, bot_id).prompt_sent
    assert "Patience was right." in sent
    assert "90 %" not in sent
    assert "thought 3:" in sent
    assert "thought 2:" not in sent
    assert HistorySummary.objects.count() == 1
    later = decide(bot_id, 9)  # with that turn, ten new ones
    assert want_summary_if_due(bot_id, timezone.now())
    say(stage, ("Patience was right.", ids[0]), ("Volume says little.", ids[5]))
    second = HistorySummary.objects.get(number=2)
    assert make(second.id) == "done"
    second.refresh_from_db()
    assert (
        second.summary == "- Patience was right.\n- Volume says little."
    )  # a claim of before, still known by its decision
    assert (second.summarized_count, second.summarized_from) == (13, row.summarized_from)
    with SCOPE.transaction():
        assert [one.id for one in newest_decisions(bot_id, since=second.summarized_to, most=15)][:9] == later[::-1]


def test_a_forced_summary_puts_no_automatic_one_off(stage: Stage, bot_id: UUID) -> None:
    ids = decide(bot_id, 6)
    forced = ask_for_summary(scope=OPERATOR, bot_id=bot_id, now=timezone.now())
    assert ask_for_summary(scope=OPERATOR, bot_id=bot_id, now=timezone.now()) == forced  # several wishes are one
    say(stage, ("Patience was right.", ids[5]))
    assert make(forced) == "done"
    assert shown(bot_id)[0] == "- Patience was right."
    with SCOPE.transaction():  # they are word for word beside it
        assert len(newest_decisions(bot_id, since=shown_until(bot_id), most=15)) == 6
    assert not is_wanted(bot_id)
    ids += decide(bot_id, 10)
    assert want_summary_if_due(bot_id, timezone.now())  # at sixteen, as if nobody had forced one
    say(stage, ("The oldest was hasty.", ids[0]))
    assert make(HistorySummary.objects.get(number=2).id) == "done"
    assert shown(bot_id)[0] == "- The oldest was hasty."

    clear_learning(scope=OPERATOR, bot_id=bot_id, now=timezone.now())
    assert shown(bot_id) == ("", None)
    assert not is_wanted(bot_id)  # what was to be forgotten is not learned again by itself
    decide(bot_id, 16)
    assert is_wanted(bot_id)


def test_a_failed_summary_leaves_the_old_one_and_is_tried_again_after_new_decisions(stage: Stage, bot_id: UUID) -> None:
    ids = decide(bot_id, 16)
    assert want_summary_if_due(bot_id, timezone.now())
    say(stage, ("Patience was right.", ids[0]))
    make(HistorySummary.objects.get().id)
    decide(bot_id, 10)
    for number, reply in (
        (2, "I would rather not."),
        (3, json.dumps({"claims": [{"text": "Won 7.", "decisions": ["x"]}]})),
    ):
        assert want_summary_if_due(bot_id, timezone.now())
        stage.sandbox.script_model(reply)
        assert make(HistorySummary.objects.get(number=number).id) == "failed"
        assert HistorySummary.objects.get(number=number).message.endswith(".")
        assert shown(bot_id)[0] == "- Patience was right."
        assert want_summary_if_due(bot_id, timezone.now()) is None
        decide(bot_id, 10)
    Participant.objects.update(daily_budget=D(0), monthly_budget=D(0))
    asked = len(stage.sandbox.model_calls())
    assert want_summary_if_due(bot_id, timezone.now())
    assert make(HistorySummary.objects.get(number=4).id) == "failed"
    assert "budget" in HistorySummary.objects.get(number=4).message
    assert len(stage.sandbox.model_calls()) == asked


def test_workers_that_die_or_meet_ask_once(stage: Stage, bot_id: UUID) -> None:
    ids = decide(bot_id, 16)
    first = want_summary_if_due(bot_id, timezone.now())
    assert first
    say(stage, ("Patience was right.", ids[0]))

    def dies_after_the_answer(*args: Any, **options: Any) -> Any:
        ask(*args, **options)
        raise SystemExit

    with pytest.raises(SystemExit):
        make(first, ask=dies_after_the_answer)
    assert make(first) is None  # the lease holds
    HistorySummary.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert make(first, ask=None) == "done"  # its words were stored
    assert len(stage.sandbox.model_calls()) == LlmCall.objects.filter(status="answered").count() == 1

    def dies_while_asking(*_: Any, **__: Any) -> Any:
        raise SystemExit

    second = ask_for_summary(scope=OPERATOR, bot_id=bot_id, now=timezone.now())
    with pytest.raises(SystemExit):
        make(second, ask=dies_while_asking)
    HistorySummary.objects.filter(id=second).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert make(second, ask=None) == "failed"
    assert LlmCall.objects.get(status="lost").cost is None  # its estimate counts as spent

    third = ask_for_summary(scope=OPERATOR, bot_id=bot_id, now=timezone.now())
    say(stage, ("Patience was right.", ids[0]))
    with ThreadPoolExecutor(4) as pool:
        assert sorted(map(str, pool.map(make, [third] * 4))) == ["None", "None", "None", "done"]
    assert len(stage.sandbox.model_calls()) == 2


def test_a_wish_whose_nudge_is_lost_is_nudged_again(bot_id: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(want_summary.current_app, "send_task", lambda name, args, **_: sent.append(args[0]))
    decide(bot_id, 5)
    wish = ask_for_summary(scope=OPERATOR, bot_id=bot_id, now=timezone.now())
    assert nudge_lost_summaries(now=timezone.now()) == 0
    assert nudge_lost_summaries(now=timezone.now() + timedelta(seconds=10)) == 1
    assert sent == [str(wish)] * 2


def test_the_api_forces_and_shows_a_summary(
    stage: Stage, cast: Cast, bot_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/v2/bots/{bot_id}"
    ids = decide(bot_id, 4)
    refused = cast.acme_manages.post(f"{path}/force-summarize")
    assert (refused.status, refused.body["error"]) == (400, "Not enough trading history")
    assert "4 so far" in refused.body["message"]
    empty = {"botId": str(bot_id), "botName": "Astrologer", "hasSummary": False, "summary": None}
    assert cast.acme_manages.get(f"{path}/history-summary").body == empty

    ids += decide(bot_id, 1)
    say(stage, ("Patience was right.", ids[4]))
    monkeypatch.setattr("arena.api_summaries.SUMMARY_WAIT_S", 120.0)  # a first question loads a large library
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(want_summary.current_app, "send_task", lambda _, args, **__: pool.submit(_work, *args))
        forced = cast.acme_manages.post(f"{path}/force-summarize", **{"Idempotency-Key": "once"})
    again = cast.acme_manages.post(f"{path}/force-summarize", **{"Idempotency-Key": "once"})
    assert (again.body, len(stage.sandbox.model_calls())) == (forced.body, 1)
    assert (forced.status, forced.body["success"], forced.body["message"]) == (200, True, "5 decisions are summarised.")
    shape = {"summary", "summarizedCount", "summarizedFrom", "summarizedTo", "generatedAt", "tokenCount"}
    assert set(forced.body["summary"]) == shape
    assert cast.acme_manages.get(f"{path}/history-summary").body["summary"] == forced.body["summary"]
    for other in (cast.globex_manages, cast.acme_reads):
        assert other.post(f"{path}/force-summarize").status in (403, 404)
    monkeypatch.setattr("arena.api_summaries.SUMMARY_WAIT_S", 0.0)
    monkeypatch.setattr(want_summary.current_app, "send_task", lambda *_, **__: None)
    waiting = cast.acme_manages.post(f"{path}/force-summarize")
    assert (waiting.status, waiting.body["code"]) == (503, "summary_pending")


def play(stage: Stage, bot_id: UUID) -> BotDecision:
    """The bot's next turn, in which it holds."""
    stage.sandbox.script_model('[{"action": "HOLD", "reasoning": "nothing to do"}]')
    stage.refresh()
    Participant.objects.filter(bot_id=bot_id).update(next_turn_at=stage.now)
    for turn_id in claim_turns(now=stage.now):
        assert play_turn(turn_id) == "done"
    return BotDecision.objects.filter(bot_id=bot_id).latest("decided_at")


def shown_until(bot_id: UUID) -> datetime | None:
    return summary_in_force(bot_id)[1]


def _work(summary_id: str) -> None:
    try:
        task(summary_id)
    finally:
        connections.close_all()
