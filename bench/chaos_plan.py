"""What chaos does and when, drawn from a seed before anything runs: the same seed gives the same evil."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

PROGRAMS = ("web", "worker", "now", "beat")
SERVERS = ("broker", "database")
# How often each is drawn.
WEIGHTS = {
    "start": 16,
    "stop": 10,
    "kill": 12,  # a program, or a process below it
    "kill_server": 5,
    "everything": 2,  # bin/up, all below it and both servers at once
    "dead": 6,  # a container ends
    "vanished": 4,  # a container is removed
    "again": 4,  # the containers of one bot end or are removed, each as soon as it is up, several in a row
    "all_dead": 1,  # Hummingbot's host: every container ends at once
    "revive": 3,  # a container that had ended is up again
    "hummingbot_dies": 3,
    "docker_down": 2,
    "api_restart": 2,
    "lost_deploy": 4,  # what is asked is done, and its answer lost
    "lost_stop": 3,
    "lost_answer": 2,  # of whatever is sent next
    "server_error": 2,
}


@dataclass(frozen=True, slots=True)
class Action:
    """``which`` in 0..1 chooses among what there is when its turn comes; ``lasts_s`` is how long a thing stays broken.

    ``times`` is how many of its kind follow each other.
    """

    at_s: float
    kind: str
    name: str = ""
    which: float = 0.0
    lasts_s: float = 0.0
    times: int = 1

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


def draw(*, seed: int, seconds: float, every_s: float) -> list[Action]:
    """The actions of a run in order, about one each ``every_s``; the last ones leave nothing broken for long."""
    random, at, actions = Random(seed), 1.0, []
    while at < seconds:
        kind = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        names = {"kill": PROGRAMS, "kill_server": SERVERS}.get(kind, ("",))
        which, lasts_s, times = random.random(), random.uniform(0.5, 10), random.randint(2, 4)
        actions.append(Action(at, kind, random.choice(names), which, lasts_s, times))
        at += random.expovariate(1 / every_s)
    return actions


def told(actions: Iterable[Action]) -> str:
    """How often each kind of evil was drawn, beside its weight."""
    counts, weights = Counter(str(action) for action in actions), sum(WEIGHTS.values())
    kinds = sorted(counts, key=lambda name: (list(WEIGHTS).index(name.split()[0]), name))
    return ", ".join(f"{counts[name]} {name} ({WEIGHTS[name.split()[0]]}/{weights})" for name in kinds)
