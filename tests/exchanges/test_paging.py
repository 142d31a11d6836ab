"""Walking through an account's own trades: laws over every habit, and the sandbox's exchanges over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.carried import CARRIED
from exchanges.gateways.ccxt_gateway import ExchangeGateway
from exchanges.gateways.pool import GatewayPool, open_gateways
from exchanges.paging import (
    _HABITS,
    PageOrder,
    PagingHabit,
    habit_of,
    narrower,
    rest_of,
    stretch_read,
    stretch_to_ask,
    within_reach,
)
from exchanges.types import Credentials, MarketType, Trade
from sandbox.testing import Sandbox, start
from tests.exchanges.test_sandbox import EXCHANGES

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Credentials("pager", "secret", "pass")
Instants = list[datetime]


def instants(seconds: list[int]) -> Instants:
    return sorted(START + timedelta(seconds=s) for s in seconds)


def page_of(habit: PagingHabit, keeps: PageOrder, history: Instants, asked: tuple[datetime, datetime]) -> Instants:
    """What an exchange of this habit answers. ``keeps`` is what it does, also where the habit does not know."""
    until = asked[1] if habit.takes_until else START + timedelta(days=3650)
    found = [at for at in history if asked[0] <= at <= until]
    return found[-habit.page :] if keeps == PageOrder.NEWEST_FIRST else found[: habit.page]


def walk(habit: PagingHabit, keeps: PageOrder, history: Instants, since: datetime, until: datetime) -> tuple[set, int]:
    """Everything read, and the number of calls, as ``OwnTradesReader`` walks."""
    found, calls, left = set(), 0, (since, until)
    while left:
        asked = stretch_to_ask(habit, *left)
        finer: PagingHabit | None = habit
        while True:
            calls += 1
            page = page_of(habit, keeps, history, asked)
            read = stretch_read(habit, asked, page, len(page))
            finer = narrower(finer, asked) if finer else None
            if read is not None or finer is None:
                break
            asked = stretch_to_ask(finer, *left)
        found |= {at for at in page if since <= at <= until}
        left = rest_of(left, read or asked)
        assert calls < 3000, "it comes to an end"
    return found, calls


ORDERS = [PageOrder.NEWEST_FIRST, PageOrder.OLDEST_FIRST]


@given(
    seconds=st.lists(st.integers(0, 200_000), max_size=120, unique=True),
    order=st.sampled_from(list(PageOrder)),
    really=st.sampled_from(ORDERS),
    page=st.integers(2, 30),
    longest=st.none() | st.integers(3_600, 100_000),
    ends=st.tuples(st.integers(0, 200_000), st.integers(0, 200_000)),
)
def test_every_trade_is_found_whatever_the_exchanges_habit(
    seconds: list[int], order: PageOrder, really: PageOrder, page: int, longest: int | None, ends: tuple[int, int]
) -> None:
    keeps = really if order == PageOrder.UNTOLD else order
    habit = PagingHabit(order, page, page, timedelta(seconds=longest) if longest else None, takes_until=True)
    since, until = (START + timedelta(seconds=s) for s in sorted(ends))
    history = instants(seconds)
    found, _ = walk(habit, keeps, history, since, until)
    assert found == {at for at in history if since <= at <= until}


@given(
    seconds=st.lists(st.integers(0, 200_000), max_size=120, unique=True),
    order=st.sampled_from([PageOrder.OLDEST_FIRST, PageOrder.UNTOLD]),
    page=st.integers(2, 30),
)
def test_an_exchange_that_takes_no_end_is_walked_from_the_beginning(
    seconds: list[int], order: PageOrder, page: int
) -> None:
    habit = PagingHabit(order, page, page)
    since, until = START, START + timedelta(seconds=150_000)
    history = instants(seconds)
    found, calls = walk(habit, PageOrder.OLDEST_FIRST, history, since, until)
    assert found == {at for at in history if since <= at <= until}
    assert calls <= len(history) // (page - 1) + 2


@given(seconds=st.lists(st.integers(0, 1000), min_size=5, max_size=80), order=st.sampled_from(list(PageOrder)))
def test_paging_ends_even_where_more_trades_share_a_moment_than_a_page_holds(
    seconds: list[int], order: PageOrder
) -> None:
    habit = PagingHabit(order, 2, 2, takes_until=True)
    crowd = instants([500] * 10 + seconds)
    walk(
        habit, order if order != PageOrder.UNTOLD else PageOrder.NEWEST_FIRST, crowd, START, START + timedelta(hours=1)
    )


def test_a_stretch_before_what_an_exchange_keeps_is_not_asked_for() -> None:
    okx = habit_of("okx", MarketType.SPOT, None)
    now = START + timedelta(days=365)
    assert within_reach(okx, START, now=now) > now - timedelta(days=90)
    assert within_reach(okx, now - timedelta(days=5), now=now) == now - timedelta(days=5)
    assert within_reach(PagingHabit(), START, now=now) == START


def test_every_habit_is_of_an_exchange_that_is_carried() -> None:
    for exchange, market_type in _HABITS:
        assert market_type in CARRIED[exchange].types.split()


@pytest.mark.parametrize("exchange", sorted(CARRIED))
def test_every_exchange_has_a_habit(exchange: str) -> None:
    instance = getattr(ccxt, exchange)()
    for word in CARRIED[exchange].types.split():
        about = (instance.features or {}).get(word) or {}
        habit = habit_of(exchange, MarketType(word), (about.get("linear") or about).get("fetchMyTrades"))
        assert 0 < habit.full_from <= habit.page <= 1000
        assert habit.longest is None or habit.longest >= timedelta(hours=1)


# The sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(mean_interval_s=1_000_000) as running:
        for name in EXCHANGES:
            running.add_key(name, "pager", "secret", passphrase="pass")
        yield running


@pytest.fixture
def pool(sandbox: Sandbox) -> GatewayPool:
    return open_gateways(dict.fromkeys(EXCHANGES, sandbox.exchange_base), timeout_s=5.0)


def read_all(gateway: ExchangeGateway, symbol: str, since: datetime, until: datetime) -> tuple[list[Trade], int]:
    found: dict[str, Trade] = {}
    left, pages = (since, until), 0
    while left:
        page = gateway.fetch_trade_page(symbol, since=left[0], until=left[1])
        found |= {trade.exchange_trade_id: trade for trade in page.trades}
        assert [*page.trades] == sorted(page.trades, key=lambda trade: trade.executed_at, reverse=True)
        left, pages = page.rest, pages + 1
        assert pages < 60
    return sorted(found.values(), key=lambda trade: trade.executed_at), pages


@pytest.mark.parametrize("name", EXCHANGES)
def test_pages_through_weeks_of_own_trades(sandbox: Sandbox, pool: GatewayPool, name: str) -> None:
    """A burst that fills more than two pages, lonely trades around it, and another pair's in between."""
    now = datetime.now(UTC)
    ages_s = [20 * 86_400, 9 * 86_400 + 7, *(8 * 86_400 + n * 0.25 for n in range(230)), 3_600, 60, 5]
    made = {}
    for age_s in ages_s:
        at_ms = int((now - timedelta(seconds=age_s)).timestamp() * 1000)
        made[sandbox.add_trade(name, "LTC/USDT", "pager", at_ms=at_ms)["id"]] = at_ms
    sandbox.add_trade(name, "DOGE/USDT", "pager", age_s=3_000)
    gateway = pool.gateway(name, EXCHANGES[name], KEY)
    found, pages = read_all(gateway, "LTC/USDT", now - timedelta(days=21), now)
    assert {trade.exchange_trade_id: round(trade.executed_at.timestamp() * 1000) for trade in found} == made
    assert pages < 30

    # a gap is asked for by its ends, and both are part of the answer
    oldest, newest = found[100].executed_at, found[200].executed_at
    between, _ = read_all(gateway, "LTC/USDT", oldest, newest)
    assert [trade.exchange_trade_id for trade in between] == [trade.exchange_trade_id for trade in found[100:201]]
    assert read_all(gateway, "LTC/USDT", now - timedelta(days=7), now - timedelta(days=6)) == ([], 1)
    assert gateway.fetch_own_trades("LTC/USDT", 100, now - timedelta(hours=2)) == [found[-1], found[-2], found[-3]]


def test_says_where_an_exchange_keeps_no_older_trades(sandbox: Sandbox, pool: GatewayPool) -> None:
    now = datetime.now(UTC)
    gateway = pool.gateway("okx", "spot", KEY)
    page = gateway.fetch_trade_page("XRP/USDT", since=now - timedelta(days=120), until=now)
    assert page.trades == ()
    assert page.rest is None
    assert page.note.startswith("OKX gives no own trades from before 20")
    long_ago = gateway.fetch_trade_page("XRP/USDT", since=now - timedelta(days=120), until=now - timedelta(days=100))
    assert (long_ago.trades, long_ago.rest) == ((), None)
    assert long_ago.note
