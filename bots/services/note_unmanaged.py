"""The list of what is up in Hummingbot and belongs to no definition."""

from __future__ import annotations

from datetime import datetime

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import BotDeployment
from bots.models_lost import UnmanagedInstance
from bots.rules.lost_facts import advice, requested_of
from bots.rules.names import requested_by_us
from bots.rules.words import OPEN_DEPLOYMENTS
from ground.scope import system_scope
from ground.sql import run

NOTER = system_scope("recovery")

# Two that look at once write the same; an older look never takes back what a newer one saw.
_UPSERT = """
    INSERT INTO unmanaged_instances AS u (instance_name, is_ours, has_container, status, image, advice, first_seen_at,
                                          last_seen_at)
    VALUES (%(name)s, %(is_ours)s, %(has_container)s, %(status)s, %(image)s, %(advice)s, %(now)s, %(now)s)
    ON CONFLICT (instance_name) DO UPDATE SET has_container = excluded.has_container, status = excluded.status,
           image = excluded.image, advice = excluded.advice, last_seen_at = greatest(u.last_seen_at, excluded.last_seen_at)
"""


def note_unmanaged(*, gateway: HummingbotGateway, now: datetime) -> int:
    """Note what is up and unmanaged, and forget what is not any more; how many there are. Raises a GatewayError, and
    changes nothing, unless all lists can be read."""
    statuses = gateway.statuses()
    containers = {container.name: container for container in gateway.active_containers()}
    up = {*statuses, *(name for name in containers if requested_of(name) != name)}
    with NOTER.transaction(reason="looked for unmanaged bots"):
        managed = set(BotDeployment.objects.filter(instance_name__in=list(up)).values_list("instance_name", flat=True))
        awaited = set(
            BotDeployment.objects.filter(instance_name="", status__in=OPEN_DEPLOYMENTS).values_list(
                "requested_name", flat=True
            )
        )
        unmanaged = sorted(name for name in up - managed if requested_of(name) not in awaited)
        for name in unmanaged:
            status, container = statuses.get(name), containers.get(name)
            values = {
                "name": name[:200], "is_ours": requested_by_us(name) is not None, "now": now,
                "has_container": container is not None, "status": status.word[:32] if status else "",
                "image": container.image[:200] if container else "",
                "advice": advice(
                    is_ours=requested_by_us(name) is not None,
                    has_container=container is not None,
                    controllers=[report.controller for report in status.reports] if status else [],
                    is_watched=status is not None,
                )[:500],
            }  # fmt: skip
            run(_UPSERT, values)
        UnmanagedInstance.objects.filter(last_seen_at__lt=now).exclude(instance_name__in=unmanaged).delete()
    return len(unmanaged)
