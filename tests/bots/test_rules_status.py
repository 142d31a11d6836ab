"""The word dashboards show, over every combination of what it is derived from."""

from __future__ import annotations

from itertools import product

import pytest

from bots.rules.status import derive_status
from bots.rules.words import BotStatus, DeploymentStatus, DesiredStatus, ReportedStatus, RuntimeKind, RuntimeStatus

RUNTIMES = (None, *RuntimeStatus)
DEPLOYMENTS = (None, *DeploymentStatus)

SAID = [
    # wanted, last said -> shown
    ("running", "running", "running"),
    ("running", "stopped", "stopped"),
    ("running", "error", "error"),
    ("running", None, "running"),
    ("stopped", "stopped", "stopped"),
    ("stopped", "running", "stopping"),
    ("stopped", "error", "stopped"),
    ("stopped", None, "stopped"),
]

WANTED_RUNNING = {
    # deployment -> runtime -> (shown before it was confirmed, shown after)
    None: {None: ("starting", "starting")},
    "wanted": {None: ("starting", "starting")},
    "sending": {None: ("starting", "starting")},
    "unknown_outcome": {None: ("starting", "starting")},
    "stopping": {None: ("starting", "starting")},
    "retiring": {None: ("starting", "starting")},
    "ended": {None: ("error", "error")},
    "failed": {None: ("error", "error")},
    "live": {
        None: ("starting", "unknown"),
        "starting": ("starting", "unknown"),
        "running": ("running", "running"),
        "stopped": ("starting", "error"),
        "idle": ("starting", "unknown"),
        "exited": ("error", "error"),
        "absent": ("error", "error"),
        "failed": ("error", "error"),
        "unknown": ("starting", "unknown"),
    },
}

AT_REST = ("stopped", "exited", "absent")


def derive(**given: object) -> BotStatus:
    return derive_status(**{"kind": RuntimeKind.HUMMINGBOT, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted, said, shown", SAID)
@pytest.mark.parametrize("kind", [RuntimeKind.EXTERNAL, RuntimeKind.ARENA])
def test_external_bot_is_what_was_said(kind: RuntimeKind, wanted: str, said: str | None, shown: str) -> None:
    for runtime, deployment in product(RUNTIMES, DEPLOYMENTS):
        assert (
            derive_status(
                kind=kind,
                desired=DesiredStatus(wanted),
                reported=ReportedStatus(said) if said else None,
                runtime=runtime,
                deployment=deployment,
            )
            == shown
        )


def test_bot_that_was_never_started_is_created_whatever_is_seen_or_said() -> None:
    for kind, runtime, said in product(RuntimeKind, RUNTIMES, (None, *ReportedStatus)):
        assert derive_status(kind=kind, desired=DesiredStatus.CREATED, reported=said, runtime=runtime) == "created"


def test_wanted_running_over_every_deployment_and_runtime() -> None:
    for deployment, runtime, is_confirmed in product(DEPLOYMENTS, RUNTIMES, (False, True)):
        rows = WANTED_RUNNING[deployment]
        shown = rows.get(runtime, rows[None])[is_confirmed]
        assert (
            derive(desired=DesiredStatus.RUNNING, deployment=deployment, runtime=runtime, is_confirmed=is_confirmed)
            == shown
        ), (deployment, runtime, is_confirmed)


def test_wanted_stopped_over_every_deployment_and_runtime() -> None:
    for deployment, runtime in product(DEPLOYMENTS, RUNTIMES):
        if deployment in (None, "ended", "failed"):
            shown = "stopped"
        elif deployment == "retiring":
            shown = "stopping" if runtime == "running" else "stopped"
        elif deployment in ("live", "stopping"):
            shown = "stopped" if runtime in AT_REST else "stopping"
        else:
            shown = "stopping"
        assert derive(desired=DesiredStatus.STOPPED, deployment=deployment, runtime=runtime) == shown


def test_what_was_running_is_unknown_while_hummingbot_is_silent() -> None:
    live = {"desired": DesiredStatus.RUNNING, "deployment": DeploymentStatus.LIVE, "runtime": RuntimeStatus.RUNNING}
    assert derive(**live, is_confirmed=True, is_current=False) == "unknown"
    assert derive(**live, is_confirmed=False, is_current=False) == "starting"


def test_running_is_shown_only_for_what_was_observed_or_said() -> None:
    for deployment, runtime, is_confirmed, is_current in product(DEPLOYMENTS, RUNTIMES, (False, True), (False, True)):
        shown = derive(
            desired=DesiredStatus.RUNNING,
            deployment=deployment,
            runtime=runtime,
            is_confirmed=is_confirmed,
            is_current=is_current,
        )
        if shown == "running":
            assert (deployment, runtime, is_current) == ("live", "running", True)
