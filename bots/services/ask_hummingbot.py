"""What a person who starts or stops a bot waits for: the reconciler at work on it, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from bots.gateways.connect import configured_gateway
from bots.models import BotDeployment
from bots.rules.words import DeploymentStatus
from bots.services.deployments import RECONCILER, SETTLED, nudge_workers
from bots.services.reconcile_bots import Looker, reconcile_deployment

DEADLINE = timedelta(seconds=8)
_CALL_TIMEOUT_S = 4.0
_ASK_AGAIN_S = 0.25
_TRIES = 5
_ON_ITS_WAY = (DeploymentStatus.WANTED, DeploymentStatus.SENDING, DeploymentStatus.LIVE, DeploymentStatus.STOPPING)


def due_after_deadline(now: datetime) -> datetime:
    """When workers take over from the request that works on a row, should it not come back."""
    return now + DEADLINE + timedelta(seconds=2)


def bring_there(deployment_id: UUID, *, is_there: Callable[[BotDeployment], bool]) -> BotDeployment:
    """Work on a deployment until it is there, cannot get there soon, or the deadline is over.

    While somebody else works on it, it is waited for a moment only: many callers at once must not tie up the web
    process. Returns the row as it then is; workers go on with it.
    """
    deadline = time.monotonic() + DEADLINE.total_seconds()
    gateway = configured_gateway(timeout_s=_CALL_TIMEOUT_S, deadline=deadline)
    if gateway is None:
        return _await(deployment_id, is_there, deadline=0.0)
    looker = Looker(gateway, fresh_for=timedelta(seconds=0.3))
    for _ in range(_TRIES):
        if reconcile_deployment(
            deployment_id=deployment_id, looker=looker, may_send_secrets=False, watch_until=deadline - 0.5
        ):
            return _await(deployment_id, is_there, deadline=deadline)
        row = _read(deployment_id)
        if is_there(row) or row.status in SETTLED:
            return row
        time.sleep(_ASK_AGAIN_S)
    return _await(deployment_id, is_there, deadline=0.0)


def _await(deployment_id: UUID, is_there: Callable[[BotDeployment], bool], *, deadline: float) -> BotDeployment:
    is_nudged = False
    while True:
        row = _read(deployment_id)
        if is_there(row) or row.status in SETTLED:
            return row
        if not is_nudged:
            nudge_workers()
            is_nudged = True
        # A message says why it must be tried again later.
        if row.message or row.status not in _ON_ITS_WAY or time.monotonic() > deadline:
            return row
        time.sleep(_ASK_AGAIN_S)


def _read(deployment_id: UUID) -> BotDeployment:
    with RECONCILER.transaction():
        return BotDeployment.objects.get(id=deployment_id)
