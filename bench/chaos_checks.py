"""After the chaos: what runs in the sandbox's Hummingbot beside what is wanted, and whether the audit explains it."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench.chaos_house import House
from bench.chaos_wishes import Target, Wishes
from bots.rules.names import requested_by_us

_STATE = """
    SELECT b.id::text, b.desired_status = 'running', y.quarantined_at IS NOT NULL, coalesce(y.reason, ''), a.status,
           (SELECT count(*) FROM bot_deployments d WHERE d.bot_id = b.id)
      FROM bots b LEFT JOIN bot_recovery y ON y.bot_id = b.id LEFT JOIN active_strategies a ON a.bot_id = b.id
     WHERE b.id = ANY(%s::uuid[])
"""
_MOVES = """
    SELECT row_id, at, actor, reason, after ->> 'desired_status' = 'running' FROM audit_log
     WHERE table_name = 'bots' AND row_id = ANY(%s) AND action = 'UPDATE' AND after ? 'desired_status' ORDER BY id
"""
_UNEXPLAINED = """
    SELECT d.bot_id::text || ' #' || d.sequence, d.requested_by, d.status, d.message FROM bot_deployments d
     WHERE d.bot_id = ANY(%(bots)s::uuid[]) AND (d.requested_by = '' OR (d.status = 'failed' AND d.message = '')
        OR (d.requested_by = 'system:recovery' AND NOT EXISTS (
            SELECT FROM audit_log l WHERE l.table_name = 'bot_recovery' AND l.row_id = d.bot_id::text
               AND l.at <= d.created_at)))
"""


@dataclass(frozen=True, slots=True)
class BotState:
    """What the product holds of a target's bot."""

    is_wanted: bool
    is_quarantined: bool
    why: str
    strategy: str | None
    deployments: int


def bot_states(house: House, targets: list[Target]) -> dict[str, BotState]:
    with psycopg.connect(house.superuser()) as database:
        rows = database.execute(_STATE, [[target.bot_id for target in targets]]).fetchall()
    return {row[0]: BotState(*row[1:]) for row in rows}


def running(containers: list[dict[str, Any]]) -> dict[str, list[str]]:
    """By a bot's id without hyphens: the names of its containers that are up with a strategy that runs or comes up."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in containers:
        name = requested_by_us(one["name"])
        if name and one["container"] == "running" and one["strategy_running"]:
            found[name.split("-")[1]].append(one["name"])
    return found


class Watch:
    """Looks several times a second whether any bot runs twice; what chaos itself has brought back is no fault."""

    def __init__(self, house: House) -> None:
        self._house, self._end = house, threading.Event()
        self.revived: set[str] = set()
        self.twice: Counter[str] = Counter()
        self.looks = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.3):
            containers = self._house.containers()
            self.looks += containers is not None
            for names in running(containers or []).values():
                if len(names) > 1 and not self.revived & set(names):
                    self.twice[" and ".join(sorted(names))] += 1

    def end(self) -> None:
        self._end.set()
        self._thread.join(15)


@dataclass(slots=True)
class Calm:
    """What waiting for calm found."""

    took_s: float = 0.0
    faults: list[str] = field(default_factory=list)  # empty: calm
    freed: list[str] = field(default_factory=list)  # quarantined, and started by a person


def await_calm(house: House, targets: list[Target], wishes: Wishes, *, patience_s: float, still_s: float) -> Calm:
    """Wait until all is as wanted and stays so; a bot in quarantine gets the person that it waits for, once."""
    calm, began, right_since = Calm(), time.monotonic(), None
    while True:
        calm.faults = _wrong(house, targets, calm, wishes)
        now = time.monotonic()
        right_since = None if calm.faults else right_since or now
        if right_since is not None and now - right_since >= still_s:
            calm.took_s = round(right_since - began, 1)
            return calm
        if now - began > patience_s:
            calm.took_s = round(now - began, 1)
            calm.faults = calm.faults or ["it does not stay calm"]
            return calm
        time.sleep(0.5)


def _wrong(house: House, targets: list[Target], calm: Calm, wishes: Wishes) -> list[str]:
    try:
        states, containers = bot_states(house, targets), house.containers()
    except psycopg.Error as error:
        return [f"the database does not answer: {type(error).__name__}"]
    if containers is None:
        return ["the sandbox does not answer"]
    if not house.answers():
        return ["the product is not ready"]
    there, faults = running(containers), []
    for target in targets:
        state, names = states[target.bot_id], there.get(target.bot_id.replace("-", ""), [])
        if state.is_quarantined and target.name not in calm.freed:
            calm.freed.append(target.name)
            wishes.wish(target, is_run=True)
        if len(names) != int(state.is_wanted):
            wanted = "runs once" if state.is_wanted else "does not run"
            faults.append(f"{target.name} ({target.bot_id}): wanted that it {wanted}; running: {names}; {state}")
        elif target.mode and state.strategy != ("active" if state.is_wanted else None):
            faults.append(f"{target.name} ({target.bot_id}): its strategy reads {state.strategy}; {state}")
    return faults


def audit_faults(house: House, targets: list[Target]) -> tuple[list[str], int]:
    """What the audit does not explain, and how many changes of a wish it holds.

    Every change of a wish is somebody's who was asked to make it, with a reason; what we were told was done stands in
    it; what is wanted now is its last word; and every deployment says who wanted it, and why it failed.
    """
    ids = [target.bot_id for target in targets]
    with psycopg.connect(house.superuser()) as database:
        moves = database.execute(_MOVES, [ids]).fetchall()
        unexplained = database.execute(_UNEXPLAINED, {"bots": ids}).fetchall()
    faults = [f"deployment {row[0]} by '{row[1]}' is {row[2]}: '{row[3]}'" for row in unexplained]
    states = bot_states(house, targets)
    for target in targets:
        of_it = [move for move in moves if move[0] == target.bot_id]
        faults += _faults_of(target, of_it, is_wanted=states[target.bot_id].is_wanted)
    return faults, len(moves)


def _faults_of(target: Target, moves: list[Any], *, is_wanted: bool) -> list[str]:
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


def _is_nobody(actor: str, reason: str) -> bool:
    return not actor or not reason or actor.startswith(("system:", "database:"))
