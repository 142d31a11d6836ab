"""A backup holds everything, one client's holds nothing of another's, and a restore is whole or not at all."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from alerts.models import AlertChannel
from alerts.rules.words import ChannelKind
from alerts.services.channels import create_channel
from bots.models import Bot, BotDeployment, BotRuntime, BotStats
from bots.services.ship_templates import ship_templates
from bridge_project.use_cases.backup import make_backup
from bridge_project.use_cases.backup_file import Member
from bridge_project.use_cases.tables import LEFT_OUT, loading_order, tables_present, tables_to_keep
from clients.models import ApiKey, AuditEntry, Client, Connector, Installation
from clients.services.manage_clients import create_client
from ground.scope import system_scope
from health.models import BotHealthLog, HealthSettings
from ledger.models import BotAccount, KeptDocument
from tests.fixtures import OPERATOR, Cast, _empty, make_bot
from tests.ledger import arena_blobs
from tests.ledger.rows import a_trade, put_account, put_decision, put_position, put_snapshot, put_trades
from tests.project.elsewhere import Elsewhere, content, content_of_client, second_installation

STRANGE = "tab\t, line\nfeed, \\N, \\., carriage\r, quote\" and 'apostrophe', ü, 😀, \x7f, end\\"


@pytest.fixture
def elsewhere(database: None, tmp_path: Path) -> Iterator[Elsewhere]:
    _empty(anew=True)  # a backup's rows stand in the order in which they lie there
    ship_templates(scope=system_scope("tests"))
    with second_installation(tmp_path) as made:
        yield made


@pytest.fixture
def world(elsewhere: Elsewhere, cast: Cast) -> Cast:
    """The cast, with rows in the tables that workers fill, and values that are hard to write down."""
    call_command("prepare_start", credentials_file=os.devnull, no_first_run=True)
    now = timezone.now()
    for client_id, bot_id in ((cast.acme, cast.acme_bot), (cast.globex, cast.globex_bot)):
        mine: dict[str, Any] = {"bot_id": bot_id, "client_id": client_id}
        _traded(bot_id, client_id, now)
        BotRuntime.objects.create(**mine, status="running", observed_at=now, changed_at=now)
        BotDeployment.objects.create(**mine, sequence=1, requested_name="tb-1", status="live", message=STRANGE)
        for reason in (STRANGE, "", "traded"):
            BotHealthLog.objects.create(**mine, checked_at=now, new_status="healthy", reason=reason)
    Client.objects.filter(id=cast.acme).update(settings={"deep": [1, "1.10", None, {"ü": STRANGE}]})
    Bot.objects.filter(id=cast.acme_bot).update(desired_status="running", stale_minutes="30.5000")
    retired = make_bot("client_acme", name="retired one")
    Bot.objects.filter(id=retired).update(retired_at=now)
    HealthSettings.objects.update_or_create(id=1, defaults={"keep_checks_days": 7})
    olga = User.objects.create_user("olga", password="correct horse battery", is_staff=True)
    olga.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return cast


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.backup"


def backup(file: Path, *options: str) -> str:
    out = io.StringIO()
    call_command("backup", str(file), *options, stdout=out, stderr=out)
    return out.getvalue()


def restore(file: Path, *options: str) -> str:
    out = io.StringIO()
    call_command("restore", str(file), *options, stdout=out, stderr=out)
    return out.getvalue()


def manifest_of(file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        read: dict[str, Any] = json.loads(archive.read("manifest.json"))
    return read


def test_a_backup_restored_elsewhere_gives_the_same_rows_and_goes_on_from_there(
    world: Cast, elsewhere: Elsewhere, file: Path
) -> None:
    before, balances = content(), list(BotAccount.objects.order_by("bot_id").values_list("bot_id", "balance"))
    assert "Keep BRIDGE_ENCRYPTION_KEYS somewhere else" in backup(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with elsewhere():
        said = restore(file)
        assert "Everything is restored" in said and "1 bots are wanted running" in said
        assert content() == before
        assert list(BotAccount.objects.order_by("bot_id").values_list("bot_id", "balance")) == balances
        assert Connector.objects.get(client_id=world.acme).api_secret.open() == "secret-of-acme"
        assert world.acme_reads.get("/bots").status == 200, "keys go on working"
        newest = AuditEntry.objects.latest("id").id
        Client.objects.filter(id=world.acme).update(tier="gold")
        assert AuditEntry.objects.latest("id").id == newest + 1, "triggers are on again, numbers go on"
        account = BotAccount.objects.get(bot_id=world.acme_bot)
        put_trades(a_trade(account, "buy", timezone.now()))
        put_snapshot(account, timezone.now() + timedelta(minutes=10), 1)
        assert BotStats.objects.get(bot_id=world.acme_bot).trades == 3, "so are those of the figures"
        call_command("prepare_start", credentials_file=str(file.with_name("none.json")))
        assert User.objects.filter(username="operator").count() == 0, "olga is the operator; no other is made"


def test_an_imported_arena_restored_elsewhere_gives_the_same_export_and_verifies(
    elsewhere: Elsewhere, file: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps(arena_blobs.state(orders=60, logs=12)))
    call_command("import_arena_state", str(state), stdout=io.StringIO())
    account = str(BotAccount.objects.earliest("opened_at").bot.client.account_identifier)

    def export(*options: str) -> str:
        out = tmp_path / "out.json"
        call_command("export_arena_state", str(out), "--replace", *options, stderr=io.StringIO())
        return out.read_text()

    def of_one() -> str:
        text = export("--client", account)
        return text[: text.index('"marketData"')]  # which belongs to nobody, and to no client's backup

    before, before_of_one = export(), of_one()
    backup(file)
    one = file.with_name("one")
    backup(one, "--client", account)
    with elsewhere():
        restore(one)
        assert of_one() == before_of_one and len(before_of_one) > 10_000
        call_command("verify_ledger", stdout=io.StringIO(), stderr=io.StringIO())
    with second_installation(tmp_path) as another, another():
        restore(file)
        assert export() == before
        call_command("verify_ledger", stdout=io.StringIO(), stderr=io.StringIO())


def test_a_restored_backup_backs_up_to_the_same_bytes(world: Cast, elsewhere: Elsewhere, file: Path) -> None:
    backup(file)
    again = file.with_name("again")
    with elsewhere():
        restore(file)
        backup(again)
    assert manifest_of(again)["tables"] == manifest_of(file)["tables"]


def test_one_clients_backup_holds_its_rows_and_nothing_of_another(world: Cast, file: Path) -> None:
    globex = [str(world.globex), str(world.globex_bot), "globex"]
    backup(file, "--client", "client_acme")
    with zipfile.ZipFile(file) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert not [word for word in globex if word in everything]
    assert "olga" not in everything and "retired one" in everything and str(world.acme_bot) in everything
    told = manifest_of(file)
    assert told["client"]["account_identifier"] == "client_acme"
    rows = {member["table"]: member["rows"] for member in told["tables"]}
    assert (rows["trades"], rows["positions"], rows["bot_decisions"], rows["bot_state_snapshots"]) == (2, 1, 1, 5)
    assert rows["kept_documents"] == rows["bot_accounts"] == 1 and rows["bot_trade_hours"] > 0
    assert rows["bots"] == 2 and rows["bot_health_logs"] == 3 and rows["connectors"] == 1 and rows["audit_log"] > 5
    assert rows["api_keys"] == ApiKey.objects.filter(client_id=world.acme).count() > 0


def test_one_client_is_restored_among_others(world: Cast, elsewhere: Elsewhere, file: Path) -> None:
    backup(file, "--client", "client_acme")
    others, whole = file.with_name("globex"), content_of_client(world.acme)
    backup(others, "--client", str(world.globex))
    with elsewhere():
        restore(others)
        globex = content_of_client(world.globex)
        users = User.objects.count()
        restore(file)
        found = content_of_client(world.acme)
        note = AuditEntry.objects.filter(client_id=world.acme, actor="command:restore").get()
        assert note.reason.startswith("restored from a backup")
        assert len(found.pop("audit_log")) == len(whole.pop("audit_log")) + 1
        assert found == whole
        assert content_of_client(world.globex) == globex and User.objects.count() == users
        assert world.acme_reads.get("/bots").status == 200
        with pytest.raises(CommandError, match="is here already"):
            restore(file)
        Client.objects.create(name="other", account_identifier="client_zeta")
        assert len(content_of_client(world.acme)["bots"]) == 2


def test_a_client_whose_name_or_wallet_is_taken_is_refused(world: Cast, elsewhere: Elsewhere, file: Path) -> None:
    backup(file, "--client", "client_acme")
    with elsewhere():
        other = Client.objects.create(name="Other", account_identifier="client_acme")
        before = content()
        with pytest.raises(CommandError, match="Rename that one first"):
            restore(file)
        assert content() == before
        Client.objects.filter(id=other.id).update(account_identifier="client_other")
        address = "0x6cc52d4b397e0ddfdcd1ecbb37902003c4801685"
        other.wallets.create(chain="evm", address=address, address_key=address)
        before = content()
        with pytest.raises(CommandError, match=r"already exists.*Nothing was written"):
            restore(file)
        assert content() == before


def test_a_whole_backup_goes_only_into_an_installation_without_clients(world: Cast, file: Path) -> None:
    backup(file)
    before = content()
    with pytest.raises(CommandError, match="This installation has 2 clients"):
        restore(file)
    assert content() == before


def test_a_damaged_cut_or_foreign_file_is_refused_and_nothing_written(
    world: Cast, elsewhere: Elsewhere, file: Path
) -> None:
    backup(file)
    good = file.read_bytes()
    told = manifest_of(file)
    spoiled = {
        "cut in the middle": good[: len(good) // 2],
        "cut at the end": good[:-1],
        "empty": b"",
        "no backup": b"PK\x03\x04 but nothing more",
        "a table changed": _rezipped(file, lambda name, raw: raw[::-1] if name == "tables/bots.copy" else raw),
        "a row lost": _rezipped(
            file, lambda name, raw: raw.partition(b"\n")[2] if name == "tables/audit_log.copy" else raw
        ),
        "a table lost": _rezipped(file, lambda name, raw: None if name == "tables/wallets.copy" else raw),
        "a table added": _rezipped(file, lambda name, raw: raw, {"tables/more.copy": b""}),
        "another format": _rezipped(file, _manifest_with(format_version=9)),
        "no manifest": _rezipped(file, lambda name, raw: None if name == "manifest.json" else raw),
        "a strange manifest": _rezipped(file, _manifest_with(tables=[{"table": "bots"}])),
        "a foreign table": _rezipped(
            file, _manifest_with(tables=[*told["tables"][1:], {**told["tables"][0], "table": "pg_authid"}])
        ),
    }
    middle = good.index(b"tables/bots.copy") + 60
    spoiled["a bit flipped"] = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    with elsewhere():
        before = content()
        for what, raw in spoiled.items():
            file.write_bytes(raw)
            for options in ((), ("--dry-run",)):
                with pytest.raises(CommandError) as refusal:
                    restore(file, *options)
                assert "Nothing was written" in str(refusal.value), what
            assert content() == before, what
        with pytest.raises(CommandError, match="cannot be read"):
            restore(file.with_name("nowhere"))


def test_a_dry_run_reads_everything_and_writes_nothing(world: Cast, elsewhere: Elsewhere, file: Path) -> None:
    backup(file)
    with elsewhere():
        before = content()
        assert "can be restored" in restore(file, "--dry-run")
        assert content() == before


def test_a_restore_killed_in_the_middle_leaves_nothing_and_can_be_run_again(
    world: Cast, elsewhere: Elsewhere, file: Path
) -> None:
    before = content()
    backup(file)
    script = (
        "import os, signal, sys, django; django.setup()\n"
        "from bridge_project.use_cases import restore\n"
        "load = restore._load\n"
        "def dying(cursor, reader, table, *rest, **options):\n"
        "    load(cursor, reader, table, *rest, **options)\n"
        "    if table.name == 'bots': os.kill(os.getpid(), signal.SIGKILL)\n"
        "restore._load = dying\n"
        "from django.core.management import call_command\n"
        "call_command('restore', sys.argv[1])\n"
    )
    with elsewhere():
        fresh = content()
        ran = subprocess.run(
            [sys.executable, "-c", script, str(file)],
            env={**os.environ, "DATABASE_URL": _url(), "DJANGO_SETTINGS_MODULE": "bridge_project.settings"},
            cwd=django_settings.BASE_DIR,
            check=False,
            timeout=60,
        )
        assert ran.returncode == -signal.SIGKILL
        assert content() == fresh
        restore(file)
        assert content() == before


def test_a_backup_is_of_one_instant_whatever_is_written_meanwhile(world: Cast, file: Path) -> None:
    def write_more(member: Member) -> None:
        if member.table == "audit_log":
            create_client(scope=OPERATOR, name="Late", account_identifier="client_late")

    make_backup(path=file, now=timezone.now(), progress=write_more)
    rows = {member["table"]: member["rows"] for member in manifest_of(file)["tables"]}
    assert rows["clients"] == 2 and Client.objects.count() == 3
    assert list(rows).index("audit_log") < list(rows).index("clients")


def test_a_restore_gives_up_when_others_do_not_stop_writing(
    world: Cast, elsewhere: Elsewhere, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(file, "--client", "client_acme")
    monkeypatch.setattr("bridge_project.use_cases.restore.LOCK_PATIENCE", "100ms")
    with elsewhere():
        nothing = content_of_client(world.acme)
        with OPERATOR.transaction():
            create_client(scope=OPERATOR, name="Busy", account_identifier="client_busy")
            with pytest.raises(CommandError, match="stop bin/up"), ThreadPoolExecutor(1) as thread:
                thread.submit(_restore_and_close, file).result()
        assert content_of_client(world.acme) == nothing
        restore(file)


def test_a_backup_that_fails_leaves_no_file_and_keeps_the_old_one(
    world: Cast, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(file)
    old = file.read_bytes()
    with pytest.raises(CommandError, match="exists already"):
        backup(file)

    def full(_: object, table: str, __: object, blocks: Iterator[bytes], **___: object) -> Member:
        if not next(blocks, b""):
            return Member(table, [], 0, 0, "", None)
        raise OSError(28, "No space left on device")  # with more rows on their way

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_log (table_name, row_id, action, actor, reason) "
            "SELECT 'bots', i, 'UPDATE', 'tests', repeat('x', 1000) FROM generate_series(1, 5000) i"
        )
    with monkeypatch.context() as patched:
        patched.setattr("bridge_project.use_cases.backup_file.BackupWriter.add", full)
        with pytest.raises(CommandError, match="No space left"):
            backup(file, "--replace")
    assert file.read_bytes() == old and os.listdir(file.parent).count(".bridge.backup.part") == 0
    file.with_name(".bridge.backup.part").write_bytes(b"left by a kill" * 10_000)
    backup(file, "--replace")
    assert manifest_of(file)["tables"] and stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(CommandError, match="No client found"):
        backup(file.with_name("other"), "--client", "nobody")
    assert not file.with_name("other").exists()


def test_a_backup_of_other_tables_names_the_version_to_install(world: Cast, elsewhere: Elsewhere, file: Path) -> None:
    backup(file)
    more = [*manifest_of(file)["migrations"], "bots.9999_later"]
    file.write_bytes(_rezipped(file, _manifest_with(migrations=more, app_version="7.1.0")))
    with elsewhere(), pytest.raises(CommandError, match=r"version 7\.1\.0.*only in the backup: bots\.9999_later"):
        restore(file)


def test_credentials_that_no_key_here_opens_are_refused_or_forgotten(
    world: Cast, elsewhere: Elsewhere, file: Path, settings: Any
) -> None:
    create_channel(scope=OPERATOR, name="hook", kind=ChannelKind.WEBHOOK, address="https://hooks.example.com/x")
    backup(file)
    old = settings.ENCRYPTION_KEYS
    new = base64.urlsafe_b64encode(os.urandom(32)).decode()
    with elsewhere():
        Installation.objects.all().delete()
        settings.ENCRYPTION_KEYS = [new]
        before = content()
        for options in ((), ("--dry-run",)):
            with pytest.raises(CommandError, match="does not hold the key for 10 of the stored credentials"):
                restore(file, *options)
        assert content() == before
        said = restore(file, "--forget-credentials")
        for rows in ("1 rows of alert_channels", "2 rows of connectors", "2 rows of kept_documents"):
            assert rows in said
        channel = AlertChannel.objects.get()
        assert (channel.address.open(), channel.address_hint, channel.is_enabled) == ("", "", False)
        assert set(Connector.objects.values_list("api_key", "api_secret", "key_hint")) == {(None, None, "")}
        call_command("prepare_start", no_first_run=True)
    settings.ENCRYPTION_KEYS = [new, *old]
    with elsewhere():
        Connector.objects.update(api_key="k", api_secret="s")
        connectors = backup(file, "--replace")
        assert "Keep BRIDGE_ENCRYPTION_KEYS" in connectors and len(manifest_of(file)["credentials"]) == 1


def test_every_table_is_in_a_backup_or_left_out_with_a_reason(database: None) -> None:
    with connection.cursor() as cursor:
        present, kept = tables_present(cursor), tables_to_keep(cursor)
        order = loading_order(cursor, kept)
        cursor.execute("SELECT relname, relrowsecurity FROM pg_class WHERE relkind IN ('r', 'p')")
        tenants = {name for name, secured in cursor.fetchall() if secured}
        cursor.execute(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
        )
        pointed_at = {target: source for source, target in cursor.fetchall()}
    scratch = {name for name, table in present.items() if table.is_scratch}
    assert present.keys() == kept.keys() | LEFT_OUT.keys() | scratch, (
        "a table without a model must be left out for a reason"
    )
    assert all(name.startswith("arena_staging_") for name in scratch), "only what an import is reading may be unlogged"
    assert sorted(order.tables) == sorted(kept)
    of_clients = {name for name, table in kept.items() if table.client_column}
    assert of_clients == tenants, "a table's rows belong to clients where row-level security says so, and nowhere else"
    for name in of_clients:
        numbered = [column for column in kept[name].columns if column.is_numbered]
        assert not (numbered and name in pointed_at), (
            f"{name} is numbered anew in a client's restore; {pointed_at[name]}"
        )
        assert kept[name].primary_key


def _traded(bot_id: UUID, client_id: UUID, now: datetime) -> None:
    """Facts of the ledger that point at each other, and what its triggers make of them."""
    owner = put_account(bot_id)
    position, decision = put_position(owner, now), put_decision(owner, now, prompt_sent=STRANGE)
    cause: dict[str, Any] = {"position_id": position.id, "decision_id": decision.id, "note": STRANGE}
    put_trades(
        a_trade(owner, "buy", now - timedelta(hours=1), price="0.000000000000000001", **cause),
        a_trade(owner, "sell", now, pnl="-12345678901234567890.123456789012345678", **cause),
    )
    for minutes in range(5):
        put_snapshot(owner, now - timedelta(minutes=10 * minutes), Decimal(1000 + minutes))
    KeptDocument.objects.create(client_id=client_id, source="old", kind="bot", body=STRANGE, secret="an old key")
    KeptDocument.objects.create(source="old", kind="settings", key=str(bot_id), body="{}")


def _restore_and_close(file: Path) -> None:
    """In a thread, which has connections of its own."""
    try:
        restore(file)
    finally:
        connections.close_all()


def _rezipped(file: Path, change: Any, more: dict[str, bytes] | None = None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            raw = change(name, old.read(name))
            if raw is not None:
                new.writestr(name, raw)
        for name, raw in (more or {}).items():
            new.writestr(name, raw)
    return made.getvalue()


def _manifest_with(**changes: Any) -> Any:
    def change(name: str, raw: bytes) -> bytes:
        return json.dumps({**json.loads(raw), **changes}).encode() if name == "manifest.json" else raw

    return change


def _url() -> str:
    here = str(connection.settings_dict["NAME"])
    head, _, query = os.environ["DATABASE_URL"].partition("?")
    return f"{head.rpartition('/')[0]}/{here}?{query}"
