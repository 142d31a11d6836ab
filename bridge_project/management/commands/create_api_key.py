"""Print a new API key: the key alone on the last line of standard output."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bots.models import Bot
from clients.models import Client
from clients.rules.words import KeyKind, KeyScope
from clients.selectors import as_uuid
from clients.services.keys import create_api_key
from ground.scope import Scope


class Command(BaseCommand):
    help = "Makes an API key for an operator, a client, or the heartbeats of one bot. It is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument("--operator", action="store_true")
        owner.add_argument("--client", metavar="ACCOUNT", help="The client's account_identifier.")
        owner.add_argument("--bot", metavar="ID", help="A bot's id: the key may only send its heartbeats.")
        parser.add_argument("--scope", choices=["read", "manage"], default=None)
        parser.add_argument("--name", default="", help="What it is for, shown in the admin.")

    def handle(self, *args: Any, **options: Any) -> None:
        who: dict[str, Any] = {"kind": KeyKind.OPERATOR, "key_scope": KeyScope(options["scope"] or "manage")}
        if options["client"]:
            client = Client.objects.filter(account_identifier=options["client"], retired_at=None).first()
            if client is None:
                raise CommandError(f"No client found with account_identifier '{options['client']}'")
            who = {"kind": KeyKind.CLIENT, "key_scope": KeyScope(options["scope"] or "read"), "client_id": client.id}
        elif options["bot"]:
            if options["scope"]:
                raise CommandError("A bot's key has no --scope: it may only send heartbeats.")
            bot_id = as_uuid(options["bot"])
            bot = Bot.objects.filter(id=bot_id, retired_at=None).first() if bot_id else None
            if bot is None:
                raise CommandError(f"No bot found with id '{options['bot']}'")
            who = {"kind": KeyKind.BOT, "key_scope": KeyScope.PING, "client_id": bot.client_id, "bot_id": bot.id}
        token = create_api_key(scope=Scope(actor="command:create_api_key"), name=options["name"], **who)
        self.stderr.write("This key is shown once; keep it safe.")
        self.stdout.write(token)
