"""Bots, the broker between them and the API, and the API's background work. The routers only translate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.hummingbot.archive import Archive
from sandbox.hummingbot.bot import HEARTBEAT_S, REPORT_S, Bot
from sandbox.hummingbot.cache import Cache
from sandbox.hummingbot.journal import Journal
from sandbox.hummingbot.library import Library
from sandbox.hummingbot.performance import Snapshots
from sandbox.hummingbot.runs import Runs
from sandbox.trader import Trader

if TYPE_CHECKING:
    from sandbox.world import World

DISCOVERY_S = 1.0
_RECOGNISED_IMAGE = re.compile(r".+/hummingbot:.+")


class Hummingbot:
    """``bots`` is what Docker knows; ``cache`` is what the API believes; ``runs`` is what it once wrote down."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bots: dict[str, Bot] = {}
        self.library = Library()
        self.cache = Cache()
        self.runs = Runs()
        self.journal = Journal()
        self.snapshots = Snapshots()
        self.archive = Archive(self)
        self._discovered_s = float("-inf")

    def is_on(self, fault: str) -> bool:
        return self.world.faults.find("hummingbot", fault) is not None

    def traders(self) -> list[Trader]:
        return [trader for bot in self.bots.values() for trader in bot.traders]

    # What the API asks for.

    def launch(self, bot: Bot) -> None:
        """Create its container and start it."""
        self.bots[bot.name] = bot
        bot.switch_on(self.world.clock.world())

    def unique_name(self, instance_name: str) -> str:
        """The suffix is the server's local clock, whatever the caller sent."""
        return f"{instance_name}-{time.strftime('%Y%m%d-%H%M%S')}"

    def command(self, name: str) -> bool:
        """Publish a command. True says it went out, not that anybody reads it; the API hears its own message too."""
        if self.is_on("broker_down"):
            return False
        self.cache.of(name).last_s = self.world.clock.world()
        return True

    def start(self, name: str) -> bool:
        if not self.command(name):
            return False
        bot = self.bots.get(name)
        if bot and bot.talks and bot.start_strategy(self.world):
            self._log(bot, "INFO", "start command initiated.")
        return True

    def stop(self, name: str, *, cancel_orders: bool) -> bool:
        """Publish stop, drop the cached reports, mark the run. A bot that lives answers with an empty report."""
        final = self.final_status(name)
        if not self.command(name):
            return False
        self.cache.of(name).reports = {}
        self.runs.mark_stopped(name, final)
        self.deliver_stop(name, cancel_orders=cancel_orders)
        return True

    def deliver_stop(self, name: str, *, cancel_orders: bool) -> None:
        bot = self.bots.get(name)
        if bot and bot.talks and bot.stop_strategy(self.world, cancel_orders=cancel_orders):
            self._log(bot, "INFO", "stop command initiated.")
            self._hear_reports(bot, bot.empty_reports())

    def final_status(self, name: str) -> dict[str, Any]:
        return self.cache.status(name, self.world.clock.world())

    def restart_api(self) -> None:
        """The process begins anew: everything it only remembered is gone until discovery and MQTT bring it back."""
        self.cache = Cache()
        self.archive = Archive(self)
        self._discovered_s = self.world.clock.world()

    def remove(self, name: str) -> None:
        self.bots.pop(name, None)

    # What happens by itself.

    def tick(self, may_trade: Callable[[Trader], bool]) -> None:
        now_s = self.world.clock.world()
        for bot in list(self.bots.values()):
            if bot.boots_at_s is not None and now_s >= bot.boots_at_s:
                self._boot(bot)
            if bot.is_up and bot.strategy_running:
                self._trade(bot, may_trade)
            self._publish(bot, now_s)
        if now_s - self._discovered_s >= DISCOVERY_S and not self.is_on("docker_down"):
            self._discovered_s = now_s
            self.cache.discover(self.recognised_containers(), now_s)
        self.archive.tick(now_s)
        self.snapshots.tick(now_s, self.cache)

    def recognised_containers(self) -> list[str]:
        running = [bot for bot in self.bots.values() if bot.container == "running" and bot.tagged]
        return [bot.name for bot in running if _RECOGNISED_IMAGE.fullmatch(bot.image)]

    def _boot(self, bot: Bot) -> None:
        bot.boot(self.world)
        self._log(bot, "INFO", "start command initiated.")
        if len(bot.traders) < len(bot.configs):
            self._log(bot, "ERROR", "A controller cannot trade: no such market here, or no credentials for it.")

    def _trade(self, bot: Bot, may_trade: Callable[[Trader], bool]) -> None:
        for trader in bot.traders:
            trade = trader.act(self.world) if may_trade(trader) else None
            if trade:
                amount = f"{trade.quantity:f} {trader.market.base} at {trade.price:f} {trader.market.quote}"
                self._log(bot, "INFO", f"The {trade.side.upper()} order {trade.order_id} was filled: {amount}.")

    def _publish(self, bot: Bot, now_s: float) -> None:
        if not bot.talks or self.is_on("broker_down"):
            return
        if now_s - bot.heartbeat_s >= HEARTBEAT_S:
            bot.heartbeat_s = now_s
            self.cache.of(bot.name).last_s = now_s
        if bot.strategy_running and bot.traders and now_s - bot.report_s >= REPORT_S:
            bot.report_s = now_s
            self._hear_reports(bot, bot.reports())

    def _hear_reports(self, bot: Bot, reports: dict[str, Any]) -> None:
        if not self.is_on("broker_down"):
            heard = self.cache.of(bot.name)
            heard.reports |= reports
            heard.last_s = self.world.clock.world()

    def _log(self, bot: Bot, level: str, message: str) -> None:
        if not bot.talks or self.is_on("broker_down"):
            return
        heard = self.cache.of(bot.name)
        entry = {
            "level_name": level,
            "msg": message,
            "timestamp": self.world.clock.wall(),
            "level_no": {"INFO": 20, "WARNING": 30, "ERROR": 40}[level],
            "logger_name": "hummingbot.client.hummingbot_application",
        }
        (heard.error_logs if level == "ERROR" else heard.general_logs).append(entry)
        heard.last_s = self.world.clock.world()

    def strike(self, name: str, fault: str, *, on: bool) -> None:
        """A fault of one bot takes hold, or lets go."""
        bot = self.bots[name]
        if fault == "dead" and on:
            bot.switch_off(self.world)
        elif fault == "dead" and bot.container == "exited":
            bot.switch_on(self.world.clock.world())
        elif fault == "vanished" and on:
            bot.switch_off(self.world)
            self.remove(name)
        elif fault == "silent":
            bot.silent = on
        elif fault == "untagged":
            bot.tagged = not on
        elif fault == "stop_trading" and on:
            bot.stop_strategy(self.world)
            if bot.talks:
                self._hear_reports(bot, bot.empty_reports())
        elif fault == "stop_trading" and bot.is_up:
            bot.start_strategy(self.world)
