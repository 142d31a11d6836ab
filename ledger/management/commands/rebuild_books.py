"""Book the executions of live bots again, compare what follows with what is stored, and put it right."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ground.errors import BridgeError
from ground.scope import system_scope
from ledger.services.rebuild_books import bots_with_books, rebuild_books

SHOWN_PER_BOT = 100


class Command(BaseCommand):
    help = (
        "Books every execution of the bots' exchanges again and prints what is stored otherwise: results, positions, "
        "balances. A bot at a time, while nobody else writes for it. Ends with 1 if something was not repaired."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bot", metavar="ID", type=UUID, help="Only this bot's books.")
        parser.add_argument("--fix", action="store_true", help="Make right what differs.")

    def handle(self, *args: Any, bot: UUID | None, fix: bool, **options: Any) -> None:
        scope = system_scope("ledger")
        try:
            bots = bots_with_books(scope=scope, bot_id=bot)
            count = sum(self._rebuild(scope, bot_id, fix=fix) for bot_id in bots)
        except BridgeError as error:
            raise CommandError(error.message) from None
        if not count:
            self.stdout.write("Everything is what the executions give.")
        elif fix:
            self.stdout.write(f"{count} values differed and are repaired.")
        else:
            raise CommandError(f"{count} values differ; --fix repairs them.")

    def _rebuild(self, scope: Any, bot_id: UUID, *, fix: bool) -> int:
        differences = rebuild_books(scope=scope, bot_id=bot_id, now=timezone.now(), fix=fix).differences
        if differences:
            self.stdout.write(f"bot {bot_id}, {len(differences)} differences:")
        for difference in differences[:SHOWN_PER_BOT]:
            self.stdout.write(f"  {difference}")
        if len(differences) > SHOWN_PER_BOT:
            self.stdout.write(f"  and {len(differences) - SHOWN_PER_BOT} more")
        return len(differences)
