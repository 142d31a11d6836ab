"""What chaos does and when, drawn from a seed before anything runs: the same seed gives the same evil."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

PROGRAMS = ("web", "worker", "now", "beat")
SERVERS = ("broker", "database")
# How often each is drawn. "everything" ends bin/up, all below it and both servers at once.
_WEIGHTS = {
    "start": 16, "stop": 10, "kill": 12, "kill_server": 5, "everything": 1, "dead": 8, "vanished": 4, "revive": 3,
    "hummingbot_dies": 3, "docker_down": 2, "api_restart": 2, "lost_answer": 3, "server_error": 2,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Action:
    """``which`` in 0..1 chooses among what there is when its turn comes; ``lasts_s`` is how long a thing stays broken."""

    at_s: float
    kind: str
    name: str = ""
    which: float = 0.0
    lasts_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


def draw(*, seed: int, seconds: float, every_s: float) -> list[Action]:
    """The actions of a run in order, about one each ``every_s``; the last ones leave nothing broken for long."""
    random, at, actions = Random(seed), 1.0, []
    while at < seconds:
        kind = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        names = {"kill": PROGRAMS, "kill_server": SERVERS}.get(kind, ("",))
        actions.append(Action(at, kind, random.choice(names), random.random(), random.uniform(0.5, 10)))
        at += random.expovariate(1 / every_s)
    return actions
