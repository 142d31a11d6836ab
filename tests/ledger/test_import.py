"""An old arena's state becomes rows, once, whatever its dialect; a later one adds only what is new."""

from __future__ import annotations

import copy
import io
import json
import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from bots.models import Bot
from clients.models import Client
from clients.services.manage_clients import create_client
from ground.scope import system_scope
from ledger.models import (
    ArenaImport,
    BotAccount,
    BotDecision,
    BotStateSnapshot,
    KeptDocument,
    LeaderboardEntry,
    Position,
    Trade,
)
from ledger.services.refresh_boards import refresh_boards
from tests.fixtures import OPERATOR, Cast
from tests.ledger import arena_blobs

D = Decimal
MS = 1_730_912_107_000
# The audit's own example, with the exit's entry beside it.
ASTROLOGER: dict[str, Any] = {
    "id": "bot_astrologer", "userId": "0b880cf70bdc6ad15cd49ff0600dc023", "name": "Astrologer", "prompt": "You are…",
    "provider": "gemini", "tradingMode": "paper", "initialBalance": 10000,
    "orders": [
        {"id": "order_3", "symbol": "BTCUSDT", "action": "LONG", "side": "entry", "price": 45230.50, "size": 500,
         "leverage": 3, "timestamp": MS + 2000},
        {"id": "order_2", "symbol": "XRPUSDT", "action": "LONG", "side": "exit", "price": 2.50, "size": 100,
         "leverage": 3, "timestamp": MS + 1000, "pnl": 5.23},
        {"id": "order_1", "symbol": "XRPUSDT", "action": "LONG", "side": "entry", "price": 2.40, "size": 100,
         "leverage": 3, "timestamp": MS},
    ],
    "botLogs": [
        {"timestamp": MS, "prompt": "You are…", "notes": ["✅ Position opened successfully", "Entry price: $2.45"],
         "decisions": [{"action": "LONG", "symbol": "XRPUSDT", "reasoning": "The stars align…", "stopLoss": 2.40}]},
        {"timestamp": MS - 1000, "prompt": "You are…", "notes": ["REJECTED LONG XRPUSDT: Adjusted size too small."],
         "decisions": [{"action": "LONG", "symbol": "XRPUSDT"}]},
    ],
    "portfolio": {
        "balance": 9505.23, "pnl": 125.50, "totalValue": 10130.73,
        "positions": [{"id": "pos_5678", "symbol": "BTCUSDT", "type": "LONG", "entryPrice": 45230.50, "size": 500,
                       "leverage": 3, "pnl": 125.50, "stopLoss": 44800, "takeProfit": 46500, "liquidationPrice": 43200}],
    },
    "realizedPnl": 5.23, "tradeCount": 3, "winRate": 1, "symbolCooldowns": {"XRPUSDT": 1}, "isPaused": False,
}  # fmt: skip


def put(tmp_path: Path, state: Any, *options: str) -> dict[str, Any]:
    """Import a state; gives the report."""
    path, report = tmp_path / "state.json", tmp_path / "report.json"
    path.write_bytes(state if isinstance(state, bytes) else json.dumps(state).encode())
    call_command("import_arena_state", str(path), "--report", str(report), *options, stdout=io.StringIO())
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def one(**changes: Any) -> dict[str, Any]:
    """A state with the audit's bot alone."""
    return {"bots": [copy.deepcopy(ASTROLOGER) | changes]}


def everything() -> dict[str, list[Any]]:
    """Every row that an import writes, but for when."""
    tables = {
        "trades": "recorded_at", "positions": "updated_at", "bot_decisions": "recorded_at", "bot_accounts": "updated_at",
        "bot_state_snapshots": "id", "kept_documents": "imported_at", "clients": "updated_at", "bots": "updated_at",
        "bot_stats": "updated_at", "bot_trade_hours": "id", "bot_fees": "id", "audit_log": "at",
    }  # fmt: skip
    with connection.cursor() as cursor:
        found = {}
        for table, but in tables.items():
            cursor.execute(f"SELECT (to_jsonb(t) - '{but}')::text FROM {table} t ORDER BY 1")
            found[table] = [row[0] for row in cursor.fetchall()]
        return found


def verify() -> None:
    call_command("verify_ledger", stdout=io.StringIO())


def test_the_audits_bot_becomes_a_client_a_bot_and_rows_and_nothing_starts(database: None, tmp_path: Path) -> None:
    report = put(tmp_path, one())
    client, bot, account = Client.objects.get(), Bot.objects.get(), BotAccount.objects.get()
    assert (client.source, client.source_id) == ("arena", ASTROLOGER["userId"])
    assert client.account_identifier == "client_arena_0b880cf7"
    assert (bot.source_id, bot.name, bot.runtime_kind, bot.desired_status) == (
        "bot_astrologer", "Astrologer", "arena", "created",
    )  # fmt: skip
    assert bot.pair == "BTC/USDT" and bot.client == client
    entry, leaving, last = Trade.objects.order_by("executed_at")
    assert (entry.side, entry.trade_type, entry.action, entry.price) == ("buy", "entry", "LONG", D("2.4"))
    assert entry.quantity == leaving.quantity == leaving.closed_quantity == 125  # 100 x 3 / 2.40
    assert (leaving.side, leaving.pnl, leaving.entry_price, leaving.exit_price) == (
        "sell",
        D("5.23"),
        D("2.4"),
        D("2.5"),
    )
    assert entry.cause == "import" and entry.mode == "paper" and entry.source_id == "order_1"
    closed, opened = Position.objects.order_by("opened_at")
    assert (closed.status, closed.realized_pnl, closed.quantity) == ("closed", D("5.23"), 0)
    assert {entry.position_id, leaving.position_id} == {closed.id} and last.position_id == opened.id
    assert (opened.status, opened.source_id, opened.size, opened.stop_loss) == ("open", "pos_5678", 500, 44800)
    assert opened.opened_at == last.executed_at and opened.unrealized_pnl == D("125.5")
    assert [d.execution_success for d in BotDecision.objects.order_by("decided_at")] == [False, True]
    assert (account.balance, account.allocated_capital) == (D("9505.23"), 10000)
    assert account.realized_pnl_adjustment == account.balance_adjustment == 0
    kept = {d.key: json.loads(d.body) for d in KeptDocument.objects.filter(kind="bot", bot=bot)}
    assert kept["symbolCooldowns"] == {"XRPUSDT": 1} and kept["prompt"] == "You are…" and kept["orders"] == []
    assert report["refused"] == [] and report["bots"][0]["sums"]["realized_pnl"]["trades"] == "5.23"
    assert ArenaImport.objects.get().status == "done"
    verify()


@pytest.mark.parametrize("form", arena_blobs.FORMS)
def test_a_second_import_changes_nothing(database: None, tmp_path: Path, form: str) -> None:
    state = arena_blobs.state(orders=60, logs=12, form=form)
    assert put(tmp_path, state)["refused"] == []
    first = everything()
    assert len(first["trades"]) == 120 and len(first["bot_decisions"]) == 24
    assert Position.objects.filter(status="open").count() == 4
    again = put(tmp_path, state)
    assert everything() == first
    assert [bot["orders"]["new"] + bot["decisions"]["new"] for bot in again["bots"]] == [0, 0]
    verify()


@pytest.mark.parametrize("form", arena_blobs.FORMS)
def test_a_grown_state_adds_what_is_new_and_closes_what_closed(database: None, tmp_path: Path, form: str) -> None:
    state = arena_blobs.state(orders=40, logs=50, form=form, bots=1)
    put(tmp_path, state)
    first = {trade.source_id: trade for trade in Trade.objects.all()}
    grown = copy.deepcopy(state)
    bot = grown["bots"][0]
    gone = bot["portfolio"]["positions"].pop(0)
    direction = {"audit": "action", "position": "type", "open_close": "trade_type"}[form]
    entry = next(o for o in bot["orders"] if o.get("price", o.get("entryPrice")) == gone["entryPrice"])
    leaving = entry | {"id": "new_exit", "timestamp": arena_blobs.END_MS + 5000, "pnl": 7.5, direction: gone["type"]}
    leaving |= {"audit": {"side": "exit", "price": 1.5}, "open_close": {"action": "CLOSE", "price": 1.5},
                "position": {"exitPrice": 1.5}}[form]  # fmt: skip
    bot["orders"] = [leaving, *bot["orders"], bot["orders"][-1] | {"id": "older", "timestamp": 1_700_000_000_000}]
    new_log = bot["botLogs"][0] | {"timestamp": arena_blobs.END_MS + 9000}
    bot["botLogs"] = [new_log, *bot["botLogs"]][:50]
    bot["realizedPnl"] = float(D(str(bot["realizedPnl"])) + D("7.5"))
    bot["portfolio"]["balance"] += gone["size"] + 7.5
    report = put(tmp_path, grown)
    assert report["refused"] == [] and report["changed"] == []
    assert report["bots"][0]["orders"]["new"] == 2 and report["bots"][0]["decisions"]["new"] == 1
    assert BotDecision.objects.count() == 51
    position = Position.objects.get(source_id=gone["id"])
    assert (position.status, position.realized_pnl, position.exit_price) == ("closed", D("7.5"), D("1.5"))
    assert Trade.objects.get(source_id="new_exit").position_id == position.id
    assert [p.source_id for p in Position.objects.filter(status="open")] == [
        p["id"] for p in bot["portfolio"]["positions"]
    ]
    for trade in Trade.objects.filter(source_id__in=first):
        before = first[trade.source_id]
        assert (trade.id, trade.pnl, trade.source_rank, trade.extra) == (
            before.id, before.pnl, before.source_rank, before.extra,
        )  # fmt: skip
    ranked = list(Trade.objects.order_by("source_rank").values_list("source_id", flat=True))
    assert ranked == [order["id"] for order in bot["orders"]]
    assert BotAccount.objects.get().balance == D(str(bot["portfolio"]["balance"]))
    verify()
    before_again = everything()
    put(tmp_path, grown)
    assert everything() == before_again


def test_an_older_state_after_a_later_one_changes_no_account(database: None, tmp_path: Path) -> None:
    older = one()
    later = copy.deepcopy(older)
    bitcoin = {"id": "x", "symbol": "BTCUSDT", "size": 500, "price": 46000, "timestamp": MS + 9000, "pnl": 25.5}
    later["bots"][0]["orders"].insert(0, ASTROLOGER["orders"][1] | bitcoin)
    later["bots"][0]["portfolio"]["positions"] = []
    put(tmp_path, later)
    first = everything()
    report = put(tmp_path, older)
    assert everything() == first
    assert report["bots"][0]["is_left_alone"] and Position.objects.filter(status="open").count() == 0


def test_a_bot_that_traded_here_since_keeps_its_money(database: None, tmp_path: Path) -> None:
    put(tmp_path, one())
    template = Trade.objects.get(source_id="order_1")
    template.pk, template.source, template.source_id, template.position = UUID(int=7), "", "", None
    template.save(force_insert=True)
    money = BotAccount.objects.values_list("cash_flow", "balance").get()
    grown = one(realizedPnl=99, portfolio={"balance": 1, "positions": []})
    grown["bots"][0]["orders"].append(ASTROLOGER["orders"][1] | {"id": "late", "timestamp": MS - 5000, "pnl": -3})
    report = put(tmp_path, grown)
    assert report["bots"][0]["is_left_alone"] and report["bots"][0]["orders"]["new"] == 1
    account = BotAccount.objects.get()
    assert (account.cash_flow, account.balance) == money
    assert account.realized_pnl_adjustment == 3  # what came newly into its trades was taken out here
    assert Position.objects.get(source_id="pos_5678").status == "open"
    verify()


def test_sums_that_differ_are_carried_and_reported(database: None, tmp_path: Path) -> None:
    report = put(tmp_path, one(realizedPnl=523.45, portfolio=ASTROLOGER["portfolio"] | {"balance": 8234.12}))
    account = BotAccount.objects.get()
    assert account.realized_pnl_adjustment == D("523.45") - D("5.23")
    assert account.balance == D("8234.12")
    assert report["bots"][0]["sums"]["realized_pnl"] == {"old": "523.45", "trades": "5.23", "adjustment": "518.22"}
    verify()


def test_orders_without_a_partner_are_kept_without_a_position(database: None, tmp_path: Path) -> None:
    orders = [ASTROLOGER["orders"][1] | {"id": "alone", "symbol": "SOLUSDT"}, ASTROLOGER["orders"][2] | {"id": "stray"}]
    report = put(tmp_path, one(orders=orders, portfolio={"balance": 1, "positions": []}))
    alone, stray = Trade.objects.get(source_id="alone"), Trade.objects.get(source_id="stray")
    assert alone.position is None and alone.pnl == D("5.23") and "entry" in alone.note and alone.closed_quantity == 0
    assert stray.position is None and "exit" in stray.note
    counts = report["bots"][0]["orders"]
    assert (counts["entries_without_partner"], counts["exits_without_partner"]) == (1, 1)
    verify()


def test_an_entry_that_arrives_late_finds_its_exit(database: None, tmp_path: Path) -> None:
    leaving, entry = ASTROLOGER["orders"][1:]
    put(tmp_path, one(orders=[leaving]))
    assert Trade.objects.get().position is None
    put(tmp_path, one(orders=[leaving, entry]))
    closed = Position.objects.get(status="closed")
    assert set(Trade.objects.values_list("position_id", "quantity", "note")) == {(closed.id, D(125), "")}
    verify()


def test_the_same_entries_and_exits_are_paired_as_by_hand(database: None, tmp_path: Path) -> None:
    chance = random.Random(7)
    bots = []
    for number in range(60):
        orders = [_random_order(chance, f"o{n}", at=MS + 1000 * n) for n in range(chance.randint(1, 14))]
        chance.shuffle(orders)
        bots.append(ASTROLOGER | {"id": f"b{number}", "orders": orders, "portfolio": {"balance": 1, "positions": []}})
    put(tmp_path, {"bots": bots})
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.source_id, e.source_id, x.source_id FROM trades e JOIN trades x ON x.position_id = e.position_id "
            "AND x.trade_type = 'exit' JOIN bots b ON b.id = e.bot_id WHERE e.trade_type = 'entry'"
        )
        for bot, entry, leaving in cursor.fetchall():
            found[bot].add((entry, leaving))
    for bot in bots:
        assert found[bot["id"]] == _paired_by_hand(bot["orders"]), bot["orders"]
    verify()


def _random_order(chance: random.Random, name: str, *, at: int) -> dict[str, Any]:
    side = chance.choice(["entry", "exit"])
    order = {"id": name, "symbol": "XRPUSDT", "action": chance.choice(["LONG", "LONG", "SHORT"]), "side": side,
             "price": 2.5, "size": chance.choice([10, 20]), "leverage": chance.choice([1, 1, 2]), "timestamp": at}  # fmt: skip
    return order | ({"pnl": chance.choice([-1.5, 2])} if side == "exit" else {})


def _paired_by_hand(orders: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """First in, first out: those of one size and leverage, then what is left of one direction."""
    pairs: set[tuple[str, str]] = set()
    taken: set[str] = set()
    for key in (lambda o: (o["action"], o["size"], o["leverage"]), lambda o: (o["action"],)):
        queues: dict[Any, list[str]] = defaultdict(list)
        for order in sorted(orders, key=lambda o: o["timestamp"]):
            if order["id"] in taken:
                continue
            if order["side"] == "entry":
                queues[key(order)].append(order["id"])
            elif queues[key(order)]:
                pairs.add((queues[key(order)].pop(0), order["id"]))
        taken = {name for pair in pairs for name in pair}
    return pairs


def test_identical_bots_of_two_users_never_mix(database: None, tmp_path: Path) -> None:
    other = copy.deepcopy(ASTROLOGER) | {"userId": "another", "realizedPnl": 7}
    other["orders"][1]["pnl"] = 7
    put(tmp_path, {"bots": [ASTROLOGER, other]})
    assert Client.objects.count() == Bot.objects.count() == 2 and Trade.objects.count() == 6
    for bot in Bot.objects.all():
        assert set(Trade.objects.filter(bot=bot).values_list("client_id", flat=True)) == {bot.client_id}
    assert set(BotAccount.objects.values_list("realized_pnl_adjustment", flat=True)) == {D(0)}


def test_a_user_can_be_given_to_a_client_that_exists(cast: Cast, tmp_path: Path) -> None:
    before = Client.objects.count()
    put(tmp_path, one(), "--map", f"{ASTROLOGER['userId']}=client_acme")
    assert Client.objects.count() == before
    assert set(Trade.objects.values_list("client_id", flat=True)) == {cast.acme}
    assert cast.globex_manages.get("/bots/bot_astrologer").status == 404
    with pytest.raises(CommandError, match="No client found with account_identifier 'nobody'"):
        put(tmp_path, one(), "--map", f"{ASTROLOGER['userId']}=nobody")


def test_a_taken_account_identifier_gets_another_one(database: None, tmp_path: Path) -> None:
    create_client(scope=OPERATOR, name="Arena 0b880cf7")
    put(tmp_path, one())
    assert Client.objects.get(source="arena").account_identifier == "client_arena_0b880cf7_0b880cf7"


def test_a_dry_run_reports_and_writes_nothing(database: None, tmp_path: Path) -> None:
    before = everything()
    report = put(tmp_path, arena_blobs.state(), "--dry-run")
    assert report["dry_run"] and report["written"]["trades"] == 80
    assert everything() == before and not ArenaImport.objects.exists()
    put(tmp_path, arena_blobs.state())
    first = everything()
    assert put(tmp_path, arena_blobs.state(), "--dry-run")["written"]["trades"] == 0
    assert everything() == first


def test_a_state_is_read_as_it_stood_in_its_row(database: None, tmp_path: Path) -> None:
    put(tmp_path, one())
    first = everything()
    for shape in (
        {"state": one()}, {"id": 1, "state": json.dumps(one()), "updated_at": "2025-11-06"},
    ):  # fmt: skip
        put(tmp_path, shape)
        KeptDocument.objects.filter(kind="wrapper").delete()
        assert everything() == first
    put(tmp_path, json.dumps(json.dumps(one())).encode())
    assert everything() == first


def test_an_order_that_was_changed_is_reported_and_the_stored_one_kept(database: None, tmp_path: Path) -> None:
    put(tmp_path, one())
    changed = one()
    changed["bots"][0]["orders"][1]["pnl"] = 50
    report = put(tmp_path, changed)
    assert report["changed"] == ["bots[0].orders[1]"]
    assert Trade.objects.get(source_id="order_2").pnl == D("5.23")
    assert BotAccount.objects.get().realized_pnl_adjustment == 0


def test_a_live_bots_positions_are_replaced_as_the_exchange_renames_them(database: None, tmp_path: Path) -> None:
    held = ASTROLOGER["portfolio"]["positions"][0]
    state = one(tradingMode="real")
    put(tmp_path, state)
    state["bots"][0]["portfolio"]["positions"] = [
        held | {"id": "BTCUSDT_2"},
        held | {"id": "BTCUSDT_3", "type": "SHORT"},
    ]
    state["bots"][0]["botLogs"].insert(0, ASTROLOGER["botLogs"][0] | {"timestamp": MS + 60_000})
    report = put(tmp_path, state)
    assert [item["reason"][:44] for item in report["refused"]] == ["A live bot holds one position of a symbol; t"]
    assert set(Position.objects.filter(symbol="BTC/USDT").values_list("source_id", "status", "mode")) == {
        ("pos_5678", "closed", "live"), ("BTCUSDT_2", "open", "live"),
    }  # fmt: skip
    verify()


def test_records_the_imported_state_as_one_more_moment(database: None, tmp_path: Path) -> None:
    """So a bot that came from a file alone has an equity, a return and its place on the boards."""
    for _ in range(2):
        put(tmp_path, {"bots": [ASTROLOGER]})
        [taken] = BotStateSnapshot.objects.all()
        assert taken.taken_at == Trade.objects.latest("executed_at").executed_at
        assert (taken.balance, taken.realized_pnl, taken.trade_count) == (D("9505.23"), D("5.23"), 3)
        assert (taken.unrealized_pnl, taken.total_value, taken.open_positions) == (D("125.5"), D("10130.73"), 1)
    refresh_boards(scope=system_scope("tests"), now=timezone.now())
    line = LeaderboardEntry.objects.get(period="all_time")
    assert (line.equity, line.return_pct) == (D("10130.73"), D("1.3073"))
