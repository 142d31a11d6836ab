"""During and after the chaos: what runs in the sandbox's Hummingbot beside what is wanted, and what the product says."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import psycopg
import requests

from bench.chaos_house import House
from bench.chaos_wishes import ACCOUNT, Target, Wishes
from bots.rules.names import requested_by_us

_STATE = """
    SELECT b.id::text, b.desired_status = 'running', y.quarantined_at IS NOT NULL, coalesce(y.reason, ''), a.status,
           ARRAY(SELECT d.sequence || ' ' || d.status || CASE WHEN d.confirmed_at IS NULL THEN '' ELSE ' confirmed' END
                        || ' ' || d.instance_name
                   FROM bot_deployments d WHERE d.bot_id = b.id AND d.status NOT IN ('ended', 'failed')
                  ORDER BY d.sequence)
      FROM bots b LEFT JOIN bot_recovery y ON y.bot_id = b.id LEFT JOIN active_strategies a ON a.bot_id = b.id
     WHERE b.id = ANY(%s::uuid[])
"""


@dataclass(frozen=True, slots=True)
class BotState:
    """What the product holds of a target's bot."""

    is_wanted: bool
    is_quarantined: bool
    why: str
    strategy: str | None
    alive: list[str]  # its deployments that are not over: number, status, instance


def bot_states(house: House, targets: list[Target]) -> dict[str, BotState]:
    with psycopg.connect(house.superuser()) as database:
        rows = database.execute(_STATE, [[target.bot_id for target in targets]]).fetchall()
    return {row[0]: BotState(*row[1:]) for row in rows}


def up(containers: list[dict[str, Any]]) -> dict[str, list[str]]:
    """By a bot's id without hyphens: the names of its containers that are up, whatever goes on in them."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in containers:
        name = requested_by_us(one["name"])
        if name and one["container"] == "running":
            found[name.split("-")[1]].append(one["name"])
    return found


def running(containers: list[dict[str, Any]]) -> dict[str, list[str]]:
    """By a bot's id without hyphens: the names of its containers that are up with a strategy that runs."""
    return up([one for one in containers if one["strategy_running"]])


class Watch:
    """Looks several times a second whether any bot runs twice; what chaos itself has brought back is no fault here."""

    def __init__(self, house: House) -> None:
        self._house, self._end = house, threading.Event()
        self.revived: list[tuple[str, int]] = []  # name and when, epoch milliseconds
        self.twice: Counter[str] = Counter()
        self.looks = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.3):
            containers = self._house.containers()
            self.looks += containers is not None
            for names in running(containers or []).values():
                if len(names) > 1 and not {name for name, _ in self.revived} & set(names):
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
    there, trading, faults = up(containers), running(containers), []
    for target in targets:
        state, key = states[target.bot_id], target.bot_id.replace("-", "")
        if state.is_quarantined and target.name not in calm.freed:
            calm.freed.append(target.name)
            wishes.wish(target, is_run=True)
        if said := state_fault(state, there.pop(key, []), trading.get(key, []), is_strategy=bool(target.mode)):
            faults.append(f"{target.name} ({target.bot_id}): {said}; {state}")
    faults += [f"nobody's: {names}" for names in there.values()]
    return faults or _untold(house, targets, states)


def state_fault(state: BotState, there: list[str], trading: list[str], *, is_strategy: bool) -> str:
    """What is wrong with one bot, "" for nothing: one container, one living deployment that knows it, and no other."""
    if not state.is_wanted:
        if there or state.alive:
            return f"wanted stopped; up: {there}"
        return f"its strategy still reads {state.strategy}" if state.strategy else ""
    if len(there) != 1 or trading != there:
        return f"wanted that it runs once; up: {there}, trading: {trading}"
    words = [one.split() for one in state.alive]
    if [one[1:] for one in words] != [["live", "confirmed", there[0]]]:
        return f"not one living deployment of {there[0]}"
    if is_strategy and state.strategy != "active":
        return f"its strategy reads {state.strategy}"
    return ""


def _untold(house: House, targets: list[Target], states: dict[str, BotState]) -> list[str]:
    """Where the product itself tells people another thing than what is so."""
    try:
        bots = {one["id"]: one["status"] for one in house.call("GET", "/bots").json()["bots"]}
        strategies = house.call("GET", f"/api/live-strategy/status?account={ACCOUNT}").json()["strategies"]
    except (requests.RequestException, ValueError, KeyError) as error:
        return [f"the product does not tell: {error!r}"]
    faults = []
    for target in targets:
        word = "running" if states[target.bot_id].is_wanted else "stopped"
        if bots.get(target.bot_id) != word:
            faults.append(f"{target.name} ({target.bot_id}) is told to be {bots.get(target.bot_id)}, not {word}")
    listed = Counter(one["symbol"] for one in strategies if one["running"])
    wanted = Counter(one.symbol for one in targets if one.mode and states[one.bot_id].is_wanted)
    return faults + ([f"strategies that are told to run: {listed}; wanted: {wanted}"] if listed != wanted else [])
