"""Which of a client's connectors a bot trades through."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from bots.models import Bot
from clients.models import Connector
from clients.services.manage_accounts import connector_name
from exchanges.names import resolve
from ground.errors import InvalidInput
from ground.scope import Scope


def find_connector(*, client_id: UUID, name: str, connector_id: UUID | None) -> tuple[Connector | None, str]:
    """What ``choose_connector`` says of this client's connectors."""
    own = list(Connector.objects.filter(client_id=client_id, retired_at=None))
    return choose_connector(own, name=name, connector_id=connector_id)


def choose_connector(own: list[Connector], *, name: str, connector_id: UUID | None) -> tuple[Connector | None, str]:
    """The connector that a name, or an id among several, means; and the name as it is stored.

    None where the client has none of that exchange yet. Raises InvalidInput for another's id, or where several fit.
    """
    stored = connector_name(name)
    fitting = _fitting(stored, own)
    if connector_id is not None:
        chosen = next((c for c in fitting if c.id == connector_id), None)
        if chosen is None:
            raise InvalidInput(
                f"connector_id names no {stored} connector of this client.", fields={"connector_id": ["not found"]}
            )
        return chosen, stored
    if len(fitting) > 1:
        labels = ", ".join(f"{c.id} ({c.label or 'no label'})" for c in fitting)
        raise InvalidInput(
            f"The client has several {stored} connectors; choose one with connector_id: {labels}.",
            code="ambiguous_connector",
            fields={"connector_id": ["choose one"]},
        )
    return (fitting[0] if fitting else None), stored


def link_connectors(*, scope: Scope) -> int:
    """Give bots that had no connector the one that has come since; returns how many found theirs."""
    linked = 0
    with scope.transaction(reason="connector found"):
        waiting = Bot.objects.filter(
            Q(connector=None) | Q(connector__retired_at__isnull=False),
            retired_at=None,
            client__connectors__retired_at=None,
            client__connectors__isnull=False,
        ).distinct()[:1000]
        for bot in waiting:
            fitting = _fitting(bot.connector_name, list(bot.client.connectors.filter(retired_at=None)))
            if len(fitting) == 1:
                linked += Bot.objects.filter(id=bot.id, connector=bot.connector).update(connector=fitting[0])
    return linked


def _fitting(name: str, connectors: list[Connector]) -> list[Connector]:
    """Those of exactly this name, else those whose name means the same market."""
    exact = [c for c in connectors if c.name == name]
    market = resolve(name)
    same = [c for c in connectors if market.known and _market(c.name) == (market.exchange, market.market_type)]
    return exact or same


def _market(name: str) -> tuple[str, str]:
    market = resolve(name)
    return market.exchange, market.market_type
