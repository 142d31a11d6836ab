"""Containers that one deploy made twice: a proxy that repeats a request makes two bots trade with one client's money."""

from __future__ import annotations

from uuid import UUID

from structlog import get_logger

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import BotDeployment
from bots.rules.names import requested_by_us
from bots.types import Sighting
from ground.errors import GatewayError
from ground.scope import system_scope

log = get_logger(__name__)

DOUBLES = system_scope("doubles")


def take_down_doubles(sighting: Sighting, *, gateway: HummingbotGateway) -> int:
    """Stop and archive every running container that is not the one its deployment knows; returns how many there are.

    Its deployment's row says so before it is done. What cannot be done now is done at a later look, which finds it
    again. A container whose deployment has no instance yet, or that none of ours asked for, is left alone: it may be
    the one that a look-up is about to find.
    """
    doubles = _doubles(sighting)
    for name, deployment_id in doubles.items():
        if _note(name, deployment_id):
            log.warning("a deploy made two containers; the second is taken down", name=name)
        for take_down in (gateway.stop_strategy, gateway.stop_and_archive):
            try:
                take_down(name)
            except GatewayError as error:
                log.warning("a second container is not taken down yet", name=name, reason=error.message)
    return len(doubles)


def _doubles(sighting: Sighting) -> dict[str, UUID]:
    """Each second container's name, with the deployment that made it."""
    requested = {name: asked for name in sighting.active or () if (asked := requested_by_us(name))}
    with DOUBLES.transaction():
        rows = BotDeployment.objects.filter(requested_name__in=set(requested.values())).exclude(instance_name="")
        known = {row.requested_name: row for row in rows.only("id", "requested_name", "instance_name")}
    found = {name: known[asked] for name, asked in requested.items() if asked in known}
    return {name: row.id for name, row in found.items() if row.instance_name != name}


def _note(name: str, deployment_id: UUID) -> bool:
    """Once for each container; False where it stands there."""
    sentence = f"Hummingbot made a second container of it, {name}; it is taken down."[:500]
    with DOUBLES.transaction(reason="a deploy made two containers"):
        unsaid = BotDeployment.objects.filter(id=deployment_id).exclude(message=sentence)
        return bool(unsaid.update(message=sentence))
