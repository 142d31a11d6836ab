"""One look at everything Hummingbot lists, and what it left behind of a deployment whose answer was lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from bots.gateways.hummingbot import HummingbotGateway
from bots.rules.names import instances_of
from bots.types import Container, Sighting
from ground.errors import GatewayError

_RUNS_PER_PAGE = 100
_MOST_PAGES = 5


def look(gateway: HummingbotGateway, *, now: datetime) -> Sighting:
    """Statuses and containers. Raises a GatewayError without statuses; container lists that cannot be read are None."""
    statuses = gateway.statuses()
    return Sighting(
        statuses=statuses,
        active=_names(gateway.active_containers),
        exited=_names(gateway.exited_containers),
        at=now,
    )


def find_instances(gateway: HummingbotGateway, requested_name: str, *, sent_at: datetime) -> list[str]:
    """Names Hummingbot made of this requested one, oldest first: among live bots, containers and its log of deploys.

    Raises a GatewayError unless every one of these places could be searched.
    """
    names = set(gateway.statuses())
    names |= {container.name for container in gateway.active_containers()}
    names |= {container.name for container in gateway.exited_containers()}
    found = instances_of(requested_name, names)
    return found or instances_of(requested_name, _deployed_since(gateway, sent_at - timedelta(days=1)))


def _deployed_since(gateway: HummingbotGateway, since: datetime) -> set[str]:
    names: set[str] = set()
    for page in range(_MOST_PAGES):
        runs = gateway.bot_runs(limit=_RUNS_PER_PAGE, offset=page * _RUNS_PER_PAGE)
        names |= {run.instance_name for run in runs}
        if len(runs) < _RUNS_PER_PAGE or (runs[-1].deployed_at or since) < since:
            break
    return names


def _names(read: Callable[[], tuple[Container, ...]]) -> frozenset[str] | None:
    try:
        return frozenset(container.name for container in read())
    except GatewayError:
        return None
