"""What was imported comes back equal, however it was written, and what the bridge recorded since comes with it."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bots.models import Bot
from bots.services.ship_templates import ship_templates
from clients.models import Client
from ground.scope import close_primed, system_scope
from ledger.models import BotAccount, BotDecision, Position, Trade
from tests.fixtures import _empty
from tests.ledger import arena_blobs
from tests.ledger.test_import import everything
from tests.project.elsewhere import second_installation

pytestmark = pytest.mark.usefixtures("database")
D = Decimal
LATER = datetime(2026, 3, 1, 12, tzinfo=UTC)
Importer = Callable[..., dict[str, Any]]
Exporter = Callable[..., str]


@pytest.fixture
def put(tmp_path: Path) -> Importer:
    """Imports a state; gives the report."""

    def imported(state: Any, *options: str) -> dict[str, Any]:
        file, report = tmp_path / "in.json", tmp_path / "report.json"
        file.write_text(state if isinstance(state, str) else json.dumps(state))
        call_command("import_arena_state", str(file), "--report", str(report), *options, stdout=io.StringIO())
        made: dict[str, Any] = json.loads(report.read_text())
        return made

    return imported


@pytest.fixture
def get(tmp_path: Path) -> Exporter:
    """Exports the state; gives its text."""

    def exported(*options: str) -> str:
        file = tmp_path / "out.json"
        call_command("export_arena_state", str(file), "--replace", *options, stderr=io.StringIO())
        return file.read_text()

    return exported


def meant(text: str) -> Any:
    """JSON as values: 1.0 and 1 are one, true is not 1, NaN is itself; every digit counts."""
    return json.loads(
        text, parse_float=lambda n: ("number", Decimal(n)), parse_int=lambda n: ("number", Decimal(n)),
        parse_constant=lambda word: ("constant", word),
    )  # fmt: skip


def start_anew() -> None:
    """An empty bridge."""
    close_primed()
    _empty()
    ship_templates(scope=system_scope("tests"))


@pytest.mark.parametrize("form", arena_blobs.FORMS)
def test_a_state_comes_back_equal_and_goes_round_with_the_same_bytes(put: Importer, get: Exporter, form: str) -> None:
    original = json.dumps(arena_blobs.state(orders=60, logs=12, form=form))
    put(original)
    exported = get()
    assert meant(exported) == meant(original)
    before = everything()
    put(exported)
    assert everything() == before
    assert get() == exported
    start_anew()
    put(exported)
    assert get() == exported


ODD = """
{"exchangeInfo": {"precision": 1.50, "big": 123456789012345678901234567890.123456789012345678901234567890},
 "bots": [
  {"id": "b1", "name": "  Näme  ", "userId": "u1", "portfolio": {"positions": [
      {"id": "p1", "symbol": "BTCUSDT", "type": "LONG", "entryPrice": "45230.50", "size": 500, "leverage": 3,
       "stopLoss": null, "takeProfit": 46500.000, "pnl": 125.5000000000000000001, "whim": {"a": [1.10, true, null]}},
      {"id": "p2", "symbol": "eth_usdt", "type": "short", "entryPrice": 2450.3, "size": 300, "unknown": 1}],
    "balance": 8234.12, "free": "x"},
   "orders": [
      {"id": "o9", "symbol": "XRPUSDT", "action": "LONG", "side": "exit", "price": 2.50, "size": 100, "leverage": 3,
       "timestamp": 1730912107, "pnl": "5.230"},
      {"id": 17, "symbol": "XRP/USDT", "action": "LONG", "side": "entry", "price": 24.5e-1, "size": 1e2, "leverage": 3.0,
       "timestamp": "2024-11-06T16:55:07.123456Z", "pnl": 0, "note": null},
      {"id": "o7", "symbol": "XRPUSDT", "type": "LONG", "entryPrice": 2.4, "exitPrice": 0, "size": 10, "leverage": 1,
       "timestamp": 1730912100123.75, "fee": 0.003, "pnl": -0.003},
      {"id": "o6", "symbol": "XRPUSDT", "trade_type": "LONG", "action": "CLOSE", "entry_price": 2.4, "exit_price": 2.6,
       "size": 10, "leverage": 1, "executed_at": "2024-11-06 16:56:00", "pnl": -1.5, "fee": 1e-30},
      {"id": "o5", "symbol": "SOLUSDT", "action": "SHORT", "side": "exit", "price": 155, "size": 10, "leverage": 1,
       "timestamp": 1730912000000}],
   "botLogs": [
      {"timestamp": 1730912107000, "prompt": "p\\u00e4\\n", "decisions": null, "notes": "one", "tokens": 12},
      {"timestamp": 1730912106, "decisions": [{"size": 1.0, "odd": 1}], "prompt": 5},
      {"id": "log-3", "timestamp": 1730912105000, "prompt": "", "decisions": [], "notes": [1e400]}],
   "realizedPnl": "12.5", "winRate": null, "isPaused": true, "initialBalance": 10000.00, "emptyList": [], "": 1},
  {"id": "b2", "userId": "u2", "orders": null, "botLogs": null, "portfolio": null},
  {"id": "b3", "orders": [], "portfolio": {}}
 ], "marketData": {"BTCUSDT": 45340.00}, "unknown": [-0.0]}
"""


def test_whatever_an_old_system_wrote_comes_back(put: Importer, get: Exporter) -> None:
    report = put(ODD)
    assert [(item["path"], item["reason"]) for item in report["refused"]] == []
    exported = get()
    assert meant(exported) == meant(ODD)
    before = everything()
    put(exported)
    assert everything() == before
    start_anew()
    put(exported)
    assert get() == exported


def test_only_refused_items_are_missing(put: Importer, get: Exporter) -> None:
    state = arena_blobs.state(orders=20, logs=4, bots=1)
    bot = state["bots"][0]
    whole = json.dumps(state)
    bot["orders"].insert(3, {"id": "x1", "symbol": "XRPUSDT", "action": "LONG", "side": "entry", "price": "many"})
    bot["orders"].insert(7, bot["orders"][5])
    bot["orders"].append(
        {"id": "x2", "symbol": "?", "action": "LONG", "side": "entry", "price": 1, "size": 1, "timestamp": 1}
    )
    bot["botLogs"].insert(0, {"timestamp": 1730912107000, "prompt": "x" * (9 << 20)})
    bot["portfolio"]["positions"].insert(0, "no object")
    bot["huge"] = "x" * (9 << 20)
    report = put(state)
    assert [item["path"] for item in report["refused"]] == [
        "bots[0].orders[3]", "bots[0].orders[22]", "bots[0].botLogs[0]", "bots[0].portfolio.positions[0]", "bots[0].huge",
        "bots[0].orders[7]",
    ]  # fmt: skip
    exported = get()
    assert meant(exported) == meant(whole)
    start_anew()
    put(exported)
    assert get() == exported


def test_a_grown_state_comes_back_with_what_it_dropped_behind(put: Importer, get: Exporter) -> None:
    grown = arena_blobs.state(orders=60, logs=12, bots=1)
    early = json.loads(json.dumps(grown))
    early["bots"][0]["orders"] = early["bots"][0]["orders"][20:]
    early["bots"][0]["botLogs"] = early["bots"][0]["botLogs"][5:]
    dropped = grown["bots"][0]["botLogs"][9:]
    grown["bots"][0]["botLogs"] = grown["bots"][0]["botLogs"][:9]
    put(early)
    put(grown)
    exported = get()
    grown["bots"][0]["botLogs"] += dropped
    assert meant(exported) == meant(json.dumps(grown))
    before = everything()
    put(exported)
    assert everything() == before


def test_what_the_bridge_recorded_since_comes_along_and_goes_in_again_as_itself(put: Importer, get: Exporter) -> None:
    state = arena_blobs.state(orders=30, logs=3, bots=2, form="position")
    put(state)
    record_a_closed_trade(Bot.objects.get(source_id=state["bots"][0]["id"]))
    exported = get()
    first, second = meant(exported)["bots"]
    was = meant(json.dumps(state))["bots"]
    assert second == was[1]
    assert first["orders"][2:] == was[0]["orders"]
    assert [order["type"] for order in first["orders"][:2]] == ["LONG", "LONG"]
    assert {order["positionId"] for order in first["orders"][:2]} == {
        str(Position.objects.get(source="", source_id="").id)
    }
    assert first["botLogs"][0]["prompt"] == "a new prompt"
    assert first["botLogs"][1:] == was[0]["botLogs"]
    number = was[0]["realizedPnl"][1]
    assert first["realizedPnl"] == ("number", number + 7)
    assert first["tradeCount"] == ("number", was[0]["tradeCount"][1] + 2)
    assert first["portfolio"]["balance"] == ("number", was[0]["portfolio"]["balance"][1] + 7)
    before = everything()
    put(exported)
    assert everything() == before
    assert get() == exported
    start_anew()
    put(exported)
    assert get() == exported


def test_a_backup_restored_elsewhere_gives_the_same_export(put: Importer, get: Exporter, tmp_path: Path) -> None:
    put(ODD)
    exported, file = get(), str(tmp_path / "whole.backup")
    call_command("backup", file, stdout=io.StringIO(), stderr=io.StringIO())
    with second_installation(tmp_path) as elsewhere, elsewhere():
        call_command("restore", file, stdout=io.StringIO(), stderr=io.StringIO())
        assert get() == exported


def test_an_open_position_that_lives_on_shows_what_it_is_now(put: Importer, get: Exporter) -> None:
    state = arena_blobs.state(orders=10, logs=0, bots=1)
    state["bots"][0]["portfolio"]["positions"][0] |= {
        "stopLoss": "44800.0",
        "pnl": 1.0000000000000000001,
        "mood": "calm",
    }
    put(state)
    position = Position.objects.get(source_id=state["bots"][0]["portfolio"]["positions"][0]["id"])
    Position.objects.filter(id=position.id).update(stop_loss=44900, unrealized_pnl="2.50")
    shown = meant(get())["bots"][0]["portfolio"]["positions"][0]
    assert (shown["stopLoss"], shown["pnl"], shown["mood"]) == (("number", D("44900")), ("number", D("2.5")), "calm")


def test_one_clients_export_holds_nothing_of_another(put: Importer, get: Exporter) -> None:
    state = arena_blobs.state(orders=10, logs=2, bots=2)
    put(state | {"notes of everybody": ["private"]})
    first = Client.objects.get(source_id=state["bots"][0]["userId"])
    text = get("--client", first.account_identifier)
    assert meant(text) == meant(json.dumps({"bots": state["bots"][:1], "marketData": state["marketData"]}))
    assert state["bots"][1]["userId"] not in text
    assert meant(get("--source", "elsewhere")) == {"bots": [], "marketData": []}
    with pytest.raises(CommandError, match="nobody_here"):
        get("--client", "nobody_here")


def test_a_bot_that_was_deleted_or_never_imported(put: Importer, get: Exporter, cast: Any) -> None:
    state = arena_blobs.state(orders=10, logs=0, bots=2)
    put(state)
    Bot.objects.filter(source_id=state["bots"][1]["id"]).update(retired_at=LATER)
    own = Bot.objects.get(id=cast.acme_bot)
    Bot.objects.filter(id=own.id).update(runtime_kind="arena")
    BotAccount.objects.create(bot=own, client_id=own.client_id, mode="paper", currency="USDT", allocated_capital=500)
    record_a_closed_trade(own)
    exported = get()
    kept, made = meant(exported)["bots"]
    assert kept == meant(json.dumps(state))["bots"][0]
    assert (made["id"], made["userId"], made["name"]) == (str(own.id), str(cast.acme), own.name)
    assert (made["initialBalance"][1], made["realizedPnl"][1], made["portfolio"]["balance"][1]) == (500, 7, 507)
    assert [order["side"] for order in made["orders"]] == ["exit", "entry"]
    before = everything()
    put(exported)
    assert everything() == before
    start_anew()
    put(exported)
    assert get() == exported


def test_a_file_that_is_there_is_kept_and_standard_output_takes_the_state(
    put: Importer, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    state = arena_blobs.state(orders=10, logs=2, bots=1)
    put(state)
    file = tmp_path / "there.json"
    call_command("export_arena_state", str(file), stderr=io.StringIO())
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="exists already"):
        call_command("export_arena_state", str(file))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_arena_state", str(tmp_path / "nowhere" / "x.json"))
    capfdbinary.readouterr()
    call_command("export_arena_state")
    assert capfdbinary.readouterr().out == file.read_bytes()


def record_a_closed_trade(bot: Bot) -> None:
    """A decision, and a position that it opened and closed with a profit of 7."""
    mine: dict[str, Any] = {"client_id": bot.client_id, "bot_id": bot.id}
    decision = BotDecision.objects.create(
        **mine, decided_at=LATER, prompt_sent="a new prompt", decisions_json=[{"size": D("1.50")}], notes_json=["✅ opened"],
        execution_success=True,
    )  # fmt: skip
    position = Position.objects.create(
        **mine, mode="paper", market_type="swap", symbol="SOL/USDT", currency="USDT", position_type="LONG", status="closed",
        entry_price=100, exit_price=107, size=100, leverage=1, opened_quantity=1, closed_quantity=1, quantity=0,
        basis_quantity=1, basis_cost=100, realized_pnl=7, realized_exact=7, opened_at=LATER, closed_at=LATER,
        close_cause="model",
    )  # fmt: skip
    each: dict[str, Any] = mine | {
        "position_id": position.id, "mode": "paper", "market_type": "swap", "symbol": "SOL/USDT", "currency": "USDT",
        "action": "LONG", "quantity": 1, "size": 100, "cause": "model", "executed_at": LATER, "entry_price": 100,
    }  # fmt: skip
    Trade.objects.create(
        **each, id=uuid.UUID(int=1), side="buy", trade_type="entry", price=100, decision_id=decision.id
    )
    Trade.objects.create(
        **each, id=uuid.UUID(int=2), side="sell", trade_type="exit", price=107, exit_price=107, pnl=7, closed_quantity=1
    )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bot_accounts SET cash_flow = cash_flow + 7 WHERE bot_id = %s", [bot.id])
