"""stop-and-archive: answers at once, works in the background, and gives up without a word when a step fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.hummingbot.engine import Hummingbot

# After the call, in seconds of the world.
_STEPS = ((1.0, "publish"), (16.0, "stop_container"), (19.0, "remove"), (22.0, "done"))


@dataclass
class _Job:
    bot: str
    skip_order_cancellation: bool
    began_s: float
    step: int = 0


class Archive:
    """The tasks that run now. A second task for one bot is accepted, as upstream accepts it."""

    def __init__(self, hummingbot: Hummingbot) -> None:
        self._hummingbot = hummingbot
        self._jobs: list[_Job] = []

    def begin(self, bot: str, *, skip_order_cancellation: bool) -> None:
        now_s = self._hummingbot.world.clock.world()
        self._hummingbot.runs.mark_stopped(bot, self._hummingbot.final_status(bot))
        self._hummingbot.cache.stopping.add(bot)
        self._jobs.append(_Job(bot, skip_order_cancellation, now_s))

    def tick(self, now_s: float) -> None:
        for job in list(self._jobs):
            while job.step < len(_STEPS) and now_s - job.began_s >= _STEPS[job.step][0]:
                if not self._take(job, _STEPS[job.step][1]):
                    self._finish(job)
                    break
                job.step += 1
            if job.step == len(_STEPS):
                self._finish(job)

    def _finish(self, job: _Job) -> None:
        self._jobs.remove(job)
        if not any(other.bot == job.bot for other in self._jobs):
            self._hummingbot.cache.stopping.discard(job.bot)

    def _take(self, job: _Job, step: str) -> bool:
        hummingbot = self._hummingbot
        bot = hummingbot.bots.get(job.bot)
        if step == "publish":
            sent = hummingbot.command(job.bot)
            if sent:
                hummingbot.deliver_stop(job.bot, cancel_orders=not job.skip_order_cancellation)
            return sent
        if hummingbot.is_on("docker_down"):
            return False
        if step == "stop_container" and bot:
            bot.switch_off(hummingbot.world)
        if step == "remove":
            hummingbot.remove(job.bot)
        if step == "done":
            hummingbot.runs.mark_archived(job.bot)
        return True
