"""What is wanted running and does not run is deployed again, by itself: growing waits, then a person.

Each bot is decided on in a transaction of its own that holds the bot's row, as a start and a stop do. So none of them
overruns another, and many workers at once count a failure, and open a deployment, once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from structlog import get_logger

from bots.models import Bot, BotDeployment, BotRecovery
from bots.rules.recovery import Decision, Move, Past, decide, spread_of
from bots.rules.words import DeploymentStatus
from bots.selectors_recovery import Recoverable, bots_to_look_at, locked_situation
from bots.services.deployments import nudge_workers, open_deployment, open_one
from ground.scope import system_scope
from ground.sql import run

log = get_logger(__name__)

RECOVERY = system_scope("recovery")

_PLAN = """
    INSERT INTO bot_recovery AS y (bot_id, client_id, failures, next_at, is_planned, reason)
    SELECT b.id, b.client_id, 0, x.at, true, ''
      FROM jsonb_to_recordset(%s::jsonb) AS x(bot_id uuid, at timestamptz) JOIN bots b ON b.id = x.bot_id
     WHERE b.desired_status = 'running' AND b.retired_at IS NULL
     ORDER BY b.id
    ON CONFLICT (bot_id) DO UPDATE SET next_at = excluded.next_at, is_planned = true
     WHERE y.quarantined_at IS NULL
"""


def keep_bots_running(*, now: datetime, limit: int = 200, most_s: float = 5) -> int:
    """Do what is due for bots that are wanted running and do not; returns for how many. Safe to run twice, also at once.

    Only what the poller has stored is read, and only as long as Hummingbot answers: nothing is sent from here.
    """
    deadline = time.monotonic() + most_s
    moves: list[Move] = []
    for bot_id in bots_to_look_at(RECOVERY, now=now, limit=limit):
        if time.monotonic() > deadline:
            break
        moves.append(keep_bot_running(bot_id=bot_id, now=now))
    # Whoever calls this works on deployments next; of more than one a second worker can take its share.
    if moves.count(Move.DEPLOY) > 1:
        nudge_workers()
    return sum(move is not Move.REST for move in moves)


def keep_bot_running(*, bot_id: UUID, now: datetime) -> Move:
    """Decide on one bot and do it; what was done."""
    with RECOVERY.transaction(reason="keep running"):
        found = locked_situation(bot_id)
        if found is None:
            return Move.REST
        failures = found.past.failures + 1 if found.past else 1
        decision = decide(situation=found.situation, past=found.past, now=now, spread=spread_of(bot_id, failures))
        done = _apply(found, decision, now)
        if done is Move.NOTE and decision.next_at is not None and decision.next_at <= now:
            # Its turn has come already: no second look for it, which in an outage would come after a thousand notes.
            noted = Past(decision.failures, found.situation.sequence, decision.next_at, is_planned=True)
            return _apply(found, decide(situation=found.situation, past=noted, now=now, spread=0), now)
        return done


def plan_recovery(times: Mapping[UUID, datetime]) -> int:
    """Let these bots be deployed again at these times and not before; returns for how many that is so now.

    For whoever brings many back in turn. Only bots that are wanted running and not quarantined are taken. Joins the
    caller's transaction when that is ``RECOVERY``'s.
    """
    rows = [{"bot_id": str(bot_id), "at": at.isoformat()} for bot_id, at in times.items()]
    with RECOVERY.transaction(reason="restore planned"):
        return run(_PLAN, [json.dumps(rows)]) if rows else 0


def forget_failures(bot_id: UUID) -> None:
    """A person has said what they want: earlier failures count no more. Inside the caller's transaction."""
    BotRecovery.objects.filter(bot_id=bot_id).delete()


def _apply(found: Recoverable, decision: Decision, now: datetime) -> Move:
    match decision.move:
        case Move.REST:
            return Move.REST
        case Move.FORGET:
            forget_failures(found.bot_id)
        case Move.NOTE | Move.QUARANTINE:
            _note(found, decision, now)
        case Move.TAKE_DOWN:
            # As a start does: it is taken down first, so that never two of them trade; a new one follows.
            _change(found, status=DeploymentStatus.STOPPING, due_at=now)
        case Move.REPLACE if not _change(found, status=DeploymentStatus.ENDED, ended_at=now):
            return Move.REST
        case Move.REPLACE | Move.DEPLOY:
            return _deploy(found, now)
    return decision.move


def _note(found: Recoverable, decision: Decision, now: datetime) -> None:
    is_quarantined = decision.move is Move.QUARANTINE
    BotRecovery.objects.update_or_create(
        bot_id=found.bot_id,
        defaults={
            "client_id": found.client_id,
            "failures": decision.failures,
            "counted_sequence": found.situation.sequence,
            "next_at": None if is_quarantined else decision.next_at,
            "quarantined_at": now if is_quarantined else None,
            "reason": decision.reason[:500],
            "last_failure_at": now if decision.failures else None,
        },
    )
    log.warning(
        "bot is quarantined" if is_quarantined else "bot is down",
        bot_id=str(found.bot_id), failures=decision.failures, reason=decision.reason[:200],
    )  # fmt: skip


def _deploy(found: Recoverable, now: datetime) -> Move:
    if open_one(found.bot_id) is not None:
        return Move.REST
    bot = Bot.objects.get(id=found.bot_id)
    deployment = open_deployment(bot, requested_by=RECOVERY.actor, now=now)
    BotRecovery.objects.filter(bot_id=bot.id).update(is_planned=False)
    log.info("bot is deployed again", bot_id=str(bot.id), name=deployment.requested_name)
    return Move.DEPLOY


def _change(found: Recoverable, **changes: object) -> bool:
    BotRecovery.objects.filter(bot_id=found.bot_id).update(is_planned=False)
    newest = BotDeployment.objects.filter(bot_id=found.bot_id, sequence=found.situation.sequence)
    return bool(newest.filter(status=DeploymentStatus.LIVE).update(**changes))
