"""Gives the test run servers of its own, before Django's settings are read (loaded by ``-p`` in pyproject.toml).

The first process starts them in a temp folder; xdist's workers inherit the environment and get a database, roles and a
broker database of their own. Nothing of the caller's environment that the product reads gets through.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bridge_project.up import environment
from bridge_project.up.postgres import ADMINISTRATOR, DATABASE, OWNER
from bridge_project.up.processes import PidFile
from bridge_project.up.servers import EmbeddedServers
from bridge_project.up.urls import socket_redis_url

PREFIX = "bridge-test-"
FOREIGN = {
    *("DATABASE_URL", "REDIS_URL", "BRIDGE_HOME", "STORAGE", "DEMO", "DEBUG", "LOG_LEVEL", "SENTRY_DSN"),
    *("DJANGO_SECRET_KEY", "BRIDGE_ENCRYPTION_KEYS", "DATABASE_ROLE_PREFIX", "EXCHANGE_BASE_URLS", "MODEL_BASE_URLS"),
    *("HUMMINGBOT_API_URL", "HUMMINGBOT_API_USERNAME", "HUMMINGBOT_API_PASSWORD", "HUMMINGBOT_POLL_SECONDS"),
    *("HEALTH_CHECK_INTERVAL_SECONDS", "STALE_THRESHOLD_MINUTES", "STOPPED_THRESHOLD_MINUTES"),
    *("HEARTBEAT_TIMEOUT_MINUTES", "ALLOWED_HOSTS", "CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS"),
    *("STREAM_PUBLIC_URL", "STREAM_PORT", "SECURE_COOKIES", "TRUST_PROXY", "EMAIL_URL", "EMAIL_FROM"),
    *("STRATEGY_DEFAULT_EXCHANGE", "STRATEGY_RESTORE_SPACING_SECONDS"),
}


class OwnServers:
    """The servers of one test run, in a temp folder that goes with them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        PidFile(self.folder / "owner.pid").write(os.getpid())
        self.servers: EmbeddedServers | None = None

    def start(self) -> None:
        for name in [name for name in os.environ if name in FOREIGN or name.startswith("PG")]:
            del os.environ[name]
        variables, self.servers = environment.prepare(self.folder / "home", os.environ, forgetful=True)
        self.servers.start()
        assert self.servers.database
        with psycopg.connect(host=str(self.servers.database.sockets), user=ADMINISTRATOR, dbname=DATABASE) as database:
            database.execute(f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}")  # to empty tables by
        os.environ.update(variables)

    def end(self) -> None:
        if self.servers:
            self.servers.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep() -> None:
    """End the servers of test runs that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            owner = folder / "owner.pid"
            if folder.stat().st_uid == os.geteuid() and owner.exists() and not PidFile(owner).pid():
                if (folder / "home").exists():
                    EmbeddedServers(folder / "home").stop()
                shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts whole products comes first: with xdist one process goes through these, which mostly wait for others,
    while the rest is played by its neighbours, who then take over what it has left."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        sweep()
        own = OwnServers()
        early_config.add_cleanup(own.end)
        own.start()
    else:
        number = int(worker.removeprefix("gw")) + 1
        os.environ["DATABASE_ROLE_PREFIX"] = f"bridge_{worker}"
        socket = os.environ["REDIS_URL"].removeprefix("redis+socket://").partition("?")[0]
        os.environ["REDIS_URL"] = socket_redis_url(socket, database=number)
    return (yield)
