"""Writing verdicts: one statement for all of them, each only if nothing changed the bot's state meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import DataError
from structlog import get_logger

from ground.scope import system_scope
from ground.sql import fetch_all
from health.rules.evidence import evidence_rows, instant, limits_row
from health.subjects import Subject
from health.types import BalanceSeen, Evidence, ProbeOutcome, Verdict

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checked:
    """One check that is done."""

    subject: Subject
    evidence: Evidence
    verdict: Verdict
    checked_at: datetime
    fingerprint: str = ""  # of the key that it was checked with


# A start or stop in the meantime wins: it holds the bot's row while it writes, so this statement waits for it there,
# sees the new wish and leaves the bot alone. What else changes the verdict (an error heartbeat) wins in the same way.
_RECORD = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(
        bot_id uuid, client_id uuid, desired_status text, desired_at timestamptz, old_status text, old_message text,
        old_updated_at timestamptz, status text, message text, evidence jsonb, thresholds jsonb,
        trade_count int, last_trade_at timestamptz, checked_at timestamptz, cause text, changes_when text,
        key_fingerprint text, shortage text)
), wanted AS MATERIALIZED (
    SELECT g.* FROM bots b JOIN given g ON g.bot_id = b.id
     WHERE b.retired_at IS NULL AND b.desired_status = g.desired_status
       AND b.desired_at IS NOT DISTINCT FROM g.desired_at
     ORDER BY b.id FOR KEY SHARE OF b
), changed AS (
    UPDATE bot_health h SET
        status = w.status, message = w.message, evidence = w.evidence, thresholds = w.thresholds,
        status_updated_at = CASE WHEN h.status = w.status THEN h.status_updated_at ELSE w.checked_at END,
        last_known_status = CASE WHEN w.status <> 'unknown' THEN NULL
                                 WHEN h.status <> 'unknown' THEN h.status ELSE h.last_known_status END,
        last_known_at = CASE WHEN w.status <> 'unknown' THEN NULL
                             WHEN h.status <> 'unknown' THEN coalesce(h.checked_at, h.status_updated_at)
                             ELSE h.last_known_at END,
        last_trade_at = greatest(h.last_trade_at, w.last_trade_at), checked_at = w.checked_at,
        cause = w.cause, changes_when = w.changes_when, key_fingerprint = w.key_fingerprint,
        shortage = coalesce(w.shortage, h.shortage)
      FROM wanted w
     WHERE h.bot_id = w.bot_id AND h.status = w.old_status AND h.message = w.old_message
       AND h.status_updated_at = w.old_updated_at
    RETURNING h.bot_id
), logged AS (
    INSERT INTO bot_health_logs (bot_id, client_id, checked_at, previous_status, new_status, reason, actor, trade_count,
                                 last_trade_at, evidence)
    SELECT w.bot_id, w.client_id, w.checked_at, w.old_status, w.status, w.message, %(actor)s, w.trade_count,
           w.last_trade_at, w.evidence
      FROM wanted w JOIN changed c ON c.bot_id = w.bot_id
)
SELECT bot_id FROM changed
"""


def record_verdicts(checks: Sequence[Checked], *, actor: str = "system:health") -> set[UUID]:
    """Store the checks with their log rows; returns the bots whose row was written. Safe to run twice."""
    if not checks:
        return set()
    try:
        rows = orjson.dumps([_row(check) for check in checks]).decode()
        with system_scope("health").transaction():
            return {row[0] for row in fetch_all(_RECORD, {"rows": rows, "actor": actor[:200]})}
    except (DataError, orjson.JSONEncodeError) as error:
        return _record_halves(checks, error, actor=actor)


def _record_halves(checks: Sequence[Checked], error: Exception, *, actor: str) -> set[UUID]:
    """One check that cannot be stored must not hold back the others."""
    if len(checks) > 1:
        middle = len(checks) // 2
        return record_verdicts(checks[:middle], actor=actor) | record_verdicts(checks[middle:], actor=actor)
    [check] = checks
    log.error("verdict_not_stored", bot_id=str(check.subject.bot_id), error=type(error).__name__)
    return set()


def _row(check: Checked) -> dict[str, Any]:
    subject, verdict = check.subject, check.verdict
    seen = check.evidence.trades
    return {
        "bot_id": str(subject.bot_id),
        "client_id": str(subject.client_id),
        "desired_status": subject.run.desired,
        "desired_at": _exact(subject.run.desired_at),
        "old_status": subject.standing.status,
        "old_message": subject.standing.message,
        "old_updated_at": _exact(subject.standing.status_updated_at),
        "status": verdict.status,
        "message": verdict.message[:500],
        "evidence": evidence_rows(
            check.evidence, decided_by=verdict.decided_by, now=check.checked_at, limits=subject.limits
        ),
        "thresholds": limits_row(subject.limits),
        "trade_count": seen.count,
        "last_trade_at": _exact(seen.newest_at),
        "checked_at": instant(check.checked_at),
        "cause": verdict.cause[:32],
        "changes_when": verdict.changes_when[:500],
        "key_fingerprint": check.fingerprint[:16],
        "shortage": _shortage(check.evidence.balance),
    }


def _shortage(balance: BalanceSeen) -> str | None:
    """The currencies that the account is out of; None where it could not be read, so that the last word stands."""
    if balance.outcome != ProbeOutcome.READ:
        return None
    return ", ".join(sorted({shortage.currency for shortage in balance.shortages if shortage.is_out}))[:100]


def _exact(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)
