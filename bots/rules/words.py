"""Every status word of a bot, with what it means."""

from __future__ import annotations

from enum import StrEnum


class RuntimeKind(StrEnum):
    HUMMINGBOT = "hummingbot"  # deployed and observed through the Hummingbot API
    EXTERNAL = "external"  # somebody runs it elsewhere; we record what is said and watch its trades
    ARENA = "arena"  # trades on paper inside this product


class DesiredStatus(StrEnum):
    CREATED = "created"  # never started
    RUNNING = "running"
    STOPPED = "stopped"


class ReportedStatus(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"


class RuntimeStatus(StrEnum):
    """What was observed in Hummingbot."""

    STARTING = "starting"  # the container is up, its strategy has not reported yet
    RUNNING = "running"  # a controller reports figures (or a script's container is up)
    STOPPED = "stopped"  # the container is up and its strategy was stopped
    IDLE = "idle"  # reported before, silent now
    EXITED = "exited"  # the container has ended
    ABSENT = "absent"  # in none of Hummingbot's lists, for three polls in a row
    FAILED = "failed"  # Hummingbot refused it
    UNKNOWN = "unknown"  # Hummingbot did not answer for three polls in a row


class BotStatus(StrEnum):
    """The derived word that dashboards show."""

    CREATED = "created"
    STARTING = "starting"
    STOPPING = "stopping"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"
    UNKNOWN = "unknown"


class HealthStatus(StrEnum):
    HEALTHY = "healthy"  # green, "Running"
    STALE = "stale"  # yellow, "Running (stale)"
    STOPPED = "stopped"  # red, "Stopped"
    ERROR = "error"  # orange, "Error": a person must act
    UNKNOWN = "unknown"  # grey, "Unknown": cannot tell


class DeploymentStatus(StrEnum):
    WANTED = "wanted"  # a row to work on; nothing was sent yet
    SENDING = "sending"  # a deploy was (or may have been) sent; only look-ups may follow
    UNKNOWN_OUTCOME = "unknown_outcome"  # the answer to the deploy was lost; being looked up
    LIVE = "live"  # Hummingbot confirmed the instance's name
    STOPPING = "stopping"  # a stop was sent, not yet observed
    RETIRING = "retiring"  # stopped; its container is being archived
    ENDED = "ended"  # archived, exited or gone
    FAILED = "failed"  # refused, or never found


OPEN_DEPLOYMENTS = (
    DeploymentStatus.WANTED,
    DeploymentStatus.SENDING,
    DeploymentStatus.UNKNOWN_OUTCOME,
    DeploymentStatus.LIVE,
    DeploymentStatus.STOPPING,
)


class TemplateKind(StrEnum):
    CONTROLLER = "controller"
    SCRIPT = "script"
