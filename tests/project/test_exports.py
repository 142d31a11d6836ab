"""Exports hold every row and every digit, nothing secret, and with a client nothing of another."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from bots.models import BotStats
from bridge_project.use_cases.export_table import export_table
from bridge_project.use_cases.tables import NOT_EXPORTED, encrypted_columns, tables_to_keep
from clients.models import ApiKey
from health.models import BotHealthLog
from tests.fixtures import Cast

STRANGE = '=1+1, "quoted"\r\nline\tfeed, \\N, ü, 😀'
DIGITS = "-12345678901234567890.123456789012345678"
SECRET_WORDS = re.compile(r"secret|passphrase|password|digest|token|^api_key$")
HARMLESS = {
    "alert_deliveries.lease_token", "bot_deployments.lease_token", "arena_imports.digest", "arena_turns.lease_token",
    "arena_settings.summary_tokens", "history_summaries.token_count", "llm_calls.input_tokens", "llm_calls.output_tokens",
    "llm_providers.max_output_tokens",
}  # fmt: skip


def export(*options: str, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    call_command("export_table", *options)
    return capfd.readouterr().out


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def world(cast: Cast) -> Cast:
    now = timezone.now()
    for client_id, bot_id in ((cast.acme, cast.acme_bot), (cast.globex, cast.globex_bot)):
        mine: dict[str, Any] = {"bot_id": bot_id, "client_id": client_id}
        BotHealthLog.objects.create(**mine, checked_at=now, new_status="healthy", reason=STRANGE)
        BotStats.objects.update_or_create(bot_id=bot_id, defaults={"client_id": client_id, "pnl": DIGITS})
    return cast


def test_csv_holds_every_row_as_it_is(world: Cast, capfd: pytest.CaptureFixture[str]) -> None:
    rows = read(export("bot_health_logs", capfd=capfd))
    assert [row["reason"] for row in rows] == [STRANGE, STRANGE]
    assert {row["previous_status"] for row in rows} == {""}
    log = BotHealthLog.objects.earliest("id")
    assert datetime.fromisoformat(rows[0]["checked_at"]) == log.checked_at
    assert {row["pnl"] for row in read(export("bot_stats", capfd=capfd))} == {DIGITS}
    assert export("bot_health_logs", capfd=capfd) == export("bot_health_logs", capfd=capfd)


def test_with_a_client_every_table_holds_nothing_of_another(world: Cast, capfd: pytest.CaptureFixture[str]) -> None:
    names = export(capfd=capfd).split()
    assert {"clients", "bots", "bot_health_logs", "audit_log", "api_keys"} <= set(names)
    for name in names:
        if name in _tables_of_clients():
            text = export(name, "--client", "client_acme", capfd=capfd)
            assert "globex" not in text and str(world.globex) not in text and str(world.globex_bot) not in text, name
            assert len(read(text)) == _count(name, world.acme)
        else:
            with pytest.raises(CommandError, match="belong to no client"):
                call_command("export_table", name, "--client", "client_acme")


def test_no_export_holds_a_secret(world: Cast, capfd: pytest.CaptureFixture[str]) -> None:
    digests = set(ApiKey.objects.values_list("digest", flat=True))
    for name in export(capfd=capfd).split():
        text = export(name, capfd=capfd)
        header = next(csv.reader(io.StringIO(text)))
        assert not [c for c in header if SECRET_WORDS.search(c) and f"{name}.{c}" not in HARMLESS], name
        assert "gAAAAA" not in text and not [d for d in digests if d in text], name
        assert not {*encrypted_columns(name), *_unaudited_secrets(name)} & set(header)
    for name in ("auth_user", "otp_totp_totpdevice", "django_session", "idempotent_answers", "nothing"):
        with pytest.raises(CommandError, match="There is no table"):
            call_command("export_table", name)


def test_every_table_of_the_product_is_exported_or_left_out_with_a_reason(database: None) -> None:
    with connection.cursor() as cursor:
        kept = tables_to_keep(cursor)
    left_out = {name for name, table in kept.items() if not table.is_exported}
    third_party = {name for name in left_out if name.startswith(("auth_", "django_", "otp_", "axes_"))}
    assert left_out == third_party | NOT_EXPORTED.keys()


def test_a_file_is_private_whole_and_not_overwritten(world: Cast, tmp_path: Path) -> None:
    path = tmp_path / "bots.csv"
    call_command("export_table", "bots", "--output", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(row["name"] for row in read(path.read_text())) == ["acme maker", "globex maker"]
    with pytest.raises(CommandError, match="exists already"):
        call_command("export_table", "bots", "--output", str(path))
    with pytest.raises(CommandError, match="No client found"):
        call_command("export_table", "bots", "--client", "nobody", "--output", str(tmp_path / "other"))
    assert os.listdir(tmp_path) == ["bots.csv"]


def test_a_reader_that_has_seen_enough_ends_the_export(world: Cast) -> None:
    class Head(io.BytesIO):
        def write(self, raw: Any) -> int:
            if self.tell():
                raise BrokenPipeError
            return super().write(raw)

    _many_logs(world)
    with pytest.raises(BrokenPipeError):
        export_table(table="bot_health_logs", out=Head())
    assert BotHealthLog.objects.count() > 5000, "the connection goes on"


def test_parquet_holds_the_same_with_types(world: Cast, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow, an extra, is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    with connection.cursor() as cursor:
        names = [name for name, table in tables_to_keep(cursor).items() if table.is_exported]
    for name in names:
        path = tmp_path / f"{name}.parquet"
        call_command("export_table", name, "--format", "parquet", "--output", str(path))
        rows = read(export(name, capfd=capfd))
        table = parquet.read_table(path)
        assert table.num_rows == len(rows), name
        assert not rows or table.column_names == list(rows[0])
    stats = parquet.read_table(tmp_path / "bot_stats.parquet")
    assert stats.schema.field("pnl").type == pyarrow.decimal128(38, 18)
    assert stats.schema.field("volume").type == pyarrow.decimal256(76, 36)
    assert set(stats["pnl"].to_pylist()) == {Decimal(DIGITS)} and set(stats["last_price"].to_pylist()) == {None}
    logs = parquet.read_table(tmp_path / "bot_health_logs.parquet").to_pylist()
    first = BotHealthLog.objects.earliest("id")
    assert (logs[0]["reason"], logs[0]["checked_at"], logs[0]["previous_status"]) == (STRANGE, first.checked_at, None)


def test_without_pyarrow_a_sentence_says_what_to_install(
    world: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CommandError, match="pip install 'pyarrow>=17'"):
        call_command("export_table", "bots", "--format", "parquet", "--output", str(tmp_path / "bots.parquet"))
    assert os.listdir(tmp_path) == []


def _many_logs(world: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bot_health_logs (bot_id, client_id, checked_at, new_status, reason, actor, evidence) "
            "SELECT %s, %s, now(), 'healthy', repeat('x', 500), 'tests', '[]' FROM generate_series(1, 5000)",
            [world.acme_bot, world.acme],
        )


def _tables_of_clients() -> set[str]:
    with connection.cursor() as cursor:
        return {name for name, table in tables_to_keep(cursor).items() if table.client_column}


def _count(table: str, client_id: object) -> int:
    column = "id" if table == "clients" else "client_id"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s", [client_id])
        return int(cursor.fetchone()[0])


def _unaudited_secrets(table: str) -> set[str]:
    """What the audit's trigger is told to leave out of a table's entries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT encode(tgargs, 'escape') FROM pg_trigger WHERE tgname = 'audit' AND tgrelid = %s::regclass", [table]
        )
        row = cursor.fetchone()
    return set(row[0].split("\\000")[1].split(",")) - {""} if row else set()
