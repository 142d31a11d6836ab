"""Everything between an empty or older database and a running product, in one process so that a start stays quick."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection
from django.utils import timezone

from bots.services.ship_templates import ship_templates
from bridge_project.installation import (
    WrongDatabase,
    check_encryption_keys,
    make_first_operator,
    remembered_credentials,
)
from ground.errors import BridgeError
from ground.scope import system_scope
from health.services.watch import note_boot
from strategies.services.watch_hummingbot import restore_at_boot


class Command(BaseCommand):
    help = "Checks the database, migrates it, and on the first run makes an operator with a password and an API key."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="The address people will open.")
        parser.add_argument("--credentials-file", default=str(settings.BRIDGE_HOME / "credentials.json"))
        parser.add_argument("--no-first-run", action="store_true", help="Make no operator (a release of a deployment).")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._prepare(**options)
        except (BridgeError, WrongDatabase) as error:
            raise CommandError(str(error)) from None
        except OperationalError as error:
            raise CommandError(f"The database cannot be used: {_first_line(error)}") from None

    def _prepare(self, *, url: str, credentials_file: str, no_first_run: bool, verbosity: int, **_: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        check_encryption_keys()
        ship_templates(scope=system_scope("start"))
        note_boot(scope=system_scope("start"), now=timezone.now())
        if settings.HUMMINGBOT_API_URL:
            spacing_s = settings.STRATEGY_RESTORE_SPACING_SECONDS
            restore_at_boot(scope=system_scope("start"), spacing_s=spacing_s, now=timezone.now())
        if no_first_run:
            return
        path = Path(credentials_file)
        made = make_first_operator(url=url, path=path)
        if made:
            self.stdout.write("")
            self.stdout.write(f"  Trading Bridge   {made['url']}")
            self.stdout.write(f"  operator         {made['username']}")
            self.stdout.write(f"  password         {made['password']}")
            self.stdout.write(f"  API key          {made['api_key']}")
            self.stdout.write(f"  kept in          {path}")
            self.stdout.write("")
        elif remembered_credentials(path, url=url):
            self.stdout.write(f"Operator and API key: {path}")
        connection.close()


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    password = os.environ.get("DATABASE_URL", "")
    return (text[0] if text else "no answer").replace(password, "…") if password else "no answer"
