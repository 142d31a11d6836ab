"""Doing what was proposed for one bot that Hummingbot knows: its definition and its deployments, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Max

from bots.models import Bot, BotDeployment, BotHealth
from bots.rules.lost_facts import IS_UP, Action, Instance, Life, Proposal, requested_of, sequence_of
from bots.rules.templates import validate_config
from bots.rules.words import DeploymentStatus, DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from bots.services.deployments import nudge_workers, open_one
from bots.services.find_connector import find_connector
from bots.services.manage_bots import lock_bot
from bots.services.store_wish import store_wish
from clients.services.manage_accounts import connector_name as stored_name
from clients.services.manage_clients import lock_client
from ground.errors import BridgeError, Conflict, InvalidInput
from ground.scope import Scope, on_commit

SOURCE = "hummingbot"
"""Of definitions made from what Hummingbot knew; ``source_id`` is the bot's name there, so that none is made twice."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of one proposal."""

    key: str
    action: Action
    says: str
    bot_id: UUID | None = None
    was_refused: bool = False


def recover_definition(*, scope: Scope, proposal: Proposal, now: datetime) -> Recovered:
    """Carry the proposal out, or say why not: nothing of it stays then. Safe twice and at the same time."""
    if proposal.action == Action.SKIP or proposal.client_id is None:
        return Recovered(proposal.key, Action.SKIP, proposal.why)
    reason = f"definition recovered from Hummingbot ({proposal.current.name})"
    try:
        with scope.transaction(reason=reason[:300]):
            lock_client(proposal.client_id)
            _check_nobody_was_faster(proposal)
            is_new = proposal.action == Action.CREATE
            bot = _made(scope, proposal, now) if is_new else _found(scope, proposal, now)
            _add_deployments(scope, bot, proposal, now)
            on_commit(nudge_workers)
    except BridgeError as error:
        return Recovered(proposal.key, proposal.action, error.message, was_refused=True)
    word = {Action.CREATE: "created", Action.ADOPT: "adopted", Action.LINK: "linked"}[proposal.action]
    return Recovered(proposal.key, proposal.action, f"{word}: {bot.name} ({bot.pair})", bot_id=bot.id)


def _check_nobody_was_faster(proposal: Proposal) -> None:
    if BotDeployment.objects.filter(instance_name=proposal.current.name).exists():
        raise Conflict("It is managed meanwhile.", code="managed_already")


def _found(scope: Scope, proposal: Proposal, now: datetime) -> Bot:
    assert proposal.bot_id is not None  # noqa: S101 - of every proposal that adopts or links
    bot = lock_bot(scope, proposal.bot_id)
    if open_one(bot.id) is not None:
        raise Conflict(f"{bot.name} has a deployment meanwhile.", code="managed_already")
    wish = proposal.fields["wish"]
    if wish.value == DesiredStatus.RUNNING and bot.desired_status == DesiredStatus.CREATED:
        store_wish(
            bot, desired=DesiredStatus.RUNNING, said=ReportedStatus.RUNNING, actor=scope.actor, now=now,
            reason=f"recovered from Hummingbot: {wish.source}",
        )  # fmt: skip
    return bot


def _made(scope: Scope, proposal: Proposal, now: datetime) -> Bot:
    assert proposal.client_id is not None  # noqa: S101 - checked by the caller
    known = Bot.objects.filter(client_id=proposal.client_id, source=SOURCE, source_id=proposal.key[:200])
    bot_id = proposal.bot_id or uuid4()
    if known.exists() or Bot.objects.filter(id=bot_id).exists():
        raise Conflict("Its definition was made meanwhile.", code="defined_already")
    config = proposal.value("config")
    validate_config(None, config)  # only that it can be stored: it ran as it is
    given = stored_name(proposal.value("connector"))
    try:
        connector, given = find_connector(client_id=proposal.client_id, name=given, connector_id=None)
    except InvalidInput:
        connector = None  # several fit: an operator chooses
    wish = DesiredStatus(proposal.value("wish"))
    runs = wish == DesiredStatus.RUNNING
    bot = Bot(
        id=bot_id, client_id=proposal.client_id, connector=connector, connector_name=given,
        name=str(proposal.value("name"))[:200], pair=proposal.value("pair"), strategy=str(proposal.value("strategy"))[:64],
        config=config, runtime_kind=RuntimeKind.HUMMINGBOT, source=SOURCE, source_id=proposal.key[:200],
        desired_status=wish, desired_at=now, desired_by=scope.actor,
        desired_reason=f"recovered from Hummingbot: {proposal.fields['wish'].source}"[:300],
        reported_status=ReportedStatus.RUNNING if runs else ReportedStatus.STOPPED, reported_at=now,
        reported_by=scope.actor, **_minutes(proposal),
    )  # fmt: skip
    bot.save(force_insert=True)
    BotHealth.objects.create(
        bot=bot, client_id=bot.client_id, status=HealthStatus.UNKNOWN if runs else HealthStatus.STOPPED,
        message=f"recovered by {scope.actor}, not checked yet"[:500],
    )  # fmt: skip
    return bot


def _minutes(proposal: Proposal) -> dict[str, Any]:
    return {name: proposal.value(name) for name in ("stale_minutes", "stopped_minutes") if name in proposal.fields}


def _add_deployments(scope: Scope, bot: Bot, proposal: Proposal, now: datetime) -> None:
    """Each instance becomes a deployment; the one that counts is the newest of them."""
    last = BotDeployment.objects.filter(bot_id=bot.id).aggregate(last=Max("sequence"))["last"] or 0
    known = set(BotDeployment.objects.filter(bot_id=bot.id).values_list("instance_name", flat=True))
    older = [one for one in proposal.instances if one is not proposal.current and one.name not in known]
    for one in (*older, proposal.current):
        last = max(sequence_of(one.name) or 0, last + 1)
        _add_deployment(scope, bot, one, sequence=last, is_current=one is proposal.current, now=now)


def _add_deployment(
    scope: Scope, bot: Bot, instance: Instance, *, sequence: int, is_current: bool, now: datetime
) -> None:
    status = DeploymentStatus.ENDED
    if instance.life in IS_UP:
        # An older one that is up beside it is taken down: never two of a bot.
        status = DeploymentStatus.LIVE if is_current else DeploymentStatus.RETIRING
    BotDeployment.objects.create(
        bot=bot, client_id=bot.client_id, sequence=sequence, status=status, requested_name=requested_of(instance.name)[:120],
        instance_name=instance.name, config=bot.config, was_adopted=True, requested_by=scope.actor,
        message="Recovered from Hummingbot.", sent_at=_sent_at(instance, status, now),
        confirmed_at=now if status == DeploymentStatus.LIVE and instance.life == Life.RUNNING else None,
        ended_at=None if instance.life in IS_UP else instance.stopped_at or now, due_at=now,
    )  # fmt: skip


def _sent_at(instance: Instance, status: DeploymentStatus, now: datetime) -> datetime:
    """One whose strategy may run has from now on as long to report as a new one, before it is taken for one that failed."""
    is_awaited = status == DeploymentStatus.LIVE and instance.life == Life.UP
    return now if is_awaited else instance.deployed_at or now
