"""Accounts at providers, who may use them, and money: real database, real HTTP to the sandbox's models."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, connections
from hypothesis import given
from hypothesis import strategies as st

from arena.gateways.ask import ask, read_answer
from arena.models import LlmCall, LlmProvider, LlmSpend, LlmText, Participant
from arena.rules import budget
from arena.rules.statuses import CallPurpose, CallStatus, ProviderKind
from arena.services import model_calls, providers, spend
from arena.services import test_provider as testing
from arena.types_models import Heard, ModelAnswer, ModelRequest, ProviderAccess, Step, ToolResult
from clients.models import AuditEntry
from ground.errors import Conflict, InvalidInput, NotFound, Unavailable, UnknownOutcome
from ground.scope import Scope, system_scope
from sandbox.testing import Sandbox, start
from tests.fixtures import OPERATOR, Cast, make_bot

KEY = "sk-planted-SECRET-0123456789abcdef"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ARENA = system_scope("arena")
PRICES = {"*": {"input": Decimal(3), "output": Decimal(15)}}
ASKED = ModelRequest(system="You trade.", user="Market data:\nBTC/USDT 61000 +1%", max_output_tokens=1000)


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with start() as sandbox:
        yield sandbox


@pytest.fixture
def models(running: Sandbox, settings: Any) -> Sandbox:
    """The sandbox stands for the published addresses."""
    running.clear_faults()
    running.control("DELETE", "/model/script")
    running.control("DELETE", "/calls")
    running.add_model_key(KEY)
    base = running.model_base
    settings.MODEL_BASE_URLS = {
        "openai": f"{base}/openai/v1", "anthropic": f"{base}/anthropic", "google": f"{base}/google",
    }  # fmt: skip
    return running


def make(client_id: UUID | None = None, **fields: Any) -> UUID:
    given_ = {"name": f"model {uuid4()}", "kind": ProviderKind.OPENAI, "model": "gpt-4o-mini", "api_key": KEY}
    return providers.create_provider(scope=OPERATOR, client_id=client_id, **{**given_, "prices": PRICES, **fields})


def join(bot_id: UUID, client_id: UUID, **fields: Any) -> Participant:
    return Participant.objects.create(bot_id=bot_id, client_id=client_id, **fields)


def open_call(cast: Cast, provider_id: UUID, *, now: datetime = NOON, **more: Any) -> model_calls.OpenCall:
    wanted = {
        "client_id": cast.acme,
        "bot_id": cast.acme_bot,
        "model": "",
        "purpose": CallPurpose.SUMMARY,
        "request": ASKED,
    }
    with ARENA.transaction():
        return model_calls.open_call(provider_id=provider_id, now=now, **{**wanted, **more})


def close(call: model_calls.OpenCall, answer: ModelAnswer) -> Decimal:
    with ARENA.transaction():
        return model_calls.close_call(call.id, answer, now=NOON)


def books() -> dict[tuple[bool, str], tuple[Decimal, Decimal, int]]:
    """(is it a bot's, span) to reserved, spent, calls."""
    return {(row.bot_id is not None, row.span): (row.reserved, row.spent, row.calls) for row in LlmSpend.objects.all()}


def said(text: str = "[]", *, tokens: tuple[int, int] | None = (1000, 200)) -> ModelAnswer:
    heard = Heard(reply=json.dumps(text), status=200, attempts=1, duration_ms=5, may_have_cost=True)
    read, written = tokens or (None, None)
    return ModelAnswer(heard, text=text, model="gpt-4o-mini", input_tokens=read, output_tokens=written)


# Accounts


def test_a_key_goes_in_and_never_comes_out(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider_id = make(cast.acme, name="Own")
    row = LlmProvider.objects.get(id=provider_id)
    assert (row.key_hint, str(row.api_key)) == ("sk-p…cdef", "<sealed>")
    with connection.cursor() as cursor:
        cursor.execute("SELECT p::text FROM llm_providers p")
        stored = str(cursor.fetchall())
    providers.change_provider(scope=OPERATOR, provider_id=provider_id, changes={"api_key": KEY + "2"}, now=NOON)
    audited = list(AuditEntry.objects.filter(table_name="llm_providers").values_list("before", "after"))
    assert len(audited) == 2
    access = providers.open_provider(provider=LlmProvider.objects.get(id=provider_id))
    assert access.api_key == KEY + "2"
    assert "SECRET" not in f"{stored} {audited} {caplog.text} {access!r}"


def test_another_address_wants_the_key_again(cast: Cast) -> None:
    """Else whoever may edit an address has the key sent to a server of his own."""
    provider_id = make(cast.acme, kind="compatible", base_url="https://api.deepseek.com/v1")
    with pytest.raises(InvalidInput) as refused:
        providers.change_provider(
            scope=OPERATOR, provider_id=provider_id, changes={"base_url": "https://evil.example.com/v1"}, now=NOON
        )
    assert refused.value.fields == {"api_key": ["Give the key again together with another address."]}
    changes = {"base_url": "https://api.x.ai/v1", "api_key": "xai-other-key-0123456"}
    providers.change_provider(scope=OPERATOR, provider_id=provider_id, changes=changes, now=NOON)
    assert LlmProvider.objects.get(id=provider_id).base_url == "https://api.x.ai/v1"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": "  "}), ("kind", {"kind": "bard"}), ("model", {"model": "gpt 4"}), ("api_key", {"api_key": ""}),
        ("api_key", {"api_key": "two words"}), ("base_url", {"kind": "compatible"}), ("timeout_s", {"timeout_s": 0}),
        ("base_url", {"base_url": "http://10.0.0.1/v1"}), ("base_url", {"base_url": "https://localhost/v1"}),
        ("max_attempts", {"max_attempts": True}), ("prices", {"prices": {"m": {"input": -1, "output": 1}}}),
        ("prices", {"prices": {"m": {"input": 1}}}), ("is_shared", {"is_shared": True}), ("source", {"source": "x"}),
    ],
)  # fmt: skip
def test_refuses_what_breaks_a_rule_and_names_the_field(cast: Cast, field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        make(cast.acme, **fields)
    assert set(refused.value.fields or {}) == {field}
    assert not LlmProvider.objects.exists()


def test_names_are_a_clients_own(cast: Cast) -> None:
    make(cast.acme, name="Main")
    make(cast.globex, name="Main")
    make(None, name="Main")
    with pytest.raises(InvalidInput, match="of this name"):
        make(None, name="Main")


def test_operators_may_keep_a_model_in_their_own_network(cast: Cast) -> None:
    local = make(None, kind="compatible", base_url="http://10.0.0.5:11434/v1", api_key="", is_shared=True)
    access = providers.open_provider(provider=LlmProvider.objects.get(id=local))
    assert (access.is_trusted, access.api_key) == (True, "")


def test_a_provider_in_use_is_neither_retired_nor_taken_from_others(cast: Cast) -> None:
    shared = make(None, is_shared=True)
    participant = join(cast.acme_bot, cast.acme, fallback_id=shared)
    for change in (
        lambda: providers.retire_provider(scope=OPERATOR, provider_id=shared, now=NOON),
        lambda: providers.change_provider(scope=OPERATOR, provider_id=shared, changes={"is_shared": False}, now=NOON),
    ):
        with pytest.raises(Conflict, match="1 bot asks this provider"):
            change()
    participant.fallback = None
    participant.save()
    providers.retire_provider(scope=OPERATOR, provider_id=shared, now=NOON)
    row = LlmProvider.objects.get(id=shared)
    assert (row.api_key, row.key_hint, row.is_enabled) == (None, "", False)
    with pytest.raises(NotFound):
        providers.find_provider(scope=OPERATOR, provider_id=shared)


def test_a_client_that_goes_takes_its_keys_along(cast: Cast) -> None:
    own, foreign, shared = make(cast.acme), make(cast.globex), make(None, is_shared=True)
    assert cast.operator.delete(f"/clients/{cast.acme}").status == 200
    rows = {row.id: (row.api_key is None, row.retired_at is None) for row in LlmProvider.objects.all()}
    assert rows == {own: (True, False), foreign: (False, True), shared: (False, True)}


# Who may use which: a provider once fell back to another tenant's key


def test_nobody_asks_with_another_clients_key(cast: Cast) -> None:
    own, foreign, kept, shared = (
        make(cast.acme),
        make(cast.globex),
        make(None, name="kept"),
        make(None, name="shared", is_shared=True),
    )
    assert {row.id for row in providers.usable_providers(scope=ARENA, client_id=cast.acme)} == {own, shared}
    for provider_id in (foreign, kept):
        with pytest.raises(providers.ProviderUnusable, match="There is no such model provider"):
            open_call(cast, provider_id)
        with pytest.raises(IntegrityError, match="belongs to another client"):
            join(cast.acme_bot, cast.acme, provider_id=provider_id)
    assert not LlmCall.objects.exists()
    assert not LlmSpend.objects.exists()
    with Scope(actor="key:acme", client_id=cast.acme).transaction():
        assert set(LlmProvider.objects.values_list("id", flat=True)) == {own, shared}


def test_falls_back_to_what_the_same_client_chose_and_to_nothing_else(cast: Cast) -> None:
    first, second, spare = make(cast.acme), make(cast.acme, model="gpt-4o"), make(cast.acme)
    shared = make(None, is_shared=True)
    participant = join(cast.acme_bot, cast.acme, provider_id=first, fallback_id=second, model="gpt-5-mini")

    def asked() -> list[tuple[UUID, str]]:
        return [(one.provider.id, one.model) for one in providers.choices_of(scope=ARENA, participant=participant)]

    assert asked() == [(first, "gpt-5-mini"), (second, "gpt-4o")]
    providers.change_provider(scope=OPERATOR, provider_id=first, changes={"is_enabled": False}, now=NOON)
    assert asked() == [(second, "gpt-4o")]
    providers.change_provider(scope=OPERATOR, provider_id=second, changes={"is_enabled": False}, now=NOON)
    assert asked() == []
    assert {spare, shared} <= {row.id for row in providers.usable_providers(scope=ARENA, client_id=cast.acme)}
    with pytest.raises(providers.ProviderUnusable, match="switched off"):
        open_call(cast, first)


# Money


def test_sets_aside_before_the_call_and_books_after_it(cast: Cast) -> None:
    call = open_call(cast, make(cast.acme))
    estimate = LlmCall.objects.get(id=call.id).estimated_cost
    assert estimate > Decimal(15) * 1000 / 1_000_000  # all of its output, and its input
    assert set(books().values()) == {(estimate, Decimal(0), 1)}
    assert set(books()) == {(False, "day"), (False, "month"), (True, "day"), (True, "month")}
    cost = Decimal("0.006")  # (1000 x 3 + 200 x 15) / a million
    assert [close(call, said()) for _ in range(2)] == [cost, cost]
    assert set(books().values()) == {(Decimal(0), cost, 1)}
    row = LlmCall.objects.get(id=call.id)
    assert (row.status, row.cost, row.input_tokens, row.answered_model) == ("answered", cost, 1000, "gpt-4o-mini")


@pytest.mark.parametrize(
    ("heard", "status", "is_spent"),
    [
        (Heard(attempts=1, may_have_cost=True, error=UnknownOutcome("gone", system="x")), "lost", True),
        (Heard(reply="<html>", status=200, may_have_cost=True, error=Unavailable("odd", system="x")), "answered", True),
        (Heard(reply="{}", status=500, may_have_cost=False, error=Unavailable("down", system="x")), "failed", False),
        (Heard(may_have_cost=False, error=Unavailable("nobody", system="x")), "failed", False),
    ],
)
def test_a_lost_answer_keeps_its_estimate_as_spent(cast: Cast, heard: Heard, status: str, is_spent: bool) -> None:
    call = open_call(cast, make(cast.acme))
    estimate = LlmCall.objects.get(id=call.id).estimated_cost
    with ARENA.transaction():
        assert model_calls.keep_reply(call.id, heard, now=NOON)
        again = model_calls.stored_heard(call.id)
    assert (again.reply, again.status, again.may_have_cost) == (heard.reply, heard.status, heard.may_have_cost)
    assert close(call, ModelAnswer(again, error=heard.error)) == (estimate if is_spent else 0)
    assert set(books().values()) == {(Decimal(0), estimate if is_spent else Decimal(0), 1)}
    row = LlmCall.objects.get(id=call.id)
    assert (row.status, row.cost) == (status, None if is_spent else 0)
    assert row.error == (heard.error.message if heard.error else "")


@pytest.mark.parametrize("place", ["client_day", "client_month", "bot_day", "bot_month"])
def test_refuses_what_a_budget_does_not_hold_and_says_which(cast: Cast, place: str) -> None:
    whose, span = place.split("_")
    limit = {"daily_budget": None, "monthly_budget": None} | {
        "daily_budget" if span == "day" else "monthly_budget": Decimal("0.04")
    }
    if whose == "client":
        spend.set_client_budget(scope=OPERATOR, client_id=cast.acme, **limit)
    join(cast.acme_bot, cast.acme, **(limit if whose == "bot" else {}))
    provider_id = make(cast.acme)
    open_call(cast, provider_id)
    open_call(cast, provider_id)
    with pytest.raises(spend.BudgetSpent) as refused:
        open_call(cast, provider_id)
    anew = "2026-11-23" if span == "day" else "2026-12-01"
    assert f"the {whose}'s budget of a {span}" in refused.value.message
    assert f"it begins anew on {anew}" in refused.value.message
    assert {calls for _, _, calls in books().values()} == {2}
    assert LlmCall.objects.count() == 2
    other = make_bot("client_acme", name="another")
    if whose == "bot":
        open_call(cast, provider_id, bot_id=other)
    open_call(cast, provider_id, now=NOON + timedelta(days=1 if span == "day" else 9))


def test_a_model_without_a_price_is_not_asked_where_a_budget_would_have_to_hold(cast: Cast) -> None:
    provider_id = make(cast.acme, prices={"other-model": {"input": 1, "output": 1}})
    assert LlmCall.objects.get(id=open_call(cast, provider_id).id).estimated_cost == 0  # nobody limits it
    spend.set_client_budget(scope=OPERATOR, client_id=cast.acme, daily_budget=Decimal(100), monthly_budget=None)
    with pytest.raises(spend.PriceUnknown, match="price of this model is not known"):
        open_call(cast, provider_id)
    providers.change_provider(
        scope=OPERATOR, provider_id=provider_id, changes={"prices": {"*": {"input": 0, "output": 0}}}, now=NOON
    )
    open_call(cast, provider_id)  # known to be free


def test_many_workers_at_once_never_spend_more_than_the_budget(cast: Cast) -> None:
    """Each gets its answer from one statement; the last dollar goes to one of them."""
    provider_id = make(cast.acme)
    first = open_call(cast, provider_id)
    estimate = LlmCall.objects.get(id=first.id).estimated_cost
    close(first, ModelAnswer(Heard(may_have_cost=False), error=Unavailable("x", system="x")))
    spend.set_client_budget(
        scope=OPERATOR, client_id=cast.acme, daily_budget=estimate * 10 + estimate / 2, monthly_budget=None
    )
    join(cast.acme_bot, cast.acme, daily_budget=estimate * 7)
    bots = [cast.acme_bot, make_bot("client_acme", name="b"), make_bot("client_acme", name="c")]
    outcomes: list[str] = []
    together = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            together.wait()
            for turn in range(6):
                try:
                    call = open_call(cast, provider_id, bot_id=bots[(number + turn) % 3])
                    outcomes.append("asked")
                    if turn % 2:
                        close(call, said(tokens=None))  # costs what was estimated
                except spend.BudgetSpent:
                    outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 48
    assert outcomes.count("asked") == 10
    day = LlmSpend.objects.get(bot=None, span="day")
    assert day.reserved + day.spent == estimate * 10
    of_bots = LlmSpend.objects.filter(span="day").exclude(bot=None)
    assert sum(row.reserved + row.spent for row in of_bots) == estimate * 10
    assert all(row.reserved + row.spent <= estimate * 7 for row in of_bots if row.bot_id == cast.acme_bot)


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.sampled_from(["good", "untold", "lost", "failed"]))
    ),
    st.decimals(0, 1, places=4),
)
def test_what_is_booked_never_exceeds_what_was_set_aside_unless_the_provider_counted_more(
    calls: list[tuple[int, int, str]], price_of_input: Decimal
) -> None:
    """A law of the arithmetic alone: estimates bound costs whose tokens lie within what was allowed."""
    price = budget.Price(price_of_input, price_of_input * 5)
    for read, written, end in calls:
        estimate = budget.cost_of(price, input_tokens=5000, output_tokens=5000)
        settled = budget.settle(
            price=price,
            estimate=estimate,
            input_tokens=None if end == "untold" else read,
            output_tokens=written,
            has_reply=end != "lost",
            may_have_cost=end != "failed",
        )
        assert 0 <= settled.spent <= estimate
        assert (settled.spent == estimate) or end not in ("untold", "lost")
        assert end != "failed" or settled == budget.Settled(CallStatus.FAILED, Decimal(0), Decimal(0))


# Words


def test_stores_a_text_once_a_client_and_gives_back_what_was_sent(cast: Cast) -> None:
    provider_id = make(None, is_shared=True)
    steps = (Step('[{"parts": []}]', (ToolResult("c1", "rsi", "41"), ToolResult("c2", "rsi", "42"))),)
    asked = ModelRequest(system=ASKED.system, user="nul \x00 \U0001f680", steps=steps)
    calls = [open_call(cast, provider_id, request=asked) for _ in range(2)]
    open_call(cast, provider_id, client_id=cast.globex, bot_id=cast.globex_bot)
    assert LlmText.objects.filter(client=cast.acme).count() == 5
    assert LlmText.objects.filter(text=ASKED.system).count() == 2  # one for each client: nobody sees the other's
    again = model_calls.stored_request(calls[1].id)
    assert (again.system, again.user, again.steps) == (asked.system, "nul \ufffd \U0001f680", steps)


def test_the_raw_words_stand_before_anything_reads_them_and_can_be_read_by_another_worker(
    cast: Cast, models: Sandbox
) -> None:
    provider_id = make(cast.acme, kind="google", model="gemini-2.5-flash")
    models.script_model({"text": "[]", "usage": [1000, 200]})
    call = open_call(cast, provider_id)

    def keep(heard: Heard) -> None:
        with ARENA.transaction():
            assert model_calls.keep_reply(call.id, heard, now=NOON)
            assert not model_calls.keep_reply(call.id, Heard(reply="other"), now=NOON)
        raise SystemExit  # the worker dies with the words stored and nothing read

    with pytest.raises(SystemExit):
        ask(call.access, ASKED, timeout_s=call.timeout_s, keep=keep)
    row = LlmCall.objects.get(id=call.id)
    assert (row.status, row.reply_status, "candidates" in str(row.reply)) == ("reserved", 200, True)
    answer = read_answer(call.access, model_calls.stored_request(call.id), model_calls.stored_heard(call.id))
    assert (answer.text, answer.error) == ("[]", None)
    assert close(call, answer) == Decimal("0.006")
    assert len(models.calls(system="model")) == 1


def test_what_a_dead_worker_leaves_is_booked_once(cast: Cast) -> None:
    provider_id = make(cast.acme)
    silent, heard = open_call(cast, provider_id), open_call(cast, provider_id)
    usage = {"model": "m", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}
    with ARENA.transaction():
        model_calls.keep_reply(heard.id, Heard(reply=json.dumps(usage), status=200, may_have_cost=True), now=NOON)
    late, soon = NOON + timedelta(hours=1), timedelta(minutes=10)
    assert model_calls.end_abandoned_calls(scope=ARENA, now=NOON, older_than=soon) == 0
    assert [model_calls.end_abandoned_calls(scope=ARENA, now=late, older_than=soon) for _ in range(2)] == [2, 0]
    estimate = LlmCall.objects.get(id=silent.id).estimated_cost
    assert set(books().values()) == {(Decimal(0), estimate + Decimal("0.006"), 2)}
    assert LlmCall.objects.get(id=silent.id).status == "lost"
    assert close(silent, said()) == estimate  # its worker comes back: too late
    assert set(books().values()) == {(Decimal(0), estimate + Decimal("0.006"), 2)}


# The button


@pytest.mark.parametrize("kind", [ProviderKind.OPENAI, ProviderKind.ANTHROPIC, ProviderKind.GOOGLE])
def test_the_test_button_asks_once_and_says_what_came_of_it(cast: Cast, models: Sandbox, kind: ProviderKind) -> None:
    model = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-6", "google": "gemini-2.5-flash"}[kind]
    provider_id = make(cast.acme, kind=kind, model=model)

    def press() -> testing.Tested:
        return testing.test_provider(scope=OPERATOR, provider_id=provider_id, ask=ask, clock=lambda: NOON)

    models.script_model("ready")
    good = press()
    row = LlmCall.objects.get(id=good.call_id)
    assert (good.is_good, row.purpose, row.status, row.client_id) == (True, "test", "answered", cast.acme)
    models.fault(f"key:{KEY}", "revoked")
    bad = press()
    assert (bad.is_good, "refused the key" in bad.message) == (False, True)
    provider = LlmProvider.objects.get(id=provider_id)
    assert (provider.tested_at, provider.test_message) == (NOON, bad.message)
    assert "SECRET" not in str(list(LlmCall.objects.values_list()))


def test_the_test_of_an_operators_provider_touches_nobodys_budget(cast: Cast, models: Sandbox) -> None:
    models.script_model("ready")
    provider_id = make(None)
    tested = testing.test_provider(scope=OPERATOR, provider_id=provider_id, ask=ask, clock=lambda: NOON)
    assert tested.is_good
    assert LlmCall.objects.get(id=tested.call_id).client_id is None
    assert not LlmSpend.objects.exists()


def test_the_test_says_that_the_budget_is_spent(cast: Cast, models: Sandbox) -> None:
    spend.set_client_budget(scope=OPERATOR, client_id=cast.acme, daily_budget=Decimal(0), monthly_budget=None)
    tested = testing.test_provider(scope=OPERATOR, provider_id=make(cast.acme), ask=ask, clock=lambda: NOON)
    assert (tested.is_good, tested.call_id, "budget of a day" in tested.message) == (False, None, True)
    assert models.calls(system="model") == []


def test_no_question_is_asked_while_a_transaction_is_open(cast: Cast, models: Sandbox) -> None:
    access = ProviderAccess("x", ProviderKind.OPENAI, "gpt-4o-mini", KEY)
    with ARENA.transaction(), pytest.raises(RuntimeError, match="transaction is open"):
        ask(access, ASKED, timeout_s=5)
