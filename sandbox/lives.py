"""Life scripts: bots that slow down, die and recover by themselves while somebody watches."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.world import World

STEPS = {
    "slow": "trade `factor` times more rarely (default 10)",
    "die": "an external bot stops; a Hummingbot bot's container exits",
    "silence": "a Hummingbot bot stops sending MQTT messages, and trades on",
    "stall": "no order is taken any more, everything else goes on",
    "recover": "back to normal, whatever happened before",
}


@dataclass
class Life:
    """``script`` rows are {"after_s", "do", "factor"?}, seconds of the world since the life began.

    ``bot`` is a name, or the start of one: Hummingbot gives deployed bots a suffix nobody knows before.
    """

    bot: str
    script: list[dict[str, Any]]
    loop: bool = False
    period_s: float = 0.0
    began_s: float | None = None
    done: int = 0
    hit: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.script = sorted(self.script, key=lambda step: float(step["after_s"]))
        self.period_s = self.period_s or (float(self.script[-1]["after_s"]) if self.script else 0.0)

    def due(self, now_s: float) -> list[dict[str, Any]]:
        """The steps that came due since the last look; a looping life begins again after its period."""
        if self.began_s is None:
            return []
        steps = []
        while self.done < len(self.script) and now_s - self.began_s >= float(self.script[self.done]["after_s"]):
            steps.append(self.script[self.done])
            self.done += 1
        if self.loop and self.period_s > 0 and self.done == len(self.script) and now_s - self.began_s >= self.period_s:
            self.began_s, self.done = now_s, 0
        return steps

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Lives:
    """All scripts. One for a prefix begins when the first bot of that name appears."""

    def __init__(self) -> None:
        self.all: list[Life] = []

    def put(self, life: Life) -> Life:
        """One life per name."""
        self.all = [other for other in self.all if other.bot != life.bot]
        self.all.append(life)
        return life

    def act(self, world: World) -> None:
        now_s = world.clock.world()
        for life in self.all:
            names = [name for name in _bot_names(world) if name == life.bot or name.startswith(f"{life.bot}-")]
            if names and life.began_s is None:
                life.began_s = now_s
            for step in life.due(now_s):
                for name in names:
                    take_step(world, name, step)


def _bot_names(world: World) -> list[str]:
    return [*world.externals, *world.hummingbot.bots]


def take_step(world: World, name: str, step: dict[str, Any]) -> None:
    """Do one step of a script to one bot."""
    target, what = f"bot:{name}", step["do"]
    switches = {"slow": "slow", "die": "dead", "silence": "silent", "stall": "stall"}
    if what == "recover":
        for fault in switches.values():
            switch_bot(world, target, fault, on=False)
    else:
        options = {"factor": step["factor"]} if "factor" in step else {}
        switch_bot(world, target, switches[what], on=True, options=options)


def switch_bot(world: World, target: str, fault: str, *, on: bool, options: dict[str, Any] | None = None) -> None:
    """Keep the switch, and let the bot feel it at once."""
    if on:
        switched = world.faults.switch_on(target, fault, options=options or {})
        factor = switched.number("factor", 10)
    elif not world.faults.switch_off(target, fault):
        return
    name = target.removeprefix("bot:")
    for trader in world.traders():
        if trader.bot != name:
            continue
        if fault == "slow":
            trader.pace = factor if on else 1.0
            trader.schedule(world.rng, world.clock.world())
        if fault == "dead" and name in world.externals:
            trader.running = not on
            trader.cancel(world)
    if name in world.hummingbot.bots:
        world.hummingbot.strike(name, fault, on=on)
    if fault == "vanished":
        world.faults.switch_off(target)
