"""One turn, from the briefing to what came of it. Each step is stored before the next begins, so a worker that dies
anywhere leaves a turn that another one goes on with, or ends; the model is never asked twice for the same step.

A bot that thinks in several steps is asked again with what its tools found: what they found is stored with the next
question, before that is asked. ``LlmCall.step`` counts the questions of a turn, a fallback's too.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from arena.gateways.ask import hear, read_answer
from arena.models import ArenaTurn, LlmCall, Participant
from arena.rules import prompt, tools
from arena.rules.statuses import CallPurpose, CallStatus, ProviderKind, TurnStatus
from arena.rules.steps import steps_text
from arena.services.claim_turns import HELD_BACK, SCOPE, TakenTurn, take_turn
from arena.services.execute_turn import Outcome, execute_turn
from arena.services.history import newest_decisions, summary_in_force
from arena.services.model_calls import (
    OpenCall,
    close_call,
    keep_reply,
    lost_call,
    newest_call,
    open_call,
    stored_heard,
    stored_request,
)
from arena.services.providers import ProviderUnusable
from arena.services.settings_row import arena_settings
from arena.services.spend import BudgetSpent
from arena.services.stand import Stand, stand_of
from arena.services.think_on import SHORTEST_QUESTION, ThinksNoFurther, next_request, offered, wants_tools
from arena.services.want_summary import want_summary_if_due
from arena.types import Limits
from arena.types_models import ModelAnswer, ModelRequest, ProviderAccess
from ground.hot_rows import hot_rows
from ground.sql import fetch_all_hot, fetch_hot, run_hot
from ledger.services.record_paper import held_on_paper, lock_accounts

MOST_ATTEMPTS = 3
MOST_OUTPUT = 4096  # tokens, of a bot without a provider
SPARE = timedelta(seconds=30)  # of a lease, beyond the time that a question may take

_MOVE = """
    UPDATE arena_turns SET status = %(after)s::text, message = %(message)s,
           asked_at = CASE WHEN %(after)s::text = 'asked' THEN %(now)s ELSE asked_at END,
           answered_at = CASE WHEN %(after)s::text = 'answered' THEN %(now)s ELSE answered_at END,
           finished_at = CASE WHEN %(after)s::text IN ('failed', 'skipped') THEN %(now)s ELSE finished_at END,
           lease_until = CASE WHEN %(after)s::text NOT IN ('failed', 'skipped')
                              THEN coalesce(%(until)s::timestamptz, lease_until) END
     WHERE id = %(id)s AND status = %(before)s AND lease_token = %(token)s
"""
_LOCK = "SELECT 1 FROM arena_turns WHERE id = %s AND lease_token = %s FOR UPDATE"
_BRIEFED = """
    UPDATE arena_turns SET prices_at = %(prices_at)s, briefing = %(briefing)s WHERE id = %(id)s AND lease_token = %(token)s
"""
_WHOM = (
    "UPDATE arena_turns SET provider_id = %(provider)s, model = %(model)s, lease_until = %(until)s WHERE id = %(id)s"
)
_HALTED = f"SELECT 1 FROM arena_participants p WHERE p.bot_id = %s AND {HELD_BACK}"  # noqa: S608 - constants


class LeaseLost(Exception):
    """Another worker took the turn over, or it was ended; this one writes nothing more."""


def play_turn(turn_id: UUID, *, now: datetime | None = None) -> TurnStatus | None:
    """Play a turn as far as it goes, and say where it stands; None: it is not ours to play. Safe twice and at once."""
    now = now or timezone.now()
    with SCOPE.transaction():
        turn = take_turn(turn_id, lasts=_lasts(), now=now)
    if turn is None:
        return None
    try:
        if turn.attempts > MOST_ATTEMPTS:
            return _give_up(turn, now=now)
        if turn.status == TurnStatus.ASKED:
            return _end_asked(turn, now=now)
        if turn.status == TurnStatus.CLAIMED and not _begin(turn, now=now):
            return _status(turn)
        return _finish(turn)
    except LeaseLost:
        return None


def _begin(turn: TakenTurn, *, now: datetime) -> bool:
    """Brief the bot and ask its model; False: nobody is asked, and the turn says why."""
    with SCOPE.transaction(reason="a turn"):
        # The turn before the account, as a reset of the bot locks them.
        if fetch_hot(_LOCK, [turn.id, turn.token]) is None:
            raise LeaseLost
        [participant] = hot_rows(Participant, "WHERE t.bot_id = %s", [turn.bot_id])
        account = lock_accounts([turn.bot_id]).get(turn.bot_id)
        if account is None or (why_not := _why_not(turn)):
            return _skip(turn, "It has no account with paper money." if account is None else why_not, now=now)
        stand = stand_of(participant, account, held_on_paper([turn.bot_id]), now=now)
        if why_stale := stand.why_stale:
            return _skip(turn, f"{why_stale}; nothing was asked.", now=now)
        request = _request(turn, participant, stand, now=now)
        shown = {"prices_at": stand.prices_at, "briefing": json.dumps(briefing_json(stand))}
        run_hot(_BRIEFED, {"id": turn.id, "token": turn.token} | shown)
    ends_at = timezone.now() + timedelta(seconds=stand.settings.turn_timeout_s)
    refusal = _ask(turn, _choices(participant), request, before=TurnStatus.CLAIMED, step=1, ends_at=ends_at)
    if not refusal:
        return True
    with SCOPE.transaction():
        return _skip(turn, refusal, now=now)


def _choices(participant: Participant) -> list[tuple[UUID, str]]:
    """Whom to ask, and which model ("" is the provider's): its own choice, then the fallback that its client chose."""
    own = [(participant.provider_id, participant.model)] if participant.provider_id else []
    other = participant.fallback_id if participant.fallback_id != participant.provider_id else None
    return [*own, *([(other, "")] if other else [])]


def _ask(
    turn: TakenTurn, choices: list[tuple[UUID, str]], request: ModelRequest, *, before: TurnStatus, step: int,
    ends_at: datetime,
) -> str:  # fmt: skip
    """Ask the first of ``choices`` that can be asked, and store its words; empty, or why none of them could. The lease is
    renewed for as long as that may take, and nothing takes longer than until ``ends_at``."""
    refusal = "It has no model provider."
    for provider_id, model in choices:
        try:
            now = timezone.now()
            with SCOPE.transaction(reason="a turn"):
                _move(turn, before, TurnStatus.ASKED, now=now)
                call = open_call(
                    client_id=turn.client_id, bot_id=turn.bot_id, provider_id=provider_id, model=model,
                    purpose=CallPurpose.TURN, request=request, now=now, turn_id=turn.id, step=step,
                )  # fmt: skip
                left = max(ends_at - now, SHORTEST_QUESTION)
                lasts = min(timedelta(seconds=call.timeout_s), left)
                asked = {"provider": provider_id, "model": call.access.model, "until": now + min(lasts + SPARE, left)}
                run_hot(_WHOM, {"id": turn.id} | asked)
        except (BudgetSpent, ProviderUnusable) as error:
            refusal = error.message
        else:
            _listen(turn, call, request, lasts=lasts, spare=min(SPARE, left))
            return ""
    return refusal


def _why_not(turn: TakenTurn) -> str:
    """Whether it was paused, halted or stopped since it was claimed."""
    return "It was paused, halted or stopped." if fetch_hot(_HALTED, [turn.bot_id]) else ""


def _request(turn: TakenTurn, participant: Participant, stand: Stand, *, now: datetime) -> ModelRequest:
    [(text,)] = fetch_all_hot(
        "SELECT text FROM arena_prompts WHERE bot_id = %s AND id = %s", [turn.bot_id, turn.prompt_id]
    )
    most_output = fetch_hot("SELECT max_output_tokens FROM llm_providers WHERE id = %s", [participant.provider_id])
    summary, since = summary_in_force(turn.bot_id)
    decisions = newest_decisions(turn.bot_id, since=since, most=stand.settings.summary_keep)
    briefing = prompt.briefing(
        portfolio=stand.portfolio, markets=stand.markets, decisions=decisions, summary=summary, cooldowns=stand.cooldowns,
        now=now, most_decisions=len(decisions),
    )  # fmt: skip
    values = prompt.values_of(portfolio=stand.portfolio, markets=stand.markets, now=now)
    most_steps = stand.settings.most_steps if participant.is_advanced else 1
    about_tools = tools.instructions(most_steps) if most_steps > 1 else ""
    request = ModelRequest(
        system=prompt.instructions(stand.limits, stand.costs) + about_tools,
        user=f"{prompt.render(text, values)}\n\n{briefing}",
        max_output_tokens=most_output[0] if most_output else MOST_OUTPUT,
    )
    return offered(request, most_steps=most_steps)


def briefing_json(stand: Stand) -> dict[str, Any]:
    """A stand as it is kept with the turn: amounts as text."""
    return {
        "balance": str(stand.portfolio.balance),
        "equity": None if stand.portfolio.equity is None else str(stand.portfolio.equity),
        "prices": {symbol: str(row.price) for symbol, row in stand.prices.items()},
        "positions": [
            {"id": str(one.position_id), "symbol": one.symbol, "action": str(one.action), "size": str(one.size),
             "quantity": str(one.quantity), "entry_price": str(one.entry_price), "leverage": str(one.leverage)}
            for one in stand.portfolio.positions
        ],
        "cooldowns": {symbol: until.isoformat() for symbol, until in stand.cooldowns.items()},
        "peak_equity": None if stand.portfolio.peak_equity is None else str(stand.portfolio.peak_equity),
        "starting_balance": str(stand.portfolio.starting_balance),
        "limits": limits_json(stand.limits),
        "costs": {
            "fee_ratio": str(stand.costs.fee_ratio), "slippage_ratio": str(stand.costs.slippage_ratio),
            "maintenance_ratio": str(stand.costs.maintenance_ratio), "funding_rate_8h": str(stand.settings.funding_rate_8h),
        },
    }  # fmt: skip


def limits_json(limits: Limits) -> dict[str, Any]:
    """Limits as they are kept with a turn, for whoever asks later what it might have done."""
    return {
        "symbols": sorted(limits.symbols), "min_size": str(limits.min_size), "max_leverage": str(limits.max_leverage),
        "max_leverage_by_symbol": {symbol: str(most) for symbol, most in limits.max_leverage_by_symbol.items()},
        "max_open_positions": limits.max_open_positions, "max_exposure_ratio": str(limits.max_exposure_ratio),
        "max_drawdown_ratio": str(limits.max_drawdown_ratio), "cooldown_s": limits.cooldown.total_seconds(),
        "allows_adding": limits.allows_adding,
    }  # fmt: skip


def _listen(turn: TakenTurn, call: OpenCall, request: ModelRequest, *, lasts: timedelta, spare: timedelta) -> None:
    """The outside call, in no transaction; its words are stored before anything reads them."""
    heard = hear(call.access, request, timeout_s=lasts.total_seconds())
    now = timezone.now()
    with SCOPE.transaction(reason="a model's answer"):
        if not keep_reply(call.id, heard, now=now):
            raise LeaseLost
        _move(turn, TurnStatus.ASKED, TurnStatus.ANSWERED, now=now, until=now + spare)


def _finish(turn: TakenTurn) -> TurnStatus | None:
    """Read the stored words and carry out what they ask for, once the bot needs no more steps for it."""
    while True:
        with SCOPE.transaction(reason="a model's answer"):
            call = newest_call(turn.id)
            request, heard = stored_request(call), stored_heard(call)
            answer = read_answer(_access(call), request, heard)
            close_call(call.pk, answer, now=timezone.now())
        if wants_tools(request, answer):
            if problem := _think_on(turn, call, request, answer):
                return _fail(turn, f"After {call.step} question{'s' * (call.step > 1)}: {problem}")
        elif answer.error is None or heard.may_have_cost or not _fall_back(turn, call, request):
            break
    sent = f"{request.system}\n\n{request.user}{steps_text(request.steps)}"
    outcome = execute_turn(turn, answer, prompt_sent=sent, now=timezone.now())
    if outcome is Outcome.LEASE_LOST:
        return None
    want_summary_if_due(turn.bot_id, timezone.now())
    return TurnStatus.FAILED if outcome in (Outcome.FAILED, Outcome.UNREADABLE) else TurnStatus.DONE


def _fall_back(turn: TakenTurn, call: LlmCall, request: ModelRequest) -> bool:
    """Where nobody could be reached for the first question, the fallback is asked that, once; whether it was."""
    if call.step > 1:
        return False
    with SCOPE.transaction():
        others = _choices(Participant.objects.get(pk=turn.bot_id))[1:]
        ends_at = _began_at(turn) + _lasts()
    left = [one for one in others if one[0] != call.provider_id]
    if not left or ends_at <= timezone.now():
        return False
    return not _ask(turn, left, request, before=TurnStatus.ANSWERED, step=2, ends_at=ends_at)


def _think_on(turn: TakenTurn, call: LlmCall, request: ModelRequest, answer: ModelAnswer) -> str:
    """Call the tools that an answer asks for, and ask the same model what it makes of them; empty, or why it was not asked."""
    with SCOPE.transaction():
        chosen, began_at, why_not = arena_settings(), _began_at(turn), _why_not(turn)
    lasts = timedelta(seconds=chosen.turn_timeout_s)
    if why_not:
        return why_not
    try:
        further = next_request(
            turn.bot_id, request, answer, most_steps=chosen.most_steps, began_at=began_at, lasts=lasts,
            now=timezone.now(),
        )  # fmt: skip
    except ThinksNoFurther as error:
        return error.sentence
    same = [(call.provider_id, call.model)]
    return _ask(turn, same, further, before=TurnStatus.ANSWERED, step=call.step + 1, ends_at=began_at + lasts)


def _began_at(turn: TakenTurn) -> datetime:
    """When its first question was asked: the time of a turn counts from there, whoever plays it."""
    return LlmCall.objects.filter(turn_id=turn.id).order_by("step").values_list("asked_at", flat=True)[0]


def _lasts() -> timedelta:
    return timedelta(seconds=arena_settings().turn_timeout_s)


def _access(call: LlmCall) -> ProviderAccess:
    """Who answered, without the key: enough to read what was said."""
    provider = call.provider
    return ProviderAccess(provider.name, ProviderKind(provider.kind), call.model, "", provider.base_url)


def _end_asked(turn: TakenTurn, *, now: datetime) -> TurnStatus:
    """Its worker died while the model was asked: whether that cost anything is not known, so the estimate counts."""
    with SCOPE.transaction(reason="a turn whose worker is gone"):
        for call_id in LlmCall.objects.filter(turn_id=turn.id, status=CallStatus.RESERVED).values_list("pk", flat=True):
            lost_call(call_id, now=now)
        _move(turn, TurnStatus.ASKED, TurnStatus.FAILED, now=now,
              message="The worker ended while the model was asked; its answer is not known.")  # fmt: skip
    return TurnStatus.FAILED


def _give_up(turn: TakenTurn, *, now: datetime) -> TurnStatus:
    """Something of ours breaks it each time: it ends, so that the bot's next one can come. The log holds each error."""
    why = f"It was taken up {MOST_ATTEMPTS} times and never came to an end; the log of the workers says why."
    with SCOPE.transaction(reason="a turn that comes to no end"):
        _move(turn, turn.status, TurnStatus.FAILED, now=now, message=why)
    return TurnStatus.FAILED


def _fail(turn: TakenTurn, why: str) -> TurnStatus:
    """It was asked, and nothing was decided."""
    with SCOPE.transaction(reason="a turn that comes to no decision"):
        _move(turn, TurnStatus.ANSWERED, TurnStatus.FAILED, now=timezone.now(), message=why)
    return TurnStatus.FAILED


def _skip(turn: TakenTurn, why: str, *, now: datetime) -> bool:
    _move(turn, TurnStatus.CLAIMED, TurnStatus.SKIPPED, now=now, message=why)
    return False


def _move(
    turn: TakenTurn, before: TurnStatus, after: TurnStatus, *, now: datetime, message: str = "",
    until: datetime | None = None,
) -> None:  # fmt: skip
    params = {"id": turn.id, "before": str(before), "after": str(after), "token": turn.token, "now": now,
              "message": message[:500], "until": until}  # fmt: skip
    if not run_hot(_MOVE, params):
        raise LeaseLost


def _status(turn: TakenTurn) -> TurnStatus | None:
    with SCOPE.transaction():
        word = ArenaTurn.objects.filter(pk=turn.id).values_list("status", flat=True).first()
    return TurnStatus(word) if word else None
