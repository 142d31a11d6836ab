"""One turn, from the briefing to what came of it. Each step is stored before the next begins, so a worker that dies
anywhere leaves a turn that another one goes on with, or ends; the model is never asked twice for the same step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from arena.gateways.ask import hear, read_answer
from arena.models import ArenaTurn, LlmCall, Participant, PromptVersion
from arena.rules import prompt
from arena.rules.statuses import CallPurpose, CallStatus, ProviderKind, TurnStatus
from arena.services.claim_turns import HALTED, SCOPE, TakenTurn, take_turn
from arena.services.execute_turn import Outcome, execute_turn
from arena.services.history import newest_decisions, summary_in_force
from arena.services.model_calls import (
    OpenCall,
    close_call,
    keep_reply,
    lost_call,
    open_call,
    stored_heard,
    stored_request,
)
from arena.services.providers import ProviderUnusable
from arena.services.settings_row import arena_settings
from arena.services.spend import BudgetSpent
from arena.services.stand import Stand, stand_of
from arena.types_models import ModelRequest, ProviderAccess
from ground.sql import fetch_one, run
from ledger.services.record_paper import held_on_paper, lock_accounts

_MOVE = """
    UPDATE arena_turns SET status = %(after)s, message = %(message)s,
           asked_at = CASE WHEN %(after)s = 'asked' THEN %(now)s ELSE asked_at END,
           answered_at = CASE WHEN %(after)s = 'answered' THEN %(now)s ELSE answered_at END,
           finished_at = CASE WHEN %(after)s IN ('failed', 'skipped') THEN %(now)s ELSE finished_at END,
           lease_until = CASE WHEN %(after)s IN ('failed', 'skipped') THEN NULL ELSE lease_until END
     WHERE id = %(id)s AND status = %(before)s AND lease_token = %(token)s
"""
_HALTED = f"SELECT 1 FROM arena_participants p WHERE p.bot_id = %s AND (p.is_paused OR {HALTED})"  # noqa: S608 - constants


class LeaseLost(Exception):
    """Another worker took the turn over, or it was ended; this one writes nothing more."""


def play_turn(turn_id: UUID, *, now: datetime | None = None) -> TurnStatus | None:
    """Play a turn as far as it goes, and say where it stands; None: it is not ours to play. Safe twice and at once."""
    now = now or timezone.now()
    with SCOPE.transaction():
        lasts = timedelta(seconds=arena_settings().turn_timeout_s)
    turn = take_turn(turn_id, lasts=lasts, now=now)
    if turn is None:
        return None
    try:
        if turn.status == TurnStatus.ASKED:
            return _end_asked(turn, now=now)
        if turn.status == TurnStatus.CLAIMED:
            opened = _ask(turn, now=now)
            if opened is None:
                return _status(turn)
            call, request = opened
            _listen(turn, call, request)
        return _finish(turn, now=timezone.now())
    except LeaseLost:
        return None


def _ask(turn: TakenTurn, *, now: datetime) -> tuple[OpenCall, ModelRequest] | None:
    """Brief the bot, reserve what the answer may cost and note that it is asked; None: it is not asked at all."""
    with SCOPE.transaction(reason="a turn"):
        participant = Participant.objects.select_related("provider").get(pk=turn.bot_id)
        why_not = _why_not(turn)
        accounts = lock_accounts([turn.bot_id])
        account = accounts.get(turn.bot_id)
        if why_not or account is None:
            _skip(turn, why_not or "It has no account with paper money.", now=now)
            return None
        stand = stand_of(participant, account, held_on_paper([turn.bot_id]), now=now)
        if not stand.prices or any(one.symbol not in stand.prices for one in stand.held.values()):
            _skip(turn, "Prices are older than the arena allows; nothing was asked.", now=now)
            return None
        request = _request(turn, participant, stand, now=now)
        _note_briefing(turn, participant, stand)
    refusal = "It has no provider."
    for provider_id in dict.fromkeys(id_ for id_ in (participant.provider_id, participant.fallback_id) if id_):
        try:
            with SCOPE.transaction(reason="a turn"):
                model = participant.model if provider_id == participant.provider_id else ""
                call = open_call(
                    client_id=turn.client_id, bot_id=turn.bot_id, provider_id=provider_id, model=model,
                    purpose=CallPurpose.TURN, request=request, now=now, turn_id=turn.id,
                )  # fmt: skip
                _move(turn, TurnStatus.CLAIMED, TurnStatus.ASKED, now=now)
                ArenaTurn.objects.filter(pk=turn.id).update(provider_id=provider_id, model=call.access.model)
            return call, request
        except (BudgetSpent, ProviderUnusable) as error:
            refusal = error.message
    with SCOPE.transaction():
        _skip(turn, refusal, now=now)
    return None


def _why_not(turn: TakenTurn) -> str:
    """Whether it was paused or halted since it was claimed."""
    return "It was paused or halted." if fetch_one(_HALTED, [turn.bot_id]) else ""


def _request(turn: TakenTurn, participant: Participant, stand: Stand, *, now: datetime) -> ModelRequest:
    text = PromptVersion.objects.values_list("text", flat=True).get(bot_id=turn.bot_id, pk=str(turn.prompt_id))
    summary, since = summary_in_force(turn.bot_id)
    decisions = newest_decisions(turn.bot_id, since=since, most=stand.settings.summary_keep)
    briefing = prompt.briefing(
        portfolio=stand.portfolio, markets=stand.markets, decisions=decisions, summary=summary, cooldowns=stand.cooldowns,
        now=now,
    )  # fmt: skip
    values = prompt.values_of(portfolio=stand.portfolio, markets=stand.markets, now=now)
    return ModelRequest(
        system=prompt.instructions(stand.limits, stand.costs),
        user=f"{prompt.render(text, values)}\n\n{briefing}",
        max_output_tokens=participant.provider.max_output_tokens if participant.provider else 4096,
    )


def _note_briefing(turn: TakenTurn, participant: Participant, stand: Stand) -> None:
    """What it was shown, in figures: a replay in shadow stands where the bot stood."""
    ArenaTurn.objects.filter(pk=turn.id).update(prices_at=stand.prices_at, briefing=briefing_json(stand))


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
    }  # fmt: skip


def _listen(turn: TakenTurn, call: OpenCall, request: ModelRequest) -> None:
    """The outside call, in no transaction; its words are stored before anything reads them."""
    heard = hear(call.access, request, timeout_s=call.timeout_s)
    now = timezone.now()
    with SCOPE.transaction(reason="a model's answer"):
        if not keep_reply(call.id, heard, now=now):
            raise LeaseLost
        _move(turn, TurnStatus.ASKED, TurnStatus.ANSWERED, now=now)


def _finish(turn: TakenTurn, *, now: datetime) -> TurnStatus | None:
    """Read the stored words and carry out what they ask for."""
    with SCOPE.transaction():
        call = LlmCall.objects.select_related("provider").filter(turn_id=turn.id).order_by("-step")[0]
        request, heard = stored_request(call.pk), stored_heard(call.pk)
    # Who answered, without the key: enough to read what was said.
    access = ProviderAccess(
        call.provider.name, ProviderKind(call.provider.kind), call.model, "", call.provider.base_url
    )
    answer = read_answer(access, request, heard)
    with SCOPE.transaction(reason="a model's answer"):
        close_call(call.pk, answer, now=now)
    outcome = execute_turn(turn, answer, prompt_sent=f"{request.system}\n\n{request.user}", now=now)
    return None if outcome is Outcome.LEASE_LOST else _status(turn)


def _end_asked(turn: TakenTurn, *, now: datetime) -> TurnStatus:
    """Its worker died while the model was asked: whether that cost anything is not known, so the estimate counts."""
    with SCOPE.transaction(reason="a turn whose worker is gone"):
        for call_id in LlmCall.objects.filter(turn_id=turn.id, status=CallStatus.RESERVED).values_list("pk", flat=True):
            lost_call(call_id, now=now)
        _move(turn, TurnStatus.ASKED, TurnStatus.FAILED, now=now,
              message="The worker ended while the model was asked; its answer is not known.")  # fmt: skip
    return TurnStatus.FAILED


def _skip(turn: TakenTurn, why: str, *, now: datetime) -> None:
    _move(turn, TurnStatus.CLAIMED, TurnStatus.SKIPPED, now=now, message=why)


def _move(turn: TakenTurn, before: TurnStatus, after: TurnStatus, *, now: datetime, message: str = "") -> None:
    params = {"id": turn.id, "before": str(before), "after": str(after), "token": turn.token, "now": now,
              "message": message[:500]}  # fmt: skip
    if not run(_MOVE, params):
        raise LeaseLost


def _status(turn: TakenTurn) -> TurnStatus | None:
    with SCOPE.transaction():
        word = ArenaTurn.objects.filter(pk=turn.id).values_list("status", flat=True).first()
    return TurnStatus(word) if word else None
