"""What to do about the bots that Hummingbot knows, given what the bridge knows now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db.models import Count, Q

from bots.models import Bot, BotDeployment, BotTemplate
from bots.rules.lost_bots import propose
from bots.rules.lost_facts import Instance, Known, KnownBot, KnownClient, Proposal, Remembered, our_id
from bots.rules.words import OPEN_DEPLOYMENTS, DesiredStatus, RuntimeKind
from bots.services.define_bot import template_of
from clients.models import Client
from ground.errors import Forbidden, InvalidInput
from ground.http import ExactJSONDecoder
from ground.scope import Scope
from ground.sql import fetch_all

# What each later entry changed lies over what the earlier ones said. A row that was deleted is remembered as it was.
_REMEMBERED = """
    SELECT row_id, id, action, coalesce(after, before)::text FROM audit_log
     WHERE table_name = 'bots' AND row_id = ANY(%s) ORDER BY id
"""


def known_instances(scope: Scope) -> frozenset[str]:
    """The instances that are deployments of bots."""
    with scope.transaction():
        names = BotDeployment.objects.exclude(instance_name="").values_list("instance_name", flat=True)
        return frozenset(names)


def propose_recovery(
    *, scope: Scope, found: Mapping[str, Sequence[Instance]], owners: Mapping[str, str] | None = None
) -> list[Proposal]:
    """A proposal for each bot found, in the order of their names. ``owners`` gives an account by instance name, or by
    the name of a whole bot. Raises Forbidden unless an operator asks, InvalidInput for an account nobody has."""
    if not (scope.is_operator and scope.can_manage):
        raise Forbidden("Only an operator recovers definitions.")
    known = _load_known(scope, found)
    by_account = {client.account: client for client in known.clients}
    chosen = dict(owners or {})
    if unknown := sorted(set(chosen.values()) - set(by_account)):
        raise InvalidInput(f"No client has the account {unknown[0]!r}.", code="unknown_account")
    proposals = []
    for key, instances in found.items():
        account = next((chosen[name] for name in (key, *(one.name for one in instances)) if name in chosen), None)
        proposals.append(propose(instances, known, client=by_account[account] if account else None))
    return proposals


def _load_known(scope: Scope, found: Mapping[str, Sequence[Instance]]) -> Known:
    ids = [bot_id for key in found if (bot_id := our_id(key))]
    with scope.transaction():
        clients = Client.objects.filter(retired_at=None, deletion_requested_at=None).order_by("account_identifier")
        is_open = Q(deployments__status__in=[str(status) for status in OPEN_DEPLOYMENTS])
        bots = Bot.objects.annotate(all_n=Count("deployments"), open_n=Count("deployments", filter=is_open))
        awaited = BotDeployment.objects.filter(instance_name="", status__in=OPEN_DEPLOYMENTS)
        return Known(
            clients=[KnownClient(id=row.id, account=row.account_identifier) for row in clients],
            bots=[_known_bot(row) for row in bots],
            instances=known_instances(scope),
            awaited=frozenset(awaited.values_list("requested_name", flat=True)),
            remembered=_remembered(ids),
            templates=[template_of(row) for row in BotTemplate.objects.filter(is_enabled=True)],
        )


def _known_bot(row: Bot) -> KnownBot:
    return KnownBot(
        id=row.id,
        client_id=row.client_id,
        name=row.name,
        connector=row.connector_name,
        pair=row.pair,
        strategy=row.strategy,
        runs_in_hummingbot=row.runtime_kind == RuntimeKind.HUMMINGBOT,
        is_retired=row.retired_at is not None,
        has_deployment=row.all_n > 0,  # type: ignore[attr-defined]
        has_open=row.open_n > 0,  # type: ignore[attr-defined]
        wish=DesiredStatus(row.desired_status),
    )


def _remembered(ids: Sequence[UUID]) -> dict[UUID, Remembered]:
    merged: dict[UUID, Remembered] = {}
    for row_id, entry, action, text in fetch_all(_REMEMBERED, [[str(bot_id) for bot_id in ids]]):
        bot_id, values = UUID(row_id), json.loads(text or "{}", cls=ExactJSONDecoder)
        before = merged.get(bot_id)
        whole = {**(before.values if before else {}), **values}
        client = whole.get("client_id")
        merged[bot_id] = Remembered(
            client_id=UUID(client) if client else None,
            values=whole,
            entry=entry if before is None or action != "DELETE" else before.entry,
            was_retired=bool(whole.get("retired_at")),
        )
    return merged
