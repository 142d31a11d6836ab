"""The old bridge's database comes along once, under its old ids, its secrets encrypted, and starts nothing."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bots.models import Bot, BotDeployment
from clients.models import AuditEntry, Client, Connector, Wallet
from clients.services.manage_accounts import remove_connector, remove_wallet
from clients.services.manage_clients import create_client
from health.models import BotHealthLog
from tests.fixtures import OPERATOR, Caller, Cast, make_bot
from tests.project.old_bridge import OTHER, ROWS, SECRETS, SHARP, SHARP_WALLET, add_rows, old_bridge

COUNTED = (Client, Wallet, Connector, Bot, BotHealthLog)


def run_import(url: str, *words: str) -> str:
    said = io.StringIO()
    call_command("import_bridge", url, *words, stdout=said)
    return said.getvalue()


def everything() -> list[str]:
    with connection.cursor() as cursor:
        parts = [
            f"SELECT '{model._meta.db_table} ' || t::text AS row FROM {model._meta.db_table} t" for model in COUNTED
        ]
        cursor.execute(" UNION ALL ".join(parts) + " ORDER BY row")
        return [row[0] for row in cursor.fetchall()]


def test_old_ids_answer_and_a_second_run_changes_nothing(cast: Cast) -> None:
    with old_bridge(ROWS) as url:
        said = run_import(url)
        first = everything()
        again = run_import(url)
    assert everything() == first
    for line in ("clients: 2 imported", "wallets: 1 imported, 1 refused", "connectors: 3 imported", "bots: 2 imported, 1 refused",
                 "bot_health_logs: 3 imported, 2 refused"):  # fmt: skip
        assert line in said.splitlines()
    for line in (
        "clients: 2 already here",
        "bots: 2 already here, 1 refused",
        "bot_health_logs: 3 already here, 2 refused",
    ):
        assert line in again.splitlines()
    health = cast.operator.get("/bots/1/health")
    assert (health.status, health.body["name"], health.body["health_status"]) == (200, "Sharp Spread", "unknown")
    assert health.body["last_known"]["health_status"] == "healthy"
    assert health.body["last_trade_time"].startswith("2026-01-26T11:58:00")
    history = cast.operator.get("/bots/1/health/history").body["history"]
    assert [(line["previous_status"], line["health_status"], line["trade_count"]) for line in history] == [
        ("healthy", "stopped", 0), ("healthy", "healthy", 12), (None, "healthy", 12)
    ]  # fmt: skip
    assert cast.operator.get("/bots/2/health").body["health_status"] == "stopped"
    assert cast.operator.get(f"/clients/{SHARP}").body["account_identifier"] == "client_sharp"
    assert cast.acme_reads.get("/bots/1/health").status == 404


def test_fields_come_as_they_were_and_no_secret_is_readable_anywhere(cast: Cast) -> None:
    with old_bridge(ROWS) as url:
        said = run_import(url)
    bot = Bot.objects.get(source="bridge", source_id="1")
    assert (bot.pair, bot.connector_name, bot.strategy, bot.runtime_kind) == (
        "SHARP/USDT",
        "bitmart",
        "spread",
        "external",
    )
    assert bot.config == {"bid_spread": Decimal("0.0030"), "ask_spread": Decimal("0.003"), "order_amount": 1600}
    assert (bot.desired_status, bot.reported_status, bot.desired_by) == ("running", "running", "import:bridge")
    assert bot.created_at.isoformat() == "2026-01-26T10:00:00+00:00"
    client = Client.objects.get(id=SHARP)
    assert (client.tier, client.settings, client.email) == ("gold", {"theme": "dark"}, "ops@sharp.example")
    other = Client.objects.get(id=OTHER)
    assert (other.account_identifier, other.status) == ("other_account", "suspended")
    assert cast.operator.get(f"/clients/by-wallet/{SHARP_WALLET}").body["client_id"] == SHARP
    key, second = Connector.objects.filter(client_id=SHARP).order_by("label")
    assert (key.api_key.open(), key.api_secret.open(), key.passphrase.open()) == (
        "bitmart-key-0123456789", "bitmart-secret", "bitmart-memo"
    )  # fmt: skip
    assert (second.label, second.api_secret.open(), second.passphrase) == ("12", "second-secret", None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text FROM clients c UNION ALL SELECT c::text FROM connectors c UNION ALL "
                       "SELECT c::text FROM bots c UNION ALL SELECT c::text FROM audit_log c")  # fmt: skip
        stored = "\n".join(row[0] for row in cursor.fetchall())
    assert not [secret for secret in SECRETS if secret in stored or secret in said]
    assert "Not read of clients: password_hash, updated_at." in said
    assert "The old bridge kept Solana addresses in lower case" in said
    assert AuditEntry.objects.filter(table_name="bots", row_id=str(bot.id), actor="import:bridge").count() == 1


def test_what_came_since_is_added_and_what_was_deleted_here_stays_deleted(cast: Cast) -> None:
    with old_bridge(ROWS) as url:
        run_import(url)
        key = Connector.objects.get(client_id=SHARP, label="")
        wallet = Wallet.objects.get(client_id=SHARP)
        remove_connector(scope=OPERATOR, client_id=key.client_id, connector_id=key.id)
        remove_wallet(scope=OPERATOR, client_id=key.client_id, wallet_id=wallet.id)
        assert cast.operator.delete("/bots/2").status == 200
        with psycopg.connect(url) as old:
            add_rows(old, "bot_health_logs", [{**ROWS["bot_health_logs"][2], "checked_at": "2026-01-27 00:00:00+00"}])
            add_rows(old, "bots", [{**ROWS["bots"][0], "id": 9, "name": "New"}])
        said = run_import(url)
    assert "bots: 1 imported, 1 already here, 2 refused" in said
    assert "bot_health_logs: 1 imported, 3 already here, 2 refused" in said
    assert "bots[2]: It was deleted here since it was imported." in said
    assert not Wallet.objects.filter(client_id=SHARP).exists()
    assert Connector.objects.get(id=key.id).api_key is None
    assert not Connector.objects.filter(client_id=SHARP, label="", retired_at=None).exists()


def test_clients_and_bots_that_are_here_already_are_linked(cast: Cast) -> None:
    mine = create_client(
        scope=OPERATOR, name="Sharp", account_identifier="client_sharp", connectors=[{"name": "bitmart"}]
    )
    bot = make_bot("client_sharp", name="Sharp Spread", connector="bitmart", pair="SHARP/USDT")
    with old_bridge(ROWS) as url:
        said = run_import(url)
    assert "clients: 1 imported, 1 linked" in said
    assert "bots: 1 imported, 1 linked, 1 refused" in said
    assert cast.operator.get("/bots/1").body["id"] == str(bot)
    assert cast.operator.get(f"/clients/{SHARP}").body["id"] == str(mine)
    assert Connector.objects.get(client=mine, label="").api_secret.open() == "bitmart-secret"


def test_bots_for_hummingbot_wait_for_a_person_to_start_them(database: None) -> None:
    with old_bridge(ROWS) as url:
        said = run_import(url, "--kind", "hummingbot")
    bot = Bot.objects.get(source_id="1")
    assert (bot.runtime_kind, bot.desired_status, bot.reported_status) == ("hummingbot", "created", "running")
    assert "bots[1] ran in the old bridge. Stop its old instance" in said
    assert not BotDeployment.objects.exists()


def test_a_dry_run_reports_the_same_and_writes_nothing(database: None, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with old_bridge(ROWS) as url:
        dry = run_import(url, "--dry-run", "--report", str(report))
        assert not any(model.objects.exists() for model in COUNTED)
        real = run_import(url)
    assert dry.replace("Would import", "Imported") == real
    told = json.loads(report.read_text())
    assert told["dry_run"] is True
    assert told["tables"]["bots"] == {"imported": 2, "refused": 1}
    assert {"path": "bots[3]", "reason": "No client with account_identifier 'client_gone' was imported."} in told[
        "refused"
    ]
    assert "s3cret" not in report.read_text()


def test_a_poor_database_of_the_first_days_is_read_too(database: None) -> None:
    rows = deepcopy(ROWS)
    rows["connectors"] = []
    with old_bridge(rows, without=("connectors", "bot_health_logs")) as url:
        said = run_import(url.replace("postgres://", "postgresql+psycopg2://"))
    assert "note     The old database has no table bot_health_logs." in said
    assert "bots: 2 imported, 1 refused" in said
    assert Bot.objects.get(source_id="1").connector is None


def test_two_old_bridges_with_the_same_ids_are_told_apart(cast: Cast) -> None:
    other = {
        "clients": [{"id": "1", "name": "Second", "account_identifier": "client_second"}],
        "bots": [{"id": 1, "account": "client_second", "name": "Second", "connector": "kucoin", "pair": "ETH/USDT"}],
    }
    with old_bridge(ROWS) as first, old_bridge(other) as second:
        run_import(first)
        run_import(second, "--source", "bridge-eu")
    answer = cast.operator.get("/bots/1")
    assert (answer.status, len(answer.body["candidates"])) == (409, 2)


def test_a_database_that_cannot_be_read_leaves_nothing_behind(cast: Cast, operator_database: str) -> None:
    for url, says in (
        ("postgresql://ann:s3cret@127.0.0.1:1/old", "127.0.0.1:1/old cannot be read"),
        ("mysql://ann:s3cret@h/x", "no address of a PostgreSQL"),
        (operator_database, "a bridge of today"),
    ):
        before = everything()
        with pytest.raises(CommandError, match=says) as caught:
            run_import(url)
        assert "Nothing was written" in str(caught.value)
        assert "s3cret" not in str(caught.value)
        assert everything() == before


@pytest.fixture
def operator_database() -> str:
    """The address of this bridge's own database."""
    given = connection.settings_dict
    return f"postgresql://{given['USER']}@/{given['NAME']}?host={given['HOST']}"


def test_the_imported_bots_key_is_asked_for_nowhere_in_answers(cast: Cast) -> None:
    with old_bridge(ROWS) as url:
        run_import(url)
    reader: Caller = cast.operator
    for path in ("/clients", "/bots", "/bots/1", "/bots/1/health", "/bots/1/timeline"):
        answer = reader.get(path)
        assert answer.status == 200
        assert not [secret for secret in SECRETS if secret in json.dumps(answer.body)]


def test_an_old_sidecar_goes_on_reporting_under_its_old_id(cast: Cast) -> None:
    with old_bridge(ROWS) as url:
        run_import(url)
    assert cast.operator.post("/bots/heartbeat", {"bot_id": 1, "status": "running"}).status == 200
    assert cast.operator.get("/bots/1/health").body["last_heartbeat"] is not None


def test_rows_that_make_no_sense_are_refused_one_by_one(database: None) -> None:
    bot = ROWS["bots"][0]
    rows = deepcopy(ROWS) | {
        "bots": [
            bot | {"id": 1, "config": "[1, 2]"}, bot | {"id": 2, "pair": "SHARP"}, bot | {"id": 3, "connector": "?"},
            bot | {"id": 4, "name": "x" * 300}, bot | {"id": 5},
        ],
        "wallets": [
            {"id": "a", "client_id": SHARP, "chain": "evm", "address": "0x12"},
            {"id": "b", "client_id": "nobody", "chain": "evm", "address": "0x" + "2" * 40},
        ],
        "connectors": [{"id": "c", "client_id": SHARP, "name": "kucoin", "api_key": "half-a-key"}],
        "bot_health_logs": [],
    }  # fmt: skip
    with old_bridge(rows) as url:
        said = run_import(url)
    for line in (
        "bots: 1 imported, 4 refused", "refused  bots[1]: config is no JSON object.",
        "refused  bots[4]: name has 300 characters; at most 200 are taken.",
        "refused  wallets[a]: An EVM address is 0x and 40 hexadecimal digits.",
        "refused  wallets[b]: No client nobody was imported.",
        "note     connectors[c] had only a part of its credentials; it came without them.",
    ):  # fmt: skip
        assert line in said.splitlines()
    assert Connector.objects.get(name="kucoin").api_key is None


def test_only_one_import_runs_at_a_time(database: None, operator_database: str) -> None:
    with old_bridge(ROWS) as url, psycopg.connect(operator_database) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [0x62726964_6765])
        with pytest.raises(CommandError, match="Another import is running"):
            run_import(url)
        other.rollback()
        assert not any(model.objects.exists() for model in COUNTED)
        assert "bots: 2 imported" in run_import(url)
