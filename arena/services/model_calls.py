"""Each question to a model as a row: set aside, asked, its raw words stored before anything reads them, booked once.

``open_call``, ``keep_reply``, ``close_call`` and ``lost_call`` join the caller's open transaction of the system's; the
question itself is asked between them, outside of any. What a worker that died leaves is ended by ``end_abandoned_calls``:
a reply that was stored is booked by what it says of its tokens, all else counts as estimated, and nobody asks again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID, uuid4

from arena.gateways.usage import counted
from arena.models import LlmCall, LlmProvider
from arena.rules import budget
from arena.rules.statuses import CallPurpose, CallStatus, ProviderKind
from arena.rules.tokens import estimate_messages
from arena.services.providers import ProviderUnusable, check_may_use, open_provider
from arena.services.spend import reserve_spend, settle_spend
from arena.types_models import Heard, ModelAnswer, ModelRequest, ProviderAccess, Step, Tool, ToolResult
from ground.errors import NotFound, Unavailable
from ground.hot_rows import hot_rows
from ground.scope import Scope
from ground.sql import fetch_all, fetch_all_hot, run_hot

MOST_ABANDONED = 200
TOOLS_ROLE = "tools"
"""Of the stored message that holds the tools which were offered."""
_UNTOLD = ("", None, None)
_OPEN = """
    INSERT INTO llm_calls (id, client_id, bot_id, turn_id, provider_id, model, purpose, step, status, messages, estimated_cost,
                           asked_at, answered_model, attempts, error)
    VALUES (%(id)s, %(client)s, %(bot)s, %(turn)s, %(provider)s, %(model)s, %(purpose)s, %(step)s, 'reserved', %(messages)s,
            %(estimate)s, %(now)s, '', 0, '')
"""
_STORE = """
    UPDATE llm_calls
       SET reply = %(reply)s, reply_status = %(status)s, attempts = %(attempts)s, duration_ms = %(duration_ms)s,
           answered_at = %(now)s, error = %(error)s
     WHERE id = %(id)s AND status = 'reserved' AND answered_at IS NULL
"""
_CLOSE = """
    UPDATE llm_calls
       SET status = %(status)s, cost = %(cost)s, answered_model = %(model)s, input_tokens = %(input_tokens)s,
           output_tokens = %(output_tokens)s, error = coalesce(nullif(%(error)s, ''), error)
     WHERE id = %(id)s AND status = 'reserved'
"""
# In one order by everybody: two calls of a client may store the same texts at once.
_STORE_TEXTS = """
    INSERT INTO llm_texts (id, client_id, sha256, text)
    SELECT gen_random_uuid(), %(client)s, x.sha256, x.text
      FROM unnest(%(digests)s::text[], %(texts)s::text[]) AS x(sha256, text) ORDER BY x.sha256
    ON CONFLICT DO NOTHING
"""
_TEXTS = "SELECT sha256, text FROM llm_texts WHERE client_id = %(client)s AND sha256 = ANY(%(wanted)s::text[])"
_ABANDONED = """
    SELECT id FROM llm_calls
     WHERE status = 'reserved' AND asked_at < %(before)s ORDER BY asked_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
"""


class Ask(Protocol):
    """``arena.gateways.ask.ask``."""

    def __call__(
        self, provider: ProviderAccess, request: ModelRequest, *, timeout_s: float, keep: Callable[[Heard], None]
    ) -> ModelAnswer: ...


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call whose cost is set aside and that nobody has made yet."""

    id: UUID
    access: ProviderAccess
    timeout_s: float


def open_call(
    *,
    client_id: UUID | None,
    bot_id: UUID | None,
    provider_id: UUID,
    model: str,
    purpose: CallPurpose,
    request: ModelRequest,
    now: datetime,
    turn_id: UUID | None = None,
    step: int = 1,
) -> OpenCall:
    """Set aside what this may cost at most, and store what will be sent. ``model`` "" means the provider's.

    ``client_id`` None is the test of an operator's provider, which touches no budget. Raises ProviderUnusable, BudgetSpent,
    PriceUnknown, and then nothing was written.
    """
    provider = _provider(provider_id, client_id)
    access = open_provider(provider=provider, model=model)
    price = budget.price_of(provider.prices, access.model)
    most = None if price is None else _cost_at_most(price, request)
    estimate = most or Decimal(0)
    if client_id is not None:
        estimate = reserve_spend(client_id=client_id, bot_id=bot_id, estimate=most, now=now)
    call_id = uuid4()
    values = {
        "id": call_id,
        "client": client_id,
        "bot": bot_id,
        "turn": turn_id,
        "provider": provider.id,
        "model": access.model,
        "purpose": str(purpose),
        "step": step,
        "messages": json.dumps(_store_texts(client_id, request)),
        "estimate": estimate,
        "now": now,
    }
    run_hot(_OPEN, values)
    return OpenCall(call_id, access, float(provider.timeout_s))


def keep_reply(call_id: UUID, heard: Heard, *, now: datetime) -> bool:
    """Store what came back as it came, once. False where the call was ended meanwhile; its words are then dropped.

    The estimate stays set aside until ``close_call``; where nothing can have been done it is released at once, and the call
    has failed.
    """
    values = {
        "id": call_id,
        "reply": heard.reply,
        "status": heard.status,
        "attempts": heard.attempts,
        "duration_ms": heard.duration_ms,
        "error": heard.error.message[:500] if heard.error else "",
        "now": now,
    }
    if run_hot(_STORE, values) != 1:
        return False
    if not heard.may_have_cost:
        _close(_locked(call_id), has_reply=heard.reply is not None, may_have_cost=False, told=_UNTOLD, error="")
    return True


def close_call(call_id: UUID, answer: ModelAnswer, *, now: datetime) -> Decimal:
    """Book what it cost in place of what was set aside, once, however often this is called. Returns what is booked."""
    heard = answer.heard
    call = _locked(call_id)
    if call.answered_at is None:
        keep_reply(call_id, heard, now=now)
        call = _locked(call_id)
    return _close(
        call,
        has_reply=heard.reply is not None,
        may_have_cost=heard.may_have_cost,
        told=(answer.model, answer.input_tokens, answer.output_tokens),
        error=answer.error.message if answer.error else "",
    )


def lost_call(call_id: UUID, *, now: datetime) -> Decimal:
    """Its worker died: what was stored of the reply is booked by what it says, and without any the estimate is spent."""
    call = _locked(call_id)
    told = counted(ProviderKind(call.provider.kind), _object(call.reply))
    return _close(
        call,
        has_reply=call.reply is not None,
        may_have_cost=True,
        told=(told.model, told.input_tokens, told.output_tokens),
        error="Its worker ended before the answer was booked.",
    )


def end_abandoned_calls(*, scope: Scope, now: datetime, older_than: timedelta) -> int:
    """End calls whose worker is gone. ``older_than`` must exceed the longest that a call, and a turn, may take.

    Safe any number of times and at once. Returns how many.
    """
    with scope.transaction(reason="abandoned call ended"):
        rows = fetch_all(_ABANDONED, {"before": now - older_than, "most": MOST_ABANDONED})
        for (call_id,) in rows:
            lost_call(call_id, now=now)
    return len(rows)


def ask_model(
    *,
    scope: Scope,
    provider_id: UUID,
    request: ModelRequest,
    purpose: CallPurpose,
    client_id: UUID | None,
    ask: Ask,
    clock: Callable[[], datetime],
    bot_id: UUID | None = None,
    model: str = "",
) -> tuple[UUID, ModelAnswer]:
    """All of it, for a question without a turn: (the row's id, the answer), which may bear an error.

    Raises ProviderUnusable, BudgetSpent, PriceUnknown, and then nobody was asked.
    """
    with scope.transaction():
        call = open_call(
            client_id=client_id,
            bot_id=bot_id,
            provider_id=provider_id,
            model=model,
            purpose=purpose,
            request=request,
            now=clock(),
        )

    def keep(heard: Heard) -> None:
        with scope.transaction():
            keep_reply(call.id, heard, now=clock())

    answer = ask(call.access, request, timeout_s=call.timeout_s, keep=keep)
    with scope.transaction():
        close_call(call.id, answer, now=clock())
    return call.id, answer


def newest_call(turn_id: UUID) -> LlmCall:
    """The last question of a turn, with its provider. Raises NotFound."""
    return _with_provider(hot_rows(LlmCall, "WHERE t.turn_id = %s ORDER BY t.step DESC LIMIT 1", [turn_id]))


def stored_request(call: LlmCall | UUID) -> ModelRequest:
    """What was sent: its words, the tools that were offered, and the steps before. ``call``: its row, or which one.

    Raises NotFound.
    """
    call = call if isinstance(call, LlmCall) else _locked(call, is_locked=False)
    wanted = list({row["text"] for row in call.messages}) if call.client_id else []
    texts = dict(fetch_all_hot(_TEXTS, {"client": call.client_id, "wanted": wanted})) if wanted else {}
    rows = [row | {"text": row["text"] if call.client_id is None else texts[row["text"]]} for row in call.messages]
    said = {role: [row["text"] for row in rows if row["role"] == role] for role in ("system", "user")}
    return ModelRequest(
        system="".join(said["system"]),
        user="".join(said["user"]),
        max_output_tokens=call.provider.max_output_tokens,
        tools=_tools(rows),
        steps=_steps(rows),
    )


def stored_heard(call: LlmCall | UUID) -> Heard:
    """What came back, as it was stored: for ``read_answer`` of another worker. ``call``: its row, or which one.

    Raises NotFound.
    """
    call = call if isinstance(call, LlmCall) else _locked(call, is_locked=False)
    return Heard(
        reply=call.reply,
        status=call.reply_status,
        attempts=call.attempts,
        duration_ms=call.duration_ms or 0,
        may_have_cost=call.status != CallStatus.FAILED,
        error=Unavailable(call.error, system=call.provider.kind) if call.error else None,
    )


def _provider(provider_id: UUID, client_id: UUID | None) -> LlmProvider:
    if client_id is not None:
        return check_may_use(provider_id=provider_id, client_id=client_id)
    provider = LlmProvider.objects.filter(id=provider_id, client=None, retired_at=None).first()
    if provider is None:
        raise ProviderUnusable("There is no such model provider of the operators.")
    return provider


def _locked(call_id: UUID, *, is_locked: bool = True) -> LlmCall:
    return _with_provider(
        hot_rows(LlmCall, "WHERE t.id = %s FOR UPDATE" if is_locked else "WHERE t.id = %s", [call_id])
    )


def _with_provider(found: list[LlmCall]) -> LlmCall:
    if not found:
        raise NotFound("There is no such model call.")
    [call] = found
    [call.provider] = hot_rows(LlmProvider, "WHERE t.id = %s", [call.provider_id])
    return call


def _close(
    call: LlmCall, *, has_reply: bool, may_have_cost: bool, told: tuple[str, int | None, int | None], error: str
) -> Decimal:
    if call.status != CallStatus.RESERVED:  # it was ended before: what was booked stays
        return call.estimated_cost if call.cost is None else call.cost
    model, input_tokens, output_tokens = told
    settled = budget.settle(
        price=budget.price_of(call.provider.prices, call.model),
        estimate=call.estimated_cost,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        has_reply=has_reply,
        may_have_cost=may_have_cost,
    )
    values = {"id": call.id, "status": str(settled.status), "cost": settled.cost, "model": model, "error": error[:500]}
    run_hot(_CLOSE, values | {"input_tokens": input_tokens, "output_tokens": output_tokens})
    if call.client_id is not None:
        settle_spend(
            client_id=call.client_id,
            bot_id=call.bot_id,
            estimate=call.estimated_cost,
            spent=settled.spent,
            reserved_at=call.asked_at,
        )
    return settled.spent


def _cost_at_most(price: budget.Price, request: ModelRequest) -> Decimal:
    tools = [_written(request.tools)] if request.tools else []
    steps = [text for step in request.steps for text in (step.said, *(result.content for result in step.results))]
    read = estimate_messages(request.system, request.user, *tools, *steps)
    return budget.cost_of(price, input_tokens=read, output_tokens=request.max_output_tokens)


def _store_texts(client_id: UUID | None, request: ModelRequest) -> list[dict[str, str]]:
    """What is sent, in order; each text is stored once a client. Without a client the words stand inline."""
    said = [{"role": "system", "text": request.system}] if request.system else []
    if request.tools:
        said.append({"role": TOOLS_ROLE, "text": _written(request.tools)})
    said.append({"role": "user", "text": request.user})
    for step in request.steps:
        said.append({"role": "assistant", "text": step.said})
        said += [
            {"role": "tool", "text": result.content, "name": result.name, "call_id": result.call_id}
            for result in step.results
        ]
    clean = [row | {"text": row["text"].replace("\x00", "\ufffd")} for row in said]
    if client_id is None:
        return clean
    texts = {_digest(row["text"]): row["text"] for row in clean}
    run_hot(_STORE_TEXTS, {"client": client_id, "digests": list(texts), "texts": list(texts.values())})
    return [row | {"text": _digest(row["text"])} for row in clean]


def _written(tools: Sequence[Tool]) -> str:
    """Tools as they are stored: a list of what each is told as."""
    told = [{"name": tool.name, "description": tool.description, "schema": dict(tool.schema)} for tool in tools]
    return json.dumps(told, ensure_ascii=False)


def _tools(rows: list[dict[str, str]]) -> tuple[Tool, ...]:
    written = next((row["text"] for row in rows if row["role"] == TOOLS_ROLE), "[]")
    return tuple(Tool(one["name"], one["description"], one["schema"]) for one in json.loads(written))


def _steps(rows: list[dict[str, str]]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for row in rows:
        if row["role"] == "assistant":
            steps.append(Step(row["text"], ()))
        elif row["role"] == "tool":
            result = ToolResult(row["call_id"], row["name"], row["text"])
            steps[-1] = Step(steps[-1].said, (*steps[-1].results, result))
    return tuple(steps)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _object(reply: str | None) -> dict[str, Any]:
    try:
        body = json.loads(reply or "")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
