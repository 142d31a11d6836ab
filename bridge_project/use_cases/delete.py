"""Deleting a bot or a client: at once when nothing runs and nothing is held, else (only if an operator insists) after all
has stopped."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import structlog

from bots import selectors
from bots.models import Bot
from bots.services.manage_bots import delete_bot, is_at_rest, lock_bot, retire_bot
from bots.services.stop_bot import stop_bot
from clients.models import ApiKey, Client, Connector, Wallet
from clients.rules.words import ClientStatus
from clients.services.manage_accounts import erased
from clients.services.manage_clients import lock_client
from ground.errors import BridgeError, Conflict, Forbidden
from ground.scope import Scope
from ledger.selectors.known import bots_with_open_positions

log = structlog.get_logger(__name__)

DELETED, DELETING = "deleted", "deleting"


def delete_client(*, scope: Scope, client_id: UUID, force: bool, now: datetime) -> str:
    """Retire a client with its bots: ``deleted``, or with force ``deleting`` until its bots are confirmed stopped.

    Raises NotFound, Conflict while a bot of it runs or holds a position (without force), Forbidden for force by a client.
    """
    _check_force(scope, force)
    with scope.transaction(reason="client deleted"):
        client = Client.objects.select_for_update().get(id=client_id) if force else lock_client(client_id)
        running = _running_bots(scope, client_id)
        if not running:
            if not force:
                _check_holds_nothing(Bot.objects.filter(client_id=client_id, retired_at=None))
            _retire_client(client, now=now)
            return DELETED
        if not force:
            names = ", ".join(sorted(bot.name for bot in running)[:5])
            raise Conflict(f"{len(running)} of its bots run ({names}); stop them first.", code="bots_running")
        client.deletion_requested_at, client.deletion_requested_by = now, scope.actor
        client.status = ClientStatus.DELETING
        client.save(update_fields=["deletion_requested_at", "deletion_requested_by", "status"])
    for bot in running:
        _stop(scope, bot.id, now)
    return DELETING


def delete_bot_or_stop_first(*, scope: Scope, bot_id: UUID, force: bool, now: datetime) -> str:
    """Retire a bot: ``deleted``, or with force ``deleting`` until it is confirmed stopped. Raises as delete_client."""
    _check_force(scope, force)
    with scope.transaction(reason="bot deleted"):
        bot = lock_bot(scope, bot_id)
        at_rest = is_at_rest(bot, selectors.bot_status(scope, bot_id))
        if at_rest and not force:
            _check_holds_nothing([bot])
        if at_rest or not force:
            delete_bot(scope=scope, bot_id=bot_id, now=now)
            return DELETED
        bot.deletion_requested_at, bot.deletion_requested_by = now, scope.actor
        bot.save(update_fields=["deletion_requested_at", "deletion_requested_by"])
    _stop(scope, bot_id, now)
    return DELETING


def finish_deletions(*, scope: Scope, now: datetime) -> int:
    """Retire what was asked to be deleted and has come to rest; returns how many rows. Safe to run twice."""
    finished = 0
    with scope.transaction(reason="deletion finished"):
        for bot in Bot.objects.select_for_update(skip_locked=True).filter(
            retired_at=None, deletion_requested_at__isnull=False
        ):
            if is_at_rest(bot, selectors.bot_status(scope, bot.id)):
                retire_bot(bot, now=now)
                finished += 1
        for client in Client.objects.select_for_update(skip_locked=True).filter(
            retired_at=None, deletion_requested_at__isnull=False
        ):
            if not _running_bots(scope, client.id):
                _retire_client(client, now=now)
                finished += 1
    return finished


def _check_force(scope: Scope, force: bool) -> None:
    if force and not scope.is_operator:
        raise Forbidden("Only an operator may delete what still runs.")


def _check_holds_nothing(bots: Iterable[Bot]) -> None:
    by_id = {bot.id: bot for bot in bots}
    holding = bots_with_open_positions(by_id)
    if holding:
        names = ", ".join(sorted(by_id[bot_id].name for bot_id in holding)[:5])
        raise Conflict(
            f"{len(holding)} of the bots hold an open position ({names}); close it first, or have an operator insist.",
            code="open_positions",
        )


def _running_bots(scope: Scope, client_id: UUID) -> list[Bot]:
    bots = Bot.objects.select_for_update().filter(client_id=client_id, retired_at=None)
    return [bot for bot in bots if not is_at_rest(bot, selectors.bot_status(scope, bot.id))]


def _retire_client(client: Client, *, now: datetime) -> None:
    """Wallets go, credentials are erased, keys are revoked; the rows that ledger and audit point at stay, retired."""
    Wallet.objects.filter(client=client).delete()
    Connector.objects.filter(client=client, retired_at=None).update(**erased())
    ApiKey.objects.filter(client=client, revoked_at=None).update(revoked_at=now)
    Bot.objects.filter(client=client, retired_at=None).update(retired_at=now)
    client.retired_at = now
    client.save(update_fields=["retired_at"])


def _stop(scope: Scope, bot_id: UUID, now: datetime) -> None:
    try:
        stop_bot(scope=scope, bot_id=bot_id, now=now)
    except BridgeError as error:  # the wish to stop is stored; the workers go on
        log.warning("stop_before_deletion_delayed", bot=str(bot_id), reason=error.message)
