"""Bots, prompts and model providers that an import kept become participants. Run as often as one likes: what was adopted
stays as it is, also where somebody has changed it since; only what was missing is filled in."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from arena.models import LlmProvider, Participant
from arena.rules.imported import ImportedBot, read_bot, read_provider
from arena.services.prompts import add_version
from bots.models import Bot
from bots.rules.words import RuntimeKind
from clients.rules.identifiers import key_hint
from ground.errors import InvalidInput
from ground.scope import Scope
from ground.sql import fetch_all
from ledger.models import BotAccount, KeptDocument
from ledger.rules.arena_shape import exact_value
from ledger.rules.words import Mode

_BOT_KEYS = ("prompt", "provider", "provider_id", "providerId", "model", "isPaused", "is_paused")
_WAITING = """
    SELECT b.id FROM bots b JOIN bot_accounts a ON a.bot_id = b.id AND a.mode = 'paper'
      LEFT JOIN arena_participants p ON p.bot_id = b.id
     WHERE b.runtime_kind = 'arena' AND b.retired_at IS NULL AND b.source <> ''
       AND (p.bot_id IS NULL OR p.prompt_id IS NULL OR p.provider_id IS NULL) ORDER BY b.id
"""


@dataclass(slots=True)
class Adopted:
    """What became of an import: how many, and a sentence for each thing that a person has to look at."""

    participants: int = 0
    providers: int = 0
    notes: list[str] = field(default_factory=list)


def adopt_imported(*, scope: Scope, now: datetime) -> Adopted:
    """Make providers of kept ones and participants of imported bots that trade on paper. Nothing is started.

    A provider that named no user belongs to the client whose bots alone use it, else to the operators, who share it or not.
    """
    done = Adopted()
    with scope.transaction(reason="imported bots adopted"):
        waiting = [row[0] for row in fetch_all(_WAITING)]
        kept = _kept_bots(waiting)
        bots = Bot.objects.in_bulk(waiting)
        _adopt_providers({bot_id: bots[bot_id] for bot_id in kept}, kept, done)
        for bot_id in waiting:
            _adopt_bot(scope, bots[bot_id], kept.get(bot_id, ImportedBot()), done, now=now)
        live = BotAccount.objects.filter(
            mode=Mode.LIVE, bot__runtime_kind=RuntimeKind.ARENA, bot__retired_at=None
        ).count()
        if live:
            done.notes.append(f"{live} bots of the old arena traded live; they stay records.")
    return done


def _kept_bots(bot_ids: list[UUID]) -> dict[UUID, ImportedBot]:
    """What was kept of these bots: their keys in the state, before their row in a table."""
    fields: dict[UUID, dict[str, Any]] = defaultdict(dict)
    rows = KeptDocument.objects.filter(bot_id__in=bot_ids, kind__in=("bot", "bot_row")).order_by("-kind")
    for bot_id, kind, key, body in rows.values_list("bot_id", "kind", "key", "body"):
        value = exact_value(body)
        if kind == "bot_row" and isinstance(value, dict):
            fields[bot_id] |= {name: value[name] for name in _BOT_KEYS if value.get(name) is not None}
        elif kind == "bot" and key in _BOT_KEYS:
            fields[bot_id][key] = value
    return {bot_id: read_bot(found) for bot_id, found in fields.items()}


def _adopt_providers(bots: dict[UUID, Bot], kept: dict[UUID, ImportedBot], done: Adopted) -> None:
    users: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    for bot_id, bot in bots.items():
        users[bot.source, kept[bot_id].provider].add(bot.client_id)
    for document in KeptDocument.objects.filter(kind="provider").order_by("source", "rank", "id"):
        clients = users.get((document.source, document.key), set())
        client_id = document.client_id or (next(iter(clients)) if len(clients) == 1 else None)
        known = LlmProvider.objects.filter(source=document.source, source_id=document.key)
        if known.exists():
            _bring_key(known, document)
            continue
        try:
            _make_provider(document, client_id, done)
        except ValueError as error:
            done.notes.append(f"The provider {document.key} was left out: {error}.")


def _make_provider(document: KeptDocument, client_id: UUID | None, done: Adopted) -> None:
    body = exact_value(document.body)
    if not isinstance(body, dict):
        raise ValueError("what was kept of it is no object")
    found = read_provider(body, key=document.key, is_trusted=client_id is None)
    key = _key_of(document)
    LlmProvider.objects.create(
        client_id=client_id, name=_free_name(found.name, client_id), kind=found.kind, base_url=found.base_url,
        model=found.model, api_key=key or None, key_hint=key_hint(key) if key else "", is_enabled=bool(key),
        source=document.source, source_id=document.key,
    )  # fmt: skip
    done.providers += 1
    if not key:
        done.notes.append(f"The provider {found.name} came without a key: enter one and switch it on.")
    if client_id is None:
        done.notes.append(f"The provider {found.name} belongs to no one client: share it, or make one for each client.")


def _bring_key(known: Any, document: KeptDocument) -> None:
    """A later import took the key that was missing."""
    key = _key_of(document)
    if key:
        for row in known.filter(api_key=None, retired_at=None, tested_at=None):
            row.api_key, row.key_hint, row.is_enabled = key, key_hint(key), True
            row.save(update_fields=["api_key", "key_hint", "is_enabled"])


def _key_of(document: KeptDocument) -> str:
    return document.secret.open() if document.secret else ""


def _adopt_bot(scope: Scope, bot: Bot, kept: ImportedBot, done: Adopted, *, now: datetime) -> None:
    participant = Participant.objects.filter(bot=bot).first()
    if participant is None:
        participant = Participant(
            bot=bot, client_id=bot.client_id, is_paused=kept.is_paused, paused_at=now if kept.is_paused else None,
            paused_by="the old arena" if kept.is_paused else "", model="", next_turn_at=now, began_at=now, updated_at=now,
        )  # fmt: skip
        participant.save(force_insert=True)
        done.participants += 1
    if participant.provider_id is None and kept.provider:
        participant.provider = _usable(bot, kept.provider)
        if participant.provider is None:
            done.notes.append(f"{bot.name} has no provider: its old one, {kept.provider}, is not its client's to use.")
        else:
            participant.model = kept.model
            participant.save(update_fields=["provider", "model"])
    if participant.prompt_id is None:
        try:
            add_version(scope=scope, participant=participant, text=kept.prompt, note="imported", now=now)
        except InvalidInput as error:
            done.notes.append(f"{bot.name} has no prompt: {error.message}")


def _usable(bot: Bot, source_id: str) -> LlmProvider | None:
    rows = LlmProvider.objects.filter(source=bot.source, source_id=source_id, retired_at=None)
    return rows.filter(client_id=bot.client_id).first() or rows.filter(Q(client_id=None), is_shared=True).first()


def _free_name(name: str, client_id: UUID | None) -> str:
    taken = set(LlmProvider.objects.filter(Q(client_id=client_id), retired_at=None).values_list("name", flat=True))
    return next(one for one in (name, *(f"{name[:90]} {number}" for number in range(2, 10_000))) if one not in taken)
