"""The button beside a provider: one tiny question, recorded as any other, and what came of it in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from arena.models import LlmProvider
from arena.rules.statuses import CallPurpose
from arena.services.model_calls import Ask, ask_model
from arena.services.providers import find_provider
from arena.types_models import ModelAnswer, ModelRequest
from ground.errors import Conflict
from ground.scope import Scope

QUESTION = ModelRequest(
    system="You are being tested.", user="Answer with the single word: ready", max_output_tokens=256
)  # models that think first need room for it


@dataclass(frozen=True, slots=True)
class Tested:
    """``call_id`` None: nobody was asked."""

    is_good: bool
    message: str
    call_id: UUID | None = None


def test_provider(*, scope: Scope, provider_id: UUID, ask: Ask, clock: Callable[[], datetime]) -> Tested:
    """Ask it something small and note beside the provider what came of it. Raises NotFound."""
    provider = find_provider(scope=scope, provider_id=provider_id)
    try:
        call_id, answer = ask_model(
            scope=scope,
            provider_id=provider_id,
            request=QUESTION,
            purpose=CallPurpose.TEST,
            client_id=provider.client_id,
            ask=ask,
            clock=clock,
        )
    except Conflict as refusal:
        tested = Tested(is_good=False, message=refusal.message)
    else:
        tested = Tested(answer.error is None, _told(answer), call_id)
    with scope.transaction():
        LlmProvider.objects.filter(id=provider_id).update(tested_at=clock(), test_message=tested.message[:300])
    return tested


def _told(answer: ModelAnswer) -> str:
    if answer.error is not None:
        return answer.error.message
    tokens = "" if answer.output_tokens is None else f", {answer.input_tokens} + {answer.output_tokens} tokens"
    return f"{answer.model or 'The model'} answered in {answer.heard.duration_ms} ms{tokens}."
