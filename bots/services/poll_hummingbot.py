"""One look at everything Hummingbot runs, stored for every bot; requests read only what is stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.db.models.functions import Least
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import BotDeployment, BotRuntime, HummingbotState
from bots.rules.names import requested_by_us
from bots.rules.observation import broker_suspect_since, observe
from bots.rules.words import OPEN_DEPLOYMENTS, DeploymentStatus, RuntimeStatus, TemplateKind
from bots.selectors import poll_seconds
from bots.services.deployments import SETTLED
from bots.services.look_at_hummingbot import look
from bots.services.reconcile_bots import watched_instance
from bots.services.runtime_records import Seen, as_observation, record_observations
from bots.services.take_down_doubles import take_down_doubles
from bots.types import Sighting
from ground.errors import GatewayError
from ground.scope import system_scope
from ground.sql import fetch_all

POLLER = system_scope("hummingbot-poll")
AGAIN_WHILE_AWAY = timedelta(seconds=2)
CLOCK_SET_BACK = timedelta(minutes=5)  # what is due later than that beyond a pause was stored by a clock that ran ahead
SILENT_TOGETHER = timedelta(minutes=2)  # bots that fall silent within this time do so together

_WATCHED = """
    SELECT DISTINCT ON (d.bot_id) d.id, coalesce(t.kind, 'controller')
      FROM bot_deployments d JOIN bots b ON b.id = d.bot_id LEFT JOIN bot_templates t ON t.name = b.strategy
     WHERE d.instance_name <> '' AND d.status IN ('live', 'stopping', 'retiring')
     ORDER BY d.bot_id, d.sequence DESC
"""


def poll_hummingbot(
    *, gateway: HummingbotGateway, clock: Callable[[], datetime] = timezone.now, force: bool = False
) -> bool:
    """Look if it is due, and store what was seen; False when it was not due, or somebody else was faster."""
    if not _claim(now=clock(), force=force):
        return False
    started = time.monotonic()
    try:
        sighting = look(gateway, now=clock())
        latency_ms = int((time.monotonic() - started) * 1000)
        version = _version(gateway)
    except GatewayError as error:
        _record_failure(error.message, now=clock())
        return True
    _record(sighting, latency_ms=latency_ms, version=version, clock=clock)
    take_down_doubles(sighting, gateway=gateway)
    return True


def _claim(*, now: datetime, force: bool) -> bool:
    """Whether this poll is ours: of many beats and workers one moves ``due_at`` on."""
    with POLLER.transaction():
        pause = timedelta(seconds=poll_seconds())
        due = HummingbotState.objects.filter(id=1)
        if not force:
            due = due.filter(Q(due_at__lte=now) | Q(due_at__gt=now + pause + CLOCK_SET_BACK))
        if due.update(due_at=now + pause, polled_at=now):
            return True
        if HummingbotState.objects.filter(id=1).exists():
            return False
        HummingbotState.objects.bulk_create(
            [HummingbotState(id=1, due_at=now + pause, polled_at=now)],
            ignore_conflicts=True,
        )
        return HummingbotState.objects.filter(id=1, polled_at=now).exists()


def _version(gateway: HummingbotGateway) -> str | None:
    """Asked once, and again after it was away; None for the one that is known."""
    with POLLER.transaction():
        known = HummingbotState.objects.filter(id=1, failures=0).exclude(version="").exists()
    return None if known else gateway.version().version


def _record(sighting: Sighting, *, latency_ms: int, version: str | None, clock: Callable[[], datetime]) -> None:
    with POLLER.transaction():
        kinds = dict(fetch_all(_WATCHED))
        deployments = BotDeployment.objects.filter(id__in=list(kinds)).select_related("bot__runtime")
        seen, spoke_lately = [], 0
        for deployment in deployments:
            runtime = getattr(deployment.bot, "runtime", None)
            previous = as_observation(runtime, deployment.instance_name)
            spoke_lately += runtime is not None and previous is not None and _spoke_lately(runtime, sighting)
            watched = watched_instance(deployment, TemplateKind(kinds[deployment.id]))
            observation = observe(watched=watched, sighting=sighting, previous=previous)
            seen.append(Seen(deployment.id, observation, sighting.statuses.get(deployment.instance_name)))
        record_observations(seen)
        _take_up_strays(sighting, now=clock())
        _retire_those_that_rose(sighting, now=clock())
        if HummingbotState.objects.filter(id=1, failures__gt=0).exists():
            _wake_those_that_waited(now=clock())
        state: dict[str, object] = {"last_ok_at": sighting.at, "latency_ms": latency_ms, "error": "", "failures": 0}
        known = HummingbotState.objects.values_list("broker_suspect_since", flat=True).get(id=1)
        state["broker_suspect_since"] = broker_suspect_since(sighting=sighting, spoke_lately=spoke_lately, since=known)
        if version is not None:
            state["version"] = version[:50]
        HummingbotState.objects.filter(id=1).update(**state)


def _spoke_lately(runtime: BotRuntime, sighting: Sighting) -> bool:
    """Whether a listed bot was heard at the last look, or fell silent only just: not all do so at the same look."""
    if runtime.instance_name not in sighting.statuses:
        return False
    has_just_fallen = runtime.status == RuntimeStatus.IDLE and sighting.at - runtime.changed_at <= SILENT_TOGETHER
    return runtime.status == RuntimeStatus.RUNNING or has_just_fallen


def _wake_those_that_waited(*, now: datetime) -> None:
    """Hummingbot is back: what had to be put off is due now."""
    waiting = BotDeployment.objects.filter(attempts__gt=0, due_at__gt=now)
    waiting.exclude(status__in=SETTLED).update(due_at=now, attempts=0)


def _take_up_strays(sighting: Sighting, *, now: datetime) -> None:
    """A deployment that was given up and turns up after all (a slow pull of its image) must not trade unseen: it is
    taken up again, to be adopted or stopped as the bot's wish says."""
    names = {*sighting.statuses, *(sighting.active or ())}
    requested = {name: asked for name in names if (asked := requested_by_us(name))}
    for known in BotDeployment.objects.filter(instance_name__in=list(requested)).values_list(
        "instance_name", flat=True
    ):
        del requested[known]
    if not requested:
        return
    given_up = BotDeployment.objects.filter(
        requested_name__in=list(requested.values()),
        status=DeploymentStatus.FAILED,
        instance_name="",
        sent_at__isnull=False,
    )
    for row in given_up:
        is_open = BotDeployment.objects.filter(bot_id=row.bot_id, status__in=OPEN_DEPLOYMENTS).exists()
        has_newer = BotDeployment.objects.filter(bot_id=row.bot_id, sequence__gt=row.sequence).exists()
        changes: dict[str, object] = {"status": DeploymentStatus.UNKNOWN_OUTCOME, "clean_lookups": 0}
        if is_open or has_newer:
            name = max(name for name, asked in requested.items() if asked == row.requested_name)
            changes = {"status": DeploymentStatus.RETIRING, "instance_name": name}
        with POLLER.transaction(reason="it turned up after it was given up"):
            BotDeployment.objects.filter(id=row.id, status=DeploymentStatus.FAILED).update(
                due_at=now, ended_at=None, message="It turned up after it was given up.", **changes
            )


def _retire_those_that_rose(sighting: Sighting, *, now: datetime) -> None:
    """A container that had ended, or was in no list, and runs again (its host was started again) must not trade beside
    the deployment that followed it: it is taken down."""
    ours = [name for name in sighting.active or () if requested_by_us(name)]
    with POLLER.transaction(reason="its container runs again after it had ended"):
        BotDeployment.objects.filter(instance_name__in=ours, status=DeploymentStatus.ENDED).update(
            status=DeploymentStatus.RETIRING, ended_at=None, stop_sent_at=None, archive_sent_at=None, attempts=0,
            due_at=now, message="Its container runs again after it had ended.",
        )  # fmt: skip


def _record_failure(sentence: str, *, now: datetime) -> None:
    """It is asked again soon after this answer that never came: whoever waits for it should not wait for the next look."""
    with POLLER.transaction():
        HummingbotState.objects.filter(id=1).update(
            error=sentence[:500], failures=F("failures") + 1, due_at=Least("due_at", now + AGAIN_WHILE_AWAY)
        )
