"""Compare the statistics that triggers keep with what the rows give, and repair them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ground.errors import BridgeError
from ground.scope import system_scope
from ledger.services.recompute_statistics import Differing, recompute_statistics


class Command(BaseCommand):
    help = "Compares every kept statistic with its rows and prints what differs; ends with 1 if it was not repaired."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bot", metavar="ID", type=UUID, help="Only this bot's statistics.")
        parser.add_argument("--fix", action="store_true", help="Make right what differs.")

    def handle(self, *args: Any, bot: UUID | None, fix: bool, **options: Any) -> None:
        scope = system_scope("statistics")
        try:
            found = recompute_statistics(scope=scope, now=timezone.now(), bot_id=bot, fix=fix, tell=self._tell)
        except BridgeError as error:
            raise CommandError(error.message) from None
        count = sum(differing.count for differing in found)
        if not found:
            self.stdout.write("Every statistic is what its rows give.")
        elif fix:
            self.stdout.write(f"{count} figures of {len(found)} bots differed and are repaired.")
        else:
            raise CommandError(f"{count} figures of {len(found)} bots differ; --fix repairs them.")

    def _tell(self, differing: Differing) -> None:
        self.stdout.write(f"bot {differing.bot_id}, {differing.count} differences:")
        for difference in differing.differences:
            self.stdout.write(f"  {difference}")
        if differing.count > len(differing.differences):
            self.stdout.write(f"  and {differing.count - len(differing.differences)} more")
