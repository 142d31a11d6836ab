"""Model providers and bots of the arena from one file, as the admin's forms make them. What is there already stays."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from arena.models import LlmProvider, Participant
from arena.rules.statuses import ProviderKind
from arena.services.participants import CHANGEABLE, create_participant
from arena.services.providers import create_provider
from arena.services.settings_row import arena_settings
from bots.services.start_bot import start_bot
from clients.models import Client
from ground.errors import BridgeError
from ground.http import ExactJSONDecoder
from ground.scope import Scope
from ledger.services.settings_row import ledger_settings

SCOPE = Scope(actor="command:load_arena")
THERE = "is there already"
OF_PROVIDERS = {"name", "kind", "model", "base_url", "prices", "timeout_s", "client", "api_key_env"}
OF_PARTICIPANTS = {"account", "name", "prompt", "provider", "fallback", "starting_balance", "start", *CHANGEABLE}


class Command(BaseCommand):
    help = (
        "Makes model providers and bots of the arena from a JSON file: "
        '{"providers": [{"name", "kind", "model", "api_key_env", "client"?, "base_url"?, "prices"?}], '
        '"participants": [{"account", "name", "prompt", "provider", "symbols"?, "turn_interval_s"?, "start"?, limits}], '
        '"settings": {"is_public"?, "symbols"?, ..., "snapshot_minutes"?}}. Settings change only where a bot is made with them. '
        "A provider without a client is shared with all; its key is read from the environment variable it names."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="- is standard input.")

    def handle(self, *args: Any, **options: Any) -> None:
        given, came_to = _read(options["file"]), set()
        try:
            for row in _rows(given, "providers", OF_PROVIDERS):
                self.stdout.write(f"provider {row.get('name')}: {_provider(row)}")
            for row in _rows(given, "participants", OF_PARTICIPANTS):
                said = _participant(row)
                came_to.add(said)
                self.stdout.write(f"bot {row.get('name')}: {said}")
            if given.get("settings") and came_to - {THERE}:
                self.stdout.write(f"settings: {_settings(given['settings'])}")
        except BridgeError as error:
            raise CommandError(error.message) from None


def _read(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        given = json.loads(text, cls=ExactJSONDecoder)
    except (OSError, ValueError) as error:
        raise CommandError(f"{name} cannot be read as JSON: {error}.") from None
    if not isinstance(given, dict) or given.keys() - {"providers", "participants", "settings"}:
        raise CommandError('The file must hold one object with "providers", "participants" and "settings".')
    return given


def _rows(given: dict[str, Any], name: str, known: set[str]) -> list[dict[str, Any]]:
    rows = given.get(name, [])
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise CommandError(f'"{name}" must be a list of objects with a name.')
        if unknown := sorted(row.keys() - known):
            raise CommandError(
                f"{row['name']}: {', '.join(unknown)} is not known; there are {', '.join(sorted(known))}."
            )
    return list(rows)


def _provider(row: dict[str, Any]) -> str:
    client = _client(row["client"]) if row.get("client") else None
    if LlmProvider.objects.filter(client=client, name=row["name"], retired_at=None).exists():
        return THERE
    more = {name: row[name] for name in ("base_url", "prices", "timeout_s") if name in row}
    create_provider(
        scope=SCOPE, name=row["name"], kind=ProviderKind(row.get("kind", "")), model=row.get("model", ""),
        api_key=os.environ.get(row.get("api_key_env", ""), ""), client_id=client.pk if client else None,
        is_shared=client is None, **more,
    )  # fmt: skip
    return "made"


def _participant(row: dict[str, Any]) -> str:
    account = str(row.get("account", ""))
    rows = Participant.objects.filter(bot__name=row["name"], bot__client__account_identifier=account)
    if rows.filter(bot__retired_at=None).exists():
        return THERE
    settings = {name: row[name] for name in CHANGEABLE if name in row}
    for column, word in (("provider_id", "provider"), ("fallback_id", "fallback")):
        if row.get(word):
            settings[column] = _provider_id(row[word], account)
    if "starting_balance" in row:
        settings["starting_balance"] = row["starting_balance"]
    made = create_participant(
        scope=SCOPE,
        account=account,
        name=row["name"],
        prompt=str(row.get("prompt", "")),
        now=timezone.now(),
        **settings,
    )
    if row.get("start"):
        start_bot(scope=SCOPE, bot_id=made.bot_id, now=timezone.now())
    return "made and started" if row.get("start") else "made"


def _settings(given: Any) -> str:
    """Change the arena's settings, and how often the ledger records equity; the names of what was changed."""
    if not isinstance(given, dict):
        raise CommandError('"settings" must be an object.')
    own = {name: value for name, value in given.items() if name != "snapshot_minutes"}
    changes = [(arena_settings, own), (ledger_settings, {name: given[name] for name in given.keys() - own.keys()})]
    with SCOPE.transaction(reason="settings loaded"):
        for row, values in ((read(), values) for read, values in changes if values):
            if unknown := sorted(values.keys() - {field.name for field in row._meta.concrete_fields} - {"id"}):
                raise CommandError(f"settings: {', '.join(unknown)} is not known.")
            for name, value in values.items():
                setattr(row, name, value)
            try:
                row.full_clean(validate_unique=False)
            except ValidationError as error:
                raise CommandError(f"settings: {'; '.join(error.messages)}") from None
            row.save()
    return f"{', '.join(sorted(given))} changed"


def _client(account: str) -> Client:
    client = Client.objects.filter(account_identifier=account, retired_at=None).first()
    if client is None:
        raise CommandError(f"No client found with account_identifier '{account}'")
    return client


def _provider_id(name: str, account: str) -> Any:
    """The client's own of that name, else a shared one."""
    rows = LlmProvider.objects.filter(name=name, retired_at=None)
    found = rows.filter(client__account_identifier=account).first() or rows.filter(client=None, is_shared=True).first()
    if found is None:
        raise CommandError(f"There is no model provider {name} of this client's, and none that is shared.")
    return found.pk
