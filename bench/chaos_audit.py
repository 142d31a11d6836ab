"""Whether the audit explains what happened: every wish, every step of every deployment, every strategy's whole life."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from bench.chaos_checks import bot_states
from bench.chaos_house import House
from bench.chaos_wishes import Target
from bots.rules.words import DeploymentStatus as D
from strategies.rules.words import StrategyStatus, may_move

# Every move of a deployment that a step, a person or the recovery makes. ENDED and FAILED may come back: a container that
# rises again is taken down.
MOVES = {
    None: {D.WANTED},
    D.WANTED: {D.SENDING, D.FAILED, D.ENDED},
    D.SENDING: {D.WANTED, D.UNKNOWN_OUTCOME, D.LIVE, D.FAILED},
    D.UNKNOWN_OUTCOME: {D.LIVE, D.FAILED},
    D.LIVE: {D.STOPPING, D.ENDED},
    D.STOPPING: {D.RETIRING, D.ENDED},
    D.RETIRING: {D.ENDED},
    D.ENDED: {D.RETIRING},
    D.FAILED: {D.UNKNOWN_OUTCOME, D.RETIRING},
}
RECOVERY = "system:recovery"

_WISHES = """
    SELECT row_id, at, actor, reason, after ->> 'desired_status' = 'running' FROM audit_log
     WHERE table_name = 'bots' AND row_id = ANY(%s) AND action = 'UPDATE' AND after ? 'desired_status' ORDER BY id
"""
_DEPLOYMENTS = """
    SELECT d.id::text, d.bot_id::text, d.sequence, d.status, d.message, d.requested_by, d.created_at,
           EXISTS (SELECT FROM audit_log l WHERE l.table_name = 'bot_recovery' AND l.row_id = d.bot_id::text
                      AND l.at <= d.created_at AND (l.after ->> 'counted_sequence')::int = d.sequence - 1)
      FROM bot_deployments d WHERE d.bot_id = ANY(%s::uuid[]) ORDER BY d.bot_id, d.sequence
"""
_OF_TABLE = """
    SELECT row_id, action, actor, reason, before, after FROM audit_log
     WHERE table_name = %s AND client_id IN (SELECT client_id FROM bots WHERE id = ANY(%s::uuid[])) ORDER BY id
"""
_ACTIVE = "SELECT id::text FROM active_strategies WHERE bot_id = ANY(%s::uuid[])"
_HISTORY = """
    SELECT bot_id::text, started_at, stopped_at, stopped_by, reason FROM strategy_history
     WHERE bot_id = ANY(%s::uuid[])
"""
_ALL_OF = """
    SELECT l.at, l.table_name, l.action, l.actor, l.reason, l.after FROM audit_log l
     WHERE l.row_id = %(bot)s OR (l.table_name IN ('bot_deployments', 'active_strategies', 'strategy_history')
       AND l.row_id IN (SELECT x.row_id FROM audit_log x WHERE x.after ->> 'bot_id' = %(bot)s)) ORDER BY l.id
"""


@dataclass(slots=True)
class Told:
    """What the audit does not explain, and how much it holds."""

    faults: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)


def audit_faults(house: House, targets: list[Target]) -> Told:
    """Every change of a wish is a person's, with a reason; what we were told was done stands in it; every move of a
    deployment is an allowed one, by somebody, for a reason, and what opened it is there; each run of a strategy that is
    over is in the history exactly once.
    """
    ids = [target.bot_id for target in targets]
    with psycopg.connect(house.superuser()) as database:
        wishes = database.execute(_WISHES, [ids]).fetchall()
        deployments = database.execute(_DEPLOYMENTS, [ids]).fetchall()
        steps = database.execute(_OF_TABLE, ["bot_deployments", ids]).fetchall()
        lives = database.execute(_OF_TABLE, ["active_strategies", ids]).fetchall()
        active = {row[0] for row in database.execute(_ACTIVE, [ids])}
        history = database.execute(_HISTORY, [ids]).fetchall()
    told, states = Told(), bot_states(house, targets)
    for target in targets:
        of_it = [wish for wish in wishes if wish[0] == target.bot_id]
        told.faults += _wish_faults(target, of_it, is_wanted=states[target.bot_id].is_wanted)
    told.faults += deployment_faults(deployments, steps) + strategy_faults(lives, active, history)
    statuses = Counter(str((step[5] or {}).get("status", "")) for step in steps if step[1] == "UPDATE")
    told.figures = {
        "wishes_in_audit": len(wishes), "deployments": len(deployments), "steps_in_audit": len(steps),
        "answers_lost": statuses["unknown_outcome"], "found_again": sum(
            bool((step[5] or {}).get("was_adopted")) for step in steps
        ), "recovered": sum(row[5] == RECOVERY for row in deployments), "strategies_ended": len(history),
    }  # fmt: skip
    return told


def tell_all(house: House, bot_id: str) -> list[str]:
    """Everything that is known of one bot, in order of time: the audit and the sandbox's books."""
    with psycopg.connect(house.superuser()) as database:
        rows = database.execute(_ALL_OF, {"bot": bot_id}).fetchall()
    lines = [
        (at, f"{table} {action} {actor} '{reason}' {str(after)[:300]}")
        for at, table, action, actor, reason, after in rows
    ]
    for move in (house.control("GET", "/journal") or {"moves": []})["moves"]:
        if bot_id.replace("-", "") in move["name"]:
            word = "begins to run" if move["is_running"] else "ends to run"
            lines.append((datetime.fromtimestamp(move["at_ms"] / 1000, UTC), f"{move['name']} {word}"))
    return [f"{at.astimezone(UTC):%H:%M:%S.%f} {line}" for at, line in sorted(lines)]


def _wish_faults(target: Target, moves: list[Any], *, is_wanted: bool) -> list[str]:
    faults = [f"{target.name} got another bot: {other}" for other in target.others]
    if is_wanted not in target.may_be_wanted():
        faults.append(f"{target.name} is wanted {'running' if is_wanted else 'stopped'}; the last wish was another")
    if len(moves) > len(target.wishes):
        faults.append(f"{target.name}: {len(moves)} changes of the wish, but only {len(target.wishes)} were sent")
    if moves and moves[-1][4] != is_wanted:
        faults.append(f"{target.name}: the audit's last word is another than the wish")
    faults += [f"{target.name}: a change without a person or a reason: {m}" for m in moves if _is_nobody(m[2], m[3])]
    for wish in target.wishes:
        before = [move for move in moves if wish.answered_at and move[1] <= wish.answered_at]
        if wish.is_sure and (before[-1][4] if before else False) != wish.is_run:
            faults.append(f"{target.name}: nothing in the audit tells of {wish}")
    return faults


def deployment_faults(deployments: list[Any], steps: list[Any]) -> list[str]:
    """``deployments`` and ``steps`` as the queries above give them."""
    faults, of_row = [], defaultdict(list)
    for row_id, action, actor, reason, _, after in steps:
        of_row[row_id].append((action, actor, reason, after or {}))
    for row_id, bot_id, sequence, status, message, requested_by, _, is_noted in deployments:
        name, present = f"deployment {bot_id} #{sequence}", None
        for action, actor, reason, after in of_row[row_id]:
            if not actor or not reason or actor.startswith("database:"):
                faults.append(f"{name}: a step without somebody or a reason: {action} {actor} '{reason}' {after}")
            if "status" in after:
                if after["status"] not in MOVES[D(present) if present else None]:
                    faults.append(f"{name}: from {present} to {after['status']} ({actor}: {reason})")
                present = after["status"]
        if present != status:
            faults.append(f"{name} is {status}, and the audit's last word is {present}")
        if not requested_by or (requested_by == RECOVERY and not is_noted):
            faults.append(f"{name} by '{requested_by}': nothing tells why it was made")
        if status == D.FAILED and not message:
            faults.append(f"{name} failed, and does not say why")
    return faults


def strategy_faults(lives: list[Any], active: set[str], history: list[Any]) -> list[str]:
    """Whether each strategy that was begun is there or ended, and each that ended stands in the history once."""
    faults: list[str] = []
    present: dict[str, str] = {}
    begun, over = set(), Counter[tuple[str, str]]()
    for row_id, action, actor, reason, before, after in lives:
        if not actor or not reason or actor.startswith("database:"):
            faults.append(f"strategy {row_id}: {action} without somebody or a reason: {actor} '{reason}' {after}")
        if action == "INSERT":
            begun.add(row_id)
            present[row_id] = after["status"]
        elif action == "DELETE":
            present.pop(row_id, None)
            over[before["bot_id"], before["started_at"]] += 1
        elif "status" in (after or {}):
            if not may_move(StrategyStatus(before["status"]), StrategyStatus(after["status"])):
                faults.append(f"strategy {row_id}: from {before['status']} to {after['status']} ({actor}: {reason})")
            present[row_id] = after["status"]
    faults += [f"strategy {row_id} was lost" for row_id in set(present) - active]
    faults += [f"strategy {row_id} came from nowhere" for row_id in active - begun]
    told = Counter((bot_id, started_at.astimezone(UTC).isoformat()) for bot_id, started_at, *_ in history)
    over = Counter({(bot, _instant(at)): times for (bot, at), times in over.items()})
    for run in sorted(set(told) | set(over)):
        if (told[run], over[run]) != (1, 1):
            faults.append(
                f"the run of {run[0]} from {run[1]} ended {over[run]} times and is {told[run]} times in history"
            )
    for bot_id, started_at, stopped_at, stopped_by, reason in history:
        if stopped_at < started_at or _is_nobody(stopped_by, reason):
            faults.append(f"history of {bot_id}: {started_at} to {stopped_at}, by '{stopped_by}', '{reason}'")
    return faults


def _instant(text: str) -> str:
    """As PostgreSQL's jsonb writes it, so that it compares with what the driver reads."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat()


def _is_nobody(actor: str, reason: str) -> bool:
    return not actor or not reason or actor.startswith(("system:", "database:"))
