"""Replays in shadow, a slice at a time: stored turns are asked again, one after the other, and nothing trades.

A turn's row is written with its call before anybody is asked, and its raw words are stored before anything reads them. So where
a worker dies, the next one reads the stored words or, without any, counts the call as lost and the turn as unreadable: no turn
is asked twice. Real turns come first: at most a few slices run at once, a slice ends after a few questions or as soon as a turn
waits for a worker, and none begins while one does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from arena.models import ArenaTurn, LlmCall, ShadowRun, ShadowTurn
from arena.rules.reply import read_reply
from arena.rules.shadow import agrees, looked_up, with_prompt, without_tools
from arena.rules.statuses import CallPurpose, CallStatus, ProviderKind, ShadowKind, ShadowStatus
from arena.services.claim_turns import SCOPE
from arena.services.execute_turn import decision_json
from arena.services.measure_shadow import measure
from arena.services.model_calls import (
    Ask,
    OpenCall,
    close_call,
    keep_reply,
    lost_call,
    open_call,
    stored_heard,
    stored_request,
)
from arena.services.providers import ProviderUnusable
from arena.services.spend import BudgetSpent
from arena.types_models import Heard, ModelAnswer, ModelRequest, ProviderAccess
from ground.errors import RateLimited, Unavailable
from ground.sql import fetch_one

MOST_AT_ONCE = 2  # slices of all runs: the arena's other threads are the turns'
MOST_ASKED = 10  # questions of a slice
SLICE = timedelta(seconds=20)
LASTS = timedelta(seconds=60)  # a lease, beyond the time that the model has
FAR = timedelta(hours=2)  # a lease so far ahead was given before the host's clock was set back
LOOK_AGAIN = timedelta(seconds=20)  # for turns that are still to come
TRY_AGAIN = timedelta(minutes=1)  # a provider that could not be reached
LOST = "The worker ended while the model was asked; its answer is not known."
# Of the runs that are due the one that was served longest ago. The lock makes counting and taking one step.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('arena_shadow_runs'))"
_HELD_BACK = """
    EXISTS (SELECT FROM arena_halts h WHERE h.lifted_at IS NULL
               AND (h.scope = 'all' OR (h.scope = 'client' AND h.client_id = r.client_id)))
"""
_TURN_WAITS = """
    EXISTS (SELECT FROM arena_turns t WHERE t.status = 'claimed' AND t.lease_until IS NULL
               AND t.created_at < %(now)s - interval '2 seconds' AND t.created_at > %(now)s - interval '1 hour')
"""
_DUE = f"""
    r.status IN ('wanted', 'running') AND (r.next_at IS NULL OR r.next_at <= %(now)s OR r.next_at > %(far)s)
    AND (r.lease_until IS NULL OR r.lease_until < %(now)s OR r.lease_until > %(far)s) AND NOT {_HELD_BACK}
"""
_IS_DUE = f"SELECT EXISTS (SELECT FROM arena_shadow_runs r WHERE {_DUE}) AND NOT {_TURN_WAITS}"  # noqa: S608 - constants
_TAKE = f"""
    UPDATE arena_shadow_runs SET status = 'running', lease_until = %(until)s, next_at = NULL
     WHERE id = (SELECT r.id FROM arena_shadow_runs r WHERE {_DUE} AND NOT {_TURN_WAITS}
                  ORDER BY coalesce(r.next_at, r.created_at), r.id LIMIT 1 FOR UPDATE SKIP LOCKED)
       AND (SELECT count(*) FROM arena_shadow_runs x WHERE x.status IN ('wanted', 'running')
               AND x.lease_until >= %(now)s AND x.lease_until <= %(far)s) < %(most)s
    RETURNING id
"""  # noqa: S608 - constants
_IS_HELD_BACK = f"SELECT {_HELD_BACK} FROM arena_shadow_runs r WHERE r.id = %s"  # noqa: S608 - constants
_NEXT = """
    SELECT t.id FROM arena_turns t
     WHERE t.bot_id = %(bot)s AND t.number BETWEEN %(first)s AND %(last)s AND t.status = 'done'
       AND NOT EXISTS (SELECT FROM arena_shadow_turns s WHERE s.run_id = %(run)s AND s.turn_id = t.id)
       AND EXISTS (SELECT FROM llm_calls c WHERE c.turn_id = t.id AND c.purpose = 'turn')
     ORDER BY t.number LIMIT 1
"""
_MORE_TO_COME = """
    SELECT EXISTS (SELECT FROM arena_turns WHERE bot_id = %(bot)s AND number BETWEEN %(first)s AND %(last)s
                      AND status IN ('claimed', 'asked', 'answered'))
        OR EXISTS (SELECT FROM arena_participants WHERE bot_id = %(bot)s AND turns < %(last)s)
"""


class LeaseLost(Exception):
    """Another worker has the run, or it was stopped; this one asks nothing more of it."""


@dataclass(slots=True)
class _Lease:
    run_id: UUID
    until: datetime  # names the lease, too


@dataclass(frozen=True, slots=True)
class _Question:
    """A turn that is asked again; its row and its call stand already."""

    row_id: UUID
    call: OpenCall
    request: ModelRequest


def is_shadow_due(*, now: datetime) -> bool:
    """Whether a slice could begin now."""
    with SCOPE.transaction():
        return bool((fetch_one(_IS_DUE, {"now": now, "far": now + FAR}) or (False,))[0])


def play_shadow(*, ask: Ask, clock: Callable[[], datetime]) -> UUID | None:
    """Play a slice of the run that has waited longest, and say of which; None: there is none, or enough are being played.

    Safe any number of times and at once.
    """
    lease = _take(clock())
    if lease is None:
        return None
    try:
        _end_lost(lease, now=clock())
        _play(lease, ask=ask, clock=clock)
    except LeaseLost:
        _count_the_last(lease, now=clock())
    return lease.run_id


def _take(now: datetime) -> _Lease | None:
    until = now + LASTS
    with SCOPE.transaction(reason="replay in shadow"):
        fetch_one(_ONE_AT_A_TIME)
        row = fetch_one(_TAKE, {"now": now, "far": now + FAR, "until": until, "most": MOST_AT_ONCE})
    return _Lease(row[0], until) if row else None


def _play(lease: _Lease, *, ask: Ask, clock: Callable[[], datetime]) -> None:
    ends_at = clock() + SLICE
    for _ in range(MOST_ASKED):
        question = _open(lease, now=clock())
        if question is None:
            return
        call = question.call
        answer = ask(call.access, question.request, timeout_s=call.timeout_s, keep=_keeper(call, clock))
        _hear(lease, question.row_id, call.id, answer, now=clock())
        if clock() >= ends_at or _turn_waits(clock()):
            break
    with SCOPE.transaction():
        run = _locked(lease)
        _rest(run, until=clock())


def _open(lease: _Lease, *, now: datetime) -> _Question | None:
    """The next turn, its cost set aside, its row written; None: nothing is asked now, and the run says why."""
    try:
        with SCOPE.transaction(reason="replay in shadow"):
            run = _locked(lease)
            if run.kind == ShadowKind.RULES:
                _end(run, ShadowStatus.DONE, "", now=now)
                return None
            if (fetch_one(_IS_HELD_BACK, [run.pk]) or (True,))[0]:
                _rest(run, until=now)
                return None
            params = {"run": run.pk, "bot": run.bot_id, "first": run.first_turn, "last": run.last_turn}
            while (found := fetch_one(_NEXT, params)) is not None:
                question = _asked(lease, run, found[0], now=now)
                if question is not None:
                    return question
            if (fetch_one(_MORE_TO_COME, params) or (False,))[0]:
                if ShadowTurn.objects.filter(run=run, finished_at__isnull=False).count() != run.result.get("turns", 0):
                    measure(run, now=now)
                _rest(run, until=now + LOOK_AGAIN)
            else:
                _end(run, ShadowStatus.DONE, "", now=now)
    except (BudgetSpent, ProviderUnusable) as error:
        with SCOPE.transaction(reason="replay in shadow"):
            _end(_locked(lease), ShadowStatus.STOPPED, error.message, now=now)
    return None


def _asked(lease: _Lease, run: ShadowRun, turn_id: UUID, *, now: datetime) -> _Question | None:
    """None: what the turn was told holds no briefing, so no other prompt can stand in its place."""
    newest = LlmCall.objects.filter(turn_id=turn_id, purpose=CallPurpose.TURN).order_by("-step")[0]
    told = stored_request(newest.pk)
    prompt = run.prompt_text or (run.prompt.text if run.prompt else "")
    user = with_prompt(told.user, prompt) if prompt else told.user
    user = None if user is None else user + looked_up(told.steps)
    row = ShadowTurn(run=run, turn_id=turn_id, bot_id=run.bot_id, client_id=run.client_id, created_at=now)
    if user is None or run.provider is None:
        row.notes_json, row.finished_at = ["What this turn was told holds no briefing; nothing was asked."], now
        row.save(force_insert=True)
        return None
    request = ModelRequest(without_tools(told.system), user, max_output_tokens=run.provider.max_output_tokens)
    call = open_call(
        client_id=run.client_id, bot_id=run.bot_id, provider_id=run.provider.pk, model=run.model,
        purpose=CallPurpose.SHADOW, request=request, now=now,
    )  # fmt: skip
    row.call_id = call.id
    row.save(force_insert=True)
    lease.until = now + timedelta(seconds=call.timeout_s) + LASTS
    run.lease_until = lease.until
    run.save(update_fields=["lease_until"])
    return _Question(row.pk, call, request)


def _keeper(call: OpenCall, clock: Callable[[], datetime]) -> Callable[[Heard], None]:
    def keep(heard: Heard) -> None:
        with SCOPE.transaction(reason="a model's answer"):
            if not keep_reply(call.id, heard, now=clock()):
                raise LeaseLost  # it was ended meanwhile: its words are not stored, so nobody reads them

    return keep


def _hear(lease: _Lease, row_id: UUID, call_id: UUID, answer: ModelAnswer, *, now: datetime) -> None:
    """Book what it cost and read it. Where nobody was reached the turn counts as not asked, and the run waits or stops."""
    with SCOPE.transaction(reason="a model's answer"):
        row = ShadowTurn.objects.select_for_update(of=("self",)).get(pk=row_id)
        close_call(call_id, answer, now=now)
        error = answer.error
        if error is not None and not answer.heard.may_have_cost:
            row.delete()
            run = _locked(lease)
            if isinstance(error, Unavailable | RateLimited):
                _rest(run, until=now + TRY_AGAIN, message=error.message)
            else:
                _end(run, ShadowStatus.STOPPED, error.message, now=now)
        else:
            _read(row, answer, now=now)
    if error is not None and not answer.heard.may_have_cost:
        raise LeaseLost


def _read(row: ShadowTurn, answer: ModelAnswer, *, now: datetime) -> None:
    """What was answered, held beside what the bot had decided then."""
    if row.finished_at is not None:
        return
    turn = ArenaTurn.objects.select_related("decision").get(pk=row.turn_id)
    held = {one["symbol"] for one in turn.briefing.get("positions", ())}
    allowed = turn.briefing.get("limits", {}).get("symbols", [])
    row.finished_at = now
    if answer.error is not None:
        row.notes_json = [answer.error.message]
    else:
        reply = read_reply(answer.text, symbols={*turn.briefing.get("prices", ()), *allowed, *held})
        row.decisions_json = [decision_json(one) for one in reply.decisions]
        row.notes_json = [note.text for note in reply.notes] or ([reply.problem] if reply.problem else [])
        real = turn.decision.decisions_json if turn.decision else []
        if not reply.problem:
            row.agrees = agrees(row.decisions_json, _rows(real), held=held)
    row.save()


def _end_lost(lease: _Lease, *, now: datetime) -> None:
    """After a worker that died: stored words are read; without any, the call counts as spent and the turn as unreadable."""
    with SCOPE.transaction(reason="a replay whose worker is gone"):
        run = _locked(lease)
        rows = list(ShadowTurn.objects.filter(run=run, finished_at=None).select_related("call__provider"))
        for row in rows:
            call = row.call
            if call is None:
                continue  # a row without a call is finished when it is made
            heard = stored_heard(call.pk) if call.reply is not None else None
            if heard is None and call.status == CallStatus.FAILED:
                row.delete()  # nobody was reached: it was not asked
            elif heard is None:
                lost_call(call.pk, now=now)
                row.notes_json, row.finished_at = [LOST], now
                row.save()
            else:
                answer = _read_again(call, heard)
                close_call(call.pk, answer, now=now)
                _read(row, answer, now=now)


def _read_again(call: LlmCall, heard: Heard) -> ModelAnswer:
    from arena.gateways.ask import read_answer  # the library behind it is large

    provider = call.provider
    access = ProviderAccess(provider.name, ProviderKind(provider.kind), call.model, "", provider.base_url)
    return read_answer(access, ModelRequest(system="", user=""), heard)


def _count_the_last(lease: _Lease, *, now: datetime) -> None:
    """Somebody stopped the run while its last question was under way: that answer counts too."""
    with SCOPE.transaction(reason="replay in shadow"):
        run = ShadowRun.objects.select_for_update().filter(pk=lease.run_id, status=ShadowStatus.STOPPED).first()
        if run is not None and run.kind == ShadowKind.MODEL:
            measure(run, now=now)


def _turn_waits(now: datetime) -> bool:
    with SCOPE.transaction():
        return bool((fetch_one(f"SELECT {_TURN_WAITS}", {"now": now}) or (False,))[0])


def _locked(lease: _Lease) -> ShadowRun:
    """The run while the lease is ours. Raises LeaseLost."""
    rows = ShadowRun.objects.select_for_update(of=("self",)).select_related("provider", "prompt")
    run = rows.filter(pk=lease.run_id, lease_until=lease.until, status=ShadowStatus.RUNNING).first()
    if run is None:
        raise LeaseLost
    return run


def _rest(run: ShadowRun, *, until: datetime, message: str = "") -> None:
    """Others come first; it goes on from ``until`` on."""
    run.lease_until, run.next_at, run.message = None, until, message[:500]
    run.save(update_fields=["lease_until", "next_at", "message"])


def _end(run: ShadowRun, status: ShadowStatus, message: str, *, now: datetime) -> None:
    run.status, run.message, run.finished_at = status, message[:500], now
    run.lease_until = run.next_at = None
    run.save(update_fields=["status", "message", "finished_at", "lease_until", "next_at"])
    measure(run, now=now)


def _rows(decisions: Any) -> list[dict[str, Any]]:
    rows = decisions if isinstance(decisions, list) else [decisions]
    return [one for one in rows if isinstance(one, dict)]
