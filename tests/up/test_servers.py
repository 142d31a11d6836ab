from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from kombu import Connection

from bridge_project.up import processes
from bridge_project.up.processes import StartRefused
from bridge_project.up.servers import EmbeddedServers
from bridge_project.up.urls import broker_url, redis_client_url

DEEP = "x" * 90 + "/" + "y" * 90


@pytest.fixture(params=["short", f"with spaces ü%;&, {'z' * 5}", DEEP], ids=["short", "strange", "deep"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


@pytest.fixture
def servers(home: Path) -> Iterator[EmbeddedServers]:
    made = EmbeddedServers(home, forgetful=True)
    made.start()
    yield made
    made.stop()


def ask(servers: EmbeddedServers, statement: str) -> object:
    assert servers.database is not None
    with psycopg.connect(servers.database.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def test_both_answer_their_clients_in_folders_of_any_name(servers: EmbeddedServers) -> None:
    assert servers.broker is not None
    assert ask(servers, "SELECT current_user, current_database()") == ("bridge", "bridge")
    assert redis.Redis.from_url(redis_client_url(servers.broker.url)).ping()
    with Connection(broker_url(servers.broker.url)) as connection:
        queue = connection.SimpleQueue("q")
        queue.put({"a": 1})
        assert queue.get(timeout=5).payload == {"a": 1}
    for server in servers.all():
        assert stat.S_IMODE(server.sockets.stat().st_mode) == 0o700


def test_owner_of_the_database_is_no_superuser(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path, broker=False, forgetful=True)
    try:
        servers.start()
        assert ask(servers, "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'bridge'") == (False, False)
    finally:
        servers.stop()


def test_data_survives_the_death_of_every_process(tmp_path: Path) -> None:
    first = EmbeddedServers(tmp_path)
    first.start()
    ask(first, "CREATE TABLE kept AS SELECT 7 AS n")
    for server in first.all():
        pid = server.pid()
        assert pid
        os.kill(pid, signal.SIGKILL)
        assert processes.wait_until(lambda pid=pid: processes.is_gone(pid), timeout_s=5)
    # Meanwhile the id in the server's own lock files belongs to somebody else.
    assert first.database is not None
    for lock in (tmp_path / "postgres" / "postmaster.pid", first.database.sockets / ".s.PGSQL.5432.lock"):
        lock.write_text(f"{os.getppid()}\n{tmp_path}/postgres\n1\n5432\n{tmp_path}\n")
    try:
        assert sorted(first.restart_missing()) == ["broker", "database"]
        assert ask(first, "SELECT n FROM kept") == (7,)
    finally:
        first.stop()


def test_last_user_stops_them(tmp_path: Path) -> None:
    first = EmbeddedServers(tmp_path, forgetful=True)
    first.start()
    pids = [server.pid() for server in first.all()]
    second = EmbeddedServers(tmp_path, forgetful=True)
    second.start()
    assert [server.pid() for server in second.all()] == pids
    assert not first.stop()
    assert ask(second, "SELECT 1") == (1,)
    assert second.stop()
    assert [server.pid() for server in second.all()] == [None, None]


def test_broken_broker_data_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "valkey" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    servers = EmbeddedServers(tmp_path, database=False)
    try:
        servers.start()
        assert servers.broker and servers.broker.is_ready()
        assert list(tmp_path.glob("valkey.broken-*"))
    finally:
        servers.stop()


def test_data_of_another_version_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(StartRefused, match="made by PostgreSQL 12.*pg_dump"):
        EmbeddedServers(tmp_path).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another way to start PostgreSQL")
def test_runs_as_root_where_user_namespaces_are_refused(tmp_path: Path) -> None:
    """In a folder that only root may enter, with a system that has no working ``unshare``."""
    refusing = tmp_path / "bin"
    refusing.mkdir()
    (refusing / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (refusing / "unshare").chmod(0o755)
    (closed := tmp_path / "closed").mkdir(mode=0o700)
    code = (
        "import sys; from pathlib import Path; from bridge_project.up.servers import EmbeddedServers\n"
        "servers = EmbeddedServers(Path(sys.argv[1]), broker=False, forgetful=True); servers.start()\n"
        "print(servers.database.launch.user is not None, servers.database.is_ready(), servers.stop())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(closed / "home")], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PATH": f"{refusing}:{os.environ['PATH']}"}, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "True", "True"], done.stderr
