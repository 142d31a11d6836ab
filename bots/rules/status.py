"""The one word dashboards show, derived from what was wanted, said, deployed and observed."""

from __future__ import annotations

from bots.rules.words import BotStatus, DeploymentStatus, DesiredStatus, ReportedStatus, RuntimeKind, RuntimeStatus

_GONE = (RuntimeStatus.EXITED, RuntimeStatus.ABSENT)
_AT_REST = (RuntimeStatus.STOPPED, *_GONE)
_CLOSED = (DeploymentStatus.ENDED, DeploymentStatus.FAILED)
_NOT_YET_DEPLOYED = (DeploymentStatus.WANTED, DeploymentStatus.SENDING, DeploymentStatus.UNKNOWN_OUTCOME)
_LEAVING = (DeploymentStatus.STOPPING, DeploymentStatus.RETIRING)


def derive_status(
    *,
    kind: RuntimeKind,
    desired: DesiredStatus,
    reported: ReportedStatus | None = None,
    deployment: DeploymentStatus | None = None,
    is_confirmed: bool = False,
    runtime: RuntimeStatus | None = None,
    is_current: bool = True,
) -> BotStatus:
    """The status of one bot.

    ``deployment`` is its newest one and ``is_confirmed`` says whether that was ever seen running; ``runtime`` is what
    was observed of it, and ``is_current`` is false once Hummingbot has been silent for three polls.
    """
    if desired == DesiredStatus.CREATED:
        return BotStatus.CREATED
    if kind != RuntimeKind.HUMMINGBOT:
        return _said(desired=desired, reported=reported)
    if desired == DesiredStatus.STOPPED:
        return _wanted_stopped(deployment=deployment, runtime=runtime)
    return _wanted_running(deployment=deployment, is_confirmed=is_confirmed, runtime=runtime, is_current=is_current)


def _said(*, desired: DesiredStatus, reported: ReportedStatus | None) -> BotStatus:
    if reported == ReportedStatus.ERROR:
        return BotStatus.ERROR if desired == DesiredStatus.RUNNING else BotStatus.STOPPED
    if desired == DesiredStatus.RUNNING:
        return BotStatus.STOPPED if reported == ReportedStatus.STOPPED else BotStatus.RUNNING
    return BotStatus.STOPPING if reported == ReportedStatus.RUNNING else BotStatus.STOPPED


def _wanted_stopped(*, deployment: DeploymentStatus | None, runtime: RuntimeStatus | None) -> BotStatus:
    if deployment is None or deployment in _CLOSED:
        return BotStatus.STOPPED
    if deployment == DeploymentStatus.RETIRING:
        return BotStatus.STOPPING if runtime == RuntimeStatus.RUNNING else BotStatus.STOPPED
    if deployment in _NOT_YET_DEPLOYED:
        return BotStatus.STOPPING
    return BotStatus.STOPPED if runtime in _AT_REST else BotStatus.STOPPING


def _wanted_running(
    *, deployment: DeploymentStatus | None, is_confirmed: bool, runtime: RuntimeStatus | None, is_current: bool
) -> BotStatus:
    if deployment in _CLOSED:
        return BotStatus.ERROR
    if deployment is None or deployment in _NOT_YET_DEPLOYED or deployment in _LEAVING:
        return BotStatus.STARTING
    if runtime in _GONE or runtime == RuntimeStatus.FAILED or (runtime == RuntimeStatus.STOPPED and is_confirmed):
        return BotStatus.ERROR
    if runtime == RuntimeStatus.RUNNING and is_current:
        return BotStatus.RUNNING
    return BotStatus.UNKNOWN if is_confirmed else BotStatus.STARTING
