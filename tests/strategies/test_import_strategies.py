"""The old strategies' SQLite file comes along once; what ran waits for a person unless it is asked to start."""

from __future__ import annotations

import io
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from bots.models import Bot, BotDeployment
from clients.models import Client
from ledger.models import KeptDocument
from strategies.models import ActiveStrategy, StrategyHistory, StrategyVersion
from strategies.services.close_strategies import settle_history
from tests.fixtures import Cast
from tests.strategies.desk import StrategyDesk

TABLES = {
    "active_strategies": "id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT UNIQUE, strategy_type TEXT, exchange TEXT, "
    "config TEXT, started_at TIMESTAMP, last_active TIMESTAMP, status TEXT DEFAULT 'active'",
    "strategy_history": "id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, strategy_type TEXT, started_at TIMESTAMP, "
    "stopped_at TIMESTAMP, reason TEXT, pnl REAL, trades_count INTEGER",
    "strategy_signals": "id INTEGER PRIMARY KEY, symbol TEXT, signal TEXT, price REAL, api_key TEXT, created_at TIMESTAMP",
    "strategy_metrics": "symbol TEXT, name TEXT, value REAL",
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "active_strategies": [
        {"symbol": "BTCUSDT", "strategy_type": "scalp", "exchange": "kucoin", "config": '{"mode": "scalp", "interval": "5m"}',
         "started_at": "2026-01-20T08:00:00", "last_active": "2026-01-20 08:00:00.25", "status": "active"},
        {"symbol": "ETH/USDT", "strategy_type": "moon", "exchange": "kucoin", "config": "{}",
         "started_at": "2026-01-20 09:00:00"},
        {"symbol": "???", "strategy_type": "scalp", "started_at": "2026-01-20 09:00:00"},
    ],
    "strategy_history": [
        {"symbol": "BTCUSDT", "strategy_type": "bear", "started_at": "2026-01-10 08:00:00",
         "stopped_at": "2026-01-11 08:00:00", "reason": "user_stopped", "pnl": 12.3, "trades_count": 7},
        {"symbol": "SOLUSDT", "strategy_type": "range", "started_at": 1768032000, "stopped_at": 1768035600},
        {"symbol": "BTCUSDT", "strategy_type": "bear", "started_at": "2026-01-12 08:00:00",
         "stopped_at": "2026-01-11 08:00:00", "reason": "user_stopped"},
    ],
    "strategy_signals": [
        {"id": 1, "symbol": "BTCUSDT", "signal": "buy", "price": 45000.50, "api_key": "hidden-key", "created_at": "2026-01-20"},
    ],
    "strategy_metrics": [{"symbol": "BTCUSDT", "name": "sharpe", "value": 1.25}],
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_file(tmp_path / "strategies.db", ROWS)


def make_file(path: Path, rows: dict[str, list[dict[str, Any]]]) -> Path:
    """A file as the old service kept it."""
    with sqlite3.connect(path) as made:
        for table, columns in TABLES.items():
            made.execute(f"CREATE TABLE {table} ({columns})")
            for row in rows.get(table, []):
                marks = ", ".join("?" * len(row))
                made.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    made.close()
    return path


def run_import(file: Path, *words: str) -> str:
    said = io.StringIO()
    call_command("import_strategies", str(file), *words, stdout=said)
    return said.getvalue()


def everything() -> list[str]:
    models = (Client, Bot, ActiveStrategy, StrategyHistory, StrategyVersion, KeptDocument)
    with connection.cursor() as cursor:
        parts = [
            f"SELECT '{model._meta.db_table} ' || t::text AS row FROM {model._meta.db_table} t" for model in models
        ]
        cursor.execute(" UNION ALL ".join(parts) + " ORDER BY row")
        return [row[0] for row in cursor.fetchall()]


def test_what_ran_is_listed_and_waits_and_a_second_run_changes_nothing(cast: Cast, file: Path) -> None:
    said = run_import(file)
    first = everything()
    again = run_import(file)
    assert everything() == first
    for line in ("active_strategies: 2 imported, 1 refused", "strategy_history: 2 imported, 1 refused",
                 "strategy_signals: 1 imported", "strategy_metrics: 1 imported",
                 "note     ETH/USDT (moon) cannot run yet: There is no template for the mode 'moon'.",
                 "refused  strategy_history[3]: It stopped before it started."):  # fmt: skip
        assert line in said.splitlines()
    assert "active_strategies: 2 already here, 1 refused" in again.splitlines()
    assert "strategy_history: 2 already here, 1 refused" in again.splitlines()
    shown = cast.operator.get("/api/live-strategy/status").body["strategies"]
    assert [(s["symbol"], s["mode"], s["interval"], s["exchange"], s["status"], s["running"]) for s in shown] == [
        ("BTCUSDT", "scalp", "5m", "kucoin", "quarantined", False),
        ("ETH/USDT", "moon", "1m", "kucoin", "quarantined", False),
    ]
    assert shown[0]["started_at"].startswith("2026-01-20T08:00:00")
    assert not BotDeployment.objects.exists()
    assert set(Bot.objects.exclude(source="").values_list("desired_status", flat=True)) == {"created"}


def test_history_keeps_its_words_and_figures_and_no_secret_comes_along(cast: Cast, file: Path) -> None:
    said = run_import(file, "--account", "client_acme")
    history = cast.acme_reads.get("/api/live-strategy/history").body["history"]
    told = [
        (h["symbol"], h["strategy_type"], h["exchange"], h["reason"], h["pnl"], h["fees"], h["trades_count"])
        for h in history
    ]
    assert told == [
        ("BTCUSDT", "bear", "binance", "user_stopped", "12.3", None, 7),
        ("SOLUSDT", "range", "binance", "user_stopped", None, None, None),
    ]
    assert StrategyHistory.objects.get(symbol="BTC/USDT").pnl == Decimal("12.3")
    assert cast.globex_manages.get("/api/live-strategy/history").body["history"] == []
    kept = KeptDocument.objects.get(kind="strategy_signals")
    assert json.loads(kept.body)["price"] == 45000.5
    assert kept.client_id == cast.acme
    assert "Not read of strategy_signals: api_key." in said
    assert not [row for row in everything() if "hidden-key" in row]
    bot = Bot.objects.get(source="strategies", strategy="scalp")
    assert bot.connector is not None
    assert bot.connector.client_id == cast.acme


def test_the_same_symbol_of_two_exchanges_is_two_strategies(cast: Cast, tmp_path: Path) -> None:
    file = tmp_path / "two.db"
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE active_strategies (symbol, strategy_type, exchange, started_at)")
        for exchange in ("kucoin", "binance"):
            row = ("BTCUSDT", "scalp", exchange, "2026-01-20 08:00:00")
            made.execute("INSERT INTO active_strategies VALUES (?, ?, ?, ?)", row)
    made.close()
    assert "active_strategies: 2 imported" in run_import(file).splitlines()
    assert "active_strategies: 2 already here" in run_import(file).splitlines()
    assert sorted(ActiveStrategy.objects.values_list("exchange", flat=True)) == ["binance", "kucoin"]


def test_what_was_stopped_here_does_not_come_back(cast: Cast, file: Path) -> None:
    run_import(file)
    assert cast.operator.post("/api/live-strategy/stop", {"symbol": "BTCUSDT"}).body["stopped"] is True
    run_import(file)
    assert [row.symbol for row in ActiveStrategy.objects.all()] == ["ETH/USDT"]


def test_started_with_the_import_it_runs_once(desk: StrategyDesk, file: Path) -> None:
    said = run_import(file, "--account", "client_acme", "--start")
    assert "note     BTCUSDT (scalp) is wanted running." in said.splitlines()
    row = ActiveStrategy.objects.get(symbol="BTC/USDT")
    assert (row.status, row.bot.desired_status, row.bot.desired_by) == ("restoring", "running", "import:strategies")
    run_import(file, "--account", "client_acme", "--start")
    desk.work_until(lambda: ActiveStrategy.objects.get(id=row.id).status == "active")
    assert (desk.deploys(), BotDeployment.objects.filter(bot=row.bot).count()) == (1, 1)
    assert ActiveStrategy.objects.get(symbol="ETH/USDT").status == "quarantined"


def test_a_person_starts_what_waited_and_its_bot_is_the_imported_one(desk: StrategyDesk, file: Path) -> None:
    run_import(file, "--account", "client_acme")
    bot = Bot.objects.get(source="strategies", strategy="scalp")
    desk.work(later_s=60)
    desk.follow()
    assert (desk.deploys(), desk.status("?symbol=BTCUSDT")["status"]) == (0, "quarantined")
    answer = desk.start("BTCUSDT", mode="scalp", interval="5m")
    assert (answer.status, answer.body["started"]) == (200, True)
    row = ActiveStrategy.objects.get(symbol="BTC/USDT")
    assert (row.bot_id, row.status, desk.deploys()) == (bot.id, "active", 1)
    assert settle_history(now=timezone.now()) == 0
    over = StrategyHistory.objects.get(bot=bot)
    assert (over.reason, over.pnl, over.trades_count) == ("started again", None, None), "the old service traded it"
    run_import(file, "--account", "client_acme", "--start")
    assert ActiveStrategy.objects.get(symbol="BTC/USDT").id == row.id


def test_starting_without_a_hummingbot_writes_nothing(database: None, file: Path) -> None:
    with pytest.raises(CommandError, match="No Hummingbot is configured.*Nothing was written"):
        run_import(file, "--start")
    assert not Client.objects.exists()


def test_a_dry_run_writes_nothing(database: None, file: Path) -> None:
    dry = run_import(file, "--dry-run")
    assert not everything()
    assert dry.replace("Would import", "Imported") == run_import(file)


def test_a_file_of_the_document_alone_is_read_without_ids(database: None, tmp_path: Path) -> None:
    path = tmp_path / "strategies.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE active_strategies (symbol UNIQUE, strategy_type, exchange, config, started_at, last_active, "
                     "status)")  # fmt: skip
        made.execute("INSERT INTO active_strategies VALUES ('BTCUSDT', 'scalp', 'binance', '{\"interval\": \"1m\"}', "
                     "'2026-01-20 08:00:00', NULL, 'active')")  # fmt: skip
    made.close()
    assert "active_strategies: 1 imported" in run_import(path)


def test_says_why_a_file_cannot_be_read(database: None, tmp_path: Path, file: Path) -> None:
    text = tmp_path / "notes.db"
    text.write_text("no database " * 100)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as made:
        made.execute("CREATE TABLE cats (name TEXT)")
    made.close()
    for path, says in (
        (tmp_path / "absent.db", "no such file"),
        (text, "not a database"),
        (other, "holds no old strategies"),
    ):
        with pytest.raises(CommandError, match=says):
            run_import(path)
    with pytest.raises(CommandError, match="No client found with account_identifier 'client_none'"):
        run_import(file, "--account", "client_none")
    assert not everything()
