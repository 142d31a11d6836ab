from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bridge_project.up import environment, process
from bridge_project.up.processes import StartRefused

EXTERNAL = {"DATABASE_URL": "postgres://u:p@db.example.com/x", "REDIS_URL": "rediss://r.example.com:6380/0"}


def test_first_start_makes_secrets_that_the_next_one_finds(tmp_path: Path) -> None:
    first, servers = environment.prepare(tmp_path, {})
    second, others = environment.prepare(tmp_path, {})
    assert first == second
    assert first["STORAGE"] == "embedded"
    Fernet(first["BRIDGE_ENCRYPTION_KEYS"])
    assert len(first["DJANGO_SECRET_KEY"]) >= 50
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert others.stop() is False
    assert servers.stop()


def test_lost_secrets_beside_data_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(StartRefused, match=r"secrets.json is gone"):
        environment.prepare(tmp_path, {})


def test_own_database_needs_own_secrets_and_the_refusal_tells_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"DJANGO_SECRET_KEY and BRIDGE_ENCRYPTION_KEYS") as refused:
        environment.prepare(tmp_path, EXTERNAL)
    assert "bin/manage make_secrets" in str(refused.value)
    variables, servers = environment.prepare(tmp_path, EXTERNAL | environment.make_secrets())
    assert variables["STORAGE"] == "external"
    assert (variables["DATABASE_URL"], variables["REDIS_URL"]) == (EXTERNAL["DATABASE_URL"], EXTERNAL["REDIS_URL"])
    assert servers.all() == []
    assert not (tmp_path / "secrets.json").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "mysql://u:hidden@h/x"), ("REDIS_URL", "http://hidden"), ("BRIDGE_ENCRYPTION_KEYS", "hidden")],
)
def test_bad_value_is_refused_by_name_and_not_repeated(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(StartRefused, match=name) as refused:
        environment.prepare(tmp_path, EXTERNAL | environment.make_secrets() | {name: value})
    assert "hidden" not in str(refused.value)


def test_unreadable_secrets_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"DJANGO_SECRET_KEY": "x"}))
    with pytest.raises(StartRefused, match=r"secrets.json cannot be read"):
        environment.prepare(tmp_path, {})


@pytest.mark.parametrize("name", ["release", "web", "stream", "worker", "now", "arena", "beat"])
def test_platform_processes_refuse_a_disk_of_their_own(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("ALLOW_EMBEDDED", raising=False)
    assert process.main([name]) == 1
    assert "DATABASE_URL" in capsys.readouterr().err


def test_procfile_starts_only_processes_that_exist() -> None:
    lines = (environment.CHECKOUT / "Procfile").read_text().splitlines()
    started = {line.split(":")[0]: line.split()[-1] for line in lines}
    assert started == {name: name for name in process.NAMES}
