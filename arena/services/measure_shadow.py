"""What a replay came to: its simulation beside the real account, agreement, cost. Read from rows, so it can be done again."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from arena.models import Participant, ShadowRun, ShadowTurn
from arena.rules.shadow import decision_of, read_rules
from arena.rules.simulation import replay_decisions, replay_fills
from arena.rules.statuses import ShadowKind
from arena.services.shadow_record import record_of
from arena.types_shadow import Played, Record, Simulated, TurnOutcome
from ground.sql import fetch_one

# A lost call counts as estimated; what nobody knows is null.
_COST = """
    SELECT sum(coalesce(c.cost, c.estimated_cost)), bool_or(c.cost IS NULL AND c.estimated_cost = 0 AND c.status <> 'failed'),
           sum(c.input_tokens), sum(c.output_tokens), count(*)
      FROM llm_calls c
"""
_OF_RUN = _COST + " WHERE c.id IN (SELECT call_id FROM arena_shadow_turns WHERE run_id = %(run)s)"  # noqa: S608
_OF_TURNS = _COST + (  # noqa: S608
    " WHERE c.purpose = 'turn' AND c.turn_id IN (SELECT turn_id FROM arena_shadow_turns WHERE run_id = %(run)s"
    " AND finished_at IS NOT NULL)"
)


def measure(run: ShadowRun, *, now: datetime) -> None:
    """Simulate what was answered until now and write it beside each turn, and the result on the run. Within the caller's
    transaction, which holds the run's row. Of a bot that was reset meanwhile it stays as it is."""
    participant = Participant.objects.filter(bot_id=run.bot_id).first()
    if participant is None:
        return
    rows = list(ShadowTurn.objects.filter(run=run, finished_at__isnull=False).order_by("turn__number"))
    if run.kind == ShadowKind.RULES:
        rows = []
    record = _record(run, participant, rows)
    if record is None:
        run.result = result_json(run, None, None, rows)
    else:
        simulated = _simulated(run, record, rows)
        outcomes = {one.turn_id: one for one in simulated.turns}
        if run.kind == ShadowKind.RULES:
            rows = _write_anew(run, simulated.turns, now=now)
        else:
            _write(rows, outcomes)
        run.result = result_json(run, record, simulated, rows)
    run.save(update_fields=["result"])


def result_json(
    run: ShadowRun, record: Record | None, simulated: Simulated | None, rows: list[ShadowTurn]
) -> dict[str, Any]:
    """As it stands on the run; what is not known is null."""
    readable = [row.agrees for row in rows if row.agrees is not None]
    is_model = run.kind == ShadowKind.MODEL
    return {
        "turns": len(rows),
        "readable": len(readable) if is_model else None,
        "agreement_ratio": Decimal(sum(readable)) / len(readable) if readable else None,
        "from": record.turns[0].shown_at.isoformat() if record else None,
        "to": record.turns[-1].decided_at.isoformat() if record else None,
        "simulated": played_json(simulated.simulated if simulated else None),
        "real": played_json(simulated.real if simulated else None),
        "cost": {"shadow": _spent(_OF_RUN, run.pk) if is_model else None, "real": _spent(_OF_TURNS, run.pk)},
    }


def played_json(played: Played | None) -> dict[str, Any]:
    """A book's figures; quote and ratios."""
    return {
        "start_equity": played and played.start_equity, "equity": played and played.equity,
        "profit": played and played.profit, "return_ratio": played and played.return_ratio,
        "max_drawdown_ratio": played and played.max_drawdown_ratio, "trades": played and played.trades,
        "closed": played and played.closed, "fees": played and played.fees,
    }  # fmt: skip


def _record(run: ShadowRun, participant: Participant, rows: list[ShadowTurn]) -> Record | None:
    if run.kind == ShadowKind.RULES:
        return record_of(participant=participant, bot_id=run.bot_id, first=run.first_turn, last=run.last_turn)
    asked = {row.turn_id for row in rows}
    if not asked:
        return None
    return record_of(
        participant=participant, bot_id=run.bot_id, first=run.first_turn, last=run.last_turn, replayed=asked
    )


def _simulated(run: ShadowRun, record: Record, rows: list[ShadowTurn]) -> Simulated:
    if run.kind == ShadowKind.RULES:
        return replay_fills(record, read_rules(run.rules))
    answers = {row.turn_id: [decision_of(one) for one in row.decisions_json] for row in rows if row.agrees is not None}
    return replay_decisions(record, answers)


def _write(rows: list[ShadowTurn], outcomes: dict[UUID, TurnOutcome]) -> None:
    for row in rows:
        found = outcomes.get(row.turn_id)
        if found is not None:
            row.equity, row.real_equity, row.simulated_json = found.equity, found.real_equity, list(found.notes)
    ShadowTurn.objects.bulk_update(rows, ["equity", "real_equity", "simulated_json"], batch_size=500)


def _write_anew(run: ShadowRun, outcomes: tuple[TurnOutcome, ...], *, now: datetime) -> list[ShadowTurn]:
    ShadowTurn.objects.filter(run=run).delete()
    rows = [
        ShadowTurn(run=run, turn_id=one.turn_id, bot_id=run.bot_id, client_id=run.client_id, equity=one.equity,
                   real_equity=one.real_equity, simulated_json=list(one.notes), created_at=now, finished_at=now)
        for one in outcomes
    ]  # fmt: skip
    return ShadowTurn.objects.bulk_create(rows, batch_size=500)


def _spent(sql: str, run_id: UUID) -> dict[str, Any]:
    cost, is_unknown, read, said, calls = fetch_one(sql, {"run": run_id}) or (None, None, None, None, 0)
    return {"usd": None if is_unknown else cost, "input_tokens": read, "output_tokens": said, "calls": calls}
