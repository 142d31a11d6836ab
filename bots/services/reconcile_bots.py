"""From what is wanted of a deployment to what Hummingbot does: plan, apply a step, record it, plan again.

Every run holds the deployment's lease, and every call is made outside of a transaction. What was sent is stored before
it is sent, so that a worker that dies, or an answer that is lost, leads to a look-up and never to a second deployment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import BotDeployment
from bots.rules.observation import Watched, observe
from bots.rules.reconcile import Step, plan
from bots.rules.words import DeploymentStatus, DesiredStatus, TemplateKind
from bots.services import apply_steps
from bots.services.apply_steps import Outcome
from bots.services.deployments import RECONCILER, Lease, change, claim, due_deployments, release
from bots.services.load_work import WATCHED, Work, load_work
from bots.services.look_at_hummingbot import look
from bots.services.runtime_records import Seen, record_observations
from bots.types import Observation, Sighting
from ground.errors import GatewayError

_MOST_STEPS = 20
_LOOK_AGAIN_S = 0.4
_SHARED_LOOK = timedelta(seconds=1.5)

Clock = Callable[[], datetime]


@dataclass
class Looker:
    """Looks at Hummingbot, at most once in a while for all deployments of a run."""

    gateway: HummingbotGateway
    clock: Clock = timezone.now
    fresh_for: timedelta = _SHARED_LOOK
    _last: Sighting | None = field(default=None, init=False)

    def sighting(self) -> Sighting:
        now = self.clock()
        if self._last is None or now - self._last.at > self.fresh_for:
            self._last = look(self.gateway, now=now)
        return self._last


def reconcile_due(
    *, gateway: HummingbotGateway, clock: Clock = timezone.now, limit: int = 50, most_s: float = 60
) -> int:
    """Work on deployments that are due; returns on how many. Safe to run twice, also at once."""
    looker, deadline, worked = Looker(gateway, clock), time.monotonic() + most_s, 0
    for deployment_id in due_deployments(now=clock(), limit=limit):
        if time.monotonic() > deadline:
            break
        worked += reconcile_deployment(deployment_id=deployment_id, looker=looker, clock=clock)
    return worked


def reconcile_deployment(
    *,
    deployment_id: UUID,
    looker: Looker,
    clock: Clock = timezone.now,
    may_send_secrets: bool = True,
    watch_until: float | None = None,
) -> bool:
    """Bring one deployment as far as it goes now; False when somebody else is at it.

    ``watch_until`` (of time.monotonic) is for somebody who waits: until then it looks again and again for what was
    asked to show. Without it a later run looks.
    """
    lease = claim(deployment_id, now=clock())
    if lease is None:
        return False
    try:
        _run(lease, looker, clock, may_send_secrets, watch_until)
    finally:
        release(lease)
    return True


def _run(lease: Lease, looker: Looker, clock: Clock, may_send_secrets: bool, watch_until: float | None) -> None:
    for _ in range(_MOST_STEPS):
        work = load_work(lease)
        if work is None:
            return
        observed = _observe(work, looker, clock)
        step = next(iter(plan(wish=work.wish, deployment=work.facts, observed=observed, now=clock())), None)
        if step is not None:
            outcome = _apply(step, work, looker.gateway, clock, may_send_secrets)
            if outcome == Outcome.LATER:
                return
            continue
        if not _is_waiting(work) or watch_until is None or time.monotonic() > watch_until:
            change(lease, only=WATCHED, due_at=clock() + _next_look(work, clock()))
            return
        time.sleep(_LOOK_AGAIN_S)


def _apply(step: Step, work: Work, gateway: HummingbotGateway, clock: Clock, may_send_secrets: bool) -> Outcome:
    # The three steps before a deployment is known to be sent belong together, and are told as the last of them.
    told = Step.DEPLOY if step == Step.SYNC_CREDENTIALS else step
    work = replace(work, lease=replace(work.lease, step=str(told)))
    if step == Step.SYNC_CREDENTIALS:
        return apply_steps.prepare_and_deploy(work, gateway, clock, may_send_secrets=may_send_secrets)
    return apply_steps.APPLY[step](work, gateway, clock)


def _observe(work: Work, looker: Looker, clock: Clock) -> Observation | None:
    """A fresh observation where the plan depends on one, stored as the poller's are."""
    deployment = work.deployment
    if deployment.status not in WATCHED or not deployment.instance_name or not _is_waiting(work):
        return work.previous
    try:
        sighting = looker.sighting()
    except GatewayError:
        return work.previous
    watched = watched_instance(deployment, work.kind)
    if work.previous is not None and work.previous.observed_at >= sighting.at:
        return work.previous
    observation = observe(watched=watched, sighting=sighting, previous=work.previous)
    with RECONCILER.transaction():
        record_observations([Seen(deployment.id, observation, sighting.statuses.get(deployment.instance_name))])
    return observation


def watched_instance(deployment: BotDeployment, kind: TemplateKind) -> Watched:
    return Watched(
        instance_name=deployment.instance_name,
        kind=kind,
        deployment=DeploymentStatus(deployment.status),
        sent_at=deployment.sent_at or deployment.created_at,
        is_confirmed=deployment.confirmed_at is not None,
    )


def _is_waiting(work: Work) -> bool:
    """Whether something that was asked has not shown yet."""
    deployment = work.deployment
    if deployment.status == DeploymentStatus.LIVE:
        return deployment.confirmed_at is None or work.wish.desired != DesiredStatus.RUNNING
    return deployment.status in (DeploymentStatus.STOPPING, DeploymentStatus.RETIRING)


def _next_look(work: Work, now: datetime) -> timedelta:
    if not _is_waiting(work):
        return timedelta(hours=1)
    since = now - (work.deployment.stop_sent_at or work.deployment.sent_at or work.deployment.created_at)
    return min(max(since / 10, timedelta(seconds=2)), timedelta(seconds=30))
