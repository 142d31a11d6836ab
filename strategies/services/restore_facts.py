"""What restoring knows of strategies that are wanted running, and of the steps of a run. Set-based."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from bots.rules.recovery import NOWHERE_FOR, SILENT_ANSWERS, spread_of, wait_after
from ground.sql import fetch_all, run
from strategies.rules.restore import Candidate, Found, RestoreAction, RestoreOutcome, Standing, StepChange

# As bots' own recovery judges it (bots/rules/recovery.py): down is what may be deployed again.
_FOUND = """
    CASE WHEN q.quarantined_at IS NOT NULL THEN 'quarantined'
         WHEN d.status = 'live' AND r.instance_name = d.instance_name AND r.status = 'running' THEN 'running'
         WHEN coalesce(d.status, 'failed') IN ('failed', 'ended') THEN 'down'
         WHEN d.status = 'live' AND r.instance_name = d.instance_name
              AND (r.status IN ('exited', 'absent', 'failed')
                   OR r.status = 'stopped' AND r.changed_at <= %(now)s - %(silent)s
                   OR r.status = 'unknown' AND r.nowhere_since <= %(now)s - %(nowhere)s) THEN 'down'
         ELSE 'under_way' END
"""
_BESIDE = """
    LEFT JOIN bot_recovery q ON q.bot_id = b.id
    LEFT JOIN bot_runtime r ON r.bot_id = b.id
    LEFT JOIN LATERAL (
        SELECT x.status, x.instance_name, x.message FROM bot_deployments x WHERE x.bot_id = b.id
         ORDER BY x.sequence DESC LIMIT 1) d ON true
"""
_WANTED = """
    a.status <> 'stopping' AND b.desired_status = 'running' AND b.retired_at IS NULL AND b.runtime_kind = 'hummingbot'
    AND b.deletion_requested_at IS NULL
"""
_CANDIDATES = f"""
    SELECT b.id, b.client_id, a.exchange, a.symbol, a.symbol_shown, a.strategy_type, a.started_at, {_FOUND},
           (SELECT count(*) FROM positions p WHERE p.bot_id = b.id AND p.status = 'open' AND p.mode = 'live'),
           coalesce(q.reason, ''), coalesce(q.failures, 0), coalesce(q.is_planned, false),
           q.last_failure_at
      FROM active_strategies a JOIN bots b ON b.id = a.bot_id {_BESIDE}
     WHERE {_WANTED} ORDER BY a.started_at, b.id
"""  # noqa: S608 - made of constants
_STANDINGS = f"""
    SELECT s.bot_id, s.action, s.outcome, s.due_at, CASE WHEN {_WANTED} THEN {_FOUND} END,
           s.carried_at, s.symbol_shown, s.strategy_type, b.client_id,
           coalesce(q.failures, 0), q.last_failure_at, CASE WHEN q.is_planned THEN q.next_at END,
           left(coalesce(nullif(q.reason, ''), d.message, ''), 500), b.desired_by
      FROM strategy_restore_steps s JOIN bots b ON b.id = s.bot_id
      LEFT JOIN active_strategies a ON a.bot_id = b.id {_BESIDE}
     WHERE s.run_id = %(run)s ORDER BY s.position
"""  # noqa: S608 - made of constants
_CHANGES = """
    UPDATE strategy_restore_steps s
       SET action = t.action, outcome = t.outcome, due_at = t.due_at, message = t.message,
           settled_at = CASE WHEN t.outcome NOT IN ('pending', 'released') THEN %(now)s END
      FROM unnest(%(bots)s::uuid[], %(actions)s::text[], %(outcomes)s::text[], %(dues)s::timestamptz[], %(messages)s::text[])
           AS t (bot_id, action, outcome, due_at, message)
     WHERE s.run_id = %(run)s AND s.bot_id = t.bot_id AND s.outcome IN ('pending', 'released')
"""
_ATTEMPTS = """
    UPDATE strategy_restore_steps s SET attempts = x.made
      FROM (SELECT t.bot_id, count(*) AS made FROM strategy_restore_steps t
              JOIN strategy_restores n ON n.id = t.run_id
              JOIN bot_deployments e ON e.bot_id = t.bot_id AND coalesce(e.sent_at, e.ended_at, e.created_at) >= n.started_at
             WHERE t.run_id = %(run)s AND t.action = 'deploy' GROUP BY t.bot_id) x
     WHERE s.run_id = %(run)s AND s.bot_id = x.bot_id AND s.attempts <> x.made
"""


class CandidateRow(NamedTuple):
    """A row of _CANDIDATES."""

    bot_id: UUID
    client_id: UUID
    exchange: str
    symbol: str
    symbol_shown: str
    strategy_type: str
    started_at: datetime
    found: str
    open_positions: int
    reason: str
    failures: int
    is_planned: bool
    last_failure_at: datetime | None

    @property
    def candidate(self) -> Candidate:
        return Candidate(self.bot_id, Found(self.found), self.started_at, self.open_positions)


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of an open run beside what is seen of its bot now."""

    standing: Standing
    carried_at: datetime | None
    label: str
    client_id: UUID
    failures: int
    last_failure_at: datetime | None
    planned_at: datetime | None  # the turn that its recovery was last given
    reason: str
    desired_by: str

    def earliest(self, turn: datetime) -> datetime:
        """The turn, or later where its failures in a row ask for a longer wait."""
        if not self.failures or self.last_failure_at is None:
            return turn
        wait = wait_after(self.failures, spread=spread_of(self.standing.bot_id, self.failures))
        # Before this run it went down once like all the others: that alone keeps nobody from its turn.
        return turn if self.failures == 1 else max(turn, self.last_failure_at + wait)


def candidates(*, now: datetime) -> list[CandidateRow]:
    """Every strategy that is wanted running. Within a transaction of a scope that sees all."""
    return [CandidateRow(*row) for row in fetch_all(_CANDIDATES, _times(now))]


def step_rows(*, run_id: UUID, now: datetime) -> list[StepRow]:
    """The steps of a run in their order, as they stand now."""
    rows = fetch_all(_STANDINGS, _times(now) | {"run": run_id})
    return [_step_row(*row) for row in rows]


def store_changes(*, run_id: UUID, changes: Iterable[StepChange], messages: Mapping[UUID, str], now: datetime) -> None:
    """Write what steps became; one that is settled already stays as it is."""
    told = list(changes)
    run(
        _CHANGES,
        {
            "run": run_id,
            "now": now,
            "bots": [change.bot_id for change in told],
            "actions": [str(change.action) for change in told],
            "outcomes": [str(change.outcome) for change in told],
            "dues": [change.due_at for change in told],
            "messages": [messages.get(change.bot_id, "")[:500] for change in told],
        },
    )


def count_attempts(*, run_id: UUID) -> None:
    run(_ATTEMPTS, {"run": run_id})


def _step_row(
    bot_id: UUID, action: str, outcome: str, due_at: datetime, found: str | None, carried_at: datetime | None,
    symbol_shown: str, strategy_type: str, client_id: UUID, failures: int, last_failure_at: datetime | None,
    planned_at: datetime | None, reason: str, desired_by: str,
) -> StepRow:  # fmt: skip
    standing = Standing(bot_id, RestoreAction(action), RestoreOutcome(outcome), due_at, Found(found) if found else None)
    label = f"{symbol_shown} ({strategy_type})"
    return StepRow(standing, carried_at, label, client_id, failures, last_failure_at, planned_at, reason, desired_by)


def _times(now: datetime) -> dict[str, datetime | timedelta]:
    return {"now": now, "silent": SILENT_ANSWERS, "nowhere": NOWHERE_FOR}
