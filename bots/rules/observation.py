"""What one look at Hummingbot shows of one bot, knowing how its answers lie.

"running" counts only with a controller that holds a report; a script never reports and always reads "stopped"; a
container that is up says nothing of the strategy in it; absence is one look, never proof, unless Docker shows the
container as exited; a lost message broker looks like every bot falling silent at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bots.rules.words import DeploymentStatus, RuntimeStatus, TemplateKind
from bots.types import InstanceStatus, Observation, Sighting

MISSES_UNTIL_UNKNOWN = 3
START_GRACE = timedelta(minutes=5)

_LEAVING = (DeploymentStatus.STOPPING, DeploymentStatus.RETIRING)


@dataclass(frozen=True, slots=True)
class Watched:
    """A deployed instance and what was last asked of it."""

    instance_name: str
    kind: TemplateKind
    deployment: DeploymentStatus  # live: asked to run; stopping: asked to stop; retiring: asked to archive
    sent_at: datetime
    is_confirmed: bool


def observe(*, watched: Watched, sighting: Sighting, previous: Observation | None) -> Observation:
    """The observation after this look. ``previous`` is the one before of the same instance, None for the first."""
    name = watched.instance_name
    if sighting.exited is not None and name in sighting.exited and name not in (sighting.active or ()):
        return Observation(RuntimeStatus.EXITED, "Its container has ended.", sighting.at)
    listed = sighting.statuses.get(name)
    if listed is None:
        return _unlisted(watched=watched, sighting=sighting, previous=previous)
    if watched.kind == TemplateKind.SCRIPT:
        return _script(watched=watched, listed=listed, sighting=sighting)
    return _controller(watched=watched, listed=listed, sighting=sighting, previous=previous)


def is_broker_suspect(sighting: Sighting) -> bool:
    """Whether all of several bots are silent, which a lost message broker explains better than a common death."""
    return len(sighting.statuses) > 1 and not any(status.recently_active for status in sighting.statuses.values())


def broker_suspect_since(*, sighting: Sighting, spoke_lately: int, since: datetime | None) -> datetime | None:
    """Since when the message broker is suspect, None when it is not.

    A suspicion begins only where several bots that were heard of just before fell silent (``spoke_lately``); it lasts
    until one of them is heard again.
    """
    if not is_broker_suspect(sighting):
        return None
    return since or (sighting.at if spoke_lately > 1 else None)


def _controller(
    *, watched: Watched, listed: InstanceStatus, sighting: Sighting, previous: Observation | None
) -> Observation:
    digest = "-".join(report.digest for report in listed.reports if report.performance is not None)
    if listed.word == "running" and listed.is_reporting:
        return Observation(RuntimeStatus.RUNNING, "Its controller reports.", sighting.at, digest=digest)
    if listed.word == "running":
        return Observation(RuntimeStatus.STOPPED, "Its strategy has stopped: it left an empty report.", sighting.at)
    if listed.word == "idle":
        return Observation(RuntimeStatus.IDLE, _silence(sighting), sighting.at, digest=digest)
    if listed.word == "stopping":
        return Observation(RuntimeStatus.STOPPED, "Hummingbot is stopping and archiving it.", sighting.at)
    if listed.word == "stopped":
        has_spoken = bool(listed.recently_active)
        return _without_report(watched=watched, has_spoken=has_spoken, sighting=sighting, previous=previous)
    reason = f"Hummingbot says {listed.word[:40]} of it."
    return _unplaced(reason=reason, watched=watched, sighting=sighting, previous=previous)


def _without_report(
    *, watched: Watched, has_spoken: bool, sighting: Sighting, previous: Observation | None
) -> Observation:
    """No report is cached: not yet one, none any more, or Hummingbot has forgotten it by restarting."""
    if watched.deployment == DeploymentStatus.STOPPING and not has_spoken:
        # A Hummingbot that has just restarted knows no report of what trades on: only a bot that speaks has none.
        reason = "Hummingbot holds no report of it, and has not heard of it lately."
        return _unplaced(reason=reason, watched=watched, sighting=sighting, previous=previous)
    if watched.deployment in _LEAVING:
        return Observation(RuntimeStatus.STOPPED, "Its strategy reports nothing any more.", sighting.at)
    if not watched.is_confirmed:
        return _not_yet_started(watched=watched, sighting=sighting)
    was_stopped = previous is not None and previous.status == RuntimeStatus.STOPPED
    misses = (previous.misses if previous else 0) + 1
    if not was_stopped and (misses < MISSES_UNTIL_UNKNOWN or is_broker_suspect(sighting)):
        reason = "Hummingbot holds no report of it: it may have restarted, or lost its message broker."
        return _unplaced(reason=reason, watched=watched, sighting=sighting, previous=previous)
    return Observation(RuntimeStatus.STOPPED, "Its container is up, and no strategy reports in it.", sighting.at)


def _not_yet_started(*, watched: Watched, sighting: Sighting) -> Observation:
    if sighting.at - watched.sent_at < START_GRACE:
        return Observation(RuntimeStatus.STARTING, "Its container is up; its strategy has not reported.", sighting.at)
    minutes = int(START_GRACE.total_seconds() // 60)
    sentence = f"Its container is up, but no strategy has reported for {minutes} minutes: look at its config and log."
    return Observation(RuntimeStatus.FAILED, sentence, sighting.at)


def _script(*, watched: Watched, listed: InstanceStatus, sighting: Sighting) -> Observation:
    if listed.word == "stopping":
        return Observation(RuntimeStatus.STOPPED, "Hummingbot is stopping and archiving it.", sighting.at)
    if watched.deployment in _LEAVING:
        return Observation(RuntimeStatus.UNKNOWN, "A script does not say whether it has stopped.", sighting.at)
    if listed.recently_active:
        return Observation(RuntimeStatus.RUNNING, "Its container is up and was heard of just now.", sighting.at)
    if not watched.is_confirmed:
        return _not_yet_started(watched=watched, sighting=sighting)
    return Observation(RuntimeStatus.IDLE, _silence(sighting), sighting.at)


def _unlisted(*, watched: Watched, sighting: Sighting, previous: Observation | None) -> Observation:
    name = watched.instance_name
    if sighting.active is None or sighting.exited is None:
        reason = "Hummingbot does not list it, and Docker's lists cannot be read."
    elif name in sighting.active:
        if watched.deployment == DeploymentStatus.RETIRING:
            return Observation(RuntimeStatus.STOPPED, "Its container is being archived.", sighting.at)
        if not watched.is_confirmed:
            return _not_yet_started(watched=watched, sighting=sighting)
        reason = "Its container is up, but Hummingbot does not list it."
    else:
        reason = "It is in none of Hummingbot's lists."
    return _unplaced(reason=reason, watched=watched, sighting=sighting, previous=previous)


def _unplaced(*, reason: str, watched: Watched, sighting: Sighting, previous: Observation | None) -> Observation:
    """Hold what was seen last, with its age, until too many looks in a row could not tell."""
    misses = (previous.misses if previous else 0) + 1
    nowhere_at = sighting.at if _is_nowhere(watched.instance_name, sighting) else None
    if previous is not None and misses < MISSES_UNTIL_UNKNOWN:
        sentence = f"{reason} ({misses} of {MISSES_UNTIL_UNKNOWN} looks)"
        return Observation(previous.status, sentence, previous.observed_at, misses, previous.digest, nowhere_at)
    if watched.deployment in _LEAVING and nowhere_at is not None:
        return Observation(RuntimeStatus.ABSENT, "It is gone, as was asked.", sighting.at, misses)
    return Observation(RuntimeStatus.UNKNOWN, reason, sighting.at, misses, nowhere_at=nowhere_at)


def _is_nowhere(name: str, sighting: Sighting) -> bool:
    if sighting.active is None or sighting.exited is None:
        return False
    return name not in sighting.active and name not in sighting.exited and name not in sighting.statuses


def _silence(sighting: Sighting) -> str:
    if is_broker_suspect(sighting):
        return "Every bot fell silent together: Hummingbot's message broker is probably lost."
    return "Its container is up, but nothing was heard of it for 30 s."
