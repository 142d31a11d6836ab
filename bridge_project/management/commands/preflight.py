"""Say before a redeploy which bots hold positions or open orders, and what stopping would mean."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from bridge_project.use_cases.preflight import BotAtRisk, Preflight, preflight
from bridge_project.use_cases.preflight_words import Risk
from exchanges.gateways.configured import configured_gateways
from ground.errors import BridgeError
from ground.scope import system_scope


class Command(BaseCommand):
    help = "Says which bots hold positions or open orders, and what stopping would mean. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="The same for programs.")
        parser.add_argument(
            "--strict", action="store_true", help="End with 1 unless nothing is held and nothing is unfinished."
        )
        parser.add_argument("--seconds", type=float, default=60.0, help="How long exchanges are asked at most.")

    def handle(self, *args: Any, as_json: bool, strict: bool, seconds: float, **options: Any) -> None:
        try:
            found = preflight(
                scope=system_scope("preflight"), gateways=configured_gateways(), now=timezone.now(), most_s=seconds
            )
        except BridgeError as error:
            raise CommandError(error.message) from None
        if as_json:
            self.stdout.write(json.dumps(found.to_json(), indent=2))
        else:
            self._tell(found)
        if strict and not found.is_clear:
            sys.exit(1)

    def _tell(self, found: Preflight) -> None:
        for bot in found.bots:
            if bot.meaning.risk != Risk.CLEAR:
                self._tell_of(bot)
        for sentence in found.unfinished:
            self.stdout.write(f"Unfinished: {sentence}")
        self.stdout.write(
            f"{len(found.bots)} bots run or hold something: {found.count(Risk.HOLDS)} with positions or orders, "
            f"{found.count(Risk.UNKNOWN)} whose orders could not be read, {found.count(Risk.CLEAR)} with nothing."
        )
        if found.is_clear:
            self.stdout.write("Nothing is at risk.")

    def _tell_of(self, bot: BotAtRisk) -> None:
        told = bot.meaning
        self.stdout.write(f"{bot.name} of {bot.account} ({bot.pair} on {bot.exchange}, {bot.status}): {told.holds}")
        self.stdout.write(f"    if the bridge stops:   {told.if_bridge_stops}")
        self.stdout.write(f"    if the bot is stopped: {told.if_bot_stops}")
        self.stdout.write(f"    if Hummingbot stops:   {told.if_hummingbot_stops}")
