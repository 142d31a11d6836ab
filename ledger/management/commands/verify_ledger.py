"""Hold every rule of the ledger against its rows."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ground.errors import BridgeError
from ground.scope import system_scope
from ledger.services.verify_ledger import Checked, ReplayHow, verify_ledger


class Command(BaseCommand):
    help = "Checks every rule of the ledger and names each row that breaks one; ends with 1 if there is any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bot", metavar="ID", type=UUID, help="Only this bot's rows.")
        parser.add_argument(
            "--replay-all", action="store_true", help="Book every live position again; this takes long."
        )

    def handle(self, *args: Any, bot: UUID | None, replay_all: bool, **options: Any) -> None:
        started = time.monotonic()
        how = ReplayHow.ALL if replay_all else ReplayHow.SOME
        try:
            found = verify_ledger(
                scope=system_scope("ledger"), now=timezone.now(), bot_id=bot, replay=how, tell=self._tell
            )
        except BridgeError as error:
            raise CommandError(error.message) from None
        count = sum(broken.count for checked in found for broken in checked.broken)
        took = f"in {time.monotonic() - started:.1f} s"
        if count:
            raise CommandError(f"{count} breaks were found {took}; each is an incident in the admin.")
        self.stdout.write(f"All is well: {sum(checked.rows for checked in found):,} rows were checked {took}.")

    def _tell(self, checked: Checked) -> None:
        word = "BROKEN" if checked.broken else "holds"
        self.stdout.write(f"{checked.check.name}: {word} ({checked.rows:,} rows; {checked.check.says})")
        for broken in checked.broken:
            self.stdout.write(f"  bot {broken.key}, {broken.count} breaks:")
            for line in broken.breaks:
                self.stdout.write(f"    {line}")
            if broken.count > len(broken.breaks):
                self.stdout.write(f"    and {broken.count - len(broken.breaks)} more")
