"""``bin/bench chaos [--minutes 10] [--seed N]``: everything is killed at random while people start and stop; then calm.

The product runs under ``bin/up``, Hummingbot is the sandbox. After the chaos every bot and strategy that should run must
run exactly once, none that should not may run, and the audit must explain every wish. The seed tells what is done and
when; how far a thing had come when it was killed is the machine's to say. The last line has ``failed``; with something
in it the exit code is 1.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bench.api import say
from bench.chaos_audit import Told, audit_faults, tell_all
from bench.chaos_books import Books, read_books
from bench.chaos_checks import Calm, Watch, await_calm, bot_states, running
from bench.chaos_house import START_PATIENCE_S, House, sleep_until
from bench.chaos_plan import Action, draw, told
from bench.chaos_wishes import Target, Wishes, plant


@dataclass(frozen=True, slots=True)
class Size:
    bots: int
    strategies: int
    minutes: float
    every_s: float
    patience_s: float
    still_s: float


FULL, QUICK = Size(6, 6, 10, 2.5, 600, 30), Size(3, 3, 0.75, 2, 400, 8)
HUNT_S = 60


def run(*, quick: bool, only: str = "", seed: int = 1, minutes: float = 0) -> dict[str, Any]:
    """The whole run; the answer is what its last line holds. ``only`` names one kind of evil to be done alone."""
    size = QUICK if quick else FULL
    seconds = (minutes or size.minutes) * 60
    actions = [one for one in draw(seed=seed, seconds=seconds, every_s=size.every_s) if _fits(one, only)]
    signal.signal(signal.SIGTERM, _leave)
    say(f"seed {seed}: {len(actions)} actions in {seconds:g} s on {size.bots} bots and {size.strategies} strategies")
    say(f"the plan, with each kind's weight: {told(actions)}")
    with House() as house:
        targets = plant(house, bots=size.bots, strategies=size.strategies)
        say("all of them are wanted running")
        wishes, watch = Wishes(house, targets), Watch(house)
        first = await_calm(house, targets, wishes, patience_s=size.patience_s, still_s=2)
        if first.faults:
            raise SystemExit(f"They do not run before anything was done: {first.faults}\n{house.last_words()}")
        chaos = Chaos(house, targets, wishes, watch)
        chaos.do(actions)
        say("nothing is killed any more; waiting for calm")
        wishes.end()
        wishes = Wishes(house, targets)
        calm = await_calm(house, targets, wishes, patience_s=size.patience_s, still_s=size.still_s)
        wishes.end()
        watch.end()
        books, audited = read_books(house, watch.revived), audit_faults(house, targets)
        result = report(house, targets, calm, watch, books, audited, chaos.done)
        if result["failed"]:
            _tell_of_the_failed(house, targets, "\n".join(result["failed"]))
    return result | {"load": {"seed": seed, "seconds": seconds, "bots": size.bots, "strategies": size.strategies}}


def _tell_of_the_failed(house: House, targets: list[Target], faults: str) -> None:
    for target in targets:
        if target.bot_id in faults or target.bot_id.replace("-", "") in faults or target.name in faults:
            lines = tell_all(house, target.bot_id)[-200:] + [str(wish) for wish in target.wishes]
            say(f"all that is known of {target.name} ({target.bot_id}):\n" + "\n".join(lines))
    say(f"the last words of its log:\n{house.last_words()}")


def _leave(number: int, frame: object) -> None:
    """Somebody ends us: what we started must not stay."""
    raise SystemExit("ended before its time")


def _fits(action: Action, only: str) -> bool:
    return not only or action.kind in ("start", "stop", only)


def report(
    house: House, targets: list[Target], calm: Calm, watch: Watch, books: Books, audited: Told, done: Counter[str]
) -> dict[str, Any]:
    twice = [f"{names} ran together in {times} looks" for names, times in watch.twice.items()]
    failed = {"state": calm.faults, "once": twice + books.faults, "audit": audited.faults}
    for name, faults in failed.items():
        say(f"{'MISSES' if faults else 'holds':6} {name}")
        for fault in faults:
            say(f"       {fault}")
    for pardoned in books.pardoned:
        say(f"       chaos itself brought it back: {pardoned}")
    states = bot_states(house, targets).values()
    wished = [wish for target in targets for wish in target.wishes]
    say(f"calm after {calm.took_s} s; {len(wished)} wishes, {sum(not wish.is_sure for wish in wished)} of them not "
        f"agreed to; left for a person: {calm.freed or 'none'}")  # fmt: skip
    return {
        "bench": "chaos", "ratios": {}, "failed": [fault for faults in failed.values() for fault in faults],
        "figures": {
            "calm_s": calm.took_s, "done": dict(done), "wishes": len(wished), "looks": watch.looks,
            "wishes_unanswered": sum(wish.status is None for wish in wished),
            "wanted": sum(state.is_wanted for state in states), "quarantined": len(calm.freed),
            "up_started_anew": house.given_up, "containers_made": books.containers, "times_a_strategy_ran": books.times_run,
            "brought_back_by_chaos": len(books.pardoned),
        } | audited.figures,
    }  # fmt: skip


class Chaos:
    """Does what was drawn, each at its time. Things that stay broken for a while are mended by threads of their own."""

    def __init__(self, house: House, targets: list[Target], wishes: Wishes, watch: Watch) -> None:
        self.house, self.targets, self.wishes, self.watch = house, targets, wishes, watch
        self.done: Counter[str] = Counter()
        self.is_over = threading.Event()
        self._starting = threading.Lock()
        self._menders: list[threading.Thread] = []

    def do(self, actions: list[Action]) -> None:
        began = time.monotonic()
        for action in actions:
            sleep_until(began + action.at_s)
            told = getattr(self, f"_{action.kind}")(action)
            self.done[str(action)] += 1
            say(f"{time.monotonic() - began:6.1f} s  {action}: {told}")
        self.is_over.set()
        for mender in self._menders:
            mender.join(START_PATIENCE_S)
        self.house.control("DELETE", "/faults?target=hummingbot")

    def _later(self, action: Action, mend: Any) -> None:
        def wait_and_mend() -> None:
            time.sleep(action.lasts_s)
            with self.house.lock:
                mend()

        mender = threading.Thread(target=wait_and_mend, daemon=True)
        mender.start()
        self._menders.append(mender)

    # -- people -------------------------------------------------------------------------------------------------------
    def _start(self, action: Action) -> str:
        return self.wishes.send(which=action.which, is_run=True)

    def _stop(self, action: Action) -> str:
        return self.wishes.send(which=action.which, is_run=False)

    # -- the product --------------------------------------------------------------------------------------------------
    def _kill(self, action: Action) -> str:
        return self.house.kill_program(action.name, action.which)

    def _kill_server(self, action: Action) -> str:
        return self.house.kill_server(action.name)

    def _everything(self, action: Action) -> str:
        """Only the sandbox lives on; bin/up is started again as somebody would who notices."""
        if not self._starting.acquire(blocking=False):
            return "bin/up is just being started again"
        self.house.kill_everything()
        starter = threading.Thread(target=self._start_up, daemon=True)
        starter.start()
        self._menders.append(starter)
        return "bin/up with all that it ran; it is started again"

    def _start_up(self) -> None:
        try:
            self.house.start_up()
        finally:
            self._starting.release()

    # -- Hummingbot ---------------------------------------------------------------------------------------------------
    def _hummingbot_dies(self, action: Action) -> str:
        with self.house.lock:
            self.house.kill_sandbox()
        self._later(action, self._bring_sandbox)
        return f"for {action.lasts_s:.1f} s"

    def _bring_sandbox(self) -> None:
        if self.house.sandbox and self.house.sandbox.poll() is not None:
            self.house.start_sandbox()

    def _docker_down(self, action: Action) -> str:
        off = {"target": "hummingbot", "fault": "docker_down", "on": False}
        self._later(action, lambda: self.house.control("POST", "/faults", off))
        return self._fault("hummingbot", "docker_down") + f" for {action.lasts_s:.1f} s"

    def _api_restart(self, action: Action) -> str:
        return self._fault("hummingbot", "api_restart")

    def _lost_deploy(self, action: Action) -> str:
        return self._fault("hummingbot", "lost_answer", path="/deploy-v2", count=1)

    def _lost_stop(self, action: Action) -> str:
        return self._fault("hummingbot", "lost_answer", path="/bot-orchestration/stop", count=2)

    def _lost_answer(self, action: Action) -> str:
        return self._fault("hummingbot", "lost_answer", method="POST", count=2)

    def _server_error(self, action: Action) -> str:
        return self._fault("hummingbot", "server_error", count=4)

    # -- its containers -----------------------------------------------------------------------------------------------
    def _dead(self, action: Action) -> str:
        return self._strike("dead", action)

    def _vanished(self, action: Action) -> str:
        return self._strike("vanished", action)

    def _strike(self, fault: str, action: Action) -> str:
        names = sorted(name for found in self._up().values() for name in found)
        if not names:
            return "nothing runs"
        name = names[int(action.which * len(names))]
        return f"{name} {self._fault(f'bot:{name}', fault)}"

    def _again(self, action: Action) -> str:
        bots = sorted(self._up())
        if not bots:
            return "nothing runs"
        bot = bots[int(action.which * len(bots))]
        hunter = threading.Thread(target=self._hunt, args=(bot, action.times), daemon=True)
        hunter.start()
        self._menders.append(hunter)
        return f"{bot}, {action.times} times"

    def _hunt(self, bot: str, times: int) -> None:
        """Each container of this bot ends or is removed as soon as it is up; given up when none comes for long."""
        for number in range(times):
            until = time.monotonic() + HUNT_S
            while not (names := self._up().get(bot)):
                if time.monotonic() > until or self.is_over.is_set():
                    return
                time.sleep(0.5)
            self._fault(f"bot:{names[0]}", "vanished" if number % 2 else "dead")

    def _all_dead(self, action: Action) -> str:
        names = [name for found in self._up().values() for name in found]
        for name in names:
            self._fault(f"bot:{name}", "dead")
        return f"{len(names)} containers"

    def _up(self) -> dict[str, list[str]]:
        return running(self.house.containers() or [])

    def _revive(self, action: Action) -> str:
        """A container that had ended is there again, as after a reboot of its host."""
        active = (self.house.control("GET", "/faults") or {}).get("active", [])
        names = sorted(one["target"].removeprefix("bot:") for one in active if one["name"] == "dead")
        if not names:
            return "none is dead"
        name = names[int(action.which * len(names))]
        self.watch.revived.append((name, int(time.time() * 1000)))
        return f"{name} {self._fault(f'bot:{name}', 'dead', on=False)}"

    def _fault(self, target: str, fault: str, **more: Any) -> str:
        is_done = self.house.control("POST", "/faults", {"target": target, "fault": fault, **more}) is not None
        return "done" if is_done else "Hummingbot is away"
