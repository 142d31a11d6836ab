"""What breaks a rule of the ledger is named with its row; a healthy ledger, also a busy one, is named by nobody."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.db.models import F

from alerts.models import Incident
from alerts.services.incidents import resolve_incident
from bots.models import BotStats
from bots.services.stop_bot import stop_bot
from clients.models import Connector
from exchanges.types import MarketType, Side
from exchanges.types import Trade as ExchangeTrade
from ground.scope import system_scope
from ledger.models import (
    BotAccount,
    BotDecision,
    BotStateSnapshot,
    LeaderboardEntry,
    LedgerState,
    Position,
    PositionDay,
    Trade,
)
from ledger.services.rebuild_books import rebuild_books
from ledger.services.record_trades import record_executions
from ledger.services.refresh_boards import refresh_due_boards
from ledger.services.verify_ledger import AlreadyRunning, Broken, Checked, ReplayHow, verify_if_due, verify_ledger
from ledger.types import NewExecution
from tests.fixtures import OPERATOR, Cast, make_bot
from tests.ledger.planted import HOUR, MINUTE, MORNING, NOW, healthy, paper, plant, snapshots, without

LEDGER = system_scope("ledger")


@pytest.fixture
def rows(cast: Cast) -> dict[str, Any]:
    """A healthy ledger; the rows of acme by name."""
    return healthy(cast)


def broken(**options: Any) -> dict[str, list[Broken]]:
    """By the name of the rule."""
    found = verify_ledger(scope=LEDGER, **{"now": NOW, **options})
    return {checked.check.name: list(checked.broken) for checked in found if checked.broken}


def lines(found: dict[str, list[Broken]]) -> set[str]:
    return {f"{name} {line}" for name, parts in found.items() for part in parts for line in part.breaks}


def test_nothing_is_named_in_a_healthy_ledger(rows: dict[str, Any]) -> None:
    found = verify_ledger(scope=LEDGER, now=NOW)
    assert lines({c.check.name: list(c.broken) for c in found}) == set()
    assert {c.check.name: c.rows for c in found} == {
        "balance": 2, "positions": 4, "orphan": 6, "statistics": 26, "snapshots": 16, "boards": 0, "books": 0,
    }  # fmt: skip
    assert not Incident.objects.exists()


ACME = "bot_id = '{acme}'"
# What is done to acme's rows, and every line that must then be said.
PLANTED = {
    f"UPDATE bot_accounts SET cash_flow = -140.41 WHERE {ACME}": [
        "balance bot_accounts {acme}: cash_flow is -140.41, expected -140.4"
    ],
    "UPDATE positions SET basis_fees = 0.3 WHERE id = '{held}'": [
        "balance bot_accounts {acme}: cash_flow is -140.4, expected -140.7"
    ],
    "UPDATE positions SET realized_pnl = 9.8 WHERE id = '{closed}'": [
        "positions positions {closed}: realized_pnl is 9.8, expected 9.7"
    ],
    "UPDATE positions SET opened_quantity = 2, closed_quantity = 2 WHERE id = '{closed}'": [
        "positions positions {closed}: opened_quantity is 2, expected 1",
        "positions positions {closed}: closed_quantity is 2, expected 1",
    ],
    "UPDATE positions SET symbol = 'XRP/USDT' WHERE id = '{closed}'": [
        "orphan trades {buy}: symbol is BTC/USDT, expected XRP/USDT",
        "orphan trades {sell}: symbol is BTC/USDT, expected XRP/USDT",
    ],
    "UPDATE positions SET position_type = 'LONG', mode = 'live' WHERE id = '{held}'": [
        "orphan trades {short}: action is SHORT, expected LONG",
        "orphan trades {short}: mode is paper, expected live",
        "books positions {held}: executions is none, expected at least one",
    ],
    "UPDATE trades SET pnl = 9.6 WHERE id = '{sell}'": [
        "balance bot_accounts {acme}: cash_flow is -140.4, expected -140.5",
        "positions positions {closed}: realized_pnl is 9.7, expected 9.6",
        *(f"statistics bot_stats {{acme}}: {field} is 9.7, expected 9.6" for field in ("pnl", "gross_profit")),
        *(
            f"statistics bot_trade_hours {{sold}}: {field} is 9.7, expected 9.6"
            for field in ("pnl", "gross_profit", "best_pnl", "worst_pnl")
        ),
        *(
            f"statistics bot_trade_spans {span}: {field} is 9.7, expected 9.6"
            for span in ("{traded_day}", "{traded_month}")
            for field in ("pnl", "gross_profit", "best_pnl", "worst_pnl")
        ),
    ],
    "DELETE FROM bot_decisions WHERE id = '{spare}'": [
        "statistics bot_stats {acme}: decisions is 2, expected 1"
    ],
    f"UPDATE bot_stats SET trades = 4, last_trade_at = NULL WHERE {ACME}": [
        "statistics bot_stats {acme}: trades is 4, expected 3",
        "statistics bot_stats {acme}: last_trade_at is empty, expected 2026-03-02T07:00:00Z",
    ],
    f"DELETE FROM bot_stats WHERE {ACME}": [
        f"statistics bot_stats {{acme}}: {line}"
        for line in (
            "trades is 0, expected 3", "closed_trades is 0, expected 1", "wins is 0, expected 1",
            "pnl is empty, expected 9.7", "gross_profit is 0, expected 9.7", "fees is 0, expected 0.3",
            "volume is 0, expected 360", "first_trade_at is empty, expected 2026-03-02T06:00:00Z",
            "last_trade_at is empty, expected 2026-03-02T07:00:00Z", "positions_open is 0, expected 1",
            "positions_closed is 0, expected 1", "decisions is 0, expected 2", "decisions_successful is 0, expected 1",
        )
    ],
    "UPDATE bot_trade_hours SET hour_at = hour_at + interval '1 day' WHERE id = {bought}": [
        f"statistics bot_trade_hours {row}: {field} is {found}, expected {expected}"
        for row, is_kept in (("BTC/USDT 2026-03-02T06:00:00Z", False), ("{bought}", True))
        for field, value in (("trades", 1), ("buys", 1), ("fees", "0.1"), ("volume", 100))
        for found, expected in [(value, 0) if is_kept else (0, value)]
    ],
    f"UPDATE bot_fees SET unpriced = 0 WHERE {ACME} AND currency = 'BNB'": [
        "statistics bot_fees {bnb}: unpriced is 0, expected 0.001"
    ],
    f"UPDATE bot_equity_buckets SET high = 10199 WHERE {ACME} AND span = 'hour' AND high = 10200": [
        "statistics bot_equity_buckets {morning}: high is 10199, expected 10200"
    ],
    f"UPDATE bot_equity_buckets SET last_value = 1 WHERE {ACME} AND span = 'day'": [
        "statistics bot_equity_buckets {day}: last_value is 1, expected 10300"
    ],
    f"DELETE FROM bot_equity_buckets WHERE {ACME} AND span = 'day'": [
        f"statistics bot_equity_buckets day 2026-03-02T00:00:00Z: {field} is empty, expected {value}"
        for field, value in (
            ("first_at", "2026-03-02T06:00:00Z"), ("first_value", 10000), ("last_at", "2026-03-02T07:10:00Z"),
            ("last_value", 10300), ("high", 10300), ("low", 9900), ("max_drawdown", "0.01980198019802"),
            ("snapshots", 8),
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize("statement", PLANTED)
def test_a_row_changed_past_the_triggers_is_named(rows: dict[str, Any], cast: Cast, statement: str) -> None:
    plant(statement.format(**rows))
    assert lines(broken()) == {line.format(**rows) for line in PLANTED[statement]}
    assert all(incident.bot_id == cast.acme_bot for incident in Incident.objects.all())


def test_what_is_broken_is_an_incident_until_it_is_mended(rows: dict[str, Any], cast: Cast) -> None:
    plant(f"UPDATE bot_accounts SET cash_flow = -140.41 WHERE bot_id = '{cast.acme_bot}'")
    for _ in range(2):
        broken()
    incident = Incident.objects.get()
    assert (incident.kind, incident.client_id, incident.bot_id) == ("ledger_balance", cast.acme, cast.acme_bot)
    assert (incident.severity, incident.times_seen) == ("critical", 2)
    named = {"table": "bot_accounts", "id": str(cast.acme_bot), "field": "cash_flow"}
    assert incident.details["rows"] == [named | {"expected": "-140.4", "found": "-140.41"}]
    assert broken(bot_id=cast.globex_bot) == {} and Incident.objects.get().resolved_at is None
    plant(f"UPDATE bot_accounts SET cash_flow = -140.4 WHERE bot_id = '{cast.acme_bot}'")
    assert broken(bot_id=cast.acme_bot) == {}
    assert Incident.objects.get().resolved_by == "system:ledger"


def test_many_breaks_of_one_bot_are_one_incident_that_names_the_first(rows: dict[str, Any], cast: Cast) -> None:
    for number in range(1, 31):
        snapshots(cast.acme_bot, [100], start=MORNING - number * HOUR)
    with without("bot_equity_buckets"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE bot_equity_buckets SET first_value = 1 WHERE span = 'hour' AND bot_id = %s", [cast.acme_bot]
        )
        (found,) = broken()["statistics"]
    assert found.count == 34 and len(found.breaks) == 20  # 32 hours, and the two days that begin with them
    assert Incident.objects.get().title.endswith("(and 33 more)")


@pytest.mark.parametrize(
    ("key", "statement", "said"),
    [
        ("trades_position_of_same_bot", "UPDATE trades SET position_id = '{nobody}' WHERE id = '{buy}'",
         "orphan trades {buy}: position_id is {nobody}, expected a position"),
        ("trades_position_of_same_bot", "UPDATE trades SET position_id = '{theirs}' WHERE id = '{buy}'",
         "orphan trades {buy}: bot_id is {acme}, expected {globex}"),
        ("trades_decision_of_same_bot", "UPDATE trades SET decision_id = '{their_decision}' WHERE id = '{buy}'",
         "orphan trades {buy}: decision_id is {their_decision}, expected a decision of its bot"),
        ("trades_of_same_account", "UPDATE trades SET currency = 'EUR' WHERE id = '{short}'",
         "orphan trades {short}: currency is EUR, expected USDT"),
        ("trades_of_same_account", "UPDATE trades SET client_id = '{their_client}' WHERE id = '{short}'",
         "orphan trades {short}: client_id is {their_client}, expected {client}"),
        ("trades_of_same_account", "UPDATE trades SET bot_id = '{nobody}' WHERE id = '{short}'",
         "orphan trades {short}: bot_id is {nobody}, expected a bot"),
    ],
)  # fmt: skip
def test_a_row_that_lost_what_it_names_is_named(
    rows: dict[str, Any], cast: Cast, key: str, statement: str, said: str
) -> None:
    keys = {key, "trades_position_of_same_bot", "trades_decision_of_same_bot"}
    names = rows | {
        "nobody": uuid.UUID(int=7), "globex": cast.globex_bot, "client": cast.acme, "their_client": cast.globex,
        "theirs": Position.objects.filter(bot_id=cast.globex_bot, symbol="BTC/USDT").get().id,
        "their_decision": BotDecision.objects.filter(bot_id=cast.globex_bot).first().id,
    }  # fmt: skip
    with without("trades", *sorted(keys)), connection.cursor() as cursor:
        cursor.execute(statement.format(**names))
        assert said.format(**names) in lines(broken())


def test_a_tick_missed_by_one_bot_alone_is_a_gap_and_an_outage_is_none(cast: Cast) -> None:
    for bot in (cast.acme_bot, cast.globex_bot):
        paper(bot)
        plant(f"UPDATE bots SET desired_status = 'running', desired_at = '{MORNING - HOUR}' WHERE id = '{bot}'")
    ticks = [100] * 6 + [None] * 5 + [100] * 13  # all are missing for 50 minutes
    snapshots(cast.globex_bot, ticks)
    snapshots(cast.acme_bot, ticks[:13] + [None] + ticks[14:])  # one tick is nothing yet
    assert broken() == {}
    gone = BotStateSnapshot.objects.filter(bot_id=cast.acme_bot, taken_at__gte=MORNING + 3 * HOUR)
    gone.filter(taken_at__lt=MORNING + 3.5 * HOUR).delete()
    assert lines(broken()) == {
        f"snapshots bot_state_snapshots {cast.acme_bot} 2026-03-02T08:50:00Z: the next one is 2026-03-02T09:30:00Z, "
        "3 ticks missed, expected at the tick after it, as other bots have"
    }
    incident = Incident.objects.get()
    resolve_incident(scope=OPERATOR, incident_id=incident.id, resolution="a bad restore", now=NOW)
    assert broken() == {}, "what a person has resolved is not told again"


def test_a_bot_that_stood_still_has_no_gap_and_one_that_is_never_recorded_has(cast: Cast) -> None:
    for bot in (cast.acme_bot, cast.globex_bot):
        paper(bot)
        plant(f"UPDATE bots SET desired_status = 'running', desired_at = '{MORNING - HOUR}' WHERE id = '{bot}'")
    BotAccount.objects.update(opened_at=MORNING - HOUR)
    snapshots(cast.globex_bot, [100] * 30)
    assert [found.key for found in broken()["snapshots"]] == [str(cast.acme_bot)]
    stop_bot(scope=LEDGER, bot_id=cast.acme_bot, now=MORNING)
    assert broken() == {}


def test_boards_that_lag_behind_are_named(rows: dict[str, Any], cast: Cast) -> None:
    BotAccount.objects.update(opened_at=MORNING, updated_at=MORNING)
    BotStats.objects.update(updated_at=MORNING)
    refresh_due_boards(scope=LEDGER, now=NOW)
    assert broken() == {}
    entry = LeaderboardEntry.objects.get(bot_id=cast.acme_bot, period="all_time")
    plant(f"UPDATE leaderboard_entries SET total_trades = 2 WHERE id = {entry.id}")
    plant(f"DELETE FROM leaderboard_entries WHERE bot_id = '{cast.acme_bot}' AND period = 'daily'")
    assert lines(broken()) == {
        f"boards leaderboard_entries {entry.id}: total_trades is 2, expected 3",
        f"boards leaderboard_entries daily of {cast.acme_bot}: updated_at is empty, expected a line",
    }
    refresh_due_boards(scope=LEDGER, now=NOW + MINUTE)
    LedgerState.objects.update(snapshot_at=NOW + HOUR)
    assert lines(broken(now=NOW + 2 * HOUR)) == {
        "boards ledger_state 1: boards_at is 2026-03-02T12:01:00Z, expected not before 2026-03-02T13:00:00Z"
    }


def test_a_busy_ledger_is_healthy_at_every_moment(rows: dict[str, Any], cast: Cast) -> None:
    """Writers commit trades with their money while the rules are held against the rows."""
    done = threading.Event()

    def write() -> None:
        with contextlib.closing(connection):
            account = BotAccount.objects.get(bot_id=cast.acme_bot)
            common = {"client_id": cast.acme, "bot_id": cast.acme_bot, "mode": "paper", "market_type": "swap",
                      "symbol": "BTC/USDT", "currency": "USDT", "side": "sell", "trade_type": "exit", "action": "LONG",
                      "price": 1, "quantity": 1, "size": 1, "cause": "model", "executed_at": NOW, "pnl": 1}  # fmt: skip
            while not done.is_set():
                with transaction.atomic():
                    BotAccount.objects.select_for_update().get(bot_id=account.bot_id)
                    Trade.objects.bulk_create([Trade(**common), Trade(**common)])
                    BotAccount.objects.filter(bot_id=account.bot_id).update(cash_flow=F("cash_flow") + 2)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(15):
            assert broken() == {}
    finally:
        done.set()
        writer.join()
    assert Trade.objects.count() > 6


def test_two_verifications_do_not_run_at_once_and_a_night_has_one(rows: dict[str, Any]) -> None:
    def refused() -> None:
        with pytest.raises(AlreadyRunning):
            broken()
        connections.close_all()

    def again(_: Checked) -> None:
        with ThreadPoolExecutor(1) as other:
            other.submit(refused).result()

    verify_ledger(scope=LEDGER, now=NOW, tell=again)
    assert verify_if_due(scope=LEDGER, now=NOW + HOUR) is None
    assert verify_if_due(scope=LEDGER, now=NOW + 14.9 * HOUR) is None
    assert verify_if_due(scope=LEDGER, now=NOW + 15 * HOUR) is not None
    assert verify_if_due(scope=LEDGER, now=NOW + 16 * HOUR) is None


def test_command_says_what_was_checked_or_ends_with_1_and_a_list(
    rows: dict[str, Any], cast: Cast, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("verify_ledger")
    assert re.search(
        r"balance: holds \(2 rows.*All is well: [0-9]+ rows were checked", capsys.readouterr().out, re.DOTALL
    )
    plant(f"UPDATE bot_accounts SET cash_flow = -140.41 WHERE bot_id = '{cast.acme_bot}'")
    with pytest.raises(CommandError, match="1 breaks were found"):
        call_command("verify_ledger", f"--bot={cast.acme_bot}")
    assert "cash_flow is -140.41, expected -140.4" in capsys.readouterr().out


def executions(cast: Cast, count: int, *, step: timedelta = MINUTE) -> list[NewExecution]:
    """A busy time of acme's bot in four markets: turns, partial closes, fees of every kind, several at one moment."""
    connector, chance = Connector.objects.get(client_id=cast.acme), random.Random(7)
    made = []
    for number in range(count):
        market = chance.choice([MarketType.SPOT, MarketType.SWAP])
        symbol = chance.choice(["BTC/USDT", "ETH/USDT"])
        price, quantity = Decimal(chance.randrange(9000, 11000)) / 97, Decimal(chance.randrange(1, 60)) / 7
        fee, currency = chance.choice([(None, None), ("0.001", "USDT"), ("0.0007", symbol[:3]), ("0.0002", "BNB")])
        trade = ExchangeTrade(
            f"t{number}", "1", None, symbol, chance.choice([Side.BUY, Side.SELL]), round(price, 12), round(quantity, 12),
            round(price * quantity, 12), fee and Decimal(fee), currency, MORNING - HOUR * 72 + (number // 3) * step,
        )  # fmt: skip
        made.append(NewExecution(cast.acme, connector.id, cast.acme_bot, "kucoin", market, trade))
    chance.shuffle(made)
    return made


def test_books_that_came_in_any_order_are_healthy_and_a_wrong_one_is_named(cast: Cast) -> None:
    given = executions(cast, 400)
    for start in range(0, 400, 50):
        record_executions(scope=LEDGER, executions=given[start : start + 60], now=NOW)
    assert broken() == {} and Position.objects.filter(status="closed").count() > 10
    exits = Trade.objects.filter(pnl__isnull=False, market_type="spot", position__status="open", symbol="BTC/USDT")
    one, two = exits.order_by("-executed_at", "-id")[:2]
    assert one.pnl != two.pnl
    swap = "UPDATE trades t SET pnl = %s WHERE id = %s"  # no sum of the position or the account moves
    plant(swap, two.pnl, one.id)
    plant(swap, one.pnl, two.id)
    found = broken()
    assert {f"books trades {one.id}: pnl is {digits(two.pnl)}, expected {digits(one.pnl)}"} < lines(found)
    assert set(found) <= {"books", "statistics"} and found["books"][0].count == 2


def test_positions_are_booked_again_when_they_changed_or_when_all_are_asked_for(cast: Cast) -> None:
    record_executions(scope=LEDGER, executions=executions(cast, 60), now=NOW)

    def replayed(now: datetime, **options: Any) -> int:
        found = verify_ledger(scope=LEDGER, now=now, **options)
        return next(checked.rows for checked in found if checked.check.name == "books")

    everything = replayed(NOW)
    assert everything == Trade.objects.filter(position__isnull=False).count()
    assert replayed(NOW + 3 * HOUR) == everything  # the last one may not have seen what was written within an hour
    assert replayed(NOW + 4 * HOUR) == 0
    assert replayed(NOW + 4 * HOUR, bot_id=cast.acme_bot) == everything
    assert replayed(NOW + 4 * HOUR, replay=ReplayHow.ALL) == everything


def test_a_long_position_is_booked_again_in_parts(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.services.replay_books.AT_ONCE", 4)
    record_executions(scope=LEDGER, executions=executions(cast, 200, step=HOUR), now=NOW)
    assert broken() == {}
    position = Position.objects.filter(status="closed", mode="live").order_by("-opened_quantity").first()
    plant("UPDATE positions SET exit_notional = exit_notional + 1 WHERE id = %s", position.id)
    for hours in (0, 24, 48):  # also when nothing changed since: nobody has mended it
        assert [line.field for line in broken(now=NOW + hours * HOUR)["books"][0].breaks] == ["exit_notional"]
    plant("UPDATE positions SET exit_notional = exit_notional - 1 WHERE id = %s", position.id)
    day = PositionDay.objects.order_by("day_at").first()
    plant("UPDATE position_days SET realized_exact = realized_exact + 1 WHERE id = %s", day.id)
    (line,) = broken(now=NOW + 71 * HOUR, replay=ReplayHow.ALL)["books"][0].breaks
    assert str(line).startswith(f"position_days {day.position_id} {day.day_at:%Y-%m-%d}T00:00:00Z: realized_exact is ")
    plant("UPDATE position_days SET realized_exact = realized_exact - 1 WHERE id = %s", day.id)
    assert broken(now=NOW + 72 * HOUR) == {} and not Incident.objects.filter(resolved_at=None).exists()


def test_what_an_import_brought_is_healthy_and_is_booked_again_by_nobody(rows: dict[str, Any], cast: Cast) -> None:
    bot = make_bot("client_acme", name="imported")
    BotAccount.objects.create(bot_id=bot, client_id=cast.acme, mode="live", currency="USDT")
    paired = {"bot_id": bot, "mode": "live", "source": "arena"}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS trades_position_of_same_bot DEFERRED")
        Position.objects.filter(id=rows["closed"]).update(**paired)  # made of a pair of orders
        Trade.objects.filter(position_id=rows["closed"]).update(**paired, decision_id=None)
    Position.objects.create(  # gone from the state without an exit
        client_id=cast.acme, **paired, source_id="p7", market_type="swap", symbol="SOL/USDT", currency="USDT",
        position_type="LONG", status="closed", entry_price=100, size=50, opened_quantity=1, closed_quantity=1, quantity=0,
        basis_quantity=1, basis_cost=100, opened_at=MORNING, closed_at=MORNING, close_cause="import",
    )  # fmt: skip
    BotAccount.objects.filter(bot_id=bot).update(cash_flow="9.7")
    BotAccount.objects.filter(bot_id=cast.acme_bot).update(cash_flow=F("cash_flow") - Decimal("9.7"))
    assert lines(broken()) == set()
    rebuilt = rebuild_books(scope=LEDGER, bot_id=bot, now=NOW)
    assert (rebuilt.positions, rebuilt.differences) == (0, ())


def digits(value: Decimal) -> str:
    return f"{value.normalize():f}"
