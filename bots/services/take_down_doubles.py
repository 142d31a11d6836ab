"""Containers that one deploy made twice: a proxy that repeats a request makes two bots trade with one client's money."""

from __future__ import annotations

from contextlib import suppress

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

    What cannot be done now is done at a later look, which finds it again. A container whose deployment has no instance
    yet, or that none of ours asked for, is left alone: it may be the one that a look-up is about to find.
    """
    requested = {name: asked for name in sighting.active or () if (asked := requested_by_us(name))}
    with DOUBLES.transaction():
        known = dict(
            BotDeployment.objects.filter(requested_name__in=set(requested.values()))
            .exclude(instance_name="")
            .values_list("requested_name", "instance_name")
        )
    doubles = [name for name, asked in requested.items() if known.get(asked, name) != name]
    for name in doubles:
        log.warning("a deploy made two containers; the second is taken down", name=name)
        for take_down in (gateway.stop_strategy, gateway.stop_and_archive):
            with suppress(GatewayError):
                take_down(name)
    return len(doubles)
