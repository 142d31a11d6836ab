"""Section 6 of the API: what people do with participants, in the old arena's words, over HTTP."""

from __future__ import annotations

from decimal import Decimal as D
from uuid import UUID, uuid4

import pytest

from arena.models import ArenaTurn, HistorySummary, Participant
from arena.services.claim_turns import claim_turns
from bots.models import Bot
from ledger.models import Position, Trade
from tests.arena.stage import Stage
from tests.arena.test_participants import ledger_is_right, play

ACTIONS = ("pause", "close-position", "force-turn", "reset", "clone", "clear-learning")
OLD = ("pause", "close-position", "force-turn")


@pytest.fixture
def bot_id(stage: Stage) -> UUID:
    made = stage.add_bot()
    Bot.objects.filter(id=made).update(source="arena", source_id="bot_astrologer")
    stage.price("BTC/USDT", "51000")
    stage.refresh()
    return made


def test_nobody_acts_on_anothers_bot_and_nobody_without_the_right(stage: Stage, bot_id: UUID) -> None:
    cast = stage.cast
    position = str(play(stage, bot_id))
    paths = [f"/api/bots/{{}}/{word}" for word in OLD] + [f"/api/v2/bots/{{}}/{word}" for word in ACTIONS]
    for path in paths:
        body = {"positionId": position} if "close" in path else {}
        mine = path.format(bot_id)
        assert cast.globex_manages.post(mine, body).status == 404, mine
        assert cast.acme_reads.post(mine, body).status == 403
        assert cast.acme_bot_pings.post(mine, body).status == 403
        assert cast.nobody.post(mine, body).status == 401
        assert cast.acme_manages.post(path.format(uuid4()), body).status == 404
        assert cast.acme_manages.post(path.format(cast.acme_bot), body).status == 404, "no participant"
        assert cast.acme_manages.get(mine).status == 405
    row = Participant.objects.get(pk=bot_id)
    assert (row.is_paused, row.forced_at, Trade.objects.count()) == (False, None, 1)
    assert Participant.objects.count() == 1


def test_pause_toggles_under_the_old_path_and_is_told_under_the_new(stage: Stage, bot_id: UUID) -> None:
    acme = stage.cast.acme_manages
    shown = acme.post("/api/bots/bot_astrologer/pause")
    assert shown.status == 200 and shown.body["success"] is True
    assert (shown.body["bot"]["id"], shown.body["bot"]["isPaused"]) == (str(bot_id), True)
    assert acme.post(f"/api/bots/{bot_id}/pause", {"paused": True}).body["bot"]["isPaused"] is False, "it toggles"
    v2 = f"/api/v2/bots/{bot_id}/pause"
    for paused in (True, True, False):
        assert acme.post(v2, {"paused": paused}).body["bot"]["isPaused"] is paused
    assert acme.post(v2).body["bot"]["isPaused"] is True
    assert acme.post(v2, {"paused": "perhaps"}).status == 400
    forced = acme.post(f"/api/bots/{bot_id}/force-turn")
    assert (forced.status, forced.body["code"]) == (409, "paused")


def test_a_forced_turn_is_claimed_at_once(stage: Stage, bot_id: UUID) -> None:
    acme = stage.cast.acme_manages
    assert len(claim_turns(now=stage.now)) == 1
    ArenaTurn.objects.update(status="skipped", finished_at=stage.now)
    assert claim_turns(now=stage.now) == []
    assert acme.post(f"/api/v2/bots/{bot_id}/force-turn").body["success"] is True
    assert len(claim_turns(now=stage.now)) == 1


def test_a_position_is_closed_once_whatever_is_sent_again(stage: Stage, bot_id: UUID) -> None:
    acme, path = stage.cast.acme_manages, f"/api/bots/{bot_id}/close-position"
    position = str(play(stage, bot_id))
    for body in ({}, {"positionId": 5}, {"positionId": None}):
        assert acme.post(path, body).status == 400
    assert acme.post(path, {"positionId": str(uuid4())}).status == 404
    first = acme.post(path, {"positionId": position}, **{"Idempotency-Key": "close-1"})
    assert first.status == 200, first.body
    assert (first.body["trade"]["symbol"], D(first.body["trade"]["price"])) == ("BTC/USDT", 51_000)
    assert acme.post(path, {"positionId": position}, **{"Idempotency-Key": "close-1"}).body == first.body
    again = acme.post(f"/api/v2/bots/{bot_id}/close-position", {"positionId": position})
    assert (again.status, again.body["code"]) == (409, "closed_already")
    assert (Position.objects.get().close_cause, Trade.objects.count()) == ("operator", 2)


def test_reset_and_clone_answer_with_the_bot(stage: Stage, bot_id: UUID) -> None:
    acme = stage.cast.acme_manages
    play(stage, bot_id)
    reset = acme.post(f"/api/v2/bots/{bot_id}/reset", {}, **{"Idempotency-Key": "reset-1"})
    assert reset.status == 200, reset.body
    assert (reset.body["success"], reset.body["bot"]["id"], reset.body["bot"]["turns"]) == (True, str(bot_id), 0)
    assert acme.post(f"/api/v2/bots/{bot_id}/reset", {}, **{"Idempotency-Key": "reset-1"}).body == reset.body
    figures = acme.get(f"/api/v2/bots/{bot_id}").body
    assert (figures["statistics"]["totalTrades"], D(figures["money"]["balance"])) == (0, 10_000)
    archive = reset.body["archive_bot_id"]
    assert Trade.objects.filter(bot_id=archive).count() == 2 and acme.get(f"/api/v2/bots/{archive}").status == 404
    clone = acme.post(f"/api/v2/bots/{bot_id}/clone", {"name": "Oracle"})
    assert clone.status == 201, clone.body
    assert (clone.body["bot"]["name"], clone.body["bot"]["desired_status"]) == ("Oracle", "created")
    assert stage.balance(UUID(clone.body["bot"]["id"])) == 10_000
    ledger_is_right()


def test_cleared_learning_stays_on_record(stage: Stage, bot_id: UUID) -> None:
    client_id = stage.cast.acme
    done = {"status": "done", "summary": "Longs win.", "summarized_count": 6, "generated_at": stage.now}
    for number, fields in enumerate((done, {"status": "wanted"}), 1):
        HistorySummary.objects.create(
            bot_id=bot_id, client_id=client_id, number=number, requested_by="tests", created_at=stage.now, **fields
        )
    cleared = stage.cast.acme_manages.post(f"/api/v2/bots/{bot_id}/clear-learning")
    assert cleared.status == 200 and cleared.body["message"] == "1 summaries were cleared."
    kept, open_one = HistorySummary.objects.order_by("number")
    assert kept.summary == "Longs win." and kept.cleared_at is not None
    assert open_one.status == "failed", "what is being written knows what was cleared"
