"""Replays in shadow in the admin: chosen with their cost told first, stopped, read turn by turn; prompts compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from arena.gateways.ask import ask
from arena.models import LlmProvider, Participant, ShadowRun, ShadowTurn
from arena.services.play_shadow import play_shadow
from clients.models import AuditEntry
from ledger.models import Trade
from sandbox.testing import start
from tests.arena.stage import Stage
from tests.arena.test_turns import play
from tests.fixtures import Cast

YES = {"_form_submitted": "on"}
MOST_QUERIES = 30
LONG = {"action": "LONG", "symbol": "BTC/USDT", "size": 100, "leverage": 2, "reasoning": "the <b>stars</b>"}


@pytest.fixture
def stage(cast: Cast, settings: Any) -> Iterator[Stage]:
    with start(speed=0) as sandbox:
        settings.MODEL_BASE_URLS = {"openai": f"{sandbox.model_base}/openai/v1"}
        yield Stage(sandbox, cast)


@pytest.fixture
def bot_id(stage: Stage) -> UUID:
    bot_id = stage.add_bot()
    for price, said in (("61000", LONG), ("62000", {"action": "HOLD"})):
        stage.price("BTC/USDT", price)
        stage.sandbox.script_model(json.dumps([said]))
        play(stage, bot_id)
    return bot_id


def test_a_replay_is_chosen_with_its_cost_told_first_and_read_turn_by_turn(
    desk: HttpClient, stage: Stage, bot_id: UUID
) -> None:
    page = reverse("admin:arena_participant_replay", args=[bot_id])
    form = {"kind": "model", "model-which": "newest", "model-count": "5", "model-provider": "", "model-model": "gpt-other",
            "model-prompt": "", "model-prompt_text": "You are bold. {{marketData}}"}  # fmt: skip
    assert "Replay turns of" in _body(desk, page)
    assert "10 characters" in _body(desk, page, form | {"model-prompt_text": "Too sho"})
    assert "Say from which turn" in _body(desk, page, form | {"model-which": "range"})
    rules = {"kind": "rules", "rules-which": "newest", "rules-count": "5"}
    assert "less than or equal to 100" in _body(desk, page, rules | {"rules-fee_percent": "101"})
    foreign = LlmProvider.objects.create(
        client_id=stage.cast.globex, name="theirs", kind="openai", model="gpt-x", api_key="sk-theirs"
    )
    assert "theirs" not in _body(desk, page)
    assert "valid choice" in _body(desk, page, form | {"model-provider": str(foreign.id)})
    told = _body(desk, page, form)
    assert "It will cost about" in told and "2 turns from number 1 to 2" in told
    assert not ShadowRun.objects.exists()  # asking what it costs starts nothing

    seen = re.search(r'name="seen" value="(\w+)"', told)
    assert seen
    changed = _body(desk, page, form | {"seen": seen[1], "model-count": "1"})
    assert "1 turn from number 2 to 2" in changed and not ShadowRun.objects.exists()  # another wish has another cost
    answer = desk.post(page, form | {"seen": seen[1]})
    run = ShadowRun.objects.get()
    assert answer["Location"] == _page(run) and (run.status, run.requested_by) == ("wanted", "operator:alice")
    assert AuditEntry.objects.filter(table_name="arena_shadow_runs", actor="operator:alice").exists()
    assert "None yet." in _body(desk, _page(run))

    stage.sandbox.script_model(json.dumps([LONG]), json.dumps([LONG]))
    play_shadow(ask=ask, clock=timezone.now)
    with CaptureQueriesContext(connections["operator"]) as asked:
        shown = _body(desk, _page(run))
    assert len(asked) <= MOST_QUERIES
    for words in ("gpt-other", "a prompt of its own", "You are bold.", "agrees", "differs", "50 %", "is open already",
                  "the &lt;b&gt;stars&lt;/b&gt;"):  # fmt: skip
        assert words in shown, words
    assert Trade.objects.count() == 1
    listed = _body(desk, f"{reverse('admin:arena_shadowrun_changelist')}?q={bot_id}")
    assert "50 %" in listed and "done" in listed


def test_other_rules_cost_nothing_and_stand_beside_the_real_account(
    desk: HttpClient, stage: Stage, bot_id: UUID
) -> None:
    page = reverse("admin:arena_participant_replay", args=[bot_id])
    form = {"kind": "rules", "rules-which": "range", "rules-count": "5", "rules-first": "1", "rules-last": "2",
            "rules-fee_percent": "1"}  # fmt: skip
    told = _body(desk, page, form)
    assert "costs nothing" in told
    seen = re.search(r'name="seen" value="(\w+)"', told)
    assert seen
    desk.post(page, form | {"seen": seen[1]})
    run = ShadowRun.objects.get()
    assert run.rules == {"fee_rate": D("0.01")}
    play_shadow(ask=ask, clock=timezone.now)
    shown = _body(desk, _page(run))
    quantity = D(200) / 61_000 // D("0.00001") * D("0.00001")
    assert "fee 1 %" in shown and f"{round(quantity * 610, 2):f}" in shown
    assert ShadowTurn.objects.filter(run=run).count() == 2


def test_a_replay_is_stopped_and_goes_on_by_post_alone(desk: HttpClient, stage: Stage, bot_id: UUID) -> None:
    page = reverse("admin:arena_participant_replay", args=[bot_id])
    form = {"kind": "model", "model-which": "ahead", "model-count": "3"}
    seen = re.search(r'name="seen" value="(\w+)"', _body(desk, page, form))
    assert seen
    desk.post(page, form | {"seen": seen[1]})
    run = ShadowRun.objects.get()
    assert (run.first_turn, run.last_turn) == (3, 5)
    desk.get(_page(run, "stop_it"))
    assert ShadowRun.objects.get().status == "wanted"
    desk.post(_page(run, "stop_it"), YES)
    assert "Stopped by operator:alice" in _body(desk, _page(run))
    desk.post(_page(run, "go_on"), YES)
    assert ShadowRun.objects.get().status == "wanted"
    assert desk.post(_page(run), {"status": "done"}).status_code == 403
    told = AuditEntry.objects.filter(table_name="arena_shadow_runs").order_by("id")
    assert [(one.actor, one.action, one.reason) for one in told] == [
        ("operator:alice", "INSERT", "replay in shadow"), ("operator:alice", "UPDATE", "replay stopped"),
        ("operator:alice", "UPDATE", "replay goes on"),
    ]  # fmt: skip
    for _ in range(3):  # it waits for turns to come, and each look is no news
        ShadowRun.objects.update(next_at=None)
        play_shadow(ask=ask, clock=timezone.now)
    assert ShadowRun.objects.get().status == "running"
    assert told.filter(actor="system:arena").count() == 1


def test_prompts_are_compared_on_a_page(desk: HttpClient, stage: Stage, bot_id: UUID) -> None:
    desk.post(reverse("admin:arena_participant_prompt", args=[bot_id]), {"text": "You are Shy. {{marketData}}"})
    shown = _body(desk, reverse("admin:arena_participant_prompt_results", args=[bot_id]))
    for words in ("version 2", "version 1", "in force", "1 / 0 / 0 / 1", "100 %", "+ 1 open"):
        assert words in shown, words
    assert "Prompts compared" in _body(desk, reverse("admin:arena_participant_change", args=[bot_id]))
    assert Participant.objects.get().prompt.number == 2  # type: ignore[union-attr]


def _page(run: ShadowRun, name: str = "change") -> str:
    return reverse(f"admin:arena_shadowrun_{name}", args=[run.pk])


def _body(http: HttpClient, address: str, form: dict[str, str] | None = None) -> str:
    answer = http.post(address, form) if form else http.get(address, follow=True)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.content.decode()
