"""Stopping strategies: the wish is stored with who and why; the run goes to the history once its bot is at rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from bots.models import BotDeployment
from bots.rules.words import OPEN_DEPLOYMENTS
from bots.services.ask_hummingbot import bring_there, due_after_deadline
from bots.services.deployments import nudge_workers, open_one, schedule
from bots.services.stop_bot import stop_bot
from exchanges import symbols
from ground.errors import Forbidden
from ground.scope import Scope
from strategies.models import ActiveStrategy
from strategies.rules.markets import canonical_exchange
from strategies.rules.words import DEFAULT_REASON, StrategyStatus, sources_of
from strategies.services.close_strategies import close_ended

STOP_FIELDS = ("status", "status_at", "message", "stop_requested_at", "stop_requested_by", "stop_reason")
_MOST_WAITED_FOR = 1  # several are stopped by the workers: a request waits for Hummingbot once


def stop_strategies(
    *, scope: Scope, client_id: UUID | None, now: datetime, symbol: str = "", exchange: str = "", reason: str = "",
    wait: bool = True,
) -> list[ActiveStrategy]:  # fmt: skip
    """Want a client's strategies stopped: of one symbol, of one exchange, or all; returns those that were not yet.

    Raises Forbidden, InvalidInput for a symbol that is none.
    """
    if not scope.can_manage:
        raise Forbidden("This key may only read.")
    if client_id is None:
        return []
    wanted = ActiveStrategy.objects.filter(client_id=client_id, status__in=sources_of(StrategyStatus.STOPPING))
    if symbol:
        wanted = wanted.filter(symbol=symbols.normalize(symbol))
    if exchange:
        wanted = wanted.filter(exchange=canonical_exchange(exchange))
    reason = reason.strip()[:300] or DEFAULT_REASON
    with scope.transaction(reason=reason):
        rows = list(wanted.select_for_update().order_by("started_at", "id"))
        is_awaited = wait and 0 < len(rows) <= _MOST_WAITED_FOR
        deployments = [_stop(scope, row, reason, now, is_awaited) for row in rows]
    _see_to_it([found for found in deployments if found], is_awaited)
    if rows:
        close_ended(now=now)
    return rows


def _stop(scope: Scope, row: ActiveStrategy, reason: str, now: datetime, is_awaited: bool) -> UUID | None:
    """The deployment that must come down, or None when nothing of it runs."""
    row.status, row.status_at, row.message = StrategyStatus.STOPPING, now, ""
    row.stop_requested_at, row.stop_requested_by, row.stop_reason = now, scope.actor, reason
    row.save(update_fields=[*STOP_FIELDS])
    stop_bot(scope=scope, bot_id=row.bot_id, now=now, reason=reason, wait=False)
    deployment = open_one(row.bot_id)
    if deployment and is_awaited:
        schedule(deployment.id, at=due_after_deadline(now))
    return deployment.id if deployment else None


def _see_to_it(deployment_ids: Sequence[UUID], is_awaited: bool) -> None:
    for deployment_id in deployment_ids if is_awaited else ():
        bring_there(deployment_id, is_there=_rests)
    if deployment_ids and not is_awaited:
        nudge_workers()


def _rests(deployment: BotDeployment) -> bool:
    return deployment.status not in OPEN_DEPLOYMENTS
