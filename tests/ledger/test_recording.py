"""Recording executions through the real database: once each, in any order, from several workers at once."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clients.models import Connector
from clients.services.manage_accounts import put_connector
from exchanges.types import MarketType, Side, Trade
from ground.scope import system_scope
from ledger.models import BotAccount, Position, PositionDay
from ledger.models import Trade as TradeRow
from ledger.services import rebuild_books, record_trades
from ledger.services.record_trades import record_executions
from ledger.types import NewExecution, Rebuilt, Recorded
from tests.fixtures import OPERATOR, Cast, make_bot

SCOPE = system_scope("tests")
START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def make(
    cast: Cast,
    number: int,
    side: str,
    quantity: Any,
    price: Any,
    *,
    minute: float | None = None,
    fee: Any = None,
    fee_currency: str | None = "USDT",
    bot: UUID | None | str = "own",
    market: MarketType = MarketType.SPOT,
    symbol: str = "BTC/USDT",
    exchange: str = "kucoin",
) -> NewExecution:
    """An execution on acme's account, by default its bot's; ``number`` is its id and the minute it happened."""
    connector = Connector.objects.using("default").get(client_id=cast.acme, name=exchange)
    at = START + timedelta(minutes=number if minute is None else minute)
    quantity, price = D(quantity), D(price)
    trade = Trade(
        f"t{number}", "1", None, symbol, Side(side), price, quantity, price * quantity,
        None if fee is None else D(fee), fee_currency, at,
    )  # fmt: skip
    return NewExecution(cast.acme, connector.id, cast.acme_bot if bot == "own" else bot, exchange, market, trade)


def record(*executions: NewExecution) -> Recorded:
    return record_executions(scope=SCOPE, executions=executions, now=NOW)


def pnls() -> list[D | None]:
    return list(TradeRow.objects.using("default").order_by("executed_at", "id").values_list("pnl", flat=True))


def positions() -> list[tuple[str, str, D, D, D]]:
    """(type, status, quantity, entry price, realised) in order of opening."""
    rows = Position.objects.using("default").order_by("opened_at", "id")
    return list(rows.values_list("position_type", "status", "quantity", "entry_price", "realized_pnl"))


def cash(bot: UUID) -> D:
    return BotAccount.objects.using("default").get(bot_id=bot).cash_flow


def assert_adds_up(*bots: UUID) -> None:
    """Nothing that is kept differs from what follows from the trades."""
    for bot in bots:
        for size in (rebuild_books.PAGE, 2):
            with mock.patch.object(rebuild_books, "PAGE", size):
                assert rebuild(bot).differences == ()


def rebuild(bot: UUID, *, fix: bool = False) -> Rebuilt:
    return rebuild_books.rebuild_books(scope=SCOPE, bot_id=bot, now=NOW, fix=fix)


def test_keeps_trade_position_and_cash_together(cast):
    done = record(make(cast, 1, "buy", 2, 100, fee="0.2"), make(cast, 2, "sell", 1, 110, fee="0.11"))
    assert (done.new, done.known, done.corrected, done.unattributed, done.refused) == (2, 0, 0, 0, ())
    entry, exit_ = TradeRow.objects.using("default").order_by("executed_at")
    assert (entry.trade_type, entry.action, entry.size, entry.pnl) == ("entry", "LONG", 200, None)
    # 110 - 100, less half of 0.2 and 0.11
    assert (exit_.trade_type, exit_.closed_quantity, exit_.entry_price, exit_.pnl) == ("exit", 1, 100, D("9.79"))
    assert entry.position_id == exit_.position_id
    assert (entry.cause, entry.mode, entry.currency, entry.exchange) == ("runtime", "live", "USDT", "kucoin")
    position = Position.objects.using("default").get()
    assert (position.status, position.quantity, position.size, position.basis_fees) == ("open", 1, 100, D("0.1"))
    assert (position.mark_price, position.unrealized_pnl, position.realized_pnl) == (110, 10, D("9.79"))
    account = BotAccount.objects.using("default").get()
    # 200.20 went out, 109.89 came back.
    assert (account.cash_flow, account.currency, account.mode, account.balance) == (D("-90.31"), "USDT", "live", None)
    assert_adds_up(cast.acme_bot)


def test_knows_an_execution_again(cast):
    given = [make(cast, 1, "buy", 2, 100), make(cast, 2, "sell", 1, 110)]
    assert record(*given, given[0]).known == 1
    again = record(*given)
    assert (again.new, again.known, again.corrected) == (0, 2, 0)
    assert pnls() == [None, 10]
    # The same id on another market, or of another pair, is another execution.
    assert record(replace(given[0], market_type=MarketType.SWAP)).new == 1
    assert record(make(cast, 1, "buy", 2, 100, symbol="ETH/USDT")).new == 1


def test_books_again_what_a_late_execution_changes(cast):
    record(make(cast, 1, "buy", 1, 100), make(cast, 3, "sell", 1, 130), make(cast, 4, "buy", 1, 90))
    before = Position.objects.using("default").order_by("opened_at").first().id
    assert positions() == [("LONG", "closed", 0, 100, 30), ("LONG", "open", 1, 90, 0)]
    # Another one was bought at 110 in between: 105 each, so 1 is left when 130 is had, and then 97.5 on average.
    assert record(make(cast, 2, "buy", 1, 110)).new == 1
    assert positions() == [("LONG", "open", 2, D("97.5"), 25)]
    assert pnls() == [None, None, 25, None]
    assert Position.objects.using("default").get().id == before
    assert cash(cast.acme_bot) == -100 - 110 + 130 - 90
    assert_adds_up(cast.acme_bot)


def test_leaves_closed_positions_alone_that_a_late_execution_cannot_change(cast):
    record(make(cast, 1, "buy", 1, 100), make(cast, 2, "sell", 1, 130))
    record(make(cast, 10, "buy", 1, 50), make(cast, 11, "sell", 1, 60))
    with connection.cursor() as cursor:  # a mark that booking again would take away
        cursor.execute(
            "UPDATE positions SET note = 'untouched', updated_at = 'epoch' WHERE opened_at < '2026-11-01 00:05Z'"
        )
    record(make(cast, 9, "buy", 1, 70))
    first, second = Position.objects.using("default").order_by("opened_at")
    assert (first.note, first.updated_at.year) == ("untouched", 1970)
    assert (second.status, second.quantity, second.realized_pnl) == ("open", 1, 0)
    assert_adds_up(cast.acme_bot)


def test_begins_again_at_the_day_when_a_position_is_old(cast):
    day = 24 * 60
    held = [make(cast, number, "buy", 3, 100 + number, minute=number * day / 4) for number in range(40)]
    record(*held)
    assert PositionDay.objects.using("default").count() == 9  # ten days, of which it was opened on the first
    with connection.cursor() as cursor:  # what lies before is not read: this would show
        cursor.execute("UPDATE trades SET size = 0 WHERE executed_at < '2026-11-10'")
    assert record(make(cast, 50, "sell", 1, 90, minute=9.1 * day)).new == 1
    assert TradeRow.objects.using("default").filter(size=0).count() == 36
    found = rebuild(cast.acme_bot).differences
    assert {(one.table, one.column) for one in found} == {("trades", "size")}
    # One that was opened yesterday and turned since begins where it was opened; so does what comes on the first day.
    assert record(make(cast, 51, "sell", 1, 90, minute=1)).new == 1
    assert_adds_up(cast.acme_bot)


def test_keeps_no_day_of_which_it_is_not_known_what_went_before(cast):
    day = 24 * 60
    record(make(cast, 1, "buy", 1, 100))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE positions SET traded_at = NULL")
    for number in (2, 3):
        record(make(cast, number, "buy", 1, 100, minute=number * day))
    (kept,) = PositionDay.objects.using("default").all()
    assert (kept.day_at, kept.opened_quantity) == (START + timedelta(days=3), 2)
    assert {one.table for one in rebuild(cast.acme_bot, fix=True).differences} == {"position_days"}
    assert PositionDay.objects.using("default").count() == 2
    assert_adds_up(cast.acme_bot)


def test_corrects_what_the_exchange_says_otherwise(cast):
    record(make(cast, 1, "buy", 2, 100, fee="0.2"), make(cast, 2, "sell", 2, 110))
    corrected = record(make(cast, 1, "buy", 2, 105))  # a fee that is not told does not take one back
    assert (corrected.new, corrected.known, corrected.corrected) == (0, 0, 1)
    assert pnls() == [None, D("9.8")]
    assert record(make(cast, 2, "sell", 1, 110, fee=1, fee_currency="BNB")).corrected == 1
    assert pnls() == [None, D("4.9")]
    assert TradeRow.objects.using("default").get(exchange_trade_id="t2").fee_quote is None
    # Its true time was before it was bought: nothing was there to sell.
    assert record(make(cast, 2, "sell", 1, 110, minute=0)).corrected == 1
    assert pnls() == [None, None]
    assert positions() == [("LONG", "open", 2, 105, 0)]
    assert_adds_up(cast.acme_bot)


def test_gives_an_execution_to_its_bot_when_that_is_known(cast):
    stranger = make(cast, 1, "buy", 1, 100, bot=None)
    assert record(stranger, make(cast, 2, "sell", 1, 120)).unattributed == 1
    assert pnls() == [None, None]
    assert record(stranger) == Recorded(known=1, unattributed=1)
    own = record(make(cast, 1, "buy", 1, 100))
    assert (own.corrected, own.unattributed) == (1, 0)
    assert pnls() == [None, 20]
    assert record(stranger).known == 1  # what was told is not taken back
    assert TradeRow.objects.using("default").filter(bot_id=cast.acme_bot).count() == 2
    assert_adds_up(cast.acme_bot)


def test_keeps_what_no_book_can_take_without_a_bot(cast):
    foreign = record(make(cast, 1, "buy", 1, 100, symbol="BTC/EUR"))
    assert (foreign.new, foreign.unattributed) == (1, 1)
    row = TradeRow.objects.using("default").get()
    assert (row.bot_id, row.note, row.currency) == (None, record_trades.OTHER_CURRENCY, "EUR")
    paper = make_bot("client_acme", name="paper", runtime_kind="arena")
    assert record(make(cast, 2, "buy", 1, 100, bot=paper)).unattributed == 1
    assert TradeRow.objects.using("default").get(exchange_trade_id="t2").note == record_trades.ON_PAPER
    assert not BotAccount.objects.using("default").filter(bot_id=paper).exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": D("NaN")}, "Its price is not a positive number."),
        ({"quantity": D(0)}, "Its quantity is not a positive number."),
        ({"quantity": D("1e-19")}, "Its quantity is too small to be held."),
        ({"price": D("1e17")}, "Its worth is too large to be right."),
        ({"fee": D("Infinity")}, "Its fee is not a number that a fee can be."),
        ({"fee": D(1), "fee_currency": "BTC"}, "Its fee is as large as what it traded."),
        ({"exchange_trade_id": ""}, "It has no id, or one that is too long."),
        ({"symbol": "btcusdt"}, "Its symbol is not written as BASE/QUOTE."),
        ({"executed_at": datetime(2026, 1, 1)}, "Its time has no time zone."),  # noqa: DTZ001 - the point of it
    ],
)
def test_refuses_what_cannot_be_true_and_stores_the_rest(cast, change, reason):
    good = make(cast, 1, "buy", 1, 100)
    bad = replace(good, trade=replace(good.trade, **change))
    done = record(bad, good)
    assert [one.reason for one in done.refused] == [reason]
    assert done.new == 1


def test_refuses_what_names_another_clients_bot_or_connector(cast):
    good = make(cast, 1, "buy", 1, 100)
    theirs = Connector.objects.using("default").get(client_id=cast.globex).id
    wrong = [replace(good, bot_id=cast.globex_bot), replace(good, connector_id=theirs), replace(good, bot_id=uuid4())]
    done = record_executions(scope=SCOPE, executions=wrong[:1], now=NOW)
    done = done.plus(record(wrong[1])).plus(record(wrong[2]))
    assert [one.reason for one in done.refused] == ["Its connector or its bot is not one of its client's."] * 3
    second = make_bot("client_acme", name="second")
    assert record(good).new == 1
    assert record(replace(good, bot_id=second)).refused[0].reason == "It is recorded already, as another bot's."
    assert not TradeRow.objects.using("default").exclude(bot_id=cast.acme_bot).exists()


def test_books_many_bots_in_few_statements(cast, django_assert_max_num_queries):
    bots = [make_bot("client_acme", name=f"b{number}") for number in range(20)]
    book = [
        make(cast, number * 100 + minute, "buy" if minute % 2 else "sell", 1, 100 + minute, minute=minute, bot=bot)
        for number, bot in enumerate(bots)
        for minute in range(10)
    ]
    record(*book[:5])
    with django_assert_max_num_queries(14, connection=connections["operator"]):
        assert record(*book).new == len(book) - 5
    with django_assert_max_num_queries(9, connection=connections["operator"]):
        assert record(*book).known == len(book)
    assert_adds_up(*bots)


def test_cuts_what_is_too_much_at_once(cast):
    book = [make(cast, number, "buy" if number % 2 else "sell", 1, 100 + number) for number in range(1, 8)]
    with mock.patch.object(record_trades, "MOST_AT_ONCE", 2):
        assert record(*reversed(book)).new == 7
    assert pnls() == [None, 1, None, 1, None, 1, None]
    assert_adds_up(cast.acme_bot)


def test_says_what_differs_from_the_trades_and_puts_it_right(cast, capsys):
    day = 24 * 60
    record(make(cast, 1, "buy", 2, 100), make(cast, 2, "sell", 1, 110), make(cast, 3, "sell", 1, 120))
    record(*(make(cast, number, "buy", 1, 50, minute=number * day, market=MarketType.SWAP) for number in range(4)))
    before = dump()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trades SET pnl = 11 WHERE exchange_trade_id = 't2' AND market_type = 'spot'")
        cursor.execute("UPDATE positions SET realized_pnl = 31 WHERE status = 'closed'")
        cursor.execute("UPDATE bot_accounts SET cash_flow = 5")
        cursor.execute("UPDATE position_days SET basis_cost = 1 WHERE day_at = '2026-11-02'")
        cursor.execute("DELETE FROM position_days WHERE day_at = '2026-11-03'")
    found = rebuild(cast.acme_bot)
    assert {(one.table, one.column, one.stored, one.computed) for one in found.differences} == {
        ("trades", "pnl", "11", "10"),
        ("positions", "realized_pnl", "31", "30"),
        ("bot_accounts", "cash_flow", "5", "-170"),
        ("position_days", "", "2026-11-02 00:00:00+00:00", "another state"),
        ("position_days", "", "", "2026-11-03 00:00:00+00:00"),
    }
    assert not found.is_repaired and cash(cast.acme_bot) == 5
    with pytest.raises(CommandError, match="5 values differ; --fix repairs them"):
        call_command("rebuild_books", f"--bot={cast.acme_bot}")
    assert "pnl is 11, its trades give 10" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no bot of this id"):
        call_command("rebuild_books", f"--bot={cast.acme}")
    assert rebuild(cast.acme_bot, fix=True).is_repaired
    assert dump() == before
    call_command("rebuild_books")
    assert "Everything is what the executions give." in capsys.readouterr().out
    assert_adds_up(cast.acme_bot)


# --- random sequences ---

SIDES = st.sampled_from(["buy", "sell"])
STEPS = st.tuples(
    SIDES,
    st.integers(1, 999).map(lambda n: D(n) / 7 // D("1e-18") * D("1e-18")),  # with all of 18 decimals
    st.integers(50, 150).map(lambda n: D(n) / 3 // D("1e-18") * D("1e-18")),
    st.sampled_from([None, "USDT", "BTC", "BNB"]),
    st.integers(0, 3),  # bot: three, or none
    st.sampled_from(["spot", "swap"]),
    st.integers(0, 90).map(lambda n: n * 47),  # minute: three days, with ties
)


@pytest.fixture
def bots(cast: Cast) -> list[UUID]:
    """Three bots of acme, which now has a second account: whoever writes for one waits for the other in the book alone."""
    put_connector(scope=OPERATOR, client_id=cast.acme, name="binance", api_key="k" * 20, api_secret="s")
    return [cast.acme_bot, make_bot("client_acme", name="two"), make_bot("client_acme", name="three")]


def emptied() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE trades, positions, position_days, bot_accounts, bot_trade_hours, bot_fees, bot_stats CASCADE"
        )
    yield


def executions_of(cast: Cast, bots: Sequence[UUID], steps: Sequence[Any]) -> list[NewExecution]:
    made = []
    for number, (side, quantity, price, fee_currency, bot, market, minute) in enumerate(steps):
        made.append(
            make(
                cast, number, side, quantity, price, minute=minute, market=MarketType(market),
                fee=quantity / 1000 // D("1e-18") * D("1e-18") if fee_currency else None, fee_currency=fee_currency,
                bot=bots[bot] if bot < 3 else None,
                exchange="binance" if number % 3 == 0 else "kucoin",
            )
        )  # fmt: skip
    return made


def record_in_threads(calls: Sequence[Sequence[NewExecution]], *, threads: int) -> None:
    """Each call by one of several workers with connections of their own."""

    def one(call: Sequence[NewExecution]) -> None:
        try:
            record(*call)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(one, call) for call in calls]:
            done.result()


def dump() -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is kept, without when it was written and what prices were seen."""
    queries = {
        "trades": "SELECT to_jsonb(t) - '{recorded_at}'::text[] FROM trades t ORDER BY id",
        "positions": "SELECT to_jsonb(p) - '{updated_at}'::text[] FROM positions p ORDER BY id",
        "days": "SELECT to_jsonb(d) - '{id}'::text[] FROM position_days d ORDER BY position_id, day_at",
        "accounts": "SELECT bot_id, cash_flow::text, currency FROM bot_accounts ORDER BY bot_id",
        "stats": "SELECT to_jsonb(s) - '{updated_at}'::text[] FROM bot_stats s ORDER BY bot_id",
        "hours": "SELECT to_jsonb(h) - '{id}'::text[] FROM bot_trade_hours h ORDER BY bot_id, hour_at, symbol",
        "fees": "SELECT bot_id, currency, amount, unpriced FROM bot_fees WHERE amount <> 0 ORDER BY bot_id, currency",
    }
    with connection.cursor() as cursor:
        found = {}
        for name, query in queries.items():
            cursor.execute(query)
            found[name] = [tuple(map(_read, row)) for row in cursor.fetchall()]
    return found


def _read(value: Any) -> Any:
    is_json = isinstance(value, str) and value.startswith("{")
    return json.loads(value, parse_float=D, parse_int=D) if is_json else value


STATS_AGAIN = """
    SELECT s.bot_id FROM bot_stats s LEFT JOIN LATERAL (
        SELECT count(*) trades, count(pnl) closed, count(*) FILTER (WHERE pnl > 0) wins,
               count(*) FILTER (WHERE pnl < 0) losses, sum(pnl) pnl, coalesce(sum(pnl) FILTER (WHERE pnl > 0), 0) won,
               coalesce(-sum(pnl) FILTER (WHERE pnl < 0), 0) lost, coalesce(sum(fee_quote), 0) fees,
               coalesce(sum(price * quantity), 0) volume, min(executed_at) first, max(executed_at) last
          FROM trades t WHERE t.bot_id = s.bot_id) t ON true
     WHERE (s.trades, s.closed_trades, s.wins, s.losses, s.pnl, s.gross_profit, s.gross_loss, s.fees, s.volume,
            s.first_trade_at, s.last_trade_at,
            s.positions_open, s.positions_closed)
        IS DISTINCT FROM (t.trades, t.closed, t.wins, t.losses, t.pnl, t.won, t.lost, t.fees, t.volume, t.first, t.last,
            (SELECT count(*) FROM positions p WHERE p.bot_id = s.bot_id AND p.status = 'open'),
            (SELECT count(*) FROM positions p WHERE p.bot_id = s.bot_id AND p.status = 'closed'))
"""
HOURS_AGAIN = """
    SELECT * FROM (
        SELECT bot_id, symbol, date_trunc('hour', executed_at, 'UTC') hour_at, count(*) trades,
               count(*) FILTER (WHERE side = 'buy') buys, count(pnl) closed, count(*) FILTER (WHERE pnl > 0) wins,
               count(*) FILTER (WHERE pnl < 0) losses, coalesce(sum(pnl), 0) pnl,
               coalesce(sum(pnl) FILTER (WHERE pnl > 0), 0) gross_profit,
               coalesce(-sum(pnl) FILTER (WHERE pnl < 0), 0) gross_loss, coalesce(sum(fee_quote), 0) fees,
               sum(price * quantity) volume, max(pnl) best_pnl, min(pnl) worst_pnl
          FROM trades WHERE bot_id IS NOT NULL GROUP BY 1, 2, 3) t
    EXCEPT SELECT bot_id, symbol, hour_at, trades, buys, closed, wins, losses, pnl, gross_profit, gross_loss, fees,
                  volume, best_pnl, worst_pnl FROM bot_trade_hours
"""
SUMS = """
    SELECT a.bot_id FROM bot_accounts a WHERE a.cash_flow IS DISTINCT FROM
        a.balance_adjustment + a.realized_pnl_adjustment
        + coalesce((SELECT sum(pnl) FROM trades t WHERE t.bot_id = a.bot_id), 0)
        - coalesce((SELECT sum(size + basis_fees) FROM positions p WHERE p.bot_id = a.bot_id AND p.status = 'open'), 0)
"""


def assert_recomputes(bots: Sequence[UUID]) -> None:
    assert_adds_up(*bots)
    with connection.cursor() as cursor:
        for query in (STATS_AGAIN, HOURS_AGAIN, SUMS):
            cursor.execute(query)
            assert cursor.fetchall() == []
        cursor.execute("SELECT count(*) FROM bot_trade_hours h WHERE h.trades = 0")
        assert cursor.fetchone() == (0,)


@settings(
    max_examples=15,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=30),
    corrections=st.lists(st.tuples(st.integers(0, 29), STEPS), max_size=5),
    seed=st.integers(0, 2**32),
)
def test_any_order_from_many_workers_comes_to_the_same(cast, bots, steps, corrections, seed):
    final = executions_of(cast, bots, steps)
    early = list(final)  # as some were first reported: with other facts, or without their bot
    for index, wrong in corrections:
        place = index % len(final)
        (stale,) = executions_of(cast, bots, [wrong])
        facts = replace(stale.trade, exchange_trade_id=final[place].trade.exchange_trade_id)
        kept = facts if final[place].trade.fee is not None else replace(facts, fee=None)
        early[place] = replace(final[place], trade=kept, bot_id=None if index % 3 else final[place].bot_id)
    chance = random.Random(seed)

    for _ in emptied():
        record(*final)
        expected = dump()
        assert_recomputes(bots)

    for _ in emptied():
        reported = [*early, *chance.sample(early, k=len(early) // 2)]
        chance.shuffle(reported)
        cuts = [reported[start : start + 4] for start in range(0, len(reported), 4)]
        record_in_threads(cuts, threads=3)
        assert_recomputes(bots)
        chance.shuffle(final)
        record_in_threads([final[start : start + 5] for start in range(0, len(final), 5)], threads=3)
        assert_recomputes(bots)
        found = dump()
        for ours, theirs in zip(_without_ids(found), _without_ids(expected), strict=True):
            assert ours == theirs


def _without_ids(kept: dict[str, Any]) -> Any:
    """A corrected time leaves the id of its trade, and so of its position, as it first was: told apart by the rest."""
    names = {row["id"]: f"{row['market_type']} {row['exchange_trade_id']}" for (row,) in kept["trades"]}
    touched: dict[str, list[str]] = {row["id"]: [] for (row,) in kept["positions"]}
    for (row,) in kept["trades"]:
        if row["position_id"]:
            touched[row["position_id"]].append(names[row["id"]])
    shown = {row["id"]: str({**row, "id": sorted(touched[row["id"]])}) for (row,) in kept["positions"]}
    trades = [
        str({**row, "id": names[row["id"]], "position_id": shown.get(row["position_id"])}) for (row,) in kept["trades"]
    ]
    days = [str({**row, "position_id": shown[row["position_id"]]}) for (row,) in kept["days"]]
    stats = [row for row in kept["stats"] if row[0]["trades"]]
    return sorted(trades), sorted(shown.values()), sorted(days), kept["accounts"], stats, kept["hours"], kept["fees"]
