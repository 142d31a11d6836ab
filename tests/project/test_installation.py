"""The first start, and what a start refuses."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bridge_project.installation import WrongDatabase, foreign_tables, make_first_operator
from clients.models import ApiKey
from tests.fixtures import Caller


def prepare(home: Path) -> Path:
    path = home / "credentials.json"
    call_command("prepare_start", url="http://127.0.0.1:1", credentials_file=str(path))
    return path


def test_the_first_start_makes_an_operator_and_a_second_makes_none(database: None, tmp_path: Path) -> None:
    path = prepare(tmp_path)
    made = json.loads(path.read_text())
    assert set(made) == {"url", "username", "password", "api_key"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Caller(made["api_key"]).get("/clients").status == 200
    assert ApiKey.objects.get().digest not in path.read_text()
    before = path.read_bytes()
    prepare(tmp_path)
    assert path.read_bytes() == before and ApiKey.objects.count() == 1
    assert make_first_operator(url="", path=tmp_path / "other.json") is None and not (tmp_path / "other.json").exists()


def test_a_start_with_other_encryption_keys_is_refused(database: None, tmp_path: Path, settings: Any) -> None:
    prepare(tmp_path)
    old = settings.ENCRYPTION_KEYS
    new = base64.urlsafe_b64encode(os.urandom(32)).decode()
    settings.ENCRYPTION_KEYS = [new]
    with pytest.raises(CommandError, match="BRIDGE_ENCRYPTION_KEYS does not hold the key"):
        prepare(tmp_path)
    settings.ENCRYPTION_KEYS = [new, *old]
    prepare(tmp_path)


def test_migrating_into_somebody_elses_tables_is_refused(database: None) -> None:
    assert foreign_tables() == []
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO hidden_migrations")
        try:
            assert "clients" in foreign_tables()
            with pytest.raises(WrongDatabase, match="not ours"):
                call_command("migrate", verbosity=0)
        finally:
            cursor.execute("DROP TABLE IF EXISTS django_migrations")
            cursor.execute("ALTER TABLE hidden_migrations RENAME TO django_migrations")


def test_the_models_match_the_migrations(database: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_api_describes_itself_without_warnings(database: None) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=os.devnull)


@pytest.mark.parametrize("kind", [("--operator",), ("--client", "client_acme", "--scope", "manage"), ("--bot",)])
def test_create_api_key_prints_the_key_alone_on_the_last_line(
    cast: Any, capsys: pytest.CaptureFixture[str], kind: tuple[str, ...]
) -> None:
    call_command("create_api_key", *kind, *([str(cast.acme_bot)] if kind == ("--bot",) else []))
    key = capsys.readouterr().out.splitlines()[-1]
    status = Caller(key).get("/bots").status
    assert status == (403 if kind == ("--bot",) else 200)
    assert Caller(key).post("/bots/heartbeat", {"bot_id": str(cast.acme_bot)}).status == 200
    for wrong in (("--client", "nobody"), ("--bot", "1"), ("--bot", str(cast.acme_bot), "--scope", "read"), ()):
        with pytest.raises(CommandError):
            call_command("create_api_key", *wrong)
