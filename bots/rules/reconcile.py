"""What to do next about one deployment. Pure: the same situation gives the same steps, and none once it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bots.rules.words import DeploymentStatus, DesiredStatus, RuntimeStatus, TemplateKind
from bots.types import Observation

LOOKUP_WAITS_S = (5, 15, 40)
"""Between look-ups after a lost answer. The one after the last wait comes at least a minute after the call."""

STOP_SETTLES = timedelta(seconds=3)  # until then a missing report may only mean that stopping cleared it
SCRIPT_STOP_SETTLES = timedelta(seconds=15)  # a script does not say that it stopped
STOP_REPEATS = timedelta(seconds=30)
STOP_GIVES_UP = timedelta(seconds=90)  # then its container is taken down
ARCHIVE_REPEATS = timedelta(seconds=120)
ARCHIVE_SETTLES = timedelta(seconds=60)
_RETRY_BASE_S = 2
_RETRY_MOST_S = 300


class Step(StrEnum):
    """Each is applied by services/apply_steps.py; after each the plan is made anew."""

    SYNC_CREDENTIALS = "sync_credentials"  # Hummingbot holds the client's account with this connector's keys
    SAVE_CONFIG = "save_config"  # the controller's config is stored there, and listed
    DEPLOY = "deploy"  # sent once per deployment, ever
    LOOK_UP = "look_up"  # find what a lost answer left behind, and adopt it
    GIVE_UP = "give_up"  # no trace of it: failed; rules/recovery.py says when a new one opens
    CONFIRM = "confirm"  # it was seen running
    SEND_STOP = "send_stop"
    RETIRE = "retire"  # its strategy has stopped, only its container is left; if it is to run again, a new one opens
    SEND_ARCHIVE = "send_archive"
    END = "end"  # nothing of it is left; if it was stopping and is to run again, a new one opens


@dataclass(frozen=True, slots=True)
class Wish:
    desired: DesiredStatus
    at: datetime


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is stored of a deployment, as far as it decides what comes next."""

    status: DeploymentStatus
    kind: TemplateKind = TemplateKind.CONTROLLER
    clean_lookups: int = 0
    sent_at: datetime | None = None
    confirmed_at: datetime | None = None
    stop_sent_at: datetime | None = None
    archive_sent_at: datetime | None = None


def plan(*, wish: Wish, deployment: Deployment, observed: Observation | None, now: datetime) -> list[Step]:
    """The steps from what is to what is wanted; [] when that is reached, or when only waiting is left.

    ``observed`` is the newest observation of this deployment's instance, None before the first.
    """
    match deployment.status:
        case DeploymentStatus.WANTED:
            return _before_sending(wish)
        case DeploymentStatus.SENDING:
            # Whoever sent it is gone (its lease is over), so the answer is lost.
            return [Step.LOOK_UP]
        case DeploymentStatus.UNKNOWN_OUTCOME:
            return [Step.GIVE_UP] if deployment.clean_lookups > len(LOOKUP_WAITS_S) else [Step.LOOK_UP]
        case DeploymentStatus.LIVE:
            return _live(wish, deployment, observed)
        case DeploymentStatus.STOPPING:
            return _stopping(deployment, observed, now)
        case DeploymentStatus.RETIRING:
            return _retiring(deployment, observed, now)
        case _:
            return []


def lookup_wait(clean_lookups: int) -> timedelta:
    """How long to wait after this many look-ups without a trace."""
    return timedelta(seconds=LOOKUP_WAITS_S[min(max(clean_lookups, 1), len(LOOKUP_WAITS_S)) - 1])


def retry_wait(attempts: int) -> timedelta:
    """Growing waits between attempts that could not be made: 2 s, 4 s, ... 5 minutes."""
    return timedelta(seconds=min(_RETRY_BASE_S * 2 ** min(attempts, 16), _RETRY_MOST_S))


def _before_sending(wish: Wish) -> list[Step]:
    if wish.desired == DesiredStatus.RUNNING:
        return [Step.SYNC_CREDENTIALS, Step.SAVE_CONFIG, Step.DEPLOY]
    return [Step.END]


def _live(wish: Wish, deployment: Deployment, observed: Observation | None) -> list[Step]:
    if wish.desired != DesiredStatus.RUNNING:
        return [Step.END] if _is_gone(observed) else [Step.SEND_STOP]
    if deployment.confirmed_at is None and observed is not None and observed.status == RuntimeStatus.RUNNING:
        return [Step.CONFIRM]
    return []  # for one that ended by itself rules/recovery.py decides


def _stopping(deployment: Deployment, observed: Observation | None, now: datetime) -> list[Step]:
    if _is_gone(observed):
        return [Step.END]
    if deployment.stop_sent_at is None:
        return [Step.SEND_STOP]
    if _has_stopped(deployment, observed, now):
        return [Step.RETIRE, Step.SEND_ARCHIVE]
    since_stop = now - deployment.stop_sent_at
    if since_stop >= STOP_GIVES_UP and _is_due(deployment.archive_sent_at, ARCHIVE_REPEATS, now):
        return [Step.SEND_ARCHIVE]
    if deployment.archive_sent_at is None and since_stop >= STOP_REPEATS and _is_running(observed):
        return [Step.SEND_STOP]
    return []


def _retiring(deployment: Deployment, observed: Observation | None, now: datetime) -> list[Step]:
    if _is_gone(observed):
        return [Step.END]
    archived_long_ago = deployment.archive_sent_at is not None and now - deployment.archive_sent_at >= ARCHIVE_SETTLES
    if archived_long_ago and observed is not None and observed.misses > 0:
        return [Step.END]
    if not _is_due(deployment.archive_sent_at, ARCHIVE_REPEATS, now):
        return []
    # With its broker away Hummingbot says that it archives, gives up, and the bot trades on.
    return [Step.SEND_STOP, Step.SEND_ARCHIVE] if _is_running(observed) else [Step.SEND_ARCHIVE]


def _has_stopped(deployment: Deployment, observed: Observation | None, now: datetime) -> bool:
    if deployment.stop_sent_at is None:
        return False
    if deployment.kind == TemplateKind.SCRIPT:
        return now - deployment.stop_sent_at >= SCRIPT_STOP_SETTLES
    if observed is None or observed.status != RuntimeStatus.STOPPED:
        return False
    return observed.observed_at >= deployment.stop_sent_at + STOP_SETTLES


def _is_gone(observed: Observation | None) -> bool:
    return observed is not None and observed.status in (RuntimeStatus.EXITED, RuntimeStatus.ABSENT)


def _is_running(observed: Observation | None) -> bool:
    return observed is not None and observed.status == RuntimeStatus.RUNNING


def _is_due(sent_at: datetime | None, every: timedelta, now: datetime) -> bool:
    return sent_at is None or now - sent_at >= every
