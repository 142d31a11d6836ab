"""Asking for a replay in shadow: what it would cost, the row that workers take up, stopping it and letting it go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from arena.models import ArenaTurn, LlmProvider, Participant, PromptVersion, ShadowRun
from arena.rules import budget
from arena.rules.prompt import check_prompt
from arena.rules.shadow import read_rules
from arena.rules.statuses import ShadowKind, ShadowStatus, TurnStatus
from arena.services.lock_participant import check_may_change, in_the_name_of, lock_participant
from arena.services.measure_shadow import measure
from arena.services.providers import check_may_use
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope
from ground.sql import fetch_one

MOST_TURNS = {ShadowKind.MODEL: 500, ShadowKind.RULES: 5_000}
MOST_OPEN = 10  # runs of one client that are not over
OPEN = (ShadowStatus.WANTED, ShadowStatus.RUNNING)
_ASKABLE = """
    SELECT count(*), sum(c.input_tokens), sum(c.output_tokens), count(c.input_tokens)
      FROM arena_turns t JOIN llm_calls c ON c.turn_id = t.id AND c.purpose = 'turn' AND c.step = 1
     WHERE t.bot_id = %(bot)s AND t.number BETWEEN %(first)s AND %(last)s AND t.status = 'done'
"""
_DONE = "SELECT count(*) FROM arena_turns WHERE bot_id = %(bot)s AND number BETWEEN %(first)s AND %(last)s AND status = 'done'"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants replayed. ``last_turn`` may lie ahead: a run of kind model then follows turns as they end.

    Of kind model: a provider (None: the bot's own), a model ("": the provider's), and a prompt: a version of the bot's, or a
    text, or neither, which is what each turn was told. Of kind rules: ``rules`` (``arena.rules.shadow.RULES``).
    """

    kind: ShadowKind
    first_turn: int
    last_turn: int
    provider_id: UUID | None = None
    model: str = ""
    prompt_id: UUID | None = None
    prompt_text: str = ""
    rules: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would ask and cost; US dollars. None: nobody knows, as no price was entered or no tokens were counted."""

    turns: int  # that can be replayed now
    ahead: int  # that are still to come
    likely_cost: Decimal | None  # with the tokens that the bot's own turns took
    most_cost: Decimal | None  # with the longest answers that the provider's settings allow


def newest_turns(*, scope: Scope, bot_id: UUID, count: int) -> tuple[int, int]:
    """The numbers of the first and the last of a bot's newest ``count`` turns that came to a decision. Raises InvalidInput."""
    with scope.transaction():
        rows = ArenaTurn.objects.filter(bot_id=bot_id, status=TurnStatus.DONE)
        rows = rows.filter(client_id=scope.client_id) if scope.client_id else rows
        numbers = list(rows.order_by("-number").values_list("number", flat=True)[: max(count, 1)])
    if not numbers:
        raise _bad("turns", "The bot has no turn that came to a decision yet.")
    return numbers[-1], numbers[0]


def estimate_shadow(*, scope: Scope, bot_id: UUID, wanted: Wanted) -> Estimate:
    """What it would come to; nothing is stored. Raises as ``request_shadow`` does."""
    check_may_change(scope)
    with in_the_name_of(scope).transaction():
        participant = lock_participant(scope, bot_id)
        fields = _checked(participant, wanted)
        return _estimate(participant, wanted, fields.get("provider"), fields.get("model", ""))


def request_shadow(*, scope: Scope, bot_id: UUID, wanted: Wanted, now: datetime) -> UUID:
    """Store a replay; workers take it up when no turn waits for them. Nothing of it ever trades.

    Raises NotFound for another's bot, Forbidden, InvalidInput naming the field, ProviderUnusable, Conflict when the client has
    too many under way.
    """
    check_may_change(scope)
    with in_the_name_of(scope).transaction(reason="replay in shadow"):
        participant = lock_participant(scope, bot_id)
        fields = _checked(participant, wanted)
        if ShadowRun.objects.filter(client_id=participant.client_id, status__in=OPEN).count() >= MOST_OPEN:
            raise Conflict(f"{MOST_OPEN} replays of this client are under way: wait, or stop one.", code="too_many")
        run = ShadowRun.objects.create(
            bot_id=bot_id, client_id=participant.client_id, kind=wanted.kind, first_turn=wanted.first_turn,
            last_turn=wanted.last_turn, requested_by=scope.actor[:200], created_at=now, **fields,
        )  # fmt: skip
    return run.id


def stop_shadow(*, scope: Scope, run_id: UUID, now: datetime) -> None:
    """No further turn is asked; what came of the others until now is measured. Raises NotFound, Forbidden, Conflict."""
    check_may_change(scope)
    with in_the_name_of(scope).transaction(reason="replay stopped"):
        run = lock_run(scope, run_id)
        if run.status not in OPEN:
            raise Conflict("This replay is over already.", code="over_already")
        run.status, run.message, run.finished_at = ShadowStatus.STOPPED, f"Stopped by {scope.actor}.", now
        run.lease_until = run.next_at = None
        run.save()
        if run.kind == ShadowKind.MODEL:
            measure(run, now=now)


def continue_shadow(*, scope: Scope, run_id: UUID) -> None:
    """Let one that was stopped go on with the turns that were not asked yet. Raises NotFound, Forbidden, Conflict."""
    check_may_change(scope)
    with in_the_name_of(scope).transaction(reason="replay goes on"):
        run = lock_run(scope, run_id)
        if run.status != ShadowStatus.STOPPED:
            raise Conflict("Only a replay that was stopped can go on.", code="not_stopped")
        if not Participant.objects.filter(bot_id=run.bot_id).exists():
            raise Conflict("Its bot was reset or deleted.", code="bot_gone")
        run.status, run.message, run.finished_at = ShadowStatus.WANTED, "", None
        run.save(update_fields=["status", "message", "finished_at"])


def lock_run(scope: Scope, run_id: UUID) -> ShadowRun:
    """The run, until the open transaction ends. Raises NotFound, for another client's too."""
    rows = ShadowRun.objects.select_for_update(of=("self",)).filter(pk=run_id)
    rows = rows.filter(client_id=scope.client_id) if scope.client_id else rows
    rows = rows.filter(bot_id=scope.bot_id) if scope.bot_id else rows
    run = rows.first()
    if run is None:
        raise NotFound("There is no such replay.")
    return run


def _checked(participant: Participant, wanted: Wanted) -> dict[str, Any]:
    """The columns that say what is otherwise. Raises InvalidInput, ProviderUnusable."""
    first, last = wanted.first_turn, wanted.last_turn
    if not 1 <= first <= last < 2**31:
        raise _bad("turns", "Turns go from a first to a last one, and begin with 1.")
    fields = _other_model(participant, wanted) if wanted.kind is ShadowKind.MODEL else _other_rules(wanted)
    most, ahead = MOST_TURNS[wanted.kind], max(0, last - max(participant.turns, first - 1))
    if ahead and wanted.kind is ShadowKind.RULES:
        raise _bad("turns", f"The bot's newest turn is number {participant.turns}.")
    count = int((fetch_one(_DONE, {"bot": participant.bot_id, "first": first, "last": last}) or (0,))[0])
    if not count + ahead:
        raise _bad("turns", "None of these turns came to a decision.")
    if count + ahead > most:
        raise _bad("turns", f"These are {count + ahead:,} turns, and a replay takes at most {most:,}.")
    return fields


def _other_model(participant: Participant, wanted: Wanted) -> dict[str, Any]:
    if wanted.rules:
        raise _bad("rules", "Other rules are a replay of their own, which asks no model.")
    provider_id = wanted.provider_id or participant.provider_id
    if provider_id is None:
        raise _bad("provider", "Choose whom to ask: the bot has no model provider.")
    model = wanted.model.strip()
    if len(model) > 200 or any(sign.isspace() or not sign.isprintable() for sign in model):
        raise _bad("model", "A model is a name of at most 200 characters, without blanks.")
    if not model and provider_id == participant.provider_id:
        model = participant.model
    provider = check_may_use(provider_id=provider_id, client_id=participant.client_id)
    fields: dict[str, Any] = {"provider": provider, "model": model}
    if wanted.prompt_id is not None and wanted.prompt_text.strip():
        raise _bad("prompt", "Give a version of the prompt or a text, not both.")
    if wanted.prompt_id is not None:
        fields["prompt"] = PromptVersion.objects.filter(pk=wanted.prompt_id, bot_id=participant.bot_id).first()
        if fields["prompt"] is None:
            raise _bad("prompt", "The bot has no such version of its prompt.")
    elif wanted.prompt_text.strip():
        fields["prompt_text"] = check_prompt(wanted.prompt_text)
    return fields


def _other_rules(wanted: Wanted) -> dict[str, Any]:
    if wanted.provider_id or wanted.model or wanted.prompt_id or wanted.prompt_text.strip():
        raise _bad("provider", "Other rules are played with what the bot decided; no model is asked.")
    rules = {name: value for name, value in (wanted.rules or {}).items() if value is not None}
    try:
        read_rules(rules)
    except ValueError as error:
        raise _bad("rules", str(error)) from None
    return {"rules": rules}


def _estimate(participant: Participant, wanted: Wanted, provider: LlmProvider | None, model: str) -> Estimate:
    params = {"bot": participant.bot_id, "first": wanted.first_turn, "last": wanted.last_turn}
    ahead = max(0, wanted.last_turn - max(participant.turns, wanted.first_turn - 1))
    if provider is None:
        return Estimate(int((fetch_one(_DONE, params) or (0,))[0]), 0, Decimal(0), Decimal(0))
    count, read, said, counted = fetch_one(_ASKABLE, params) or (0, None, None, 0)
    price = budget.price_of(provider.prices, model or provider.model)
    if price is None or not counted:
        return Estimate(count, ahead, None, None)
    turns = count + ahead
    likely = budget.cost_of(price, input_tokens=read, output_tokens=said or 0) * turns / counted
    most = budget.cost_of(
        price, input_tokens=-(-read * turns // counted), output_tokens=turns * provider.max_output_tokens
    )
    return Estimate(count, ahead, likely, most)


def _bad(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})
