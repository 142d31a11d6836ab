"""Whose the imported rows will be: each user of the arena is a client, each bot a bot of it with an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from bots.models import Bot, BotHealth
from bots.rules.words import DesiredStatus, RuntimeKind
from clients.models import Client
from clients.rules.identifiers import account_identifier_from_name, check_account_identifier
from ground.errors import InvalidInput
from ground.sql import fetch_all, run
from ledger.models import BotAccount, KeptDocument
from ledger.rules.ids import named_id
from ledger.rules.words import Mode
from ledger.services.import_arena.heads import NOBODY, BotHead, User

CURRENCY = "USDT"
BENCHMARK = "BTC/USDT"
STARTED_OVER = "started_over"
"""The kind of the document that a bot's reset leaves, which names the bot that has its past."""
_NAME = "arena"  # of the connector and the strategy: neither exists, the arena itself executes

_ONLY_SYMBOLS = """
    SELECT bot, min(symbol) FROM (SELECT bot, symbol FROM arena_staging_orders UNION ALL
                                  SELECT bot, symbol FROM arena_staging_positions) s
     GROUP BY bot HAVING min(symbol) = max(symbol)
"""


@dataclass(slots=True)
class Target:
    """Where what a bot of the state has goes."""

    head: BotHead
    bot_id: UUID
    client_id: UUID
    account: str
    mode: Mode
    is_new: bool


class UnknownAccount(InvalidInput):
    """``--map`` names an account that does not exist."""

    code = "unknown_account"


def find_owners(
    heads: list[BotHead], users: Mapping[str, User], *, source: str, accounts: Mapping[str, str]
) -> list[Target]:
    """A target for each bot without a problem, its client, bot and account made where there are none. Nothing is started.

    Bots that cannot be taken get their problem. Raises UnknownAccount.
    """
    mapped = {user: _mapped(account) for user, account in accounts.items()}
    clients: dict[str, Client] = {}
    symbols = dict(fetch_all(_ONLY_SYMBOLS))
    targets: list[Target] = []
    for head in heads:
        if head.problem:
            continue
        if head.user_id not in clients:
            known = mapped.get(head.user_id) or _known_client(head.user_id, source)
            clients[head.user_id] = known or _make_client(users.get(head.user_id, User(head.user_id)), source)
        target = _target(head, clients[head.user_id], source=source, pair=symbols.get(head.index, BENCHMARK))
        if target and any(other.bot_id == target.bot_id for other in targets):
            head.problem = "A bot before it has the same id in this account; that one was taken."
        elif target:
            targets.append(target)
    return targets


def _mapped(account: str) -> Client:
    client = Client.objects.filter(account_identifier=account, retired_at=None).first()
    if client is None:
        raise UnknownAccount(f"No client found with account_identifier '{account}'")
    return client


def _known_client(user_id: str, source: str) -> Client | None:
    known = Client.objects.filter(source=source, source_id=user_id).first()
    if known is None and (own := _uuid(user_id)):
        known = Client.objects.filter(id=own).first()
    return known


def _make_client(user: User, source: str) -> Client:
    name = user.name or ("Arena" if user.source_id == NOBODY else f"Arena {user.source_id[:8]}")
    return Client.objects.create(
        id=named_id("client", source, user.source_id), name=name, account_identifier=_identifier(name, user.source_id),
        email=user.email, source=source, source_id=user.source_id,
    )  # fmt: skip


def _identifier(name: str, user_id: str) -> str:
    """One that is free: from the name, else with the user's id, else with a number."""
    made = account_identifier_from_name(name)[:50].strip("_")
    tail = account_identifier_from_name(user_id).removeprefix("client_")[:8].strip("_")
    for candidate in (made, f"{made}_{tail}", *(f"{made}_{number}" for number in range(2, 10_000))):
        try:
            check_account_identifier(candidate)
        except InvalidInput:
            continue
        if not Client.objects.filter(account_identifier=candidate, retired_at=None).exists():
            return candidate
    raise InvalidInput(f"No account_identifier is free for the arena's user {user_id[:40]}: give one with --map.")


def _target(head: BotHead, client: Client, *, source: str, pair: str) -> Target | None:
    bot = _known_bot(head, client, source)
    if client.retired_at or client.deletion_requested_at or (bot and (bot.retired_at or bot.deletion_requested_at)):
        head.problem = "It, or its client, was deleted here."
        return None
    if bot is not None and KeptDocument.objects.filter(bot=bot, kind=STARTED_OVER).exists():
        head.problem = (
            "It was started over here; what it did before stands with a bot of the past, and comes no second time."
        )
        return None
    if bot is not None and bot.client_id != client.id:
        head.notes.append("It belongs to another account since it was first imported, and stays there.")
        client = bot.client
    is_new = bot is None
    bot = bot or _make_bot(head, client, source=source, pair=pair)
    account, _ = BotAccount.objects.get_or_create(
        bot=bot, defaults={"client_id": client.id, "mode": head.mode, "currency": CURRENCY,
                           "allocated_capital": _capital(head)},
    )  # fmt: skip
    return Target(head, bot.id, client.id, client.account_identifier, Mode(account.mode), is_new)


def _known_bot(head: BotHead, client: Client, source: str) -> Bot | None:
    bots = Bot.objects.select_related("client")
    known = bots.filter(client=client, source=source, source_id=head.source_id).first()
    known = known or bots.filter(id=_bot_id(head, source)).first()
    if known is None and (own := _uuid(head.source_id)):
        known = bots.filter(id=own, client=client).first()
    return known


def _bot_id(head: BotHead, source: str) -> UUID:
    return named_id("bot", source, head.user_id, head.source_id)


def _make_bot(head: BotHead, client: Client, *, source: str, pair: str) -> Bot:
    bot = Bot.objects.create(
        id=_bot_id(head, source), client=client, connector_name=_NAME, name=head.name, pair=pair, strategy=_NAME,
        runtime_kind=RuntimeKind.ARENA, desired_status=DesiredStatus.CREATED, source=source, source_id=head.source_id,
    )  # fmt: skip
    BotHealth.objects.create(bot=bot, client_id=client.id)
    return bot


def _capital(head: BotHead) -> str | None:
    return None if head.initial_balance is None or head.initial_balance.startswith("-") else head.initial_balance


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def lock_accounts(targets: list[Target]) -> None:
    """Lock every bot's account, in order of their ids, as whoever writes their trades does."""
    run(
        "SELECT 1 FROM bot_accounts WHERE bot_id = ANY(%s) ORDER BY bot_id FOR UPDATE",
        [[target.bot_id for target in targets]],
    )
