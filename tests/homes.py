"""A BRIDGE_HOME as a first start leaves it, made once a run: processes that come up from a copy of it migrate nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.stage import PREPARED_HOME
from bridge_project.up import environment, programs
from bridge_project.up.processes import Lock
from tests.plugin import FOREIGN


@pytest.fixture(scope="session")
def prepared_home() -> Path:
    """Where it is. The houses and stages of bench/, in whatever process, start from a copy."""
    home = Path(os.environ["BRIDGE_HOME"]).with_name("prepared")
    with Lock(home.with_name("prepared.lock")).held():
        if not home.exists():
            _prepare(home)
    os.environ[PREPARED_HOME] = str(home)
    return home


def _prepare(home: Path) -> None:
    new = home.with_name("prepared.new")
    given = {name: value for name, value in os.environ.items() if name not in FOREIGN and not name.startswith("PG")}
    variables, servers = environment.prepare(new, given)
    assert servers.database
    servers.start()
    try:
        subprocess.run(programs.manage("prepare_start"), env={**given, **variables}, cwd=programs.CHECKOUT, check=True)
    finally:
        servers.stop()
    # What is killed there is killed, and the machine goes on: nothing is worth a wait for the disk.
    with (servers.database.data / "postgresql.auto.conf").open("a") as settings:
        settings.write("fsync = off\nfull_page_writes = off\n")
    new.rename(home)
