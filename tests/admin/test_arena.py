"""The arena's pages: participants, providers and switches are managed here, what workers wrote is only read, and no key is
ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from arena.models import (
    ArenaMarket,
    ArenaSettings,
    ArenaTurn,
    ClientBudget,
    Halt,
    HistorySummary,
    LlmCall,
    LlmProvider,
    LlmSpend,
    Participant,
    PromptVersion,
    ShadowRun,
)
from arena.services.claim_turns import claim_turns
from arena.services.play_turn import play_turn
from arena.tasks import test_provider as ask_it
from bots.models import Bot
from clients.models import AuditEntry
from ledger.models import BotAccount, BotDecision, Position
from sandbox.testing import start
from tests.arena.stage import Stage
from tests.fixtures import Cast

YES = {"_form_submitted": "on"}
PAGES = (
    Participant, PromptVersion, LlmProvider, LlmCall, ArenaTurn, LlmSpend, ClientBudget, Halt, ArenaMarket, HistorySummary,
    ShadowRun, ArenaSettings,
)  # fmt: skip
FACTS = (LlmCall, ArenaTurn, LlmSpend, PromptVersion, ArenaMarket, HistorySummary, ShadowRun, Halt)
MOST_QUERIES = 45  # of a participant's page with everything on it; lists ask far fewer
LONG = {"action": "LONG", "symbol": "BTC/USDT", "size": 100, "leverage": 2, "reasoning": "the <b>stars</b> say so"}


@pytest.fixture
def stage(cast: Cast, settings: Any) -> Iterator[Stage]:
    with start(speed=0) as sandbox:
        settings.MODEL_BASE_URLS = {"openai": f"{sandbox.model_base}/openai/v1"}
        made = Stage(sandbox, cast)
        made.price("BTC/USDT", "61000")
        yield made


@pytest.fixture
def bot_id(stage: Stage) -> UUID:
    """A bot with a row in every table: it has played a turn and holds a position."""
    bot_id = stage.add_bot()
    take_turn(stage, LONG)
    mine: dict[str, Any] = {"bot_id": bot_id, "client_id": stage.cast.acme}
    HistorySummary.objects.create(
        **mine, number=1, status="done", requested_by="system:arena", summary="It bought.", summarized_count=5,
        claims=[{"text": "It bought once.", "decisions": [str(BotDecision.objects.get().id)]}], created_at=stage.now,
        generated_at=stage.now, finished_at=stage.now,
    )  # fmt: skip
    ShadowRun.objects.create(**mine, kind="rules", first_turn=1, last_turn=1, requested_by="tests", created_at=stage.now,
                             rules={"fee_rate": D("0.001")}, result={"equity": "9990"})  # fmt: skip
    Halt.objects.create(scope="client", client_id=stage.cast.globex, reason="quiet week", halted_by="tests")
    ClientBudget.objects.create(client_id=stage.cast.acme, daily_budget=D(5), monthly_budget=D(50))
    return bot_id


def take_turn(stage: Stage, *decisions: dict[str, Any]) -> None:
    """What is due is played, as beat and a worker do it, and the model answers so."""
    stage.sandbox.script_model(json.dumps(list(decisions)))
    stage.refresh()
    for turn_id in claim_turns(now=stage.now):
        play_turn(turn_id)


def test_every_page_opens_with_few_questions_and_shows_no_key(desk: HttpClient, stage: Stage, bot_id: UUID) -> None:
    assert {model for model in admin.site._registry if model._meta.app_label == "arena"} == set(PAGES)
    key = LlmProvider.objects.get().api_key.open()
    for model in PAGES:
        row = model._default_manager.first()
        assert row is not None, model
        for address in (_list(model), f"{_list(model)}?q={bot_id}", f"{_list(model)}?q=astro", _page(model, row.pk)):
            with CaptureQueriesContext(connections["operator"]) as asked:
                page = _body(desk, address)
            assert len(asked) <= MOST_QUERIES, (address, len(asked))
            assert key not in page and "gAAAAA" not in page
    for name in ("prompt", "positions"):
        assert "Astrologer" in _body(desk, _page(Participant, bot_id, name))
    page = _body(desk, _page(Participant, bot_id))
    for told in ("plays", "the &lt;b&gt;stars&lt;/b&gt; say so", "BTC/USDT", "this month", "You are Astrologer"):
        assert told in page, told
    assert "LONG" in _body(desk, _page(LlmCall, LlmCall.objects.get().pk))  # the raw reply, and what was sent
    assert "You are Astrologer" in _body(desk, _page(LlmCall, LlmCall.objects.get().pk))
    for query in ("is=plays", "is=halted", "is=paused", "is=not started", "is_advanced__exact=0"):
        _body(desk, f"{_list(Participant)}?{query}")
    assert _body(desk, "/admin/").count("/admin/arena/") >= len(PAGES)


def test_the_page_of_a_turn_shows_what_was_looked_up_in_each_step(desk: HttpClient, stage: Stage) -> None:
    stage.add_bot(is_advanced=True)
    record = {"text": "What did I do?", "calls": [{"name": "own_record", "arguments": {"symbol": "DOGE/USDT"}}]}
    pizza = {"calls": [{"name": "order_a_<b>pizza</b>", "arguments": {}},
                       {"name": "get_candles", "arguments": {"symbol": "BTC/USDT", "span": "1h"}}]}  # fmt: skip
    stage.sandbox.script_model(record, pizza)
    take_turn(stage, {"action": "HOLD"})
    page = _body(desk, _page(ArenaTurn, ArenaTurn.objects.get().pk))
    for told in ("question 3", "Together", "Step 1", "What did I do?", "symbol DOGE/USDT", "closed positions", "Step 2",
                 "&lt;b&gt;pizza", "There is no tool", "<th>began</th>", "You may call tools in 3 more answers"):  # fmt: skip
        assert told in page, told
    page = _body(desk, _page(LlmCall, LlmCall.objects.get(step=2).pk))
    for told in (
        "tools that were offered",
        "get_candles, indicator",
        "own_record {",
        "closed positions",
        "tool own_record",
    ):
        assert told in page, told
    assert "part_kind" not in page


def test_a_list_of_many_participants_asks_no_more_than_a_list_of_one(desk: HttpClient, stage: Stage) -> None:
    def asked(model: Any) -> int:
        with CaptureQueriesContext(connections["operator"]) as queries:
            _body(desk, _list(model))
        return len(queries)

    stage.add_bot()
    before = [asked(model) for model in (Participant, LlmProvider, LlmCall)]
    for number in range(5):
        stage.add_bot(name=f"Bot {number}")
    take_turn(stage, LONG)
    assert [asked(model) for model in (Participant, LlmProvider, LlmCall)] == before


def test_a_participant_is_added_and_what_is_wrong_is_said_on_the_form(desk: HttpClient, stage: Stage) -> None:
    provider = stage.provider(stage.cast.acme)
    form = {
        "account": "client_acme", "name": "Oracle", "starting_balance": "2500", "provider": str(provider.id),
        "prompt_text": "Too sho", "symbols": "btcusdt, DOGE/USDT", "min_size": "50", "max_leverage": "4",
        "leverage_by_symbol": '{"DOGE/USDT": 2}', "max_open_positions": "3", "max_exposure_ratio": "2",
        "max_drawdown_ratio": "0.3", "cooldown_minutes": "30", "is_public": "on", "daily_budget": "1.5", "model": "",
    }  # fmt: skip
    refused = desk.post(f"{_list(Participant)}add/", form)
    assert refused.status_code == 200
    assert "10" in str(refused.context["adminform"].form.errors["prompt_text"])
    assert not Participant.objects.exists() and not Bot.objects.filter(name="Oracle").exists()

    text = "You are the Oracle. {{totalValue}} and {{moonPhase}}."
    answer = desk.post(f"{_list(Participant)}add/", form | {"prompt_text": text}, follow=True)
    assert "{{moonPhase}}" in answer.content.decode()  # told, and kept as it stands
    made = Participant.objects.get()
    assert (made.bot.name, made.symbols, made.max_leverage) == ("Oracle", ["BTC/USDT", "DOGE/USDT"], 4)
    assert (made.provider_id, made.daily_budget, made.prompt.text) == (provider.id, D("1.5"), text)
    assert BotAccount.objects.get(bot=made.bot_id).balance == 2500
    told = AuditEntry.objects.filter(table_name="arena_participants")
    assert {entry.actor for entry in told} == {"operator:alice"}

    change = {name: value for name, value in form.items() if name not in ("account", "name", "starting_balance")}
    assert desk.post(_page(Participant, made.pk), change | {"max_leverage": "7"}).status_code == 302
    too_much = desk.post(_page(Participant, made.pk), change | {"symbols": "BTC/EUR"})
    assert "USDT" in str(too_much.context["adminform"].form.errors)
    made.refresh_from_db()
    assert (made.max_leverage, made.symbols) == (7, ["BTC/USDT", "DOGE/USDT"])

    prompt = _page(Participant, made.pk, "prompt")
    assert "{{dayOfDoom}}" in desk.post(prompt, {"text": "Buy at {{dayOfDoom}}."}, follow=True).content.decode()
    assert "went wrong" not in desk.post(prompt, {"text": "short"}).content.decode()
    assert desk.post(prompt, {"number": "1"}).status_code == 302
    rows = PromptVersion.objects.order_by("number").values_list("number", "text", "note")
    assert [number for number, _, _ in rows] == [1, 2, 3]
    assert rows[2][1:] == (text, "as version 1")
    assert "as version 1" in _body(desk, prompt)


def test_a_provider_is_made_and_tested_and_its_key_is_never_shown(
    desk: HttpClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.sandbox.add_model_key("sk-planted-0123456789")
    form = {"name": "ours", "kind": "openai", "client": "", "base_url": "", "model": "gpt-sandbox", "is_shared": "on",
            "is_enabled": "on", "timeout_s": "20", "max_attempts": "1", "max_output_tokens": "512",
            "prices": '{"gpt-sandbox": {"input": 1.25, "output": 10}}'}  # fmt: skip
    refused = desk.post(f"{_list(LlmProvider)}add/", form)
    assert "new_key" in refused.context["adminform"].form.errors
    bad = desk.post(f"{_list(LlmProvider)}add/", form | {"new_key": "sk-planted-0123456789", "prices": '{"x": 1}'})
    assert bad.status_code == 200 and b"sk-planted" not in bad.content  # not even in the form that was refused
    assert desk.post(f"{_list(LlmProvider)}add/", form | {"new_key": "sk-planted-0123456789"}).status_code == 302
    made = LlmProvider.objects.get()
    assert (made.api_key.open(), made.is_shared, made.prices["gpt-sandbox"]["output"]) == (
        "sk-planted-0123456789",
        True,
        10,
    )

    monkeypatch.setattr(ask_it, "delay", lambda *given: ask_it.apply(given))  # a worker asks; here it is this process
    desk.post(_page(LlmProvider, made.pk, "test"), YES)
    page = _body(desk, _page(LlmProvider, made.pk))
    assert " answered in " in page and made.key_hint in page
    assert LlmCall.objects.get().purpose == "test"
    desk.post(_page(LlmProvider, made.pk), form | {"kind": "", "new_key": "sk-wrong-9876543210", "max_attempts": "2"})
    desk.post(_page(LlmProvider, made.pk, "test"), YES)
    made.refresh_from_db()
    assert (made.max_attempts, made.api_key.open()) == (2, "sk-wrong-9876543210")
    assert made.test_message and " answered in " not in made.test_message
    for address in (_list(LlmProvider), _page(LlmProvider, made.pk), _list(LlmCall), "/admin/clients/auditentry/"):
        body = _body(desk, address)
        assert "sk-planted" not in body and "sk-wrong" not in body and "gAAAAA" not in body
    desk.post(_page(LlmProvider, made.pk, "delete"), {"post": "yes"})
    made.refresh_from_db()
    assert made.retired_at and made.api_key is None


def test_a_person_forces_a_turn_pauses_closes_clones_and_resets(desk: HttpClient, stage: Stage, bot_id: UUID) -> None:
    def press(button: str, **form: str) -> str:
        desk.post(_page(Participant, bot_id, button), YES | form)
        return _body(desk, _page(Participant, bot_id))

    press("force")
    assert Participant.objects.get().forced_by == "operator:alice"
    take_turn(stage, {"action": "HOLD"})
    assert ArenaTurn.objects.latest("number").cause == "forced"
    assert "The bot is paused." in press("pause")
    assert "paused: let it go on first" in press("force")
    assert Participant.objects.get().forced_at is None
    press("go_on")
    desk.post(_page(Participant, bot_id, "positions"), {"position": str(Position.objects.get().id)})
    assert Position.objects.get().status == "closed"
    press("clone", name="Twin")
    twin = Participant.objects.get(bot__name="Twin")
    assert (twin.bot.desired_status, twin.prompt.number) == ("created", 1)
    assert "begins anew" in press("reset")
    assert not BotDecision.objects.filter(bot=bot_id).exists() and BotDecision.objects.count() == 2
    assert Bot.objects.filter(retired_at__isnull=False, name__startswith="Astrologer").exists()
    assert "The bot is stopped" in press("stop")
    assert Bot.objects.get(id=bot_id).desired_status == "stopped"


def test_the_kill_switch_holds_everybody_until_it_is_lifted(desk: HttpClient, stage: Stage) -> None:
    bot_id, other = stage.add_bot(), stage.add_bot("client_globex", "Rival")
    switch = reverse("admin:arena_halt_pull")
    assert "Halt everybody" in _body(desk, switch) and not Halt.objects.exists()  # nothing on GET
    desk.post(switch, {"scope": "all", "reason": ""})
    desk.post(switch, {"scope": "client", "id": "no such", "reason": "why not"})
    assert not Halt.objects.exists()  # without a reason or a client nothing is halted
    desk.post(switch, {"scope": "all", "reason": "the exchange lies"})
    take_turn(stage, LONG)
    assert not ArenaTurn.objects.filter(status="done").exists() and not Position.objects.exists()
    assert "Everybody is halted" in _body(desk, _list(Halt)) and "the exchange lies" in _body(
        desk, _page(Participant, bot_id)
    )
    desk.post(_page(Halt, Halt.objects.get().pk, "lift"), YES)
    desk.post(switch, {"scope": "bot", "id": str(other), "reason": "only this one"})
    assert (
        desk.post(switch, {"scope": "client", "id": str(stage.cast.globex), "reason": "its whole desk"}).status_code
        == 302
    )
    assert Halt.objects.filter(lifted_at=None).count() == 2
    take_turn(stage, LONG)
    assert set(ArenaTurn.objects.filter(status="done").values_list("bot_id", flat=True)) == {bot_id}
    assert {halt.halted_by for halt in Halt.objects.all()} == {"operator:alice"}
    assert "halted" in _body(desk, f"{_list(Participant)}?is=halted") and "Rival" in _body(
        desk, f"{_list(Participant)}?is=halted"
    )


def test_who_may_only_look_changes_nothing_and_nothing_happens_on_get(
    desk: HttpClient, stage: Stage, bot_id: UUID
) -> None:
    victor = User.objects.create_user("victor", password="correct horse battery", is_staff=True)
    victor.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    visitor = HttpClient()
    visitor.force_login(victor, backend="django.contrib.auth.backends.ModelBackend")
    own = Halt.objects.create(scope="bot", bot_id=bot_id, client_id=stage.cast.acme, reason="test", halted_by="tests")
    buttons = ("start", "stop", "force", "pause", "go_on", "halt_it", "lift_it", "clone", "reset", "clear_learning",
               "positions", "prompt")  # fmt: skip
    pages = [_page(Participant, bot_id, button) for button in buttons]
    pages += [_page(Halt, own.pk, "lift"), reverse("admin:arena_halt_pull"), _page(ArenaSettings, 1),
              _page(LlmProvider, LlmProvider.objects.get().pk, "test"), f"{_list(Participant)}add/"]  # fmt: skip
    form = YES | {"position": str(Position.objects.get().id), "text": "Another prompt, mine.", "scope": "all",
                  "reason": "mine", "name": "mine"}  # fmt: skip
    before = _all_of_it()
    for page in pages:
        assert visitor.post(page, form).status_code in (302, 403), page
        assert visitor.get(page).status_code in (200, 302, 403), page
        assert desk.get(page).status_code in (200, 302, 405), page
    marked = {"action": "pause_selected", "_selected_action": [str(bot_id)], "confirmed": "yes"}
    visitor.post(_list(Participant), marked)
    assert _all_of_it() == before


def _all_of_it() -> list[object]:
    models = (Participant, Halt, ArenaSettings, PromptVersion, HistorySummary, Position)
    providers = LlmProvider.objects.values("id", "name", "tested_at", "retired_at")
    bots = Bot.objects.order_by("id").values("id", "desired_status", "name")
    return [
        list(rows) for rows in (*(model._default_manager.order_by("pk").values() for model in models), providers, bots)
    ]


def test_what_workers_wrote_cannot_be_changed_and_settings_can(desk: HttpClient, stage: Stage, bot_id: UUID) -> None:
    for model in FACTS:
        row = model._default_manager.first()
        assert desk.get(f"{_list(model)}add/").status_code == 403, model
        assert desk.post(_page(model, row.pk), {"status": "failed", "reply": "mine", "text": "x"}).status_code == 403, (
            model
        )
        assert desk.get(_page(model, row.pk, "delete")).status_code == 403, model
    form = desk.get(_page(ArenaSettings, 1)).context["adminform"].form
    values = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
    values |= {"symbols": '["BTC/USDT"]', "turn_interval_s": "60"}
    values.pop("is_public", None)
    assert desk.post(_page(ArenaSettings, 1), values).status_code == 302
    assert ArenaSettings.objects.get().turn_interval_s == 60
    wrong = _body(desk, _page(ArenaSettings, 1), values | {"stale_after_s": "5"})  # prices are read every 10
    assert "every price would be stale" in wrong and ArenaSettings.objects.get().stale_after_s == 60
    for name, value, told in (
        ("exchange", "no such", "No exchange of this name is known"), ("exchange", "bitmart", "closed in 2026"),
        ("symbols", '"BTC/USDT"', "A list of pairs"), ("symbols", '["nonsense!"]', "nonsense!"), ("symbols", "[7]", "7"),
        ("symbols", '["BTC/EUR"]', "USDT"),
    ):  # fmt: skip
        assert told in _body(desk, _page(ArenaSettings, 1), values | {name: value}), value
    kept = ArenaSettings.objects.get()
    assert (kept.exchange, kept.symbols) == ("binance", ["BTC/USDT"]), (
        "with these nobody's prices would ever be read again"
    )
    budget = {"daily_budget": "9", "monthly_budget": "3"}
    refused = desk.post(_page(ClientBudget, stage.cast.acme), budget)
    assert "not below" in str(refused.context["adminform"].form.errors)


def _list(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def _page(model: Any, pk: Any, name: str = "change") -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=[pk])


def _body(http: HttpClient, address: str, form: dict[str, str] | None = None) -> str:
    answer = http.post(address, form) if form else http.get(address, follow=True)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.content.decode()
