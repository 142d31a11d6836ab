"""One summary, from the question to the claims that hold. Its row is leased, the model's raw words are stored before anything
reads them, and where a worker dies the next one goes on with the stored words or ends it: nobody is asked twice.

A summary that comes to nothing leaves the one before in force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from arena.models import HistorySummary, LlmCall, Participant
from arena.rules.claims import Judged, judge
from arena.rules.history import instructions, question, read_claims, summary_text, words_of
from arena.rules.statuses import CallPurpose, CallStatus, EventKind, ProviderKind, SummaryStatus
from arena.rules.tokens import estimate_tokens
from arena.services.claim_turns import SCOPE
from arena.services.events import NewEvent, tell
from arena.services.model_calls import Ask, OpenCall, close_call, keep_reply, lost_call, open_call, stored_heard
from arena.services.providers import ProviderUnusable
from arena.services.settings_row import arena_settings
from arena.services.spend import BudgetSpent
from arena.services.summary_material import asked_material, cited_earlier, gather, ledger_groups
from arena.services.want_summary import FAR
from arena.types_models import Heard, ModelAnswer, ModelRequest, ProviderAccess
from ground.sql import fetch_one, run

LASTS = timedelta(seconds=60)  # a lease, beyond the time that the model has
_TAKE = """
    UPDATE history_summaries SET status = 'running', lease_until = %(until)s
     WHERE id = %(id)s AND (status = 'wanted' OR (status = 'running' AND (lease_until < %(now)s OR lease_until > %(far)s)))
    RETURNING call_id
"""
_ASKED = """
    UPDATE history_summaries SET call_id = %(call)s, summarized_from = %(from)s, summarized_to = %(to)s,
           summarized_count = %(count)s, lease_until = %(until)s
     WHERE id = %(id)s AND status = 'running' AND lease_until = %(lease)s
"""
_LOCK = (
    "SELECT 1 FROM history_summaries WHERE id = %(id)s AND status = 'running' AND lease_until = %(lease)s FOR UPDATE"
)


class LeaseLost(Exception):
    """Another worker has it, or it was ended; this one writes nothing more."""


@dataclass(frozen=True, slots=True)
class _Lease:
    id: UUID
    until: datetime  # names the lease, too


def summarise(summary_id: UUID, *, ask: Ask, clock: Callable[[], datetime]) -> SummaryStatus | None:
    """Make one summary as far as it goes; None: it is not ours to make. Safe any number of times and at once."""
    now = clock()
    lease = _Lease(summary_id, now + LASTS)
    with SCOPE.transaction(reason="a summary"):
        taken = fetch_one(_TAKE, {"id": summary_id, "until": lease.until, "now": now, "far": now + FAR})
    if taken is None:
        return None
    try:
        if taken[0] is not None:
            return _go_on(lease, taken[0], now=now)
        opened = _open(lease, now=now)
        if isinstance(opened, str):
            return _fail(lease, opened, now=now)
        lease, call, request = opened
        answer = ask(call.access, request, timeout_s=call.timeout_s, keep=lambda heard: _keep(call, heard, clock()))
        return _finish(lease, call.id, answer, now=clock())
    except LeaseLost:
        return None


def _open(lease: _Lease, *, now: datetime) -> tuple[_Lease, OpenCall, ModelRequest] | str:
    """Set aside what the answer may cost and note what is asked about; or one sentence why nobody is asked."""
    try:
        with SCOPE.transaction(reason="a summary"):
            row = HistorySummary.objects.get(pk=lease.id)
            participant = Participant.objects.select_related("provider").filter(pk=row.bot_id).first()
            if participant is None or participant.provider is None:
                return "The bot has no model provider."
            material = gather(row, arena_settings())
            if not material.decisions:
                return "There are no decisions that it could stand for."
            request = ModelRequest(
                system=instructions(),
                user=question(
                    material.decisions, earlier=material.earlier, groups=ledger_groups(row.bot_id, until=now)
                ),
                max_output_tokens=participant.provider.max_output_tokens,
            )
            call = open_call(
                client_id=row.client_id, bot_id=row.bot_id, provider_id=participant.provider.id, model=participant.model,
                purpose=CallPurpose.SUMMARY, request=request, now=now,
            )  # fmt: skip
            longer = _Lease(lease.id, now + timedelta(seconds=call.timeout_s) + LASTS)
            params = {
                "id": lease.id, "lease": lease.until, "until": longer.until, "call": call.id,
                "from": material.decisions[0].decided_at, "to": material.decisions[-1].decided_at,
                "count": len(material.decisions),
            }  # fmt: skip
            if not run(_ASKED, params):
                raise LeaseLost
    except (BudgetSpent, ProviderUnusable) as error:
        return error.message
    return longer, call, request


def _keep(call: OpenCall, heard: Heard, now: datetime) -> None:
    with SCOPE.transaction(reason="a model's answer"):
        if not keep_reply(call.id, heard, now=now):
            raise LeaseLost  # it was ended meanwhile: its words are not stored, so nobody reads them


def _go_on(lease: _Lease, call_id: UUID, *, now: datetime) -> SummaryStatus:
    """After a worker that died: its stored words are read; without any, what it asked counts as spent."""
    from arena.gateways.ask import read_answer  # the library behind it is large

    with SCOPE.transaction():
        call = LlmCall.objects.select_related("provider").get(pk=call_id)
        heard = stored_heard(call_id) if call.reply is not None else None
        if heard is None and call.status == CallStatus.RESERVED:
            lost_call(call_id, now=now)
    if heard is None:
        return _fail(lease, "The worker ended while the model was asked; its answer is not known.", now=now)
    # Who answered, without the key: enough to read what was said.
    provider = call.provider
    access = ProviderAccess(provider.name, ProviderKind(provider.kind), call.model, "", provider.base_url)
    request = ModelRequest(system="", user="")
    return _finish(lease, call_id, read_answer(access, request, heard), now=now)


def _finish(lease: _Lease, call_id: UUID, answer: ModelAnswer, *, now: datetime) -> SummaryStatus:
    with SCOPE.transaction(reason="a model's answer"):
        close_call(call_id, answer, now=now)
    if answer.error is not None:
        return _fail(lease, answer.error.message, now=now)
    claims, problem = read_claims(answer.text)
    if problem:
        return _fail(lease, problem, now=now)
    with SCOPE.transaction(reason="a summary"):
        row = _locked(lease)
        material = asked_material(row)
        shown = [*material.decisions, *cited_earlier(row.bot_id, material.earlier)]
        asked_at = LlmCall.objects.values_list("asked_at", flat=True).get(pk=call_id)
        groups = ledger_groups(row.bot_id, until=asked_at)
        words = {one.id: words_of(one) for one in shown}
        symbols = {symbol for symbol, _ in groups if symbol} | _symbols_of(one.decisions for one in shown)
        judged = [judge(one, words=words, groups=groups, symbols=symbols) for one in claims]
        row.refused_claims = [_claim_json(one) for one in judged if one.why_not]
        kept = [one for one in judged if not one.why_not]
        if kept:
            _put_in_force(row, kept, before=material.before, now=now)
            return SummaryStatus.DONE
        row.save(update_fields=["refused_claims"])
        return _fail(lease, f"None of its {len(judged)} claims is borne out by the ledger.", now=now)


def _put_in_force(row: HistorySummary, kept: list[Judged], *, before: HistorySummary | None, now: datetime) -> None:
    row.status, row.message, row.lease_until = SummaryStatus.DONE, "", None
    row.claims = [_claim_json(one) for one in kept]
    row.summary = summary_text(one.claim for one in kept)
    row.token_count = estimate_tokens(row.summary)
    if before is not None:
        row.summarized_count += before.summarized_count
        row.summarized_from = before.summarized_from
    row.generated_at = row.finished_at = now
    row.save()
    tell([NewEvent(row.client_id, row.bot_id, EventKind.STATE, {"summary": row.number})], now=now)


def _fail(lease: _Lease, message: str, *, now: datetime) -> SummaryStatus:
    with SCOPE.transaction(reason="a summary"):
        row = _locked(lease)
        row.status, row.message, row.finished_at, row.lease_until = SummaryStatus.FAILED, message[:500], now, None
        row.save(update_fields=["status", "message", "finished_at", "lease_until"])
    return SummaryStatus.FAILED


def _locked(lease: _Lease) -> HistorySummary:
    if fetch_one(_LOCK, {"id": lease.id, "lease": lease.until}) is None:
        raise LeaseLost
    return HistorySummary.objects.get(pk=lease.id)


def _claim_json(one: Judged) -> dict[str, Any]:
    figures = [
        {"measure": f.measure, "symbol": f.symbol, "direction": f.direction, "value": f.value}
        for f in one.claim.figures
    ]
    shape = {"text": one.claim.text, "decisions": [str(id_) for id_ in one.decisions], "figures": figures}
    return shape | ({"why": one.why_not, "cited": list(one.claim.decisions)} if one.why_not else {})


def _symbols_of(decisions: Any) -> set[str]:
    """Symbols that decisions name, as they were read."""
    rows = (row for one in decisions for row in one if isinstance(row, dict))
    return {row["symbol"] for row in rows if isinstance(row.get("symbol"), str) and "/" in row["symbol"]}
